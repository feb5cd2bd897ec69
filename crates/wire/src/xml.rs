//! XML: as a tree to read (the bodies of REST XML), and written from a structure (the answers of query, EC2 and REST
//! XML).

use crate::bounds::{Bounds, Meter, Unreadable};
use crate::facts::{ElementName, Kind, ListFacts, Location, MapFacts, MemberFacts, StructureFacts, TimeFormat};
use crate::node::{Node, Scalar};
use crate::{List, Structure, View};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;
use std::io::Write as _;

/// An element, without namespaces.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

/// Parses a body to its root element; an empty one is an empty element.
pub(crate) fn parse(body: &[u8], bounds: &Bounds) -> Result<Element, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| syntax("text that is not UTF-8"))?;
    if text.trim().is_empty() {
        return Ok(Element::default());
    }
    let mut reader = Reader::from_str(text);
    let mut meter = Meter::new(bounds);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        let event = reader.read_event().map_err(|error| Unreadable::Syntax(error.to_string()))?;
        match event {
            Event::Start(start) => {
                meter.count(open.len() + 1)?;
                open.push(element(&start, &mut meter)?);
            }
            Event::Empty(start) => {
                meter.count(open.len() + 1)?;
                close(element(&start, &mut meter)?, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let element = open.pop().ok_or_else(|| syntax("an end without a start"))?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => add(&mut open, &text.xml10_content())?,
            Event::CData(text) => add(&mut open, &text.into_inner())?,
            Event::GeneralRef(name) => add(&mut open, character(&name.into_inner())?.encode_utf8(&mut [0; 4]))?,
            // Entities of the document's own are how small bodies become large ones.
            Event::DocType(_) => return Err(syntax("a document type")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    root.filter(|_| open.is_empty()).ok_or_else(|| syntax("it ends too early"))
}

fn syntax(what: &str) -> Unreadable {
    Unreadable::Syntax(what.to_owned())
}

fn element(start: &BytesStart<'_>, meter: &mut Meter) -> Result<Element, Unreadable> {
    let mut out = Element { name: start.local_name().into_inner().to_owned(), ..Element::default() };
    // Looking for the same attribute twice takes the square of their number; the first one counts.
    for attribute in start.attributes().with_checks(false) {
        meter.count(0)?;
        let attribute = attribute.map_err(|error| Unreadable::Syntax(error.to_string()))?;
        out.attributes.push((attribute.key.into_inner().to_owned(), attribute.value.into_owned()));
    }
    Ok(out)
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), Unreadable> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err(syntax("a second root")),
    }
    Ok(())
}

fn add(open: &mut [Element], text: &str) -> Result<(), Unreadable> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(syntax("text outside the root")),
    }
    Ok(())
}

fn character(name: &str) -> Result<char, Unreadable> {
    let code = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let found = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match (name.strip_prefix("#x"), name.strip_prefix('#')) {
            (Some(digits), _) => code(digits, 16),
            (None, Some(digits)) => code(digits, 10),
            (None, None) => None,
        },
    };
    found.ok_or_else(|| syntax("a reference to nothing"))
}

/// A node of a document: an element, the elements of a flat list, or an attribute.
#[derive(Debug, Clone)]
pub(crate) enum Xml<'a> {
    One(&'a Element),
    Many(Vec<&'a Element>),
    Attribute(&'a str),
}

impl<'a> Xml<'a> {
    fn named(&self, name: &str) -> Vec<&'a Element> {
        match self {
            Xml::One(element) => element.children.iter().filter(|child| child.name == name).collect(),
            _ => Vec::new(),
        }
    }

    fn elements(&self, name: &str, flat: bool) -> Vec<&'a Element> {
        match self {
            Xml::One(element) if flat => vec![element],
            Xml::Many(elements) if flat => elements.clone(),
            _ => self.named(name),
        }
    }
}

