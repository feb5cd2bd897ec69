//! Answers from upstream, kept for as long as they say, in bounded room. Time is handed in.
//!
//! Positive answers live for their smallest TTL, negative ones, those behind CNAMEs too, for what the SOA allows (RFC 2308),
//! failures not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::base::iana::{Class, Rcode};
use domain::base::message_builder::MessageBuilder;
use domain::base::name::{ParsedName, ToName};
use domain::base::{Message, Record, Rtype, Ttl};
use domain::rdata::AllRecordData;
use hashbrown::HashMap;

use crate::name::{self, Key, WireName};

/// No answer is kept for longer (RFC 2308, 5 recommends one to three hours for negative ones).
const MAX_TTL: Duration = Duration::from_secs(86_400);
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(10_800);

/// An octet count for what an entry costs beside its message.
const ENTRY_OVERHEAD: usize = 256;

type FetchedRecord<'a> = Record<ParsedName<&'a [u8]>, AllRecordData<&'a [u8], ParsedName<&'a [u8]>>>;

/// An answer that upstream gave, some time ago.
#[derive(Clone, Debug)]
pub struct Fetched {
    message: Arc<Message<Vec<u8>>>,
    age: Duration,
}

impl Fetched {
    /// Reads an answer to `name` and `rtype` that was asked with `id`; nothing where it is none.
    pub fn read(message: Vec<u8>, id: u16, name: &WireName, rtype: Rtype) -> Option<Fetched> {
        let message = Message::from_octets(message).ok()?;
        let header = message.header();
        if !header.qr() || header.id() != id {
            return None;
        }
        let fetched = Fetched { message: Arc::new(message), age: Duration::ZERO };
        fetched.is_for(name, rtype).then_some(fetched)
    }

    /// Whether it was cut and has to be asked for over TCP.
    pub fn is_truncated(&self) -> bool {
        self.message.header().tc()
    }

    /// Whether it says anything of the name: it does where it was found and where it does not exist.
    pub fn is_conclusive(&self) -> bool {
        matches!(self.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN)
    }

    pub(crate) fn rcode(&self) -> Rcode {
        self.message.header().rcode()
    }

    pub(crate) fn is_for(&self, name: &WireName, rtype: Rtype) -> bool {
        self.message.sole_question().is_ok_and(|question| {
            question.qtype() == rtype && question.qclass() == Class::IN && question.qname().name_eq(name)
        })
    }

    /// The answer section, TTLs counted down.
    pub(crate) fn answers(&self) -> impl Iterator<Item = FetchedRecord<'_>> {
        self.aged(self.message.for_slice().answer().ok())
    }

    /// The SOA of a negative answer, its TTL counted down.
    pub(crate) fn authority(&self) -> impl Iterator<Item = FetchedRecord<'_>> {
        self.aged(self.message.for_slice().authority().ok()).filter(|record| record.rtype() == Rtype::SOA)
    }

    fn aged<'a>(
        &'a self,
        section: Option<domain::base::RecordSection<'a, [u8]>>,
    ) -> impl Iterator<Item = FetchedRecord<'a>> {
        let age = u32::try_from(self.age.as_secs()).unwrap_or(u32::MAX);
        let records = section.into_iter().flat_map(|section| section.into_records::<AllRecordData<_, _>>());
        records.filter_map(Result::ok).map(move |mut record| {
            record.set_ttl(Ttl::from_secs(record.ttl().as_secs().saturating_sub(age)));
            record
        })
    }

    /// How long it may be kept.
    fn lifetime(&self) -> Duration {
        let ttl = |record: &FetchedRecord<'_>| Duration::from_secs(record.ttl().as_secs().into());
        let negative = || {
            let of_soa = |record: FetchedRecord<'_>| match record.data() {
                AllRecordData::Soa(soa) => Some(ttl(&record).min(Duration::from_secs(soa.minimum().as_secs().into()))),
                _ => None,
            };
            self.authority().find_map(of_soa).map(|kept| kept.min(MAX_NEGATIVE_TTL))
        };
        if !self.is_conclusive() || self.is_truncated() {
            return Duration::ZERO;
        }
        let smallest = self.answers().map(|record| ttl(&record)).min();
        let asked = self.message.first_question().map(|question| question.qtype());
        let is_of_type =
            |record: FetchedRecord<'_>| asked.is_some_and(|asked| asked == record.rtype() || asked == Rtype::ANY);
        let kept = match self.rcode() {
            Rcode::NOERROR if self.answers().any(is_of_type) => smallest,
            // The CNAMEs before it are there for as long as they say, and what they lead to is not for as long as the SOA says.
            _ => negative().map(|kept| smallest.map_or(kept, |smallest| kept.min(smallest))),
        };
        kept.unwrap_or_default().min(MAX_TTL)
    }
}

/// Answers by name and type, up to so many octets; what would expire first goes first.
#[derive(Debug)]
pub struct Cache {
    entries: HashMap<(Box<Key>, Rtype), Entry>,
    /// The order in which they expire. The number tells entries of one instant apart.
    expiry: BTreeMap<(Duration, u64), (Box<Key>, Rtype)>,
    next: u64,
    room: usize,
    used: usize,
}

#[derive(Debug)]
struct Entry {
    fetched: Fetched,
    stored: Duration,
    expires: (Duration, u64),
    cost: usize,
}

impl Cache {
    /// A cache that holds up to `room` octets.
    pub fn new(room: usize) -> Cache {
        Cache { entries: HashMap::new(), expiry: BTreeMap::new(), next: 0, room, used: 0 }
    }

    /// What is known at `now`, a time since any fixed instant.
    pub fn get(&self, now: Duration, name: &WireName, rtype: Rtype) -> Option<Fetched> {
        let entry = self.entries.get(&(name::key(name), rtype)).filter(|entry| now < entry.expires.0)?;
        Some(Fetched { message: Arc::clone(&entry.fetched.message), age: now.saturating_sub(entry.stored) })
    }

    /// Keeps an answer that arrived at `now`, as long as it may be kept.
    pub fn put(&mut self, now: Duration, name: &WireName, rtype: Rtype, fetched: &Fetched) {
        let lifetime = fetched.lifetime();
        let cost = fetched.message.as_slice().len() + ENTRY_OVERHEAD;
        if lifetime.is_zero() || cost > self.room {
            return;
        }
        let key = (name::key(name), rtype);
        self.remove(&key);
        while self.used + cost > self.room {
            let Some(first) = self.expiry.first_key_value().map(|(_, key)| key.clone()) else { break };
            self.remove(&first);
        }
        let expires = (now + lifetime, self.next);
        self.next += 1;
        self.used += cost;
        self.expiry.insert(expires, key.clone());
        self.entries.insert(key, Entry { fetched: fetched.clone(), stored: now, expires, cost });
    }

    /// Octets held, of those that there is room for.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Entries held, expired ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn remove(&mut self, key: &(Box<Key>, Rtype)) {
        if let Some(entry) = self.entries.remove(key) {
            self.expiry.remove(&entry.expires);
            self.used -= entry.cost;
        }
    }
}

/// The query to send upstream.
pub fn upstream_query(id: u16, name: &WireName, rtype: Rtype) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut question = builder.question();
    // A question has at most 259 octets; a vector takes them.
    let _ = question.push((name, rtype));
    let mut additional = question.additional();
    let _ = additional.opt(|opt| {
        opt.set_udp_payload_size(crate::answer::MAX_UDP as u16);
        Ok(())
    });
    additional.finish()
}
