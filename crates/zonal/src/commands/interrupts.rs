//! Being told to end: by Ctrl-C, by SIGTERM, or because the terminal is closed.

use crate::commands::CommandError;
use std::fs;
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
    /// None where whoever started us has hang-ups ignored, as `nohup` does: listening for them would end that.
    hang_up: Option<Signal>,
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
            let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let outlives = fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hang_ups(&status));
            let hang_up = if outlives { None } else { Some(signal(SignalKind::hangup())?) };
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
                () = heard(hang_up.as_mut()) => true,
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

/// Waits for a signal; for ever where it is not listened for.
async fn heard(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether a process has hang-ups ignored, as its status (proc_pid_status(5)) says: the lowest bit of `SigIgn`.
fn ignores_hang_ups(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_a_mask_of_which_hang_ups_are_the_lowest_bit() {
        for (mask, ignores) in [("0000000000000000", false), ("0000000000001001", true), ("0000000000001000", false)] {
            let status =
                format!("Name:\tzonal\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n");
            assert_eq!(ignores_hang_ups(&status), ignores, "{mask}");
        }
        assert!(!ignores_hang_ups(""));
    }
}
