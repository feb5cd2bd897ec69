//! Leads a lab through a world, one phase after the other; the same for the real
//! world and the virtual one.

use crate::error::LabError;
use crate::phase::PhaseRun;
use crate::spec::{Expectation, LabSpec, PhaseSpec};
use crate::timeline::Timeline;
use crate::verdict::{Figures, Verdict};
use crate::watch::Watch;
use crate::world::{Event, LabWorld, WorldKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which phases to run, and what to leave.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Only this one.
    pub phase: Option<u32>,
    /// Leave the last phase's stack up.
    pub keep: bool,
}

/// Who watches a lab, and may stop it.
pub trait Progress {
    /// Something to show.
    fn notice(&mut self, notice: Notice<'_>);

    /// Whether the user wants it to stop; asked many times a second.
    fn stopped(&self) -> bool {
        false
    }
}

/// What a lab tells its watcher.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// A phase begins: the `index`-th of `of`.
    Phase {
        /// Which.
        phase: &'a PhaseSpec,
        /// Its place among those that run, from 1.
        index: usize,
        /// How many run.
        of: usize,
    },
    /// A stack is being made.
    Deploying,
    /// It is complete; the lab waits for its first answers.
    Waiting,
    /// The load runs.
    Loading {
        /// For this long.
        elapsed: Duration,
        /// Of this.
        of: Duration,
        /// Requests answered.
        ok: u64,
        /// Requests lost.
        lost: u64,
    },
    /// Something happened, or the lab did something.
    Event(&'a Event),
    /// The stack is being taken down.
    Deleting,
    /// A phase is over.
    Done(&'a PhaseResult),
}

/// What came of a lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabResult {
    /// The lab's short name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What its chance was drawn from.
    pub seed: u64,
    /// Which kind of world it ran in.
    pub world: WorldKind,
    /// The pace of that world's deployments.
    pub pace: String,
    /// Virtual seconds in a real one while stacks came up.
    pub deploy_speed: u32,
    /// The phases that ran.
    pub phases: Vec<PhaseResult>,
}

impl LabResult {
    /// The same for scripts, and to compare with later: JSON, spans in seconds.
    ///
    /// # Errors
    /// [`LabError::Json`], which plain data like this never gives.
    pub fn to_json(&self) -> Result<String, LabError> {
        serde_json::to_string_pretty(self).map_err(LabError::Json)
    }

    /// Reads what [`LabResult::to_json`] wrote.
    ///
    /// # Errors
    /// [`LabError::Json`] with the place.
    pub fn from_json(text: &str) -> Result<LabResult, LabError> {
        serde_json::from_str(text).map_err(LabError::Json)
    }
}

/// What came of a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseResult {
    /// Its number.
    pub number: u32,
    /// The architecture.
    pub title: String,
    /// What it was to show.
    pub limit: String,
    /// Virtual seconds in a real one while the load ran.
    pub speed: u32,
    /// How long the load ran.
    #[serde(with = "crate::time::seconds")]
    pub duration: Duration,
    /// The figures.
    pub figures: Figures,
    /// What they show.
    pub verdict: Verdict,
    /// The same as a sentence.
    pub sentence: String,
    /// What they would show on AWS, by its documentation.
    pub expected: Verdict,
    /// What AWS's documentation leads one to expect, and whether it was so.
    pub expectations: Vec<Judged>,
    /// By how much outages may differ between worlds.
    #[serde(with = "crate::time::maybe_seconds")]
    pub interval: Option<Duration>,
    /// What happened when.
    pub timeline: Timeline,
}

/// An expectation, and whether it was met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// What was expected.
    pub expectation: Expectation,
    /// Whether it came so; `None` where it cannot be put in figures.
    pub met: Option<bool>,
}

/// Runs a lab.
///
/// # Errors
/// The first thing that went wrong; whatever the phase had deployed has been taken down by then.
pub fn run(
    spec: &LabSpec,
    options: RunOptions,
    world: &mut dyn LabWorld,
    progress: &mut dyn Progress,
) -> Result<LabResult, LabError> {
    let chosen: Vec<&PhaseSpec> =
        spec.phases.iter().filter(|phase| options.phase.is_none_or(|number| number == phase.number)).collect();
    if let (Some(wanted), true) = (options.phase, chosen.is_empty()) {
        let have = spec.phases.iter().map(|phase| phase.number.to_string()).collect::<Vec<_>>().join(", ");
        return Err(LabError::NoPhase { wanted, have });
    }
    let mut phases = Vec::new();
    for (index, phase) in chosen.iter().enumerate() {
        progress.notice(Notice::Phase { phase, index: index + 1, of: chosen.len() });
        let mut run = PhaseRun { lab: spec, phase, world, watch: Watch::new(progress) };
        let outcome = run.run();
        let keep = options.keep && index + 1 == chosen.len() && outcome.is_ok();
        let down = if keep { Ok(()) } else { run.take_down() };
        let result = outcome.and_then(|result| down.map(|()| result))?;
        progress.notice(Notice::Done(&result));
        phases.push(result);
    }
    Ok(LabResult {
        name: spec.name.clone(),
        title: spec.title.clone(),
        seed: spec.seed,
        world: world.kind(),
        pace: world.pace(),
        deploy_speed: spec.deploy_speed,
        phases,
    })
}
