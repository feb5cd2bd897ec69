//! What a lab shows while it runs: events as they come, and on a terminal one line of progress below them.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use tokio::signal::unix::{SignalKind, signal};
use zonal_lab::{EventKind, Notice, Progress, human};

/// The width of the bar.
const BAR: usize = 24;

/// Writes to standard error, so that standard output is the result alone.
pub struct Shown {
    terminal: bool,
    quiet: bool,
    stop: Arc<AtomicBool>,
    phase: String,
}

impl Shown {
    /// Shows everything, or nothing where `quiet`; stops the lab on Ctrl-C.
    pub fn new(quiet: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = stop.clone();
        let (listening, listens) = mpsc::channel::<()>();
        // Without the thread, Ctrl-C ends the process, and the next lab removes what it left.
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                let Ok(mut interrupts) = signal(SignalKind::interrupt()) else { return };
                drop(listening);
                while interrupts.recv().await.is_some() {
                    heard.store(true, Ordering::Release);
                }
            });
        });
        // Nothing is deployed before a Ctrl-C is heard: the other end is dropped then, or with the thread.
        let _ = listens.recv();
        Self { terminal: std::io::stderr().is_terminal(), quiet, stop, phase: String::new() }
    }

    fn line(&self, text: &str) {
        if self.quiet {
            return;
        }
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        eprintln!("{clear}{text}");
    }

    fn status(&self, text: &str) {
        if self.terminal && !self.quiet {
            let mut out = std::io::stderr().lock();
            // What cannot be shown is not worth failing for.
            let _ = write!(out, "\r\x1b[2K{text}").and_then(|()| out.flush());
        }
    }
}

impl Progress for Shown {
    fn notice(&mut self, notice: Notice<'_>) {
        match notice {
            Notice::Phase { phase, index, of } => {
                self.phase = format!("phase {} ({index}/{of})", phase.number);
                self.line(&format!("\nPhase {}: {}", phase.number, phase.title));
            }
            Notice::Deploying => self.status(&format!("{}: deploying", self.phase)),
            Notice::Waiting => self.status(&format!("{}: waiting for the first answers", self.phase)),
            Notice::Loading { elapsed, of, ok, lost } => {
                let done = (elapsed.as_secs_f64() / of.as_secs_f64().max(1e-9)).clamp(0.0, 1.0);
                let full = (done * BAR as f64) as usize;
                let bar = format!("{}{}", "#".repeat(full), "-".repeat(BAR - full));
                self.status(&format!(
                    "{} [{bar}] {} of {}  {ok} answered, {lost} lost",
                    self.phase,
                    human(elapsed),
                    human(of)
                ));
            }
            Notice::Event(event) => {
                let mark = match event.kind {
                    EventKind::Fault => "!!",
                    EventKind::Health => "+-",
                    EventKind::Scaling | EventKind::InService(_) => "<>",
                    EventKind::Stack => "  ",
                };
                self.line(&format!("  {:>14} {mark} {} {}", event.at.to_string(), event.resource, event.text));
            }
            Notice::Deleting => self.status(&format!("{}: taking it down", self.phase)),
            Notice::Done(result) => self.line(&format!("  => {}", result.sentence)),
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}
