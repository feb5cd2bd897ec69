//! What a running phase does with what it sees: samples are measured, events are
//! shown and kept.

use crate::clients::Sample;
use crate::measure::Measure;
use crate::runner::{Notice, Progress};
use crate::time::At;
use crate::world::{Event, EventKind, Observation};

/// Events of a phase that are kept for its report.
const MAX_EVENTS: usize = 5_000;

/// What is done with what is seen.
pub(crate) struct Watch<'a> {
    pub progress: &'a mut dyn Progress,
    pub mode: Mode,
    /// At most [`MAX_EVENTS`].
    pub events: Vec<Event>,
}

/// What samples are for.
pub(crate) enum Mode {
    Idle,
    Probing { in_a_row: Vec<u32>, first: Option<At> },
    Measuring { measure: Measure },
}

impl<'a> Watch<'a> {
    pub fn new(progress: &'a mut dyn Progress) -> Watch<'a> {
        Watch { progress, mode: Mode::Idle, events: Vec::new() }
    }

    pub fn see(&mut self, seen: Observation) {
        match seen {
            Observation::Sample(sample) => self.sample(&sample),
            Observation::Event(event) => {
                self.progress.notice(Notice::Event(&event));
                if self.events.len() < MAX_EVENTS {
                    self.events.push(event);
                }
            }
        }
    }

    fn sample(&mut self, sample: &Sample) {
        match &mut self.mode {
            Mode::Idle => {}
            Mode::Measuring { measure } => measure.record(sample),
            Mode::Probing { in_a_row, first } => {
                let ok = sample.outcome.is_ok();
                if let Some(n) = in_a_row.get_mut(sample.client as usize) {
                    *n = if ok { *n + 1 } else { 0 };
                }
                if ok && first.is_none() {
                    *first = Some(sample.finished);
                }
            }
        }
    }

    /// Instances in service from `start` on, as they changed; empty where no group said any.
    pub fn capacity(&self, start: At) -> Vec<u32> {
        let mut counts: Vec<(At, u32)> = self
            .events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::InService(n) => Some((event.at, n)),
                _ => None,
            })
            .collect();
        counts.sort_by_key(|&(at, _)| at);
        let before = counts.iter().rev().find(|&&(at, _)| at <= start).map(|&(_, n)| n);
        before.into_iter().chain(counts.iter().filter(|&&(at, _)| at > start).map(|&(_, n)| n)).collect()
    }
}
