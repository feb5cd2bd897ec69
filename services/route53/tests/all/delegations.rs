//! Reusable delegation sets, and quotas.

use crate::bench::Bench;
use crate::zones::{create, public};
use zonal_route53::shapes::*;
use zonal_wire::AwsError;

fn set(bench: &Bench, reference: &str, of: Option<&str>) -> Result<DelegationSet, AwsError> {
    let input =
        CreateReusableDelegationSetRequest { caller_reference: reference.into(), hosted_zone_id: of.map(Into::into) };
    bench.call::<ops::CreateReusableDelegationSet>(input).map(|made| made.delegation_set)
}

fn zone_of(bench: &Bench, name: &str, set: &str) -> Result<CreateHostedZoneResponse, AwsError> {
    bench.call::<ops::CreateHostedZone>(CreateHostedZoneRequest {
        name: name.into(),
        caller_reference: name.into(),
        delegation_set_id: Some(set.into()),
        ..Default::default()
    })
}

#[test]
fn zones_of_one_delegation_set_have_its_name_servers_and_it_stays_as_long_as_they_do() {
    let bench = Bench::new();
    let made = set(&bench, "1", None).unwrap();
    let id = made.id.clone().unwrap();
    assert!(id.starts_with("/delegationset/N"), "{id}");
    let first = zone_of(&bench, "a.org", &id).unwrap();
    let second = zone_of(&bench, "b.org", id.trim_start_matches("/delegationset/")).unwrap();
    assert_eq!(first.delegation_set.name_servers, made.name_servers);
    assert_eq!(second.delegation_set.id, Some(id.clone()));
    let limit = GetReusableDelegationSetLimitRequest {
        type_: ReusableDelegationSetLimitType::MaxZonesByReusableDelegationSet,
        delegation_set_id: id.clone(),
    };
    assert_eq!(bench.call::<ops::GetReusableDelegationSetLimit>(limit).unwrap().count, 2);
    public(&bench);
    let of_set = |set: &str| {
        let input = ListHostedZonesRequest { delegation_set_id: Some(set.into()), ..Default::default() };
        bench.call::<ops::ListHostedZones>(input).map(|listed| listed.hosted_zones.len())
    };
    assert_eq!(of_set(&id), Ok(2), "not the third, which has servers of its own");
    assert_eq!(of_set("N1").unwrap_err().code, "NoSuchDelegationSet");
    let delete = DeleteReusableDelegationSetRequest { id: id.clone() };
    assert_eq!(bench.call::<ops::DeleteReusableDelegationSet>(delete.clone()).unwrap_err().code, "DelegationSetInUse");
    for zone in [first, second] {
        bench.call::<ops::DeleteHostedZone>(DeleteHostedZoneRequest { id: zone.hosted_zone.id }).unwrap();
    }
    bench.call::<ops::DeleteReusableDelegationSet>(delete).unwrap();
    let get = GetReusableDelegationSetRequest { id };
    assert_eq!(bench.call::<ops::GetReusableDelegationSet>(get).unwrap_err().code, "NoSuchDelegationSet");
    assert_eq!(zone_of(&bench, "c.org", "N1").unwrap_err().code, "NoSuchDelegationSet");
}

#[test]
fn zones_of_one_name_or_one_above_the_other_have_no_name_server_in_common() {
    let bench = Bench::new();
    let id = set(&bench, "1", None).unwrap().id.unwrap();
    let first = zone_of(&bench, "b.example.org", &id).unwrap().hosted_zone.id;
    for (reference, name) in [("same", "B.example.org."), ("above", "example.org"), ("below", "a.b.example.org")] {
        let again = bench.call::<ops::CreateHostedZone>(CreateHostedZoneRequest {
            name: name.into(),
            caller_reference: reference.into(),
            delegation_set_id: Some(id.clone()),
            ..Default::default()
        });
        let error = again.unwrap_err();
        assert_eq!((error.code.as_ref(), error.status), ("ConflictingDomainExists", 400), "{name}");
    }
    zone_of(&bench, "bb.example.org", &id).unwrap();
    bench.call::<ops::DeleteHostedZone>(DeleteHostedZoneRequest { id: first }).unwrap();
    zone_of(&bench, "a.b.example.org", &id).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for reference in 0..200 {
        let made = bench.call::<ops::CreateHostedZone>(CreateHostedZoneRequest {
            name: "example.net".into(),
            caller_reference: reference.to_string(),
            ..Default::default()
        });
        let servers = made.unwrap().delegation_set.name_servers;
        assert!(
            servers.into_iter().all(|server| seen.insert(server)),
            "of 512 in each range, 200 are had by one zone each"
        );
    }
}

#[test]
fn a_delegation_set_is_made_of_a_public_zones_servers_once() {
    let bench = Bench::new();
    let zone = public(&bench);
    let got = bench.call::<ops::GetHostedZone>(GetHostedZoneRequest { id: zone.clone() }).unwrap();
    let made = set(&bench, "1", Some(&zone)).unwrap();
    assert_eq!(made.name_servers, got.delegation_set.unwrap().name_servers);
    let got = bench.call::<ops::GetHostedZone>(GetHostedZoneRequest { id: zone.clone() }).unwrap();
    assert_eq!(got.delegation_set.unwrap().id, made.id, "the zone's own is what can be used again");
    let delete = DeleteReusableDelegationSetRequest { id: made.id.unwrap() };
    assert_eq!(bench.call::<ops::DeleteReusableDelegationSet>(delete).unwrap_err().code, "DelegationSetInUse");
    assert_eq!(set(&bench, "2", Some(&zone)).unwrap_err().code, "DelegationSetAlreadyReusable");
    assert_eq!(set(&bench, "1", None).unwrap_err().code, "DelegationSetAlreadyCreated");
    assert_eq!(set(&bench, "3", Some("Z1")).unwrap_err().code, "HostedZoneNotFound");
    let listed = bench.call::<ops::ListReusableDelegationSets>(Default::default()).unwrap();
    assert_eq!((listed.delegation_sets.len(), listed.is_truncated), (1, false));
}

#[test]
fn quotas_say_how_much_of_them_is_used() {
    let bench = Bench::new();
    let zone = public(&bench);
    let of = |type_| bench.call::<ops::GetAccountLimit>(GetAccountLimitRequest { type_ }).unwrap();
    let zones = of(AccountLimitType::MaxHostedZonesByOwner);
    assert_eq!((zones.limit.value, zones.count), (500, 1));
    let in_zone = |type_, id: &str| {
        bench.call::<ops::GetHostedZoneLimit>(GetHostedZoneLimitRequest { type_, hosted_zone_id: id.into() })
    };
    let records = in_zone(HostedZoneLimitType::MaxRrsetsByZone, &zone).unwrap();
    assert_eq!((records.limit.value, records.count), (10_000, 2));
    let error = in_zone(HostedZoneLimitType::MaxVpcsAssociatedByZone, &zone).unwrap_err();
    assert_eq!(error.code, "HostedZoneNotPrivate");
    let private = create(&bench, "p.org", Some("vpc-1")).map(|made| made.hosted_zone.id);
    if let Ok(private) = private {
        assert_eq!(in_zone(HostedZoneLimitType::MaxVpcsAssociatedByZone, &private).unwrap().count, 1);
    }
}