impl Node for Xml<'_> {
    fn is_structure(&self) -> bool {
        match self {
            Xml::One(element) => !element.children.is_empty() || element.text.trim().is_empty(),
            _ => false,
        }
    }

    fn member(&self, facts: &MemberFacts) -> Option<Self> {
        if facts.location == Location::Attribute {
            let Xml::One(element) = self else { return None };
            let found = element.attributes.iter().find(|(name, _)| name == facts.wire());
            return found.map(|(_, value)| Xml::Attribute(value));
        }
        let flat =
            matches!(facts.kind, Kind::List(list) if list.flat) || matches!(facts.kind, Kind::Map(map) if map.flat);
        let mut found = self.named(own_element(facts).name());
        match found.len() {
            0 => None,
            _ if flat => Some(Xml::Many(found)),
            _ => found.pop().map(Xml::One),
        }
    }

    fn strangers(&self, _: &StructureFacts) -> Vec<String> {
        Vec::new()
    }

    fn items(&self, facts: &ListFacts) -> Option<Vec<Self>> {
        let items = self.elements(item_element(facts).name(), facts.flat);
        (!items.is_empty() || self.is_structure()).then(|| items.into_iter().map(Xml::One).collect())
    }

    fn entries(&self, facts: &MapFacts) -> Option<Vec<(String, Self)>> {
        let pair = |element: &'_ Element, name: &str| element.children.iter().position(|child| child.name == name);
        self.elements("entry", facts.flat)
            .into_iter()
            .map(|element| {
                let (key, value) = (pair(element, facts.key_name)?, pair(element, facts.value_name)?);
                Some((element.children[key].text.clone(), Xml::One(&element.children[value])))
            })
            .collect()
    }

    fn scalar(&self) -> Scalar<'_> {
        match self {
            Xml::One(element) if element.children.is_empty() => Scalar::Text(Cow::Borrowed(&element.text)),
            Xml::Attribute(value) => Scalar::Text(Cow::Borrowed(value)),
            _ => Scalar::Other("an element"),
        }
    }
}

fn item_element(facts: &ListFacts) -> ElementName {
    facts.item_element.unwrap_or(ElementName("<member></member>"))
}

/// A member's element; a flat list's is its items', if they have one.
fn own_element(facts: &MemberFacts) -> ElementName {
    match facts.kind {
        Kind::List(list) if list.flat => list.item_element.unwrap_or(facts.element),
        _ => facts.element,
    }
}

/// The members of a structure that travel in the body, as elements.
pub(crate) fn write(out: &mut Vec<u8>, structure: &dyn Structure) {
    for (index, facts) in structure.facts().members.iter().enumerate() {
        let view = structure.view(index);
        // Most members of large structures are not there.
        if !matches!(view, View::Absent) && matches!(facts.location, Location::Body | Location::Payload) {
            write_member(out, view, &facts.kind, own_element(facts).tags());
        }
    }
}

/// What opens an element and what closes it.
type Tags<'a> = (&'a [u8], &'a [u8]);

fn write_member(out: &mut Vec<u8>, view: View<'_>, kind: &Kind, tags: Tags<'_>) {
    match (view, kind) {
        (View::Absent, _) => {}
        (View::List(list), Kind::List(facts)) if facts.flat => write_items(out, list, &facts.item, tags),
        (View::List(list), Kind::List(facts)) => {
            within(out, tags, |out| write_items(out, list, &facts.item, item_element(facts).tags()));
        }
        (View::Map(map), _) if map.is_empty() => {}
        (View::Map(map), Kind::Map(facts)) if facts.flat => {
            map.each(&mut |key, view| within(out, tags, |out| write_entry(out, key, view, facts)));
        }
        (View::Map(map), Kind::Map(facts)) => within(out, tags, |out| {
            map.each(&mut |key, view| wrap(out, "entry", |out| write_entry(out, key, view, facts)));
        }),
        (View::Structure(structure), _) => within(out, tags, |out| write(out, structure)),
        (view, kind) => within(out, tags, |out| write_leaf(out, view, kind)),
    }
}

/// The most that is set aside for a list ahead of its writing.
const AHEAD: usize = 1 << 20;

fn write_items(out: &mut Vec<u8>, list: &dyn List, kind: &Kind, tags: Tags<'_>) {
    let before = out.len();
    for index in 0..list.len() {
        write_member(out, list.get(index), kind, tags);
        if index == 0 {
            // Those that follow will be about as long: one allocation, instead of one for each doubling.
            out.reserve(((out.len() - before) * (list.len() - 1)).min(AHEAD));
        }
    }
}

fn write_entry(out: &mut Vec<u8>, key: &str, view: View<'_>, facts: &MapFacts) {
    text(out, facts.key_name, key);
    let (open, close) = (format!("<{}>", facts.value_name), format!("</{}>", facts.value_name));
    write_member(out, view, &facts.value, (open.as_bytes(), close.as_bytes()));
}

fn write_leaf(out: &mut Vec<u8>, view: View<'_>, kind: &Kind) {
    match view {
        View::String(value) => escape(out, value),
        View::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        // Writing to a string does not fail.
        View::Integer(value) => _ = write!(out, "{value}"),
        other => out.extend_from_slice(leaf(other, kind, TimeFormat::Iso8601).as_bytes()),
    }
}

