//! Sockets made ahead: the warden makes them by the dozen, so that few connections wait for it, and nobody else does.

use crate::frame::MOST_FDS;
use crate::warden::link::Link;
use crate::warden::request::{Kind, Place};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, oneshot};
use zonal_balancer::Supply;

/// How many are asked for at once.
const BATCH: usize = 32;
/// Below this, more are fetched.
const LOW: usize = 12;
/// Who waits for a socket of one kind at a time; more are refused.
const MOST_WAITING: usize = 4096;
/// Bound sockets that are asked for at a time.
const BINDS: usize = 4;

/// What a shelf holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ware {
    pub place: Place,
    pub kind: Kind,
    /// They may be bound to addresses that are not the place's.
    pub transparent: bool,
}

impl Ware {
    /// Ordinary TCP sockets of a place.
    pub(crate) fn tcp(place: Place) -> Self {
        Self { place, kind: Kind::Tcp, transparent: false }
    }
}

/// Stocks of sockets that are neither bound nor connected.
pub(crate) struct Stocks {
    link: Arc<Link>,
    /// For bound sockets, on a connection of its own: connections in motion don't wait for ports that open.
    binder: Arc<Link>,
    turns: Arc<Semaphore>,
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    all: BTreeMap<Ware, Shelf>,
    made: u64,
}

struct Shelf {
    /// Which one it is of all that there were: what was asked for one does not belong on its successor.
    number: u64,
    sockets: Vec<OwnedFd>,
    waiting: VecDeque<oneshot::Sender<io::Result<OwnedFd>>>,
    fetching: bool,
}

impl Shelves {
    fn shelf(&mut self, ware: &Ware) -> &mut Shelf {
        let made = &mut self.made;
        self.all.entry(ware.clone()).or_insert_with(|| {
            *made += 1;
            Shelf { number: *made, sockets: Vec::new(), waiting: VecDeque::new(), fetching: false }
        })
    }
}

impl Shelf {
    /// Gives it to whoever has waited longest and still does, or keeps it.
    fn put(&mut self, mut socket: OwnedFd) {
        while let Some(next) = self.waiting.pop_front() {
            match next.send(Ok(socket)) {
                Err(Ok(unwanted)) => socket = unwanted,
                _ => return,
            }
        }
        self.sockets.push(socket);
    }

    fn wait(&mut self) -> Supply<OwnedFd> {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.retain(|waiting| !waiting.is_closed());
        }
        if self.waiting.len() >= MOST_WAITING {
            return Supply::Now(Err(io::Error::other("too many wait for sockets")));
        }
        let (give, get) = oneshot::channel();
        self.waiting.push_back(give);
        let gone = || io::Error::new(io::ErrorKind::NotFound, "its place is gone");
        Supply::Later(Box::pin(async move { get.await.unwrap_or_else(|_| Err(gone())) }))
    }
}

impl Stocks {
    pub(crate) fn new(link: Arc<Link>) -> Arc<Self> {
        let binder = Arc::new(link.another());
        Arc::new(Self { link, binder, turns: Arc::new(Semaphore::new(BINDS)), shelves: Mutex::default() })
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A socket: at once where one is in stock, else when the warden has made more. This itself never waits.
    pub(crate) fn take(self: &Arc<Self>, ware: &Ware) -> Supply<OwnedFd> {
        let (supply, fetch) = {
            let mut shelves = self.shelves();
            let shelf = shelves.shelf(ware);
            let supply = match shelf.sockets.pop() {
                Some(kept) => Supply::Now(Ok(kept)),
                None => shelf.wait(),
            };
            let fetch = shelf.sockets.len() < LOW && !shelf.fetching;
            shelf.fetching |= fetch;
            (supply, fetch.then_some(shelf.number))
        };
        if let Some(number) = fetch {
            let (stocks, ware) = (Arc::clone(self), ware.clone());
            let (failed, of) = (Arc::clone(self), ware.clone());
            let spawned = std::thread::Builder::new().spawn(move || while stocks.fetch(&ware, number) {});
            if let Err(error) = spawned {
                failed.fail(&of, number, &error.to_string());
            }
        }
        supply
    }

    /// Fetches sockets for a shelf; whether that was too few.
    fn fetch(&self, ware: &Ware, number: u64) -> bool {
        let waiting = self.shelves().all.get(ware).map_or(0, |shelf| shelf.waiting.len());
        let count = waiting.clamp(BATCH, MOST_FDS);
        let fetched = match self.link.sockets(&ware.place, ware.kind, count, ware.transparent) {
            Ok(fetched) if fetched.is_empty() => return self.fail(ware, number, "no socket came"),
            Ok(fetched) => fetched,
            Err(error) => return self.fail(ware, number, &error.to_string()),
        };
        let mut shelves = self.shelves();
        // Forgotten meanwhile, and maybe begun anew: these are of a place that is gone.
        let Some(shelf) = shelves.all.get_mut(ware).filter(|shelf| shelf.number == number) else { return false };
        fetched.into_iter().for_each(|socket| shelf.put(socket));
        shelf.fetching = !shelf.waiting.is_empty();
        shelf.fetching
    }

    /// Tells those who wait that there is nothing to wait for.
    fn fail(&self, ware: &Ware, number: u64, reason: &str) -> bool {
        let mut shelves = self.shelves();
        if let Some(shelf) = shelves.all.get_mut(ware).filter(|shelf| shelf.number == number) {
            shelf.fetching = false;
            for waiting in shelf.waiting.drain(..) {
                // Who has gone meanwhile needs to hear nothing.
                let _ = waiting.send(Err(io::Error::other(reason.to_owned())));
            }
        }
        false
    }

    /// Throws away what is kept for a place: its namespace may be another by now.
    pub(crate) fn forget(&self, place: &Place) {
        self.forget_where(|other| other == place);
    }

    /// The same of all places of which that is true.
    pub(crate) fn forget_where(&self, gone: impl Fn(&Place) -> bool) {
        self.shelves().all.retain(|ware, _| !gone(&ware.place));
    }

    /// A socket that is bound. A few are asked for at a time, so that a warden that is away holds up a few threads only.
    pub(crate) async fn bind(&self, place: Place, kind: Kind, address: Ipv4Addr, port: u16) -> io::Result<OwnedFd> {
        // Kept until the warden has answered, though nobody may wait for that any more.
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(io::Error::other)?;
        let link = Arc::clone(&self.binder);
        let bound = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            link.bind(&place, kind, address, port)
        });
        bound.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// What there are shelves of.
    #[cfg(test)]
    pub(super) fn wares(&self) -> Vec<Ware> {
        self.shelves().all.keys().cloned().collect()
    }

