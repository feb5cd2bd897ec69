//! What the clients saw, in bounded memory: seconds, outages per client, latencies.
//!
//! A client's **outage** begins when its user wanted something that then failed,
//! and ends with the next answer it gets: as long as it takes the client to learn
//! that all is well. The service has **healed** from a fault at the moment from
//! which on every request that is wanted gets its answer.

use crate::clients::{Outcome, Sample};
use crate::histogram::Histogram;
use crate::time::At;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Outages remembered one by one; beyond, they are only counted.
const MAX_OUTAGES: usize = 100_000;
/// Seconds of a load that are told apart: a day.
const MAX_SECONDS: usize = 86_400;

/// The measurement of one load.
#[derive(Clone, Debug)]
pub struct Measure {
    start: At,
    ok: u64,
    lost: BTreeMap<Outcome, u64>,
    latencies: Histogram,
    seconds: Vec<Second>,
    clients: Vec<Track>,
    outages: Vec<Outage>,
    forgotten: u64,
    breaks: Vec<Break>,
}

/// Requests wanted in one virtual second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Answered.
    pub ok: u32,
    /// Lost.
    pub failed: u32,
}

/// A time in which a client got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Whose.
    pub client: u32,
    /// When its user wanted the first request that was lost.
    pub from: At,
    /// When it got its next answer; the load's end if it never did.
    pub to: At,
    /// Whether it got one.
    pub ended: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Track {
    seen: bool,
    down_since: Option<At>,
}

#[derive(Clone, Debug)]
struct Break {
    at: At,
    what: String,
    last_lost: Option<At>,
}

/// How the service came out of a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// The fault.
    pub what: String,
    /// When, after the load's start.
    #[serde(with = "crate::time::seconds")]
    pub at: Duration,
    /// How it went.
    pub healing: Healing,
}

/// Whether and when a service healed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Healing {
    /// No request that was wanted after the fault was lost.
    Unharmed,
    /// After this time, nothing was lost any more.
    Healed {
        /// Since the fault.
        #[serde(with = "crate::time::seconds")]
        after: Duration,
    },
    /// Clients were still down when the lab stopped looking.
    Down {
        /// How long it looked.
        #[serde(with = "crate::time::seconds")]
        watched: Duration,
    },
}

/// Everything that was measured of a load.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Requests answered.
    pub ok: u64,
    /// Requests lost, by how.
    pub lost: BTreeMap<Outcome, u64>,
    /// What users waited for the answers they got.
    pub latencies: Histogram,
    /// Each virtual second, from the load's start.
    pub seconds: Vec<Second>,
    /// Clients that asked for anything.
    pub clients: u32,
    /// All outages, by when they began.
    pub outages: Vec<Outage>,
    /// Outages beyond those that are remembered.
    pub forgotten: u64,
    /// How each fault was survived.
    pub recoveries: Vec<Recovery>,
    /// When the load began.
    pub start: At,
    /// When it was over.
    pub end: At,
}

impl Measure {
    /// Of a load of so many clients.
    pub fn new(start: At, clients: u32) -> Measure {
        Measure {
            start,
            ok: 0,
            lost: BTreeMap::new(),
            latencies: Histogram::default(),
            seconds: Vec::new(),
            clients: vec![Track::default(); clients as usize],
            outages: Vec::new(),
            forgotten: 0,
            breaks: Vec::new(),
        }
    }

    /// Something was broken at `at`: healing is timed from here. Faults come in order of time.
    pub fn broke(&mut self, at: At, what: String) {
        self.breaks.push(Break { at, what, last_lost: None });
    }

    /// A request is over. Each client's come in the order in which it wanted them.
    pub fn record(&mut self, sample: &Sample) {
        let second = (sample.intended.since(self.start).as_secs() as usize).min(MAX_SECONDS - 1);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        let Some(track) = self.clients.get_mut(sample.client as usize) else {
            return;
        };
        track.seen = true;
        if sample.outcome.is_ok() {
            self.ok += 1;
            self.latencies.record(sample.latency());
            self.seconds[second].ok += 1;
            if let Some(from) = track.down_since.take() {
                self.remember(Outage { client: sample.client, from, to: sample.finished, ended: true });
            }
            return;
        }
        *self.lost.entry(sample.outcome).or_default() += 1;
        self.seconds[second].failed += 1;
        track.down_since.get_or_insert(sample.intended);
        // The fault that this loss is put down to is the last one before it was wanted.
        if let Some(fault) = self.breaks.iter_mut().rev().find(|fault| fault.at <= sample.intended) {
            fault.last_lost = fault.last_lost.max(Some(sample.intended));
        }
    }

