//! Disks made ahead: an instance that starts takes one, and another is made while nobody waits for it. Making one costs little but takes
//! long, for the kernel waits for all its processors several times on the way.

use super::lock;
use crate::error::{Error, Result};
use crate::privilege::Privilege;
use crate::sandbox::{disk, volume};
use crate::world::Config;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// How many of a size are kept.
const KEPT: usize = 3;
/// How many of all sizes.
const MOST: usize = 12;
/// How long after its start a world begins to make some, if nobody asks before.
const AFTER_START: Duration = Duration::from_millis(200);
/// The size that most images ask for, GiB.
const USUAL: u32 = 8;

/// What is ready, and which sizes are asked for.
#[derive(Default)]
struct Shelf {
    /// Size and name of each.
    ready: Vec<(u32, String)>,
    /// The sizes that were asked for, the last one last.
    asked: Vec<u32>,
}

impl Shelf {
    fn take(&mut self, gib: u32) -> Option<String> {
        self.asked.retain(|size| *size != gib);
        self.asked.push(gib);
        let at = self.ready.iter().position(|(size, _)| *size == gib)?;
        Some(self.ready.swap_remove(at).1)
    }

    /// Whether there should be one more of a size.
    fn lacks(&self, gib: u32) -> bool {
        self.ready.iter().filter(|(size, _)| *size == gib).count() < KEPT
    }

    /// Where there is no room for one more of a size: one of the size that was asked for longest ago, which is to go.
    fn crowded_out(&mut self, gib: u32) -> Option<String> {
        if self.ready.len() < MOST {
            return None;
        }
        let last_asked = |size: u32| self.asked.iter().position(|asked| *asked == size);
        let others = (0..self.ready.len()).filter(|at| self.ready[*at].0 != gib);
        let oldest = others.min_by_key(|at| last_asked(self.ready[*at].0))?;
        Some(self.ready.swap_remove(oldest).1)
    }
}

/// The disks made ahead.
pub(super) struct Spares {
    config: Config,
    /// Whether this machine gives us what disks of a size are made of: tried once.
    able: OnceLock<bool>,
    shelf: Mutex<Shelf>,
    template: Mutex<()>,
    number: AtomicU64,
    wanted: Sender<u32>,
}

impl Spares {
    /// Begins to make some.
    pub(super) fn new(config: &Config) -> Arc<Self> {
        let (wanted, sizes) = channel();
        let spares = Arc::new(Self {
            config: config.clone(),
            able: OnceLock::new(),
            shelf: Mutex::default(),
            template: Mutex::default(),
            number: AtomicU64::new(0),
            wanted,
        });
        let keeper = Arc::clone(&spares);
        // It keeps one sender itself, and ends with the warden.
        std::thread::spawn(move || keeper.keep(&sizes));
        spares
    }

    /// A new disk of a size, by its name; `None` where disks have none.
    pub(super) fn take(&self, gib: u32) -> Result<Option<String>> {
        if !self.able() {
            return Ok(None);
        }
        let found = lock(&self.shelf).take(gib);
        let _ = self.wanted.send(gib);
        found.map_or_else(|| self.make(gib), Ok).map(Some)
    }

    /// Takes back one that was not needed after all.
    pub(super) fn give_back(&self, gib: u32, name: String) {
        lock(&self.shelf).ready.push((gib, name));
    }

    fn able(&self) -> bool {
        *self.able.get_or_init(|| {
            // What an earlier warden had ready, or half.
            for name in disk::spares(&self.config) {
                let _ = disk::remove(&self.config, &name);
            }
            let tried = match self.config.privilege {
                Privilege::Root => self.make(USUAL),
                Privilege::User => Err(Error::Refused("an ordinary user may use no loop devices".to_owned())),
            };
            let note = self.config.unlimited_disks();
            match tried {
                Ok(name) => {
                    self.give_back(USUAL, name);
                    let _ = fs::remove_file(note);
                    true
                }
                // It could, if there were room; starts will say that there is none.
                Err(error) if error.is_full() => true,
                Err(error) => {
                    tracing::warn!(%error, "disks have no size of their own here");
                    let _ = fs::write(note, error.to_string());
                    false
                }
            }
        })
    }

    fn make(&self, gib: u32) -> Result<String> {
        let name = format!("{}{}", disk::SPARE, self.number.fetch_add(1, Ordering::Relaxed));
        let made = {
            let _only = lock(&self.template);
            volume::make_template(&self.config, gib)
        };
        match made.and_then(|()| volume::make(&self.config, &name, gib)) {
            Ok(()) => Ok(name),
            Err(error) => {
                let _ = disk::remove(&self.config, &name);
                Err(error)
            }
        }
    }

    fn keep(&self, sizes: &Receiver<u32>) {
        // A world that comes up has better to do; the first start waits for no longer than it must.
        let first = sizes.recv_timeout(AFTER_START).unwrap_or(USUAL);
        if !self.able() {
            return;
        }
        self.fill(first);
        while let Ok(gib) = sizes.recv() {
            self.fill(gib);
        }
    }

    fn fill(&self, gib: u32) {
        while lock(&self.shelf).lacks(gib) {
            let gone = lock(&self.shelf).crowded_out(gib);
            if let Some(name) = gone
                && let Err(error) = disk::remove(&self.config, &name)
            {
                tracing::warn!(%error, "a disk made ahead stays");
            }
            match self.make(gib) {
                Ok(name) => self.give_back(gib, name),
                Err(error) => {
                    tracing::warn!(%error, "no disk of {gib} GiB ahead");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_is_asked_for_finds_room_where_others_are_not_any_more() {
        let mut shelf = Shelf::default();
        for gib in [8, 10, 20, 30] {
            assert_eq!(shelf.take(gib), None);
            while shelf.lacks(gib) {
                assert_eq!(shelf.crowded_out(gib), None);
                shelf.ready.push((gib, format!("{gib}-{}", shelf.ready.len())));
            }
        }
        assert_eq!(shelf.ready.len(), MOST);
        // Asked for again: 10 has been for longer.
        assert!(shelf.take(8).is_some());
        shelf.ready.push((8, "8-again".into()));
        assert_eq!(shelf.take(40), None);
        for _ in 0..KEPT {
            assert!(shelf.lacks(40));
            assert!(shelf.crowded_out(40).is_some_and(|name| name.starts_with("10-")));
            shelf.ready.push((40, "40".into()));
        }
        assert!(!shelf.lacks(40) && shelf.lacks(10) && shelf.ready.len() == MOST);
    }
}
