//! From what was measured to figures, and from figures to what they show.

use crate::histogram::Histogram;
use crate::measure::{Healing, Measured, Recovery};
use crate::spec::{Expectation, Figure};
use crate::time::human;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The share of clients from which on one says "all": a client that happened to ask nothing saw nothing.
const ALL: f64 = 0.9;

/// The figures of a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// From the call to the stack's completion (of the update, where the phase is one).
    #[serde(with = "crate::time::seconds")]
    pub deploy: Duration,
    /// From the call that created the stack to its first answer to a client.
    #[serde(with = "crate::time::seconds")]
    pub first_answer: Duration,
    /// All requests of the load.
    pub requests: u64,
    /// Those without an answer that counts (2xx or 3xx).
    pub lost: u64,
    /// The same by status code or by what went wrong.
    pub lost_by: BTreeMap<String, u64>,
    /// Clients that asked for anything.
    pub clients: u32,
    /// Clients that lost anything.
    pub clients_hit: u32,
    /// The most clients that were down at one moment.
    pub clients_down: u32,
    /// The longest time a client was without an answer.
    #[serde(with = "crate::time::seconds")]
    pub outage: Duration,
    /// Whether it lasted until the end of the load.
    pub outage_open: bool,
    /// Each fault, and how it was survived.
    pub recoveries: Vec<Recovery>,
    /// What users waited for answers: half of them, 99 of 100, all of them.
    #[serde(with = "crate::time::maybe_seconds")]
    pub p50: Option<Duration>,
    /// 99 of 100 waited no longer.
    #[serde(with = "crate::time::maybe_seconds")]
    pub p99: Option<Duration>,
    /// Nobody waited longer.
    #[serde(with = "crate::time::maybe_seconds")]
    pub slowest: Option<Duration>,
    /// How a group's size went, where there is one.
    pub capacity: Option<Capacity>,
}

/// How the number of instances in service went during a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// When the load began.
    pub first: u32,
    /// The fewest.
    pub least: u32,
    /// The most.
    pub most: u32,
    /// When it ended.
    pub last: u32,
}

/// What the figures of a phase show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No request was lost.
    Unharmed,
    /// Some clients lost requests, and then none did.
    PartDownThenBack,
    /// Some clients were still down at the end.
    PartDownForGood,
    /// All clients were down at once, and then none was.
    AllDownThenBack,
    /// All clients were still down at the end.
    AllDownForGood,
}

impl Figures {
    /// The figures of a measured load; `capacity` lists the instances in service as they changed.
    pub fn new(measured: &Measured, deploy: Duration, first_answer: Duration, capacity: &[u32]) -> Figures {
        let lost: u64 = measured.lost.values().sum();
        let longest = measured.longest_outage();
        let mut hit: Vec<u32> = measured.outages.iter().map(|outage| outage.client).collect();
        hit.sort_unstable();
        hit.dedup();
        let quantile = |q| Histogram::quantile(&measured.latencies, q);
        Figures {
            deploy,
            first_answer,
            requests: measured.ok + lost,
            lost,
            lost_by: measured.lost.iter().map(|(outcome, n)| (outcome.label(), *n)).collect(),
            clients: measured.clients,
            clients_hit: hit.len() as u32,
            clients_down: measured.peak_down(),
            outage: longest.map_or(Duration::ZERO, |outage| outage.to.since(outage.from)),
            outage_open: longest.is_some_and(|outage| !outage.ended),
            recoveries: measured.recoveries.clone(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            slowest: measured.latencies.max(),
            capacity: Capacity::of(capacity),
        }
    }

    /// The share of requests that were answered; all, if there were none.
    pub fn availability(&self) -> f64 {
        match self.requests {
            0 => 1.0,
            all => (all - self.lost) as f64 / all as f64,
        }
    }

    /// The worst of the faults, by how it was survived.
    pub fn worst(&self) -> Option<&Recovery> {
        self.recoveries.iter().max_by_key(|recovery| match recovery.healing {
            Healing::Unharmed => (0, Duration::ZERO),
            Healing::Healed { after } => (1, after),
            Healing::Down { watched } => (2, watched),
        })
    }

    /// A figure as a number to compare with a bound: seconds, a share, a count. What never healed took forever.
    pub fn number(&self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::Deploy => Some(self.deploy.as_secs_f64()),
            Figure::Availability => Some(self.availability()),
            Figure::Outage => Some(self.outage.as_secs_f64()),
            Figure::Lost => Some(self.lost as f64),
            Figure::Heal => self.worst().map(|recovery| match recovery.healing {
                Healing::Unharmed => 0.0,
                Healing::Healed { after } => after.as_secs_f64(),
                Healing::Down { .. } => f64::INFINITY,
            }),
            Figure::Capacity => self.capacity.map(|capacity| f64::from(capacity.most)),
        }
    }

