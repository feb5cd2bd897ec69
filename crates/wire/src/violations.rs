//! What is wrong with a request, all of it, and how each protocol family tells it. Readers collect; nothing is decided
//! before the whole input is read.

use crate::AwsError;
use crate::facts::{Api, MemberFacts, Protocol};
use std::fmt;

/// One step from a structure towards a value.
#[derive(Debug, Clone)]
pub enum Step {
    /// Into a member.
    Member(&'static MemberFacts),
    /// Into a list's item, counted from 0.
    Item(usize),
    /// Into a map's entry.
    Entry(String),
    /// Into something that the interface does not know.
    Stranger(String),
}

/// The way from the input to a value.
#[derive(Debug, Clone, Default)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// As services with modelled validation name it: `tags.1.member.key`.
    pub fn camel(&self) -> String {
        let mut out = String::new();
        for step in &self.0 {
            if !out.is_empty() {
                out.push('.');
            }
            match step {
                Step::Member(facts) => out.push_str(&lower_first(facts.name)),
                Step::Item(index) => out.push_str(&format!("{}.member", index + 1)),
                Step::Entry(key) => out.push_str(key),
                Step::Stranger(name) => out.push_str(&lower_first(name)),
            }
        }
        out
    }

    /// As form parameters name it: `TagSpecification.1.Tag.2.Key`.
    pub fn parameter(&self) -> String {
        let step = |step: &Step| match step {
            Step::Member(facts) => facts.query.to_owned(),
            Step::Item(index) => (index + 1).to_string(),
            Step::Entry(name) | Step::Stranger(name) => name.clone(),
        };
        self.0.iter().map(step).collect::<Vec<_>>().join(".")
    }

    /// The same counted from 0, with the interface's names: `/Tags/0/Key`.
    pub fn pointer(&self) -> String {
        self.0.iter().fold(String::new(), |out, step| match step {
            Step::Member(facts) => out + "/" + facts.name,
            Step::Item(index) => format!("{out}/{index}"),
            Step::Entry(name) | Step::Stranger(name) => out + "/" + name,
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pointer())
    }
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq)]
pub enum ViolationKind {
    /// It must be there.
    Missing,
    /// The interface does not know it.
    Unknown,
    /// It is none of the enum's values.
    NotInEnum {
        /// What was given.
        value: String,
        /// What may be.
        allowed: &'static [&'static str],
    },
    /// A number below the least.
    BelowMinimum {
        /// What was given.
        value: String,
        /// The least.
        min: i64,
    },
    /// A number above the most.
    AboveMaximum {
        /// What was given.
        value: String,
        /// The most.
        max: i64,
    },
    /// A text, list or map too short.
    TooShort {
        /// What was given.
        value: String,
        /// The least length.
        min: i64,
    },
    /// A text, list or map too long.
    TooLong {
        /// What was given.
        value: String,
        /// The greatest length.
        max: i64,
    },
    /// It is of another type, or not readable as its own.
    Malformed {
        /// What was given.
        value: String,
        /// What it should be: `an integer`.
        expected: &'static str,
    },
}

impl ViolationKind {
    /// What the value must be, in AWS's words, and the value as AWS shows it.
    fn constraint(&self) -> (String, String) {
        let quoted = |value: &str| format!("'{value}'");
        match self {
            ViolationKind::Missing => ("null".into(), "Member must not be null".into()),
            ViolationKind::Unknown => ("null".into(), "Member must be a member of the interface".into()),
            ViolationKind::NotInEnum { value, allowed } => {
                (quoted(value), format!("Member must satisfy enum value set: [{}]", allowed.join(", ")))
            }
            ViolationKind::BelowMinimum { value, min } => {
                (quoted(value), format!("Member must have value greater than or equal to {min}"))
            }
            ViolationKind::AboveMaximum { value, max } => {
                (quoted(value), format!("Member must have value less than or equal to {max}"))
            }
            ViolationKind::TooShort { value, min } => {
                (quoted(value), format!("Member must have length greater than or equal to {min}"))
            }
            ViolationKind::TooLong { value, max } => {
                (quoted(value), format!("Member must have length less than or equal to {max}"))
            }
            ViolationKind::Malformed { value, expected } => (quoted(value), format!("Member must be {expected}")),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Where.
    pub path: Path,
    /// What.
    pub kind: ViolationKind,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ViolationKind::Missing => write!(f, "#{}: required key not found", self.path),
            ViolationKind::Unknown => write!(f, "#{}: unknown key", self.path),
            kind => {
                let (value, constraint) = kind.constraint();
                write!(f, "#{}: {value}: {constraint}", self.path)
            }
        }
    }
}

