//! Any message: a name server and a resolver answer it, or drop it, and what they answer is an answer to it. Any answer from upstream
//! is taken in, or not, and what is made of it can be read.
#![no_main]

use std::net::IpAddr;
use std::sync::OnceLock;

use domain::base::Message;
use domain::base::name::Name;
use domain::base::Rtype;
use zonal_dns::Snapshot;
use zonal_dns::answer::{Query, Role, Transport, Upstream, Verdict, answer};
use zonal_dns::cache::Fetched;
use zonal_dns::config::{Alias, DnsConfig, Health, Location, Policy, RecordSet, View, Zone};

fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(|| {
        let set = |name: &str, type_: &str, values: &[&str]| RecordSet {
            name: name.into(),
            type_: type_.into(),
            ttl: 60,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ..RecordSet::default()
        };
        let alias = |name: &str, target: &str| RecordSet {
            alias: Some(Alias { target_name: target.into(), evaluate_target_health: true }),
            ..set(name, "A", &[])
        };
        let geo = |id: &str, location| RecordSet {
            policy: Policy::Geolocation { location },
            set_identifier: Some(id.into()),
            ..set("g.a", "A", &["192.0.2.1"])
        };
        let records = vec![
            set("a", "SOA", &["ns.a. host.a. 1 2 3 4 5"]),
            set("a", "NS", &["ns.a", "ns.b"]),
            set("ns.a", "A", &["192.0.2.1", "192.0.2.2"]),
            set("*.a", "TXT", &["\"t\""]),
            set("w.w.a", "CNAME", &["c.a"]),
            set("c.a", "CNAME", &["W.w.a"]),
            set("d.a", "NS", &["ns.d.a"]),
            set("d.a", "DS", &["1 2 3 ab"]),
            set("ns.d.a", "AAAA", &["2001:db8::1"]),
            set("m.a", "MX", &["1 ns.a", "2 x.b"]),
            set("o.a", "CNAME", &["x.b"]),
            alias("l.a", "ns.a"),
            alias("k.a", "k.a"),
            geo("1", Location::Default),
            geo("2", Location::Continent("EU".into())),
            RecordSet { health: Health::Unhealthy, ..set("big.a", "TXT", &[format!("\"{}\"", "t".repeat(250)).as_str(); 30]) },
        ];
        let zone = Zone { name: "a".into(), overlay: false, records };
        let config = DnsConfig {
            revision: 1,
            views: vec![View { name: "public".into(), zones: vec![zone] }],
            ..DnsConfig::default()
        };
        Snapshot::default().replaced_by(&config).expect("a configuration")
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&choice, message)) = data.split_first() else { return };
    let resolver = Role::Resolver { view: "public".into(), forwards: choice & 1 != 0, region: None };
    let role = if choice & 2 != 0 { resolver } else { Role::Authoritative { view: "public".into() } };
    let transport = if choice & 4 != 0 { Transport::Tcp } else { Transport::Udp };
    let client = Some(IpAddr::from([2, choice, 0, 1]));
    let query = Query { message, transport, client, draw: u64::from(choice) };
    let name: Name<Vec<u8>> = Name::from_octets(b"\x01x\x01b\0".to_vec()).expect("a name");
    let fetched = Fetched::read(message.to_vec(), u16::from_be_bytes([0, choice]), &name, Rtype::A);
    let upstream = fetched.as_ref().map_or(Upstream::NotAsked, Upstream::Answered);
    let mut out = Vec::new();
    match answer(snapshot(), &role, &query, upstream, &mut out) {
        Verdict::Answered { truncated, .. } => {
            let answer = Message::from_octets(&out[..]).expect("an answer is a message");
            assert!(answer.header().qr() && out[..2] == message[..2] && answer.header().tc() == truncated);
            assert!(out.len() <= if transport == Transport::Udp { 4096 } else { 65_535 });
            for section in [answer.answer(), answer.authority(), answer.additional()] {
                section.expect("a section").for_each(|record| drop(record.expect("a record")));
            }
            // What is answered is no query: were it sent back, nothing would be said.
            let again = Query { message: &out.clone(), ..query };
            assert_eq!(answer_of(&again, &role), Verdict::Drop);
        }
        Verdict::Drop => assert!(message.len() < 12 || message[2] & 0x80 != 0),
        Verdict::Fetch { .. } => assert!(matches!(role, Role::Resolver { forwards: true, .. })),
    }
});

fn answer_of(query: &Query<'_>, role: &Role) -> Verdict {
    answer(snapshot(), role, query, Upstream::NotAsked, &mut Vec::new())
}
