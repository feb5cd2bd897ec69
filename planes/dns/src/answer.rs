//! A query's bytes to an answer's bytes.
//!
//! Every query that is one gets an answer, whatever it asks; what is no query is dropped, so that no two servers can be made to
//! talk to each other. Answers have the shape of Route 53's (Developer Guide: "DNS constraints and behaviors"): the zone's
//! name servers with what was found, its SOA with what was not, addresses of the names in MX, NS and SRV records. A VPC's
//! resolver answers as resolvers do: no name servers, recursion available.

use std::net::IpAddr;

use domain::base::iana::{OptRcode, OptionCode, Rcode};
use domain::base::message_builder::{
    AdditionalBuilder, AnswerBuilder, AuthorityBuilder, MessageBuilder, PushError, StaticCompressor,
};
use domain::base::{Message, Rtype};
use domain::dep::octseq::OctetsBuilder as _;

use crate::cache::Fetched;
use crate::lookup::{Client, Ending, Links, Resolution, Scope};
use crate::name::{self, Key, KeyBuffer, WireName};
use crate::names::Node;
use crate::place::{Compressor, Places, Written};
use crate::records::{Records, Target};
use crate::request::{Edns, MIN_UDP, Request};
use crate::snapshot::{Snapshot, Zone};

/// The largest UDP answer, and what we say we take (Developer Guide: "Maximum response size").
pub(crate) const MAX_UDP: usize = 4096;
/// The octets of an OPT record without options, and of one with a client's subnet.
const OPT_LEN: usize = 11;
const OPT_WITH_SUBNET: usize = OPT_LEN + 4 + 20;

/// What a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A name server for the zones of one view. Knows nothing else, and says so.
    Authoritative {
        /// The view.
        view: String,
    },
    /// The resolver of a VPC, or of the host with the view `public`.
    Resolver {
        /// The view that comes before the public one.
        view: String,
        /// Whether what no zone here has may be asked for elsewhere. Otherwise it does not exist.
        forwards: bool,
        /// The region that its clients are in, for policies that ask where they are; without one their addresses say.
        region: Option<String>,
    },
}

/// What a query came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Answers are cut to what the client takes.
    Udp,
    /// Answers are whole.
    Tcp,
}

/// A query as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The message, without TCP's length.
    pub message: &'a [u8],
    /// What it came over.
    pub transport: Transport,
    /// Who asked: for policies that ask where a client is, unless the query names a subnet.
    pub client: Option<IpAddr>,
    /// A number drawn for this query: orders values, chooses by weight.
    pub draw: u64,
}

/// What became of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not a query: say nothing.
    Drop,
    /// The answer is in the buffer.
    Answered {
        /// For the counters.
        rcode: Rcode,
        /// Whether the client has to come again over TCP.
        truncated: bool,
    },
    /// Ask upstream for this, then call again with what it said.
    Fetch {
        /// The name.
        name: WireName,
        /// The type.
        rtype: Rtype,
    },
}

/// What upstream said, on the second call.
#[derive(Clone, Copy, Debug)]
pub enum Upstream<'a> {
    /// Nothing was asked so far.
    NotAsked,
    /// It answered.
    Answered(&'a Fetched),
    /// It did not, in time.
    Failed,
}

/// Answers a query from a snapshot into `out`, which is emptied first.
///
/// 1. What is no query is dropped.
/// 2. The query is read.
/// 3. The reply is worked out.
/// 4. It is written, and cut where it is too long for the client.
pub fn answer(
    snapshot: &Snapshot,
    role: &Role,
    query: &Query<'_>,
    upstream: Upstream<'_>,
    out: &mut Vec<u8>,
) -> Verdict {
    out.clear();
    let Ok(message) = Message::from_octets(query.message) else { return Verdict::Drop };
    if message.header().qr() {
        return Verdict::Drop;
    }
    let mut key = KeyBuffer::new();
    let request = Request::read(&message, query.transport, &mut key);
    let reply = match request.check() {
        Err(rcode) => Ok(Reply::bare(rcode)),
        Ok(rtype) => {
            let address = request.subnet().filter(|subnet| subnet.source > 0).map(|subnet| subnet.address);
            let client = address.or(query.client);
            Reply::work_out(snapshot, role, client, (key.key(), rtype, query.draw), upstream)
        }
    };
    match reply {
        Ok(reply) => {
            let rcode = reply.rcode.rcode();
            let (message, truncated) = reply.write(&request, role, key.key(), query.draw, std::mem::take(out));
            *out = message;
            Verdict::Answered { rcode, truncated }
        }
        Err((name, rtype)) => Verdict::Fetch { name, rtype },
    }
}

