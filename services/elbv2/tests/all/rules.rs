//! Listeners and rules.

use crate::fake::Bench;
use crate::load_balancers::internet_facing;
use crate::targets::{group, listener};
use zonal_balancer::config;
use zonal_elbv2::shapes::*;
use zonal_wire::AwsError;

fn path_rule(bench: &Bench, listener: &str, priority: i32, path: &str) -> Result<Rule, AwsError> {
    let condition =
        RuleCondition { field: Some("path-pattern".into()), values: vec![path.into()], ..Default::default() };
    let action = Action {
        type_: ActionTypeEnum::FixedResponse,
        fixed_response_config: Some(FixedResponseActionConfig { status_code: "404".into(), ..Default::default() }),
        ..Default::default()
    };
    let input = CreateRuleInput {
        listener_arn: listener.into(),
        conditions: vec![condition],
        priority,
        actions: vec![action],
        ..Default::default()
    };
    bench.call::<ops::CreateRule>(input).map(|mut output| output.rules.remove(0))
}

fn bench_with_listener() -> (Bench, String, String) {
    let bench = Bench::new();
    let balancer = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    let group = group(&bench, "tg");
    let listener = listener(&bench, &balancer, 80, &group).unwrap();
    (bench, balancer, listener)
}

#[test]
fn rules_are_shown_and_tried_by_priority_with_the_default_last() {
    let (bench, balancer, listener) = bench_with_listener();
    path_rule(&bench, &listener, 20, "/b").unwrap();
    path_rule(&bench, &listener, 3, "/a").unwrap();
    let input = DescribeRulesInput { listener_arn: Some(listener), ..Default::default() };
    let rules = bench.call::<ops::DescribeRules>(input).unwrap().rules;
    let priorities: Vec<_> = rules.iter().map(|rule| rule.priority.as_deref().unwrap()).collect();
    assert_eq!(priorities, ["3", "20", "default"]);
    assert_eq!(rules[2].is_default, Some(true));
    let told = bench.told(&balancer);
    assert_eq!(told.listeners[0].rules.iter().map(|rule| rule.priority).collect::<Vec<_>>(), [3, 20]);
    assert!(matches!(&told.listeners[0].default_action, config::Action::Forward(forward) if forward.groups.len() == 1));
}

#[test]
fn a_listener_made_again_as_it_is_is_the_same_and_otherwise_its_port_is_taken() {
    let (bench, balancer, first) = bench_with_listener();
    let group = group(&bench, "tg");
    assert_eq!(listener(&bench, &balancer, 80, &group).unwrap(), first);
    let other = self::group(&bench, "other");
    assert_eq!(listener(&bench, &balancer, 80, &other).unwrap_err().code, "DuplicateListener");
}

#[test]
fn a_priority_is_taken_once_and_two_rules_can_swap_theirs() {
    let (bench, _, listener) = bench_with_listener();
    let a = path_rule(&bench, &listener, 1, "/a").unwrap().rule_arn;
    let b = path_rule(&bench, &listener, 2, "/b").unwrap().rule_arn;
    assert_eq!(path_rule(&bench, &listener, 2, "/c").unwrap_err().code, "PriorityInUse");
    let pair =
        |rule_arn: &Option<String>, priority| RulePriorityPair { rule_arn: rule_arn.clone(), priority: Some(priority) };
    let swap = SetRulePrioritiesInput { rule_priorities: vec![pair(&a, 2), pair(&b, 1)] };
    bench.call::<ops::SetRulePriorities>(swap).unwrap();
    let clash = SetRulePrioritiesInput { rule_priorities: vec![pair(&a, 1)] };
    assert_eq!(bench.call::<ops::SetRulePriorities>(clash).unwrap_err().code, "PriorityInUse");
    let input = DescribeRulesInput { rule_arns: vec![a.unwrap()], ..Default::default() };
    assert_eq!(bench.call::<ops::DescribeRules>(input).unwrap().rules[0].priority.as_deref(), Some("2"));
}

#[test]
fn the_default_rule_is_the_listeners_and_cannot_be_deleted() {
    let (bench, _, listener) = bench_with_listener();
    let input = DescribeRulesInput { listener_arn: Some(listener), ..Default::default() };
    let rule_arn = bench.call::<ops::DescribeRules>(input).unwrap().rules.remove(0).rule_arn.unwrap();
    let named = DescribeRulesInput { rule_arns: vec![rule_arn.clone()], ..Default::default() };
    assert_eq!(bench.call::<ops::DescribeRules>(named).unwrap().rules[0].is_default, Some(true));
    assert_eq!(bench.call::<ops::DeleteRule>(DeleteRuleInput { rule_arn }).unwrap_err().code, "OperationNotPermitted");
}

