//! What happens when, and how long things take.

use std::collections::BTreeMap;
use std::time::Duration;
use zonal_balancer::core::fleet::TargetKey;
use zonal_balancer::core::health::Outcome;
use zonal_substrate::Report;

/// A point in virtual time: microseconds since the Unix epoch.
pub type Micros = i64;

/// How long the Linux world takes for what this one models, in real time: measured there. In virtual time it is as many times longer
/// as the world runs faster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// An interface is made.
    pub interface: Duration,
    /// A sandbox is made and its PID 1 runs.
    pub boot: Duration,
    /// From there until the application of its user data answers.
    pub application: Duration,
    /// An orderly shutdown.
    pub shutdown: Duration,
    /// An interface or a sandbox is removed.
    pub removal: Duration,
    /// Queries are answered by a change of names.
    pub names: Duration,
    /// A request is answered by an application.
    pub answer: Duration,
    /// A CPU's time for that.
    pub answer_cpu: Duration,
    /// The share of a core that a vCPU is.
    pub vcpu_share: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            interface: Duration::from_millis(6),
            boot: Duration::from_millis(40),
            application: Duration::from_millis(600),
            shutdown: Duration::from_millis(150),
            removal: Duration::from_millis(30),
            names: Duration::from_millis(1),
            answer: Duration::from_millis(3),
            answer_cpu: Duration::from_micros(1500),
            vcpu_share: 0.1,
        }
    }
}

/// Something that will happen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// An interface passes packets.
    InterfaceUp { id: String, generation: u64 },
    /// An interface is gone.
    InterfaceGone(String),
    /// A network is gone.
    NetworkGone(String),
    /// A start of a sandbox has its PID 1.
    Booted { id: String, generation: u64 },
    /// A start of a sandbox answers.
    Serving { id: String, generation: u64 },
    /// A start of a sandbox has shut down.
    ShutDown { id: String, generation: u64 },
    /// A sandbox and its disk are gone.
    SandboxGone(String),
    /// An image is made.
    ImageMade(String),
    /// A view's queries are answered by what was asked of a zone.
    ZoneServed { view: String, zone: String, revision: u64 },
    /// What was asked for has an answer.
    Told(Box<Report>),
    /// A health check ends.
    Probed { balancer: String, key: TargetKey, round: u64, outcome: Outcome },
    /// A health check from outside is due.
    ProbeDue { id: String, round: u64 },
    /// A balancer has something to do.
    Balance(String),
    /// Figures are due.
    Figures,
}

/// What will happen, in order of time; what happens at once, in the order it was planned.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    events: BTreeMap<(Micros, u64), Event>,
    planned: u64,
}

impl Agenda {
    pub(crate) fn plan(&mut self, at: Micros, event: Event) {
        self.planned += 1;
        self.events.insert((at, self.planned), event);
    }

    pub(crate) fn due(&self) -> Option<Micros> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn take(&mut self, now: Micros) -> Option<(Micros, Event)> {
        let first = self.events.first_entry().filter(|entry| entry.key().0 <= now)?;
        let at = first.key().0;
        Some((at, first.remove()))
    }
}

/// A span in microseconds.
pub(crate) fn micros(span: Duration) -> Micros {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
