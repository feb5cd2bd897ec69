//! CBOR (RFC 8949) as Smithy's RPC v2 uses it: a tree to read, with the bounds checked while it grows, and written from
//! a structure.

use crate::bounds::{Bounds, Meter, Unreadable};
use crate::facts::{ListFacts, MapFacts, MemberFacts, StructureFacts};
use crate::node::{Node, Scalar};
use crate::{Structure, Time, View};
use std::borrow::Cow;

/// A data item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Integer(i128),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Item>),
    Map(Vec<(String, Item)>),
    /// Tag 1: an instant.
    Time(Time),
    Boolean(bool),
    Null,
    Float(f64),
}

/// Parses a body; an empty one is an empty map.
pub(crate) fn parse(body: &[u8], bounds: &Bounds) -> Result<Item, Unreadable> {
    if body.is_empty() {
        return Ok(Item::Map(Vec::new()));
    }
    let mut reader = Reader { rest: body, meter: Meter::new(bounds) };
    let item = reader.item(1)?;
    if reader.rest.is_empty() { Ok(item) } else { Err(syntax("bytes after the end")) }
}

fn syntax(what: &str) -> Unreadable {
    Unreadable::Syntax(what.to_owned())
}

struct Reader<'a> {
    rest: &'a [u8],
    meter: Meter,
}

/// What an initial byte says: major type, and the argument; `None` is an indefinite length.
struct Head {
    major: u8,
    info: u8,
    argument: Option<u64>,
}

