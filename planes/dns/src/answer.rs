//! A query's bytes to an answer's bytes.
//!
//! Every query that is one gets an answer, whatever it asks; what is no query is dropped, so that no two servers can be made to
//! talk to each other. Answers have the shape of Route 53's (Developer Guide: "DNS constraints and behaviors"): the zone's
//! name servers with what was found, its SOA with what was not, addresses of the names in MX, NS and SRV records. A VPC's
//! resolver answers as resolvers do: no name servers, recursion available.

use domain::base::iana::{Class, Opcode, OptRcode, Rcode};
use domain::base::message_builder::{
    AdditionalBuilder, AnswerBuilder, AuthorityBuilder, MessageBuilder, PushError, StaticCompressor,
};
use domain::base::name::{Name, ParsedName};
use domain::base::opt::{Opt, OptRecord};
use domain::base::{Header, Message, Question, Rtype};

use crate::cache::Fetched;
use crate::lookup::{Ending, Link, Resolution, Scope};
use crate::name::{Key, KeyBuffer, WireName};
use crate::place::{Compressor, Places, Written};
use crate::rdata::Target;
use crate::snapshot::{Records, Snapshot, Zone};

/// The largest UDP answer, and what we say we take (Developer Guide: "Maximum response size").
pub(crate) const MAX_UDP: usize = 4096;
const MIN_UDP: usize = 512;
const MAX_TCP: usize = 65_535;
/// The octets of an OPT record without options.
const OPT_LEN: usize = 11;

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
        Ok(rtype) => Reply::work_out(snapshot, role, key.key(), rtype, query.draw, upstream),
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

/// What a query asks, as far as it can be read.
struct Request<'a> {
    header: Header,
    question: Option<Question<ParsedName<&'a [u8]>>>,
    edns: Edns,
    /// The largest answer that the client takes.
    size: usize,
}

/// What the client says of EDNS (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edns {
    None,
    Version0,
    /// A version that is not spoken here.
    Newer,
    /// More than one OPT record, or records that can't be read.
    Broken,
}

impl<'a> Request<'a> {
    /// Reads a query; the name asked for goes into `key`.
    fn read(message: &'a Message<&'a [u8]>, transport: Transport, key: &mut KeyBuffer) -> Self {
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
    fn check(&self) -> Result<Rtype, OptRcode> {
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
        let Ok(Some(opt)) = record.into_record::<Opt<_>>() else { return (Edns::Broken, 0) };
        if found.0 != Edns::None {
            return (Edns::Broken, 0);
        }
        let opt = OptRecord::from_record(opt);
        found = (if opt.version() == 0 { Edns::Version0 } else { Edns::Newer }, opt.udp_payload_size());
    }
    found
}

/// An answer before it is written.
struct Reply<'a> {
    rcode: OptRcode,
    authoritative: bool,
    links: Vec<Link<'a>>,
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
        cut: &'a Key,
        servers: &'a Records,
        zone: &'a Zone,
    },
}

impl<'a> Reply<'a> {
    fn bare(rcode: OptRcode) -> Self {
        Reply { rcode, authoritative: false, links: Vec::new(), fetched: None, authority: Authority::Nothing }
    }

    /// Looks up; an error is what has to be fetched first.
    fn work_out(
        snapshot: &'a Snapshot,
        role: &Role,
        key: &Key,
        rtype: Rtype,
        draw: u64,
        upstream: Upstream<'a>,
    ) -> Result<Reply<'a>, (WireName, Rtype)> {
        match role {
            Role::Authoritative { view } => {
                let found = Scope::authoritative(snapshot, view).resolve(key, rtype, draw);
                if let Some(zone) = found.zone {
                    zone.count_query();
                }
                Ok(Reply::as_name_server(found))
            }
            Role::Resolver { view, forwards } => {
                let found = Scope::resolver(snapshot, view).resolve(key, rtype, draw);
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
            Ending::Loop => (OptRcode::SERVFAIL, Authority::Nothing),
            Ending::Outside(_) if found.links.is_empty() => (OptRcode::REFUSED, Authority::Nothing),
            Ending::Outside(_) => (OptRcode::NOERROR, found.zone.map_or(Authority::Nothing, Authority::Servers)),
        };
        let authoritative = match authority {
            Authority::Referral { .. } => !found.links.is_empty(),
            _ => rcode == OptRcode::NOERROR || rcode == OptRcode::NXDOMAIN,
        };
        Reply { rcode, authoritative, links: found.links, fetched: None, authority }
    }

