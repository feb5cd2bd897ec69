//! Requests through a network load balancer: each is a flow of its own, which the balancer does not look into. Of datagrams nothing
//! is modelled but that nobody answers a connection.

use crate::network::Source;
use crate::requests::{Ending, Port, Visit};
use crate::world::Inner;
use std::net::Ipv4Addr;
use std::time::Duration;
use zonal_balancer::config::{Action, FlowTotals, HealthState, Target, TargetState};
use zonal_balancer::core::fleet::TargetKey;
use zonal_balancer::core::route::are_too_few;

impl Inner {
    /// A connection from a client to a node's port; `None` where the port takes requests.
    pub(crate) fn flowed(&mut self, balancer: &str, node: &str, client: Ipv4Addr, port: u16) -> Option<Visit> {
        let refused = Visit { ending: Ending::Refused, after: Duration::from_micros(500) };
        let own = self.balancers.get_mut(balancer)?;
        let listener = own.config.listeners.iter().find(|listener| listener.port == port)?;
        if !listener.flow?.protocol.has_connections() {
            return Some(refused);
        }
        let Action::Forward(forward) = &listener.default_action else { return Some(refused) };
        // Weights are drawn from in the real world; here the first group with any stands for the forward.
        let named = forward.groups.iter().find(|group| group.weight > 0).map(|group| group.target_group.clone());
        let group = named.and_then(|id| own.config.group(&id))?.clone();
        let zone = own.config.nodes.iter().find(|other| other.interface == node).map(|node| node.zone.clone())?;
        let in_reach = |target: &&Target| group.cross_zone || target.zone == zone || target.zone == "all";
        let active = group.targets.iter().filter(|target| target.state == TargetState::Active);
        let active: Vec<&Target> = active.filter(in_reach).collect();
        let healthy = |target: &&&Target| {
            let key = TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port };
            own.fleet.health(&key).is_some_and(|health| health.state == HealthState::Healthy)
        };
        let mut candidates: Vec<&Target> = active.iter().filter(healthy).copied().collect();
        let fails_open = are_too_few(candidates.len(), active.len(), &group.routing);
        if fails_open {
            candidates = active;
        }
        let counts = own.metrics.flows.entry(zone).or_default();
        let Some(turn) = own.flows.checked_rem(candidates.len()) else {
            counts.elb_resets += 1;
            return Some(refused);
        };
        own.flows += 1;
        counts.unhealthy_routing += u64::from(fails_open);
        counts.tcp = FlowTotals { new: counts.tcp.new + 1, ..counts.tcp };
        let target = candidates[turn].clone();
        let preserves = group.flow.is_some_and(|flow| flow.preserve_client_ip);
        Some(self.reached(node, client, &target, preserves))
    }

    fn reached(&mut self, node: &str, client: Ipv4Addr, target: &Target, preserves: bool) -> Visit {
        let silence = Visit { ending: Ending::Silence, after: Duration::ZERO };
        let Some(from) = self.facts.interface(node) else { return silence };
        let Some(to) = self.facts.by_private(&from.network, target.address) else { return silence };
        let source = if preserves { Source::Through(from, client) } else { Source::Inside(from) };
        if !self.facts.reaches(source, to, target.port) {
            return silence;
        }
        let id = to.id.clone();
        if let Some(inner) = self.balancers.behind(&id).map(ToOwned::to_owned) {
            // A load balancer is the target: it takes over.
            let own = from.addresses.first().map(|address| address.private);
            let client = own.filter(|_| !preserves).unwrap_or(client);
            return self.balanced(&inner, &id, client, target.port);
        }
        match self.port(&id) {
            Port::Answers => self.answered(&id, 200),
            Port::Refuses => Visit { ending: Ending::Refused, after: Duration::from_micros(500) },
            Port::Silent => silence,
        }
    }
}
