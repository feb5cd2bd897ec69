//! The values of a record set as they are served: in wire form, in one piece, so that answering is copying and a record costs
//! little more than its octets.
//!
//! Each value has six octets before it: its length, how much of it comes before its zone's apex where it ends with that (and may be
//! compressed), where in it the name that it points at begins, and whether that name follows once more in lowercase, as the key
//! it is looked up by.

use std::net::IpAddr;

use domain::base::iana::Class;
use domain::base::{Rtype, Ttl};

use crate::name::{self, Key};
use crate::rdata;

/// What is before each value.
const HEAD: usize = 6;

/// Says that there is none.
const NONE_16: u16 = u16::MAX;
const NONE_8: u8 = u8::MAX;

/// The values of one record set.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    /// Type, class and TTL.
    fixed: [u8; 8],
    count: u16,
    packed: Box<[u8]>,
}

/// One record of a set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Type, class and TTL.
    pub(crate) fixed: [u8; 8],
    /// The data, no name in it compressed.
    pub(crate) rdata: &'a [u8],
    /// How much of the data is before its zone's apex, where it ends with that and may be compressed (RFC 3597, 4).
    pub(crate) before_apex: Option<usize>,
    /// The name that it points at.
    pub(crate) target: Option<Target<'a>>,
}

/// The name that a CNAME, MX, NS or SRV record points at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// As it is spelled, in wire form.
    pub(crate) name: &'a [u8],
    /// As it is looked up.
    pub(crate) key: &'a Key,
    /// Where in the data it begins.
    pub(crate) offset: usize,
}

impl Records {
    /// Packs the data of one set's records; nothing where there are more than a set can have.
    pub(crate) fn new(rtype: Rtype, ttl: Ttl, data: &[Vec<u8>], apex: &Key) -> Option<Records> {
        let count = u16::try_from(data.len()).ok()?;
        let mut packed = Vec::with_capacity(data.iter().map(|rdata| HEAD + rdata.len()).sum());
        for rdata in data {
            let len = u16::try_from(rdata.len()).ok().filter(|len| *len < NONE_16)?;
            let offset = rdata::target_offset(rtype);
            let target = offset.and_then(|offset| rdata::name_at(rdata, offset));
            let lower = target.map(<[u8]>::to_ascii_lowercase);
            let compressible = lower
                .as_ref()
                .filter(|lower| rdata::may_be_compressed(rtype) && name::is_within(lower, apex))
                .map(|_| len - apex.len() as u16);
            let folded = lower.filter(|lower| Some(lower.as_slice()) != target);
            packed.extend_from_slice(&len.to_be_bytes());
            packed.extend_from_slice(&compressible.unwrap_or(NONE_16).to_be_bytes());
            // Targets begin within the first six octets of data.
            packed.push(target.and(offset).map_or(NONE_8, |offset| offset as u8));
            packed.push(u8::from(folded.is_some()));
            packed.extend_from_slice(rdata);
            packed.extend_from_slice(&folded.unwrap_or_default());
        }
        let [a, b] = rtype.to_int().to_be_bytes();
        let [c, d] = Class::IN.to_int().to_be_bytes();
        let [e, f, g, h] = ttl.as_secs().to_be_bytes();
        Some(Records { fixed: [a, b, c, d, e, f, g, h], count, packed: packed.into() })
    }

    /// The records, in the order in which they were configured.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Record<'_>> + Clone {
        Iter { fixed: self.fixed, rest: &self.packed }
    }

    /// All records, beginning with one that the draw chooses.
    pub(crate) fn rotated(&self, draw: u64) -> impl Iterator<Item = Record<'_>> {
        let first = if self.count < 2 { 0 } else { (draw % u64::from(self.count)) as usize };
        self.iter().skip(first).chain(self.iter().take(first))
    }

    /// The same record set with another TTL.
    pub(crate) fn with_ttl(&self, ttl: u32) -> Records {
        let mut other = self.clone();
        other.fixed[4..].copy_from_slice(&ttl.to_be_bytes());
        other
    }

    /// For how long they may be kept, in seconds.
    pub(crate) fn ttl(&self) -> u32 {
        let [.., a, b, c, d] = self.fixed;
        u32::from_be_bytes([a, b, c, d])
    }
}

struct Iter<'a> {
    fixed: [u8; 8],
    rest: &'a [u8],
}

impl Clone for Iter<'_> {
    fn clone(&self) -> Self {
        Iter { fixed: self.fixed, rest: self.rest }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let [a, b, c, d, offset, folded, rest @ ..] = self.rest else { return None };
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*a, *b])))?;
        let before_apex = Some(u16::from_be_bytes([*c, *d])).filter(|before| *before != NONE_16).map(usize::from);
        let name = Some(usize::from(*offset)).filter(|_| *offset != NONE_8);
        let name = name.and_then(|offset| Some((offset, rdata::name_at(rdata, offset)?)));
        self.rest = rest;
        let target = name.map(|(offset, name)| {
            let mut key = name;
            if *folded != 0 {
                (key, self.rest) = rest.split_at(name.len().min(rest.len()));
            }
            Target { name, key, offset }
        });
        Some(Record { fixed: self.fixed, rdata, before_apex, target })
    }
}

impl Record<'_> {
    /// The address in an A or AAAA record.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match Rtype::from_int(u16::from_be_bytes([self.fixed[0], self.fixed[1]])) {
            Rtype::A => <[u8; 4]>::try_from(self.rdata).ok().map(IpAddr::from),
            Rtype::AAAA => <[u8; 16]>::try_from(self.rdata).ok().map(IpAddr::from),
            _ => None,
        }
    }
}
