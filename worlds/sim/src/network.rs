//! Who reaches whom: groups, routes, access lists and cut zones, as the Linux world's routers decide it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use zonal_substrate::{AclEntry, Group, Interface, Network, PeerMatch, Protocol, RouteTarget, Rule, Subnet};

/// The facts that packets meet.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub networks: BTreeMap<String, Network>,
    pub subnets: BTreeMap<String, Subnet>,
    pub groups: BTreeMap<String, Group>,
    pub interfaces: BTreeMap<String, Interface>,
    pub cut: BTreeSet<String>,
}

/// Where a packet comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    /// Outside the world, with an address there.
    Internet(Ipv4Addr),
    /// An interface.
    Inside(&'a Interface),
}

impl Facts {
    /// The interface that a public address stands for.
    pub(crate) fn by_public(&self, address: Ipv4Addr) -> Option<&Interface> {
        self.interfaces.values().find(|interface| interface.addresses.iter().any(|own| own.public == Some(address)))
    }

    /// The interface of a private address, in a network.
    pub(crate) fn by_private(&self, network: &str, address: Ipv4Addr) -> Option<&Interface> {
        self.interfaces
            .values()
            .find(|interface| interface.network == network && interface.addresses.iter().any(|own| own.private == address))
    }

    /// Whether TCP packets from there reach a port of an interface, and the answers come back.
    pub(crate) fn reaches(&self, source: Source<'_>, to: &Interface, port: u16) -> bool {
        let up = |interface: &Interface| !self.cut.contains(&interface.zone);
        if !up(to) {
            return false;
        }
        let (Some(network), Some(subnet)) = (self.networks.get(&to.network), self.subnets.get(&to.subnet)) else {
            return false;
        };
        match source {
            Source::Internet(address) => {
                network.internet
                    && leads_out(subnet)
                    && passes(&subnet.ingress, address, port)
                    && passes(&subnet.egress, address, EPHEMERAL)
                    && self.admits(to, address, None, port)
            }
            Source::Inside(from) => {
                let (own, other) = (from.addresses.first(), to.addresses.first());
                let (Some(own), Some(other)) = (own, other) else { return false };
                let apart = from.subnet != to.subnet;
                let acls = !apart
                    || self.subnets.get(&from.subnet).is_some_and(|subnet| {
                        passes(&subnet.egress, other.private, port) && passes(&subnet.ingress, other.private, EPHEMERAL)
                    }) && passes(&subnet.ingress, own.private, port)
                        && passes(&subnet.egress, own.private, EPHEMERAL);
                from.network == to.network
                    && up(from)
                    && acls
                    && self.lets_out(from, other.private, to, port)
                    && self.admits(to, own.private, Some(from), port)
            }
        }
    }

    fn admits(&self, to: &Interface, address: Ipv4Addr, from: Option<&Interface>, port: u16) -> bool {
        let rules = to.groups.iter().filter_map(|id| self.groups.get(id)).flat_map(|group| &group.ingress);
        any(rules, address, from, port)
    }

    fn lets_out(&self, from: &Interface, address: Ipv4Addr, to: &Interface, port: u16) -> bool {
        let rules = from.groups.iter().filter_map(|id| self.groups.get(id)).flat_map(|group| &group.egress);
        any(rules, address, Some(to), port)
    }
}

/// A port that answers go to.
const EPHEMERAL: u16 = 49_152;

fn leads_out(subnet: &Subnet) -> bool {
    // Outside is one place here, which only a default route leads to.
    subnet.routes.iter().any(|route| route.destination.prefix_len() == 0 && route.target == RouteTarget::InternetGateway)
}

fn passes(entries: &[AclEntry], address: Ipv4Addr, port: u16) -> bool {
    let tcp = |protocol| matches!(protocol, Protocol::All | Protocol::Tcp);
    let first = entries.iter().find(|entry| tcp(entry.protocol) && entry.ports.contains(port) && entry.cidr.contains(&address));
    first.is_some_and(|entry| entry.allow)
}

fn any<'a>(mut rules: impl Iterator<Item = &'a Rule>, address: Ipv4Addr, peer: Option<&Interface>, port: u16) -> bool {
    rules.any(|rule| {
        let protocol = matches!(rule.protocol, Protocol::All | Protocol::Tcp);
        protocol
            && rule.ports.contains(port)
            && match &rule.peer {
                PeerMatch::Cidr(range) => range.contains(&address),
                PeerMatch::Group(id) => peer.is_some_and(|peer| peer.groups.contains(id)),
            }
    })
}