/// All that is wrong with an input; never empty.
#[derive(Debug, Clone)]
pub struct Violations(pub Vec<Violation>);

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{violation}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

impl Violations {
    /// The error that the service answers by default.
    pub fn render(&self, api: &Api, protocol: Protocol) -> AwsError {
        let malformed = self.0.iter().find_map(|violation| match &violation.kind {
            ViolationKind::Malformed { value, expected } => Some((violation, value, expected)),
            _ => None,
        });
        match (protocol, malformed) {
            (Protocol::Ec2, _) => self.0.first().map_or_else(|| AwsError::internal("nothing is wrong"), ec2),
            (Protocol::Query, Some((violation, value, expected))) => AwsError::client(
                "MalformedInput",
                format!("Value '{value}' at '{}' is not {expected}", violation.path.camel()),
            ),
            (Protocol::RestXml, Some((violation, value, expected))) => AwsError::client(
                "InvalidInput",
                format!("Invalid XML ; Value '{value}' at '{}' is not {expected}", violation.path.camel()),
            ),
            (_, Some((violation, value, expected))) => AwsError::client(
                "SerializationException",
                format!("Value '{value}' at '{}' can not be converted to {expected}", violation.path.camel()),
            ),
            (Protocol::Query, None) => AwsError::client("ValidationError", self.summary()),
            (Protocol::RestXml, None) => AwsError::client("InvalidInput", self.summary()),
            (_, None) if api.query_compatible => AwsError::client("ValidationError", self.summary()),
            (_, None) => AwsError::client("ValidationException", self.summary()),
        }
    }

    /// `2 validation errors detected: Value 'x' at 'a' failed to satisfy constraint: …; Value null at 'b' failed …`
    pub fn summary(&self) -> String {
        let each: Vec<String> = self
            .0
            .iter()
            .map(|violation| {
                let (value, constraint) = violation.kind.constraint();
                format!("Value {value} at '{}' failed to satisfy constraint: {constraint}", violation.path.camel())
            })
            .collect();
        let plural = if each.len() == 1 { "" } else { "s" };
        format!("{} validation error{plural} detected: {}", each.len(), each.join("; "))
    }
}

fn ec2(violation: &Violation) -> AwsError {
    let parameter = violation.path.parameter();
    let invalid = |value: &str, why: String| {
        AwsError::client(
            "InvalidParameterValue",
            format!("Value ({value}) for parameter {parameter} is invalid. {why}"),
        )
    };
    match &violation.kind {
        ViolationKind::Missing => {
            AwsError::client("MissingParameter", format!("The request must contain the parameter {parameter}"))
        }
        ViolationKind::Unknown => {
            AwsError::client("UnknownParameter", format!("The parameter {parameter} is not recognized"))
        }
        ViolationKind::NotInEnum { value, allowed } => {
            invalid(value, format!("Valid values are: {}.", allowed.join(", ")))
        }
        ViolationKind::BelowMinimum { value, min } => invalid(value, format!("Expecting a value of at least {min}.")),
        ViolationKind::AboveMaximum { value, max } => invalid(value, format!("Expecting a value of at most {max}.")),
        ViolationKind::TooShort { value, min } => invalid(value, format!("Expecting a length of at least {min}.")),
        ViolationKind::TooLong { value, max } => invalid(value, format!("Expecting a length of at most {max}.")),
        ViolationKind::Malformed { value, expected } => invalid(value, format!("Expecting {expected}.")),
    }
}