    fn as_resolver(
        found: Resolution<'a>,
        forwards: bool,
        key: &Key,
        rtype: Rtype,
        upstream: Upstream<'a>,
    ) -> Result<Self, (WireName, Rtype)> {
        let mut reply = Reply { links: found.links, ..Reply::bare(OptRcode::NOERROR) };
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
        if !cut && self.write_authority(&mut authority, &mut places).is_err() {
            authority.rewind();
            // Name servers may be left out; an SOA and a referral are the answer.
            cut = !matches!(self.authority, Authority::Servers(_));
        }
        let mut additional = authority.additional();
        if !cut && self.write_additional(&mut additional, &places).is_err() {
            additional.rewind();
        }
        additional.header_mut().set_tc(cut);
        additional.clear_push_limit();
        if request.edns != Edns::None && request.question.is_some() {
            // A vector takes whatever is appended, and room was kept for this.
            let _ = additional.opt(|opt| {
                opt.set_udp_payload_size(MAX_UDP as u16);
                opt.set_rcode(self.rcode);
                Ok(())
            });
        }
        (additional.finish().into_target(), cut)
    }

    fn write_answers(
        &self,
        section: &mut AnswerBuilder<Compressor>,
        places: &mut Places<'a>,
        draw: u64,
    ) -> Result<(), PushError> {
        for link in &self.links {
            let owner = places.owner(link.owner);
            let apex = places.apex(link.zone);
            for record in link.records.rotated(draw) {
                places.remember(section.as_slice().len(), owner, record);
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
        places: &mut Places<'a>,
    ) -> Result<(), PushError> {
        match self.authority {
            Authority::Nothing => {}
            Authority::Servers(zone) => {
                let servers = zone.plain(&zone.apex_key, Rtype::NS);
                let in_answer = |servers: &Records| self.links.iter().any(|link| std::ptr::eq(link.records, servers));
                let (owner, apex) = (places.place(zone.apex.for_slice()), places.apex(zone));
                for record in servers.into_iter().filter(|servers| !in_answer(servers)).flat_map(|found| &found.all) {
                    section.push(Written { owner, record, apex })?;
                }
            }
            Authority::Start(zone) => {
                let (owner, apex) = (places.place(zone.apex.for_slice()), places.apex(zone));
                if let Some(record) = &zone.soa {
                    section.push(Written { owner, record, apex })?;
                }
            }
            Authority::Referral { cut, servers, zone } => {
                let Ok(cut) = Name::from_slice(cut) else { return Ok(()) };
                let (owner, apex) = (places.place(cut), places.apex(zone));
                for record in &servers.all {
                    places.remember(section.as_slice().len(), owner, record);
                    section.push(Written { owner, record, apex })?;
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
        places: &Places<'a>,
    ) -> Result<(), PushError> {
        let (Authority::Servers(zone) | Authority::Referral { zone, .. }) = self.authority else { return Ok(()) };
        let in_answer = |target: &Target| self.links.iter().any(|link| link.owner.is(&target.name));
        for (owner, target) in places.targets().filter(|(_, target)| !in_answer(target)) {
            for records in [Rtype::A, Rtype::AAAA].into_iter().filter_map(|rtype| zone.plain(&target.key, rtype)) {
                for record in &records.all {
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
    header.set_ra(matches!(role, Role::Resolver { .. }));
    // The limit is the first size that is too long.
    builder.set_push_limit(request.size + 1 - if request.edns == Edns::None { 0 } else { OPT_LEN });
    builder
}
