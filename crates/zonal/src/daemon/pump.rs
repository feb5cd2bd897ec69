//! The one thread that drives the control plane: takes in the world's reports, runs what is due, and lets a virtual world's time pass.

use crate::daemon::Daemon;
use crate::daemon::pace::Paced;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use zonal_cloud::{Clock, Cloud};
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

/// How many reports are one transaction at most: whoever calls meanwhile waits for it.
const AT_ONCE: usize = 32;

/// What happens by the clock beside the control plane's own jobs.
#[derive(Clone, Default)]
pub struct Timed {
    /// A virtual world.
    pub sim: Option<Arc<Sim>>,
    /// What is held back for AWS's pace.
    pub paced: Option<Arc<Paced>>,
}

impl Timed {
    /// Lets happen what is due at `now`: jobs, what was held back, a virtual world's events. When the next of all that is.
    pub fn advance(&self, cloud: &Cloud, now: Time) -> Option<Time> {
        let jobs = cloud.run_due();
        if let Some(paced) = &self.paced {
            paced.advance(now);
        }
        let reports = self.sim.as_ref().map(|sim| sim.advance(now.0)).unwrap_or_default();
        for reports in reports.chunks(AT_ONCE) {
            cloud.take_in(reports);
        }
        let jobs = if reports.is_empty() { jobs } else { cloud.run_due() };
        let sim = self.sim.as_ref().and_then(|sim| sim.due()).map(Time);
        let paced = self.paced.as_ref().and_then(|paced| paced.due());
        [jobs, sim, paced].into_iter().flatten().min()
    }
}

/// Drives `daemon` until [`Beat::End`] comes, or nobody can send any more.
pub fn run(daemon: &Daemon, timed: &Timed, beats: &Receiver<Beat>) {
    loop {
        let next = timed.advance(&daemon.cloud, daemon.clock.now());
        let wait = next.map_or(LONGEST, |at| daemon.clock.until(at)).min(LONGEST);
        let mut first = match beats.recv_timeout(wait) {
            Ok(beat) => Some(beat),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // All that has come by now is one wake-up.
        let mut reports = Vec::new();
        while let Some(beat) = first.take().or_else(|| beats.try_recv().ok()) {
            match beat {
                Beat::Report(report) => reports.push(report),
                Beat::Nudge => {}
                Beat::End => return,
            }
            if reports.len() == AT_ONCE {
                daemon.cloud.take_in(&std::mem::take(&mut reports));
            }
        }
        daemon.cloud.take_in(&reports);
    }
}
