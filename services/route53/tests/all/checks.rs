//! Health checks.

use crate::bench::Bench;
use crate::records::{batch, set};
use crate::zones::public;
use zonal_dns::config::{Check, Health, Tls};
use zonal_route53::shapes::*;
use zonal_wire::AwsError;

fn http(address: &str) -> HealthCheckConfig {
    HealthCheckConfig { type_: HealthCheckType::Http, ip_address: Some(address.into()), ..Default::default() }
}

fn create(bench: &Bench, reference: &str, config: HealthCheckConfig) -> Result<HealthCheck, AwsError> {
    let input = CreateHealthCheckRequest { caller_reference: reference.into(), health_check_config: config };
    bench.call::<ops::CreateHealthCheck>(input).map(|made| made.health_check)
}

/// What the name servers think of each set of a name, by its identifier.
fn health(bench: &Bench, name: &str) -> Vec<(String, Health)> {
    let served = bench.served("public", "example.com.").unwrap();
    let sets = served.records.into_iter().filter(|set| set.name == name);
    sets.map(|set| (set.set_identifier.unwrap_or_default(), set.health)).collect()
}

#[test]
fn an_endpoint_is_probed_as_its_health_check_says() {
    let bench = Bench::new();
    let made = create(&bench, "a", HealthCheckConfig { port: Some(8080), ..http("127.100.0.9") }).unwrap();
    let probe = bench.probe(&made.id).unwrap();
    assert_eq!((probe.host.as_str(), probe.port, probe.interval, probe.threshold), ("127.100.0.9", 8080, 30, 3));
    assert_eq!(probe.check, Check::Http { path: "/".into(), host: None, search: None, tls: None });
    let update = UpdateHealthCheckRequest {
        health_check_id: made.id.clone(),
        resource_path: Some("/health".into()),
        fully_qualified_domain_name: Some("www.example.com".into()),
        ..Default::default()
    };
    let changed = bench.call::<ops::UpdateHealthCheck>(update.clone()).unwrap().health_check;
    assert_eq!(changed.health_check_version, 2);
    let check = Check::Http { path: "/health".into(), host: Some("www.example.com".into()), search: None, tls: None };
    assert_eq!(bench.probe(&made.id).unwrap().check, check);
    let stale = UpdateHealthCheckRequest { health_check_version: Some(1), ..update };
    assert_eq!(bench.call::<ops::UpdateHealthCheck>(stale).unwrap_err().code, "HealthCheckVersionMismatch");
    let disable =
        UpdateHealthCheckRequest { health_check_id: made.id.clone(), disabled: Some(true), ..Default::default() };
    bench.call::<ops::UpdateHealthCheck>(disable).unwrap();
    assert_eq!(bench.probe(&made.id), None, "a disabled health check looks at nothing");
    bench.call::<ops::DeleteHealthCheck>(DeleteHealthCheckRequest { health_check_id: made.id.clone() }).unwrap();
    let gone = bench.call::<ops::GetHealthCheck>(GetHealthCheckRequest { health_check_id: made.id }).unwrap_err();
    assert_eq!((gone.code.as_ref(), gone.status), ("NoSuchHealthCheck", 404));
}

#[test]
fn an_address_can_be_changed_but_not_be_added() {
    let bench = Bench::new();
    let named = HealthCheckConfig {
        type_: HealthCheckType::Http,
        fully_qualified_domain_name: Some("www.example.com".into()),
        ..Default::default()
    };
    let (named, fixed) = (create(&bench, "a", named).unwrap(), create(&bench, "b", http("127.100.0.9")).unwrap());
    let moved = |id: &str| {
        let input = UpdateHealthCheckRequest {
            health_check_id: id.to_owned(),
            ip_address: Some("127.100.0.10".into()),
            ..Default::default()
        };
        bench.call::<ops::UpdateHealthCheck>(input)
    };
    assert_eq!(moved(&named.id).unwrap_err().code, "InvalidInput");
    moved(&fixed.id).unwrap();
    assert_eq!(bench.probe(&named.id).unwrap().host, "www.example.com");
    assert_eq!(bench.probe(&fixed.id).unwrap().host, "127.100.0.10");
}

