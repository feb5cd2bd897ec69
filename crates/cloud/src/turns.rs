//! Who has the state first: who called, before our own work.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How often our own work looks whether callers still wait, before it goes on all the same.
const WAY: usize = 200;

/// The callers that wait for the state.
#[derive(Debug, Default)]
pub(crate) struct Turns(AtomicUsize);

impl Turns {
    /// Takes the state for a caller, before whatever comes next of our own.
    pub(crate) fn soon<G>(&self, take: impl FnOnce() -> G) -> G {
        self.0.fetch_add(1, Ordering::Relaxed);
        let guard = take();
        self.0.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    /// Lets those who called have the state first: the lock itself would go again and again to who has just had it, since a thread
    /// that sleeps takes longer to wake than the next job to begin. For a while only, so that controllers get on under any load.
    pub(crate) fn give_way(&self) {
        for _ in 0..WAY {
            if self.0.load(Ordering::Relaxed) == 0 {
                return;
            }
            std::thread::yield_now();
        }
    }
}
