//! What a query says, as far as it can be read: its question, and what its OPT record says (RFC 6891; RFC 7871 for the subnet in
//! whose name a resolver asks).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::iana::{Class, Opcode, OptRcode, OptionCode};
use domain::base::name::ParsedName;
use domain::base::opt::{Opt, OptRecord, UnknownOptData};
use domain::base::{Header, Message, Question, Rtype};

use crate::answer::{MAX_UDP, Transport};
use crate::name::KeyBuffer;

pub(crate) const MIN_UDP: usize = 512;
const MAX_TCP: usize = 65_535;

/// What a query asks.
pub(crate) struct Request<'a> {
    pub(crate) header: Header,
    pub(crate) question: Option<Question<ParsedName<&'a [u8]>>>,
    pub(crate) edns: Edns,
    /// The largest answer that the client takes.
    pub(crate) size: usize,
}

/// What the client says of EDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edns {
    None,
    Version0 {
        subnet: Option<Subnet>,
        dnssec_ok: bool,
    },
    /// A version that is not spoken here.
    Newer,
    /// More than one OPT record, or records that can't be read.
    Broken,
}

/// The subnet in whose name a query asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) address: IpAddr,
    /// How many of its bits the client told.
    pub(crate) source: u8,
}

impl<'a> Request<'a> {
    /// Reads a query; the name asked for goes into `key`.
    pub(crate) fn read(message: &'a Message<&'a [u8]>, transport: Transport, key: &mut KeyBuffer) -> Self {
        let question = message.sole_question().ok();
        if let Some(question) = &question {
            key.fill(question.qname());
        }
        let (edns, payload) = if question.is_some() { read_edns(message) } else { (Edns::Broken, 0) };
        let size = match transport {
            Transport::Udp => usize::from(payload).clamp(MIN_UDP, MAX_UDP),
            Transport::Tcp => MAX_TCP,
        };
        Request { header: message.header(), question, edns, size }
    }

    /// The type that is to be looked up, or why nothing is.
    pub(crate) fn check(&self) -> Result<Rtype, OptRcode> {
        if self.header.opcode() != Opcode::QUERY {
            return Err(OptRcode::NOTIMP);
        }
        match (&self.question, self.edns) {
            (None, _) | (_, Edns::Broken) => Err(OptRcode::FORMERR),
            (_, Edns::Newer) => Err(OptRcode::BADVERS),
            // Zone transfers are not for clients, other classes hold nothing.
            (Some(question), _) => match (question.qclass(), question.qtype()) {
                (Class::IN, Rtype::AXFR | Rtype::IXFR) => Err(OptRcode::REFUSED),
                (Class::IN, rtype) => Ok(rtype),
                _ => Err(OptRcode::REFUSED),
            },
        }
    }

    /// The subnet in whose name it asks.
    pub(crate) fn subnet(&self) -> Option<Subnet> {
        match self.edns {
            Edns::Version0 { subnet, .. } => subnet,
            _ => None,
        }
    }

    /// Whether it wants what only a validator reads.
    pub(crate) fn wants_dnssec(&self) -> bool {
        matches!(self.edns, Edns::Version0 { dnssec_ok: true, .. })
    }
}

fn read_edns(message: &Message<&[u8]>) -> (Edns, u16) {
    let counts = message.header_counts();
    if counts.arcount() == 0 && counts.ancount() == 0 && counts.nscount() == 0 {
        return (Edns::None, 0);
    }
    let Ok(additional) = message.additional() else { return (Edns::Broken, 0) };
    let mut found = (Edns::None, 0);
    for record in additional {
        let Ok(record) = record else { return (Edns::Broken, 0) };
        if record.rtype() != Rtype::OPT {
            continue;
        }
        let is_root = record.owner().is_root();
        let Ok(Some(opt)) = record.into_record::<Opt<_>>() else { return (Edns::Broken, 0) };
        if found.0 != Edns::None || !is_root {
            return (Edns::Broken, 0);
        }
        let opt = OptRecord::from_record(opt);
        let edns = match opt.version() {
            0 => match read_options(opt.opt()) {
                Ok(subnet) => Edns::Version0 { subnet, dnssec_ok: opt.dnssec_ok() },
                Err(()) => Edns::Broken,
            },
            _ => Edns::Newer,
        };
        found = (edns, opt.udp_payload_size());
    }
    found
}

/// The client's subnet, if the options name one; an error where they break the form.
fn read_options(options: &Opt<&[u8]>) -> Result<Option<Subnet>, ()> {
    let mut subnet = None;
    for option in options.iter::<UnknownOptData<_>>() {
        let option = option.map_err(drop)?;
        if option.code() == OptionCode::CLIENT_SUBNET {
            if subnet.is_some() {
                return Err(());
            }
            subnet = Some(read_subnet(option.data()).ok_or(())?);
        }
    }
    Ok(subnet)
}

/// As many octets as the prefix needs, none of its bits beyond the prefix set, and no scope: what RFC 7871 (6, 7.1.1) asks.
fn read_subnet(data: &[u8]) -> Option<Subnet> {
    let [0, family, source, 0, octets @ ..] = data else { return None };
    let (width, source) = match family {
        1 => (32, *source),
        2 => (128, *source),
        _ => return None,
    };
    if source > width || octets.len() != usize::from(source.div_ceil(8)) {
        return None;
    }
    if let (Some(last), 1..) = (octets.last(), source % 8)
        && last << (source % 8) != 0
    {
        return None;
    }
    let mut whole = [0; 16];
    whole[..octets.len()].copy_from_slice(octets);
    let address = match width {
        32 => IpAddr::V4(Ipv4Addr::new(whole[0], whole[1], whole[2], whole[3])),
        _ => IpAddr::V6(Ipv6Addr::from(whole)),
    };
    Some(Subnet { address, source })
}

impl Subnet {
    /// The option as it goes back: for how large a part of the net the answer is.
    pub(crate) fn write(&self, scope: u8, out: &mut [u8; 20]) -> usize {
        let (family, octets): (u8, &[u8]) = match &self.address {
            IpAddr::V4(address) => (1, &address.octets()[..]),
            IpAddr::V6(address) => (2, &address.octets()[..]),
        };
        let len = usize::from(self.source.div_ceil(8));
        out[..4].copy_from_slice(&[0, family, self.source, scope]);
        out[4..4 + len].copy_from_slice(&octets[..len]);
        4 + len
    }
}