/// A leaf as text; `usual` is how times travel here.
pub(crate) fn leaf(view: View<'_>, kind: &Kind, usual: TimeFormat) -> String {
    match view {
        View::Boolean(value) => value.to_string(),
        View::Integer(value) => value.to_string(),
        View::Double(value) if value.is_nan() => "NaN".to_owned(),
        View::Double(value) if value.is_infinite() => if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        // With a point even where it is whole, as AWS writes it.
        View::Double(value) => format!("{value:?}"),
        View::String(value) => value.to_owned(),
        View::Blob(bytes) => STANDARD.encode(bytes),
        View::Time(time) => match kind {
            Kind::Time(TimeFormat::Protocol) => format_time(time, usual),
            Kind::Time(format) => format_time(time, *format),
            _ => format_time(time, usual),
        },
        View::Absent | View::Structure(_) | View::List(_) | View::Map(_) => String::new(),
    }
}

fn format_time(time: crate::Time, format: TimeFormat) -> String {
    match format {
        TimeFormat::Epoch => time.secs().to_string(),
        TimeFormat::HttpDate => time.http_date(),
        TimeFormat::Iso8601 | TimeFormat::Protocol => time.iso8601_millis(),
    }
}

/// An element around what `inner` writes; where that is nothing, an empty one, as AWS writes it (`<tagSet/>`).
fn within(out: &mut Vec<u8>, (open, close): Tags<'_>, inner: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(open);
    let opened = out.len();
    inner(out);
    if out.len() == opened {
        out.truncate(opened - 1);
        out.extend_from_slice(b"/>");
    } else {
        out.extend_from_slice(close);
    }
}

/// The same where the element is no member's.
pub(crate) fn wrap(out: &mut Vec<u8>, name: &str, inner: impl FnOnce(&mut Vec<u8>)) {
    within(out, (format!("<{name}>").as_bytes(), format!("</{name}>").as_bytes()), inner);
}

/// An element with text.
pub(crate) fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    wrap(out, name, |out| escape(out, value));
}

/// Text with what XML reserves written as references; what XML can't carry at all is left out.
pub(crate) fn escape(out: &mut Vec<u8>, value: &str) {
    if is_plain(value.as_bytes()) {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    for c in value.chars() {
        match c {
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '&' => out.extend_from_slice(b"&amp;"),
            '"' => out.extend_from_slice(b"&quot;"),
            '\r' => out.extend_from_slice(b"&#xD;"),
            '\n' | '\t' => out.push(c as u8),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {}
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Whether text can be written as it stands, as most can.
fn is_plain(text: &[u8]) -> bool {
    // Looking at sixteen bytes without a branch at each is what vector instructions do; a table is faster for the few that remain.
    let (chunks, rest) = text.as_chunks::<16>();
    chunks.iter().all(|chunk| !chunk.iter().fold(false, |found, byte| found | special(*byte)))
        && rest.iter().all(|byte| !SPECIAL[usize::from(*byte)])
}

static SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = special(byte as u8);
        byte += 1;
    }
    table
};

/// Whether a byte may start a character that is not written as it stands; 0xef starts U+FFFE and U+FFFF.
const fn special(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'&' | b'"' | 0xef | 0..=0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Element, Unreadable> {
        parse(text.as_bytes(), &Bounds::default())
    }

    #[test]
    fn references_and_cdata_are_text() {
        let root =
            read("<?xml version='1.0'?><a xmlns:x='u' x:b='c'>1 &lt;&#x41;&#66;<![CDATA[<&]]></a>").expect("reads");
        assert_eq!(root.text, "1 <AB<&");
        assert!(root.attributes.contains(&("x:b".to_owned(), "c".to_owned())));
    }

    #[test]
    fn what_is_no_document_or_a_dangerous_one_is_refused() {
        for text in
            ["<a>", "<a></b>", "<a/><b/>", "x", "<a>&b;</a>", "<a>&#xD800;</a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"]
        {
            assert!(matches!(read(text), Err(Unreadable::Syntax(_))), "{text}");
        }
        assert_eq!(read(&"<a>".repeat(40)), Err(Unreadable::TooDeep(32)));
        assert_eq!(read(&format!("<a {}/>", "b='' ".repeat(100_001))), Err(Unreadable::TooMany(100_000)));
        assert_eq!(read(&format!("<a>{}</a>", "<b/>".repeat(100_001))), Err(Unreadable::TooMany(100_000)));
    }

    #[test]
    fn text_survives_escaping() {
        let mut out = Vec::new();
        text(&mut out, "a", "<&>\"'\r\n\u{1}é\u{ffff}\u{fb01}.");
        assert_eq!(read(std::str::from_utf8(&out).expect("text")).expect("reads").text, "<&>\"'\r\né\u{fb01}.");
    }
}
