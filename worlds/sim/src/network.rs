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
    pub cut: BTreeSet<String>,
    interfaces: BTreeMap<String, Interface>,
    /// Interfaces by public address.
    publics: BTreeMap<Ipv4Addr, String>,
    /// Interfaces by network and private address.
    privates: BTreeMap<(String, Ipv4Addr), String>,
}

/// Where a packet comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    /// Outside the world, with an address there.
    Internet(Ipv4Addr),
    /// An interface.
    Inside(&'a Interface),
    /// A balancer's node, in the name of its client.
    Through(&'a Interface, Ipv4Addr),
}

impl Facts {
    /// An interface has these facts now.
    pub(crate) fn put_interface(&mut self, interface: Interface) {
        let id = interface.id.clone();
        self.remove_interface(&id);
        for address in &interface.addresses {
            self.privates.insert((interface.network.clone(), address.private), id.clone());
            self.publics.extend(address.public.map(|public| (public, id.clone())));
        }
        self.interfaces.insert(id, interface);
    }

    /// An interface is gone.
    pub(crate) fn remove_interface(&mut self, id: &str) {
        let Some(old) = self.interfaces.remove(id) else { return };
        // An address may have moved to another interface already.
        for address in &old.addresses {
            drop_own(&mut self.privates, &(old.network.clone(), address.private), id);
            if let Some(public) = &address.public {
                drop_own(&mut self.publics, public, id);
            }
        }
    }

    /// The interface of that id.
    pub(crate) fn interface(&self, id: &str) -> Option<&Interface> {
        self.interfaces.get(id)
    }

    /// All interfaces' ids.
    pub(crate) fn interface_ids(&self) -> impl Iterator<Item = &String> {
        self.interfaces.keys()
    }

    /// The interface that a public address stands for.
    pub(crate) fn by_public(&self, address: Ipv4Addr) -> Option<&Interface> {
        self.interfaces.get(self.publics.get(&address)?)
    }

    /// The interface of a private address, in a network.
    pub(crate) fn by_private(&self, network: &str, address: Ipv4Addr) -> Option<&Interface> {
        self.interfaces.get(self.privates.get(&(network.to_owned(), address))?)
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
            Source::Inside(from) | Source::Through(from, _) => {
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
                    && self.admits(to, shown(source, own.private), Some(from), port)
            }
        }
    }

    fn admits(&self, to: &Interface, address: Ipv4Addr, from: Option<&Interface>, port: u16) -> bool {
        if to.transparent && to.groups.is_empty() {
            return true;
        }
        let rules = to.groups.iter().filter_map(|id| self.groups.get(id)).flat_map(|group| &group.ingress);
        any(rules, address, from, port)
    }

    fn lets_out(&self, from: &Interface, address: Ipv4Addr, to: &Interface, port: u16) -> bool {
        if from.transparent && from.groups.is_empty() {
            return true;
        }
        let rules = from.groups.iter().filter_map(|id| self.groups.get(id)).flat_map(|group| &group.egress);
        any(rules, address, Some(to), port)
    }
}

/// The address that a group sees.
fn shown(source: Source<'_>, own: Ipv4Addr) -> Ipv4Addr {
    match source {
        Source::Through(_, client) => client,
        Source::Internet(_) | Source::Inside(_) => own,
    }
}

fn drop_own<K: Ord>(index: &mut BTreeMap<K, String>, key: &K, id: &str) {
    if index.get(key).is_some_and(|own| own == id) {
        index.remove(key);
    }
}

/// A port that answers go to.
const EPHEMERAL: u16 = 49_152;

fn leads_out(subnet: &Subnet) -> bool {
    // Outside is one place here, which only a default route leads to.
    subnet
        .routes
        .iter()
        .any(|route| route.destination.prefix_len() == 0 && route.target == RouteTarget::InternetGateway)
}

fn passes(entries: &[AclEntry], address: Ipv4Addr, port: u16) -> bool {
    let tcp = |protocol| matches!(protocol, Protocol::All | Protocol::Tcp);
    let first =
        entries.iter().find(|entry| tcp(entry.protocol) && entry.ports.contains(port) && entry.cidr.contains(&address));
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