    fn remember(&mut self, outage: Outage) {
        if self.outages.len() < MAX_OUTAGES {
            self.outages.push(outage);
        } else {
            self.forgotten += 1;
        }
    }

    /// Requests so far: answered, and lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.ok, self.lost.values().sum())
    }

    /// Closes the books at `end`; who has no answer by then is still down.
    pub fn finish(mut self, end: At) -> Measured {
        for client in 0..self.clients.len() {
            if let Some(from) = self.clients[client].down_since {
                self.remember(Outage { client: client as u32, from, to: end, ended: false });
            }
        }
        self.outages.sort_by_key(|outage| (outage.from, outage.client));
        let ends = self.breaks.iter().skip(1).map(|next| next.at).chain([end]);
        let recoveries = self.breaks.iter().zip(ends).map(|(fault, until)| self.recovery(fault, until)).collect();
        Measured {
            recoveries,
            ok: self.ok,
            lost: self.lost,
            latencies: self.latencies,
            seconds: self.seconds,
            clients: self.clients.iter().filter(|track| track.seen).count() as u32,
            outages: self.outages,
            forgotten: self.forgotten,
            start: self.start,
            end,
        }
    }

    /// How a fault was survived, watched until the next one or the end.
    fn recovery(&self, fault: &Break, until: At) -> Recovery {
        let down_at_the_end = |outage: &Outage| outage.from < until && (outage.to > until || !outage.ended);
        let healing = match fault.last_lost {
            None => Healing::Unharmed,
            Some(_) if self.outages.iter().any(down_at_the_end) => Healing::Down { watched: until.since(fault.at) },
            Some(last) => Healing::Healed { after: last.since(fault.at) },
        };
        Recovery { what: fault.what.clone(), at: fault.at.since(self.start), healing }
    }
}

impl Measured {
    /// The longest outage that a client saw, if any did.
    pub fn longest_outage(&self) -> Option<Outage> {
        self.outages.iter().copied().max_by_key(|outage| outage.to.since(outage.from))
    }

    /// How many clients were down in each of `buckets` equal parts of the load, at its middle.
    pub fn down(&self, buckets: usize) -> Vec<u32> {
        let width = self.end.since(self.start).as_secs_f64() / buckets.max(1) as f64;
        let mut change = vec![0i64; buckets + 1];
        let index = |at: At| ((at.since(self.start).as_secs_f64() / width + 0.5) as usize).min(buckets);
        for (from, to) in self.times_down() {
            change[index(from)] += 1;
            change[index(to)] -= 1;
        }
        let running = change.iter().take(buckets).scan(0i64, |sum, step| {
            *sum += step;
            Some(u32::try_from(*sum).unwrap_or(0))
        });
        running.collect()
    }

    /// The most clients that were down at one moment.
    pub fn peak_down(&self) -> u32 {
        // An outage that ends when another begins does not overlap it: ends sort first.
        let mut steps: Vec<(At, i64)> = self.times_down().flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
        steps.sort_unstable();
        let (mut sum, mut peak) = (0i64, 0i64);
        for (_, step) in steps {
            sum += step;
            peak = peak.max(sum);
        }
        u32::try_from(peak).unwrap_or(u32::MAX)
    }

    /// When a client was down, for each outage; where one reaches into the client's next one, because its last answer
    /// was still on its way, it ends there, so that no client is down twice at once.
    fn times_down(&self) -> impl Iterator<Item = (At, At)> {
        let mut next: BTreeMap<u32, At> = BTreeMap::new();
        self.outages.iter().rev().map(move |outage| {
            let following = next.insert(outage.client, outage.from);
            (outage.from, following.map_or(outage.to, |from| outage.to.min(from)))
        })
    }
}
