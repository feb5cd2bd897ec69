//! When every key of every controller is looked at, whether or not anything changed.

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
}

impl Default for Pass {
    fn default() -> Self {
        Self { at: Time(i64::MIN), failed: false, pause: AGAIN }
    }
}

impl Pass {
    /// When it is.
    pub(crate) fn at(&self) -> Time {
        self.at
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
