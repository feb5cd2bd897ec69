//! Measuring, by the world's clock: at the end of each minute what sandboxes used in it, and every ten seconds what balancers counted.
//!
//! The clock may run many times faster than real time, and a look at the warden's counters takes time of its own. Where minutes pass between
//! two looks, each is given its part of what was used, so that sums and averages are the same at every speed.

use super::plane::PlaneLink;
use super::{Listener, spawn};
use crate::plane::protocol::Tell;
use crate::warden::link::Link;
use crate::warden::request::{Reply, Request, Usage};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zonal_substrate::{Report, SandboxFigures};

/// Microseconds of what balancers count together, and of what sandboxes use.
const COUNTED: i64 = 10_000_000;
const MINUTE: i64 = 60_000_000;
/// The warden is asked at least this often, real time: it refreshes what sandboxes are shown of their memory then.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest time between two looks, however fast the clock runs.
const SHORTEST: Duration = Duration::from_millis(20);

/// The world's clock, which is the daemon's.
pub trait WorldClock: Send + Sync {
    /// Microseconds since 1970.
    fn micros(&self) -> i64;

    /// How long it takes, in real time, until the clock shows that many.
    fn until(&self, micros: i64) -> Duration;
}

/// Real time as a world's clock, for who runs a world without a control plane.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealTime;

impl WorldClock for RealTime {
    fn micros(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    fn until(&self, micros: i64) -> Duration {
        Duration::from_micros(u64::try_from(micros - self.micros()).unwrap_or(0))
    }
}

/// What measuring needs of the world.
pub(super) struct Measures {
    pub link: Link,
    pub clock: Arc<dyn WorldClock>,
    pub plane: PlaneLink,
    /// Says that the clock's speed has changed; ends with the world.
    pub changes: Receiver<()>,
    pub tell: Arc<Listener>,
}

impl Measures {
    /// Measures until the world is dropped.
    pub(super) fn run(self) {
        let Self { link, clock, plane, changes, tell } = self;
        let now = clock.micros();
        let (mut counted, mut minute, mut looked) = (now.div_euclid(COUNTED), now.div_euclid(MINUTE), Instant::now());
        // The warden may be busy; what balancers counted does not wait for it.
        let (look, due) = sync_channel(1);
        let (meter, pace) = (Meter::new(now), Arc::clone(&clock));
        if let Err(error) = spawn("zonal-figures", move || look_on(meter, &link, &*pace, &due, &tell)) {
            tracing::error!(%error, "sandboxes have no figures");
        }
        loop {
            let next = clock.until((counted + 1) * COUNTED).clamp(SHORTEST, LOOK);
            if changes.recv_timeout(next) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            let now = clock.micros();
            if now.div_euclid(COUNTED) > counted {
                counted = now.div_euclid(COUNTED);
                // Stamped with the last instant of what is counted, however late we are.
                plane.tell(Tell::Count(counted * COUNTED - 1));
            }
            if looked.elapsed() >= LOOK || now.div_euclid(MINUTE) > minute {
                (looked, minute) = (Instant::now(), now.div_euclid(MINUTE));
                // One that waits for the warden still finds this when it has its answer; it does for any more of them too.
                let _ = look.try_send(());
            }
        }
    }
}

/// Looks at the warden's counters whenever a look is due.
fn look_on(mut meter: Meter, link: &Link, clock: &dyn WorldClock, due: &Receiver<()>, tell: &Listener) {
    while due.recv().is_ok() {
        let now = clock.micros();
        let Ok((Reply::Figures(usages), _)) = link.ask(&Request::Figures, &[]) else { continue };
        for (minute, figures) in meter.read(usages, now, Instant::now()) {
            tell(Report::SandboxFigures { minute, figures });
        }
    }
}

/// Counters as they were at an instant: of the world's clock, and really.
#[derive(Clone)]
struct Look {
    usage: Usage,
    now: i64,
    real: Instant,
}

/// What sandboxes had used when their present minute began.
struct Meter {
    /// The present minute, counted from 1970.
    minute: i64,
    begun: BTreeMap<String, Look>,
}

impl Meter {
    fn new(now: i64) -> Self {
        Self { minute: now.div_euclid(MINUTE), begun: BTreeMap::new() }
    }

    /// Whether the present minute is over.
    fn is_due(&self, now: i64) -> bool {
        now.div_euclid(MINUTE) > self.minute
    }

