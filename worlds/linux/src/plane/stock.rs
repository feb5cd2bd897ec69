//! Sockets made ahead: the warden makes them by the dozen, so that no connection waits for it.

use crate::warden::link::Link;
use crate::warden::request::{Kind, Place};
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// How many are asked for at once.
const BATCH: usize = 32;
/// Below this, more are fetched.
const LOW: usize = 12;
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
    turns: Arc<Semaphore>,
    shelves: Mutex<BTreeMap<Ware, Shelf>>,
}

#[derive(Default)]
struct Shelf {
    sockets: Vec<OwnedFd>,
    fetching: bool,
}

impl Stocks {
    pub(crate) fn new(link: Arc<Link>) -> Arc<Self> {
        Arc::new(Self { link, turns: Arc::new(Semaphore::new(BINDS)), shelves: Mutex::new(BTreeMap::new()) })
    }

    fn shelves(&self) -> MutexGuard<'_, BTreeMap<Ware, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A socket, if one is in stock. Never waits.
    pub(crate) fn take_kept(self: &Arc<Self>, ware: &Ware) -> Option<OwnedFd> {
        let (taken, fetch) = {
            let mut shelves = self.shelves();
            let shelf = shelves.entry(ware.clone()).or_default();
            let taken = shelf.sockets.pop();
            let fetch = shelf.sockets.len() < LOW && !shelf.fetching;
            shelf.fetching |= fetch && taken.is_some();
            (taken, fetch)
        };
        if taken.is_some() && fetch {
            let (stocks, ware) = (Arc::clone(self), ware.clone());
            std::thread::spawn(move || {
                let fetched = stocks.link.sockets(&ware.place, ware.kind, BATCH, ware.transparent);
                let mut shelves = stocks.shelves();
                let shelf = shelves.entry(ware).or_default();
                shelf.fetching = false;
                shelf.sockets.extend(fetched.unwrap_or_default());
            });
        }
        taken
    }

    /// A socket; from the stock, or, where that is empty, fetched now.
    pub(crate) fn take(self: &Arc<Self>, ware: &Ware) -> io::Result<OwnedFd> {
        if let Some(kept) = self.take_kept(ware) {
            return Ok(kept);
        }
        let fetched = self.link.sockets(&ware.place, ware.kind, BATCH, ware.transparent);
        let mut fetched = fetched.map_err(io::Error::other)?;
        let first = fetched.pop().ok_or_else(|| io::Error::other("no socket came"))?;
        self.shelves().entry(ware.clone()).or_default().sockets.append(&mut fetched);
        Ok(first)
    }

    /// Throws away what is kept for a place: its namespace may be another by now.
    pub(crate) fn forget(&self, place: &Place) {
        self.shelves().retain(|ware, _| ware.place != *place);
    }

    /// A socket that is bound. A few are asked for at a time, so that a warden that is away holds up a few threads only.
    pub(crate) async fn bind(&self, place: Place, kind: Kind, address: Ipv4Addr, port: u16) -> io::Result<OwnedFd> {
        // Kept until the warden has answered, though nobody may wait for that any more.
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(io::Error::other)?;
        let link = Arc::clone(&self.link);
        let bound = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            link.bind(&place, kind, address, port)
        });
        bound.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// The warden itself.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}
