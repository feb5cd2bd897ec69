//! A balancer's open ports. Their sockets are made elsewhere and may be long in coming: whoever makes
//! them may be away. Health checks and all other balancers go on meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};

use super::{Conducted, Conductor, Event};
use crate::config::{Listener, Report};
use crate::shell::flow::FlowOpen;
use crate::shell::sockets::{Sockets, Supply};
use crate::shell::worker::{Command, Door, DoorKey};

/// After which a door that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What goes on beside the conductor; dropped, it ends.
pub(super) struct Beside(JoinHandle<()>);

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A door whose sockets are on their way.
pub(super) struct Opening {
    /// Which of all that there were.
    number: u64,
    /// What it will take.
    kind: Kind,
    _coming: Beside,
}

/// What comes in at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Requests,
    Flows { connections: bool, datagrams: bool },
}

impl Kind {
    pub(super) fn of(listener: &Listener) -> Self {
        listener.flow.map_or(Self::Requests, |flow| Self::Flows {
            connections: flow.protocol.has_connections(),
            datagrams: flow.protocol.has_datagrams(),
        })
    }

    /// The sockets of a door, a share per core.
    fn bind(self, key: &DoorKey, sockets: &dyn Sockets, cores: usize) -> Supply<Bound> {
        let (_, node, port) = key;
        let of = |connections, datagrams| Bound { connections, datagrams };
        let connections = || sockets.listen(node, *port, cores);
        let datagrams = || sockets.listen_datagrams(node, *port, cores);
        match self {
            Self::Requests | Self::Flows { datagrams: false, .. } => {
                connections().and_then(move |connections| Ok(of(connections, Vec::new())))
            }
            Self::Flows { connections: false, datagrams: true } => {
                datagrams().and_then(move |datagrams| Ok(of(Vec::new(), datagrams)))
            }
            Self::Flows { connections: true, datagrams: true } => match (connections(), datagrams()) {
                (Supply::Now(connections), Supply::Now(datagrams)) => {
                    Supply::Now(connections.and_then(|connections| Ok(of(connections, datagrams?))))
                }
                (connections, datagrams) => {
                    Supply::Later(Box::pin(async move { Ok(of(connections.get().await?, datagrams.get().await?)) }))
                }
            },
        }
    }
}

/// The sockets of a door.
pub struct Bound {
    connections: Vec<TcpListener>,
    datagrams: Vec<UdpSocket>,
}

impl Conductor {
    /// Closes and opens listeners so that they are those of the configuration.
    pub(super) fn put_doors(&mut self, id: &str) {
        let Some(one) = self.balancers.get_mut(id) else { return };
        let config = one.config.clone();
        let wanted = config.nodes.iter().flat_map(|node| {
            config.listeners.iter().map(|listener| ((id.to_owned(), node.clone(), listener.port), listener))
        });
        let wanted: BTreeMap<DoorKey, &Listener> = wanted.collect();
        let is_wanted = |key: &DoorKey, kind: Kind| wanted.get(key).is_some_and(|listener| Kind::of(listener) == kind);
        let cores = &self.cores;
        one.doors.retain(|key, kind| {
            let keep = is_wanted(key, *kind);
            if !keep {
                cores.iter().for_each(|core| drop(core.send(Command::Shut(key.clone()))));
            }
            keep
        });
        // What still comes for others is thrown away.
        one.opening.retain(|key, opening| is_wanted(key, opening.kind));
        one.failed.retain(|key| wanted.contains_key(key));
        let new = wanted.into_iter().filter(|(key, _)| !one.doors.contains_key(key) && !one.opening.contains_key(key));
        for (key, listener) in new.map(|(key, listener)| (key, Kind::of(listener))).collect::<Vec<_>>() {
            match listener.bind(&key, &*self.sockets, self.cores.len()) {
                Supply::Now(bound) => self.open(&key, listener, bound),
                Supply::Later(coming) => self.await_door(key, listener, coming),
            }
        }
        self.try_again(id);
    }

    fn await_door(&mut self, key: DoorKey, kind: Kind, coming: crate::shell::sockets::Coming<Bound>) {
        let Some(one) = self.balancers.get_mut(&key.0) else { return };
        self.openings += 1;
        let (number, events, of) = (self.openings, self.events.clone(), key.clone());
        let coming = spawn_local(async move {
            let bound = coming.await;
            // The conductor may have ended meanwhile.
            let _ = events.send(Event::Bound { key: of, number, bound });
        });
        one.opening.insert(key, Opening { number, kind, _coming: Beside(coming) });
    }

    /// The sockets of a door have come, or can't be had.
    pub(super) fn hear_bound(&mut self, key: &DoorKey, number: u64, bound: io::Result<Bound>) {
        let Some(one) = self.balancers.get_mut(&key.0) else { return };
        // Else it is another one by now, or none.
        if one.opening.get(key).is_none_or(|opening| opening.number != number) {
            return;
        }
        let Some(opening) = one.opening.remove(key) else { return };
        self.open(key, opening.kind, bound);
        self.try_again(&key.0);
    }

    /// Opens a door on every core, or reports why not, once.
    fn open(&mut self, key: &DoorKey, kind: Kind, bound: io::Result<Bound>) {
        let Some(one) = self.balancers.get_mut(&key.0) else { return };
        let opened = match (bound, one.door(key)) {
            (Ok(bound), Some(door)) => Ok((bound, door)),
            (Err(error), _) => Err(error.to_string()),
            (_, None) => Err("too many zones".to_owned()),
        };
        match opened {
            Ok((bound, door)) => {
                one.failed.remove(key);
                one.doors.insert(key.clone(), kind);
                let (mut connections, mut datagrams) = (bound.connections.into_iter(), bound.datagrams.into_iter());
                for core in &self.cores {
                    let (key, door) = (key.clone(), door.clone());
                    let command = match (kind, connections.next()) {
                        (Kind::Requests, Some(listener)) => Command::Open { key, listener, door },
                        (Kind::Requests, None) => continue,
                        (Kind::Flows { .. }, connections) => {
                            let datagrams = datagrams.next();
                            Command::OpenFlows(Box::new(FlowOpen { key, connections, datagrams, door }))
                        }
                    };
                    drop(core.send(command));
                }
            }
            Err(error) => {
                if one.failed.insert(key.clone()) {
                    let (balancer, node, port) = key.clone();
                    let listener = one.config.listeners.iter().find(|listener| listener.port == port);
                    let listener = listener.map(|listener| listener.id.clone()).unwrap_or_default();
                    self.unsaid.push(Report::ListenFailed { balancer, listener, node, error });
                }
            }
        }
    }

    /// What could not be opened is tried again after a while.
    fn try_again(&mut self, id: &str) {
        let Some(one) = self.balancers.get_mut(id) else { return };
        let (events, id) = (self.events.clone(), id.to_owned());
        let retry = async move {
            tokio::time::sleep(RETRY).await;
            // The conductor may have ended meanwhile.
            let _ = events.send(Event::Reopen(id));
        };
        one.retry = (!one.failed.is_empty()).then(|| Beside(spawn_local(retry)));
    }
}

impl Conducted {
    /// What a core needs to know of a door; nothing where the zones are too many.
    fn door(&self, (_, node, port): &DoorKey) -> Option<Door> {
        Some(Door {
            shared: self.shared.clone(),
            node: node.clone(),
            zone: self.shared.ledger().zone(&node.zone)?,
            port: *port,
            encryption: self.ports.current(*port),
        })
    }
}
