//! Zones and queries, all of a seed: few labels, so that names meet.

use std::collections::{BTreeMap, BTreeSet};
use zonal_dns::Snapshot;
use zonal_dns::config::{DnsConfig, RecordSet, View, Zone as ZoneConfig};

/// A zone as both servers are told of it.
pub struct Zone {
    /// With the final dot.
    pub apex: String,
    pub records: Vec<RecordSet>,
}

/// SplitMix64.
pub struct Draws(u64);

impl Draws {
    pub fn new(seed: u64) -> Draws {
        Draws(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const LABELS: [&str; 9] = ["a", "b", "www", "mail", "_tcp", "x-1", "A", "deep", "q"];

/// Types of plain names.
const TYPES: [&str; 13] =
    ["A", "AAAA", "CAA", "HTTPS", "MX", "NAPTR", "PTR", "SPF", "SRV", "SSHFP", "SVCB", "TLSA", "TXT"];

/// A name of up to four labels below the apex.
fn name(draws: &mut Draws, apex: &str) -> String {
    let labels: String = (0..draws.below(5)).map(|_| format!("{}.", draws.of(&LABELS))).collect();
    format!("{labels}{apex}")
}

fn value(draws: &mut Draws, rtype: &str, apex: &str) -> String {
    let number = draws.below(250);
    let mut target = || match draws.below(4) {
        0 => format!("host-{number}.elsewhere.invalid."),
        _ => name(draws, apex),
    };
    match rtype {
        "A" => format!("127.0.0.{number}"),
        "AAAA" => format!("2001:db8::{number:x}"),
        "CAA" => format!("0 issue \"ca-{number}.invalid\""),
        "DS" => format!("{number} 13 2 {}", "ab".repeat(32)),
        "HTTPS" | "SVCB" => format!("{} {} alpn=h2 port={number}", number + 1, target()),
        "MX" => format!("{number} {}", target()),
        "NAPTR" => format!("{number} 1 \"s\" \"SIP+D2U\" \"\" {}", target()),
        "CNAME" | "NS" | "PTR" => target(),
        "SPF" => "\"v=spf1 -all\"".to_owned(),
        "SRV" => format!("1 2 {number} {}", target()),
        "SSHFP" => format!("4 2 {}", "cd".repeat(32)),
        "TLSA" => format!("3 1 1 {}", "ef".repeat(32)),
        _ => format!("\"text {number}\" \"{}\"", "t".repeat(number)),
    }
}

/// The zone of a seed.
pub fn zone(seed: u64) -> Zone {
    let draws = &mut Draws::new(seed);
    let apex = format!("z{seed}.test.");
    // By lowercase name and type, so that each set is there once.
    let mut sets: BTreeMap<(String, String), RecordSet> = BTreeMap::new();
    let mut put = |draws: &mut Draws, owner: &str, rtype: &str, count: usize| {
        let mut seen = BTreeSet::new();
        let values = (0..count).map(|_| value(draws, rtype, &apex)).filter(|value| seen.insert(value.to_lowercase()));
        let values = values.collect();
        let set = RecordSet {
            name: owner.to_owned(),
            type_: rtype.to_owned(),
            ttl: 60 + draws.below(10) as u32,
            values,
            ..RecordSet::default()
        };
        sets.insert((owner.to_lowercase(), rtype.to_owned()), set);
    };
    put(draws, &apex, "NS", 3);
    for _ in 0..40 {
        let owner = match draws.below(5) {
            0 => format!("*.{}", name(draws, &apex)),
            _ => name(draws, &apex),
        };
        let is_inner = owner != apex && !owner.starts_with('*');
        match draws.below(10) {
            0..2 if owner != apex => put(draws, &owner, "CNAME", 1),
            2 if is_inner => {
                put(draws, &owner, "NS", 2);
                if draws.chance(50) {
                    put(draws, &owner, "DS", 1);
                }
            }
            _ => {
                let (rtype, count) = (*draws.of(&TYPES), 1 + draws.below(3));
                put(draws, &owner, rtype, count);
            }
        }
    }
    // A CNAME is alone at its name, and DS is where NS is.
    let has = |sets: &BTreeMap<(String, String), RecordSet>, owner: &str, rtype: &str| {
        sets.contains_key(&(owner.to_owned(), rtype.to_owned()))
    };
    let all = sets.clone();
    sets.retain(|(owner, rtype), _| rtype == "CNAME" || !has(&all, owner, "CNAME"));
    let soa = format!("ns.{apex} host.{apex} 1 7200 900 1209600 {}", 30 + draws.below(60));
    let mut records: Vec<RecordSet> = sets.into_values().collect();
    records.push(RecordSet {
        name: apex.clone(),
        type_: "SOA".to_owned(),
        ttl: 60,
        values: vec![soa],
        ..RecordSet::default()
    });
    Zone { apex, records }
}

/// Names that exist, lie above, below and beside such, with any type.
pub fn queries(zone: &Zone, seed: u64, count: usize) -> Vec<(String, String)> {
    let draws = &mut Draws::new(seed + 1000);
    let mut queries = Vec::with_capacity(count);
    for _ in 0..count {
        let known = draws.of(&zone.records).name.clone();
        let name = match draws.below(8) {
            0 => name(draws, &zone.apex),
            1 => format!("{}.{known}", draws.of(&LABELS)),
            2 => format!("none.{known}"),
            3 => known.split_once('.').map_or(known.as_str(), |(_, parent)| parent).to_owned(),
            4 => known.replacen("*.", "any.", 1),
            5 => known.to_uppercase(),
            _ => known,
        };
        let types = [&TYPES[..], &["CNAME", "DS", "NS", "SOA"]].concat();
        let of_name: Vec<&RecordSet> = zone.records.iter().filter(|set| set.name == name).collect();
        let rtype = match of_name.first() {
            Some(_) if draws.chance(70) => draws.of(&of_name).type_.clone(),
            _ => (*draws.of(&types)).to_owned(),
        };
        queries.push((name, rtype));
    }
    queries
}

/// The zones as we serve them.
pub fn snapshot(zones: &[Zone]) -> Result<Snapshot, String> {
    let zones =
        zones.iter().map(|zone| ZoneConfig { name: zone.apex.clone(), overlay: false, records: zone.records.clone() });
    let view = View { name: "public".to_owned(), zones: zones.collect() };
    let config = DnsConfig { revision: 1, views: vec![view], ..DnsConfig::default() };
    Snapshot::default().replaced_by(&config).map_err(|error| error.to_string())
}
