//! What a lab asks of a world, real or virtual, and what it sees there. A world
//! makes the AWS calls; the lab knows none of them.

use crate::clients::{Load, Sample};
use crate::spec::Victim;
use crate::time::At;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// Which kind of world figures come from; printed with each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorldKind {
    /// Processes and packets.
    Real,
    /// Modelled, in virtual time.
    Virtual,
}

/// A world that a lab can run in. Calls are made one at a time, from one thread.
pub trait LabWorld {
    /// Which kind it is.
    fn kind(&self) -> WorldKind;

    /// The pace of its deployments, for people: `aws`, say.
    fn pace(&self) -> String;

    /// The virtual time; it never goes back, also not when the speed changes.
    fn now(&self) -> At;

    /// Makes virtual time run so many times as fast as real time. Never called while a load runs.
    ///
    /// # Errors
    /// What the world says.
    fn set_speed(&mut self, speed: u32) -> Result<(), WorldError>;

    /// Asks for a change of a stack. When this returns, [`LabWorld::stack`] speaks of this change.
    ///
    /// # Errors
    /// The call was refused: a template is invalid, say.
    fn submit(&mut self, change: &StackChange) -> Result<(), WorldError>;

    /// How the last change of a stack stands.
    ///
    /// # Errors
    /// What the world says.
    fn stack(&mut self, name: &str) -> Result<StackState, WorldError>;

    /// Breaks something of a stack; returns what, with its id: `i-0123… (InstanceC) in us-east-1a`.
    ///
    /// # Errors
    /// There is nothing like it to break.
    fn inject(&mut self, stack: &str, breakage: &Breakage) -> Result<String, WorldError>;

    /// Starts clients. There is one load at a time.
    ///
    /// # Errors
    /// What the world says.
    fn start_load(&mut self, load: Load) -> Result<(), WorldError>;

    /// From now on, so many times the load's planned rate.
    fn set_load_factor(&mut self, factor: f64);

    /// Ends the load at once; what is under way is not reported any more.
    fn stop_load(&mut self);

    /// Lets time pass until `until`, and tells what happens meanwhile, in any order.
    ///
    /// # Errors
    /// The world has broken down: its daemon is gone, say.
    fn advance(&mut self, until: At, observe: &mut dyn FnMut(Observation)) -> Result<(), WorldError>;
}

/// A change of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackChange {
    /// Make it.
    Create {
        /// Its name.
        stack: String,
        /// The template's path.
        template: PathBuf,
        /// What differs from the template's defaults.
        parameters: BTreeMap<String, String>,
    },
    /// Make it like this template; parameters not given here keep their value.
    Update {
        /// Its name.
        stack: String,
        /// The template's path.
        template: PathBuf,
        /// What changes.
        parameters: BTreeMap<String, String>,
    },
    /// Take it down.
    Delete {
        /// Its name.
        stack: String,
    },
}

/// How a stack stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackState {
    /// There is none, or no more.
    Absent,
    /// The change goes on.
    Working,
    /// The change is over.
    Settled {
        /// Whether as asked, rather than failed or rolled back.
        ok: bool,
        /// AWS's word for it: `CREATE_COMPLETE`.
        status: String,
        /// Why, where it failed.
        reason: String,
        /// When the change was asked for.
        started: At,
        /// When it was over.
        finished: At,
        /// The stack's outputs.
        outputs: BTreeMap<String, String>,
    },
}

/// What a lab breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// An instance dies and stays dead.
    Instance(Victim),
    /// A zone is cut off, and comes back by itself.
    Zone {
        /// Its name.
        zone: String,
        /// After this virtual time.
        span: Duration,
    },
}

/// What is seen in a world while time passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A client's request is over.
    Sample(Sample),
    /// Something happened.
    Event(Event),
}

/// Something that happened in a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: At,
    /// What kind of thing.
    pub kind: EventKind,
    /// To what: a logical or physical id.
    pub resource: String,
    /// In words; AWS's where it has some.
    pub text: String,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The lab did something.
    Fault,
    /// A target's or an instance's health changed.
    Health,
    /// An Auto Scaling group acted.
    Scaling,
    /// A stack's resource changed its status.
    Stack,
    /// So many instances are in service now.
    InService(u32),
}

/// A world could not do what it was asked: what, and why.
#[derive(Debug, thiserror::Error)]
#[error("{act}")]
pub struct WorldError {
    /// The act that failed.
    pub act: String,
    /// The reason.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl WorldError {
    /// An act that failed for a reason.
    pub fn new(act: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> WorldError {
        WorldError { act: act.into(), source: Some(source.into()) }
    }
}
