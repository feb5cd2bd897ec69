//! What name servers are told of changes, and when they are said to answer by them.

use crate::bench::Bench;
use crate::records::{batch, set};
use crate::zones::{create, public};
use zonal_route53::shapes::*;

/// What `GetChange` says now.
fn status(bench: &Bench, id: &str) -> ChangeStatus {
    bench.only::<ops::GetChange>(GetChangeRequest { id: id.to_owned() }).unwrap().change_info.status
}

/// Changes a zone, with the controllers yet to run.
fn upsert(bench: &Bench, zone: &str, name: &str, value: &str) -> String {
    let change = Change { action: ChangeAction::Upsert, resource_record_set: set(name, RRType::A, &[value]) };
    let change_batch = ChangeBatch { comment: None, changes: vec![change] };
    let input = ChangeResourceRecordSetsRequest { hosted_zone_id: zone.to_owned(), change_batch };
    bench.only::<ops::ChangeResourceRecordSets>(input).unwrap().change_info.id
}

#[test]
fn a_change_is_pending_until_the_name_servers_say_that_they_answer_by_it() {
    let bench = Bench::new();
    let input = CreateHostedZoneRequest { name: "a.org".into(), caller_reference: "1".into(), ..Default::default() };
    let made = bench.only::<ops::CreateHostedZone>(input).unwrap();
    assert_eq!(made.change_info.status, ChangeStatus::Pending);
    assert_eq!(status(&bench, &made.change_info.id), ChangeStatus::Pending);
    bench.settle_unheard();
    assert!(bench.served("public", "a.org.").is_some());
    assert_eq!(status(&bench, &made.change_info.id), ChangeStatus::Pending, "they were told, and have not answered");
    bench.settle();
    assert_eq!(status(&bench, &made.change_info.id), ChangeStatus::Insync);
    let error = bench.only::<ops::GetChange>(GetChangeRequest { id: "C1".into() }).unwrap_err();
    assert_eq!((&*error.code, error.status), ("NoSuchChange", 404));
}

#[test]
fn an_answer_to_what_was_asked_before_a_change_is_none_to_the_change() {
    let bench = Bench::new();
    let zone = public(&bench);
    let first = upsert(&bench, &zone, "a.example.com", "192.0.2.1");
    bench.settle_unheard();
    let second = upsert(&bench, &zone, "a.example.com", "192.0.2.2");
    bench.hear();
    assert_eq!([&first, &second].map(|id| status(&bench, id)), [ChangeStatus::Insync, ChangeStatus::Pending]);
    bench.settle();
    assert_eq!(status(&bench, &second), ChangeStatus::Insync);
}

#[test]
fn a_change_to_what_is_there_already_comes_in_sync_too() {
    let bench = Bench::new();
    let zone = public(&bench);
    for _ in 0..2 {
        let id = upsert(&bench, &zone, "a.example.com", "192.0.2.1");
        bench.settle();
        assert_eq!(status(&bench, &id), ChangeStatus::Insync);
    }
}

#[test]
fn a_change_of_a_private_zone_waits_for_each_of_its_vpcs_and_those_that_are_gone_before_they_were_told() {
    let bench = Bench::new();
    let zone = create(&bench, "corp.internal", Some("vpc-1")).unwrap().hosted_zone.id;
    let vpc = || VPC { vpc_region: Some(VPCRegion::UsEast1), vpc_id: Some("vpc-2".into()) };
    let input = AssociateVPCWithHostedZoneRequest { hosted_zone_id: zone.clone(), vpc: vpc(), comment: None };
    let came = bench.only::<ops::AssociateVPCWithHostedZone>(input).unwrap().change_info.id;
    let input = DisassociateVPCFromHostedZoneRequest { hosted_zone_id: zone.clone(), vpc: vpc(), comment: None };
    let went = bench.only::<ops::DisassociateVPCFromHostedZone>(input).unwrap().change_info.id;
    bench.settle();
    assert_eq!([&came, &went].map(|id| status(&bench, id)), [ChangeStatus::Insync; 2]);
    let deleted = bench.only::<ops::DeleteHostedZone>(DeleteHostedZoneRequest { id: zone }).unwrap().change_info.id;
    bench.settle_unheard();
    assert_eq!(status(&bench, &deleted), ChangeStatus::Pending);
    bench.settle();
    assert_eq!(status(&bench, &deleted), ChangeStatus::Insync);
    assert!(bench.served("vpc-1", "corp.internal.").is_none());
}

#[test]
fn what_is_pending_when_the_daemon_dies_is_told_again_and_comes_in_sync() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite");
    let bench = Bench::stored(&path);
    let zone = public(&bench);
    let unasked = upsert(&bench, &zone, "a.example.com", "192.0.2.1");
    let unheard = upsert(&bench, &zone, "b.example.com", "192.0.2.2");
    bench.settle_unheard();
    drop(bench);
    let bench = Bench::stored(&path);
    assert_eq!([&unasked, &unheard].map(|id| status(&bench, id)), [ChangeStatus::Pending; 2]);
    bench.settle();
    assert_eq!([&unasked, &unheard].map(|id| status(&bench, id)), [ChangeStatus::Insync; 2]);
    assert_eq!(bench.served("public", "example.com.").unwrap().records.len(), 4);
}

#[test]
fn of_a_large_zone_the_name_servers_are_told_only_the_names_that_changed() {
    let bench = Bench::new();
    let zone = public(&bench);
    let names: Vec<String> = (0..500).map(|number| format!("h{number}.example.com")).collect();
    let create = |name: &String| (ChangeAction::Create, set(name, RRType::A, &["192.0.2.1"]));
    batch(&bench, &zone, names.iter().map(create).collect()).unwrap();
    assert_eq!(bench.told().iter().map(Vec::len).collect::<Vec<_>>(), [500], "one batch is told at once");
    let change = (ChangeAction::Upsert, set("h7.example.com", RRType::A, &["192.0.2.7"]));
    batch(&bench, &zone, vec![change]).unwrap();
    assert_eq!(bench.told(), [["h7.example.com."]]);
    let change = (ChangeAction::Delete, set("h8.example.com", RRType::A, &["192.0.2.1"]));
    batch(&bench, &zone, vec![change]).unwrap();
    assert_eq!(bench.told(), [["h8.example.com."]]);
    assert_eq!(bench.served("public", "example.com.").unwrap().records.len(), 501);
}