#[test]
fn a_port_has_one_listener_and_tls_needs_a_certificate() {
    let (bench, balancer, arn) = bench_with_listener();
    let other = group(&bench, "other");
    assert_eq!(listener(&bench, &balancer, 80, &other).unwrap_err().code, "DuplicateListener");
    listener(&bench, &balancer, 81, &other).unwrap();
    let move_it = ModifyListenerInput { listener_arn: arn.clone(), port: Some(81), ..Default::default() };
    assert_eq!(bench.call::<ops::ModifyListener>(move_it).unwrap_err().code, "DuplicateListener");
    let tls = ModifyListenerInput { listener_arn: arn, protocol: Some(ProtocolEnum::Https), ..Default::default() };
    let error = bench.call::<ops::ModifyListener>(tls).unwrap_err();
    assert_eq!(error.code, "ValidationError");
    assert!(error.message.contains("A certificate must be specified for HTTPS"), "{error}");
}

#[test]
fn https_is_not_redirected_to_http() {
    let (bench, balancer, plain) = bench_with_listener();
    let redirect = |protocol: &str| Action {
        type_: ActionTypeEnum::Redirect,
        redirect_config: Some(RedirectActionConfig {
            protocol: Some(protocol.into()),
            host: Some("www.example.com".into()),
            status_code: RedirectActionStatusCodeEnum::Http302,
            ..Default::default()
        }),
        ..Default::default()
    };
    let certificate = Certificate { certificate_arn: Some(bench.certificate("www.example.com")), ..Default::default() };
    let create = |action| CreateListenerInput {
        load_balancer_arn: balancer.clone(),
        protocol: Some(ProtocolEnum::Https),
        port: Some(443),
        certificates: vec![certificate.clone()],
        default_actions: vec![action],
        ..Default::default()
    };
    let error = bench.call::<ops::CreateListener>(create(redirect("HTTP"))).unwrap_err();
    assert_eq!(error.code, "InvalidLoadBalancerAction");
    bench.call::<ops::CreateListener>(create(redirect("#{protocol}"))).unwrap();
    let plain =
        ModifyListenerInput { listener_arn: plain, default_actions: vec![redirect("HTTP")], ..Default::default() };
    bench.call::<ops::ModifyListener>(plain).unwrap();
}

#[test]
fn a_listener_becomes_no_http_listener_while_a_rule_of_it_forwards_grpc() {
    let (bench, balancer, _) = bench_with_listener();
    let certificate = Certificate { certificate_arn: Some(bench.certificate("www.example.com")), ..Default::default() };
    let respond = || Action {
        type_: ActionTypeEnum::FixedResponse,
        fixed_response_config: Some(FixedResponseActionConfig { status_code: "404".into(), ..Default::default() }),
        ..Default::default()
    };
    let input = CreateListenerInput {
        load_balancer_arn: balancer,
        protocol: Some(ProtocolEnum::Https),
        port: Some(443),
        certificates: vec![certificate],
        default_actions: vec![respond()],
        ..Default::default()
    };
    let arn = bench.call::<ops::CreateListener>(input).unwrap().listeners.remove(0).listener_arn.unwrap();
    let input = CreateTargetGroupInput {
        name: "calls".into(),
        protocol: Some(ProtocolEnum::Http),
        protocol_version: Some("GRPC".into()),
        port: Some(80),
        vpc_id: Some("vpc-1".into()),
        ..Default::default()
    };
    let calls = bench.call::<ops::CreateTargetGroup>(input).unwrap().target_groups.remove(0).target_group_arn;
    let rule = path_rule(&bench, &arn, 1, "/calls/*").unwrap().rule_arn.unwrap();
    let forward = Action { type_: ActionTypeEnum::Forward, target_group_arn: calls, ..Default::default() };
    let act = |action: Action| ModifyRuleInput { rule_arn: rule.clone(), actions: vec![action], ..Default::default() };
    bench.call::<ops::ModifyRule>(act(forward)).unwrap();
    let plain =
        || ModifyListenerInput { listener_arn: arn.clone(), protocol: Some(ProtocolEnum::Http), ..Default::default() };
    let error = bench.call::<ops::ModifyListener>(plain()).unwrap_err();
    assert!(error.message.contains("protocol-version 'GRPC'"), "{error}");
    bench.call::<ops::ModifyRule>(act(respond())).unwrap();
    bench.call::<ops::ModifyListener>(plain()).unwrap();
}

