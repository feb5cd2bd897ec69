//! Being told to end: by Ctrl-C, by SIGTERM, or because the terminal is closed.

use crate::commands::CommandError;
use std::io;
use std::process::Child;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often the child is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Heard from the moment that it is made, so that a command which starts something can end it again, however soon it is told to.
pub struct Interrupts {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// Why a child is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// We are told to end it.
    Interrupted,
    /// It was told to end by another: what keeps a world running ends well then only.
    Ended,
}

impl Interrupts {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system has no room for it.
    pub fn listen() -> Result<Self, CommandError> {
        let listen = || -> io::Result<Self> {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let inside = runtime.enter();
            let [interrupt, terminate, hang_up] =
                [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
            let (interrupt, terminate, hang_up) = (interrupt?, terminate?, hang_up?);
            drop(inside);
            Ok(Self { runtime, interrupt, terminate, hang_up })
        };
        listen().map_err(|error| CommandError::file("signals", error))
    }

    /// Waits so long; whether we were told to end meanwhile, or before.
    pub fn within(&mut self, wait: Duration) -> bool {
        let Self { runtime, interrupt, terminate, hang_up } = self;
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = interrupt.recv() => true,
                _ = terminate.recv() => true,
                _ = hang_up.recv() => true,
                () = tokio::time::sleep(wait) => false,
            }
        })
    }

    /// Waits until we are told to end, or for the child's end.
    ///
    /// # Errors
    /// The child failed.
    pub fn or_end_of(&mut self, child: &mut Child) -> Result<Over, CommandError> {
        loop {
            if self.within(LOOK) {
                return Ok(Over::Interrupted);
            }
            if let Ok(Some(status)) = child.try_wait() {
                if status.success() {
                    return Ok(Over::Ended);
                }
                return Err(CommandError::said(format!("the world ended by itself: {status}")));
            }
        }
    }
}
