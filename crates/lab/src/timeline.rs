//! A phase's load over time, as reports draw it: requests, clients that were down,
//! instances in service, and what happened when.

use crate::measure::Measured;
use crate::time::At;
use crate::world::{Event, EventKind};
use serde::{Deserialize, Serialize};

/// A timeline is cut into at most this many parts.
const MAX_PARTS: usize = 360;

/// A phase's load, cut into equal parts. Times are virtual seconds since the load's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The width of a part in whole seconds.
    pub part: u32,
    /// Requests wanted in each part that were answered.
    pub ok: Vec<u32>,
    /// Those that were lost.
    pub lost: Vec<u32>,
    /// Clients that were down.
    pub down: Vec<u32>,
    /// Instances in service, as they changed.
    pub in_service: Vec<(f64, u32)>,
    /// What happened, in order; before the load's start too.
    pub marks: Vec<Mark>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When; negative before the load's start.
    pub at: f64,
    /// What kind of thing.
    pub kind: EventKind,
    /// To what.
    pub resource: String,
    /// In words.
    pub text: String,
}

impl Timeline {
    /// Of a measured load, and what happened meanwhile.
    pub fn new(measured: &Measured, events: &[Event]) -> Timeline {
        let seconds = (measured.end.since(measured.start).as_secs_f64().ceil() as usize).max(1);
        let part = seconds.div_ceil(MAX_PARTS);
        let parts = seconds.div_ceil(part);
        let (mut ok, mut lost) = (vec![0; parts], vec![0; parts]);
        for (second, counts) in measured.seconds.iter().enumerate() {
            let index = (second / part).min(parts - 1);
            ok[index] += counts.ok;
            lost[index] += counts.failed;
        }
        let relative = |at: At| (at.0 as f64 - measured.start.0 as f64) / 1e6;
        let mut events: Vec<&Event> = events.iter().collect();
        events.sort_by_key(|event| event.at);
        let mut timeline = Timeline {
            part: part as u32,
            ok,
            lost,
            down: measured.down(parts),
            in_service: Vec::new(),
            marks: Vec::new(),
        };
        for event in events {
            match event.kind {
                EventKind::InService(n) => timeline.in_service.push((relative(event.at), n)),
                kind => timeline.marks.push(Mark {
                    at: relative(event.at),
                    kind,
                    resource: event.resource.clone(),
                    text: event.text.clone(),
                }),
            }
        }
        timeline
    }

    /// How long it is, in seconds.
    pub fn length(&self) -> f64 {
        self.ok.len() as f64 * f64::from(self.part)
    }
}
