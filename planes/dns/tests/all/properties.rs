//! What holds whatever comes.

use std::collections::BTreeSet;

use domain::base::Message;
use proptest::prelude::*;
use zonal_dns::Snapshot;
use zonal_dns::answer::{Role, Transport, Verdict};
use zonal_dns::config::{Change, DnsConfig, RecordSet, Zone};
use zonal_dns::name;

use crate::message::{ask, authoritative, public_zone, query, render, set};

fn labels() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "www", "\\052", "x1", "A"]).prop_map(str::to_owned)
}

/// A name of up to three labels below `example.com`.
fn owner() -> impl Strategy<Value = String> {
    prop::collection::vec(labels(), 0..4)
        .prop_map(|labels| format!("{}example.com", labels.iter().map(|l| format!("{l}.")).collect::<String>()))
}

fn record_set() -> impl Strategy<Value = RecordSet> {
    let value = prop_oneof![
        (1_u8..5).prop_map(|octet| ("A", format!("127.100.0.{octet}"))),
        owner().prop_map(|name| ("CNAME", name)),
        owner().prop_map(|name| ("NS", name)),
        owner().prop_map(|name| ("MX", format!("10 {name}"))),
        Just(("TXT", format!("\"{}\"", "t".repeat(200)))),
    ];
    (owner(), value, 0_u32..4).prop_map(|(name, (type_, value), ttl)| set(&name, type_, ttl, &[value.as_str()]))
}

/// Record sets without two of one name and type.
fn record_sets() -> impl Strategy<Value = Vec<RecordSet>> {
    prop::collection::vec(record_set(), 0..12).prop_map(|mut sets| {
        let mut seen = BTreeSet::new();
        sets.retain(|set| seen.insert((set.name.to_lowercase(), set.type_.clone())));
        sets
    })
}

fn snapshot(records: Vec<RecordSet>) -> Snapshot {
    Snapshot::default().replaced_by(&public_zone("example.com", records)).unwrap()
}

fn roles() -> [Role; 3] {
    let resolver = |forwards| Role::Resolver { view: "public".to_owned(), forwards, region: None };
    [authoritative(), resolver(false), resolver(true)]
}

/// Every answer to a set of questions, as text.
fn all_answers(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for first in ["", "a.", "b.", "www.", "\\052.", "q."] {
        for second in ["", "a.", "x1.", "q."] {
            for rtype in ["A", "NS", "MX"] {
                let message = query(&format!("{first}{second}example.com"), rtype, Some(4096));
                let (_, answer) = ask(snapshot, &authoritative(), &message, Transport::Udp, 0);
                text.push_str(&render(&answer));
                text.push('\n');
            }
        }
    }
    text
}

