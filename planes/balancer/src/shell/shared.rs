//! What the threads of one balancer share: one pointer to its snapshot, and counters by core.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use crate::config::{Hosts, MetricsReport};
use crate::core::count::NodeCounts;
use crate::core::flow::{FlowCounts, FlowSnapshot};
use crate::core::route::{GroupHandle, MAX_ZONES, Snapshot};

/// One balancer.
#[derive(Debug)]
pub struct Shared {
    /// Its ARN.
    pub id: String,
    /// What every request is routed by: loaded once per request.
    pub snapshot: ArcSwap<Snapshot>,
    /// What every flow is, loaded once per flow.
    pub flows: ArcSwap<FlowSnapshot>,
    /// Whether it has ever been a network load balancer.
    pub has_flows: AtomicBool,
    /// Per core and zone, of a network load balancer.
    flow_counts: Box<[FlowCounts]>,
    /// Per core and zone.
    nodes: Box<[NodeCounts]>,
    /// Connections, per core.
    connections: Box<[AtomicU64]>,
    /// For whoever reads metrics; no request comes here.
    ledger: Mutex<Ledger>,
}

/// What the counters belong to.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Zones by their number.
    pub zones: Vec<String>,
    /// Target groups that there are.
    pub groups: BTreeMap<String, Arc<GroupHandle>>,
    /// Target groups that there were, until they are read once more.
    pub retired: Vec<(String, Arc<GroupHandle>)>,
    /// Hosts by group and zone.
    pub hosts: BTreeMap<String, BTreeMap<String, Hosts>>,
}

impl Ledger {
    /// The zone's number; `None` if there have been too many.
    pub fn zone(&mut self, zone: &str) -> Option<usize> {
        let known = self.zones.iter().position(|known| known == zone);
        if known.is_none() && self.zones.len() < MAX_ZONES {
            self.zones.push(zone.to_owned());
            return Some(self.zones.len() - 1);
        }
        known
    }
}

impl Shared {
    /// A balancer without a configuration, for so many cores.
    pub fn new(id: &str, cores: usize) -> Self {
        Self {
            id: id.to_owned(),
            snapshot: ArcSwap::default(),
            flows: ArcSwap::default(),
            has_flows: AtomicBool::new(false),
            flow_counts: (0..cores * MAX_ZONES).map(|_| FlowCounts::default()).collect(),
            nodes: (0..cores * MAX_ZONES).map(|_| NodeCounts::default()).collect(),
            connections: (0..cores).map(|_| AtomicU64::new(0)).collect(),
            ledger: Mutex::default(),
        }
    }

    /// One core's counters of one node.
    pub fn node(&self, core: usize, zone: usize) -> &NodeCounts {
        &self.nodes[core * MAX_ZONES + zone]
    }

    /// One core's counters of one node's flows.
    pub fn flow_counts(&self, core: usize, zone: usize) -> &FlowCounts {
        &self.flow_counts[core * MAX_ZONES + zone]
    }

    /// The ledger. A reader that panicked leaves it whole.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was counted since the last time.
    pub fn take_metrics(&self) -> MetricsReport {
        let mut ledger = self.ledger();
        let mut report = MetricsReport {
            balancer: self.id.clone(),
            active_connections: self.connections.iter().map(|core| core.load(Relaxed)).sum(),
            hosts: ledger.hosts.clone(),
            ..MetricsReport::default()
        };
        for (at, counts) in self.nodes.iter().enumerate() {
            if let Some(zone) = ledger.zones.get(at % MAX_ZONES) {
                counts.take_into(report.nodes.entry(zone.clone()).or_default());
            }
        }
        for (at, counts) in self.flow_counts.iter().enumerate().filter(|_| self.has_flows.load(Relaxed)) {
            if let Some(zone) = ledger.zones.get(at % MAX_ZONES) {
                counts.take_into(report.flows.entry(zone.clone()).or_default());
            }
        }
        let retired = std::mem::take(&mut ledger.retired);
        let groups = ledger.groups.iter().chain(retired.iter().map(|(group, handle)| (group, handle)));
        for (group, handle) in groups {
            for (zone, counts) in handle.all_counts() {
                let Some(zone) = ledger.zones.get(zone) else { continue };
                let zones = report.groups.entry(group.clone()).or_default();
                counts.take_into(zones.entry(zone.clone()).or_default());
            }
        }
        report
    }
}

/// A connection that counts as active for as long as this lives.
#[derive(Debug)]
pub struct Active {
    shared: Arc<Shared>,
    core: usize,
}

impl Active {
    /// Counts one more, new on the node in `zone`.
    pub fn new(shared: &Arc<Shared>, core: usize, zone: usize) -> Self {
        shared.connections[core].fetch_add(1, Relaxed);
        shared.node(core, zone).new_connections.add(1);
        Self { shared: shared.clone(), core }
    }

    /// Whose it is.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.shared.connections[self.core].fetch_sub(1, Relaxed);
    }
}
