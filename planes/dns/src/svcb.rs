//! HTTPS and SVCB values (RFC 9460): a priority, a target, and parameters, which on the wire are in the order of their numbers,
//! each at most once.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::name;
use crate::rdata::{Fields, Problem, Wire, number};

/// The parameters that have names (RFC 9460, 14.3.2; RFC 9461), by number. `ech` goes by its number only: its text is base64.
const NAMES: [(&str, u16); 7] =
    [("mandatory", 0), ("alpn", 1), ("no-default-alpn", 2), ("port", 3), ("ipv4hint", 4), ("ech", 5), ("ipv6hint", 6)];

/// The number that no parameter may have.
const INVALID: u16 = 65_535;

/// Reads a whole value.
pub(crate) fn parse(fields: &mut Fields<'_>, wire: &mut Wire) -> Result<(), Problem> {
    let priority: u16 = fields.number()?;
    wire.u16(priority);
    wire.name(fields.word()?)?;
    let mut parameters: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    while !fields.is_empty() {
        let (key, value) = parameter(fields.parameter()?)?;
        if parameters.insert(key, value).is_some() {
            return Err("a parameter is there twice");
        }
    }
    if priority == 0 && !parameters.is_empty() {
        return Err("an alias, whose priority is 0, has no parameters");
    }
    check(&parameters)?;
    for (key, value) in parameters {
        wire.u16(key);
        wire.u16(u16::try_from(value.len()).map_err(|_| "too long")?);
        wire.0.extend_from_slice(&value);
    }
    Ok(())
}

fn key_of(name: &[u8]) -> Option<u16> {
    let name = std::str::from_utf8(name).ok()?;
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, key)| *key);
    let numbered = || name.strip_prefix("key").filter(|digits| !digits.starts_with('0') || digits.len() == 1);
    known.or_else(|| number(numbered()?).ok().filter(|key| *key != INVALID))
}

/// `name` or `name=value`, the value in quotation marks or not.
fn parameter(word: &[u8]) -> Result<(u16, Vec<u8>), Problem> {
    let equals = word.iter().position(|octet| *octet == b'=');
    let (name, value) = equals.map_or((word, None), |at| (&word[..at], Some(&word[at + 1..])));
    let key = key_of(name).ok_or("a parameter that is none")?;
    let value = match value {
        None => Vec::new(),
        Some(value) => unquoted(value)?,
    };
    let value = match (key, value.is_empty()) {
        (2, true) => Vec::new(),
        (2, false) => return Err("no-default-alpn has no value"),
        (0..=6, true) => return Err("a parameter without a value"),
        (0, _) => mandatory(&value)?,
        (1, _) => protocols(&value)?,
        (3, _) => text(&value).and_then(number::<u16>)?.to_be_bytes().to_vec(),
        (4, _) => hints(&value, |hint| hint.parse::<Ipv4Addr>().ok().map(|address| address.octets().to_vec()))?,
        (5, _) => return Err("ech is to be given by its number, key5"),
        (6, _) => hints(&value, |hint| hint.parse::<Ipv6Addr>().ok().map(|address| address.octets().to_vec()))?,
        _ => value,
    };
    Ok((key, value))
}

/// Escapes are kept where a list reads them once more.
fn unquoted(value: &[u8]) -> Result<Vec<u8>, Problem> {
    let inner = match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    };
    let (mut out, mut rest) = (Vec::with_capacity(inner.len()), inner);
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        match octet {
            b'"' => return Err("a stray quotation mark"),
            b'\\' => out.push(name::unescape(&mut rest).ok_or("a broken escape")?),
            _ => out.push(octet),
        }
    }
    Ok(out)
}

fn text(value: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(value).map_err(|_| "not text")
}

/// Names of parameters, in the order of their numbers.
fn mandatory(value: &[u8]) -> Result<Vec<u8>, Problem> {
    let keys = value.split(|octet| *octet == b',').map(key_of);
    let mut keys = keys.collect::<Option<Vec<u16>>>().ok_or("a parameter that is none")?;
    keys.sort_unstable();
    if keys.contains(&0) || keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("mandatory names itself, or one parameter twice");
    }
    Ok(keys.into_iter().flat_map(u16::to_be_bytes).collect())
}

/// Protocols, each with its length. A comma in one is behind a backslash.
fn protocols(value: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut all = vec![Vec::new()];
    let mut rest = value;
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        match (octet, all.last_mut()) {
            (b',', _) => all.push(Vec::new()),
            (b'\\', Some(last)) => last.push(name::unescape(&mut rest).ok_or("a broken escape")?),
            (_, Some(last)) => last.push(octet),
            (_, None) => {}
        }
    }
    let mut wire = Wire(Vec::with_capacity(value.len() + 1));
    for protocol in all {
        if protocol.is_empty() {
            return Err("an empty protocol");
        }
        wire.text(&protocol)?;
    }
    Ok(wire.0)
}

fn hints(value: &[u8], read: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Vec<u8>, Problem> {
    let addresses = text(value)?.split(',').map(read);
    Ok(addresses.collect::<Option<Vec<_>>>().ok_or("a hint that is no address of its kind")?.concat())
}

/// What parameters say of each other.
fn check(parameters: &BTreeMap<u16, Vec<u8>>) -> Result<(), Problem> {
    if parameters.contains_key(&2) && !parameters.contains_key(&1) {
        return Err("no-default-alpn needs alpn");
    }
    let mandatory = parameters.get(&0).into_iter().flat_map(|keys| keys.chunks_exact(2));
    let mut keys = mandatory.map(|key| u16::from_be_bytes([key[0], key[1]]));
    if keys.all(|key| parameters.contains_key(&key)) { Ok(()) } else { Err("a mandatory parameter is missing") }
}