proptest! {
    #[test]
    fn a_name_that_can_be_read_can_be_written_and_read_again(text in "[a-zA-Z0-9*_-]{1,20}(\\.[a-z\\\\0-7]{1,9}){0,4}\\.?") {
        if let Ok(parsed) = name::parse(&text) {
            let key = name::key(&parsed);
            let written = name::format(&key);
            prop_assert_eq!(&name::key(&name::parse(&written).unwrap()), &key, "{} became {}", text, written);
        }
    }

    #[test]
    fn every_wire_name_can_be_written_and_read(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..6)) {
        let mut key: Vec<u8> = labels.iter().flat_map(|label| {
            std::iter::once(label.len() as u8).chain(label.to_ascii_lowercase())
        }).collect();
        key.push(0);
        prop_assert_eq!(&*name::key(&name::parse(&name::format(&key)).unwrap()), &key[..]);
    }

    #[test]
    fn no_text_makes_the_name_reader_panic(text in ".{0,300}") {
        if let Ok(parsed) = name::parse(&text) {
            prop_assert!(parsed.as_slice().len() <= 255);
        }
    }

    #[test]
    fn no_value_makes_a_configuration_panic(type_ in "A|AAAA|CAA|CNAME|MX|NS|PTR|SOA|SPF|SRV|TXT|X", text in ".{0,40}|[0-9 \"\\\\a.]{0,30}") {
        let config = public_zone("example.com", vec![set("example.com", &type_, 60, &[text.as_str()])]);
        let _ = Snapshot::default().replaced_by(&config);
    }

    #[test]
    fn no_message_makes_an_answer_panic_or_anything_but_an_answer(message in prop::collection::vec(any::<u8>(), 0..80), draw: u64) {
        let snapshot = snapshot(vec![set("\\052.example.com", "A", 60, &["127.100.0.1"])]);
        for role in roles() {
            let (verdict, answer) = ask(&snapshot, &role, &message, Transport::Udp, draw);
            match verdict {
                Verdict::Answered { .. } => {
                    prop_assert!(answer.len() <= 512);
                    prop_assert_eq!(&answer[..2], &message[..2]);
                    prop_assert!(answer[2] & 0x80 != 0);
                }
                _ => prop_assert!(answer.is_empty()),
            }
        }
    }

    #[test]
    fn a_query_with_octets_changed_gets_an_answer_that_can_be_read(
        name in owner(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), records in record_sets(),
    ) {
        let mut message = query(&name, "A", Some(1232));
        for (at, octet) in changes {
            let at = at.index(message.len());
            message[at] = octet;
        }
        let snapshot = snapshot(records);
        for role in roles() {
            let (_, answer) = ask(&snapshot, &role, &message, Transport::Udp, 0);
            if !answer.is_empty() {
                render(&answer);
            }
        }
    }

    #[test]
    fn an_answer_is_whole_or_says_that_it_is_not(records in record_sets(), name in owner(), rtype in "A|MX|NS|TXT|ANY", size in 0_u16..2000, draw: u64) {
        let snapshot = snapshot(records);
        for role in roles() {
            let message = query(&name, &rtype, Some(size));
            let (_, over_udp) = ask(&snapshot, &role, &message, Transport::Udp, draw);
            let (_, over_tcp) = ask(&snapshot, &role, &message, Transport::Tcp, draw);
            prop_assert!(over_udp.len() <= usize::from(size).max(512));
            if over_udp.is_empty() {
                prop_assert!(over_tcp.is_empty());
                continue;
            }
            let udp = Message::from_octets(&over_udp[..]).unwrap();
            let tcp = Message::from_octets(&over_tcp[..]).unwrap();
            prop_assert!(!tcp.header().tc());
            prop_assert_eq!(udp.header().rcode(), tcp.header().rcode());
            let (udp_count, tcp_count) = (udp.header_counts().ancount(), tcp.header_counts().ancount());
            prop_assert_eq!(udp_count, if udp.header().tc() { 0 } else { tcp_count });
        }
    }

    #[test]
    fn changes_one_by_one_come_to_the_same_as_the_whole(before in record_sets(), after in record_sets()) {
        let mut changed = snapshot(before.clone());
        let mut names = BTreeSet::new();
        for set in before.iter().chain(&after) {
            names.insert(set.name.to_lowercase());
        }
        for (revision, name) in names.iter().enumerate() {
            let records = after.iter().filter(|set| set.name.to_lowercase() == *name).cloned().collect();
            let change = Change::PutName { view: "public".into(), zone: "example.com".into(), name: name.clone(), records };
            changed = changed.changed_by(2 + revision as u64, &[change]).unwrap();
        }
        prop_assert_eq!(all_answers(&changed), all_answers(&snapshot(after)));
    }
}

