//! Where names stand in a message, so that each is written once and pointed at from then on.
//!
//! A general compressor looks for every name that it writes among all names written; that cost more than the rest of an answer.
//! Here it is known beforehand: the question stands at octet 12, the apex of its zone is a suffix of it, and an owner that is not
//! the question was the target of the record before. Records fetched from upstream go through the crate's own compressor.

use domain::base::message_builder::StaticCompressor;
use domain::base::record::ComposeRecord;
use domain::base::wire::Composer;
use smallvec::SmallVec;

use crate::lookup::Owner;
use crate::name::Key;
use crate::records::{Record, Target};
use crate::snapshot::Zone;

/// What messages are written into.
pub(crate) type Compressor = StaticCompressor<Vec<u8>>;

/// Where the question begins.
const QUESTION: usize = 12;

/// The octets between a record's beginning and its data, where its owner is a pointer.
const TO_RDATA: usize = 2 + 10;

/// Octets that can be pointed at (RFC 1035, 4.1.4).
const POINTABLE: usize = 0x4000;

/// A name: where it stands, or, where that can't be pointed at, how it is spelled.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    At(u16),
    Spelled(&'a [u8]),
}

/// What is known of one message's names.
pub(crate) struct Places<'q, 'a> {
    question: &'q Key,
    /// The targets of the records written, where they stand.
    targets: SmallVec<[(usize, Target<'a>); 8]>,
}

impl<'q, 'a> Places<'q, 'a> {
    pub(crate) fn new(question: &'q Key) -> Places<'q, 'a> {
        Places { question, targets: SmallVec::new() }
    }

    /// Where a name stands that may be the question's or one above it.
    pub(crate) fn place<'n>(&self, name: &'n [u8]) -> Place<'n> {
        let at = self.question.len().checked_sub(name.len());
        match at {
            // A question has at most 255 octets.
            Some(at) if self.question[at..].eq_ignore_ascii_case(name) => Place::At((QUESTION + at) as u16),
            _ => Place::Spelled(name),
        }
    }

    /// Where an owner stands.
    pub(crate) fn owner(&self, owner: Owner<'a>) -> Place<'a> {
        match owner {
            Owner::Question => Place::At(QUESTION as u16),
            Owner::Target(name) => {
                let known = self.targets.iter().find(|(_, target)| owner.is(target));
                known.and_then(|(at, _)| pointer(*at)).map_or(Place::Spelled(name.name), Place::At)
            }
        }
    }

    /// Where the apex of a zone stands, if it stands in the question.
    pub(crate) fn apex(&self, zone: &Zone) -> Option<u16> {
        match self.place(&zone.apex_key) {
            Place::At(at) => Some(at),
            Place::Spelled(_) => None,
        }
    }

    /// Remembers where the target of a record will stand that is written at `at`.
    pub(crate) fn remember(&mut self, at: usize, owner: Place<'_>, record: &Record<'a>) {
        if let Some(target) = record.target {
            let owner_len = match owner {
                Place::At(_) => 2,
                Place::Spelled(name) => name.len(),
            };
            self.targets.push((at + owner_len + TO_RDATA - 2 + target.offset, target));
        }
    }

    /// From here on only the name servers of a delegation count as targets: what leads there is for those to say.
    pub(crate) fn forget_targets(&mut self) {
        self.targets.clear();
    }

    /// The names pointed at by the records written.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (Place<'a>, Target<'a>)> {
        self.targets.iter().map(|(at, target)| (pointer(*at).map_or(Place::Spelled(target.name), Place::At), *target))
    }
}

fn pointer(at: usize) -> Option<u16> {
    u16::try_from(at).ok().filter(|_| at < POINTABLE)
}

/// A record with its owner.
pub(crate) struct Written<'a> {
    pub(crate) owner: Place<'a>,
    pub(crate) record: Record<'a>,
    /// Where the apex of the record's zone stands.
    pub(crate) apex: Option<u16>,
}

impl ComposeRecord for Written<'_> {
    fn compose_record<Target: Composer + ?Sized>(&self, target: &mut Target) -> Result<(), Target::AppendError> {
        match self.owner {
            Place::At(at) => target.append_slice(&(0xc000 | at).to_be_bytes())?,
            Place::Spelled(name) => target.append_slice(name)?,
        }
        target.append_slice(&self.record.fixed)?;
        let rdata = self.record.rdata;
        match (self.record.before_apex, self.apex) {
            (Some(before), Some(apex)) => {
                // Data is at most 65,535 octets long, and this is a part of it.
                target.append_slice(&(before as u16 + 2).to_be_bytes())?;
                target.append_slice(&rdata[..before])?;
                target.append_slice(&(0xc000 | apex).to_be_bytes())
            }
            _ => {
                target.append_slice(&(rdata.len() as u16).to_be_bytes())?;
                target.append_slice(rdata)
            }
        }
    }
}