    /// Reads the counters, `real` being when they were. The figures of the minutes that are over, by the second of their beginning.
    fn read(&mut self, usages: Vec<Usage>, now: i64, real: Instant) -> Vec<(i64, Vec<SandboxFigures>)> {
        // What is new began with this look; what is not there any more has ended.
        let mut begun = std::mem::take(&mut self.begun);
        if !self.is_due(now) {
            let first = |usage: Usage| (usage.id.clone(), begun.remove(&usage.id).unwrap_or(Look { usage, now, real }));
            self.begun = usages.into_iter().map(first).collect();
            return Vec::new();
        }
        let minutes = self.minute..now.div_euclid(MINUTE);
        self.minute = minutes.end;
        let count = minutes.end.abs_diff(minutes.start);
        let mut used = Vec::new();
        for usage in usages {
            let look = Look { usage, now, real };
            let id = look.usage.id.clone();
            // A look is never at the very end of a minute: what is of the next is left to it.
            let end = match begun.get(&id) {
                Some(before) => {
                    let end = before.until(&look, minutes.end * MINUTE);
                    used.push(between(&before.usage, &end.usage, end.real.saturating_duration_since(before.real)));
                    end
                }
                None => look,
            };
            self.begun.insert(id, end);
        }
        if used.is_empty() {
            return Vec::new();
        }
        let parts = minutes.zip(0..).map(|(minute, nth)| {
            (minute * MINUTE / 1_000_000, used.iter().map(|figures| part(figures, nth, count)).collect())
        });
        parts.collect()
    }
}

impl Look {
    /// The counters at an instant of the world's clock between this look and a later one, as if they had grown evenly.
    fn until(&self, later: &Self, instant: i64) -> Self {
        let share = (instant - self.now).max(0) as f64 / (later.now - self.now).max(1) as f64;
        let share = share.min(1.0);
        let (before, after) = (&self.usage, &later.usage);
        let part = |before: u64, after: u64| match after.checked_sub(before) {
            Some(grown) => before + (grown as f64 * share).round() as u64,
            // It began again, with a boot: all that it counts is of the minute that is over.
            None => after,
        };
        let usage = Usage {
            cpu: part(before.cpu, after.cpu),
            bytes: (part(before.bytes.0, after.bytes.0), part(before.bytes.1, after.bytes.1)),
            packets: (part(before.packets.0, after.packets.0), part(before.packets.1, after.packets.1)),
            ..after.clone()
        };
        let real = self.real + later.real.saturating_duration_since(self.real).mul_f64(share);
        Self { usage, now: instant, real }
    }
}

/// The `nth` of `count` equal parts; whole numbers, and together the whole.
fn part(of: &SandboxFigures, nth: u64, count: u64) -> SandboxFigures {
    let share = |whole: u64| {
        let until = |nth: u64| u128::from(whole) * u128::from(nth) / u128::from(count.max(1));
        // Not more than the whole.
        u64::try_from(until(nth + 1) - until(nth)).unwrap_or(whole)
    };
    SandboxFigures {
        id: of.id.clone(),
        cpu_percent: of.cpu_percent,
        network_in: share(of.network_in),
        network_out: share(of.network_out),
        packets_in: share(of.packets_in),
        packets_out: share(of.packets_out),
    }
}

/// What was used between two looks.
fn between(before: &Usage, after: &Usage, span: Duration) -> SandboxFigures {
    // A counter that is less than it was began again, with a boot.
    let grown = |after: u64, before: u64| after.checked_sub(before).unwrap_or(after);
    let allowed = after.quota * span.as_secs_f64();
    let share = if allowed > 0.0 { grown(after.cpu, before.cpu) as f64 / allowed * 100.0 } else { 0.0 };
    SandboxFigures {
        id: after.id.clone(),
        // A period of the quota may straddle the look.
        cpu_percent: share.clamp(0.0, 100.0),
        network_in: grown(after.bytes.0, before.bytes.0),
        network_out: grown(after.bytes.1, before.bytes.1),
        packets_in: grown(after.packets.0, before.packets.0),
        packets_out: grown(after.packets.1, before.packets.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;
    use crate::plane::testing::{DEADLINE, Directory};
    use crate::world::Config;
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc::channel;

    /// A clock that runs a thousand times as fast.
    struct Fast(Instant);

    impl WorldClock for Fast {
        fn micros(&self) -> i64 {
            i64::try_from(self.0.elapsed().as_micros()).unwrap() * 1000
        }

        fn until(&self, micros: i64) -> Duration {
            Duration::from_micros(u64::try_from(micros - self.micros()).unwrap_or(0) / 1000)
        }
    }

    #[test]
    fn what_balancers_counted_waits_for_no_warden() {
        let directory = Directory::new("figures");
        let config = Config::new(directory.0.clone(), (0, 0));
        std::fs::create_dir_all(config.plane_directory()).unwrap();
        let plane = UnixListener::bind(config.plane_socket()).unwrap();
        // It never answers.
        let _warden = directory.warden(|_| None);
        let tell: Arc<Listener> = Arc::new(Box::new(|_| ()));
        let (_changes, changed) = channel();
        let measures = Measures {
            link: Link::new(&config.warden_socket(), Duration::ZERO),
            clock: Arc::new(Fast(Instant::now())),
            plane: PlaneLink::start(&config, Arc::clone(&tell)),
            changes: changed,
            tell,
        };
        std::thread::spawn(move || measures.run());
        let (stream, _) = plane.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        // Each is of ten seconds: a look is due with each minute.
        for _ in 0..20 {
            let (told, _) = frame::receive::<Tell>(&stream, "daemon").unwrap().unwrap();
            assert!(matches!(told, Tell::Count(until) if (until + 1) % COUNTED == 0), "{told:?}");
        }
    }

    fn usage(cpu: u64, bytes: u64) -> Usage {
        Usage { id: "i-1".into(), cpu, quota: 1e8, bytes: (bytes, 20), packets: (1, 2) }
    }

    #[test]
    fn cpu_is_relative_to_the_quota_and_bytes_are_differences() {
        let before = usage(1_000_000_000, 10);
        let after = Usage { cpu: 1_050_000_000, bytes: (110, 25), packets: (3, 2), ..before.clone() };
        let figures = between(&before, &after, Duration::from_secs(1));
        assert!((figures.cpu_percent - 50.0).abs() < 1e-6);
        assert_eq!((figures.network_in, figures.network_out, figures.packets_in), (100, 5, 2));
    }

    /// What a meter says of a machine that receives 1,000 bytes and uses half of its share each virtual second, looked at by a clock so
    /// many times faster than real time, every so many virtual seconds, for ten minutes.
    fn metered(speed: u32, every: usize) -> Vec<(i64, u64, f64)> {
        let (beginning, start) = (1_800_000_000, Instant::now());
        let mut meter = Meter::new(beginning * 1_000_000);
        let mut all = Vec::new();
        for second in (0..=600_u64).step_by(every) {
            let real = Duration::from_secs(second) / speed;
            let cpu = (real.as_nanos() / 20) as u64;
            let now = (beginning + second as i64) * 1_000_000;
            let told = meter.read(vec![usage(cpu, second * 1000)], now, start + real);
            all.extend(
                told.into_iter().map(|(minute, own)| (minute - beginning, own[0].network_in, own[0].cpu_percent)),
            );
        }
        all
    }

    #[test]
    fn each_minute_of_the_worlds_clock_has_its_figures_once_and_the_same_at_every_speed() {
        let expected: Vec<(i64, u64)> = (0..10).map(|minute| (minute * 60, 60_000)).collect();
        // At a speed of 600 two and a half minutes pass between two looks of a busy machine.
        for (speed, every) in [(1, 1), (60, 60), (240, 120), (600, 150)] {
            let told = metered(speed, every);
            assert_eq!(told.iter().map(|own| (own.0, own.1)).collect::<Vec<_>>(), expected, "{speed}, {every}");
            assert!(told.iter().all(|own| (own.2 - 50.0).abs() < 0.1), "{told:?}");
        }
    }

    #[test]
    fn parts_of_what_was_used_are_together_the_whole() {
        let whole = between(&usage(0, 0), &usage(0, 1001), LOOK);
        let sum: u64 = (0..7).map(|nth| part(&whole, nth, 7).network_in).sum();
        assert_eq!(sum, 1001);
    }

    #[test]
    fn a_machine_that_boots_again_counts_from_nothing() {
        assert_eq!(between(&usage(0, 5_000), &usage(0, 300), LOOK).network_in, 300);
    }
}
