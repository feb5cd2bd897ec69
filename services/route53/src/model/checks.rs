//! Health checks, and what they say.

use serde::{Deserialize, Serialize};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Record, View};
use zonal_wire::Time;

/// Calculated checks that may hang on each other in a row.
const DEEPEST: usize = 8;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl HealthCheck {
    /// Whether it says healthy. One that has seen nothing so far does (Developer Guide, "How Amazon Route 53 determines whether a
    /// health check is healthy"), and so does one that is disabled, before it is inverted.
    #[must_use]
    pub fn is_healthy(&self, view: &View<'_>) -> bool {
        self.says_healthy(view, DEEPEST)
    }

    fn says_healthy(&self, view: &View<'_>, depth: usize) -> bool {
        let healthy = self.disabled
            || match &self.subject {
                Subject::Endpoint(_) => self.seen.as_ref().is_none_or(|seen| seen.healthy),
                Subject::Calculated { threshold, children } => {
                    let is_healthy = |child: &&String| match (view.get::<HealthCheck>(child), depth.checked_sub(1)) {
                        (Some(child), Some(depth)) => child.says_healthy(view, depth),
                        // One that was deleted says nothing against it.
                        _ => true,
                    };
                    children.iter().filter(is_healthy).count() >= *threshold as usize
                }
            };
        healthy != self.inverted
    }
}

impl Record for HealthCheck {
    const TABLE: &'static str = "route53.health_check";
    fn key(&self) -> &str {
        &self.id
    }
}
