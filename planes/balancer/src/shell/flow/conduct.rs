//! What the conductor does for a network load balancer beside what it does for every one: another
//! snapshot, other sockets, and the ends of flows whose target fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::FlowOpen;
use crate::config::{BalancerConfig, HealthState, Listener, TargetGroup};
use crate::core::flow::FlowSnapshot;
use crate::core::route::Means;
use crate::shell::shared::Shared;
use crate::shell::sockets::Sockets;
use crate::shell::worker::{Door, DoorKey};

/// One network load balancer, beside what the conductor knows of every one.
#[derive(Default)]
pub struct ConductedFlows {
    /// What each open door takes.
    opened: BTreeMap<DoorKey, Kind>,
    /// Targets, by slot, whose flows have been ended since they were last found healthy.
    ended: BTreeSet<u64>,
}

/// What comes in at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Requests,
    Flows { connections: bool, datagrams: bool },
}

fn kind(listener: &Listener) -> Kind {
    listener.flow.map_or(Kind::Requests, |flow| Kind::Flows {
        connections: flow.protocol.has_connections(),
        datagrams: flow.protocol.has_datagrams(),
    })
}

impl ConductedFlows {
    /// Makes the snapshot that flows are begun by: anew after another configuration, else as far as
    /// the health of the groups `changed` goes.
    pub fn publish(
        &self,
        config: &BalancerConfig,
        shared: &Shared,
        changed: Option<&BTreeSet<String>>,
        means: Means<'_>,
    ) {
        if config.listeners.iter().any(|listener| listener.flow.is_some()) {
            shared.has_flows.store(true, Relaxed);
        }
        if shared.has_flows.load(Relaxed) {
            let next = match changed {
                Some(changed) => shared.flows.load().with_health(config, changed, means),
                None => FlowSnapshot::new(config, means),
            };
            shared.flows.store(Arc::new(next));
        }
    }

    /// Whether a door that is open takes other things than the listener says.
    pub fn has_changed(&self, key: &DoorKey, listener: &Listener) -> bool {
        self.opened.get(key).is_some_and(|opened| *opened != kind(listener))
    }

    /// A door is open.
    pub fn has_opened(&mut self, key: DoorKey, listener: &Listener) {
        self.opened.insert(key, kind(listener));
    }

    /// A door is shut.
    pub fn has_shut(&mut self, key: &DoorKey) {
        self.opened.remove(key);
    }

    /// Whether the flows of a target that is now in this state are to end.
    pub fn ends(&mut self, group: Option<&TargetGroup>, slot: u64, state: HealthState) -> bool {
        if state == HealthState::Healthy {
            self.ended.remove(&slot);
        }
        let terminates = group.and_then(|group| group.flow).is_some_and(|flow| flow.terminate_unhealthy);
        // Once: what comes after that came because all were unhealthy.
        terminates && state == HealthState::Unhealthy && self.ended.insert(slot)
    }

    /// Whether what a drained target still has is cut off: of requests always.
    pub fn cuts(group: Option<&TargetGroup>) -> bool {
        group.and_then(|group| group.flow).is_none_or(|flow| flow.terminate_deregistered)
    }

    /// The sockets of a door, one share per core; `None` where it takes requests.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn open(
        listener: &Listener,
        key: &DoorKey,
        door: &Door,
        sockets: &dyn Sockets,
        cores: usize,
    ) -> Result<Option<Vec<FlowOpen>>, String> {
        let Some(flow) = listener.flow else { return Ok(None) };
        let (_, node, port) = key;
        let failed = |error: std::io::Error| error.to_string();
        let mut connections = Vec::new();
        if flow.protocol.has_connections() {
            connections = sockets.listen(node, *port, cores).map_err(failed)?;
        }
        let mut datagrams = Vec::new();
        if flow.protocol.has_datagrams() {
            datagrams = sockets.listen_datagrams(node, *port, cores).map_err(failed)?;
        }
        let (mut connections, mut datagrams) = (connections.into_iter(), datagrams.into_iter());
        let share = |_| FlowOpen {
            key: key.clone(),
            connections: connections.next(),
            datagrams: datagrams.next(),
            door: door.clone(),
        };
        Ok(Some((0..cores).map(share).collect()))
    }
}
