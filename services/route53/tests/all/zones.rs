//! Hosted zones.

use crate::bench::Bench;
use crate::records::{batch, list, set};
use std::time::Duration;
use zonal_route53::shapes::*;
use zonal_wire::AwsError;

pub fn create(bench: &Bench, name: &str, vpc: Option<&str>) -> Result<CreateHostedZoneResponse, AwsError> {
    let vpc = vpc.map(|id| VPC { vpc_region: Some(VPCRegion::UsEast1), vpc_id: Some(id.into()) });
    let caller_reference = format!("{name} {vpc:?}");
    bench.call::<ops::CreateHostedZone>(CreateHostedZoneRequest {
        name: name.into(),
        vpc,
        caller_reference,
        ..Default::default()
    })
}

pub fn public(bench: &Bench) -> String {
    create(bench, "Example.com", None).unwrap().hosted_zone.id
}

#[test]
fn a_zone_begins_with_its_name_servers_and_its_soa() {
    let bench = Bench::new();
    let made = create(&bench, "Example.com", None).unwrap();
    assert!(made.hosted_zone.id.starts_with("/hostedzone/Z"), "{}", made.hosted_zone.id);
    assert_eq!((made.hosted_zone.name.as_str(), made.hosted_zone.resource_record_set_count), ("example.com.", Some(2)));
    let servers = made.delegation_set.name_servers;
    let ends: Vec<bool> =
        servers.iter().zip(["com", "net", "org", "co.uk"]).map(|(server, end)| server.ends_with(end)).collect();
    assert_eq!(ends, [true; 4]);
    let sets = list(&bench, &made.hosted_zone.id).resource_record_sets;
    assert_eq!(
        sets.iter().map(|set| (set.type_, set.ttl)).collect::<Vec<_>>(),
        [(RRType::Ns, Some(172_800)), (RRType::Soa, Some(900))]
    );
    assert!(made.location.ends_with(made.hosted_zone.id.trim_start_matches('/')));
    assert_eq!(bench.served("public", "example.com.").unwrap().records.len(), 2);
}

#[test]
fn a_caller_reference_makes_one_zone() {
    let bench = Bench::new();
    public(&bench);
    let error = create(&bench, "Example.com", None).unwrap_err();
    assert_eq!((&*error.code, error.status), ("HostedZoneAlreadyExists", 409));
}

#[test]
fn a_zone_with_records_of_the_users_cannot_be_deleted() {
    let bench = Bench::new();
    let id = public(&bench);
    batch(&bench, &id, vec![(ChangeAction::Create, set("www.example.com", RRType::A, &["192.0.2.1"]))]).unwrap();
    let delete = DeleteHostedZoneRequest { id: id.clone() };
    assert_eq!(bench.call::<ops::DeleteHostedZone>(delete.clone()).unwrap_err().code, "HostedZoneNotEmpty");
    batch(&bench, &id, vec![(ChangeAction::Delete, set("www.example.com", RRType::A, &["192.0.2.1"]))]).unwrap();
    bench.call::<ops::DeleteHostedZone>(delete.clone()).unwrap();
    assert!(bench.served("public", "example.com.").is_none());
    let error = bench.call::<ops::DeleteHostedZone>(delete).unwrap_err();
    assert_eq!((&*error.code, error.status), ("NoSuchHostedZone", 404));
}

#[test]
fn a_private_zone_is_seen_by_its_vpcs_only() {
    let bench = Bench::new();
    let made = create(&bench, "corp.internal", Some("vpc-1")).unwrap();
    let id = made.hosted_zone.id;
    assert!(bench.served("public", "corp.internal.").is_none());
    assert!(bench.served("vpc-1", "corp.internal.").is_some());
    let vpc = |id: &str| VPC { vpc_region: Some(VPCRegion::UsEast1), vpc_id: Some(id.into()) };
    let associate = |id: &str, of: &str| AssociateVPCWithHostedZoneRequest {
        hosted_zone_id: id.into(),
        vpc: vpc(of),
        comment: None,
    };
    bench.call::<ops::AssociateVPCWithHostedZone>(associate(&id, "vpc-2")).unwrap();
    assert!(bench.served("vpc-2", "corp.internal.").is_some());
    let again = bench.call::<ops::AssociateVPCWithHostedZone>(associate(&id, "vpc-2")).unwrap_err();
    assert_eq!(again.code, "ConflictingDomainExists", "also of the zone that it sees");
    let leave =
        |of: &str| DisassociateVPCFromHostedZoneRequest { hosted_zone_id: id.clone(), vpc: vpc(of), comment: None };
    bench.call::<ops::DisassociateVPCFromHostedZone>(leave("vpc-1")).unwrap();
    assert!(bench.served("vpc-1", "corp.internal.").is_none());
    assert_eq!(
        bench.call::<ops::DisassociateVPCFromHostedZone>(leave("vpc-1")).unwrap_err().code,
        "VPCAssociationNotFound"
    );
    assert_eq!(
        bench.call::<ops::DisassociateVPCFromHostedZone>(leave("vpc-2")).unwrap_err().code,
        "LastVPCAssociation"
    );

    assert_eq!(create(&bench, "x.internal", Some("vpc-9")).unwrap_err().code, "InvalidVPCId");
    let second = bench.call::<ops::CreateHostedZone>(CreateHostedZoneRequest {
        name: "corp.internal".into(),
        vpc: Some(vpc("vpc-2")),
        caller_reference: "again".into(),
        ..Default::default()
    });
    assert_eq!(second.unwrap_err().code, "ConflictingDomainExists");
    let zone = public(&bench);
    assert_eq!(
        bench.call::<ops::AssociateVPCWithHostedZone>(associate(&zone, "vpc-1")).unwrap_err().code,
        "PublicZoneVPCAssociation"
    );
}

