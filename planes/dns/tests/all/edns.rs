//! EDNS (RFC 6891), and the client's subnet in it (RFC 7871).

use domain::base::Message;
use domain::base::message_builder::MessageBuilder;
use domain::base::opt::ClientSubnet;
use zonal_dns::Snapshot;
use zonal_dns::answer::{Role, Transport, Verdict};
use zonal_dns::config::{Location, Policy, RecordSet};
use zonal_dns::name;

use crate::message::{ask, authoritative, public_zone, render, set};

/// Asks for the A record of a name with an option 8 of these octets: the answer, and the option that came back.
fn asked(owner: &str, option: &[u8]) -> (String, Option<(u8, u8)>) {
    let located = |id: &str, location, value: &str| RecordSet {
        policy: Policy::Geolocation { location },
        set_identifier: Some(id.to_owned()),
        ..set("geo.example.com", "A", 60, &[value])
    };
    let records = vec![
        set("www.example.com", "A", 60, &["192.0.2.1"]),
        located("eu", Location::Continent("EU".to_owned()), "192.0.2.2"),
        located("all", Location::Default, "192.0.2.3"),
    ];
    let snapshot = Snapshot::default().replaced_by(&public_zone("example.com", records)).unwrap();
    let mut question = MessageBuilder::new_vec().question();
    question.push((name::parse(owner).unwrap(), domain::base::Rtype::A)).unwrap();
    let mut additional = question.additional();
    additional
        .opt(|opt| {
            opt.set_udp_payload_size(1232);
            opt.push_raw_option(8.into(), option.len() as u16, |target| {
                domain::dep::octseq::OctetsBuilder::append_slice(target, option)
            })
        })
        .unwrap();
    let (verdict, answer) = ask(&snapshot, &authoritative(), &additional.finish(), Transport::Udp, 0);
    assert!(matches!(verdict, Verdict::Answered { .. }));
    let message = Message::from_octets(&answer[..]).unwrap();
    let subnet = message.opt().and_then(|opt| opt.opt().client_subnet());
    let lengths = subnet.map(|subnet: ClientSubnet| (subnet.source_prefix_len(), subnet.scope_prefix_len()));
    (render(&answer), lengths)
}

#[test]
fn a_subnet_decides_where_a_client_is_and_comes_back_with_the_scope_of_the_answer() {
    let europe = [0, 1, 24, 0, 2, 16, 5];
    let (answer, lengths) = asked("geo.example.com", &europe);
    assert!(answer.ends_with("geo.example.com 60 A 192.0.2.2"), "{answer}");
    assert_eq!(lengths, Some((24, 24)), "this answer is for that subnet alone");
    let (answer, lengths) = asked("geo.example.com", &[0, 2, 16, 0, 0x2a, 0x00]);
    assert!(answer.ends_with("192.0.2.2"), "{answer}");
    assert_eq!(lengths, Some((16, 16)));
    let (_, lengths) = asked("www.example.com", &europe);
    assert_eq!(lengths, Some((24, 0)), "this one is for everybody");
    // A prefix of no bits: the client does not want to be placed.
    let (answer, lengths) = asked("geo.example.com", &[0, 1, 0, 0]);
    assert!(answer.ends_with("192.0.2.3"), "{answer}");
    assert_eq!(lengths, Some((0, 0)));
}

#[test]
fn what_a_validator_asks_for_comes_back_as_it_was_asked() {
    let snapshot = Snapshot::default().replaced_by(&public_zone("example.com", Vec::new())).unwrap();
    let resolver = Role::Resolver { view: "vpc-1".to_owned(), forwards: false, region: None };
    for (role, wanted) in
        [(authoritative(), true), (authoritative(), false), (resolver.clone(), true), (resolver, false)]
    {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_cd(wanted);
        let mut question = builder.question();
        question.push((name::parse("example.com").unwrap(), domain::base::Rtype::A)).unwrap();
        let mut additional = question.additional();
        let with_bit = |opt: &mut domain::base::message_builder::OptBuilder<'_, Vec<u8>>| {
            opt.set_dnssec_ok(wanted);
            Ok(())
        };
        additional.opt(with_bit).unwrap();
        let (_, answer) = ask(&snapshot, &role, &additional.finish(), Transport::Udp, 0);
        let message = Message::from_octets(&answer[..]).unwrap();
        let dnssec_ok = message.opt().map(|opt| opt.dnssec_ok());
        assert_eq!((message.header().cd(), dnssec_ok), (wanted, Some(wanted)), "{role:?}");
        assert!(!message.header().ad(), "nothing was validated");
    }
}

#[test]
fn a_subnet_that_breaks_the_form_is_a_format_error() {
    for option in [
        &[0, 1][..],                    // cut off
        &[0, 1, 24, 0, 2, 16],          // fewer octets than the prefix has
        &[0, 1, 24, 0, 2, 16, 5, 0],    // more
        &[0, 1, 20, 0, 2, 16, 0x5f],    // bits beyond the prefix
        &[0, 1, 33, 0, 2, 16, 5, 1, 0], // more bits than an address has
        &[0, 1, 24, 8, 2, 16, 5],       // a scope in a query
        &[0, 3, 24, 0, 2, 16, 5],       // no family
    ] {
        assert_eq!(asked("www.example.com", option), ("FORMERR".to_owned(), None), "{option:?}");
    }
}