/// An answer before it is written.
struct Reply<'a> {
    rcode: OptRcode,
    authoritative: bool,
    links: Links<'a>,
    /// Whether it depends on who asks.
    located: bool,
    fetched: Option<&'a Fetched>,
    authority: Authority<'a>,
}

/// What goes into the authority section.
enum Authority<'a> {
    Nothing,
    /// The zone's name servers.
    Servers(&'a Zone),
    /// The zone's SOA: it says for how long the negative answer may be kept.
    Start(&'a Zone),
    /// The name servers of a delegation.
    Referral {
        cut: &'a Node,
        servers: &'a Records,
        zone: &'a Zone,
    },
}

impl<'a> Reply<'a> {
    fn bare(rcode: OptRcode) -> Self {
        let links = Links::new();
        Reply { rcode, authoritative: false, links, located: false, fetched: None, authority: Authority::Nothing }
    }

    /// Looks up; an error is what has to be fetched first.
    fn work_out(
        snapshot: &'a Snapshot,
        role: &Role,
        address: Option<IpAddr>,
        (key, rtype, draw): (&Key, Rtype, u64),
        upstream: Upstream<'a>,
    ) -> Result<Reply<'a>, (WireName, Rtype)> {
        match role {
            Role::Authoritative { view } => {
                let client = Client { address, region: None };
                let found = Scope::authoritative(snapshot, view, client).resolve(key, rtype, draw);
                if let Some(zone) = found.zone {
                    zone.count_query();
                }
                Ok(Reply::as_name_server(found))
            }
            Role::Resolver { view, forwards, region } => {
                let client = Client { address, region: region.as_deref() };
                let found = Scope::resolver(snapshot, view, client).resolve(key, rtype, draw);
                if let (Some(zone), Upstream::NotAsked) = (found.zone, upstream) {
                    zone.count_query();
                }
                Reply::as_resolver(found, *forwards, key, rtype, upstream)
            }
        }
    }

    fn as_name_server(found: Resolution<'a>) -> Self {
        let (rcode, authority) = match found.ending {
            Ending::Answer => (OptRcode::NOERROR, found.zone.map_or(Authority::Nothing, Authority::Servers)),
            Ending::NoData(zone) => (OptRcode::NOERROR, Authority::Start(zone)),
            Ending::NoName(zone) => (OptRcode::NXDOMAIN, Authority::Start(zone)),
            Ending::Referral { cut, servers, zone, .. } => {
                (OptRcode::NOERROR, Authority::Referral { cut, servers, zone })
            }
            Ending::Outside(_) if found.links.is_empty() => (OptRcode::REFUSED, Authority::Nothing),
            // Whoever follows the CNAMEs finds out where they lead, or that it is nowhere.
            Ending::Outside(_) | Ending::Loop => {
                (OptRcode::NOERROR, found.zone.map_or(Authority::Nothing, Authority::Servers))
            }
        };
        let authoritative = match authority {
            Authority::Referral { .. } => !found.links.is_empty(),
            _ => rcode == OptRcode::NOERROR || rcode == OptRcode::NXDOMAIN,
        };
        Reply { rcode, authoritative, links: found.links, located: found.located, fetched: None, authority }
    }

    fn as_resolver(
        found: Resolution<'a>,
        forwards: bool,
        key: &Key,
        rtype: Rtype,
        upstream: Upstream<'a>,
    ) -> Result<Self, (WireName, Rtype)> {
        let mut reply = Reply { links: found.links, located: found.located, ..Reply::bare(OptRcode::NOERROR) };
        match found.ending {
            Ending::Answer => {}
            Ending::NoData(zone) => reply.authority = Authority::Start(zone),
            Ending::NoName(zone) => {
                (reply.rcode, reply.authority) = (OptRcode::NXDOMAIN, Authority::Start(zone));
            }
            Ending::Loop => reply.rcode = OptRcode::SERVFAIL,
            Ending::Outside(_) if !forwards => reply.rcode = OptRcode::NXDOMAIN,
            Ending::Referral { .. } if !forwards => reply.rcode = OptRcode::SERVFAIL,
            Ending::Outside(elsewhere) if elsewhere.stays_here(key) => reply.rcode = OptRcode::NXDOMAIN,
            Ending::Outside(elsewhere) | Ending::Referral { elsewhere, .. } => match upstream {
                Upstream::NotAsked => return Err((elsewhere.to_wire(key), rtype)),
                Upstream::Failed => reply.rcode = OptRcode::SERVFAIL,
                // The zones may have changed since: then what was fetched is no answer to this.
                Upstream::Answered(fetched) if !fetched.is_for(&elsewhere.to_wire(key), rtype) => {
                    reply.rcode = OptRcode::SERVFAIL;
                }
                Upstream::Answered(fetched) => {
                    (reply.rcode, reply.fetched) = (fetched.rcode().into(), Some(fetched));
                }
            },
        }
        Ok(reply)
    }

    /// Writes the answer; says whether it had to be cut.
    fn write(&self, request: &Request<'_>, role: &Role, key: &Key, draw: u64, buffer: Vec<u8>) -> (Vec<u8>, bool) {
        let mut builder = start_message(request, role, buffer);
        let header = builder.header_mut();
        header.set_rcode(self.rcode.rcode());
        header.set_aa(self.authoritative);
        let mut question = builder.question();
        if let Some(asked) = &request.question {
            // A question has at most 259 octets and the smallest limit is 501.
            let _ = question.push(asked);
        }
        let mut places = Places::new(key);
        let mut answer = question.answer();
        let mut cut = self.write_answers(&mut answer, &mut places, draw).is_err();
        if cut {
            answer.rewind();
        }
        let mut authority = answer.authority();
        if !cut && self.write_authority(&mut authority, &mut places, request.wants_dnssec()).is_err() {
            authority.rewind();
            // Name servers may be left out; an SOA and a referral are the answer.
            cut = !matches!(self.authority, Authority::Servers(_));
        }
        let mut additional = authority.additional();
        if !cut && self.write_additional(&mut additional, &places).is_err() {
            additional.rewind();
            // Without the addresses of name servers below it nobody gets beyond a cut (RFC 9471, 3.1).
            cut = match self.authority {
                Authority::Referral { cut, .. } => {
                    places.targets().any(|(_, target)| name::is_within(target.key, &cut.key))
                }
                _ => false,
            };
        }
        additional.header_mut().set_tc(cut);
        additional.clear_push_limit();
        if request.edns != Edns::None && request.question.is_some() {
            // A vector takes whatever is appended, and room was kept for this.
            let _ = additional.opt(|opt| {
                opt.set_udp_payload_size(MAX_UDP as u16);
                opt.set_rcode(self.rcode);
                // It comes back as it was sent (RFC 3225, 3).
                opt.set_dnssec_ok(request.wants_dnssec());
                let Some(subnet) = request.subnet() else { return Ok(()) };
                let mut option = [0; 20];
                let scope = if self.located { subnet.source } else { 0 };
                let len = subnet.write(scope, &mut option);
                // An option of so many octets has a length that fits.
                opt.push_raw_option(OptionCode::CLIENT_SUBNET, len as u16, |target| target.append_slice(&option[..len]))
            });
        }
        (additional.finish().into_target(), cut)
    }

    fn write_answers(
        &self,
        section: &mut AnswerBuilder<Compressor>,
        places: &mut Places<'_, 'a>,
        draw: u64,
    ) -> Result<(), PushError> {
        for link in &self.links {
            let owner = places.owner(link.owner);
            let apex = places.apex(link.zone);
            for record in link.records.rotated(draw) {
                places.remember(section.as_slice().len(), owner, &record);
                section.push(Written { owner, record, apex })?;
            }
        }
        match self.fetched {
            Some(fetched) => fetched.answers().try_for_each(|record| section.push(record)),
            None => Ok(()),
        }
    }

    fn write_authority(
        &self,
        section: &mut AuthorityBuilder<Compressor>,
        places: &mut Places<'_, 'a>,
        dnssec: bool,
    ) -> Result<(), PushError> {
        match self.authority {
            Authority::Nothing => {}
            Authority::Servers(zone) => {
                let servers = zone.plain(&zone.apex_key, Rtype::NS);
                let in_answer = |servers: &Records| self.links.iter().any(|link| std::ptr::eq(link.records, servers));
                let (owner, apex) = (places.place(&zone.apex_key), places.apex(zone));
                for record in servers.into_iter().filter(|servers| !in_answer(servers)).flat_map(Records::iter) {
                    section.push(Written { owner, record, apex })?;
                }
            }
            Authority::Start(zone) => {
                let (owner, apex) = (places.place(&zone.apex_key), places.apex(zone));
                for record in zone.soa.iter().flat_map(Records::iter) {
                    section.push(Written { owner, record, apex })?;
                }
            }
            Authority::Referral { cut, servers, zone } => {
                let (owner, apex) = (places.place(&cut.key), places.apex(zone));
                places.forget_targets();
                for record in servers.iter() {
                    places.remember(section.as_slice().len(), owner, &record);
                    section.push(Written { owner, record, apex })?;
                }
                // Whoever validates learns whether the zone below is signed.
                let signer = cut.get(Rtype::DS).and_then(|set| set.plain()).filter(|_| dnssec);
                for record in signer.into_iter().flat_map(Records::iter) {
                    section.push(Written { owner, record, apex: None })?;
                }
            }
        }
        match self.fetched {
            Some(fetched) => fetched.authority().try_for_each(|record| section.push(record)),
            None => Ok(()),
        }
    }

    /// Addresses, where the same zone has them, of the names that records point at.
    fn write_additional(
        &self,
        section: &mut AdditionalBuilder<Compressor>,
        places: &Places<'_, 'a>,
    ) -> Result<(), PushError> {
        let (Authority::Servers(zone) | Authority::Referral { zone, .. }) = self.authority else { return Ok(()) };
        let in_answer = |target: &Target<'_>| self.links.iter().any(|link| link.owner.is(target));
        for (owner, target) in places.targets().filter(|(_, target)| !in_answer(target)) {
            for records in [Rtype::A, Rtype::AAAA].into_iter().filter_map(|rtype| zone.companion(target.key, rtype)) {
                for record in records.iter() {
                    section.push(Written { owner, record, apex: None })?;
                }
            }
        }
        Ok(())
    }
}

/// A response's header, and room for what comes.
fn start_message(request: &Request<'_>, role: &Role, mut buffer: Vec<u8>) -> MessageBuilder<Compressor> {
    buffer.reserve(MIN_UDP);
    let Ok(mut builder) = MessageBuilder::from_target(StaticCompressor::new(buffer));
    let header = builder.header_mut();
    header.set_id(request.header.id());
    header.set_qr(true);
    header.set_opcode(request.header.opcode());
    header.set_rd(request.header.rd());
    header.set_cd(request.header.cd());
    header.set_ra(matches!(role, Role::Resolver { .. }));
    // The limit is the first size that is too long.
    let opt = match request.edns {
        Edns::None => 0,
        Edns::Version0 { subnet: Some(_), .. } => OPT_WITH_SUBNET,
        _ => OPT_LEN,
    };
    builder.set_push_limit(request.size + 1 - opt);
    builder
}
