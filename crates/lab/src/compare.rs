//! The real world's figures beside the virtual one's: where an architecture heals by
//! health checks, outages agree within a tenth or one check's interval; elsewhere the
//! verdict is the same.

use crate::runner::{LabResult, PhaseResult};
use crate::time::human;
use std::time::Duration;

/// A phase in both worlds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Its number.
    pub phase: u32,
    /// What the real world shows.
    pub real: String,
    /// What the virtual one shows.
    pub modelled: String,
    /// What was compared.
    pub rule: String,
    /// Whether they agree by that.
    pub agrees: bool,
}

/// Compares the phases that both results have.
pub fn compare(real: &LabResult, modelled: &LabResult) -> Vec<Agreement> {
    let pairs = real.phases.iter().filter_map(|one| {
        let other = modelled.phases.iter().find(|other| other.number == one.number)?;
        Some(agreement(one, other))
    });
    pairs.collect()
}

fn agreement(real: &PhaseResult, modelled: &PhaseResult) -> Agreement {
    let (a, b) = (real.figures.outage, modelled.figures.outage);
    let same_verdict = real.verdict == modelled.verdict;
    let (rule, agrees) = match real.interval {
        Some(interval) => {
            let allowed = interval.max(a.max(b).mul_f64(0.1));
            (format!("outages within {}", human(allowed)), same_verdict && difference(a, b) <= allowed)
        }
        None => ("same verdict".into(), same_verdict),
    };
    Agreement { phase: real.number, real: real.sentence.clone(), modelled: modelled.sentence.clone(), rule, agrees }
}

fn difference(a: Duration, b: Duration) -> Duration {
    a.max(b) - a.min(b)
}
