//! Open-loop arrivals: requests come when their users want them, whether or not
//! the service keeps up, so that a stalled service cannot slow down the load that
//! shows the stall.

use crate::rng::Rng;
use crate::time::At;

/// Seeded Poisson arrivals up to an end.
#[derive(Clone, Debug)]
pub struct Arrivals {
    rng: Rng,
    rate: f64,
    factor: f64,
    next: At,
    end: At,
}

impl Arrivals {
    /// Arrivals at `rate` a virtual second, from `start` until before `end`.
    pub fn new(seed: u64, rate: f64, start: At, end: At) -> Arrivals {
        let mut rng = Rng::new(seed, 0);
        let next = start.plus(rng.gap(rate));
        Arrivals { rng, rate, factor: 1.0, next, end }
    }

    /// When the next one comes; `None` when there are no more.
    pub fn due(&self) -> Option<At> {
        (self.next < self.end).then_some(self.next)
    }

    /// Takes the next one if it has come by `now`.
    pub fn take(&mut self, now: At) -> Option<At> {
        let due = self.due().filter(|&due| due <= now)?;
        self.next = due.plus(self.rng.gap(self.rate * self.factor));
        Some(due)
    }

    /// From `now` on, `factor` times the rate. Poisson arrivals have no memory, so the
    /// next gap is simply drawn anew.
    pub fn set_factor(&mut self, now: At, factor: f64) {
        self.factor = factor;
        self.next = now.plus(self.rng.gap(self.rate * factor));
    }

    /// No more arrivals.
    pub fn stop(&mut self) {
        self.end = At(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn all(mut arrivals: Arrivals) -> Vec<At> {
        std::iter::from_fn(|| arrivals.take(At(u64::MAX))).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_arrivals() {
        let make = |seed| all(Arrivals::new(seed, 10.0, At(0), At(0).plus(Duration::from_secs(60))));
        assert_eq!(make(5), make(5));
        assert_ne!(make(5), make(6));
    }

    #[test]
    fn arrivals_keep_the_rate_and_end_before_the_end() {
        let end = At(0).plus(Duration::from_secs(1000));
        let times = all(Arrivals::new(1, 10.0, At(0), end));
        assert!((9_700..10_300).contains(&times.len()), "{}", times.len());
        assert!(times.is_sorted() && times.iter().all(|&t| t < end));
    }

    #[test]
    fn doubling_the_load_doubles_the_arrivals() {
        let end = At(0).plus(Duration::from_secs(1000));
        let mut arrivals = Arrivals::new(1, 5.0, At(0), end);
        arrivals.set_factor(At(0), 2.0);
        let n = all(arrivals).len();
        assert!((9_700..10_300).contains(&n), "{n}");
    }

    #[test]
    fn nothing_arrives_before_its_time_or_after_a_stop() {
        let mut arrivals = Arrivals::new(1, 1.0, At(1_000_000), At(u64::MAX));
        assert_eq!(arrivals.take(At(999_999)), None);
        arrivals.stop();
        assert_eq!(arrivals.due(), None);
        assert_eq!(arrivals.take(At(u64::MAX)), None);
    }
}
