//! Health checks, and what they say.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Record, View};
use zonal_wire::Time;

/// A health check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// A UUID: the key.
    pub id: String,
    /// What the caller told it apart by.
    pub caller_reference: String,
    /// Counts its changes, from 1.
    pub version: i64,
    /// What it looks at.
    pub subject: Subject,
    /// Whether what is healthy counts as unhealthy, and the other way round.
    pub inverted: bool,
    /// Whether it has stopped looking, and counts as healthy.
    pub disabled: bool,
    /// What was seen last; nothing so far.
    pub seen: Option<Seen>,
    /// Tags.
    pub tags: Tags,
}

/// What a health check looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Subject {
    /// An endpoint.
    Endpoint(Endpoint),
    /// Other health checks: healthy while so many of them are.
    Calculated {
        /// How many.
        threshold: u32,
        /// Their ids.
        children: Vec<String>,
    },
    /// An alarm of CloudWatch's.
    Alarm(Alarm),
}

/// An alarm, and what to make of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// What counts while it has too little data.
    pub insufficient: Insufficient,
    /// What the alarm looked at when the health check was told of it: shown.
    pub metric: Metric,
}

/// What a health check says while its alarm has too little data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Insufficient {
    /// Healthy.
    Healthy,
    /// Unhealthy.
    Unhealthy,
    /// What it said before; healthy at first.
    LastKnownStatus,
}

/// What an alarm looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The metric's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Name and value of each.
    pub dimensions: Vec<(String, String)>,
    /// `Average` and the like.
    pub statistic: String,
    /// Seconds.
    pub period: i32,
    /// How many periods.
    pub evaluation_periods: i32,
    /// What is compared with.
    pub threshold: f64,
    /// How.
    pub comparison: String,
}

/// An endpoint, and what to make of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `HTTP`, `HTTP_STR_MATCH`, `HTTPS`, `HTTPS_STR_MATCH` or `TCP`.
    pub kind: String,
    /// Its address; without one its name leads there.
    pub address: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// The TCP port.
    pub port: u16,
    /// The path asked for.
    pub path: Option<String>,
    /// What the body must hold.
    pub search: Option<String>,
    /// Seconds between two checks: 10 or 30.
    pub interval: u32,
    /// How many in a row change what it says.
    pub threshold: u32,
    /// Whether latency is to be measured.
    pub measure_latency: bool,
    /// Whether an endpoint asked over TLS is told its name.
    #[serde(default)]
    pub enable_sni: bool,
    /// The regions of the checkers that the caller named.
    pub regions: Vec<String>,
}

/// What was seen of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Whether it counts as healthy.
    pub healthy: bool,
    /// The address connected to.
    pub address: Option<String>,
    /// In the words of a status report.
    pub outcome: String,
    /// When.
    pub at: Time,
}

/// What health checks say, each found out once.
pub struct Verdicts<'a> {
    view: View<'a>,
    known: BTreeMap<&'a str, bool>,
}

impl<'a> Verdicts<'a> {
    /// Of the health checks that a view has.
    #[must_use]
    pub fn new(view: View<'a>) -> Self {
        Self { view, known: BTreeMap::new() }
    }

    /// Whether a check says healthy. One that has seen nothing so far does (Developer Guide, "How Amazon Route 53 determines whether
    /// a health check is healthy"), and so does one that is disabled, before it is inverted. One that is not there says nothing
    /// against what names it.
    pub fn is_healthy(&mut self, id: &str) -> bool {
        let Some(check) = self.view.get::<HealthCheck>(id) else { return true };
        if let Some(known) = self.known.get(id) {
            return *known;
        }
        // What an earlier version took in a cycle comes back here, and says nothing against itself.
        self.known.insert(&check.id, true);
        let healthy = check.disabled
            || match &check.subject {
                Subject::Endpoint(_) | Subject::Alarm(_) => check.seen.as_ref().is_none_or(|seen| seen.healthy),
                Subject::Calculated { threshold, children } => {
                    children.iter().filter(|child| self.is_healthy(child)).count() >= *threshold as usize
                }
            };
        let says = healthy != check.inverted;
        self.known.insert(&check.id, says);
        says
    }
}

impl Subject {
    /// Whether it is calculated from that check, at whatever distance.
    #[must_use]
    pub fn hangs_on(&self, id: &str, view: &View<'_>) -> bool {
        let mut seen = BTreeSet::new();
        let mut rest = self.children().iter().collect::<Vec<_>>();
        while let Some(child) = rest.pop() {
            if child == id {
                return true;
            }
            if seen.insert(child) {
                rest.extend(view.get::<HealthCheck>(child).into_iter().flat_map(|child| child.subject.children()));
            }
        }
        false
    }

    fn children(&self) -> &[String] {
        match self {
            Self::Endpoint(_) | Self::Alarm(_) => &[],
            Self::Calculated { children, .. } => children,
        }
    }
}

impl Record for HealthCheck {
    const TABLE: &'static str = "route53.health_check";
    fn key(&self) -> &str {
        &self.id
    }
}
