//! One walk for all protocols: a protocol parses bytes into a tree of its own, the tree's nodes answer by the facts'
//! names, and [`Reading`] fills a structure from them and collects what is wrong.

use crate::facts::{EnumFacts, Kind, Limits, ListFacts, MapFacts, MemberFacts, StructureFacts};
use crate::violations::{Path, Step, Violation, ViolationKind, Violations};
use crate::{Blob, List, Map, Slot, Structure, Time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// A leaf as the protocol has it.
#[derive(Debug)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Bytes(&'a [u8]),
    Time(Time),
    /// Not a leaf, or one that no value can be; shown as this.
    Other(&'static str),
}

/// A node of a protocol's tree.
pub(crate) trait Node: Sized {
    /// Whether it can be a structure.
    fn is_structure(&self) -> bool;
    /// The member of that name, if it is there.
    fn member(&self, facts: &MemberFacts) -> Option<Self>;
    /// What a structure with these facts must not have.
    fn strangers(&self, facts: &StructureFacts) -> Vec<String>;
    /// The items, if it can be a list.
    fn items(&self, facts: &ListFacts) -> Option<Vec<Self>>;
    /// The entries, if it can be a map.
    fn entries(&self, facts: &MapFacts) -> Option<Vec<(String, Self)>>;
    /// The leaf.
    fn scalar(&self) -> Scalar<'_>;
}

/// How far a leaf may be from its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Every leaf is text: query, XML, headers.
    Text,
    /// Leaves have types, and must have the right one: JSON, CBOR.
    Typed,
    /// Leaves have types, and text stands for numbers and booleans and the other way round: templates.
    Lenient,
}

/// The way to where reading is, on the stack; written out only for a violation.
struct Trail<'a> {
    up: Option<&'a Trail<'a>>,
    step: Step,
}

fn path(mut at: Option<&Trail<'_>>, last: Option<Step>) -> Path {
    let mut steps: Vec<Step> = last.into_iter().collect();
    while let Some(trail) = at {
        steps.push(trail.step.clone());
        at = trail.up;
    }
    steps.reverse();
    Path(steps)
}

/// Fills structures and collects what is wrong.
pub(crate) struct Reading {
    manner: Manner,
    violations: Vec<Violation>,
}

/// More than anyone reads, and a bound on memory.
const MOST_VIOLATIONS: usize = 100;
/// Longer values are cut where messages show them.
const LONGEST_SHOWN: usize = 1_024;

impl Reading {
    pub fn new(manner: Manner) -> Reading {
        Reading { manner, violations: Vec::new() }
    }

    /// From here on, leaves are as far from their types as that.
    pub fn manner(&mut self, manner: Manner) {
        self.manner = manner;
    }

    /// The verdict.
    pub fn finish(self) -> Result<(), Violations> {
        if self.violations.is_empty() { Ok(()) } else { Err(Violations(self.violations)) }
    }

    /// Fills the structure from a whole document.
    pub fn root<N: Node>(&mut self, node: &N, into: &mut dyn Structure) {
        self.top(node, into, &|_| true);
    }

    /// Fills those members that `choose` takes.
    pub fn top<N: Node>(&mut self, node: &N, into: &mut dyn Structure, choose: &dyn Fn(&MemberFacts) -> bool) {
        if node.is_structure() {
            self.structure(node, into, None, choose);
        } else {
            let value = shown(&node.scalar());
            self.violate(None, None, ViolationKind::Malformed { value, expected: "a structure" });
        }
    }

    /// Fills one member of the input from a node; `None` is an absent one.
    pub fn one<N: Node>(
        &mut self,
        node: Option<&N>,
        index: usize,
        facts: &'static MemberFacts,
        into: &mut dyn Structure,
    ) {
        match (node, into.slot_if(node.is_some(), index)) {
            (Some(node), Some(slot)) => {
                let trail = Trail { up: None, step: Step::Member(facts) };
                self.value(node, &facts.kind, slot, &trail);
            }
            _ if facts.required => self.violate(None, Some(Step::Member(facts)), ViolationKind::Missing),
            _ => {}
        }
    }

