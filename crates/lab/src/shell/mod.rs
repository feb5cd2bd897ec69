//! The clients on real sockets: a thread of its own with a single-threaded runtime
//! drives [`Load`] over UDP to the world's DNS and over HTTP/1.1 to the addresses that
//! it answers. It turns to loopback addresses only, where all of a world's public
//! addresses are: a lab loads no other machine, whatever a template or a record says.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a shell is where timers, threads and sockets are"
)]

mod dns;
mod http;

use crate::clients::{Answer, Connection, Input, Load, Outcome, Output, Request, Sample};
use crate::time::At;
use http::Ended;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc as sync};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// The addresses of a name, asked of a DNS server over UDP.
pub async fn lookup(server: SocketAddr, name: &str, limit: Duration) -> Answer {
    dns::resolve(server, 1, name, limit).await
}

/// A world's virtual clock.
pub trait Clock: Send + Sync {
    /// The virtual time.
    fn now(&self) -> At;

    /// How much real time passes until `at`; zero if it is past.
    fn real_until(&self, at: At) -> Duration;
}

/// Makes sockets that are not connected yet and do not block, where those of this process's own network do not lead to the world.
pub type Sockets = dyn Fn() -> io::Result<std::net::TcpStream> + Send + Sync;

/// A load under way. Dropping it ends it.
#[derive(Debug)]
pub struct RunningLoad {
    commands: mpsc::UnboundedSender<Command>,
    samples: sync::Receiver<Sample>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Command {
    Factor(f64),
    Stop,
}

impl RunningLoad {
    /// Starts the clients of `load`; `dns` is the world's DNS. They connect by `sockets`, or as any program does.
    ///
    /// # Errors
    /// The thread or its runtime cannot be made.
    pub fn start(
        load: Load,
        dns: SocketAddr,
        clock: Arc<dyn Clock>,
        sockets: Option<Arc<Sockets>>,
    ) -> io::Result<RunningLoad> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (commands, inbox) = mpsc::unbounded_channel();
        let (outbox, samples) = sync::channel();
        let shell = Shell::new(load, dns, clock, sockets, outbox);
        let clients = std::thread::Builder::new().name("lab-clients".into());
        let thread = clients.spawn(move || runtime.block_on(shell.run(inbox)))?;
        Ok(RunningLoad { commands, samples, thread: Some(thread) })
    }

    /// From now on, `factor` times the planned rate.
    pub fn set_factor(&self, factor: f64) {
        // A load that has ended has no rate to change.
        let _ = self.commands.send(Command::Factor(factor));
    }

    /// What has ended since the last call.
    pub fn samples(&self) -> impl Iterator<Item = Sample> {
        self.samples.try_iter()
    }

    /// Waits for the next end of a request, up to `limit` of real time.
    pub fn next_sample(&self, limit: Duration) -> Option<Sample> {
        self.samples.recv_timeout(limit).ok()
    }
}

impl Drop for RunningLoad {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; there is nothing to add to it here.
            let _ = thread.join();
        }
    }
}

/// The end of something that a task has done.
struct Report {
    at: At,
    input: Input,
    /// An open connection, and its number.
    kept: Option<(u64, TcpStream)>,
}

struct Shell {
    load: Load,
    dns: SocketAddr,
    clock: Arc<dyn Clock>,
    sockets: Option<Arc<Sockets>>,
    idle: BTreeMap<u64, TcpStream>,
    reports: mpsc::UnboundedSender<Report>,
    reported: mpsc::UnboundedReceiver<Report>,
    samples: sync::Sender<Sample>,
}

impl Shell {
    fn new(
        load: Load,
        dns: SocketAddr,
        clock: Arc<dyn Clock>,
        sockets: Option<Arc<Sockets>>,
        samples: sync::Sender<Sample>,
    ) -> Shell {
        let (reports, reported) = mpsc::unbounded_channel();
        Shell { load, dns, clock, sockets, idle: BTreeMap::new(), reports, reported, samples }
    }

    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut out = Vec::new();
        loop {
            let due = self.load.due();
            let wait = due.map_or(Duration::ZERO, |due| self.clock.real_until(due));
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Factor(factor)) => self.load.set_factor(self.clock.now(), factor),
                    Some(Command::Stop) | None => return,
                },
                Some(report) = self.reported.recv() => {
                    self.idle.extend(report.kept);
                    self.load.handle(report.at, report.input, &mut out);
                }
                () = tokio::time::sleep(wait), if due.is_some() => {
                    self.load.handle(self.clock.now(), Input::Tick, &mut out);
                }
            }
            for output in out.drain(..) {
                self.perform(output);
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send(request) => self.send(request),
            Output::Resolve { lookup, name, deadline } => {
                let (reports, clock, server) = (self.reports.clone(), self.clock.clone(), self.dns);
                let limit = clock.real_until(deadline);
                tokio::spawn(async move {
                    let answer = dns::resolve(server, lookup as u16, &name, limit).await;
                    let input = Input::Resolved { lookup, answer };
                    // Nobody listens any more once the load has ended.
                    let _ = reports.send(Report { at: clock.now(), input, kept: None });
                });
            }
            Output::Close(connection) => drop(self.idle.remove(&connection)),
            // The same holds for samples.
            Output::Done(sample) => drop(self.samples.send(sample)),
        }
    }

    fn send(&mut self, request: Request) {
        let (number, stream) = match request.connection {
            Connection::New => (request.id, None),
            Connection::Reuse(number) => (number, self.idle.remove(&number).filter(http::is_open)),
        };
        let (reports, clock, sockets) = (self.reports.clone(), self.clock.clone(), self.sockets.clone());
        let limit = clock.real_until(request.deadline);
        tokio::spawn(async move {
            let silence = Ended { outcome: Outcome::Timeout, stream: None };
            let Ended { outcome, stream } =
                tokio::time::timeout(limit, http::exchange(&request, stream, sockets.as_deref()))
                    .await
                    .unwrap_or(silence);
            let input = Input::Finished { request: request.id, outcome, reusable: stream.is_some() };
            let kept = stream.map(|stream| (number, stream));
            let _ = reports.send(Report { at: clock.now(), input, kept });
        });
    }
}
