//! Clocks of the control plane: the wall's, run at a speed, and a virtual one that is set.

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zonal_cloud::Clock;
use zonal_wire::Time;

/// The wall's time, in microseconds.
pub fn wall() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Real time, so many times faster. It never goes back: not when its speed changes, and not when the daemon starts again.
pub struct ScaledClock {
    from: Mutex<From>,
    /// Where it is kept what time counts from.
    kept: Option<PathBuf>,
}

#[derive(Clone, Copy)]
struct From {
    real: Instant,
    time: Time,
    speed: u32,
}

impl From {
    fn now(&self) -> Time {
        self.time + self.real.elapsed() * self.speed
    }
}

/// What is kept: at this time of the wall the clock showed that time, and ran at that speed.
#[derive(Serialize, Deserialize)]
struct Kept {
    wall: Time,
    time: Time,
    speed: u32,
}

impl ScaledClock {
    /// A clock that goes on from what is kept in a file, or shows the wall's time now.
    pub fn open(kept: Option<PathBuf>, speed: u32) -> Self {
        let before = kept.as_ref().and_then(|path| serde_json::from_slice::<Kept>(&fs::read(path).ok()?).ok());
        let now = wall();
        let time = before.map_or(now, |kept| (kept.time + now.since(kept.wall) * kept.speed).max(kept.time));
        let from = From { real: Instant::now(), time, speed: speed.max(1) };
        let clock = Self { from: Mutex::new(from), kept };
        clock.keep(from);
        clock
    }

    /// Runs at another speed from now on.
    pub fn set_speed(&self, speed: u32) {
        // Nobody reads the clock until the file says what is so: whenever we are killed, what was shown is not before what it says.
        let mut from = self.lock();
        *from = From { real: Instant::now(), time: from.now(), speed: speed.max(1) };
        self.keep(*from);
    }

    /// Puts on disk from when the clock runs how fast. What was there before stays whole until this is.
    fn keep(&self, from: From) {
        let Some(path) = &self.kept else { return };
        let kept = Kept { wall: wall(), time: from.now(), speed: from.speed };
        let written = serde_json::to_vec(&kept)
            .map_err(std::io::Error::other)
            .and_then(|text| zonal_linux::files::replace(path, text));
        if let Err(error) = written {
            tracing::warn!("{}: {error}: after a restart the clock may go back", path.display());
        }
    }

    /// How many times faster than real time it runs.
    pub fn speed(&self) -> u32 {
        self.lock().speed
    }

    /// How long to wait, in real time, until it shows `at`.
    pub fn until(&self, at: Time) -> Duration {
        let from = *self.lock();
        at.since(from.now()) / from.speed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, From> {
        self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Time {
        self.lock().now()
    }
}

impl zonal_linux::WorldClock for ScaledClock {
    fn micros(&self) -> i64 {
        self.now().0
    }

    fn until(&self, micros: i64) -> Duration {
        Self::until(self, Time(micros))
    }
}

/// A time that stands still until it is set.
pub struct VirtualClock(AtomicI64);

impl VirtualClock {
    /// A clock that shows `time`.
    pub fn new(time: Time) -> Self {
        Self(AtomicI64::new(time.0))
    }

    /// Goes on to `time`; never back.
    pub fn set(&self, time: Time) {
        self.0.fetch_max(time.0, Ordering::AcqRel);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_on_over_a_restart_and_a_change_of_speed() {
        let path = std::env::temp_dir().join(format!("zonal-clock-{}.json", std::process::id()));
        let clock = ScaledClock::open(Some(path.clone()), 10_000);
        let ahead = wall() + Duration::from_secs(60);
        while clock.now() < ahead {
            std::hint::spin_loop();
        }
        clock.set_speed(1);
        let before = clock.now();
        assert!(before >= ahead);
        let next = ScaledClock::open(Some(path.clone()), 1);
        assert!(next.now() >= before, "a minute ahead of the wall, and still so");
        let _ = fs::remove_file(path);
    }

    #[test]
    fn a_clock_never_goes_back_while_others_change_its_speed() {
        let clock = ScaledClock::open(None, 10_000);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..20_000).for_each(|n| clock.set_speed(if n % 2 == 0 { 1 } else { 10_000 })));
            }
            let mut last = clock.now();
            for _ in 0..200_000 {
                let now = clock.now();
                assert!(now >= last, "{now:?} after {last:?}");
                last = now;
            }
        });
    }

    #[test]
    fn what_is_kept_stays_whole_until_what_is_new_takes_its_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("clock.json");
        let clock = ScaledClock::open(Some(path.clone()), 10_000);
        let before = fs::read(&path).expect("what is kept");
        // Whoever has it open, as we in the middle of writing were we killed there, has all of it.
        let mut open = fs::File::open(&path).expect("what is kept");
        clock.set_speed(1);
        let mut still = Vec::new();
        std::io::Read::read_to_end(&mut open, &mut still).expect("what was kept");
        assert_eq!(still, before);
        assert_ne!(fs::read(&path).expect("what is kept"), before);
    }
}
