//! Who has the state first: who called, before our own work.
//!
//! The lock itself would go again and again to who has just had it, since a thread that sleeps takes longer to wake than the next job to
//! begin: on a busy machine a call waited for a second while controllers and reports went on. So whoever calls draws a number, and our own
//! work, before each transaction, waits until all numbers drawn by then have had their turn. Those drawn later it does not wait for, so that
//! it gets on under any load.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The callers, by numbers.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    numbers: Mutex<Numbers>,
    had: Condvar,
}

#[derive(Debug, Default)]
struct Numbers {
    /// The next to be drawn.
    next: u64,
    /// Those whose callers have not got the state yet. They get it in an order of its lock's own.
    waiting: BTreeSet<u64>,
}

impl Turns {
    /// Takes the state for a caller, before whatever comes next of our own.
    pub(crate) fn soon<G>(&self, take: impl FnOnce() -> G) -> G {
        let number = {
            let mut numbers = self.lock();
            let number = numbers.next;
            numbers.next += 1;
            numbers.waiting.insert(number);
            number
        };
        let guard = take();
        self.lock().waiting.remove(&number);
        self.had.notify_all();
        guard
    }

    /// Waits until those who have called by now have got the state.
    pub(crate) fn give_way(&self) {
        let numbers = self.lock();
        let later = numbers.next;
        let earlier = |numbers: &mut Numbers| numbers.waiting.first().is_some_and(|number| *number < later);
        drop(self.had.wait_while(numbers, earlier).unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        // Each holder leaves it whole.
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::RwLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn whoever_calls_waits_for_one_step_of_our_own_at_most() {
        let (turns, state) = (Turns::default(), RwLock::new(()));
        let begun = AtomicU64::new(0);
        let own = || {
            while begun.load(Ordering::Relaxed) < 1000 {
                turns.give_way();
                let _state = state.write().unwrap();
                begun.fetch_add(1, Ordering::Relaxed);
                (0..20_000).for_each(|step| _ = std::hint::black_box(step));
            }
        };
        let call = || {
            turns.soon(|| {
                let before = begun.load(Ordering::Relaxed);
                let _state = state.read().unwrap();
                begun.load(Ordering::Relaxed) - before
            })
        };
        let calls = || {
            let mut longest = 0;
            while begun.load(Ordering::Relaxed) < 1000 {
                longest = call().max(longest);
            }
            longest
        };
        std::thread::scope(|threads| {
            threads.spawn(own);
            let callers = [(); 3].map(|()| threads.spawn(calls));
            assert_eq!(callers.map(|caller| caller.join().unwrap()).into_iter().max(), Some(1));
        });
    }
}
