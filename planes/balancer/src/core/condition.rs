//! A rule's conditions, made ready once per snapshot: a request is held against all of them until a rule's all hold.

use std::net::Ipv4Addr;

use super::pattern::{Case, Pattern};
use super::route::Facts;
use crate::config::{Condition, QueryPattern};

/// The conditions of a listener's rules. They lie side by side, and most fail at a glance: this is what a request costs per rule.
#[derive(Debug, Default)]
pub struct Tests {
    all: Vec<Test>,
    /// Where each rule's end.
    ends: Vec<usize>,
}

impl Tests {
    /// Of one more rule, which comes after the others.
    pub fn push(&mut self, conditions: &[Condition]) {
        let start = self.all.len();
        self.all.extend(conditions.iter().map(Test::new));
        // All have to hold, in whatever order: what likely fails comes first.
        self.all[start..].sort_by_key(Test::laxity);
        self.ends.push(self.all.len());
    }

    /// The first rule whose conditions all hold.
    pub fn first(&self, facts: &Facts<'_>) -> Option<usize> {
        let looks = Looks::new(facts);
        let mut start = 0;
        self.ends.iter().position(|end| {
            let own = &self.all[std::mem::replace(&mut start, *end)..*end];
            own.iter().all(|test| test.holds(&looks))
        })
    }

    /// How many rules there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }
}

/// One condition.
#[derive(Debug)]
enum Test {
    /// The host, without port.
    Host(Pattern),
    /// The path, without query.
    Path(Pattern),
    /// The method.
    Method(Box<str>),
    /// A header of this name, in any case, with a value like this.
    Header(Box<(String, Pattern)>),
    /// A pair of the query: its key, if it matters, and its value.
    Query(Box<(Option<Pattern>, Pattern)>),
    /// Network and mask.
    Source(u32, u32),
    /// A condition with several values: one must hold.
    Any(Box<[Test]>),
}

/// What of a request is looked at by rule after rule, taken apart once.
struct Looks<'a> {
    facts: &'a Facts<'a>,
    host: &'a [u8],
    path: &'a [u8],
    query: &'a str,
}

impl<'a> Looks<'a> {
    /// Of a request.
    fn new(facts: &'a Facts<'a>) -> Self {
        let (path, query) = facts.target.split_once('?').unwrap_or((facts.target, ""));
        Self { facts, host: facts.host_name().as_bytes(), path: path.as_bytes(), query }
    }
}

impl Test {
    /// Of a condition.
    fn new(condition: &Condition) -> Self {
        let mut tests: Vec<Self> = match condition {
            Condition::HostHeader(texts) => {
                texts.iter().map(|text| Self::Host(Pattern::new(text, Case::Insensitive))).collect()
            }
            Condition::PathPattern(texts) => {
                texts.iter().map(|text| Self::Path(Pattern::new(text, Case::Sensitive))).collect()
            }
            Condition::HttpRequestMethod(methods) => {
                methods.iter().map(|method| Self::Method(method.as_str().into())).collect()
            }
            Condition::HttpHeader { name, values } => {
                let value = |text: &String| (name.clone(), Pattern::new(text, Case::Insensitive));
                values.iter().map(|text| Self::Header(Box::new(value(text)))).collect()
            }
            Condition::QueryString(pairs) => pairs.iter().map(|wanted| Self::Query(Box::new(pair(wanted)))).collect(),
            Condition::SourceIp(networks) => networks.iter().map(network).collect(),
        };
        match tests.pop() {
            Some(only) if tests.is_empty() => only,
            last => Self::Any(tests.into_iter().chain(last).collect()),
        }
    }

    /// How late it is tried: first what tells most requests apart at a glance, last what looks through a list.
    fn laxity(&self) -> usize {
        match self {
            Self::Host(pattern) | Self::Path(pattern) => pattern.laxity(),
            Self::Source(..) | Self::Method(_) => Pattern::LAXEST - 1,
            Self::Any(tests) => tests.iter().map(Self::laxity).max().unwrap_or(0),
            Self::Header(_) | Self::Query(_) => usize::MAX,
        }
    }

    /// Whether it holds for a request.
    fn holds(&self, looks: &Looks<'_>) -> bool {
        match self {
            Self::Host(pattern) => pattern.matches(looks.host),
            Self::Path(pattern) => pattern.matches(looks.path),
            Self::Method(method) => **method == *looks.facts.method,
            Self::Header(header) => {
                let (name, pattern) = &**header;
                let headers = looks.facts.headers.iter();
                headers.filter(|header| header.name.eq_ignore_ascii_case(name)).any(|one| pattern.matches(one.value))
            }
            Self::Query(wanted) => {
                let (key_wanted, pattern) = &**wanted;
                let pairs = looks.query.split('&').filter(|pair| !pair.is_empty());
                pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).any(|(key, value)| {
                    key_wanted.as_ref().is_none_or(|wanted| wanted.matches(key.as_bytes()))
                        && pattern.matches(value.as_bytes())
                })
            }
            Self::Source(network, mask) => u32::from(looks.facts.client) & mask == *network,
            Self::Any(tests) => tests.iter().any(|test| test.holds(looks)),
        }
    }
}

fn pair(wanted: &QueryPattern) -> (Option<Pattern>, Pattern) {
    let key = wanted.key.as_ref().map(|key| Pattern::new(key, Case::Insensitive));
    (key, Pattern::new(&wanted.value, Case::Insensitive))
}

fn network((address, length): &(Ipv4Addr, u8)) -> Test {
    let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
    Test::Source(u32::from(*address) & mask, mask)
}
