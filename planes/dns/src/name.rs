//! Domain names: Route 53's text to wire form, and the lowercase wire form that everything is looked up by.
//!
//! A [`Key`] is a name's uncompressed wire form in lowercase. Its suffixes are its ancestors, so walking up a tree is
//! slicing.

use domain::base::Name;
use domain::base::name::ToName;

/// A name as it is spelled, in wire form.
pub type WireName = Name<Vec<u8>>;

/// A name's wire form in lowercase.
pub type Key = [u8];

/// The longest wire form of a name (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;
const MAX_LABEL: usize = 63;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, a dot in front, or nothing at all.
    #[error("it has an empty label")]
    EmptyLabel,
    /// More than 63 octets between dots.
    #[error("it has a label of more than 63 octets")]
    LongLabel,
    /// More than 255 octets in all.
    #[error("it has more than 255 octets")]
    LongName,
    /// A backslash with neither three octal digits nor a punctuation mark after it.
    #[error("it has a broken escape")]
    Escape,
    /// A character that would have to be escaped.
    #[error("it has a character outside printable ASCII")]
    Character,
}

/// Reads a name in Route 53's text form: absolute with or without the final dot, `\ooo` for an octet in octal.
pub fn parse(text: &str) -> Result<WireName, NameError> {
    if text == "." {
        return Ok(Name::root_vec());
    }
    let mut wire = Vec::with_capacity(text.len() + 2);
    let mut label = Vec::new();
    let mut rest = text.as_bytes();
    if rest.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        match octet {
            b'.' => {
                push_label(&mut wire, &mut label)?;
                if rest.is_empty() {
                    break;
                }
            }
            b'\\' => label.push(unescape(&mut rest).ok_or(NameError::Escape)?),
            0x21..=0x7e => label.push(octet),
            _ => return Err(NameError::Character),
        }
        if rest.is_empty() {
            push_label(&mut wire, &mut label)?;
        }
    }
    wire.push(0);
    Name::from_octets(wire).map_err(|_| NameError::LongName)
}

fn push_label(wire: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<(), NameError> {
    match label.len() {
        0 => return Err(NameError::EmptyLabel),
        1..=MAX_LABEL => wire.push(label.len() as u8),
        _ => return Err(NameError::LongLabel),
    }
    wire.append(label);
    if wire.len() >= MAX_NAME { Err(NameError::LongName) } else { Ok(()) }
}

/// Reads what follows a backslash: three octal digits, or a punctuation mark that stands for itself.
pub(crate) fn unescape(rest: &mut &[u8]) -> Option<u8> {
    let octal = |digit: u8| digit.is_ascii_digit().then(|| digit.wrapping_sub(b'0')).filter(|value| *value < 8);
    match **rest {
        [a, b, c, ..] if a.is_ascii_digit() => {
            let value = u16::from(octal(a)?) * 64 + u16::from(octal(b)?) * 8 + u16::from(octal(c)?);
            *rest = &rest[3..];
            u8::try_from(value).ok()
        }
        [mark, ..] if mark.is_ascii_punctuation() => {
            *rest = &rest[1..];
            Some(mark)
        }
        _ => None,
    }
}

/// A name in Route 53's text form, with the final dot: what [`parse`] reads back.
pub fn format(key: &Key) -> String {
    if key == [0] {
        return ".".to_owned();
    }
    let mut text = String::with_capacity(key.len());
    for label in ancestors(key).filter(|rest| rest[0] != 0).map(|rest| &rest[1..=usize::from(rest[0])]) {
        for &octet in label {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(octet)),
                _ => text.push_str(&format!("\\{octet:03o}")),
            }
        }
        text.push('.');
    }
    text
}

/// The key of a name.
pub fn key(name: &impl ToName) -> Box<Key> {
    let mut buffer = KeyBuffer::new();
    buffer.fill(name);
    buffer.key().into()
}

/// Room for one key, so that a query's name is looked up without allocating.
pub(crate) struct KeyBuffer {
    octets: [u8; MAX_NAME],
    len: usize,
}

impl KeyBuffer {
    pub(crate) fn new() -> Self {
        KeyBuffer { octets: [0; MAX_NAME], len: 1 }
    }

    /// Takes a name in. An absolute name has at most 255 octets: `ToName` guarantees it.
    pub(crate) fn fill(&mut self, name: &impl ToName) {
        self.len = 0;
        for label in name.iter_labels() {
            let octets = label.as_slice();
            let end = self.len + 1 + octets.len();
            self.octets[self.len] = octets.len() as u8;
            self.octets[self.len + 1..end].copy_from_slice(octets);
            self.octets[self.len + 1..end].make_ascii_lowercase();
            self.len = end;
        }
    }

    /// Makes this the wildcard directly below `parent`; says no where that would be no name.
    pub(crate) fn wildcard(&mut self, parent: &Key) -> bool {
        let len = parent.len() + 2;
        if len > MAX_NAME {
            return false;
        }
        self.octets[..2].copy_from_slice(b"\x01*");
        self.octets[2..len].copy_from_slice(parent);
        self.len = len;
        true
    }

    pub(crate) fn key(&self) -> &Key {
        &self.octets[..self.len]
    }
}

/// The name without its first label; the root has none.
pub(crate) fn parent(key: &Key) -> Option<&Key> {
    match key {
        [0] | [] => None,
        [len, ..] => key.get(1 + usize::from(*len)..),
    }
}

/// The name itself, its parent, and so on up to the root.
pub(crate) fn ancestors(key: &Key) -> impl Iterator<Item = &Key> {
    std::iter::successors(Some(key), |name| parent(name))
}

/// Whether `key` is `apex` or below it.
pub(crate) fn is_within(key: &Key, apex: &Key) -> bool {
    ancestors(key).any(|name| name == apex)
}
