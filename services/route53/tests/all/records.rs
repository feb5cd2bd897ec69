//! Record sets.

use crate::bench::Bench;
use crate::zones::public;
use zonal_dns::config::{Location, Origin, Point, Policy};
use zonal_route53::shapes::*;
use zonal_wire::AwsError;

pub fn set(name: &str, type_: RRType, values: &[&str]) -> ResourceRecordSet {
    let resource_records = values.iter().map(|value| ResourceRecord { value: (*value).into() }).collect();
    ResourceRecordSet { name: name.into(), type_, ttl: Some(300), resource_records, ..Default::default() }
}

fn alias(name: &str, zone: &str, target: &str) -> ResourceRecordSet {
    let alias_target =
        AliasTarget { hosted_zone_id: zone.into(), dns_name: target.into(), evaluate_target_health: false };
    ResourceRecordSet { name: name.into(), type_: RRType::A, alias_target: Some(alias_target), ..Default::default() }
}

fn weighted(name: &str, identifier: &str, weight: i64, value: &str) -> ResourceRecordSet {
    ResourceRecordSet {
        set_identifier: Some(identifier.into()),
        weight: Some(weight),
        ..set(name, RRType::A, &[value])
    }
}

pub fn batch(
    bench: &Bench,
    zone: &str,
    changes: Vec<(ChangeAction, ResourceRecordSet)>,
) -> Result<ChangeResourceRecordSetsResponse, AwsError> {
    let changes =
        changes.into_iter().map(|(action, resource_record_set)| Change { action, resource_record_set }).collect();
    let change_batch = ChangeBatch { comment: None, changes };
    bench.call::<ops::ChangeResourceRecordSets>(ChangeResourceRecordSetsRequest {
        hosted_zone_id: zone.into(),
        change_batch,
    })
}

pub fn list(bench: &Bench, zone: &str) -> ListResourceRecordSetsResponse {
    let input = ListResourceRecordSetsRequest { hosted_zone_id: zone.into(), ..Default::default() };
    bench.call::<ops::ListResourceRecordSets>(input).unwrap()
}

/// Checks that a batch is refused with this text.
fn refused(bench: &Bench, zone: &str, changes: Vec<(ChangeAction, ResourceRecordSet)>, text: &str) {
    let before = list(bench, zone);
    let error = batch(bench, zone, changes).unwrap_err();
    assert!(error.message.contains(text), "{error}");
    assert_eq!(list(bench, zone), before, "a batch is whole or not at all");
}

use ChangeAction::{Create, Delete, Upsert};

#[test]
fn records_are_served_as_they_were_changed_last() {
    let bench = Bench::new();
    let zone = public(&bench);
    batch(&bench, &zone, vec![(Create, set("www.example.com", RRType::A, &["192.0.2.1", "192.0.2.2"]))]).unwrap();
    batch(&bench, &zone, vec![(Upsert, set("WWW.example.com.", RRType::A, &["192.0.2.3"]))]).unwrap();
    let served = bench.served("public", "example.com.").unwrap();
    let www = served.records.iter().find(|set| set.name == "www.example.com.").unwrap();
    assert_eq!((www.type_.as_str(), www.ttl, www.values.as_slice()), ("A", 300, &["192.0.2.3".to_owned()][..]));
}

