//! Queries as bytes, answers as text.

use std::net::IpAddr;

use domain::base::iana::Rcode;
use domain::base::message_builder::MessageBuilder;
use domain::base::name::ParsedName;
use domain::base::{Message, RecordSection, Rtype};
use domain::rdata::AllRecordData;
use zonal_dns::Snapshot;
use zonal_dns::answer::{Query, Role, Transport, Upstream, Verdict, answer};
use zonal_dns::config::{DnsConfig, RecordSet, View, Zone};
use zonal_dns::name;

/// A query with an EDNS payload size, if any.
pub fn query(name: &str, rtype: &str, payload: Option<u16>) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(4711);
    builder.header_mut().set_rd(true);
    let mut question = builder.question();
    let rtype: Rtype = rtype.parse().unwrap();
    question.push((name::parse(name).unwrap(), rtype)).unwrap();
    let mut additional = question.additional();
    if let Some(payload) = payload {
        let with_size = |opt: &mut domain::base::message_builder::OptBuilder<'_, Vec<u8>>| {
            opt.set_udp_payload_size(payload);
            Ok(())
        };
        additional.opt(with_size).unwrap();
    }
    additional.finish()
}

/// Asks the core.
pub fn ask(snapshot: &Snapshot, role: &Role, message: &[u8], transport: Transport, draw: u64) -> (Verdict, Vec<u8>) {
    ask_from(snapshot, role, message, transport, draw, None)
}

/// Asks the core from an address.
pub fn ask_from(
    snapshot: &Snapshot,
    role: &Role,
    message: &[u8],
    transport: Transport,
    draw: u64,
    client: Option<IpAddr>,
) -> (Verdict, Vec<u8>) {
    let mut out = Vec::new();
    let query = Query { message, transport, client, draw };
    let verdict = answer(snapshot, role, &query, Upstream::NotAsked, &mut out);
    (verdict, out)
}

/// An answer as text: the code and flags, then a line per record. OPT is left out.
pub fn render(answer: &[u8]) -> String {
    let message = Message::from_octets(answer).unwrap();
    let header = message.header();
    let mut text = match header.rcode() {
        Rcode::NOERROR => "NOERROR".to_owned(),
        other => other.to_string(),
    };
    for (flag, set) in [("aa", header.aa()), ("tc", header.tc()), ("ra", header.ra())] {
        if set {
            text.push(' ');
            text.push_str(flag);
        }
    }
    section(&mut text, "", message.answer().unwrap());
    section(&mut text, "authority ", message.authority().unwrap());
    section(&mut text, "additional ", message.additional().unwrap());
    text
}

fn section<'a>(text: &mut String, prefix: &str, records: RecordSection<'a, &'a [u8]>) {
    for record in records {
        let record = record.unwrap();
        if record.rtype() == Rtype::OPT {
            continue;
        }
        let record = record.into_record::<AllRecordData<_, ParsedName<_>>>().unwrap().unwrap();
        let (owner, ttl) = (record.owner(), record.ttl().as_secs());
        text.push_str(&format!("\n{prefix}{owner} {ttl} {} {}", record.rtype(), record.data()));
    }
}

/// A plain record set.
pub fn set(name: &str, type_: &str, ttl: u32, values: &[&str]) -> RecordSet {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    RecordSet { name: name.to_owned(), type_: type_.to_owned(), ttl, values, ..RecordSet::default() }
}

/// A configuration of one public zone.
pub fn public_zone(name: &str, records: Vec<RecordSet>) -> DnsConfig {
    let zone = Zone { name: name.to_owned(), overlay: false, records };
    DnsConfig {
        revision: 1,
        views: vec![View { name: "public".to_owned(), zones: vec![zone] }],
        ..DnsConfig::default()
    }
}

/// The name server of the public view.
pub fn authoritative() -> Role {
    Role::Authoritative { view: "public".to_owned() }
}
