//! Tables of zones, queries and expected answers, one file per subject in `tables/`.
//!
//! `zone VIEW APEX [overlay]` begins a zone; its lines are `NAME TTL TYPE VALUE [| VALUE]…` or `NAME alias TYPE TARGET`, either
//! with `; policy [unhealthy]` behind it. `> VIEW NAME TYPE [udp SIZE]` asks the view's name server, `> @VIEW NAME TYPE` its resolver;
//! the lines up to the next empty one are the answer.

use zonal_dns::Snapshot;
use zonal_dns::answer::{Role, Transport, Verdict};
use zonal_dns::config::{Alias, DnsConfig, Health, Policy, RecordSet, View, Zone};

use crate::message::{ask, query, render};

#[test]
fn lookup() {
    check("lookup", include_str!("tables/lookup.txt"));
}

#[test]
fn wildcards() {
    check("wildcards", include_str!("tables/wildcards.txt"));
}

#[test]
fn chains() {
    check("chains", include_str!("tables/chains.txt"));
}

#[test]
fn aliases() {
    check("aliases", include_str!("tables/aliases.txt"));
}

#[test]
fn policies() {
    check("policies", include_str!("tables/policies.txt"));
}

#[test]
fn delegations() {
    check("delegations", include_str!("tables/delegations.txt"));
}

#[test]
fn types() {
    check("types", include_str!("tables/types.txt"));
}

#[test]
fn views() {
    check("views", include_str!("tables/views.txt"));
}

#[test]
fn sizes() {
    check("sizes", include_str!("tables/sizes.txt"));
}

fn check(name: &str, table: &str) {
    let (zones, questions) = table.split_once("\n> ").expect("a table has questions");
    let config = DnsConfig { revision: 1, views: read_views(zones) };
    let snapshot = Snapshot::default().replaced_by(&config).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut wrong = String::new();
    for block in questions.split("\n> ") {
        let (question, rest) = block.split_once('\n').unwrap_or((block, ""));
        let lines = rest.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with('#'));
        let expected = lines.collect::<Vec<_>>().join("\n");
        let actual = answer(&snapshot, question);
        if actual != expected {
            wrong.push_str(&format!("\n> {question}\n{actual}\n  where expected was\n{expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "{name}: {wrong}");
}

fn answer(snapshot: &Snapshot, question: &str) -> String {
    let fields: Vec<&str> = question.split_whitespace().collect();
    let (view, name, rtype, payload) = match fields[..] {
        [view, name, rtype] => (view, name, rtype, Some(4096)),
        [view, name, rtype, "udp", "plain"] => (view, name, rtype, None),
        [view, name, rtype, "udp", size] => (view, name, rtype, Some(size.parse().unwrap())),
        _ => panic!("what is asked by {question:?}?"),
    };
    let role = match view.strip_prefix('@') {
        Some(view) => Role::Resolver { view: view.to_owned(), forwards: view.ends_with("+upstream") },
        None => Role::Authoritative { view: view.to_owned() },
    };
    match ask(snapshot, &role, &query(name, rtype, payload), Transport::Udp, 0) {
        (Verdict::Answered { .. }, answer) => render(&answer),
        (Verdict::Fetch { name, rtype }, _) => format!("fetch {name} {rtype}"),
        (Verdict::Drop, _) => "nothing".to_owned(),
    }
}

fn read_views(text: &str) -> Vec<View> {
    let mut views: Vec<View> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let ["zone", view, apex, overlay @ ..] = &fields[..] {
            let zone = Zone { name: (*apex).to_owned(), overlay: *overlay == ["overlay"], records: Vec::new() };
            match views.iter_mut().find(|known| known.name == *view) {
                Some(known) => known.zones.push(zone),
                None => views.push(View { name: (*view).to_owned(), zones: vec![zone] }),
            }
            // The record sets below belong to the view that was last added to.
            let at = views.iter().position(|known| known.name == *view).unwrap();
            let view = views.remove(at);
            views.push(view);
        } else {
            let zone = views.last_mut().and_then(|view| view.zones.last_mut()).expect("records belong to a zone");
            zone.records.push(read_set(line));
        }
    }
    views
}

fn read_set(line: &str) -> RecordSet {
    let (content, policy) = line.split_once(" ; ").unwrap_or((line, "simple"));
    let mut fields = content.splitn(4, ' ');
    let [name, ttl, type_, value] = std::array::from_fn(|_| fields.next().expect("a record set has four fields"));
    let mut set = RecordSet { name: name.to_owned(), type_: type_.to_owned(), ..RecordSet::default() };
    if ttl == "alias" {
        set.alias = Some(Alias { target_name: value.to_owned() });
    } else {
        set.ttl = ttl.parse().unwrap();
        set.values = value.split(" | ").map(str::to_owned).collect();
    }
    let (policy, health) = policy.split_once(' ').unwrap_or((policy, "healthy"));
    set.health = if health == "unhealthy" { Health::Unhealthy } else { Health::Healthy };
    set.policy = match policy.split_once(':') {
        Some(("weighted", weight)) => Policy::Weighted { weight: weight.parse().unwrap() },
        _ => match policy {
            "simple" => Policy::Simple,
            "multivalue" => Policy::Multivalue,
            "primary" => Policy::FailoverPrimary,
            "secondary" => Policy::FailoverSecondary,
            other => panic!("policy {other:?}?"),
        },
    };
    set
}
