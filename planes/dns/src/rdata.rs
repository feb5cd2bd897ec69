//! Record values: Route 53's presentation text to wire-ready data.
//!
//! It differs from a zone file's: names are absolute without a final dot, escapes are octal, and there are no comments and
//! no parentheses. (Developer Guide: "Supported DNS record types", "DNS domain name format".)

use std::net::IpAddr;

use domain::base::iana::Class;
use domain::base::rdata::{ComposeRecordData, UnknownRecordData};
use domain::base::{CharStr, Rtype, Serial, Ttl};
use domain::rdata::caa::{CaaFlags, CaaTag};
use domain::rdata::{A, Aaaa, Caa, Cname, Mx, Ns, Ptr, Soa, Srv, Txt, ZoneRecordData};

use crate::name::{self, Key, WireName};

/// One record's data, as it is read.
pub(crate) type Data = ZoneRecordData<Vec<u8>, WireName>;

/// RFC 4408 gave SPF its own type, RFC 7208 took it away; Route 53 still has it.
const SPF: Rtype = Rtype::from_int(99);

/// The type of that name, if it is served.
pub(crate) fn record_type(text: &str) -> Option<Rtype> {
    Some(match text {
        "A" => Rtype::A,
        "AAAA" => Rtype::AAAA,
        "CAA" => Rtype::CAA,
        "CNAME" => Rtype::CNAME,
        "MX" => Rtype::MX,
        "NS" => Rtype::NS,
        "PTR" => Rtype::PTR,
        "SOA" => Rtype::SOA,
        "SPF" => SPF,
        "SRV" => Rtype::SRV,
        "TXT" => Rtype::TXT,
        _ => return None,
    })
}

/// Reads one value of a type, or says what is wrong with it.
pub(crate) fn parse(rtype: Rtype, text: &str) -> Result<Data, &'static str> {
    if rtype == Rtype::TXT || rtype == SPF {
        let octets = character_strings(text)?;
        return match rtype {
            Rtype::TXT => Ok(Txt::from_octets(octets).map_err(|_| "too long")?.into()),
            _ => Ok(UnknownRecordData::from_octets(rtype, octets).map_err(|_| "too long")?.into()),
        };
    }
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    Ok(match (rtype, &fields[..]) {
        (Rtype::A, [address]) => A::new(address.parse().map_err(|_| "not an IPv4 address")?).into(),
        (Rtype::AAAA, [address]) => Aaaa::new(address.parse().map_err(|_| "not an IPv6 address")?).into(),
        (Rtype::CNAME, [target]) => Cname::new(wire_name(target)?).into(),
        (Rtype::NS, [target]) => Ns::new(wire_name(target)?).into(),
        (Rtype::PTR, [target]) => Ptr::new(wire_name(target)?).into(),
        (Rtype::MX, [preference, exchange]) => Mx::new(number(preference)?, wire_name(exchange)?).into(),
        (Rtype::SRV, [priority, weight, port, target]) => {
            Srv::new(number(priority)?, number(weight)?, number(port)?, wire_name(target)?).into()
        }
        (Rtype::SOA, [mname, rname, serial, refresh, retry, expire, minimum]) => Soa::new(
            wire_name(mname)?,
            wire_name(rname)?,
            Serial(number(serial)?),
            Ttl::from_secs(number(refresh)?),
            Ttl::from_secs(number(retry)?),
            Ttl::from_secs(number(expire)?),
            Ttl::from_secs(number(minimum)?),
        )
        .into(),
        (Rtype::CAA, [flags, tag, ..]) => caa(number(flags)?, tag, text)?.into(),
        _ => return Err("the wrong number of fields"),
    })
}

