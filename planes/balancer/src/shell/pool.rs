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

/// One core's waiting connections.
#[derive(Debug, Default)]
pub struct Pool(BTreeMap<(u64, usize), Vec<Kept>>);

impl Pool {
    /// The connection that was used last, if one is alive.
    pub fn take(&mut self, slot: u64, zone: usize) -> Option<Kept> {
        let waiting = self.0.get_mut(&(slot, zone))?;
        loop {
            let mut kept = waiting.pop()?;
            if kept.stream.is_quiet() {
                return Some(kept);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub fn put(&mut self, zone: usize, kept: Kept) {
        let waiting = self.0.entry((kept.target.slot, zone)).or_default();
        if waiting.len() < MOST {
            waiting.push(kept);
        }
    }

    /// Closes all connections to a target.
    pub fn purge(&mut self, slot: u64) {
        self.0.retain(|(other, _), _| *other != slot);
    }

    /// Closes what targets have closed, and what has waited too long.
    pub fn sweep(&mut self, now: Instant, limit: impl Fn(&Kept) -> Duration) {
        self.0.retain(|_, waiting| {
            waiting.retain_mut(|kept| kept.stream.is_quiet() && now.duration_since(kept.since) < limit(kept));
            !waiting.is_empty()
        });
    }
}