#[test]
fn an_endpoint_is_asked_over_tls_at_its_own_port_and_told_its_name_unless_it_shall_not_be() {
    let bench = Bench::new();
    let https = || HealthCheckConfig {
        type_: HealthCheckType::Https,
        fully_qualified_domain_name: Some("www.example.com".into()),
        ..http("127.100.0.9")
    };
    let made = create(&bench, "a", https()).unwrap();
    assert_eq!((made.health_check_config.port, made.health_check_config.enable_sni), (Some(443), Some(true)));
    let check = |name: Option<&str>| Check::Http {
        path: "/".into(),
        host: Some("www.example.com".into()),
        search: None,
        tls: Some(Tls { server_name: name.map(str::to_owned) }),
    };
    assert_eq!(bench.probe(&made.id).unwrap().check, check(Some("www.example.com")));
    let silent =
        UpdateHealthCheckRequest { health_check_id: made.id.clone(), enable_sni: Some(false), ..Default::default() };
    bench.call::<ops::UpdateHealthCheck>(silent).unwrap();
    assert_eq!(bench.probe(&made.id).unwrap().check, check(None));
}

#[test]
fn a_health_check_is_refused_for_what_is_wrong_with_it() {
    let bench = Bench::new();
    for (config, text) in [
        (HealthCheckConfig { ip_address: None, ..http("") }, "Either IPAddress or FullyQualifiedDomainName"),
        (http("10.0.0.1"), "not a public IP address"),
        (http("127.0.0.1"), "not a public IP address"),
        (http("nowhere"), "not a public IP address"),
        (HealthCheckConfig { type_: HealthCheckType::Tcp, ..http("127.100.0.9") }, "Port must be specified"),
        (HealthCheckConfig { request_interval: Some(20), ..http("127.100.0.9") }, "either 10 or 30"),
        (HealthCheckConfig { type_: HealthCheckType::HttpStrMatch, ..http("127.100.0.9") }, "SearchString"),
        (HealthCheckConfig { type_: HealthCheckType::CloudwatchMetric, ..http("127.100.0.9") }, "AlarmIdentifier"),
        (
            HealthCheckConfig { type_: HealthCheckType::Calculated, health_threshold: Some(1), ..Default::default() },
            "ChildHealthChecks must be specified",
        ),
    ] {
        let error = create(&bench, "a", config).unwrap_err();
        assert!(error.code == "InvalidInput" && error.message.contains(text), "{error} has {text}");
    }
    for special in [
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "192.0.0.8",
        "198.18.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "fd00::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
    ] {
        let error = create(&bench, "special", http(special)).unwrap_err();
        assert!(error.message.contains("not a public IP address"), "{special}: {error}");
    }
    for public in ["198.51.100.7", "2600:1f18::7"] {
        create(&bench, public, http(public)).unwrap();
    }
    let first = create(&bench, "same", http("127.100.0.9")).unwrap();
    assert_eq!(create(&bench, "same", http("127.100.0.9")).unwrap(), first);
    let other = create(&bench, "same", http("127.100.0.8")).unwrap_err();
    assert_eq!((other.code.as_ref(), other.status), ("HealthCheckAlreadyExists", 409));
}

