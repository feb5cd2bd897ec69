//! Any record sets, changed in any order: a zone that is changed name by name answers as one that is built whole, and the steps from
//! one version to another lead there.
#![no_main]

use std::collections::BTreeMap;

use domain::base::Rtype;
use domain::base::message_builder::MessageBuilder;
use zonal_dns::answer::{Query, Role, Transport, Upstream, answer};
use zonal_dns::config::{Change, DnsConfig, RecordSet, View, Zone};
use zonal_dns::{Snapshot, name, steps};

const TYPES: [&str; 17] = [
    "A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV", "SSHFP", "SVCB", "TLSA",
    "TXT",
];

fn zone(records: Vec<RecordSet>) -> Zone {
    Zone { name: "z".into(), overlay: false, records }
}

fn built(zone: &Zone) -> Snapshot {
    let views = vec![View { name: "public".into(), zones: vec![zone.clone()] }];
    let config = DnsConfig { revision: 1, views, ..DnsConfig::default() };
    Snapshot::default().replaced_by(&config).expect("each name was accepted by itself")
}

fn ask(snapshot: &Snapshot, owner: &str, rtype: Rtype) -> Vec<u8> {
    let Ok(owner) = name::parse(owner) else { return Vec::new() };
    let mut question = MessageBuilder::new_vec().question();
    question.push((owner, rtype)).expect("room");
    let role = Role::Authoritative { view: "public".into() };
    let message = question.finish();
    let query = Query { message: &message, transport: Transport::Tcp, client: None, draw: 0 };
    let mut out = Vec::new();
    answer(snapshot, &role, &query, Upstream::NotAsked, &mut out);
    out
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let rtype = [Rtype::A, Rtype::NS, Rtype::TXT, Rtype::DS, Rtype::MX, Rtype::CNAME][usize::from(*choice) % 6];
    let text = String::from_utf8_lossy(data);
    let first = zone(Vec::new());
    let mut changed = built(&first);
    // By the name's key, as spelling does not matter.
    let mut model: BTreeMap<Box<[u8]>, Vec<RecordSet>> = BTreeMap::new();
    let mut asked = vec!["z".to_owned(), "none.z".to_owned()];
    for line in text.lines().take(5) {
        // A type, the labels in front of the apex, values.
        let mut fields = line.split('|');
        let (Some(type_), Some(labels)) = (fields.next(), fields.next()) else { continue };
        let type_ = TYPES[type_.bytes().next().map_or(0, usize::from) % TYPES.len()];
        let owner = if labels.is_empty() { "z".to_owned() } else { format!("{labels}.z") };
        let values: Vec<String> = fields.map(str::to_owned).collect();
        let is_gone = values.is_empty();
        let set = RecordSet { name: owner.clone(), type_: type_.into(), ttl: 1, values, ..RecordSet::default() };
        let records = if is_gone { Vec::new() } else { vec![set] };
        let change = Change::PutName { view: "public".into(), zone: "z".into(), name: owner.clone(), records: records.clone() };
        let Ok(next) = changed.changed_by(changed.revision() + 1, &[change]) else { continue };
        changed = next;
        let key = name::key(&name::parse(&owner).expect("it was accepted"));
        match records.is_empty() {
            true => drop(model.remove(&key)),
            false => drop(model.insert(key, records)),
        }
        asked[1] = format!("x.{owner}");
        asked.push(owner);
    }
    let last = zone(model.into_values().flatten().collect());
    let whole = built(&last);
    let stepped = built(&first).changed_by(2, &steps("public", &first, &last).expect("names")).expect("steps");
    for owner in &asked {
        let expected = ask(&whole, owner, rtype);
        assert_eq!(ask(&changed, owner, rtype), expected, "{owner} {rtype}");
        assert_eq!(ask(&stepped, owner, rtype), expected, "{owner} {rtype} by steps");
    }
});
