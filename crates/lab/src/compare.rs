//! The real world's figures beside the virtual one's: where an architecture heals by
//! health checks, outages agree within a tenth or one check's interval; elsewhere the
//! verdict is the same.

use crate::runner::{LabResult, PhaseResult};
use crate::time::human;

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

/// Compares the phases of a real run with those of virtual ones, of a seed each: the first is shown beside it. How long the unluckiest
/// client was down hangs on when it last asked for the name, so one draw says little: the real figure must lie among the modelled ones.
pub fn compare(real: &LabResult, modelled: &[LabResult]) -> Vec<Agreement> {
    let pairs = real.phases.iter().filter_map(|one| {
        let same = modelled.iter().flat_map(|result| result.phases.iter().find(|other| other.number == one.number));
        agreement(one, &same.collect::<Vec<_>>())
    });
    pairs.collect()
}

fn agreement(real: &PhaseResult, modelled: &[&PhaseResult]) -> Option<Agreement> {
    let first = modelled.first()?;
    let outages = || modelled.iter().map(|phase| phase.figures.outage);
    let (shortest, longest, outage) = (outages().min()?, outages().max()?, real.figures.outage);
    let same_verdict = real.verdict == first.verdict;
    let (rule, agrees) = match real.interval {
        Some(interval) => {
            let allowed = interval.max(outage.max(longest).mul_f64(0.1));
            let rule = match modelled.len() {
                1 => format!("outages within {}", human(allowed)),
                seeds => format!(
                    "an outage within {} of the {} to {} that {seeds} seeds give",
                    human(allowed),
                    human(shortest),
                    human(longest)
                ),
            };
            let apart = shortest.saturating_sub(outage).max(outage.saturating_sub(longest));
            (rule, same_verdict && apart <= allowed)
        }
        None => ("same verdict".into(), same_verdict),
    };
    let (real_says, modelled_says) = (real.sentence.clone(), first.sentence.clone());
    Some(Agreement { phase: real.number, real: real_says, modelled: modelled_says, rule, agrees })
}
