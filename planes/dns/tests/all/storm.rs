//! The cores in storms of a seed: zones changed under questions, a cache filled, read and outlived, the clock jumping. After each
//! step the invariants hold, against models that are plain maps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::base::Rtype;
use zonal_dns::Snapshot;
use zonal_dns::answer::Transport;
use zonal_dns::cache::{Cache, Fetched, upstream_query};
use zonal_dns::config::{Change, Health, Policy, RecordSet, Zone};
use zonal_dns::name;

use crate::message::{ask, authoritative, public_zone, query, render, set};

/// SplitMix64.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What the model has of a name: the values of its A records, each with its health.
type Model = BTreeMap<String, Vec<(String, bool)>>;

fn sets(name: &str, values: &[(String, bool)]) -> Vec<RecordSet> {
    let one = |(value, healthy): &(String, bool)| RecordSet {
        policy: Policy::Multivalue,
        set_identifier: Some(value.clone()),
        health: if *healthy { Health::Healthy } else { Health::Unhealthy },
        ..set(name, "A", 60, &[value.as_str()])
    };
    values.iter().map(one).collect()
}

/// What may be answered: values of healthy sets, or of all where none is.
fn usable(values: &[(String, bool)]) -> Vec<&str> {
    let up: Vec<&str> = values.iter().filter(|(_, healthy)| *healthy).map(|(value, _)| value.as_str()).collect();
    if up.is_empty() { values.iter().map(|(value, _)| value.as_str()).collect() } else { up }
}

fn holds(snapshot: &Snapshot, model: &Model, name: &str, draw: u64) {
    let (_, answer) = ask(snapshot, &authoritative(), &query(name, "A", Some(4096)), Transport::Udp, draw);
    let text = render(&answer);
    let mut found: Vec<&str> = text.lines().skip(1).filter_map(|line| line.rsplit(' ').next()).collect();
    match model.get(name) {
        Some(values) => {
            let usable = usable(values);
            assert!(text.starts_with("NOERROR aa"), "{name}: {text}");
            assert_eq!(found.len(), usable.len().min(8), "{name}: {text}");
            found.sort_unstable();
            found.dedup();
            assert!(found.len() == usable.len().min(8) && found.iter().all(|value| usable.contains(value)), "{text}");
        }
        // An empty name above one with records exists, any other does not.
        None => {
            let is_above = model.keys().any(|other| other.ends_with(&format!(".{name}")));
            let expected = if is_above || name == "example.com" { "NOERROR aa" } else { "NXDOMAIN aa" };
            assert_eq!(text, expected, "{name}");
        }
    }
}

#[test]
fn a_zone_in_a_storm_of_changes_answers_as_it_was_changed_last() {
    for seed in 0..40 {
        let draws = &mut Draws(seed);
        let mut snapshot = Arc::new(Snapshot::default().replaced_by(&public_zone("example.com", Vec::new())).unwrap());
        let mut model = Model::new();
        let mut kept: Vec<(Arc<Snapshot>, Model)> = Vec::new();
        let name = |draws: &mut Draws| {
            let labels: String =
                (0..draws.below(4)).map(|_| format!("{}.", ["a", "b", "c"][draws.below(3) as usize])).collect();
            format!("{labels}example.com")
        };
        for _ in 0..300 {
            let owner = name(draws);
            let values: Vec<(String, bool)> =
                (0..draws.below(12)).map(|n| (format!("192.0.2.{n}"), draws.below(3) > 0)).collect();
            let put = |records| Change::PutName {
                view: "public".to_owned(),
                zone: "example.com".to_owned(),
                name: owner.clone(),
                records,
            };
            let revision = snapshot.revision();
            match draws.below(12) {
                // All or nothing: the second change is none.
                0 => {
                    let wrong = put(vec![set(&owner, "A", 60, &["nowhere"])]);
                    assert!(snapshot.changed_by(revision + 1, &[put(sets(&owner, &values)), wrong]).is_err());
                }
                1 => assert!(snapshot.changed_by(revision - 1, &[put(Vec::new())]).is_err(), "an older one is refused"),
                2 => kept.push((Arc::clone(&snapshot), model.clone())),
                3 => {
                    let records = model.iter().flat_map(|(name, values)| sets(name, values)).collect();
                    let zone = Zone { name: "example.com".to_owned(), overlay: false, records };
                    let change = Change::PutZone { view: "public".to_owned(), zone };
                    snapshot = Arc::new(snapshot.changed_by(revision + 1, &[change]).unwrap());
                }
                _ => {
                    let next = snapshot.changed_by(revision + 1, &[put(sets(&owner, &values))]).unwrap();
                    assert_eq!(next.revision(), revision + 1);
                    snapshot = Arc::new(next);
                    match values.is_empty() {
                        true => drop(model.remove(&owner)),
                        false => drop(model.insert(owner.clone(), values)),
                    }
                }
            }
            for asked in [owner, name(draws)] {
                holds(&snapshot, &model, &asked, draws.below(u64::MAX));
            }
        }
        // What was swapped away meanwhile answers as it did.
        for (snapshot, model) in kept {
            let asked = name(draws);
            holds(&snapshot, &model, &asked, 0);
        }
    }
}

/// What upstream says of one of a thousand names, with a TTL and a size.
fn fetched(name: &str, ttl: u32, values: u64) -> Fetched {
    let values: Vec<String> = (0..values).map(|n| format!("192.0.2.{n}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let zone = public_zone("example.com", vec![set(name, "A", ttl, &values)]);
    let snapshot = Snapshot::default().replaced_by(&zone).unwrap();
    let asked = name::parse(name).unwrap();
    let (_, answer) = ask(&snapshot, &authoritative(), &upstream_query(1, &asked, Rtype::A), Transport::Tcp, 0);
    Fetched::read(answer, 1, &asked, Rtype::A).unwrap()
}

#[test]
fn a_cache_in_a_storm_holds_what_may_be_held_and_no_more() {
    const ROOM: usize = 64 * 1024;
    for seed in 0..10 {
        let draws = &mut Draws(seed);
        let mut cache = Cache::new(ROOM);
        let mut now = Duration::from_secs(1);
        // Until when each name may be held at the latest.
        let mut model: BTreeMap<String, Duration> = BTreeMap::new();
        for _ in 0..3000 {
            let owner = format!("n{}.example.com", draws.below(1000));
            let wire = name::parse(&owner).unwrap();
            match draws.below(10) {
                // The clock stands still, goes, or leaps.
                0 => now += Duration::from_millis(draws.below(3000)),
                1 if draws.below(20) == 0 => now += Duration::from_secs(draws.below(100_000)),
                2..6 => {
                    let ttl = draws.below(120) as u32;
                    cache.put(now, &wire, Rtype::A, &fetched(&owner, ttl, 1 + draws.below(60)));
                    if ttl > 0 {
                        model.insert(owner, now + Duration::from_secs(ttl.into()));
                    }
                }
                _ => {
                    if cache.get(now, &wire, Rtype::A).is_some() {
                        assert!(model.get(&owner).is_some_and(|until| now < *until), "{owner} at {now:?}: {model:?}");
                    }
                    assert!(cache.get(now, &wire, Rtype::AAAA).is_none(), "another type was never fetched");
                }
            }
            assert!(cache.used() <= ROOM && cache.is_empty() == (cache.used() == 0), "{} octets", cache.used());
        }
        assert!(cache.len() > 10, "it holds something at all");
    }
}
