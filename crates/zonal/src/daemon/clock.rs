//! Clocks of the control plane: the wall's, run at a speed, and a virtual one that is set.

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

/// Real time, so many times faster. It never goes back, also when its speed changes.
pub struct ScaledClock {
    from: Mutex<From>,
}

#[derive(Clone, Copy)]
struct From {
    real: Instant,
    time: Time,
    speed: u32,
}

impl ScaledClock {
    /// A clock that shows the wall's time now.
    pub fn new(speed: u32) -> Self {
        Self { from: Mutex::new(From { real: Instant::now(), time: wall(), speed: speed.max(1) }) }
    }

    /// Runs at another speed from now on.
    pub fn set_speed(&self, speed: u32) {
        let time = self.now();
        *self.lock() = From { real: Instant::now(), time, speed: speed.max(1) };
    }

    /// How many times faster than real time it runs.
    pub fn speed(&self) -> u32 {
        self.lock().speed
    }

    /// How long to wait, in real time, until it shows `at`.
    pub fn until(&self, at: Time) -> Duration {
        at.since(self.now()) / self.speed()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, From> {
        self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Time {
        let from = *self.lock();
        from.time + from.real.elapsed() * from.speed
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
