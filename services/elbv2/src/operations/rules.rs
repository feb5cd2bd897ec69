//! Rules of listeners. Source: Elastic Load Balancing API reference, `CreateRule` and the actions that name it.

use super::listeners::check_action;
use super::{listener, merge_tags, new_id, page, rule};
use crate::conditions::{Condition, conditions_of};
use crate::errors::{Error, invalid};
use crate::model::{Kind, Listener, LoadBalancer, Rule};
use crate::rules::action_of;
use crate::shapes::{
    CreateRuleInput, CreateRuleOutput, DeleteRuleInput, DeleteRuleOutput, DescribeRulesInput, DescribeRulesOutput,
    ModifyRuleInput, ModifyRuleOutput, Rule as WireRule, SetRulePrioritiesInput, SetRulePrioritiesOutput,
};
use std::collections::BTreeSet;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// Rules per load balancer beside the default ones, as AWS's default quota has it.
const QUOTA: usize = 100;

/// `CreateRule`
pub fn create(tx: &mut Tx<'_>, input: &CreateRuleInput) -> Result<CreateRuleOutput, AwsError> {
    let owner = listener(&tx.view(), &input.listener_arn)?.clone();
    if owner.protocol.kind() == Kind::Network {
        let text = "Rules cannot be created for listeners of load balancers of type 'network'";
        return Err(Error::InvalidConfiguration(text.into()).into());
    }
    if !input.transforms.is_empty() {
        return Err(Error::Unsupported("transforms of listener rules".into()).into());
    }
    let priority = priority_of(input.priority)?;
    if tx.starting::<Rule>(Listener::keys_of_rules(&owner.arn)).any(|other| other.priority == priority) {
        return Err(Error::PriorityInUse(priority).into());
    }
    let conditions = conditions_of(&input.conditions)?;
    let action = action_of(&input.actions)?;
    check_action(&tx.view(), &owner.balancer, owner.protocol, &action)?;
    if tx.starting::<Rule>(LoadBalancer::keys_of_rules(&owner.balancer)).count() >= QUOTA {
        let text = format!("The maximum number of rules per load balancer is '{QUOTA}'");
        return Err(Error::TooMany { what: "TooManyRules", text }.into());
    }
    let mut tags = Tags::new();
    merge_tags(&mut tags, &input.tags, tx.caller.is_service())?;
    let id = new_id(tx);
    let arn = format!("{}/{id}", owner.arn.replacen(":listener/", ":listener-rule/", 1));
    let record = Rule { arn, listener: owner.arn, priority, conditions, action, tags };
    let output = CreateRuleOutput { rules: vec![shown(&record)] };
    tx.put(record);
    Ok(output)
}

fn priority_of(given: i32) -> Result<u32, Error> {
    let fits = u32::try_from(given).ok().filter(|priority| (1..=50_000).contains(priority));
    fits.ok_or_else(|| invalid(format!("Priority '{given}' must be between 1 and 50000")))
}

/// `ModifyRule`: what is not given stays.
pub fn modify(tx: &mut Tx<'_>, input: &ModifyRuleInput) -> Result<ModifyRuleOutput, AwsError> {
    refuse_default(&tx.view(), &input.rule_arn)?;
    let mut changed = rule(&tx.view(), &input.rule_arn)?.clone();
    if !input.transforms.is_empty() {
        return Err(Error::Unsupported("transforms of listener rules".into()).into());
    }
    if !input.conditions.is_empty() {
        changed.conditions = conditions_of(&input.conditions)?;
    }
    if !input.actions.is_empty() {
        changed.action = action_of(&input.actions)?;
        let owner = listener(&tx.view(), &changed.listener)?;
        check_action(&tx.view(), &owner.balancer, owner.protocol, &changed.action)?;
    }
    let output = ModifyRuleOutput { rules: vec![shown(&changed)] };
    tx.put(changed);
    Ok(output)
}