#[test]
fn what_cannot_be_is_refused_whole_in_the_services_words() {
    let bench = Bench::new();
    let zone = public(&bench);
    let www = || set("www.example.com", RRType::A, &["192.0.2.1"]);
    batch(&bench, &zone, vec![(Create, www())]).unwrap();
    let good = || (Create, set("good.example.com", RRType::A, &["192.0.2.9"]));
    for (change, text) in [
        (
            (Create, www()),
            "[Tried to create resource record set [name='www.example.com.', type='A'] but it already exists]",
        ),
        (
            (Delete, set("no.example.com", RRType::A, &["192.0.2.1"])),
            "[Tried to delete resource record set [name='no.example.com.', type='A'] but it was not found]",
        ),
        (
            (Delete, set("www.example.com", RRType::A, &["192.0.2.2"])),
            "but the values provided do not match the current values",
        ),
        (
            (Create, set("www.example.org", RRType::A, &["192.0.2.1"])),
            "[RRSet with DNS name www.example.org. is not permitted in zone example.com.]",
        ),
        (
            (Create, set("example.com", RRType::Cname, &["www.example.com"])),
            "[RRSet of type CNAME with DNS name example.com. is not permitted at apex in zone example.com.]",
        ),
        (
            (Create, set("www.example.com", RRType::Cname, &["example.org"])),
            "is not permitted as it conflicts with other records with the same DNS name in zone example.com.]",
        ),
        ((Create, set("bad.example.com", RRType::A, &["nowhere"])), "ARRDATAIllegalIPv4Address"),
        ((Create, set("t.example.com", RRType::Txt, &["unquoted"])), "should be enclosed in quotation marks"),
        (
            (Create, set("d.example.com", RRType::A, &["192.0.2.1", "192.0.2.1"])),
            "[Duplicate Resource Record: '192.0.2.1']",
        ),
        ((Create, weighted("www.example.com", "one", 1, "192.0.2.1")), "cannot be created as other RRSets exist"),
    ] {
        refused(&bench, &zone, vec![good(), change], text);
    }
}

#[test]
fn a_record_set_has_values_with_a_ttl_or_is_an_alias() {
    let bench = Bench::new();
    let zone = public(&bench);
    let www = set("www.example.com", RRType::A, &["192.0.2.1"]);
    for (set, text) in [
        (ResourceRecordSet { ttl: None, ..www.clone() }, "Missing field 'TTL'"),
        (ResourceRecordSet { ttl: None, resource_records: Vec::new(), ..www.clone() }, "but found none"),
        (ResourceRecordSet { set_identifier: Some("a".into()), ..www.clone() }, "but found none"),
        (ResourceRecordSet { weight: Some(1), ..www.clone() }, "Missing field 'SetIdentifier'"),
        (
            ResourceRecordSet { health_check_id: Some("h".into()), ..www.clone() },
            "health check with ID h does not exist",
        ),
    ] {
        refused(&bench, &zone, vec![(Create, set)], text);
    }
}

#[test]
fn the_apex_keeps_its_soa_and_name_servers() {
    let bench = Bench::new();
    let zone = public(&bench);
    for set in list(&bench, &zone).resource_record_sets {
        let text = if set.type_ == RRType::Soa { "exactly one SOA record" } else { "at least one NS record" };
        refused(&bench, &zone, vec![(Delete, set)], text);
    }
}

#[test]
fn a_set_can_be_deleted_and_created_in_one_batch_but_not_changed_twice() {
    let bench = Bench::new();
    let zone = public(&bench);
    let first = || set("www.example.com", RRType::A, &["192.0.2.1"]);
    let second = || set("www.example.com", RRType::A, &["192.0.2.2"]);
    batch(&bench, &zone, vec![(Create, first())]).unwrap();
    batch(&bench, &zone, vec![(Delete, first()), (Create, second())]).unwrap();
    // An A record and a CNAME can change places, whatever the order of the changes.
    let cname = set("www.example.com", RRType::Cname, &["example.org"]);
    batch(&bench, &zone, vec![(Create, cname), (Delete, second())]).unwrap();
    let twice = vec![
        (Upsert, set("x.example.com", RRType::A, &["192.0.2.1"])),
        (Upsert, set("x.example.com", RRType::A, &["192.0.2.2"])),
    ];
    refused(
        &bench,
        &zone,
        twice,
        "The request contains an invalid set of changes for a resource record set 'A x.example.com.'",
    );
}

