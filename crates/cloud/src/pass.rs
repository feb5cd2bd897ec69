//! When every key of every controller is looked at, whether or not anything changed.

use crate::controller::Queue;
use std::time::Duration;
use zonal_wire::Time;

/// How often that is where nothing is amiss.
const USUAL: Duration = Duration::from_secs(300);
/// After how long what the world could not do is asked for again, at first.
const AGAIN: Duration = Duration::from_secs(2);
/// After how long at most.
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// The next full pass.
pub(crate) struct Pass {
    at: Time,
    /// Whether the world has failed at something since the last pass.
    failed: bool,
    /// How long after a failure the next pass comes: longer each time while failures follow on passes.
    pause: Duration,
    /// Whether the world is still to hear that all is asked: a start's pass is not over.
    starting: bool,
}

impl Default for Pass {
    fn default() -> Self {
        Self { at: Time(i64::MIN), failed: false, pause: AGAIN, starting: false }
    }
}

impl Pass {
    /// When it is.
    pub(crate) fn at(&self) -> Time {
        self.at
    }

    /// The one of a start has been queued.
    pub(crate) fn starts(&mut self) {
        self.starting = true;
    }

    /// Whether this ends a start: nothing is due any more, and no key waits to be tried again. True once.
    pub(crate) fn ends_start(&mut self, queue: &Queue) -> bool {
        let ends = self.starting && !queue.has_failures();
        self.starting &= !ends;
        ends
    }

    /// It begins; the next one is planned.
    pub(crate) fn begins(&mut self, now: Time) {
        self.at = now + USUAL;
        self.pause = if self.failed { (self.pause * 2).min(AGAIN_AT_MOST) } else { AGAIN };
        self.failed = false;
    }

    /// The world could not do something: the next pass comes soon.
    pub(crate) fn failed(&mut self, now: Time) {
        self.failed = true;
        self.at = self.at.min(now + self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;

    #[test]
    fn a_start_is_over_once_no_key_waits_to_be_tried_again() {
        let (mut pass, mut queue) = (Pass::default(), Queue::default());
        assert!(!pass.ends_start(&queue), "nothing has started");
        let job = (0, Scope::new("1", "r"), "a".to_owned());
        pass.starts();
        queue.failed(job.clone(), Time(0));
        assert!(!pass.ends_start(&queue));
        queue.succeeded(&job);
        assert!(pass.ends_start(&queue));
        assert!(!pass.ends_start(&queue), "it is said once");
    }

    #[test]
    fn a_world_that_fails_again_and_again_is_asked_less_and_less_often() {
        let (mut pass, mut now) = (Pass::default(), Time(0));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pass.begins(now);
            pass.failed(now);
            pauses.push((pass.at().0 - now.0) / 1_000_000);
            now = pass.at();
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
        pass.begins(now);
        assert_eq!(pass.at(), now + USUAL);
        now = pass.at();
        pass.begins(now);
        pass.failed(now);
        assert_eq!(pass.at(), now + AGAIN, "and one without failures ends it");
    }
}
