//! Two answers side by side, and the reasons for which they may differ.

use domain::base::iana::Rcode;
use domain::base::message_builder::MessageBuilder;
use domain::base::name::ParsedName;
use domain::base::{Message, RecordSection, Rtype};
use domain::rdata::AllRecordData;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU16, Ordering};
use zonal_dns::Snapshot;
use zonal_dns::answer::{Query, Role, Transport, Upstream, Verdict, answer as core};
use zonal_dns::name;

/// An answer, without what order and spelling say.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    rcode: String,
    flags: String,
    question: String,
    answer: BTreeSet<Record>,
    authority: BTreeSet<Record>,
    additional: BTreeSet<Record>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    owner: String,
    rtype: String,
    rest: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rcode, self.flags)?;
        for (title, records) in
            [("answer", &self.answer), ("authority", &self.authority), ("additional", &self.additional)]
        {
            for Record { owner, rtype, rest } in records {
                write!(f, "\n{title} {owner} {rtype} {rest}")?;
            }
        }
        Ok(())
    }
}

static NEXT_ID: AtomicU16 = AtomicU16::new(1);

/// A query with EDNS.
pub fn query(owner: &str, rtype: &str) -> Result<Vec<u8>, String> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(NEXT_ID.fetch_add(1, Ordering::Relaxed));
    let mut question = builder.question();
    let name = name::parse(owner).map_err(|error| format!("{owner}: {error}"))?;
    let rtype: Rtype =
        if rtype == "SPF" { Rtype::from_int(99) } else { rtype.parse().map_err(|_| rtype.to_owned())? };
    question.push((name, rtype)).map_err(|error| error.to_string())?;
    let mut additional = question.additional();
    let sized = additional.opt(|opt| {
        opt.set_udp_payload_size(1232);
        Ok(())
    });
    sized.map_err(|error| error.to_string())?;
    Ok(additional.finish())
}

/// Our answer.
pub fn answer(snapshot: &Snapshot, message: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let query = Query { message, transport: Transport::Udp, client: None, draw: 0 };
    let role = Role::Authoritative { view: "public".to_owned() };
    match core(snapshot, &role, &query, Upstream::NotAsked, &mut out) {
        Verdict::Answered { .. } => Ok(out),
        other => Err(format!("{other:?}")),
    }
}

/// Reads an answer.
pub fn read(octets: &[u8]) -> Result<Answer, String> {
    let fail = |error: domain::base::wire::ParseError| error.to_string();
    let message = Message::from_octets(octets).map_err(|error| error.to_string())?;
    let header = message.header();
    let flags = [("aa", header.aa()), ("tc", header.tc()), ("rd", header.rd()), ("ra", header.ra())];
    let flags: Vec<&str> = flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag).collect();
    let question = message.sole_question().map_err(|error| error.to_string())?;
    Ok(Answer {
        rcode: if header.rcode() == Rcode::NOERROR { "NOERROR".to_owned() } else { header.rcode().to_string() },
        flags: flags.join(" "),
        // The case must come back as it was.
        question: format!("{} {}", question.qname(), question.qtype()),
        answer: records(message.answer().map_err(fail)?)?,
        authority: records(message.authority().map_err(fail)?)?,
        additional: records(message.additional().map_err(fail)?)?,
    })
}

fn records(section: RecordSection<'_, &[u8]>) -> Result<BTreeSet<Record>, String> {
    let mut found = BTreeSet::new();
    for record in section {
        let record = record.map_err(|error| error.to_string())?;
        if record.rtype() == Rtype::OPT {
            continue;
        }
        let record = record.into_record::<AllRecordData<_, ParsedName<_>>>().map_err(|error| error.to_string())?;
        let record = record.ok_or("a record that can't be read")?;
        found.insert(Record {
            owner: record.owner().to_string().to_lowercase(),
            rtype: record.rtype().to_string(),
            rest: format!("{} {}", record.ttl().as_secs(), record.data()).to_lowercase(),
        });
    }
    Ok(found)
}

/// Takes away what has a reason; says whether nothing had to be, or what is left.
pub fn explained(ours: Answer, theirs: Answer) -> Result<bool, Box<(Answer, Answer)>> {
    if ours == theirs {
        return Ok(true);
    }
    let (mut a, mut b) = (ours.clone(), theirs.clone());
    for answer in [&mut a, &mut b] {
        let found = !answer.answer.is_empty() && answer.rcode == "NOERROR" && answer.flags.contains("aa");
        if found {
            // Route 53 puts the zone's name servers beside whatever it found (Developer Guide, "DNS constraints and behaviors":
            // "Authoritative section processing"). Knot does not.
            answer.authority.retain(|record| record.rtype != "NS");
        }
    }
    // Route 53 sends addresses along for what MX, CNAME, NS and SRV records name (the same page: "Additional section processing"):
    // for a CNAME that was asked for, which Knot does not; not for HTTPS and SVCB, which Knot does (RFC 9460, 4.1).
    let has = |answer: &Answer, types: &[&str]| answer.answer.iter().any(|record| types.contains(&&*record.rtype));
    if ours.question.ends_with(" CNAME") && has(&a, &["CNAME"]) {
        a.additional.clear();
    }
    if has(&b, &["HTTPS", "SVCB"]) {
        b.additional.clear();
    }
    if a == b { Ok(false) } else { Err(Box::new((ours, theirs))) }
}
