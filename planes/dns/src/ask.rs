//! The other end: a query as a client asks it, and what its answer says, in presentation form.

use std::net::IpAddr;

use domain::base::iana::Rcode;
use domain::base::message_builder::MessageBuilder;
use domain::base::name::ParsedName;
use domain::base::rdata::UnknownRecordData;
use domain::base::record::ParsedRecord;
use domain::base::{Message, Rtype};
use domain::dep::octseq::OctetsBuilder;
use domain::rdata::AllRecordData;

use crate::answer::{MAX_UDP, Query, Role, Transport, Upstream, Verdict, answer};
use crate::config::PUBLIC;
use crate::name::{self, NameError};
use crate::rdata;
use crate::snapshot::Snapshot;

/// The option that says for whom is asked (RFC 7871).
const CLIENT_SUBNET: u16 = 8;

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Such as `NOERROR`.
    pub rcode: String,
    /// Values of the type that was asked for, as record sets have them; without one, of what leads on.
    pub values: Vec<String>,
    /// What it came over, `UDP` or `TCP`: more than the former takes comes over the latter only.
    pub protocol: &'static str,
}

/// A query for a name and a type, for a client with addresses of that prefix if one is given.
///
/// # Errors
/// The name is none. A type that is not served is asked for as `A`.
pub fn query(owner: &str, type_: &str, subnet: Option<(IpAddr, u8)>) -> Result<Vec<u8>, NameError> {
    let rtype = rdata::record_type(type_).unwrap_or(Rtype::A);
    let mut question = MessageBuilder::new_vec().question();
    // A vector takes whatever a name is long.
    let _ = question.push((name::parse(owner)?, rtype));
    let mut additional = question.additional();
    let option = subnet.map(|(address, length)| option_of(address, length));
    let _ = additional.opt(|opt| {
        opt.set_udp_payload_size(MAX_UDP as u16);
        match &option {
            Some(option) => opt.push_raw_option(CLIENT_SUBNET.into(), option.len() as u16, |target| {
                OctetsBuilder::append_slice(target, option)
            }),
            None => Ok(()),
        }
    });
    Ok(additional.finish())
}

/// Family, lengths, and the octets that the prefix reaches into, the bits behind it cleared.
fn option_of(address: IpAddr, length: u8) -> Vec<u8> {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let length = usize::from(length).min(octets.len() * 8);
    let mut kept = octets[..length.div_ceil(8)].to_vec();
    if let Some(last) = kept.last_mut().filter(|_| length % 8 > 0) {
        *last &= 0xff << (8 - length % 8);
    }
    [vec![0, family, length as u8, 0], kept].concat()
}

/// What a public name server of these zones answers, over TCP where it is too much for UDP; nothing where it says nothing.
#[must_use]
pub fn asked(snapshot: &Snapshot, query: &[u8], draw: u64) -> Option<Vec<u8>> {
    let role = Role::Authoritative { view: PUBLIC.to_owned() };
    let mut out = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let query = Query { message: query, transport, client: None, draw };
        match answer(snapshot, &role, &query, Upstream::NotAsked, &mut out) {
            Verdict::Answered { truncated: true, .. } => {}
            Verdict::Answered { .. } => return Some(out),
            Verdict::Drop | Verdict::Fetch { .. } => return None,
        }
    }
    None
}

/// Whether an answer was cut, and is to be asked for over TCP.
#[must_use]
pub fn is_cut(message: &[u8]) -> bool {
    Message::from_octets(message).is_ok_and(|message| message.header().tc())
}

/// Reads an answer; nothing where it is none.
#[must_use]
pub fn read(message: &[u8], type_: &str) -> Option<Said> {
    let message = Message::from_octets(message).ok()?;
    let wanted = rdata::record_type(type_)?;
    let mut own = Vec::new();
    let mut leading = Vec::new();
    for record in message.answer().ok()? {
        let record = record.ok()?;
        let text = value(&record)?;
        if record.rtype() == wanted { own.push(text) } else { leading.push(text) }
    }
    let rcode = match message.header().rcode() {
        Rcode::NOERROR => "NOERROR".to_owned(),
        other => other.to_string(),
    };
    let protocol = if message.as_slice().len() > MAX_UDP { "TCP" } else { "UDP" };
    Some(Said { rcode, values: if own.is_empty() { leading } else { own }, protocol })
}

/// A record's value in Route 53's form, which is a zone file's but for a few types.
fn value(record: &ParsedRecord<'_, &[u8]>) -> Option<String> {
    let plain = || {
        let record = record.to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>().ok()?;
        Some(record.data().to_string())
    };
    let raw = || {
        let record = record.to_record::<UnknownRecordData<&[u8]>>().ok()??;
        Some(record.data().data().to_vec())
    };
    match record.rtype() {
        Rtype::TXT | rdata::SPF => Some(rdata::shown_texts(&raw()?)),
        Rtype::TLSA => Some(rdata::shown_digest(&raw()?, 3)),
        Rtype::SSHFP => Some(rdata::shown_digest(&raw()?, 2)),
        // Their names have no final dot in a zone file's form.
        Rtype::SRV | Rtype::NAPTR => plain().map(|text| if text.ends_with('.') { text } else { text + "." }),
        Rtype::HTTPS | Rtype::SVCB => plain().map(|text| text.trim_end().to_owned()),
        _ => plain(),
    }
}
