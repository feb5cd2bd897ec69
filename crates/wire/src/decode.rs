//! From a request's bytes to an operation's input, for each protocol.

use crate::bounds::{Unreadable, plain};
use crate::cbor;
use crate::door::{Identified, Parsed, RequestHead};
use crate::facts::{Kind, Location, MemberFacts, Protocol};
use crate::form::{Form, Tree, pairs};
use crate::json::{self, Json, Names};
use crate::node::{Manner, Node, Reading};
use crate::rest::{Words, words};
use crate::xml::{self, Xml};
use crate::{AwsError, Slot, Structure};

/// The input of the operation that was asked for.
pub(crate) fn input(identified: &Identified, head: &RequestHead, body: &[u8]) -> Result<Box<dyn Structure>, AwsError> {
    let mut input = (identified.operation.new_input)();
    let into = &mut *input;
    let bounds = &identified.bounds;
    let protocol = identified.protocol;
    let unreadable = |error: Unreadable| error.render(malformed(protocol));
    let body = &*plain(body, head.header("content-encoding"), bounds).map_err(unreadable)?;
    let reading = match protocol {
        Protocol::Query | Protocol::Ec2 => {
            let empty = Tree::default();
            let tree = if let Parsed::Form(tree) = &identified.parsed { tree } else { &empty };
            whole(Manner::Text, &Form { tree, ec2: protocol == Protocol::Ec2, top: true }, into)
        }
        Protocol::Json10 | Protocol::Json11 => {
            let value = json::parse(body, bounds).map_err(unreadable)?;
            whole(Manner::Typed, &Json { value: &value, names: Names::Wire }, into)
        }
        Protocol::RpcV2Cbor => {
            let item = cbor::parse(body, bounds).map_err(unreadable)?;
            whole(Manner::Typed, &&item, into)
        }
        Protocol::RestJson => {
            let mut reading = located(identified, head, body, into, Manner::Text).map_err(unreadable)?;
            if let Some(choose) = document(&*into) {
                let value = json::parse(body, bounds).map_err(unreadable)?;
                reading.manner(Manner::Typed);
                choose.read(&mut reading, &Json { value: &value, names: Names::Wire }, into);
            }
            reading
        }
        Protocol::RestXml => {
            let mut reading = located(identified, head, body, into, Manner::Text).map_err(unreadable)?;
            if let Some(choose) = document(&*into) {
                let root = xml::parse(body, bounds).map_err(unreadable)?;
                choose.read(&mut reading, &Xml::One(&root), into);
            }
            reading
        }
    };
    reading.finish().map_err(|violations| violations.render(identified.api, protocol))?;
    Ok(input)
}

/// The code for a body that is no document of the protocol.
fn malformed(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Query | Protocol::Ec2 => "MalformedQueryString",
        Protocol::RestXml => "InvalidInput",
        _ => "SerializationException",
    }
}

fn whole<N: Node>(manner: Manner, node: &N, into: &mut dyn Structure) -> Reading {
    let mut reading = Reading::new(manner);
    reading.root(node, into);
    reading
}

/// What of an input the document in the body holds.
enum Document {
    /// All members that are nowhere else.
    Members,
    /// One member, the structure at that index.
    Payload(usize, &'static MemberFacts),
}

impl Document {
    fn read<N: Node>(&self, reading: &mut Reading, node: &N, into: &mut dyn Structure) {
        match self {
            Document::Members => reading.top(node, into, &in_body),
            Document::Payload(index, facts) => reading.one(Some(node), *index, facts, into),
        }
    }
}

fn in_body(facts: &MemberFacts) -> bool {
    matches!(facts.location, Location::Body | Location::Attribute)
}

fn document(input: &dyn Structure) -> Option<Document> {
    let members = input.facts().members;
    let mut payloads = members.iter().enumerate().filter(|(_, facts)| facts.location == Location::Payload);
    match payloads.next() {
        Some((index, facts)) => matches!(facts.kind, Kind::Structure(_)).then_some(Document::Payload(index, facts)),
        None => members.iter().any(in_body).then_some(Document::Members),
    }
}

/// Reads what is outside the body, and a body that is no document.
fn located(
    identified: &Identified,
    head: &RequestHead,
    body: &[u8],
    into: &mut dyn Structure,
    manner: Manner,
) -> Result<Reading, Unreadable> {
    let none = Vec::new();
    let labels = if let Parsed::Labels(labels) = &identified.parsed { labels } else { &none };
    let query = pairs(head.query())?;
    let mut reading = Reading::new(manner);
    for (index, facts) in into.facts().members.iter().enumerate() {
        match facts.location {
            Location::Body | Location::Attribute | Location::Status => {}
            Location::Payload => match into.slot(index) {
                Some(Slot::Blob(blob)) => blob.0 = body.to_vec(),
                Some(Slot::String(_)) => {
                    let text = String::from_utf8(body.to_vec())
                        .map_err(|_| Unreadable::Syntax("text that is not UTF-8".into()))?;
                    reading.one(Some(&Words(vec![text])), index, facts, into);
                }
                _ => {}
            },
            _ => reading.one(words(facts, labels, &query, &head.headers).as_ref(), index, facts, into),
        }
    }
    Ok(reading)
}
