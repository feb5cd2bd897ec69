//! Record values: Route 53's presentation text to wire form.
//!
//! It differs from a zone file's: names are absolute without a final dot, escapes are octal, and there are no comments and
//! no parentheses. (Developer Guide: "Supported DNS record types", "DNS domain name format".)

use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::Rtype;

use crate::name;
use crate::svcb;

/// RFC 4408 gave SPF its own type, RFC 7208 took it away; Route 53 still has it.
pub(crate) const SPF: Rtype = Rtype::from_int(99);

/// What is wrong with a value.
pub(crate) type Problem = &'static str;

/// The type of that name, if it is served.
pub(crate) fn record_type(text: &str) -> Option<Rtype> {
    Some(match text {
        "A" => Rtype::A,
        "AAAA" => Rtype::AAAA,
        "CAA" => Rtype::CAA,
        "CNAME" => Rtype::CNAME,
        "DS" => Rtype::DS,
        "HTTPS" => Rtype::HTTPS,
        "MX" => Rtype::MX,
        "NAPTR" => Rtype::NAPTR,
        "NS" => Rtype::NS,
        "PTR" => Rtype::PTR,
        "SOA" => Rtype::SOA,
        "SPF" => SPF,
        "SRV" => Rtype::SRV,
        "SSHFP" => Rtype::SSHFP,
        "SVCB" => Rtype::SVCB,
        "TLSA" => Rtype::TLSA,
        "TXT" => Rtype::TXT,
        _ => return None,
    })
}

/// Where in its data a record of a type has the name that it points at, if that is followed or its addresses go along (Developer
/// Guide, "DNS constraints and behaviors": CNAME, MX, NS, SRV).
pub(crate) fn target_offset(rtype: Rtype) -> Option<usize> {
    match rtype {
        Rtype::CNAME | Rtype::NS => Some(0),
        Rtype::MX => Some(2),
        Rtype::SRV => Some(6),
        _ => None,
    }
}

/// Whether names in data of this type may be compressed (RFC 3597, 4).
pub(crate) fn may_be_compressed(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::CNAME | Rtype::NS | Rtype::MX)
}

/// The uncompressed name that begins there; nothing where it is none. A name that is no record's target is the root.
pub(crate) fn name_at(rdata: &[u8], offset: usize) -> Option<&[u8]> {
    let octets = rdata.get(offset..)?;
    let mut len = 0;
    loop {
        match *octets.get(len)? {
            0 => return octets.get(..=len),
            label => len += 1 + usize::from(label),
        }
    }
}

/// Reads one value of a type to wire form, or says what is wrong with it.
pub(crate) fn parse(rtype: Rtype, text: &str) -> Result<Vec<u8>, Problem> {
    let mut fields = Fields { rest: text.as_bytes().trim_ascii() };
    let mut wire = Wire(Vec::with_capacity(16));
    match rtype {
        Rtype::TXT | SPF => wire.0 = character_strings(text.as_bytes())?,
        Rtype::A => {
            let address: Ipv4Addr = fields.word()?.parse().map_err(|_| "not an IPv4 address")?;
            wire.0.extend_from_slice(&address.octets());
        }
        Rtype::AAAA => {
            let address: Ipv6Addr = fields.word()?.parse().map_err(|_| "not an IPv6 address")?;
            wire.0.extend_from_slice(&address.octets());
        }
        Rtype::CNAME | Rtype::NS | Rtype::PTR => wire.name(fields.word()?)?,
        Rtype::MX => {
            wire.u16(fields.number()?);
            wire.name(fields.word()?)?;
        }
        Rtype::SRV => {
            wire.u16s(3, &mut fields)?;
            wire.name(fields.word()?)?;
        }
        Rtype::SOA => {
            (0..2).try_for_each(|_| wire.name(fields.word()?))?;
            wire.u32s(5, &mut fields)?;
        }
        Rtype::CAA => caa(&mut fields, &mut wire)?,
        Rtype::DS => {
            wire.u16(fields.number()?);
            wire.u8s(2, &mut fields)?;
            wire.hexadecimal(&mut fields)?;
        }
        Rtype::SSHFP => {
            wire.u8s(2, &mut fields)?;
            wire.hexadecimal(&mut fields)?;
        }
        Rtype::TLSA => {
            wire.u8s(3, &mut fields)?;
            wire.hexadecimal(&mut fields)?;
        }
        Rtype::NAPTR => {
            wire.u16s(2, &mut fields)?;
            (0..3).try_for_each(|_| wire.text(&fields.text()?))?;
            wire.name(fields.word()?)?;
        }
        Rtype::HTTPS | Rtype::SVCB => svcb::parse(&mut fields, &mut wire)?,
        _ => return Err("a type that is not served"),
    }
    match fields.rest {
        _ if matches!(rtype, Rtype::TXT | SPF) => {}
        [] => {}
        _ => return Err("more fields than the type has"),
    }
    if wire.0.len() < usize::from(u16::MAX) { Ok(wire.0) } else { Err("too long") }
}

/// Texts as a value has them, each in quotation marks.
pub(crate) fn shown_texts(mut data: &[u8]) -> String {
    let mut texts = Vec::new();
    while let Some((text, rest)) = data.split_first().and_then(|(len, rest)| rest.split_at_checked(usize::from(*len))) {
        let shown = |octet: &u8| match octet {
            b'"' | b'\\' => format!("\\{}", char::from(*octet)),
            b' '..=b'~' => char::from(*octet).to_string(),
            _ => format!("\\{octet:03o}"),
        };
        texts.push(format!("\"{}\"", text.iter().map(shown).collect::<String>()));
        data = rest;
    }
    texts.join(" ")
}

