//! The daemon's side: [`LinuxWorld`] takes asks, has warden and plane perform them, and tells what came of it.
//!
//! Threads of its own do the talking, so that asking never blocks. What is asked of networks is done in order by one; what is asked of
//! sandboxes by several, each sandbox always by the same one, and only after the network asks that came before it. When warden or
//! plane come back after a restart, all that stands is asked again.

mod doors;
mod figures;
mod internet;
mod names;
mod performer;
mod plane;

pub use figures::{RealTime, WorldClock};
pub use internet::Internet;

use crate::error::{Act, Result};
use crate::frame;
use crate::warden::key;
use crate::warden::link::Link;
use crate::warden::request::{Event, Reply, Request};
use crate::world::Config;
use figures::Measures;
use performer::Performer;
use plane::PlaneLink;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zonal_substrate::{Ask, Inventory, Report, SandboxState, StopCause, World};

/// How long a call waits for a warden that restarts.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the performer is told, in this order.
enum Word {
    Asks(Vec<Ask>),
    /// All that stands is to be asked again: the warden is another.
    Again,
    /// The control plane has asked for all that stands.
    All,
}

/// What is called with every report. From several threads.
pub type Listener = Box<dyn Fn(Report) + Send + Sync>;

/// The real world, as the daemon holds it.
pub struct LinuxWorld {
    config: Config,
    queue: Mutex<Sender<Word>>,
    direct: Link,
    /// For consoles: nothing else waits for them, nor they for anything.
    consoles: Link,
    /// Wakes who measures by the clock. Who measures ends with it.
    paced: Mutex<Sender<()>>,
}

impl LinuxWorld {
    /// Connects to a world that is up or comes up (see [`crate::supervise`]). `listener` hears every report; what is measured is measured
    /// by `clock`. It waits for nothing: [`World::inventory`] answers once the world does.
    ///
    /// # Errors
    /// When the machine has no threads left.
    pub fn connect(config: Config, clock: Arc<dyn WorldClock>, listener: Listener) -> Result<Self> {
        let direct = Link::new(&config.warden_socket(), PATIENCE);
        let consoles = direct.another();
        let tell = Arc::new(listener);
        let plane = PlaneLink::start(&config, Arc::clone(&tell));
        let (queue, asks) = channel();
        let (paced, changes) = channel();
        let counting = plane.clone();
        let (again, events) = (queue.clone(), config.warden_socket());
        let performer = Performer::new(&config, Arc::clone(&tell), plane);
        spawn("zonal-asks", move || performer.run(&asks))?;
        let heard = Arc::clone(&tell);
        spawn("zonal-events", move || hear_events(&events, &heard, &again))?;
        let link = Link::new(&config.warden_socket(), Duration::ZERO);
        let measures = Measures { link, clock, plane: counting, changes, tell };
        spawn("zonal-measures", move || measures.run())?;
        Ok(Self { config, queue: Mutex::new(queue), direct, consoles, paced: Mutex::new(paced) })
    }

    /// How the world is set up.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs a shell in a sandbox on three descriptors; it ends with the shell's own end, which its terminal shows.
    ///
    /// # Errors
    /// When there is no such sandbox, or it does not run.
    pub fn shell(&self, sandbox: &str, fds: [BorrowedFd<'_>; 3]) -> Result<()> {
        self.direct.ask(&Request::Shell(sandbox.to_owned()), &fds).map(drop)
    }
}

/// Runs a shell in a sandbox of a world that is up, with no world held: for the command line, as root or as the world's owner.
///
/// # Errors
/// When the warden does not answer or refuses: there is no such sandbox, or it does not run.
pub fn shell(config: &Config, sandbox: &str, fds: [BorrowedFd<'_>; 3]) -> Result<()> {
    Link::new(&config.warden_socket(), Duration::ZERO).ask(&Request::Shell(sandbox.to_owned()), &fds).map(drop)
}

impl World for LinuxWorld {
    fn ask(&self, asks: Vec<Ask>) {
        if asks.iter().any(|ask| matches!(ask, Ask::SetSpeed(_))) {
            // The clock has its speed already.
            let _ = self.paced.lock().unwrap_or_else(PoisonError::into_inner).send(());
        }
        // The performer lives as long as we do.
        let _ = self.queue.lock().unwrap_or_else(PoisonError::into_inner).send(Word::Asks(asks));
    }

    fn inventory(&self) -> Inventory {
        // An empty answer would say that nothing stands; there is none before the warden answers.
        loop {
            match self.direct.ask(&Request::Inventory, &[]) {
                Ok((Reply::Inventory(inventory), _)) => return inventory,
                Ok((other, _)) => tracing::error!(?other, "the warden tells no inventory"),
                Err(error) => tracing::error!(%error, "the warden tells no inventory"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn console(&self, sandbox: &str) -> Vec<u8> {
        match self.consoles.ask(&Request::Console(sandbox.to_owned()), &[]) {
            Ok((Reply::Console(text), _)) => text,
            _ => Vec::new(),
        }
    }

    fn all_is_asked(&self) {
        let _ = self.queue.lock().unwrap_or_else(PoisonError::into_inner).send(Word::All);
    }

    fn names_answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        names::answer(self.config.dns_port, query)
    }

    fn describe(&self) -> &'static str {
        "linux"
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).act("start thread", name).map(drop)
}

/// Hears what happens to sandboxes, connecting again when the warden restarts: then all that stands is asked once more.
fn hear_events(socket: &std::path::Path, tell: &Listener, again: &Sender<Word>) {
    let (mut first, link) = (true, Link::new(socket, Duration::ZERO));
    loop {
        if let Ok(stream) = key::connect(socket)
            && frame::send(&stream, "warden", &Request::Events, &[]).is_ok()
        {
            // A holder that died took what ran with it. This is said first: what is asked again boots it.
            if !first && let Ok((Reply::Inventory(inventory), _)) = link.ask(&Request::Inventory, &[]) {
                let ended = SandboxState::Stopped(StopCause::WorldEnded);
                for (id, (generation, state)) in inventory.sandboxes.into_iter().filter(|(_, stands)| stands.1 == ended)
                {
                    tell(Report::Sandbox { id, generation, state });
                }
            }
            if !first && again.send(Word::Again).is_err() {
                return;
            }
            first = false;
            while let Ok(Some((Event { id, generation, state }, _))) = frame::receive(&stream, "warden") {
                tell(Report::Sandbox { id, generation, state });
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