#[test]
fn an_alias_leads_to_a_load_balancer_of_its_zones_region_or_to_a_name_beside_it() {
    let bench = Bench::new();
    let zone = public(&bench);
    let id = zone.rsplit('/').next().unwrap().to_owned();
    let balancer = "web-1.us-east-1.elb.amazonaws.com";
    batch(&bench, &zone, vec![(Create, alias("example.com", "Z35SXDOTRQ7X7K", balancer))]).unwrap();
    let served = bench.served("public", "example.com.").unwrap();
    let apex = served.records.iter().find(|set| set.type_ == "A").unwrap();
    assert_eq!(apex.alias.as_ref().unwrap().target_name, format!("{balancer}."));
    // The zone of another region's load balancers.
    refused(
        &bench,
        &zone,
        vec![(Create, alias("a.example.com", "Z3AADJGX6KTTL2", balancer))],
        "but the alias target name does not lie within the target zone",
    );
    refused(
        &bench,
        &zone,
        vec![(Create, alias("a.example.com", &id, "none.example.com"))],
        "but that target was not found",
    );
    batch(&bench, &zone, vec![(Create, alias("a.example.com", &id, "example.com"))]).unwrap();
}

#[test]
fn policies_reach_the_name_servers() {
    let bench = Bench::new();
    let zone = public(&bench);
    let one = weighted("www.example.com", "one", 1, "192.0.2.1");
    batch(&bench, &zone, vec![(Create, one), (Create, weighted("www.example.com", "two", 3, "192.0.2.2"))]).unwrap();
    let failover = |identifier: &str, failover, value: &str| ResourceRecordSet {
        set_identifier: Some(identifier.into()),
        failover: Some(failover),
        ..set("f.example.com", RRType::A, &[value])
    };
    let primary = failover("p", ResourceRecordSetFailover::Primary, "192.0.2.1");
    let secondary = failover("s", ResourceRecordSetFailover::Secondary, "192.0.2.2");
    batch(&bench, &zone, vec![(Create, primary.clone()), (Create, secondary)]).unwrap();
    let again = ResourceRecordSet { set_identifier: Some("p2".into()), ..primary };
    refused(&bench, &zone, vec![(Create, again)], "cannot be created as other RRSets exist");
    let served = bench.served("public", "example.com.").unwrap();
    let policies = |name: &str| {
        served.records.iter().filter(|set| set.name == name).map(|set| set.policy.clone()).collect::<Vec<_>>()
    };
    assert_eq!(policies("www.example.com."), [Policy::Weighted { weight: 1 }, Policy::Weighted { weight: 3 }]);
    assert_eq!(policies("f.example.com."), [Policy::FailoverPrimary, Policy::FailoverSecondary]);
}

#[test]
fn places_reach_the_name_servers_and_are_shown_as_they_were_given() {
    let bench = Bench::new();
    let zone = public(&bench);
    let routed = |name: &str, identifier: &str| ResourceRecordSet {
        set_identifier: Some(identifier.into()),
        ..set(&format!("{name}.example.com"), RRType::A, &["192.0.2.1"])
    };
    let latency = |region, id: &str| ResourceRecordSet { region: Some(region), ..routed("fast", id) };
    let geo = |continent: Option<&str>, country: Option<&str>, part: Option<&str>, id: &str| {
        let [continent_code, country_code, subdivision_code] =
            [continent, country, part].map(|code| code.map(Into::into));
        let geo_location = Some(GeoLocation { continent_code, country_code, subdivision_code });
        ResourceRecordSet { geo_location, ..routed("geo", id) }
    };
    let near = |latitude: &str, longitude: &str, bias, id: &str| {
        let coordinates = Some(Coordinates { latitude: latitude.into(), longitude: longitude.into() });
        let place = GeoProximityLocation { coordinates, bias, ..Default::default() };
        ResourceRecordSet { geo_proximity_location: Some(place), ..routed("near", id) }
    };
    let sets = [
        latency(ResourceRecordSetRegion::UsEast1, "a"),
        latency(ResourceRecordSetRegion::EuWest1, "b"),
        geo(Some("EU"), None, None, "eu"),
        geo(None, Some("*"), None, "all"),
        geo(None, Some("US"), Some("CA"), "ca"),
        near("49.22", "-74.01", Some(-50), "far"),
    ];
    batch(&bench, &zone, sets.iter().map(|set| (Create, set.clone())).collect()).unwrap();
    let listed = list(&bench, &zone).resource_record_sets;
    for mut set in sets {
        set.name.push('.');
        assert!(listed.contains(&set), "{set:?} in {listed:?}");
    }
    let served = bench.served("public", "example.com.").unwrap();
    let policies: Vec<_> = served.records.iter().map(|set| set.policy.clone()).collect();
    for policy in [
        Policy::Latency { region: "eu-west-1".into() },
        Policy::Geolocation { location: Location::Default },
        Policy::Geolocation { location: Location::Subdivision("US".into(), "CA".into()) },
        Policy::Geoproximity { origin: Origin::Point(Point { latitude: 4922, longitude: -7401 }), bias: -50 },
    ] {
        assert!(policies.contains(&policy), "{policy:?}");
    }
    for (set, text) in [
        (latency(ResourceRecordSetRegion::UsEast1, "c"), "cannot be created"),
        (geo(Some("EU"), None, None, "eu2"), "cannot be created"),
        (geo(Some("XX"), None, None, "xx"), "ContinentCode XX is not valid"),
        (geo(None, Some("DE"), Some("BY"), "by"), "SubdivisionCode BY is not valid"),
        (near("91", "0", None, "pole"), "are not valid"),
        (
            ResourceRecordSet { weight: Some(1), ..latency(ResourceRecordSetRegion::UsWest1, "d") },
            "found more than one",
        ),
    ] {
        refused(&bench, &zone, vec![(Create, set)], text);
    }
}

