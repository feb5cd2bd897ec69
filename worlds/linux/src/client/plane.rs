//! The daemon's side of the plane's socket: duties told, told again after a restart of either, and reports heard.

use super::Listener;
use crate::frame::{self, LONGEST};
use crate::plane::protocol::{Duty, Hear, Held, Tell};
use crate::world::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zonal_substrate::Report;

/// What is to be told.
enum Word {
    Tell(Tell),
    /// All duties have been told but those of these keys.
    All(BTreeSet<String>),
}

/// A way to tell the plane what to do.
#[derive(Clone)]
pub(super) struct PlaneLink(Sender<Word>);

/// What the plane has yet to confirm, by key: said again to a plane that came anew.
type Unconfirmed = Arc<Mutex<BTreeMap<String, u64>>>;

impl PlaneLink {
    pub(super) fn start(config: &Config, tell: Arc<Listener>) -> Self {
        let (sender, changes) = channel();
        let socket = config.plane_socket();
        let spawned = super::spawn("zonal-plane", move || run(&socket, &changes, &tell));
        if let Err(error) = spawned {
            tracing::error!(%error, "the plane can't be told anything");
        }
        Self(sender)
    }

    /// Has the plane take up a duty, or (with none) end it.
    pub(super) fn set(&self, key: String, duty: Option<Duty>) {
        self.tell(match duty {
            Some(duty) => Tell::Put(key, Box::new(duty)),
            None => Tell::Drop(key),
        });
    }

    /// Tells the plane of a zone, and has it confirmed if that is wanted.
    pub(super) fn tell_zone(&self, view: &str, name: &str, tell: impl FnOnce(String) -> Tell, confirm: Option<u64>) {
        let key = format!("zone:{view}:{name}");
        self.tell(tell(key.clone()));
        if let Some(revision) = confirm {
            self.tell(Tell::Confirm(key, revision));
        }
    }

    /// Tells it something.
    pub(super) fn tell(&self, tell: Tell) {
        let _ = self.0.send(Word::Tell(tell));
    }

    /// All that stands has been told. Until then the plane goes on with what an earlier control plane told it, however long that takes;
    /// now what was not told again is dropped. What can't be told yet goes on too: it is under the keys that are `untold`, and this is said
    /// again when they are others.
    pub(super) fn all_is_told(&self, untold: BTreeSet<String>) {
        let _ = self.0.send(Word::All(untold));
    }
}

