//! What the conductor does for a network load balancer beside what it does for every one: another
//! snapshot, other sockets, and the ends of flows whose target fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::config::{BalancerConfig, HealthState, TargetGroup};
use crate::core::flow::FlowSnapshot;
use crate::core::route::Means;
use crate::shell::shared::Shared;

/// One network load balancer, beside what the conductor knows of every one.
#[derive(Default)]
pub struct ConductedFlows {
    /// Targets, by slot, whose flows have been ended since they were last found healthy.
    ended: BTreeSet<u64>,
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
}