    fn violate(&mut self, trail: Option<&Trail<'_>>, last: Option<Step>, kind: ViolationKind) {
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push(Violation { path: path(trail, last), kind });
        }
    }

    fn structure<N: Node>(
        &mut self,
        node: &N,
        into: &mut dyn Structure,
        trail: Option<&Trail<'_>>,
        choose: &dyn Fn(&MemberFacts) -> bool,
    ) {
        let facts = into.facts();
        for (index, member) in facts.members.iter().enumerate().filter(|(_, member)| choose(member)) {
            match node.member(member) {
                Some(inner) => {
                    if let Some(slot) = into.slot(index) {
                        self.value(&inner, &member.kind, slot, &Trail { up: trail, step: Step::Member(member) });
                    }
                }
                None if member.required => self.violate(trail, Some(Step::Member(member)), ViolationKind::Missing),
                None => {}
            }
        }
        for name in node.strangers(facts) {
            self.violate(trail, Some(Step::Stranger(name)), ViolationKind::Unknown);
        }
    }

    fn value<N: Node>(&mut self, node: &N, kind: &Kind, slot: Slot<'_>, trail: &Trail<'_>) {
        match (kind, slot) {
            (Kind::Structure(_), Slot::Structure(into)) if node.is_structure() => {
                self.structure(node, into, Some(trail), &|_| true);
            }
            (Kind::List(facts), Slot::List(into)) => self.list(node, facts, into, trail),
            (Kind::Map(facts), Slot::Map(into)) => self.map(node, facts, into, trail),
            (_, slot) => {
                if let Err(kind) = self.leaf(node.scalar(), kind, slot) {
                    self.violate(Some(trail), None, kind);
                }
            }
        }
    }

    fn list<N: Node>(&mut self, node: &N, facts: &ListFacts, into: &mut dyn List, trail: &Trail<'_>) {
        let Some(items) = node.items(facts) else {
            let value = shown(&node.scalar());
            return self.violate(Some(trail), None, ViolationKind::Malformed { value, expected: "a list" });
        };
        for (index, item) in items.iter().enumerate() {
            self.value(item, &facts.item, into.push(), &Trail { up: Some(trail), step: Step::Item(index) });
        }
        if let Err(kind) = check_length(items.len(), facts.limits, || "[...]".to_owned()) {
            self.violate(Some(trail), None, kind);
        }
    }

    fn map<N: Node>(&mut self, node: &N, facts: &MapFacts, into: &mut dyn Map, trail: &Trail<'_>) {
        let Some(entries) = node.entries(facts) else {
            let value = shown(&node.scalar());
            return self.violate(Some(trail), None, ViolationKind::Malformed { value, expected: "a map" });
        };
        let count = entries.len();
        for (key, inner) in entries {
            let step = Step::Entry(key.clone());
            let verdict = match &facts.key {
                Kind::String(limits) => check_length(key.chars().count(), *limits, || key.clone()),
                Kind::Enum(facts) => find(facts, &key).map(|_| ()),
                _ => Ok(()),
            };
            let trail = Trail { up: Some(trail), step };
            if let Err(kind) = verdict {
                self.violate(Some(&trail), None, kind);
            }
            self.value(&inner, &facts.value, into.entry(key), &trail);
        }
        if let Err(kind) = check_length(count, facts.limits, || "{...}".to_owned()) {
            self.violate(Some(trail), None, kind);
        }
    }

    fn leaf(&self, scalar: Scalar<'_>, kind: &Kind, slot: Slot<'_>) -> Result<(), ViolationKind> {
        let manner = self.manner;
        let wrong = |expected| ViolationKind::Malformed { value: shown(&scalar), expected };
        match (slot, kind) {
            (Slot::Boolean(into), _) => {
                *into = boolean(&scalar, manner).ok_or_else(|| wrong("a boolean"))?;
            }
            (Slot::Integer(into), Kind::Integer(limits)) => {
                let value = integer(&scalar, manner).and_then(|value| i32::try_from(value).ok());
                *into = value.ok_or_else(|| wrong("an integer"))?;
                check_number(f64::from(*into), *limits, || into.to_string())?;
            }
            (Slot::Long(into), Kind::Long(limits)) => {
                *into = integer(&scalar, manner).ok_or_else(|| wrong("a long integer"))?;
                check_number(*into as f64, *limits, || into.to_string())?;
            }
            (Slot::Double(into), Kind::Double(limits)) => {
                *into = double(&scalar, manner).ok_or_else(|| wrong("a number"))?;
                check_number(*into, *limits, || into.to_string())?;
            }
            (Slot::String(into), Kind::String(limits)) => {
                *into = string(&scalar, manner).ok_or_else(|| wrong("a string"))?;
                check_length(into.chars().count(), *limits, || into.clone())?;
            }
            (Slot::Enum(into), Kind::Enum(facts)) => {
                let value = string(&scalar, manner).ok_or_else(|| wrong("a string"))?;
                into.set(find(facts, &value)?);
            }
            (Slot::Time(into), _) => {
                *into = time(&scalar).ok_or_else(|| wrong("a timestamp"))?;
            }
            (Slot::Blob(into), Kind::Blob(limits)) => {
                *into = Blob(bytes(&scalar).ok_or_else(|| wrong("base64"))?);
                check_length(into.0.len(), *limits, || "java.nio.HeapByteBuffer".to_owned())?;
            }
            (Slot::Structure(_), _) => return Err(wrong("a structure")),
            _ => return Err(wrong("of its own type")),
        }
        Ok(())
    }
}