    /// The warden itself.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{DEADLINE, Directory};
    use super::*;
    use crate::warden::request::{Reply, Request};
    use std::sync::mpsc::channel;

    fn one() -> OwnedFd {
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into()
    }

    fn node() -> Ware {
        Ware::tcp(Place::Interface("eni-a".to_owned()))
    }

    #[tokio::test]
    async fn an_empty_shelf_makes_nobody_wait_but_who_takes_of_it() {
        let directory = Directory::new("empty");
        let (allow, allowed) = channel::<()>();
        let allowed = Mutex::new(allowed);
        let link = directory.warden(move |request| match request {
            Request::Sockets { count, .. } => {
                allowed.lock().unwrap().recv_timeout(DEADLINE).ok()?;
                Some((Reply::Done, (0..*count).map(|_| one()).collect()))
            }
            _ => None,
        });
        let stocks = Stocks::new(link);
        // More at once than are fetched at once; none of them keeps this thread.
        let taken: Vec<_> = (0..=MOST_FDS).map(|_| stocks.take(&node())).collect();
        assert!(taken.iter().all(|supply| matches!(supply, Supply::Later(_))));
        for _ in 0..3 {
            allow.send(()).unwrap();
        }
        for supply in taken {
            tokio::time::timeout(DEADLINE, supply.get()).await.expect("a socket comes").unwrap();
        }
        allow.send(()).unwrap();
        tokio::time::timeout(DEADLINE, stocks.take(&node()).get()).await.expect("a socket comes").unwrap();
        assert!(matches!(stocks.take(&node()), Supply::Now(Ok(_))), "more are fetched than are waited for");
    }

    #[tokio::test]
    async fn who_waits_is_told_when_no_socket_comes() {
        let stocks = Stocks::new(Directory::new("none").no_warden());
        let waited = tokio::time::timeout(DEADLINE, stocks.take(&node()).get()).await.expect("an answer");
        assert!(waited.is_err());
    }

    #[tokio::test]
    async fn what_was_fetched_for_a_place_that_is_gone_is_thrown_away() {
        let directory = Directory::new("gone");
        let ((asked, asks), (allow, allowed)) = (channel(), channel::<()>());
        let (asked, allowed) = (Mutex::new(asked), Mutex::new(allowed));
        let link = directory.warden(move |request| match request {
            Request::Sockets { count, .. } => {
                asked.lock().unwrap().send(()).unwrap();
                allowed.lock().unwrap().recv_timeout(DEADLINE).ok()?;
                Some((Reply::Done, (0..*count).map(|_| one()).collect()))
            }
            _ => None,
        });
        let stocks = Stocks::new(link);
        let first = stocks.take(&node());
        asks.recv_timeout(DEADLINE).unwrap();
        stocks.forget(&node().place);
        assert!(first.get().await.is_err());
        let second = stocks.take(&node());
        allow.send(()).unwrap();
        // The second is fetched for itself, after what came for the first was seen to be nobody's.
        asks.recv_timeout(DEADLINE).unwrap();
        assert_eq!(stocks.shelves().all.values().map(|shelf| shelf.sockets.len()).sum::<usize>(), 0);
        allow.send(()).unwrap();
        tokio::time::timeout(DEADLINE, second.get()).await.expect("a socket").unwrap();
        // The one of the place that is gone again: nothing stays behind.
        stocks.forget(&node().place);
        assert!(stocks.shelves().all.is_empty());
    }
}