#[test]
fn deleting_a_listener_takes_its_rules_along() {
    let (bench, balancer, listener) = bench_with_listener();
    let rule_arn = path_rule(&bench, &listener, 1, "/a").unwrap().rule_arn.unwrap();
    bench.call::<ops::DeleteListener>(DeleteListenerInput { listener_arn: listener }).unwrap();
    let input = DescribeRulesInput { rule_arns: vec![rule_arn], ..Default::default() };
    assert_eq!(bench.call::<ops::DescribeRules>(input).unwrap_err().code, "RuleNotFound");
    let told = bench.told(&balancer);
    assert!(told.listeners.is_empty() && told.target_groups.is_empty());
}

#[test]
fn tags_are_of_every_kind_of_resource() {
    let (bench, balancer, listener) = bench_with_listener();
    let rule = path_rule(&bench, &listener, 1, "/a").unwrap().rule_arn.unwrap();
    let group = group(&bench, "tagged");
    let resource_arns = vec![balancer, listener, rule, group];
    let tag = Tag { key: "team".into(), value: Some("blue".into()) };
    bench.call::<ops::AddTags>(AddTagsInput { resource_arns: resource_arns.clone(), tags: vec![tag.clone()] }).unwrap();
    let found = bench.call::<ops::DescribeTags>(DescribeTagsInput { resource_arns: resource_arns.clone() }).unwrap();
    assert!(found.tag_descriptions.len() == 4 && found.tag_descriptions.iter().all(|one| one.tags == [tag.clone()]));
    bench
        .call::<ops::RemoveTags>(RemoveTagsInput {
            resource_arns: resource_arns.clone(),
            tag_keys: vec!["team".into()],
        })
        .unwrap();
    let found = bench.call::<ops::DescribeTags>(DescribeTagsInput { resource_arns }).unwrap();
    assert!(found.tag_descriptions.iter().all(|one| one.tags.is_empty()));
}

#[test]
fn only_https_listeners_have_attributes_that_rename_request_headers() {
    const VERSION: &str = "routing.http.request.x_amzn_tls_version.header_name";
    let (bench, balancer, plain) = bench_with_listener();
    let certificate = Certificate { certificate_arn: Some(bench.certificate("www.example.com")), ..Default::default() };
    let respond = Action {
        type_: ActionTypeEnum::FixedResponse,
        fixed_response_config: Some(FixedResponseActionConfig { status_code: "404".into(), ..Default::default() }),
        ..Default::default()
    };
    let input = CreateListenerInput {
        load_balancer_arn: balancer.clone(),
        protocol: Some(ProtocolEnum::Https),
        port: Some(443),
        certificates: vec![certificate],
        default_actions: vec![respond],
        ..Default::default()
    };
    let secure = bench.call::<ops::CreateListener>(input).unwrap().listeners.remove(0).listener_arn.unwrap();
    let shown = |arn: &str| {
        let input = DescribeListenerAttributesInput { listener_arn: arn.into() };
        let all = bench.call::<ops::DescribeListenerAttributes>(input).unwrap().attributes;
        all.into_iter().find(|one| one.key.as_deref() == Some(VERSION)).and_then(|one| one.value)
    };
    assert_eq!((shown(&plain), shown(&secure).as_deref()), (None, Some("X-Amzn-Tls-Version")));
    let rename = |arn: &str| {
        let attribute = ListenerAttribute { key: Some(VERSION.into()), value: Some("X-Tls".into()) };
        let input = ModifyListenerAttributesInput { listener_arn: arn.into(), attributes: vec![attribute] };
        bench.call::<ops::ModifyListenerAttributes>(input).map(drop).map_err(|error| error.code)
    };
    assert_eq!(rename(&plain), Err("InvalidConfigurationRequest".into()));
    rename(&secure).unwrap();
    assert_eq!(shown(&secure).as_deref(), Some("X-Tls"));
    let told = bench.told(&balancer).listeners;
    let tls = told.into_iter().find_map(|listener| listener.tls).unwrap();
    assert_eq!((tls.headers.version.as_str(), tls.headers.cipher_suite.as_str()), ("X-Tls", "X-Amzn-Tls-Cipher-Suite"));
}
