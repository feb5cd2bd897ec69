//! What is kept of upstream's answers, for how long, and in how much room.

use std::time::Duration;

use domain::base::Rtype;
use zonal_dns::Snapshot;
use zonal_dns::answer::{Query, Role, Transport, Upstream, answer};
use zonal_dns::cache::{Cache, Fetched, upstream_query};
use zonal_dns::name::{self, WireName};

use crate::message::{ask, authoritative, public_zone, render, set};

const NOW: Duration = Duration::from_secs(1000);

fn upstream() -> Snapshot {
    let soa = "ns-1.awsdns-01.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 40";
    let records = vec![
        set("example.com", "SOA", 900, &[soa]),
        set("www.example.com", "CNAME", 300, &["host.example.com"]),
        set("host.example.com", "A", 60, &["127.100.0.1"]),
        set("gone.example.com", "CNAME", 20, &["nothing.example.com"]),
        set("text.example.com", "TXT", 60, &["\"no address\""]),
        set("to-text.example.com", "CNAME", 300, &["text.example.com"]),
        set("zero.example.com", "A", 0, &["127.100.0.2"]),
        set("loop.example.com", "CNAME", 60, &["loop.example.com"]),
    ];
    Snapshot::default().replaced_by(&public_zone("example.com", records)).unwrap()
}

fn wire(text: &str) -> WireName {
    name::parse(text).unwrap()
}

/// What upstream answers to the query that is sent there.
fn fetch(name: &str) -> Fetched {
    let query = upstream_query(7, &wire(name), Rtype::A);
    let role = Role::Resolver { view: "public".to_owned(), forwards: false, region: None };
    let (_, message) = ask(&upstream(), &role, &query, Transport::Udp, 0);
    Fetched::read(message, 7, &wire(name), Rtype::A).expect("an answer to the question")
}

/// A resolver's answer from what the cache has some seconds later; nothing where it has nothing.
fn later(cache: &Cache, name: &str, seconds: u64) -> Option<String> {
    let fetched = cache.get(NOW + Duration::from_secs(seconds), &wire(name), Rtype::A)?;
    let role = Role::Resolver { view: "vpc-1".to_owned(), forwards: true, region: None };
    let message = upstream_query(9, &wire(name), Rtype::A);
    let query = Query { message: &message, transport: Transport::Udp, client: None, draw: 0 };
    let mut out = Vec::new();
    answer(&Snapshot::default(), &role, &query, Upstream::Answered(&fetched), &mut out);
    Some(render(&out))
}

fn cache_of(names: &[&str]) -> Cache {
    let mut cache = Cache::new(1 << 20);
    for name in names {
        cache.put(NOW, &wire(name), Rtype::A, &fetch(name));
    }
    cache
}

#[test]
fn ttls_count_down_and_the_shortest_ends_the_answer() {
    let cache = cache_of(&["www.example.com"]);
    let expected = |cname, a| {
        Some(format!("NOERROR ra\nwww.example.com {cname} CNAME host.example.com.\nhost.example.com {a} A 127.100.0.1"))
    };
    assert_eq!(later(&cache, "www.example.com", 0), expected(300, 60));
    assert_eq!(
        later(&cache, "WWW.example.com", 59).map(|text| text.to_lowercase()),
        expected(241, 1).map(|text| text.to_lowercase())
    );
    assert_eq!(later(&cache, "www.example.com", 60), None);
}

#[test]
fn a_negative_answer_is_kept_for_what_the_soa_allows() {
    let cache = cache_of(&["nothing.example.com"]);
    let answer = later(&cache, "nothing.example.com", 39).unwrap();
    assert!(answer.starts_with("NXDOMAIN ra\nauthority example.com 1 SOA"), "{answer}");
    assert_eq!(later(&cache, "nothing.example.com", 40), None);
}

