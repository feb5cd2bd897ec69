//! Time as a connection sees it: how long it has been silent, and how long is too long.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::time::Sleep;

/// Virtual time that passes N times faster than real time. Clones share one N, which may change;
/// time goes on from where it is. Every request looks at it, so there is no lock.
#[derive(Clone, Debug)]
pub struct Pace(Arc<ArcSwap<Since>>);

/// What virtual time counts from.
#[derive(Clone, Copy, Debug)]
struct Since {
    real: Instant,
    virtual_: Duration,
    speed: f64,
}

/// No timeout is shorter than this in real time, however fast virtual time runs.
const SHORTEST: Duration = Duration::from_millis(100);
/// A balancer gives a target this long to accept a connection (ELB guide, 504 troubleshooting).
const CONNECT: Duration = Duration::from_secs(10);

impl Pace {
    /// Virtual time that begins now. `speed` must be a positive number.
    pub fn new(speed: f64) -> Self {
        let since = Since { real: Instant::now(), virtual_: Duration::ZERO, speed: usable(speed) };
        Self(Arc::new(ArcSwap::from_pointee(since)))
    }

    /// Passes at another speed from now on.
    pub fn set_speed(&self, speed: f64) {
        let virtual_ = self.now();
        let since = Since { real: Instant::now(), virtual_, speed: usable(speed) };
        self.0.store(Arc::new(since));
    }

    /// The virtual time since its beginning.
    pub fn now(&self) -> Duration {
        let since = self.since();
        let passed =
            Duration::try_from_secs_f64(since.real.elapsed().as_secs_f64() * since.speed).unwrap_or(Duration::MAX);
        since.virtual_.saturating_add(passed)
    }

    /// How long `span` of virtual time takes.
    pub fn real(&self, span: Duration) -> Duration {
        Duration::try_from_secs_f64(span.as_secs_f64() / self.since().speed).unwrap_or(Duration::MAX)
    }

    fn since(&self) -> Since {
        **self.0.load()
    }

    /// How long a timeout of so much virtual time takes.
    pub fn timeout(&self, span: Duration) -> Duration {
        self.real(span).max(SHORTEST)
    }

    /// The connect timeout.
    pub fn connect_timeout(&self) -> Duration {
        self.timeout(CONNECT)
    }
}

fn usable(speed: f64) -> f64 {
    if speed.is_finite() && speed > 0.0 { speed } else { 1.0 }
}

/// When a connection was last active, and how long it may be silent. Shared by its two directions.
#[derive(Debug)]
pub struct Idle {
    last: Cell<Instant>,
    limit: Cell<Duration>,
}

impl Idle {
    /// Active now.
    pub fn new(limit: Duration) -> Self {
        Self { last: Cell::new(Instant::now()), limit: Cell::new(limit) }
    }

    /// Something has happened at `now`.
    pub fn touch(&self, now: Instant) {
        self.last.set(now);
    }

    /// A new limit.
    pub fn limit(&self, limit: Duration) {
        self.limit.set(limit);
    }

    /// When it will have been silent for too long.
    pub fn deadline(&self) -> Instant {
        let last = self.last.get();
        last.checked_add(self.limit.get()).unwrap_or(last + Duration::from_secs(86_400))
    }
}

/// A connection has been silent for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent;

/// Waits no longer than an [`Idle`] allows. The timer is set when it fires, not when something
/// happens, so that activity costs nothing.
#[derive(Debug)]
pub struct Patience(Pin<Box<Sleep>>);

impl Patience {
    /// Begins with the limit as it is.
    pub fn new(idle: &Idle) -> Self {
        Self(Box::pin(tokio::time::sleep_until(idle.deadline().into())))
    }

    /// The outcome of `act`, unless there was silence for too long first.
    pub async fn wait<T>(&mut self, idle: &Idle, act: impl Future<Output = T>) -> Result<T, Silent> {
        let mut act = pin!(act);
        poll_fn(|context| {
            if let Poll::Ready(outcome) = act.as_mut().poll(context) {
                return Poll::Ready(Ok(outcome));
            }
            let deadline = idle.deadline();
            if self.0.deadline().into_std() > deadline {
                self.0.as_mut().reset(deadline.into());
            }
            while self.0.as_mut().poll(context).is_ready() {
                let deadline = idle.deadline();
                if Instant::now() >= deadline {
                    return Poll::Ready(Err(Silent));
                }
                self.0.as_mut().reset(deadline.into());
            }
            Poll::Pending
        })
        .await
    }
}
