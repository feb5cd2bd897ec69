//! Flows of datagrams: a task for each, which may wait for its sockets while the others go on. The one that was used longest ago gives way
//! where there are too many.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// Datagrams of a flow that wait for its sockets to be made; more are lost.
const MOST_WAITING: usize = 16;
/// The longest datagram.
pub(super) const LONGEST: usize = 64 << 10;

/// What tells one flow from another.
pub(super) trait Key: Copy + Ord + Send + 'static {
    /// Whose it is.
    fn client(&self) -> Ipv4Addr;
}

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub all: usize,
    pub of_one: usize,
}

/// A flow as its task has it; dropped with it.
pub(super) struct Own {
    /// What came before its sockets were there.
    pub queue: mpsc::Receiver<Vec<u8>>,
    start: Instant,
    used: Arc<AtomicU64>,
    way: Arc<OnceLock<Arc<UdpSocket>>>,
}

impl Own {
    /// It is used now.
    pub(super) fn stamp(&self) {
        stamp(self.start, &self.used);
    }

    /// From now on datagrams go by this socket, not by the queue: what is in the queue is sent first.
    pub(super) async fn open(&mut self, socket: &Arc<UdpSocket>) {
        while let Ok(datagram) = self.queue.try_recv() {
            let _ = socket.send(&datagram).await;
        }
        let _ = self.way.set(Arc::clone(socket));
        // One that came in between.
        while let Ok(datagram) = self.queue.try_recv() {
            let _ = socket.send(&datagram).await;
        }
    }

    /// How long it has been idle for.
    pub(super) fn idle(&self) -> std::time::Duration {
        self.start.elapsed().saturating_sub(std::time::Duration::from_millis(self.used.load(Ordering::Relaxed)))
    }
}

fn stamp(start: Instant, used: &AtomicU64) {
    used.store(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// A flow as the one who divides the datagrams knows it; dropped, it ends.
struct Flow {
    to: mpsc::Sender<Vec<u8>>,
    /// When it was last used, in milliseconds since the start.
    used: Arc<AtomicU64>,
    /// Its socket, where it is sent by from here.
    way: Arc<OnceLock<Arc<UdpSocket>>>,
    task: AbortHandle,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The flows of one place.
pub(super) struct Flows<K> {
    start: Instant,
    bounds: Bounds,
    all: BTreeMap<K, Flow>,
    tasks: JoinSet<()>,
}

impl<K: Key> Flows<K> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { start: Instant::now(), bounds, all: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// The socket that a flow's datagrams go by, once there is one.
    pub(super) fn way(&self, key: K) -> Option<Arc<UdpSocket>> {
        let flow = self.all.get(&key).filter(|flow| !flow.to.is_closed())?;
        stamp(self.start, &flow.used);
        flow.way.get().cloned()
    }

    /// Gives a datagram to its flow, which is begun if there is none: by a task that lasts as long as it does. Never waits.
    pub(super) fn take<F>(&mut self, key: K, mut datagram: Vec<u8>, begin: impl FnOnce(Own) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        if let Some(flow) = self.all.get(&key) {
            match flow.to.try_send(datagram) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => return,
                Err(mpsc::error::TrySendError::Closed(unsent)) => datagram = unsent,
            }
        }
        self.all.retain(|_, flow| !flow.to.is_closed());
        let uses = self.all.iter().map(|(key, flow)| (*key, flow.used.load(Ordering::Relaxed)));
        if let Some(gone) = who_gives_way(uses, key.client(), self.bounds) {
            self.all.remove(&gone);
        }
        let (to, queue) = mpsc::channel(MOST_WAITING);
        let _ = to.try_send(datagram);
        let (used, way) = (Arc::new(AtomicU64::new(0)), Arc::default());
        let own = Own { queue, start: self.start, used: Arc::clone(&used), way: Arc::clone(&way) };
        own.stamp();
        let task = self.tasks.spawn(begin(own));
        self.all.insert(key, Flow { to, used, way, task });
    }
}

/// The flow that must end so that one of `client` can begin, if any.
fn who_gives_way<K: Key>(flows: impl Iterator<Item = (K, u64)>, client: Ipv4Addr, bounds: Bounds) -> Option<K> {
    let all: Vec<(u64, K)> = flows.map(|(key, used)| (used, key)).collect();
    let own = || all.iter().filter(|(_, key)| key.client() == client);
    let oldest =
        if own().count() >= bounds.of_one { own().min() } else { all.iter().min().filter(|_| all.len() >= bounds.all) };
    oldest.map(|(_, key)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddrV4;

    const BOUNDS: Bounds = Bounds { all: 2048, of_one: 512 };

    impl Key for SocketAddrV4 {
        fn client(&self) -> Ipv4Addr {
            *self.ip()
        }
    }

    #[test]
    fn whoever_has_too_many_flows_loses_the_oldest_of_their_own() {
        let key = |client: [u8; 4], port| SocketAddrV4::new(client.into(), port);
        let (loud, quiet) = ([127, 100, 0, 5], [127, 100, 0, 6]);
        let old = std::iter::once((key(quiet, 1), 0));
        let many = |count: u16| (0..count).map(move |port| (key(loud, port), u64::from(port) + 1));
        let most = BOUNDS.of_one as u16;
        assert_eq!(who_gives_way(old.clone().chain(many(most - 1)), loud.into(), BOUNDS), None);
        assert_eq!(who_gives_way(old.clone().chain(many(most)), loud.into(), BOUNDS), Some(key(loud, 0)));
        assert_eq!(who_gives_way(old.clone().chain(many(most)), quiet.into(), BOUNDS), None);
        let all = (0..BOUNDS.all as u16).map(|n| (key([127, 100, 1, (n % 8) as u8], n), u64::from(n)));
        assert_eq!(who_gives_way(all, quiet.into(), BOUNDS), Some(key([127, 100, 1, 0], 0)));
    }
}