#[test]
fn a_negative_answer_behind_a_cname_is_kept_for_the_less_of_both() {
    let cache = cache_of(&["gone.example.com", "to-text.example.com"]);
    let expected = "NXDOMAIN ra\ngone.example.com 1 CNAME nothing.example.com.\nauthority example.com 21 SOA";
    let answer = later(&cache, "gone.example.com", 19).unwrap();
    assert!(answer.starts_with(expected), "{answer}");
    assert_eq!(later(&cache, "gone.example.com", 20), None);
    let expected = "NOERROR ra\nto-text.example.com 261 CNAME text.example.com.\nauthority example.com 1 SOA";
    let answer = later(&cache, "to-text.example.com", 39).unwrap();
    assert!(answer.starts_with(expected), "{answer}");
    assert_eq!(later(&cache, "to-text.example.com", 40), None);
}

#[test]
fn no_negative_answer_is_kept_for_more_than_three_hours() {
    let soa = "ns-1.awsdns-01.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400";
    let zone = public_zone("example.net", vec![set("example.net", "SOA", 86_400, &[soa])]);
    let query = upstream_query(7, &wire("no.example.net"), Rtype::A);
    let snapshot = Snapshot::default().replaced_by(&zone).unwrap();
    let (_, message) = ask(&snapshot, &authoritative(), &query, Transport::Udp, 0);
    let fetched = Fetched::read(message, 7, &wire("no.example.net"), Rtype::A).unwrap();
    let mut cache = Cache::new(1 << 20);
    cache.put(NOW, &wire("no.example.net"), Rtype::A, &fetched);
    assert!(later(&cache, "no.example.net", 10_799).is_some());
    assert!(later(&cache, "no.example.net", 10_800).is_none());
}

#[test]
fn what_was_fetched_for_another_name_answers_nothing() {
    let fetched = fetch("host.example.com");
    let role = Role::Resolver { view: "vpc-1".to_owned(), forwards: true, region: None };
    let message = upstream_query(9, &wire("www.example.com"), Rtype::A);
    let query = Query { message: &message, transport: Transport::Udp, client: None, draw: 0 };
    let mut out = Vec::new();
    answer(&Snapshot::default(), &role, &query, Upstream::Answered(&fetched), &mut out);
    assert_eq!(render(&out), "SERVFAIL ra");
}

#[test]
fn what_may_not_be_kept_is_not() {
    assert!(cache_of(&["zero.example.com", "loop.example.com", "example.org"]).is_empty());
}

#[test]
fn an_answer_to_another_question_or_id_is_none() {
    let query = upstream_query(7, &wire("host.example.com"), Rtype::A);
    let role = Role::Resolver { view: "public".to_owned(), forwards: false, region: None };
    let (_, message) = ask(&upstream(), &role, &query, Transport::Udp, 0);
    let read = |id, name, rtype| Fetched::read(message.clone(), id, &wire(name), rtype).is_some();
    assert!(read(7, "HOST.example.com", Rtype::A));
    assert!(!read(8, "host.example.com", Rtype::A));
    assert!(!read(7, "www.example.com", Rtype::A));
    assert!(!read(7, "host.example.com", Rtype::AAAA));
    assert!(Fetched::read(query, 7, &wire("host.example.com"), Rtype::A).is_none(), "a query is no answer");
}

#[test]
fn room_is_bounded_and_what_ends_first_goes_first() {
    let (short, long) = (fetch("nothing.example.com"), fetch("host.example.com"));
    let mut cache = Cache::new(2000);
    cache.put(NOW, &wire("nothing.example.com"), Rtype::A, &short);
    for index in 0..50 {
        cache.put(NOW + Duration::from_millis(index), &wire(&format!("n{index}.example.com")), Rtype::A, &long);
        assert!(cache.len() <= 7, "{} entries", cache.len());
    }
    assert!(cache.len() >= 5, "{} entries", cache.len());
    assert!(cache.get(NOW, &wire("nothing.example.com"), Rtype::A).is_none());
    assert!(cache.get(NOW, &wire("n49.example.com"), Rtype::A).is_some());
    assert!(cache.get(NOW, &wire("n0.example.com"), Rtype::A).is_none());
}

#[test]
fn an_answer_put_again_takes_the_place_of_the_one_before() {
    let mut cache = cache_of(&["host.example.com"]);
    cache.put(NOW + Duration::from_secs(30), &wire("host.example.com"), Rtype::A, &fetch("host.example.com"));
    assert_eq!(cache.len(), 1);
    assert!(later(&cache, "host.example.com", 89).is_some());
    assert!(later(&cache, "host.example.com", 90).is_none());
}
