//! What a lab deploys, how it loads and breaks it, and what AWS's documentation leads
//! one to expect. [`LabSpec::load`] reads it from a file.

use crate::time::human;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A lab: phases that are deployed one after the other.
#[derive(Clone, Debug)]
pub struct LabSpec {
    /// Its short name, as `zonal lab NAME` has it.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What all chance in the lab is drawn from.
    pub seed: u64,
    /// Virtual seconds in a real one while stacks come up.
    pub deploy_speed: u32,
    /// The same while they are taken down, which is not measured.
    pub teardown_speed: u32,
    /// In the order in which they run.
    pub phases: Vec<PhaseSpec>,
}

/// One architecture, and what is done to it.
#[derive(Clone, Debug)]
pub struct PhaseSpec {
    /// Its number for `--phase`.
    pub number: u32,
    /// The architecture in a line.
    pub title: String,
    /// The limit or strength that the phase is to show, in a line.
    pub limit: String,
    /// The template's path.
    pub template: PathBuf,
    /// Where the phase is an update: the template that stands before.
    pub update_of: Option<PathBuf>,
    /// The stack's name.
    pub stack: String,
    /// Parameters that are not the template's defaults.
    pub parameters: BTreeMap<String, String>,
    /// Virtual seconds in a real one.
    pub speed: u32,
    /// How long the load runs, in virtual time.
    pub duration: Duration,
    /// Who asks, and how.
    pub load: LoadSpec,
    /// What is done while the load runs, in order of time.
    pub faults: Vec<Fault>,
    /// What AWS's documentation leads one to expect.
    pub expect: Vec<Expectation>,
    /// What the figures ought to show if the world is like AWS.
    pub shows: Verdict,
    /// Where the phase heals by health checks: their interval, by which outages of two worlds may differ.
    pub interval: Option<Duration>,
}

/// The clients of a phase.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSpec {
    /// Requests in a virtual second, of all clients together.
    pub rate: f64,
    /// How many clients there are, each with its own DNS cache and connections.
    pub clients: u32,
    /// Where they turn to.
    pub target: Target,
    /// The port.
    pub port: u16,
    /// What they ask for.
    pub path: String,
    /// After how much virtual time a client gives up on a request.
    pub timeout: Duration,
    /// How long a client keeps an idle connection for its next request; `None` for a connection per request.
    pub idle: Option<Duration>,
}

/// Where clients turn to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A name that they resolve, and cache for its TTL.
    Name(String),
    /// Stack outputs that hold addresses, handed out to the clients by hand: client i has number i modulo their count.
    Outputs(Vec<String>),
}

/// Something done at a moment of the load.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When, after the load's start.
    pub at: Duration,
    /// What.
    pub kind: FaultKind,
}

/// What a lab can do to an architecture.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// An instance dies and stays dead.
    KillInstance(Victim),
    /// An Availability Zone is cut off, and comes back after the span.
    CutZone {
        /// The zone's name.
        zone: String,
        /// How long it is cut.
        span: Duration,
    },
    /// The stack is updated.
    Update {
        /// To this template.
        template: PathBuf,
        /// With these parameters.
        parameters: BTreeMap<String, String>,
        /// Whether it is the operator's answer to a fault, rather than the thing under test.
        mends: bool,
    },
    /// From here on, so many times the load.
    Load(f64),
}

/// Which instance dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The one that the template calls this.
    Logical(String),
    /// The k-th of the stack's running instances, from 1, in order of launch.
    Number(u32),
}

impl FaultKind {
    /// Whether clients may lose requests by it, so that healing is timed from here.
    pub fn breaks(&self) -> bool {
        match self {
            FaultKind::KillInstance(_) | FaultKind::CutZone { .. } => true,
            FaultKind::Update { mends, .. } => !mends,
            FaultKind::Load(_) => false,
        }
    }

    /// What it is, for people.
    pub fn describe(&self) -> String {
        match self {
            FaultKind::KillInstance(Victim::Logical(name)) => format!("{name} dies"),
            FaultKind::KillInstance(Victim::Number(n)) => format!("instance number {n} dies"),
            FaultKind::CutZone { zone, span } => format!("{zone} is cut off for {}", human(*span)),
            FaultKind::Update { template, parameters, .. } if parameters.is_empty() => {
                format!("the stack is updated to {}", file_name(template))
            }
            FaultKind::Update { parameters, .. } => {
                let all: Vec<_> = parameters.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("an operator updates the stack with {}", all.join(" "))
            }
            FaultKind::Load(factor) => format!("{factor} times the load"),
        }
    }
}

/// A figure of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// From the call to the stack's completion.
    Deploy,
    /// Requests answered, of all.
    Availability,
    /// The longest time that a client was without an answer.
    Outage,
    /// Requests lost.
    Lost,
    /// From the fault until no request was lost any more.
    Heal,
    /// The most instances in service.
    Capacity,
}

/// What AWS's documentation leads one to expect of a figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Of which.
    pub figure: Figure,
    /// In words.
    pub text: String,
    /// In a word or two, for the table, where the bounds below do not say it.
    pub short: Option<String>,
    /// The page that says so, by its name.
    pub source: String,
    /// In figures, where that can be said: seconds, a share, or a count.
    pub at_least: Option<f64>,
    /// The same from above.
    pub at_most: Option<f64>,
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
