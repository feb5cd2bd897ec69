//! What all clients share: so much of it, and of that so much for one, so that none leaves nothing for the others.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something that there are so many of.
pub(super) struct Shares {
    most: usize,
    of_one: usize,
    taken: Mutex<BTreeMap<Ipv4Addr, usize>>,
}

/// One of them; dropped, it is there for others.
pub(super) struct Share {
    shares: Arc<Shares>,
    client: Ipv4Addr,
}

impl Shares {
    pub(super) fn new(most: usize, of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, of_one, taken: Mutex::new(BTreeMap::new()) })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<Ipv4Addr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One for this client, if there is one.
    pub(super) fn take(self: &Arc<Self>, client: Ipv4Addr) -> Option<Share> {
        let mut taken = self.taken();
        let (all, own) = (taken.values().sum::<usize>(), taken.get(&client).copied().unwrap_or(0));
        if all >= self.most || own >= self.of_one {
            return None;
        }
        taken.insert(client, own + 1);
        Some(Share { shares: Arc::clone(self), client })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        match taken.get_mut(&self.client) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_gets_its_share_and_all_get_no_more_than_there_is() {
        let shares = Shares::new(4, 2);
        let [first, second, third] = [1, 2, 3].map(|n| Ipv4Addr::new(127, 100, 0, n));
        let mut held = vec![shares.take(first).unwrap(), shares.take(first).unwrap()];
        assert!(shares.take(first).is_none(), "more than its share");
        held.extend([shares.take(second).unwrap(), shares.take(third).unwrap()]);
        assert!(shares.take(second).is_none(), "more than there is");
        held.remove(0);
        held.push(shares.take(first).expect("what was given back"));
        drop(held);
        assert!(shares.taken().is_empty());
    }
}
