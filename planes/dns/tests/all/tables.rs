//! Tables of zones, queries and expected answers, one file per subject in `tables/`.
//!
//! `zone VIEW APEX [overlay]` begins a zone; its lines are `NAME TTL TYPE VALUE [| VALUE]…` or `NAME alias TYPE TARGET` (`alias!`
//! evaluates its target's health), either with `; policy [unhealthy]` behind it. `place PREFIX CONTINENT [COUNTRY [PART]] LATITUDE
//! LONGITUDE` says where clients are. `> VIEW NAME TYPE [udp SIZE | from ADDRESS]` asks the view's name server, `> @VIEW NAME TYPE`
//! its resolver; the lines up to the next empty one are the answer.

use zonal_dns::Snapshot;
use zonal_dns::answer::{Role, Transport, Verdict};
use zonal_dns::config::{Alias, DnsConfig, Health, Location, Origin, Place, Point, Policy, RecordSet, View, Zone};

use crate::message::{ask_from, query, render};

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
fn health() {
    check("health", include_str!("tables/health.txt"));
}

#[test]
fn whereabouts() {
    check("whereabouts", include_str!("tables/whereabouts.txt"));
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
    let (places, zones): (Vec<&str>, Vec<&str>) = zones.lines().partition(|line| line.starts_with("place "));
    let places = places.into_iter().map(read_place).collect();
    let config = DnsConfig { revision: 1, views: read_views(&zones.join("\n")), places };
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
    let (view, name, rtype, payload, client) = match fields[..] {
        [view, name, rtype] => (view, name, rtype, Some(4096), None),
        [view, name, rtype, "from", address] => (view, name, rtype, Some(4096), Some(address.parse().unwrap())),
        [view, name, rtype, "udp", "plain"] => (view, name, rtype, None, None),
        [view, name, rtype, "udp", size] => (view, name, rtype, Some(size.parse().unwrap()), None),
        _ => panic!("what is asked by {question:?}?"),
    };
    let role = match view.strip_prefix('@') {
        Some(view) => match view.split_once('/') {
            Some((view, region)) => {
                Role::Resolver { view: view.to_owned(), forwards: false, region: Some(region.to_owned()) }
            }
            None => Role::Resolver { view: view.to_owned(), forwards: view.ends_with("+upstream"), region: None },
        },
        None => Role::Authoritative { view: view.to_owned() },
    };
    match ask_from(snapshot, &role, &query(name, rtype, payload), Transport::Udp, 0, client) {
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
    if ttl.starts_with("alias") {
        set.alias = Some(Alias { target_name: value.to_owned(), evaluate_target_health: ttl == "alias!" });
    } else {
        set.ttl = ttl.parse().unwrap();
        set.values = value.split(" | ").map(str::to_owned).collect();
    }
    let (policy, health) = policy.split_once(' ').unwrap_or((policy, "healthy"));
    set.health = if health == "unhealthy" { Health::Unhealthy } else { Health::Healthy };
    set.policy = match policy.split_once(':') {
        Some(("weighted", weight)) => Policy::Weighted { weight: weight.parse().unwrap() },
        Some(("latency", region)) => Policy::Latency { region: region.to_owned() },
        Some(("geo", location)) => Policy::Geolocation { location: read_location(location) },
        Some(("near", place)) => {
            let (origin, bias) = place.split_once(':').unwrap_or((place, "0"));
            let origin = match origin.split_once(',') {
                Some((north, east)) => Origin::Point(read_point(north, east)),
                None => Origin::Region(origin.to_owned()),
            };
            Policy::Geoproximity { origin, bias: bias.parse().unwrap() }
        }
        Some(("cidr", blocks)) => {
            Policy::Cidr { blocks: (blocks != "*").then(|| blocks.split(',').map(str::to_owned).collect()) }
        }
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

fn read_location(text: &str) -> Location {
    match text.split_once('-') {
        _ if text == "*" => Location::Default,
        Some(("continent", code)) => Location::Continent(code.to_owned()),
        Some((country, part)) => Location::Subdivision(country.to_owned(), part.to_owned()),
        None => Location::Country(text.to_owned()),
    }
}

fn read_point(north: &str, east: &str) -> Point {
    Point { latitude: north.parse().unwrap(), longitude: east.parse().unwrap() }
}

fn read_place(line: &str) -> Place {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, prefix, continent, parts @ .., north, east] = &fields[..] else { panic!("where is {line:?}?") };
    Place {
        prefix: (*prefix).to_owned(),
        continent: (*continent).to_owned(),
        country: parts.first().map(|part| (*part).to_owned()),
        subdivision: parts.get(1).map(|part| (*part).to_owned()),
        point: read_point(north, east),
    }
}