const BREAK: u8 = 0xff;

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], Unreadable> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.rest.len());
        let (taken, rest) = self.rest.split_at(count.ok_or_else(|| syntax("it ends too early"))?);
        self.rest = rest;
        Ok(taken)
    }

    fn head(&mut self) -> Result<Head, Unreadable> {
        let initial = self.take(1)?[0];
        let (major, info) = (initial >> 5, initial & 31);
        let argument = match info {
            0..=23 => Some(u64::from(info)),
            24..=27 => Some(self.take(1 << (info - 24))?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))),
            31 if (2..=5).contains(&major) => None,
            _ => return Err(syntax("a reserved initial byte")),
        };
        Ok(Head { major, info, argument })
    }

    /// Whether the items of an array or map are over.
    fn done(&mut self, left: &mut Option<u64>) -> bool {
        match left {
            Some(0) => true,
            Some(count) => {
                *count -= 1;
                false
            }
            None if self.rest.first() == Some(&BREAK) => {
                self.rest = &self.rest[1..];
                true
            }
            None => false,
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item, Unreadable> {
        self.meter.count(depth)?;
        let head = self.head()?;
        match (head.major, head.argument) {
            (0, Some(value)) => Ok(Item::Integer(i128::from(value))),
            (1, Some(value)) => Ok(Item::Integer(-1 - i128::from(value))),
            (2, length) => Ok(Item::Bytes(self.string(2, length)?)),
            (3, length) => self.text(length).map(Item::Text),
            (4, mut left) => {
                let mut items = Vec::new();
                while !self.done(&mut left) {
                    items.push(self.item(depth + 1)?);
                }
                Ok(Item::Array(items))
            }
            (5, mut left) => {
                let mut entries = Vec::new();
                while !self.done(&mut left) {
                    let key = self.head()?;
                    if key.major != 3 {
                        return Err(syntax("a key that is no text"));
                    }
                    let key = self.text(key.argument)?;
                    entries.push((key, self.item(depth + 1)?));
                }
                Ok(Item::Map(entries))
            }
            (6, Some(1)) => {
                let time = match self.item(depth + 1)? {
                    Item::Integer(value) => Time::from_secs_f64(value as f64),
                    Item::Float(value) => Time::from_secs_f64(value),
                    _ => None,
                };
                time.map(Item::Time).ok_or_else(|| syntax("an instant that is none"))
            }
            (6, Some(_)) => self.item(depth + 1),
            (7, Some(bits)) => match head.info {
                20 => Ok(Item::Boolean(false)),
                21 => Ok(Item::Boolean(true)),
                22 | 23 => Ok(Item::Null),
                25 => Ok(Item::Float(half(bits))),
                26 => Ok(Item::Float(f64::from(f32::from_bits((bits & 0xffff_ffff) as u32)))),
                27 => Ok(Item::Float(f64::from_bits(bits))),
                _ => Err(syntax("a simple value of no meaning")),
            },
            _ => Err(syntax("a reserved initial byte")),
        }
    }

    fn text(&mut self, length: Option<u64>) -> Result<String, Unreadable> {
        String::from_utf8(self.string(3, length)?).map_err(|_| syntax("text that is not UTF-8"))
    }

    fn string(&mut self, major: u8, length: Option<u64>) -> Result<Vec<u8>, Unreadable> {
        if let Some(length) = length {
            return self.take(length).map(<[u8]>::to_vec);
        }
        let mut out = Vec::new();
        while !self.done(&mut None) {
            let chunk = self.head()?;
            match chunk.argument {
                Some(length) if chunk.major == major => out.extend_from_slice(self.take(length)?),
                _ => return Err(syntax("a chunk of another type")),
            }
        }
        Ok(out)
    }
}

/// An IEEE 754 half as a double.
fn half(bits: u64) -> f64 {
    let (sign, exponent, mantissa) = (bits >> 15 & 1, (bits >> 10 & 31) as i32, (bits & 1_023) as f64);
    let magnitude = match exponent {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1_024.0 + mantissa) * 2_f64.powi(exponent - 25),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

impl<'a> Node for &'a Item {
    fn is_structure(&self) -> bool {
        matches!(self, Item::Map(_))
    }

    fn member(&self, facts: &MemberFacts) -> Option<Self> {
        let item: &'a Item = self;
        let Item::Map(entries) = item else { return None };
        entries.iter().find(|(key, item)| key == facts.name && *item != Item::Null).map(|(_, item)| item)
    }

    fn strangers(&self, _: &StructureFacts) -> Vec<String> {
        Vec::new()
    }

    fn items(&self, _: &ListFacts) -> Option<Vec<Self>> {
        let item: &'a Item = self;
        let Item::Array(items) = item else { return None };
        Some(items.iter().collect())
    }

    fn entries(&self, _: &MapFacts) -> Option<Vec<(String, Self)>> {
        let item: &'a Item = self;
        let Item::Map(entries) = item else { return None };
        Some(entries.iter().filter(|(_, item)| *item != Item::Null).map(|(key, item)| (key.clone(), item)).collect())
    }

    fn scalar(&self) -> Scalar<'_> {
        match self {
            Item::Integer(value) => i64::try_from(*value).map_or(Scalar::Other("an integer"), Scalar::Integer),
            Item::Bytes(bytes) => Scalar::Bytes(bytes),
            Item::Text(text) => Scalar::Text(Cow::Borrowed(text)),
            Item::Array(_) => Scalar::Other("[...]"),
            Item::Map(_) => Scalar::Other("{...}"),
            Item::Time(time) => Scalar::Time(*time),
            Item::Boolean(value) => Scalar::Boolean(*value),
            Item::Null => Scalar::Other("null"),
            Item::Float(value) => Scalar::Double(*value),
        }
    }
}

/// A structure as a map.
pub(crate) fn write(out: &mut Vec<u8>, structure: &dyn Structure) {
    out.push(0xbf);
    for (index, facts) in structure.facts().members.iter().enumerate() {
        let view = structure.view(index);
        let absent = match view {
            View::Absent => true,
            View::Map(map) => map.is_empty(),
            _ => false,
        };
        if !absent {
            write_text(out, facts.name);
            write_view(out, view);
        }
    }
    out.push(BREAK);
}

fn write_view(out: &mut Vec<u8>, view: View<'_>) {
    match view {
        View::Absent => out.push(0xf6),
        View::Boolean(value) => out.push(if value { 0xf5 } else { 0xf4 }),
        View::Integer(value) if value < 0 => write_head(out, 1, !(value as u64)),
        View::Integer(value) => write_head(out, 0, value as u64),
        View::Double(value) => write_double(out, value),
        View::String(value) => write_text(out, value),
        View::Time(value) => {
            write_head(out, 6, 1);
            write_double(out, value.secs_f64());
        }
        View::Blob(bytes) => {
            write_head(out, 2, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        View::Structure(structure) => write(out, structure),
        View::List(list) => {
            write_head(out, 4, list.len() as u64);
            for index in 0..list.len() {
                write_view(out, list.get(index));
            }
        }
        View::Map(map) => {
            write_head(out, 5, map.len() as u64);
            map.each(&mut |key, view| {
                write_text(out, key);
                write_view(out, view);
            });
        }
    }
}

pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_head(out, 3, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn write_double(out: &mut Vec<u8>, value: f64) {
    out.push(0xfb);
    out.extend_from_slice(&value.to_bits().to_be_bytes());
}

pub(crate) fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let bytes = argument.to_be_bytes();
    let (info, tail) = match argument {
        0..=23 => (argument as u8, 8),
        24..=0xff => (24, 7),
        0x100..=0xffff => (25, 6),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 0),
    };
    out.push(major << 5 | info);
    out.extend_from_slice(&bytes[tail..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Item, Unreadable> {
        parse(bytes, &Bounds::default())
    }

    #[test]
    fn the_examples_of_rfc_8949_read() {
        for (bytes, item) in [
            (&[0x18, 0x64][..], Item::Integer(100)),
            (&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255], Item::Integer(-18_446_744_073_709_551_616)),
            (&[0xf9, 0x3e, 0x00], Item::Float(1.5)),
            (&[0xf9, 0x00, 0x01], Item::Float(5.960_464_477_539_063e-8)),
            (&[0xf9, 0xfc, 0x00], Item::Float(f64::NEG_INFINITY)),
            (&[0xfa, 0x47, 0xc3, 0x50, 0x00], Item::Float(100_000.0)),
            (&[0xc1, 0x1a, 0x51, 0x4b, 0x67, 0xb0], Item::Time(Time::from_secs(1_363_896_240))),
            (
                &[0x7f, 0x65, 0x73, 0x74, 0x72, 0x65, 0x61, 0x64, 0x6d, 0x69, 0x6e, 0x67, 0xff],
                Item::Text("streaming".into()),
            ),
            (
                &[0x9f, 0x01, 0x82, 0x02, 0x03, 0xff],
                Item::Array(vec![Item::Integer(1), Item::Array(vec![Item::Integer(2), Item::Integer(3)])]),
            ),
            (&[0xbf, 0x61, 0x61, 0xf5, 0xff], Item::Map(vec![("a".into(), Item::Boolean(true))])),
        ] {
            assert_eq!(read(bytes), Ok(item));
        }
    }

    #[test]
    fn what_lies_about_its_length_costs_nothing() {
        for bytes in [
            &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255][..],
            &[0x5b, 255, 255, 255, 255, 255, 255, 255, 255, 0],
            &[0xbf, 0x61],
            &[0x1c],
            &[0x01, 0x01],
            &[0xa1, 0x01, 0x01],
        ] {
            assert!(matches!(read(bytes), Err(Unreadable::Syntax(_))), "{bytes:x?}");
        }
        assert_eq!(read(&[0x81; 100]), Err(Unreadable::TooDeep(32)));
        let many = [vec![0x9f], vec![0; 100_000], vec![0xff]].concat();
        assert_eq!(read(&many), Err(Unreadable::TooMany(100_000)));
    }
}
