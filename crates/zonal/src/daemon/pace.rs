//! The pace of AWS: what takes AWS time beyond what this machine needs is held back for that long, on the world's clock.
//!
//! Both worlds are paced by the same table, so that their figures compare with AWS's and with each other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zonal_cloud::Clock;
use zonal_substrate::{Ask, Inventory, World};
use zonal_wire::Time;

/// From `RunInstances` to the first line of user data on an Amazon Linux 2023 image. Source: the case's own document and AWS's
/// statements that instances are ready "in minutes"; the EC2 user guide gives no figure for a plain launch. Taken at the fast end.
const FIRST_BOOT: Duration = Duration::from_secs(40);
/// From `StartInstances` to a booted system: the disk is there already.
const BOOT: Duration = Duration::from_secs(25);
/// From `StopInstances` to `stopped`. Source: EC2 User Guide, "Stop and start": some seconds to a few minutes.
const STOP: Duration = Duration::from_secs(20);
/// From `TerminateInstances` to `terminated`.
const TERMINATE: Duration = Duration::from_secs(10);

/// The table, for people: (what, how long).
pub const TABLE: &[(&str, Duration)] = &[
    ("an instance's first boot", FIRST_BOOT),
    ("a stopped instance's boot", BOOT),
    ("stopping an instance", STOP),
    ("terminating an instance", TERMINATE),
];

/// A world whose asks take effect as late as AWS's would.
pub struct Paced {
    world: Arc<dyn World>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    changed: Box<dyn Fn() + Send + Sync>,
}

/// What waits, by object: the latest ask about an object is the one that counts.
#[derive(Default)]
struct Held {
    asks: BTreeMap<(&'static str, String), (Time, Ask)>,
}

impl Paced {
    /// Paces `world`. `changed` is called when something is held that was not before.
    pub fn new(world: Arc<dyn World>, clock: Arc<dyn Clock>, changed: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { world, clock, held: Mutex::default(), changed }
    }

    /// When something is to be let go next.
    pub fn due(&self) -> Option<Time> {
        self.lock().asks.values().map(|(at, _)| *at).min()
    }

    /// Lets go what is due.
    pub fn advance(&self, now: Time) {
        let mut due: Vec<(Time, Ask)> = Vec::new();
        self.lock().asks.retain(|_, (at, ask)| {
            let waits = *at > now;
            if !waits {
                due.push((*at, ask.clone()));
            }
            waits
        });
        due.sort_by_key(|(at, _)| *at);
        if !due.is_empty() {
            self.world.ask(due.into_iter().map(|(_, ask)| ask).collect());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn delay(ask: &Ask) -> Option<Duration> {
    match ask {
        Ask::StartSandbox(sandbox) if sandbox.generation == 1 => Some(FIRST_BOOT),
        Ask::StartSandbox(_) => Some(BOOT),
        Ask::StopSandbox { .. } => Some(STOP),
        Ask::RemoveSandbox(_) => Some(TERMINATE),
        _ => None,
    }
}

impl World for Paced {
    fn ask(&self, asks: Vec<Ask>) {
        let now = self.clock.now();
        let mut at_once = Vec::new();
        let mut held = self.lock();
        for ask in asks {
            let object = ask.object();
            // A later ask about an object takes the place of one that still waits.
            held.asks.remove(&object);
            match delay(&ask) {
                Some(delay) => {
                    held.asks.insert(object, (now + delay, ask));
                }
                None => at_once.push(ask),
            }
        }
        drop(held);
        if !at_once.is_empty() {
            self.world.ask(at_once);
        }
        (self.changed)();
    }

    fn inventory(&self) -> Inventory {
        self.world.inventory()
    }

    fn console(&self, sandbox: &str) -> Vec<u8> {
        self.world.console(sandbox)
    }

    fn all_is_asked(&self) {
        self.world.all_is_asked();
    }

    fn names_answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        self.world.names_answer(query)
    }

    fn describe(&self) -> &'static str {
        self.world.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::clock::VirtualClock;
    use zonal_testbed::Notes;

    #[test]
    fn a_stop_waits_and_a_removal_takes_its_place() {
        let notes = Arc::new(Notes::default());
        let clock = Arc::new(VirtualClock::new(Time(0)));
        let paced = Paced::new(notes.clone(), clock.clone(), Box::new(|| {}));
        paced.ask(vec![
            Ask::StopSandbox { id: "i-1".into(), generation: 1, force: false },
            Ask::RemoveGroup("sg-1".into()),
        ]);
        assert_eq!(notes.asks(), [Ask::RemoveGroup("sg-1".into())]);
        assert_eq!(paced.due(), Some(Time(0) + STOP));
        paced.ask(vec![Ask::RemoveSandbox("i-1".into())]);
        assert_eq!(paced.due(), Some(Time(0) + TERMINATE));
        clock.set(Time(0) + STOP);
        paced.advance(clock.now());
        assert_eq!(notes.asks().last(), Some(&Ask::RemoveSandbox("i-1".into())));
        assert_eq!(notes.asks().len(), 2);
    }
}