#[test]
fn of_two_public_zones_with_one_name_the_older_is_served_and_the_other_follows() {
    let bench = Bench::new();
    let zone = |reference: &str| CreateHostedZoneRequest {
        name: "a.org".into(),
        caller_reference: reference.into(),
        ..Default::default()
    };
    let ids: Vec<String> =
        ["1", "2"].map(|reference| bench.call::<ops::CreateHostedZone>(zone(reference)).unwrap().hosted_zone.id).into();
    batch(&bench, &ids[0], vec![(ChangeAction::Create, set("a.org", RRType::A, &["192.0.2.1"]))]).unwrap();
    batch(&bench, &ids[1], vec![(ChangeAction::Create, set("a.org", RRType::A, &["192.0.2.2"]))]).unwrap();
    let address =
        || bench.served("public", "a.org.").unwrap().records.into_iter().find(|set| set.type_ == "A").unwrap().values;
    assert_eq!(address(), ["192.0.2.1"]);
    batch(&bench, &ids[0], vec![(ChangeAction::Delete, set("a.org", RRType::A, &["192.0.2.1"]))]).unwrap();
    bench.call::<ops::DeleteHostedZone>(DeleteHostedZoneRequest { id: ids[0].clone() }).unwrap();
    assert_eq!(address(), ["192.0.2.2"]);
}

#[test]
fn zones_are_listed_by_name_from_the_right_in_pages() {
    let bench = Bench::new();
    for name in ["b.org", "a.net", "a.org"] {
        create(&bench, name, None).unwrap();
    }
    let mut input = ListHostedZonesByNameRequest { max_items: Some("2".into()), ..Default::default() };
    let first = bench.call::<ops::ListHostedZonesByName>(input.clone()).unwrap();
    assert_eq!(first.hosted_zones.iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>(), ["a.net.", "a.org."]);
    assert!(first.is_truncated);
    (input.dns_name, input.hosted_zone_id) = (first.next_dns_name, first.next_hosted_zone_id);
    let second = bench.call::<ops::ListHostedZonesByName>(input).unwrap();
    assert_eq!(
        (second.hosted_zones.len(), second.is_truncated, second.hosted_zones[0].name.as_str()),
        (1, false, "b.org.")
    );

    let mut seen = Vec::new();
    let mut input = ListHostedZonesRequest { max_items: Some("1".into()), ..Default::default() };
    loop {
        let page = bench.call::<ops::ListHostedZones>(input.clone()).unwrap();
        seen.extend(page.hosted_zones.into_iter().map(|zone| zone.id));
        input.marker = page.next_marker;
        if !page.is_truncated {
            break;
        }
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_zone_can_be_tagged() {
    let bench = Bench::new();
    let id = public(&bench);
    let resource_id = id.rsplit('/').next().unwrap().to_owned();
    let tag = Tag { key: Some("k".into()), value: Some("v".into()) };
    let input = ChangeTagsForResourceRequest {
        resource_type: TagResourceType::Hostedzone,
        resource_id: resource_id.clone(),
        add_tags: vec![tag.clone()],
        ..Default::default()
    };
    bench.call::<ops::ChangeTagsForResource>(input).unwrap();
    let input = ListTagsForResourceRequest { resource_type: TagResourceType::Hostedzone, resource_id };
    assert_eq!(bench.call::<ops::ListTagsForResource>(input).unwrap().resource_tag_set.tags, [tag]);
}

#[test]
fn a_change_can_be_asked_for_a_day_and_is_forgotten_then_whether_or_not_its_zone_still_is() {
    let bench = Bench::new();
    let kept = create(&bench, "kept.org", None).unwrap();
    let gone = create(&bench, "gone.org", None).unwrap();
    let delete = DeleteHostedZoneRequest { id: gone.hosted_zone.id };
    let deleted = bench.call::<ops::DeleteHostedZone>(delete).unwrap().change_info;
    let ask = |id: &str| bench.call::<ops::GetChange>(GetChangeRequest { id: id.into() });
    bench.pass(Duration::from_secs(23 * 3600));
    let changes = [kept.change_info.id, gone.change_info.id, deleted.id];
    for id in &changes {
        assert_eq!(ask(id).unwrap().change_info.status, ChangeStatus::Insync);
    }
    bench.pass(Duration::from_secs(3600));
    for id in &changes {
        assert_eq!(ask(id).unwrap_err().code, "NoSuchChange");
    }
}