/// A CAA value's text may hold blanks, so it is what follows the second field, whole.
fn caa(flags: u8, tag: &str, text: &str) -> Result<Caa<Vec<u8>>, &'static str> {
    let after_flags =
        text.trim_ascii_start().split_once(|c: char| c.is_ascii_whitespace()).map_or("", |(_, rest)| rest);
    let value = after_flags.trim_ascii_start().strip_prefix(tag).unwrap_or_default();
    let mut strings = character_strings(value)?;
    if usize::from(strings[0]) + 1 != strings.len() {
        return Err("more than one text");
    }
    strings.remove(0);
    let tag = CharStr::from_octets(tag.as_bytes().to_vec()).map_err(|_| "the tag is too long")?;
    let tag = CaaTag::new(tag).map_err(|_| "the tag has other than letters and digits")?;
    Caa::try_new(CaaFlags::new(flags), tag, strings).map_err(|_| "too long")
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|_| "not a number in range")
}

fn wire_name(text: &str) -> Result<WireName, &'static str> {
    name::parse(text).map_err(|_| "not a domain name")
}

/// Reads one or more texts, quoted or not, each of up to 255 octets, to wire form.
fn character_strings(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut wire = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().trim_ascii();
    if rest.is_empty() {
        return Err("no text");
    }
    while !rest.is_empty() {
        let length_at = wire.len();
        wire.push(0);
        let quoted = rest.first() == Some(&b'"');
        if quoted {
            rest = &rest[1..];
        }
        loop {
            let Some((&octet, tail)) = rest.split_first() else {
                if quoted {
                    return Err("a quotation mark is missing");
                }
                break;
            };
            rest = tail;
            match octet {
                b'"' if quoted => break,
                b'"' => return Err("a stray quotation mark"),
                b' ' | b'\t' if !quoted => break,
                b'\\' => wire.push(name::unescape(&mut rest).ok_or("a broken escape")?),
                _ => wire.push(octet),
            }
        }
        wire[length_at] = u8::try_from(wire.len() - length_at - 1).map_err(|_| "a text of more than 255 octets")?;
        rest = rest.trim_ascii_start();
    }
    Ok(wire)
}

/// One record as it is served: all but its owner in wire form, so that answering is copying.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Type, class and TTL.
    pub(crate) fixed: [u8; 8],
    /// The data, no name in it compressed.
    pub(crate) rdata: Box<[u8]>,
    /// How much of the data is before its zone's apex, where it ends with that and may be compressed (RFC 3597, 4).
    pub(crate) before_apex: Option<usize>,
    /// The name that it points at.
    pub(crate) target: Option<Box<Target>>,
}

/// The name that a CNAME, MX, NS or SRV record points at.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// As it is spelled.
    pub(crate) name: WireName,
    /// As it is looked up.
    pub(crate) key: Box<Key>,
    /// Where in the data it begins.
    pub(crate) offset: usize,
}

impl Record {
    /// Makes a record of a zone from its data.
    pub(crate) fn new(rtype: Rtype, ttl: Ttl, data: &Data, apex: &Key) -> Record {
        let [a, b] = rtype.to_int().to_be_bytes();
        let [c, d] = Class::IN.to_int().to_be_bytes();
        let [e, f, g, h] = ttl.as_secs().to_be_bytes();
        let mut rdata = Vec::new();
        let Ok(()) = data.compose_rdata(&mut rdata);
        let target = match data {
            Data::Cname(cname) => Some((cname.cname(), 0)),
            Data::Ns(ns) => Some((ns.nsdname(), 0)),
            Data::Mx(mx) => Some((mx.exchange(), 2)),
            Data::Srv(srv) => Some((srv.target(), 6)),
            _ => None,
        };
        let target = target.map(|(name, offset)| Target { name: name.clone(), key: name::key(name), offset });
        let compressible = target.as_ref().filter(|target| rtype != Rtype::SRV && name::is_within(&target.key, apex));
        let before_apex = compressible.map(|_| rdata.len() - apex.len());
        Record { fixed: [a, b, c, d, e, f, g, h], rdata: rdata.into(), before_apex, target: target.map(Box::new) }
    }

    /// The address in an A or AAAA record.
    pub(crate) fn address(&self, rtype: Rtype) -> Option<IpAddr> {
        match rtype {
            Rtype::A => <[u8; 4]>::try_from(&*self.rdata).ok().map(IpAddr::from),
            Rtype::AAAA => <[u8; 16]>::try_from(&*self.rdata).ok().map(IpAddr::from),
            _ => None,
        }
    }
}
