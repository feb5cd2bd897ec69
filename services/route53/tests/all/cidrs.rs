//! CIDR collections, and record sets that are chosen by them.

use crate::bench::Bench;
use crate::records::{batch, list, set};
use crate::zones::public;
use zonal_dns::config::Policy;
use zonal_route53::shapes::*;
use zonal_wire::AwsError;

fn create(bench: &Bench, name: &str) -> Result<CidrCollection, AwsError> {
    let input = CreateCidrCollectionRequest { name: name.into(), caller_reference: name.into() };
    bench.call::<ops::CreateCidrCollection>(input).map(|made| made.collection.unwrap())
}

fn change(
    bench: &Bench,
    id: &str,
    version: i64,
    changes: &[(&str, CidrCollectionChangeAction, &[&str])],
) -> Result<(), AwsError> {
    let changes = changes.iter().map(|(location, action, blocks)| CidrCollectionChange {
        location_name: (*location).into(),
        action: *action,
        cidr_list: blocks.iter().map(|block| (*block).into()).collect(),
    });
    let input =
        ChangeCidrCollectionRequest { id: id.into(), collection_version: Some(version), changes: changes.collect() };
    bench.call::<ops::ChangeCidrCollection>(input).map(drop)
}

use CidrCollectionChangeAction::{DeleteIfExists, Put};

#[test]
fn the_blocks_of_a_location_reach_the_name_servers() {
    let bench = Bench::new();
    let zone = public(&bench);
    let id = create(&bench, "offices").unwrap().id.unwrap();
    change(&bench, &id, 1, &[("berlin", Put, &["192.0.2.0/24", "2001:db8::/32"])]).unwrap();
    let routed = |location: &str| ResourceRecordSet {
        set_identifier: Some(location.into()),
        cidr_routing_config: Some(CidrRoutingConfig { collection_id: id.clone(), location_name: location.into() }),
        ..set("www.example.com.", RRType::A, &["192.0.2.1"])
    };
    let sets = [routed("berlin"), routed("*")];
    batch(&bench, &zone, sets.iter().map(|set| (ChangeAction::Create, set.clone())).collect()).unwrap();
    let listed = list(&bench, &zone).resource_record_sets;
    assert!(sets.iter().all(|set| listed.contains(set)), "{listed:?}");
    let policies = || -> Vec<Policy> {
        let served = bench.served("public", "example.com.").unwrap();
        served.records.into_iter().filter(|set| set.name == "www.example.com.").map(|set| set.policy).collect()
    };
    let blocks = |blocks: &[&str]| Policy::Cidr { blocks: Some(blocks.iter().map(|block| (*block).into()).collect()) };
    assert_eq!(policies(), [Policy::Cidr { blocks: None }, blocks(&["192.0.2.0/24", "2001:db8::/32"])]);
    change(&bench, &id, 2, &[("berlin", DeleteIfExists, &["192.0.2.0/24", "2001:db8::/32"])]).unwrap();
    assert_eq!(policies(), [Policy::Cidr { blocks: None }, blocks(&[])], "a location without blocks is for nobody");
    let nowhere = batch(&bench, &zone, vec![(ChangeAction::Create, routed("paris"))]).unwrap_err();
    assert_eq!(nowhere.code, "NoSuchCidrLocationException");
    let delete = || bench.call::<ops::DeleteCidrCollection>(DeleteCidrCollectionRequest { id: id.clone() });
    assert_eq!(delete().unwrap_err().code, "CidrCollectionInUseException");
    batch(&bench, &zone, sets.iter().map(|set| (ChangeAction::Delete, set.clone())).collect()).unwrap();
    delete().unwrap();
    assert_eq!(delete().unwrap_err().code, "NoSuchCidrCollectionException");
}

#[test]
fn a_collection_changes_whole_or_not_at_all() {
    let bench = Bench::new();
    let id = create(&bench, "offices").unwrap().id.unwrap();
    assert_eq!(create(&bench, "offices").unwrap().id.as_ref(), Some(&id), "the same reference and name: a retry");
    for (name, reference) in [("offices", "other"), ("other", "offices")] {
        let input = CreateCidrCollectionRequest { name: name.into(), caller_reference: reference.into() };
        let error = bench.call::<ops::CreateCidrCollection>(input).unwrap_err();
        assert_eq!(error.code, "CidrCollectionAlreadyExistsException");
    }
    change(&bench, &id, 1, &[("a", Put, &["192.0.2.0/24"]), ("b", Put, &["198.51.100.0/24"])]).unwrap();
    for (changes, version, code) in [
        (&[("a", Put, &["203.0.113.0/24"][..]), ("b", Put, &["192.0.2.0/24"])][..], 2, "CidrBlockInUseException"),
        (&[("a", Put, &["203.0.113.0/24"])], 1, "CidrCollectionVersionMismatchException"),
        (&[("a", Put, &["203.0.113.0/25"])], 2, "InvalidInput"),
        (&[("a", Put, &["203.0.113.1/24"])], 2, "InvalidInput"),
        (&[("a", Put, &["2001:db8::/64"])], 2, "InvalidInput"),
        (&[("*", Put, &["203.0.113.0/24"])], 2, "InvalidInput"),
    ] {
        assert_eq!(change(&bench, &id, version, changes).unwrap_err().code, code, "{changes:?}");
    }
    let input =
        ListCidrBlocksRequest { collection_id: id.clone(), max_results: Some("1".into()), ..Default::default() };
    let first = bench.call::<ops::ListCidrBlocks>(input.clone()).unwrap();
    assert_eq!(first.cidr_blocks[0].cidr_block.as_deref(), Some("192.0.2.0/24"));
    let rest =
        bench.call::<ops::ListCidrBlocks>(ListCidrBlocksRequest { next_token: first.next_token, ..input }).unwrap();
    assert_eq!((rest.cidr_blocks[0].location_name.as_deref(), rest.next_token), (Some("b"), None));
    let input = ListCidrLocationsRequest { collection_id: id, ..Default::default() };
    assert_eq!(bench.call::<ops::ListCidrLocations>(input).unwrap().cidr_locations.len(), 2);
}