#[test]
fn what_an_endpoint_does_reaches_the_record_sets_that_name_its_health_check() {
    let bench = Bench::new();
    let zone = public(&bench);
    let endpoint = create(&bench, "a", http("127.100.0.9")).unwrap().id;
    let calculated = HealthCheckConfig {
        type_: HealthCheckType::Calculated,
        health_threshold: Some(1),
        child_health_checks: vec![endpoint.clone()],
        ..Default::default()
    };
    let sum = create(&bench, "b", calculated.clone()).unwrap().id;
    let inverse = create(&bench, "c", HealthCheckConfig { inverted: Some(true), ..calculated }).unwrap().id;
    let weighted = |identifier: &str, check: &str| ResourceRecordSet {
        set_identifier: Some(identifier.into()),
        weight: Some(1),
        health_check_id: Some(check.into()),
        ..set("www.example.com", RRType::A, &["192.0.2.1"])
    };
    let sets = vec![weighted("1", &endpoint), weighted("2", &sum), weighted("3", &inverse)];
    batch(&bench, &zone, sets.into_iter().map(|set| (ChangeAction::Create, set)).collect()).unwrap();
    let expected = |up: Health, inverse: Health| vec![("1".into(), up), ("2".into(), up), ("3".into(), inverse)];
    let www = "www.example.com.";
    assert_eq!(health(&bench, www), expected(Health::Healthy, Health::Unhealthy), "healthy until seen otherwise");
    bench.probed(&endpoint, None);
    assert_eq!(health(&bench, www), expected(Health::Healthy, Health::Unhealthy), "one failure is too few");
    bench.probed(&endpoint, Some(false));
    assert_eq!(health(&bench, www), expected(Health::Unhealthy, Health::Healthy));
    let input = GetHealthCheckStatusRequest { health_check_id: endpoint.clone() };
    let status = bench.call::<ops::GetHealthCheckStatus>(input).unwrap().health_check_observations;
    let report = status[0].status_report.clone().unwrap();
    assert_eq!(report.status.as_deref(), Some("Failure: Connection timed out"));
    bench.probed(&endpoint, None);
    assert_eq!(health(&bench, www), expected(Health::Unhealthy, Health::Healthy), "a new plane knows too little");
    bench.probed(&endpoint, Some(true));
    assert_eq!(health(&bench, www), expected(Health::Healthy, Health::Unhealthy));
}

fn sum_of(children: &[&str]) -> HealthCheckConfig {
    HealthCheckConfig {
        type_: HealthCheckType::Calculated,
        health_threshold: Some(1),
        child_health_checks: children.iter().map(|&child| child.into()).collect(),
        ..Default::default()
    }
}

#[test]
fn a_calculated_check_names_each_child_once_and_never_itself_at_any_distance() {
    let bench = Bench::new();
    let endpoint = create(&bench, "a", http("127.100.0.9")).unwrap().id;
    let error = create(&bench, "twice", sum_of(&[&endpoint, &endpoint])).unwrap_err();
    assert!(error.code == "InvalidInput" && error.message.contains("more than once"), "{error}");
    let low = create(&bench, "b", sum_of(&[&endpoint])).unwrap().id;
    let high = create(&bench, "c", sum_of(&[&low])).unwrap().id;
    for child in [&low, &high] {
        let update = UpdateHealthCheckRequest {
            health_check_id: low.clone(),
            child_health_checks: vec![child.clone()],
            ..Default::default()
        };
        let error = bench.call::<ops::UpdateHealthCheck>(update).unwrap_err();
        assert!(error.code == "InvalidInput" && error.message.contains("lead back"), "{error}");
    }
}

#[test]
fn checks_that_hang_on_each_other_many_times_over_are_each_judged_once() {
    let bench = Bench::new();
    let zone = public(&bench);
    let endpoint = create(&bench, "a", http("127.100.0.9")).unwrap().id;
    let mut layer = vec![endpoint.clone()];
    // Each of ten layers names all of the layer below: there are 8^10 ways down.
    for depth in 0..10 {
        let children: Vec<&str> = layer.iter().map(String::as_str).collect();
        let made = (0..8).map(|at| create(&bench, &format!("{depth} {at}"), sum_of(&children)).unwrap().id);
        layer = made.collect();
    }
    let top = ResourceRecordSet {
        set_identifier: Some("1".into()),
        weight: Some(1),
        health_check_id: Some(layer[0].clone()),
        ..set("www.example.com", RRType::A, &["192.0.2.1"])
    };
    batch(&bench, &zone, vec![(ChangeAction::Create, top)]).unwrap();
    assert_eq!(health(&bench, "www.example.com."), [("1".into(), Health::Healthy)]);
    bench.probed(&endpoint, Some(false));
    assert_eq!(health(&bench, "www.example.com."), [("1".into(), Health::Unhealthy)]);
}