impl dyn Structure {
    fn slot_if(&mut self, wanted: bool, index: usize) -> Option<Slot<'_>> {
        if wanted { self.slot(index) } else { None }
    }
}

fn shown(scalar: &Scalar<'_>) -> String {
    match scalar {
        Scalar::Text(value) => value.chars().take(LONGEST_SHOWN).collect(),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(value) => value.to_string(),
        Scalar::Double(value) => value.to_string(),
        Scalar::Bytes(_) => "bytes".to_owned(),
        Scalar::Time(value) => value.iso8601_millis(),
        Scalar::Other(what) => (*what).to_owned(),
    }
}

fn boolean(scalar: &Scalar<'_>, manner: Manner) -> Option<bool> {
    match scalar {
        Scalar::Boolean(value) => Some(*value),
        Scalar::Text(_) if manner == Manner::Typed => None,
        Scalar::Text(value) if value.eq_ignore_ascii_case("true") => Some(true),
        Scalar::Text(value) if value.eq_ignore_ascii_case("false") => Some(false),
        Scalar::Text(value) if manner == Manner::Text && matches!(&**value, "0" | "1") => Some(value == "1"),
        _ => None,
    }
}

fn integer(scalar: &Scalar<'_>, manner: Manner) -> Option<i64> {
    match scalar {
        Scalar::Integer(value) => Some(*value),
        // Beyond 2^53 a double no longer says which integer it is.
        Scalar::Double(value) if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 => Some(*value as i64),
        Scalar::Text(value) if manner != Manner::Typed => value.parse().ok(),
        _ => None,
    }
}

fn double(scalar: &Scalar<'_>, manner: Manner) -> Option<f64> {
    match scalar {
        Scalar::Integer(value) => Some(*value as f64),
        Scalar::Double(value) => Some(*value),
        Scalar::Text(value) => match &**value {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            other if manner != Manner::Typed => other.parse().ok().filter(|value: &f64| value.is_finite()),
            _ => None,
        },
        _ => None,
    }
}

fn string(scalar: &Scalar<'_>, manner: Manner) -> Option<String> {
    match scalar {
        Scalar::Text(value) => Some(value.to_string()),
        _ if manner != Manner::Lenient => None,
        Scalar::Boolean(value) => Some(value.to_string()),
        Scalar::Integer(value) => Some(value.to_string()),
        Scalar::Double(value) => Some(value.to_string()),
        _ => None,
    }
}

fn time(scalar: &Scalar<'_>) -> Option<Time> {
    match scalar {
        Scalar::Time(value) => Some(*value),
        Scalar::Integer(value) => Time::from_secs_f64(*value as f64),
        Scalar::Double(value) => Time::from_secs_f64(*value),
        Scalar::Text(value) => Time::parse(value),
        _ => None,
    }
}

fn bytes(scalar: &Scalar<'_>) -> Option<Vec<u8>> {
    match scalar {
        Scalar::Bytes(bytes) => Some(bytes.to_vec()),
        Scalar::Text(value) => STANDARD.decode(value.trim()).ok(),
        _ => None,
    }
}

fn find(facts: &EnumFacts, value: &str) -> Result<usize, ViolationKind> {
    facts.find(value).map_err(|unknown| ViolationKind::NotInEnum {
        value: unknown.value.chars().take(LONGEST_SHOWN).collect(),
        allowed: facts.values,
    })
}

fn check_number(value: f64, limits: Limits, show: impl Fn() -> String) -> Result<(), ViolationKind> {
    match limits {
        Limits { min: Some(min), .. } if value < min as f64 => Err(ViolationKind::BelowMinimum { value: show(), min }),
        Limits { max: Some(max), .. } if value > max as f64 => Err(ViolationKind::AboveMaximum { value: show(), max }),
        _ => Ok(()),
    }
}

fn check_length(length: usize, limits: Limits, show: impl Fn() -> String) -> Result<(), ViolationKind> {
    let value = || show().chars().take(LONGEST_SHOWN).collect::<String>();
    // A length beyond i64 exceeds any maximum.
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    match limits {
        Limits { min: Some(min), .. } if length < min => Err(ViolationKind::TooShort { value: value(), min }),
        Limits { max: Some(max), .. } if length > max => Err(ViolationKind::TooLong { value: value(), max }),
        _ => Ok(()),
    }
}
