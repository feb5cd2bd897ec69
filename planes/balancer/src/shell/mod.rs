//! Threads, sockets and timers around the core: any number of balancers in one process, a
//! single-threaded runtime per core, and one more for configuration and health.

#![allow(clippy::disallowed_methods, reason = "this is the shell: it owns sockets, threads, tasks and timers")]

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc;

use crate::config::{BalancerConfig, MetricsReport, Report};

mod buffer;
mod client;
mod conductor;
mod encryption;
mod exchange;
mod flight;
mod flow;
mod h2;
mod journal;
mod own;
mod patience;
mod pool;
mod probe;
mod respond;
mod shared;
mod sockets;
mod stream;
pub mod tls;
mod transport;
mod tunnel;
mod upload;
mod worker;

use conductor::{Conductor, Event};
use journal::Journal;
pub use journal::LogEntry;
use patience::Pace;
use shared::Shared;
pub use sockets::{Coming, HostSockets, Sockets, Supply};
use tls::{TargetTls, TlsError};
use worker::Worker;

/// What the balancer plane cannot do.
#[derive(Debug, thiserror::Error)]
pub enum BalancerError {
    /// A thread or its runtime could not be started.
    #[error("start the balancer's thread {name}")]
    Start {
        /// The thread's name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// TLS to targets could not be set up.
    #[error("set up TLS to targets")]
    TargetTls(#[from] TlsError),
    /// The configuration is not newer than the one in force.
    #[error("balancer {id}: revision {offered} is not newer than {applied}")]
    Stale {
        /// The load balancer's ARN.
        id: String,
        /// The revision that was offered.
        offered: u64,
        /// The revision in force.
        applied: u64,
    },
}

/// All load balancers of a process. Dropping it ends them at once.
pub struct Balancer {
    events: mpsc::UnboundedSender<Event>,
    directory: Mutex<Directory>,
    threads: Vec<JoinHandle<()>>,
    cores: usize,
    pace: Pace,
    journal: Arc<Journal>,
    log: Mutex<Option<std::sync::mpsc::Receiver<LogEntry>>>,
}

#[derive(Default)]
struct Directory {
    balancers: BTreeMap<String, (u64, Arc<Shared>)>,
    /// Removed, but with counts that nobody has read.
    retired: Vec<Arc<Shared>>,
}

impl Balancer {
    /// Starts `threads` cores whose virtual time runs `speed` times faster than real time. Reports
    /// come out of the receiver for as long as the balancer lives.
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn start(
        threads: usize,
        sockets: Arc<dyn Sockets>,
        speed: f64,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Report>), BalancerError> {
        let (pace, cores, target_tls) = (Pace::new(speed), threads.max(1), TargetTls::new()?);
        let (events, inbox) = mpsc::unbounded_channel();
        let (reports, receiver) = mpsc::unbounded_channel();
        let (mut commands, mut running) = (Vec::new(), Vec::new());
        let (journal, log) = Journal::new();
        let journal = Arc::new(journal);
        for core in 0..cores {
            let (sender, orders) = mpsc::unbounded_channel();
            let (sockets, events, pace) = (sockets.clone(), events.clone(), pace.clone());
            let (target_tls, journal) = (target_tls.clone(), journal.clone());
            // Random per process and per core: trace ids must not repeat.
            let seed = RandomState::new().hash_one(core);
            commands.push(sender);
            running.push(spawn(format!("balancer-{core}"), move || {
                Rc::new(Worker::new(core, pace, seed, sockets, target_tls, events, journal)).run(orders)
            })?);
        }
        let conductor = Conductor::new(pace.clone(), sockets, target_tls, commands, events.clone(), reports);
        running.push(spawn("balancer-health".to_owned(), move || conductor.run(inbox))?);
        let log = Mutex::new(Some(log));
        Ok((Self { events, directory: Mutex::default(), threads: running, cores, pace, journal, log }, receiver))
    }

    /// Takes over a configuration; [`Report::Applied`] tells when it is in force. Requests that are
    /// on their way are not disturbed.
    ///
    /// # Errors
    /// [`BalancerError::Stale`] if it is not newer than the last one.
    pub fn apply(&self, config: BalancerConfig) -> Result<(), BalancerError> {
        let mut directory = self.directory();
        let shared = match directory.balancers.get_mut(&config.id) {
            Some((applied, _)) if config.revision <= *applied => {
                return Err(BalancerError::Stale { id: config.id, offered: config.revision, applied: *applied });
            }
            Some((applied, shared)) => {
                *applied = config.revision;
                shared.clone()
            }
            None => {
                let shared = Arc::new(Shared::new(&config.id, self.cores));
                directory.balancers.insert(config.id.clone(), (config.revision, shared.clone()));
                shared
            }
        };
        // Sent under the lock, so that revisions arrive in their order.
        self.send(Event::Apply(Box::new(config), shared));
        Ok(())
    }

    /// Ends a load balancer: its ports at once, its connections after the answers they are at.
    pub fn remove(&self, id: &str) {
        let mut directory = self.directory();
        if let Some((_, shared)) = directory.balancers.remove(id) {
            directory.retired.push(shared);
            self.send(Event::Remove(id.to_owned()));
        }
    }

    /// Has virtual time pass `speed` times faster than real time from now on. Timeouts under way keep
    /// the length that they began with.
    pub fn set_speed(&self, speed: f64) {
        self.pace.set_speed(speed);
        self.send(Event::Tick);
    }

    /// Has everything reported that is so now (revisions applied, health of every target), for a
    /// control plane that has started anew.
    pub fn recite(&self) {
        self.send(Event::Recite);
    }

    /// Access log records of the balancers that are told to write them, to the first caller. They wait in a
    /// bounded queue: see [`Balancer::log_entries_lost`].
    pub fn access_log(&self) -> Option<std::sync::mpsc::Receiver<LogEntry>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Access log records that were lost so far because nobody took those before them.
    pub fn log_entries_lost(&self) -> u64 {
        self.journal.lost()
    }

    /// What every balancer has counted since the last call.
    pub fn metrics(&self) -> Vec<MetricsReport> {
        let mut directory = self.directory();
        let retired = std::mem::take(&mut directory.retired);
        let living = directory.balancers.values().map(|(_, shared)| shared);
        living.chain(&retired).map(|shared| shared.take_metrics()).collect()
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        // Each change to it is a single insertion or removal: a panic leaves it whole.
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, event: Event) {
        // The conductor ends only with us.
        let _ = self.events.send(event);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.send(Event::Stop);
        for thread in self.threads.drain(..).rev() {
            // The conductor's end closes the cores' channels, which ends them.
            let _ = thread.join();
        }
    }
}

/// A thread with a runtime of its own. The future is made on it, since it stays there.
fn spawn<F: Future<Output = ()> + 'static>(
    name: String,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<JoinHandle<()>, BalancerError> {
    let failed = |source| BalancerError::Start { name: name.clone(), source };
    let (sender, started) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
        match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => {
                let runtime: LocalRuntime = runtime;
                let _ = sender.send(Ok(()));
                runtime.block_on(work());
            }
            Err(error) => drop(sender.send(Err(error))),
        }
    });
    let thread = thread.map_err(failed)?;
    match started.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(failed(io::Error::other("the thread ended early"))),
    }
}