    /// Whether a figure is within the bounds of what was expected; `None` if there are none, or no figure.
    pub fn meets(&self, expected: &Expectation) -> Option<bool> {
        if expected.at_least.is_none() && expected.at_most.is_none() {
            return None;
        }
        let number = self.number(expected.figure)?;
        let enough = expected.at_least.is_none_or(|bound| number >= bound);
        let not_too_much = expected.at_most.is_none_or(|bound| number <= bound);
        Some(enough && not_too_much)
    }

    /// What the figures show.
    pub fn verdict(&self) -> Verdict {
        if self.lost == 0 {
            return Verdict::Unharmed;
        }
        let all = f64::from(self.clients_down) >= ALL * f64::from(self.clients);
        let healed = match self.worst() {
            Some(recovery) => !matches!(recovery.healing, Healing::Down { .. }),
            None => !self.outage_open,
        };
        match (all, healed) {
            (true, true) => Verdict::AllDownThenBack,
            (true, false) => Verdict::AllDownForGood,
            (false, true) => Verdict::PartDownThenBack,
            (false, false) => Verdict::PartDownForGood,
        }
    }

    /// The same as a sentence with its figures.
    pub fn sentence(&self) -> String {
        let share = |n: u32| format!("{:.0} %", 100.0 * f64::from(n) / f64::from(self.clients.max(1)));
        let what = self.worst().map_or("all along", |recovery| recovery.what.as_str());
        let mut text = match self.verdict() {
            Verdict::Unharmed => format!("No request was lost ({what})."),
            Verdict::AllDownForGood => format!(
                "Every client was down ({what}), and still was when the lab stopped looking, {} later: nothing took over.",
                self.watched()
            ),
            Verdict::AllDownThenBack => format!(
                "Every client was down ({what}), the longest for {}; {} later nothing was lost any more.",
                human(self.outage),
                self.healed()
            ),
            Verdict::PartDownForGood => format!(
                "{} of the clients were down ({what}), and {} later some still were; {} never lost a request.",
                share(self.clients_down),
                self.watched(),
                share(self.clients.saturating_sub(self.clients_hit)),
            ),
            Verdict::PartDownThenBack => format!(
                "At most {} of the clients were down at once ({what}), one of them for {}; {} later nothing was lost any more.",
                share(self.clients_down),
                human(self.outage),
                self.healed()
            ),
        };
        if let Some(Capacity { first, least, most, last }) = self.capacity {
            text += &format!(
                " Instances in service: {first} at first, {least} at least, {most} at most, {last} at the end."
            );
        }
        text
    }

    fn watched(&self) -> String {
        match self.worst().map(|recovery| recovery.healing) {
            Some(Healing::Down { watched }) => human(watched),
            _ => human(self.outage),
        }
    }

    fn healed(&self) -> String {
        match self.worst().map(|recovery| recovery.healing) {
            Some(Healing::Healed { after }) => human(after),
            _ => human(self.outage),
        }
    }
}

impl Capacity {
    fn of(counts: &[u32]) -> Option<Capacity> {
        Some(Capacity {
            first: *counts.first()?,
            least: *counts.iter().min()?,
            most: *counts.iter().max()?,
            last: *counts.last()?,
        })
    }
}
