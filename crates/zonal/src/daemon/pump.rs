//! The one thread that drives the control plane: takes in the world's reports, runs what is due, and lets a virtual world's time pass.

use crate::daemon::Daemon;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use zonal_cloud::Clock;
use zonal_sim::Sim;
use zonal_substrate::Report;
use zonal_wire::Time;

/// What wakes the pump.
pub enum Beat {
    /// The world reports.
    Report(Report),
    /// Something may be due earlier.
    Nudge,
    /// Stop.
    End,
}

/// A channel to a pump.
pub fn beats() -> (Sender<Beat>, Receiver<Beat>) {
    channel()
}

/// The longest that the pump sleeps: a bound on what a lost nudge costs.
const LONGEST: Duration = Duration::from_secs(1);

/// Drives `daemon` until [`Beat::End`] comes, or nobody can send any more.
pub fn run(daemon: &Daemon, sim: Option<&Arc<Sim>>, beats: &Receiver<Beat>) {
    loop {
        let mut next = daemon.cloud.run_due();
        if let Some(sim) = sim {
            for report in sim.advance(daemon.clock.now().0) {
                daemon.cloud.report(&report);
            }
            next = [daemon.cloud.run_due(), sim.due().map(Time)].into_iter().flatten().min();
        }
        let wait = next.map_or(LONGEST, |at| daemon.clock.until(at)).min(LONGEST);
        let mut first = match beats.recv_timeout(wait) {
            Ok(beat) => Some(beat),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // All that has come by now is one wake-up.
        while let Some(beat) = first.take().or_else(|| beats.try_recv().ok()) {
            match beat {
                Beat::Report(report) => daemon.cloud.report(&report),
                Beat::Nudge => {}
                Beat::End => return,
            }
        }
    }
}
