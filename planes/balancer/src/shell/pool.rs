//! Connections to targets that wait for their next request: per core, node and target.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Active;
use super::transport::Transport;
use crate::core::route::TargetHandle;

/// Waiting connections per core, node and target, at most.
const MOST: usize = 256;

/// A connection to a target.
#[derive(Debug)]
pub struct Kept {
    /// The connection; nothing is on its way in either direction.
    pub stream: Transport,
    /// Whom it leads to.
    pub target: Arc<TargetHandle>,
    /// Counts it.
    pub active: Rc<Active>,
    /// Since when it waits.
    pub since: Instant,
}

impl Kept {
    /// How long it may wait; virtual time.
    pub fn idle_timeout(&self) -> Duration {
        self.active.shared().snapshot.load().idle_timeout
    }
}

/// Targets whose connections lie side by side: slots are given out one after the other, and with many targets each request
/// comes to another's, which should be found in few steps.
const PAGE: u64 = 64;

/// One core's waiting connections: by node and the first of `PAGE` slots, those of each slot.
#[derive(Debug, Default)]
pub struct Pool(BTreeMap<(usize, u64), Box<[Vec<Kept>]>>);

impl Pool {
    /// The connection that was used last, if one is alive.
    pub fn take(&mut self, slot: u64, zone: usize) -> Option<Kept> {
        let waiting = &mut self.0.get_mut(&(zone, slot / PAGE))?[within(slot)];
        loop {
            let mut kept = waiting.pop()?;
            if kept.stream.is_quiet() {
                return Some(kept);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub fn put(&mut self, zone: usize, kept: Kept) {
        let slot = kept.target.slot;
        let page = self.0.entry((zone, slot / PAGE)).or_insert_with(|| (0..PAGE).map(|_| Vec::new()).collect());
        let waiting = &mut page[within(slot)];
        if waiting.len() < MOST {
            waiting.push(kept);
        }
    }

    /// Closes all connections to a target.
    pub fn purge(&mut self, slot: u64) {
        let pages = self.0.iter_mut().filter(|((_, page), _)| *page == slot / PAGE);
        pages.for_each(|(_, page)| page[within(slot)].clear());
    }

    /// Closes what targets have closed, and what has waited too long.
    pub fn sweep(&mut self, now: Instant, limit: impl Fn(&Kept) -> Duration) {
        self.0.retain(|_, page| {
            for waiting in &mut **page {
                waiting.retain_mut(|kept| kept.stream.is_quiet() && now.duration_since(kept.since) < limit(kept));
                if waiting.is_empty() {
                    *waiting = Vec::new();
                }
            }
            page.iter().any(|waiting| !waiting.is_empty())
        });
    }
}

/// Where on its page a slot is: less than `PAGE`.
fn within(slot: u64) -> usize {
    (slot % PAGE) as usize
}