/// So many numbers of eight bits, and the rest in hexadecimal digits.
pub(crate) fn shown_digest(data: &[u8], numbers: usize) -> String {
    let (numbers, digest) = data.split_at(numbers.min(data.len()));
    let digest: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    numbers.iter().map(ToString::to_string).chain([digest]).collect::<Vec<_>>().join(" ")
}

/// A CAA value's text goes without a length: it is what is left.
fn caa(fields: &mut Fields<'_>, wire: &mut Wire) -> Result<(), Problem> {
    wire.u8(fields.number()?);
    let tag = fields.word()?;
    if tag.is_empty() || !tag.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return Err("the tag has other than letters and digits");
    }
    wire.text(tag.as_bytes())?;
    wire.0.extend_from_slice(&fields.text()?);
    Ok(())
}

/// A value's fields, one after the other.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Whether there is one more.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What there is up to the next blank.
    pub(crate) fn word(&mut self) -> Result<&'a str, Problem> {
        let end = self.rest.iter().position(u8::is_ascii_whitespace).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_ascii_start();
        if word.is_empty() {
            return Err("fewer fields than the type has");
        }
        std::str::from_utf8(word).map_err(|_| "not text")
    }

    /// A number in digits alone.
    pub(crate) fn number<N: std::str::FromStr>(&mut self) -> Result<N, Problem> {
        number(self.word()?)
    }

    /// A text of up to 255 octets, in quotation marks or not.
    pub(crate) fn text(&mut self) -> Result<Vec<u8>, Problem> {
        if self.rest.is_empty() {
            return Err("fewer fields than the type has");
        }
        let text = one_text(&mut self.rest)?;
        if text.len() > 255 { Err("a text of more than 255 octets") } else { Ok(text) }
    }

    /// A word, of which a part may be in quotation marks: what stands in them keeps its blanks.
    pub(crate) fn parameter(&mut self) -> Result<&'a [u8], Problem> {
        let (mut quoted, mut escaped) = (false, false);
        let ends = |octet: &u8| {
            match (*octet, escaped) {
                (_, true) => escaped = false,
                (b'\\', _) => escaped = true,
                (b'"', _) => quoted = !quoted,
                _ => return !quoted && octet.is_ascii_whitespace(),
            }
            false
        };
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        if quoted {
            return Err("a quotation mark is missing");
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_ascii_start();
        Ok(word)
    }
}

/// A number in digits alone: no sign, no blank.
pub(crate) fn number<N: std::str::FromStr>(text: &str) -> Result<N, Problem> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or("not a number in range")
}

/// Data as it grows.
pub(crate) struct Wire(pub(crate) Vec<u8>);

impl Wire {
    pub(crate) fn u8(&mut self, number: u8) {
        self.0.push(number);
    }

    pub(crate) fn u16(&mut self, number: u16) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    /// So many numbers of eight bits.
    fn u8s(&mut self, count: usize, fields: &mut Fields<'_>) -> Result<(), Problem> {
        for _ in 0..count {
            self.u8(fields.number()?);
        }
        Ok(())
    }

    fn u16s(&mut self, count: usize, fields: &mut Fields<'_>) -> Result<(), Problem> {
        for _ in 0..count {
            self.u16(fields.number()?);
        }
        Ok(())
    }

    fn u32s(&mut self, count: usize, fields: &mut Fields<'_>) -> Result<(), Problem> {
        for _ in 0..count {
            self.u32(fields.number()?);
        }
        Ok(())
    }

    pub(crate) fn name(&mut self, text: &str) -> Result<(), Problem> {
        let name = name::parse(text).map_err(|_| "not a domain name")?;
        self.0.extend_from_slice(name.as_slice());
        Ok(())
    }

    /// A text with its length.
    pub(crate) fn text(&mut self, text: &[u8]) -> Result<(), Problem> {
        self.u8(u8::try_from(text.len()).map_err(|_| "a text of more than 255 octets")?);
        self.0.extend_from_slice(text);
        Ok(())
    }

    /// All that is left, two digits to an octet; blanks may stand between.
    fn hexadecimal(&mut self, fields: &mut Fields<'_>) -> Result<(), Problem> {
        let mut digits = Vec::new();
        while digits.is_empty() || !fields.is_empty() {
            digits.extend(fields.word()?.chars().map(|digit| digit.to_digit(16)));
        }
        for pair in digits.chunks(2) {
            let [Some(high), Some(low)] = *pair else { return Err("not pairs of hexadecimal digits") };
            // Two digits make an octet.
            self.u8((high * 16 + low) as u8);
        }
        Ok(())
    }
}

/// Reads one or more texts, quoted or not, each of up to 255 octets, to wire form.
fn character_strings(text: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut wire = Wire(Vec::with_capacity(text.len()));
    let mut rest = text.trim_ascii();
    if rest.is_empty() {
        return Err("no text");
    }
    while !rest.is_empty() {
        let text = one_text(&mut rest)?;
        wire.text(&text)?;
    }
    Ok(wire.0)
}

/// The text at the front, and the blanks behind it.
fn one_text(rest: &mut &[u8]) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    let quoted = rest.first() == Some(&b'"');
    if quoted {
        *rest = &rest[1..];
    }
    loop {
        let Some((&octet, tail)) = rest.split_first() else {
            if quoted {
                return Err("a quotation mark is missing");
            }
            break;
        };
        *rest = tail;
        match octet {
            b'"' if quoted => break,
            b'"' => return Err("a stray quotation mark"),
            _ if !quoted && octet.is_ascii_whitespace() => break,
            b'\\' => text.push(name::unescape(rest).ok_or("a broken escape")?),
            _ => text.push(octet),
        }
    }
    *rest = rest.trim_ascii_start();
    Ok(text)
}