/// `DeleteRule`
pub fn delete(tx: &mut Tx<'_>, input: &DeleteRuleInput) -> Result<DeleteRuleOutput, AwsError> {
    refuse_default(&tx.view(), &input.rule_arn)?;
    let arn = rule(&tx.view(), &input.rule_arn)?.arn.clone();
    tx.remove::<Rule>(&arn);
    Ok(DeleteRuleOutput {})
}

fn refuse_default(view: &View<'_>, arn: &str) -> Result<(), Error> {
    if default_rule(view, arn).is_some() {
        return Err(Error::OperationNotPermitted(format!("Default rule '{arn}' cannot be deleted or modified")));
    }
    Ok(())
}

fn default_rule<'a>(view: &View<'a>, arn: &str) -> Option<&'a Listener> {
    view.list::<Listener>().find(|listener| listener.default_rule() == arn)
}

/// `SetRulePriorities`: all or none; two rules may swap theirs.
pub fn set_priorities(tx: &mut Tx<'_>, input: &SetRulePrioritiesInput) -> Result<SetRulePrioritiesOutput, AwsError> {
    let mut changed = Vec::new();
    for pair in &input.rule_priorities {
        let arn = pair.rule_arn.as_deref().unwrap_or_default();
        refuse_default(&tx.view(), arn)?;
        let mut found = rule(&tx.view(), arn)?.clone();
        found.priority = priority_of(pair.priority.unwrap_or_default())?;
        changed.push(found);
    }
    for found in &changed {
        tx.put(found.clone());
    }
    for found in &changed {
        let mut seen = BTreeSet::new();
        let same_listener = tx.starting::<Rule>(Listener::keys_of_rules(&found.listener));
        if let Some(twice) = same_listener.map(|other| other.priority).find(|priority| !seen.insert(*priority)) {
            return Err(Error::PriorityInUse(twice).into());
        }
    }
    Ok(SetRulePrioritiesOutput { rules: changed.iter().map(shown).collect() })
}

/// `DescribeRules`: in the order of their priorities, the default rule last.
pub fn describe(view: &View<'_>, input: &DescribeRulesInput) -> Result<DescribeRulesOutput, AwsError> {
    let mut found: Vec<(String, WireRule)> = Vec::new();
    match (&input.listener_arn, input.rule_arns.is_empty()) {
        (None, true) => return Err(invalid("You must specify either listener rule ARNs or a listener ARN").into()),
        (Some(_), false) => return Err(invalid("You cannot specify both listener rule ARNs and a listener ARN").into()),
        (Some(arn), true) => {
            let owner = listener(view, arn)?;
            let own = view.starting::<Rule>(Listener::keys_of_rules(&owner.arn));
            found.extend(own.map(|rule| (format!("{:05}", rule.priority), shown(rule))));
            found.push(("default".into(), shown_default(owner)));
        }
        (None, false) => {
            for arn in &input.rule_arns {
                let wire = match default_rule(view, arn) {
                    Some(owner) => shown_default(owner),
                    None => shown(rule(view, arn)?),
                };
                found.push((arn.clone(), wire));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let (rules, next_marker) = page(found, input.marker.as_deref(), input.page_size)?;
    Ok(DescribeRulesOutput { rules, next_marker })
}

fn shown(rule: &Rule) -> WireRule {
    WireRule {
        rule_arn: Some(rule.arn.clone()),
        priority: Some(rule.priority.to_string()),
        conditions: rule.conditions.iter().map(Condition::wire).collect(),
        actions: vec![rule.action.wire()],
        is_default: Some(false),
        ..WireRule::default()
    }
}

fn shown_default(listener: &Listener) -> WireRule {
    WireRule {
        rule_arn: Some(listener.default_rule()),
        priority: Some("default".into()),
        actions: vec![listener.default_action.wire()],
        is_default: Some(true),
        ..WireRule::default()
    }
}