#[test]
fn a_batch_has_a_thousand_records_and_thirty_two_thousand_characters_at_most() {
    let bench = Bench::new();
    let zone = public(&bench);
    let sets = |count: usize, value: &str| -> Vec<_> {
        (0..count).map(|i| set(&format!("h{i}.example.com"), RRType::Txt, &[value])).collect()
    };
    let all = |action, sets: Vec<_>| sets.into_iter().map(|set| (action, set)).collect::<Vec<_>>();
    batch(&bench, &zone, all(Create, sets(1000, "\"t\""))).unwrap();
    refused(&bench, &zone, all(Upsert, sets(501, "\"t\"")), "Number of records limit of 1000 exceeded.");
    let long = format!("\"{}\"", "t".repeat(253));
    refused(&bench, &zone, all(Upsert, sets(63, &long)), "Number of characters limit of 32000 exceeded.");
    let many: Vec<String> = (0..401).map(|i| format!("192.0.{}.{}", i / 256, i % 256)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    refused(&bench, &zone, vec![(Create, set("m.example.com", RRType::A, &many))], "more than 400 resource records");
    let three = ["a.example.com", "b.example.com", "c.example.com"].map(|name| set(name, RRType::A, &many[..334]));
    refused(&bench, &zone, all(Create, three.to_vec()), "Number of records limit of 1000 exceeded.");
    let half = ["a.example.com", "b.example.com"].map(|name| set(name, RRType::A, &many[..251]));
    refused(&bench, &zone, all(Upsert, half.to_vec()), "Number of records limit of 1000 exceeded.");
    batch(&bench, &zone, all(Create, half.to_vec())).unwrap();
}

#[test]
fn every_region_that_can_be_named_is_served() {
    let bench = Bench::new();
    let zone = public(&bench);
    let of = |region: &ResourceRecordSetRegion| ResourceRecordSet {
        region: Some(*region),
        set_identifier: Some(region.to_string()),
        ..set("near.example.com", RRType::A, &["192.0.2.1"])
    };
    let changes = ResourceRecordSetRegion::ALL.iter().map(|region| (Create, of(region))).collect();
    batch(&bench, &zone, changes).unwrap();
    let served = bench.served("public", "example.com.").unwrap();
    let view = zonal_dns::config::View { name: "public".into(), zones: vec![served] };
    let config = zonal_dns::config::DnsConfig { revision: 1, views: vec![view], places: Vec::new() };
    zonal_dns::Snapshot::default().replaced_by(&config).expect("what is accepted can be served");
}

#[test]
fn what_holds_a_zone_together_is_neither_routed_nor_an_alias_nor_a_wildcard() {
    let bench = Bench::new();
    let zone = public(&bench);
    for (kind, value) in [
        (RRType::Ns, "ns.example.org"),
        (RRType::Soa, "ns.example.org. host.example.org. 1 2 3 4 5"),
        (RRType::Ds, "12345 3 1 123456789abcdef67890123456789abcdef67890"),
    ] {
        let name = if kind == RRType::Soa { "example.com" } else { "sub.example.com" };
        let routed =
            ResourceRecordSet { weight: Some(1), set_identifier: Some("one".into()), ..set(name, kind, &[value]) };
        refused(&bench, &zone, vec![(Create, routed)], "cannot have a routing policy");
    }
    for kind in [RRType::Ns, RRType::Soa] {
        let leads = ResourceRecordSet { type_: kind, ..alias("example.com", &zone, "example.com") };
        refused(&bench, &zone, vec![(Upsert, leads)], "cannot be aliases");
    }
    let wild = set("*.example.com", RRType::Ns, &["ns.example.org"]);
    let text = "[RRSet of type NS with DNS name \\052.example.com. is not permitted in zone example.com.]";
    refused(&bench, &zone, vec![(Create, wild)], text);
}

#[test]
fn weighted_record_sets_have_the_ttl_that_was_given_last() {
    let bench = Bench::new();
    let zone = public(&bench);
    let of =
        |identifier, ttl| ResourceRecordSet { ttl: Some(ttl), ..weighted("w.example.com", identifier, 1, "192.0.2.1") };
    batch(&bench, &zone, vec![(Create, of("one", 60)), (Create, of("two", 60))]).unwrap();
    batch(&bench, &zone, vec![(Create, set("x.w.example.com", RRType::A, &["192.0.2.1"]))]).unwrap();
    batch(&bench, &zone, vec![(Create, of("four", 60))]).unwrap();
    batch(&bench, &zone, vec![(Create, of("three", 30)), (Delete, of("four", 60))]).unwrap();
    let ttls = list(&bench, &zone).resource_record_sets.into_iter().filter(|set| set.name.contains('w'));
    assert_eq!(ttls.filter_map(|set| set.ttl).collect::<Vec<_>>(), [30, 30, 30, 300]);
    let served = bench.served("public", "example.com.").unwrap();
    let weighted = served.records.iter().filter(|set| set.name == "w.example.com.");
    assert!(weighted.map(|set| set.ttl).eq([30, 30, 30]));
}

#[test]
fn record_sets_are_listed_by_name_from_the_right_then_by_type_in_pages() {
    let bench = Bench::new();
    let zone = public(&bench);
    let names = ["www.example.com", "a.b.example.com", "*.example.com", "b.example.com"];
    let changes = names.iter().map(|name| (Create, set(name, RRType::A, &["192.0.2.1"]))).collect();
    batch(&bench, &zone, changes).unwrap();
    batch(&bench, &zone, vec![(Create, set("b.example.com", RRType::Txt, &["\"t\""]))]).unwrap();
    let place = |set: &ResourceRecordSet| (set.name.clone(), set.type_);
    let all: Vec<_> = list(&bench, &zone).resource_record_sets.iter().map(place).collect();
    let expected = [
        ("example.com.", RRType::Ns),
        ("example.com.", RRType::Soa),
        ("\\052.example.com.", RRType::A),
        ("b.example.com.", RRType::A),
        ("b.example.com.", RRType::Txt),
        ("a.b.example.com.", RRType::A),
        ("www.example.com.", RRType::A),
    ];
    assert_eq!(all, expected.map(|(name, kind)| (name.to_owned(), kind)));

    let mut seen = Vec::new();
    let mut input =
        ListResourceRecordSetsRequest { hosted_zone_id: zone, max_items: Some("2".into()), ..Default::default() };
    loop {
        let page = bench.call::<ops::ListResourceRecordSets>(input.clone()).unwrap();
        seen.extend(page.resource_record_sets.iter().map(place));
        if !page.is_truncated {
            break;
        }
        (input.start_record_name, input.start_record_type) = (page.next_record_name, page.next_record_type);
    }
    assert_eq!(seen, all);
}