#[test]
fn a_name_is_refused_for_what_is_wrong_with_it() {
    use name::NameError::{Character, EmptyLabel, Escape, LongLabel, LongName};
    let long_label = "a".repeat(64);
    let long_name = vec!["a".repeat(63); 4].join(".");
    for (text, expected) in [
        ("", EmptyLabel),
        ("a..b", EmptyLabel),
        (".a", EmptyLabel),
        ("..", EmptyLabel),
        ("a b", Character),
        ("m\u{fc}ller.de", Character),
        ("a\\", Escape),
        ("a\\4", Escape),
        ("a\\090", Escape),
        ("a\\400", Escape),
        (&long_label, LongLabel),
        (&long_name, LongName),
    ] {
        assert_eq!(name::parse(text), Err(expected), "{text}");
    }
    assert!(name::parse(&long_label[1..]).is_ok());
    assert!(name::parse(&long_name[2..]).is_ok());
}

#[test]
fn a_configuration_is_refused_whole_with_the_place_that_is_wrong() {
    let good = public_zone("example.com", vec![set("www.example.com", "A", 60, &["127.100.0.1"])]);
    let snapshot = Snapshot::default().replaced_by(&good).unwrap();
    let refused = |records: Vec<RecordSet>, expected: &str| {
        let error = snapshot.replaced_by(&public_zone("example.com", records)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    refused(
        vec![set("a.example.com", "A", 60, &["1.2.3"])],
        "reading a value of a.example.com A: \"1.2.3\": not an IPv4 address",
    );
    refused(
        vec![set("a.example.com", "TXT", 60, &["\"open"])],
        "reading a value of a.example.com TXT: \"\\\"open\": a quotation mark is missing",
    );
    refused(
        vec![set("a.example.org", "A", 60, &["1.2.3.4"])],
        "record set a.example.org does not belong in example.com",
    );
    refused(vec![set("a.example.com", "LOC", 60, &["x"])], "record type LOC of a.example.com is not served");
    refused(vec![set("a.example.com", "A", 60, &[])], "record set a.example.com A needs either values or an alias");
    refused(
        vec![set("a.example.com", "A", 60, &["1.2.3.4"]), set("A.example.com", "A", 60, &["1.2.3.5"])],
        "the record sets of a.example.com A have policies that do not go together",
    );
    assert_eq!(
        snapshot
            .replaced_by(&DnsConfig { revision: 0, views: Vec::new(), ..DnsConfig::default() })
            .unwrap_err()
            .to_string(),
        "revision 0 is older than 1, which is applied"
    );
}

#[test]
fn names_beyond_the_reach_of_pointers_are_spelled_out() {
    let hosts: Vec<String> = (0..600).map(|index| format!("{index:060}.example.com")).collect();
    let values: Vec<String> = hosts.iter().map(|host| format!("10 {host}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let mut records = vec![set("example.com", "MX", 60, &values), set("example.com", "NS", 60, &["ns.example.com"])];
    records.push(set(&hosts[599], "A", 60, &["127.100.0.1"]));
    let (_, answer) = ask(&snapshot(records), &authoritative(), &query("example.com", "MX", None), Transport::Tcp, 0);
    assert!(answer.len() > 0x8000, "{} octets", answer.len());
    let text = render(&answer);
    assert_eq!(text.lines().filter(|line| line.starts_with("example.com 60 MX 10 ")).count(), 600);
    assert!(text.ends_with(&format!("additional {} 60 A 127.100.0.1", hosts[599])), "{}", &text[text.len() - 200..]);
}

#[test]
fn names_are_compressed_where_that_is_allowed_and_nowhere_else() {
    let srv = set("example.com", "SRV", 60, &["1 2 3 host.example.com"]);
    let snapshot = snapshot(vec![srv, set("example.com", "MX", 60, &["1 host.example.com"])]);
    let spelled_out = |rtype| {
        let message = query("example.com", rtype, None);
        let (_, answer) = ask(&snapshot, &authoritative(), &message, Transport::Udp, 0);
        answer.windows(13).filter(|octets| octets == b"\x07example\x03com\0").count()
    };
    assert_eq!((spelled_out("MX"), spelled_out("SRV")), (1, 2));
}

#[test]
fn two_opt_records_are_a_format_error() {
    let mut message = query("example.com", "A", Some(1232));
    let snapshot = snapshot(Vec::new());
    let answer = |message: &[u8]| render(&ask(&snapshot, &authoritative(), message, Transport::Udp, 0).1);
    assert_eq!(answer(&message), "NOERROR aa");
    message.extend_from_within(message.len() - 11..);
    message[11] = 2;
    assert_eq!(answer(&message), "FORMERR");
}

#[test]
fn what_is_too_long_for_tcp_is_cut_there_too() {
    let values: Vec<String> = (0..300).map(|index| format!("\"{index:0250}\"")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let snapshot = snapshot(vec![set("example.com", "TXT", 60, &values)]);
    let (_, answer) = ask(&snapshot, &authoritative(), &query("example.com", "TXT", None), Transport::Tcp, 0);
    assert_eq!(render(&answer), "NOERROR aa tc");
}

#[test]
fn several_values_take_turns_in_front() {
    let values = ["127.100.0.1", "127.100.0.2", "127.100.0.3"];
    let snapshot = snapshot(vec![set("www.example.com", "A", 60, &values)]);
    let mut first = [0; 3];
    for draw in 0..300 {
        let addresses = snapshot.addresses("public", "www.example.com", draw);
        assert_eq!(addresses.len(), 3);
        first[values.iter().position(|value| *value == addresses[0].to_string()).unwrap()] += 1;
    }
    assert_eq!(first, [100; 3]);
}

#[test]
fn weights_share_draws() {
    use zonal_dns::config::Policy::Weighted;
    let weighted =
        |value: &str, weight| RecordSet { policy: Weighted { weight }, ..set("w.example.com", "A", 60, &[value]) };
    let snapshot = snapshot(vec![weighted("127.100.0.1", 3), weighted("127.100.0.2", 1), weighted("127.100.0.3", 0)]);
    let mut chosen = [0; 3];
    for draw in 0..400 {
        let octet = match snapshot.addresses("public", "w.example.com.", draw)[..] {
            [std::net::IpAddr::V4(address)] => address.octets()[3],
            ref other => panic!("{other:?}"),
        };
        chosen[usize::from(octet) - 1] += 1;
    }
    assert_eq!(chosen, [300, 100, 0]);
}

#[test]
fn a_change_costs_nothing_to_what_it_leaves_alone() {
    let zone =
        |name: &str| Zone { name: name.into(), overlay: false, records: vec![set(name, "A", 60, &["127.100.0.1"])] };
    let put = |name| Change::PutZone { view: "vpc-1".into(), zone: zone(name) };
    let snapshot = Snapshot::default().changed_by(1, &[put("a.test"), put("b.test")]).unwrap();
    let count = |snapshot: &Snapshot| snapshot.queries().map(|(_, _, count)| count).sum::<u64>();
    let ask_a = |snapshot: &Snapshot| {
        ask(snapshot, &Role::Authoritative { view: "vpc-1".into() }, &query("a.test", "A", None), Transport::Udp, 0);
    };
    ask_a(&snapshot);
    // The zone's counter lives on when its records are replaced, and dies with it.
    let snapshot = snapshot.changed_by(2, &[put("a.test")]).unwrap();
    ask_a(&snapshot);
    assert_eq!(count(&snapshot), 2);
    let remove = Change::RemoveZone { view: "vpc-1".into(), zone: "A.TEST.".into() };
    let snapshot = snapshot.changed_by(3, &[remove.clone(), remove]).unwrap();
    assert_eq!(snapshot.queries().collect::<Vec<_>>(), [("vpc-1", "b\u{2e}test.".to_owned(), 0)]);
    let error = snapshot.changed_by(
        4,
        &[Change::PutName { view: "vpc-1".into(), zone: "a.test".into(), name: "a.test".into(), records: vec![] }],
    );
    assert_eq!(error.unwrap_err().to_string(), "no zone a.test in view vpc-1");
}
