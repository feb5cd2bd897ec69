//! Sockets made ahead: the warden makes them by the dozen, so that no connection waits for it.

use crate::warden::link::Link;
use crate::warden::request::{Kind, Place};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many are asked for at once.
const BATCH: usize = 32;
/// Below this, more are fetched.
const LOW: usize = 12;

/// Stocks of unconnected TCP sockets, by place.
pub(crate) struct Stocks {
    link: Arc<Link>,
    shelves: Mutex<BTreeMap<Place, Shelf>>,
}

#[derive(Default)]
struct Shelf {
    sockets: Vec<OwnedFd>,
    fetching: bool,
}

impl Stocks {
    pub(crate) fn new(link: Arc<Link>) -> Arc<Self> {
        Arc::new(Self { link, shelves: Mutex::new(BTreeMap::new()) })
    }

    fn shelves(&self) -> MutexGuard<'_, BTreeMap<Place, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A socket of a place, if one is in stock. Never waits.
    pub(crate) fn take_kept(self: &Arc<Self>, place: &Place) -> Option<OwnedFd> {
        let (taken, fetch) = {
            let mut shelves = self.shelves();
            let shelf = shelves.entry(place.clone()).or_default();
            let taken = shelf.sockets.pop();
            let fetch = shelf.sockets.len() < LOW && !shelf.fetching;
            shelf.fetching |= fetch && taken.is_some();
            (taken, fetch)
        };
        if taken.is_some() && fetch {
            let (stocks, place) = (Arc::clone(self), place.clone());
            std::thread::spawn(move || {
                let fetched = stocks.link.sockets(&place, Kind::Tcp, BATCH);
                let mut shelves = stocks.shelves();
                let shelf = shelves.entry(place).or_default();
                shelf.fetching = false;
                shelf.sockets.extend(fetched.unwrap_or_default());
            });
        }
        taken
    }

    /// A socket of a place; from the stock, or, where that is empty, fetched now.
    pub(crate) fn take(self: &Arc<Self>, place: &Place) -> io::Result<OwnedFd> {
        if let Some(kept) = self.take_kept(place) {
            return Ok(kept);
        }
        let mut fetched = self.link.sockets(place, Kind::Tcp, BATCH).map_err(io::Error::other)?;
        let first = fetched.pop().ok_or_else(|| io::Error::other("no socket came"))?;
        self.shelves().entry(place.clone()).or_default().sockets.append(&mut fetched);
        Ok(first)
    }

    /// Throws away what is kept for a place: its namespace may be another by now.
    pub(crate) fn forget(&self, place: &Place) {
        self.shelves().remove(place);
    }

    /// The warden itself.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}
