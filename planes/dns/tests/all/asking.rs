//! What a client asks and reads.

use zonal_dns::Snapshot;
use zonal_dns::answer::Transport;
use zonal_dns::ask::{asked, query, read};
use zonal_dns::config::{Location, Policy, RecordSet};

use crate::message::{ask, authoritative, public_zone, set};

#[test]
fn an_answer_is_read_in_presentation_form_and_a_subnet_decides_whose_it_is() {
    let located = |id: &str, location, value: &str| RecordSet {
        policy: Policy::Geolocation { location },
        set_identifier: Some(id.to_owned()),
        ..set("geo.example.com", "A", 60, &[value])
    };
    let records = vec![
        set("www.example.com", "CNAME", 60, &["mail.example.com"]),
        set("mail.example.com", "MX", 60, &["10 a.example.com"]),
        set("mail.example.com", "TXT", 60, &["\"a b\" \"c\""]),
        located("eu", Location::Continent("EU".to_owned()), "192.0.2.2"),
        located("all", Location::Default, "192.0.2.3"),
    ];
    let snapshot = Snapshot::default().replaced_by(&public_zone("example.com", records)).unwrap();
    let said = |name: &str, type_: &str, subnet| {
        let (_, answer) = ask(&snapshot, &authoritative(), &query(name, type_, subnet).unwrap(), Transport::Udp, 0);
        let said = read(&answer, type_).unwrap();
        (said.rcode, said.values)
    };
    let values = |values: &[&str]| ("NOERROR".to_owned(), values.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(said("mail.example.com", "MX", None), values(&["10 a.example.com."]));
    assert_eq!(said("mail.example.com", "TXT", None), values(&["\"a b\" \"c\""]));
    assert_eq!(said("www.example.com", "CNAME", None), values(&["mail.example.com."]));
    assert_eq!(said("www.example.com", "A", None), values(&["mail.example.com."]), "what leads on is all there is");
    assert_eq!(said("no.example.com", "A", None), ("NXDOMAIN".to_owned(), vec![]));
    let europe = ([2, 16, 5, 255].into(), 20);
    assert_eq!(said("geo.example.com", "A", Some(europe)), values(&["192.0.2.2"]));
    assert_eq!(said("geo.example.com", "A", None), values(&["192.0.2.3"]));
    assert!(query("a..b", "A", None).is_err() && read(b"no message", "A").is_none());
}

#[test]
fn values_are_read_as_record_sets_have_them() {
    let values = [
        ("A", "192.0.2.1"),
        ("AAAA", "2001:db8::1"),
        ("CAA", "0 issue \"ca.example.com; a=b\""),
        ("CNAME", "host.example.com."),
        ("DS", "12345 3 1 123456789abcdef67890123456789abcdef67890"),
        ("HTTPS", "1 . alpn=h2,h3 port=443"),
        ("MX", "10 mail.example.com."),
        ("NAPTR", "100 50 \"u\" \"E2U+sip\" \"!^.*$!sip:info@example.com!\" sip.example.com."),
        ("PTR", "host.example.com."),
        ("SOA", "ns.example.com. host.example.com. 1 7200 900 1209600 86400"),
        ("SPF", "\"v=spf1 -all\""),
        ("SRV", "1 2 3 host.example.com."),
        ("SSHFP", "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789a0"),
        ("SVCB", "0 host.example.com."),
        ("TLSA", "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"),
        ("TXT", r#""a\"b" "\\" "f\303\274r" """#),
    ];
    for (type_, value) in values {
        let zone = public_zone("example.net", vec![set("a.example.net", type_, 60, &[value])]);
        let snapshot = Snapshot::default().replaced_by(&zone).unwrap();
        let answer = asked(&snapshot, &query("a.example.net", type_, None).unwrap(), 0).unwrap();
        assert_eq!(read(&answer, type_).unwrap().values, [value], "{type_}");
    }
}

#[test]
fn what_is_too_much_for_a_datagram_is_asked_for_over_tcp() {
    let many: Vec<String> = (0..400).map(|at| format!("10.0.{}.{}", at / 250, at % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (count, protocol) in [(10, "UDP"), (400, "TCP")] {
        let zone = public_zone("example.net", vec![set("a.example.net", "A", 60, &many[..count])]);
        let snapshot = Snapshot::default().replaced_by(&zone).unwrap();
        let answer = asked(&snapshot, &query("a.example.net", "A", None).unwrap(), 0).unwrap();
        let said = read(&answer, "A").unwrap();
        assert_eq!((said.values.len(), said.protocol), (count, protocol));
    }
}
