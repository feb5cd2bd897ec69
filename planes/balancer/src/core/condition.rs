//! A rule's conditions, made ready once per snapshot: a request is held against all of them until a rule's all hold.

use std::net::Ipv4Addr;

use super::pattern::{Anchor, Case, Pattern};
use super::route::Facts;
use crate::config::{Condition, QueryPattern};

/// The conditions of a listener's rules. They lie side by side, and nearly all fail at a glance: this is what a request
/// costs per rule.
#[derive(Debug, Default)]
pub struct Tests {
    glances: Vec<Glance>,
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
        self.glances.push(self.all.get(start).map_or(Glance::ANY, Glance::of));
        self.ends.push(self.all.len());
    }

    /// The first rule whose conditions all hold.
    pub fn first(&self, facts: &Facts<'_>) -> Option<usize> {
        if self.ends.is_empty() {
            return None;
        }
        let looks = Looks::new(facts);
        let sights = Sights::new(&looks);
        let own = |at: usize| at.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[at];
        let mut likely = self.glances.iter().enumerate().filter(|(_, glance)| glance.allows(&sights));
        likely.find(|(at, _)| self.all[own(*at)].iter().all(|test| test.holds(&looks))).map(|(at, _)| at)
    }

    /// How many rules there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }
}

/// The most that one comparison tells of a rule: up to sixteen bytes at an end of host or path, without which its
/// tightest condition cannot hold.
#[derive(Debug)]
struct Glance {
    /// Which of [`Sights`].
    at: usize,
    mask: u128,
    bytes: u128,
}

/// Where glances look: host and path from their starts and their ends, the host in lower case.
struct Sights([u128; 4]);

impl Sights {
    fn new(looks: &Looks<'_>) -> Self {
        let start = |text| Anchor::Start.bytes(text).0;
        let end = |text| Anchor::End.bytes(text).0;
        let small = |bytes: u128| u128::from_ne_bytes(bytes.to_ne_bytes().map(|byte| byte.to_ascii_lowercase()));
        Self([small(start(looks.host)), small(end(looks.host)), start(looks.path), end(looks.path)])
    }
}

impl Glance {
    /// Tells nothing.
    const ANY: Self = Self { at: 0, mask: 0, bytes: 0 };

    fn of(test: &Test) -> Self {
        let (pattern, first) = match test {
            Test::Host(pattern) => (pattern, 0),
            Test::Path(pattern) => (pattern, 2),
            _ => return Self::ANY,
        };
        let Some((anchor, bytes, mask)) = pattern.glance() else { return Self::ANY };
        Self { at: first + usize::from(anchor == Anchor::End), mask, bytes }
    }

    fn allows(&self, sights: &Sights) -> bool {
        (sights.0[self.at] ^ self.bytes) & self.mask == 0
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
    let key = wanted.key.as_ref().map(|key| Pattern::with_escapes(key, Case::Insensitive));
    (key, Pattern::with_escapes(&wanted.value, Case::Insensitive))
}

fn network((address, length): &(Ipv4Addr, u8)) -> Test {
    let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
    Test::Source(u32::from(*address) & mask, mask)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::route::Scheme;

    fn facts<'a>(host: &'a str, target: &'a str) -> Facts<'a> {
        let client = Ipv4Addr::LOCALHOST;
        Facts { method: "GET", target, host, headers: &[], client, port: 80, scheme: Scheme::Http, now: 0 }
    }

    proptest! {
        #[test]
        fn the_first_rule_is_the_first_of_which_both_patterns_match(
            rules in prop::collection::vec(("[abA.*?]{0,3}[abA.]{0,18}[ab.*?]{0,2}", "/[abA*?]{0,2}[abA]{0,18}[ab*?]{0,2}"), 0..8),
            (host, path) in ("[abA.]{0,20}", "/[abA]{0,20}"),
            pick in 0..8usize,
            as_asked in any::<bool>(),
        ) {
            // Else hardly any request of chance would match.
            let plain = |text: &str| text.replace('*', "ab").replace('?', "b");
            let (host, path) = match rules.get(pick) {
                Some((of_host, of_path)) if as_asked => (plain(of_host).to_uppercase(), plain(of_path)),
                _ => (host, path),
            };
            let mut tests = Tests::default();
            for (host, path) in &rules {
                tests.push(&[Condition::PathPattern(vec![path.clone()]), Condition::HostHeader(vec![host.clone()])]);
            }
            let expected = rules.iter().position(|(of_host, of_path)| {
                Pattern::new(of_host, Case::Insensitive).matches(host.as_bytes())
                    && Pattern::new(of_path, Case::Sensitive).matches(path.as_bytes())
            });
            prop_assert_eq!(tests.first(&facts(&host, &path)), expected);
        }
    }
}
