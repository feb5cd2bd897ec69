//! What a client asks and reads.

use zonal_dns::Snapshot;
use zonal_dns::answer::Transport;
use zonal_dns::ask::{query, read};
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
