//! Connections to targets that speak HTTP/2: per core, node and target, as few as the target's own
//! limit on streams allows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::target::{Line, TargetStream};
use crate::shell::shared::Active;

/// A target's slot and a node's zone.
type Key = (u64, usize);

/// One core's connections.
#[derive(Debug, Default)]
pub struct Lines {
    open: RefCell<BTreeMap<Key, Vec<Line>>>,
    dialling: RefCell<BTreeMap<Key, Rc<Notify>>>,
}

/// A connection is being made; dropped, whoever waited for it looks again.
#[derive(Debug)]
pub struct Dialling<'a> {
    lines: &'a Lines,
    key: Key,
    done: Rc<Notify>,
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.lines.dialling.borrow_mut().remove(&self.key);
        self.done.notify_waiters();
    }
}

impl Lines {
    /// A place on an open connection.
    pub fn take(&self, slot: u64, zone: usize) -> Option<(TargetStream, Rc<Active>)> {
        let mut open = self.open.borrow_mut();
        let lines = open.get_mut(&(slot, zone))?;
        let mut found = None;
        lines.retain_mut(|line| match line.room() {
            Ok(true) if found.is_none() => {
                line.since = Instant::now();
                found = Some((line.stream(), line.active().clone()));
                true
            }
            room => room.is_ok(),
        });
        found
    }

    /// Waits for the connection that somebody makes, once; `None` if there is a place now, else the
    /// right to make one.
    pub async fn dial(&self, slot: u64, zone: usize) -> Option<Dialling<'_>> {
        let key = (slot, zone);
        let under_way = self.dialling.borrow().get(&key).cloned();
        if let Some(done) = under_way {
            done.notified().await;
            return None;
        }
        let done = Rc::new(Notify::new());
        self.dialling.borrow_mut().insert(key, done.clone());
        Some(Dialling { lines: self, key, done })
    }

    /// Adds a connection; a place on it.
    pub fn put(&self, slot: u64, zone: usize, line: Line) -> (TargetStream, Rc<Active>) {
        let place = (line.stream(), line.active().clone());
        self.open.borrow_mut().entry((slot, zone)).or_default().push(line);
        place
    }

    /// Asks no more on the connections to a target.
    pub fn purge(&self, slot: u64) {
        self.open.borrow_mut().retain(|(other, _), _| *other != slot);
    }

    /// Closes what targets have closed, and what has been in no use for too long.
    pub fn sweep(&self, now: Instant, limit: impl Fn(&Active) -> Duration) {
        self.open.borrow_mut().retain(|_, lines| {
            lines.retain_mut(|line| {
                if line.requests() > 0 {
                    line.since = now;
                }
                line.room().is_ok() && now.duration_since(line.since) < limit(line.active())
            });
            !lines.is_empty()
        });
    }
}