fn run(socket: &Path, words: &Receiver<Word>, tell: &Arc<Listener>) {
    let mut duties: BTreeMap<String, Held> = BTreeMap::new();
    let unconfirmed = Unconfirmed::default();
    let mut stream: Option<UnixStream> = None;
    // Once the duties are all that there should be: those that are not told. And whether the plane has yet to hear which they are.
    let (mut complete, mut unsaid) = (None, true);
    loop {
        let message = match words.recv_timeout(Duration::from_millis(if stream.is_some() { 200 } else { 50 })) {
            Ok(Word::Tell(message)) => Some(message),
            Ok(Word::All(untold)) => {
                (complete, unsaid) = (Some(untold), true);
                None
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Some(message) = &message {
            note(&mut duties, &unconfirmed, message);
        }
        if stream.is_none() {
            stream = connect(socket, tell, &unconfirmed);
            // Each by itself: however many there are, no message is longer for it.
            let heard = stream.as_ref().is_some_and(|stream| {
                duties.iter().all(|(key, held)| say(stream, tell, &Tell::Put(key.clone(), Box::new(held.duty()))))
            });
            match stream.as_ref().filter(|_| heard) {
                Some(open) => {
                    // A plane that restarted knows all but what ended meanwhile.
                    unsaid = true;
                    confirm(open, tell, &unconfirmed, |key| duties.contains_key(key));
                }
                None => stream = None,
            }
        } else if let (Some(open), Some(message)) = (&stream, message)
            && !say(open, tell, &message)
        {
            stream = None;
        }
        if let (Some(open), Some(untold), true) = (&stream, &complete, unsaid)
            && say(open, tell, &Tell::Only(duties.keys().chain(untold).cloned().collect()))
        {
            unsaid = false;
            // By now it has heard of what is no more, too.
            confirm(open, tell, &unconfirmed, |_| true);
        }
        // A plane that has hung up is noticed by the next word to it, or by the reader's end.
        if stream.as_ref().is_some_and(has_ended) {
            stream = None;
        }
    }
}

/// Keeps what the plane is told, to say it again to a plane that came anew.
fn note(duties: &mut BTreeMap<String, Held>, unconfirmed: &Unconfirmed, message: &Tell) {
    match message {
        Tell::Put(key, duty) => drop(duties.insert(key.clone(), Held::new((**duty).clone()))),
        Tell::Names(key, names) => {
            if let Some(Held::Zone { table, .. }) = duties.get_mut(key) {
                table.put(names.clone());
            }
        }
        Tell::Drop(key) => drop(duties.remove(key)),
        Tell::Confirm(key, revision) => drop(lock(unconfirmed).insert(key.clone(), *revision)),
        // A plane that is not there counts on until it is asked the next time.
        Tell::Only(_) | Tell::Count(_) => {}
    }
}

/// Has what is not confirmed yet confirmed by a plane that came anew.
fn confirm(stream: &UnixStream, tell: &Arc<Listener>, unconfirmed: &Unconfirmed, which: impl Fn(&str) -> bool) {
    let waiting = lock(unconfirmed).clone();
    // One that hangs up meanwhile is asked again when it is back.
    waiting
        .into_iter()
        .filter(|(key, _)| which(key))
        .all(|(key, revision)| say(stream, tell, &Tell::Confirm(key, revision)));
}

/// A poisoned lock is taken all the same: each holder leaves whole what it guards.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn has_ended(stream: &UnixStream) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok()
        && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

/// Says something to the plane; whether it may still be there. What can't be said is reported, and not tried again.
fn say(stream: &UnixStream, tell: &Arc<Listener>, message: &Tell) -> bool {
    say_within(LONGEST, stream, tell, message)
}

fn say_within(most: usize, mut stream: &UnixStream, tell: &Arc<Listener>, message: &Tell) -> bool {
    match frame::whole(message, most) {
        Ok(whole) => stream.write_all(&whole).is_ok(),
        Err(reason) => {
            let key = match message {
                Tell::Put(key, _) | Tell::Names(key, _) | Tell::Drop(key) | Tell::Confirm(key, _) => key,
                Tell::Only(_) | Tell::Count(_) => "plane",
            };
            tracing::error!(key, reason, "the plane can't be told this");
            tell(failure(key, reason));
            true
        }
    }
}

/// A duty that is not done, by its key.
fn failure(key: &str, reason: String) -> Report {
    Report::Failed { id: key.split_once(':').map_or(key, |(_, id)| id).to_owned(), reason }
}

fn connect(socket: &Path, tell: &Arc<Listener>, unconfirmed: &Unconfirmed) -> Option<UnixStream> {
    let stream = UnixStream::connect(socket).ok()?;
    let (reading, tell, unconfirmed) = (stream.try_clone().ok()?, Arc::clone(tell), Arc::clone(unconfirmed));
    super::spawn("zonal-plane-reports", move || {
        // One that says what is not understood has its connection made anew.
        while let Ok(Some((heard, _))) = frame::receive(&reading, "plane") {
            tell(match heard {
                Hear::Served { key, revision } => {
                    lock(&unconfirmed).retain(|own, waiting| *own != key || *waiting > revision);
                    match served(&key, revision) {
                        Some(report) => report,
                        None => continue,
                    }
                }
                Hear::Health(health) => Report::TargetHealth(health),
                Hear::Metrics { at, metrics } => Report::BalancerMetrics { at, metrics },
                Hear::Probed { id, healthy, address, outcome } => Report::Probed { id, healthy, address, outcome },
                Hear::Failed { key, reason } => failure(&key, reason),
            });
        }
        let _ = reading.shutdown(std::net::Shutdown::Both);
    })
    .ok()?;
    Some(stream)
}

/// A zone's key says its view and its name.
fn served(key: &str, revision: u64) -> Option<Report> {
    let (view, zone) = key.strip_prefix("zone:")?.split_once(':')?;
    Some(Report::ZoneServed { view: view.to_owned(), zone: zone.to_owned(), revision })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn nothing_is_dropped_before_all_is_told_and_after_that_at_each_new_start_of_the_plane() {
        let socket = std::env::temp_dir().join(format!("zonal-plane-link-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let plane = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let (sender, changes) = channel();
        let listener: Arc<Listener> = Arc::new(Box::new(|_| ()));
        let at = socket.clone();
        let telling = std::thread::spawn(move || run(&at, &changes, &listener));
        let link = PlaneLink(sender);
        let next = |stream: &UnixStream| frame::receive::<Tell>(stream, "daemon").unwrap().unwrap().0;
        let accept = || {
            let (stream, _) = plane.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream
        };
        link.set("a".to_owned(), Some(Duty::Speed(1)));
        let first = accept();
        assert!(matches!(next(&first), Tell::Put(key, _) if key == "a"));
        // Longer than any start should take, and nothing but what is told is heard.
        first.set_read_timeout(Some(Duration::from_millis(3500))).unwrap();
        assert!((&first).read(&mut [0; 4]).is_err(), "a start that is not over has no list of all");
        first.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        link.set("b".to_owned(), Some(Duty::Speed(2)));
        link.all_is_told(BTreeSet::new());
        assert!(matches!(next(&first), Tell::Put(key, _) if key == "b"));
        let all = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        assert!(matches!(next(&first), Tell::Only(keys) if keys == all));
        drop(first);
        let second = accept();
        let told = [next(&second), next(&second), next(&second)];
        assert!(matches!(&told[2], Tell::Only(keys) if *keys == all), "{told:?}");
        // What can't be told goes on in the plane, until it is told or is no more.
        for untold in [BTreeSet::from(["c".to_owned()]), BTreeSet::new()] {
            link.all_is_told(untold.clone());
            let wanted = &all | &untold;
            assert!(matches!(next(&second), Tell::Only(keys) if keys == wanted));
        }
        drop(link);
        telling.join().unwrap();
        std::fs::remove_file(&socket).unwrap();
    }

    #[test]
    fn what_the_plane_would_not_hear_is_not_said_and_reported() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (reports, heard) = channel();
        let listener: Arc<Listener> = Arc::new(Box::new(move |report| drop(reports.send(report))));
        let region = "x".repeat(1000);
        let long = Duty::Resolver { network: "vpc-1".to_owned(), addresses: Vec::new(), region };
        assert!(
            say_within(1000, &ours, &listener, &Tell::Put("resolver:vpc-1".to_owned(), Box::new(long))),
            "it is hung up on"
        );
        let reported = heard.try_recv().expect("a report");
        assert!(matches!(&reported, Report::Failed { id, .. } if id == "vpc-1"), "{reported:?}");
    }
}
