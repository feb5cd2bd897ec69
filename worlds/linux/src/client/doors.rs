//! Which ports of which public addresses the host must listen on: those that the groups of an interface open to everybody, or to the host.

use crate::plane::protocol::Door;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use zonal_balancer::config::{BalancerConfig, FlowProtocol};
use zonal_substrate::{Group, Interface, PeerMatch, PortRange, Protocol};

/// Ranges of more ports than this are not listened on whole.
const WIDEST: u16 = 64;

/// What network load balancers listen on, by their nodes' interfaces.
type Flows = BTreeMap<String, Vec<(FlowProtocol, u16)>>;

/// The doors that should be open, and those that are. A change costs the interfaces that it concerns, however many there are.
pub(super) struct Doors {
    host: Ipv4Addr,
    /// The first port that can be listened on.
    first: u16,
    interfaces: BTreeMap<String, Interface>,
    groups: BTreeMap<String, Group>,
    /// The interfaces that are in a group.
    members: BTreeMap<String, BTreeSet<String>>,
    /// By the ARN of the load balancer.
    flows: BTreeMap<String, Flows>,
    open: BTreeMap<Ipv4Addr, Door>,
    /// The doors that an interface has open.
    opened: BTreeMap<String, BTreeSet<Ipv4Addr>>,
    /// Interfaces whose doors may be others since the last look.
    touched: BTreeSet<String>,
    /// Whether what is not known is not there, rather than not heard of yet.
    all_known: bool,
}

impl Doors {
    pub(super) fn new(host: Ipv4Addr, first: u16) -> Self {
        Self {
            host,
            first,
            interfaces: BTreeMap::new(),
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            flows: BTreeMap::new(),
            open: BTreeMap::new(),
            opened: BTreeMap::new(),
            touched: BTreeSet::new(),
            all_known: false,
        }
    }

    fn touch_members(&mut self, group: &str) {
        self.touched.extend(self.members.get(group).into_iter().flatten().cloned());
    }

    pub(super) fn put_group(&mut self, group: Group) {
        if self.groups.get(&group.id) != Some(&group) {
            self.touch_members(&group.id);
            self.groups.insert(group.id.clone(), group);
        }
    }

    pub(super) fn remove_group(&mut self, id: &str) {
        if self.groups.remove(id).is_some() {
            self.touch_members(id);
        }
    }

    pub(super) fn put_interface(&mut self, interface: Interface) {
        if self.interfaces.get(&interface.id) == Some(&interface) {
            return;
        }
        let id = interface.id.clone();
        self.remove_interface(&id);
        for group in &interface.groups {
            self.members.entry(group.clone()).or_default().insert(id.clone());
        }
        self.touched.insert(id.clone());
        self.interfaces.insert(id, interface);
    }

    pub(super) fn remove_interface(&mut self, id: &str) {
        let Some(gone) = self.interfaces.remove(id) else { return };
        for group in &gone.groups {
            if let Some(members) = self.members.get_mut(group) {
                members.remove(id);
                if members.is_empty() {
                    self.members.remove(group);
                }
            }
        }
        self.touched.insert(id.to_owned());
    }

    /// A network load balancer's nodes are open where it listens: no need to look.
    pub(super) fn put_balancer(&mut self, config: &BalancerConfig) {
        let listeners = config.listeners.iter();
        let ports: Vec<_> = listeners.filter_map(|listener| Some((listener.flow?.protocol, listener.port))).collect();
        if ports.is_empty() {
            return self.remove_balancer(&config.id);
        }
        let nodes: Flows = config.nodes.iter().map(|node| (node.interface.clone(), ports.clone())).collect();
        if self.flows.get(&config.id) != Some(&nodes) {
            self.remove_balancer(&config.id);
            self.touched.extend(nodes.keys().cloned());
            self.flows.insert(config.id.clone(), nodes);
        }
    }

    pub(super) fn remove_balancer(&mut self, id: &str) {
        self.touched.extend(self.flows.remove(id).into_iter().flat_map(Flows::into_keys));
    }

    /// From now on what is not known is not there. Before, a door of which something has not been heard yet is as an earlier control plane
    /// had it: its connections go on.
    pub(super) fn all_is_known(&mut self) {
        self.all_known = true;
        self.touched.extend(self.interfaces.keys().cloned());
    }

    fn is_known(&self, interface: &Interface) -> bool {
        self.all_known
            || interface.groups.iter().all(|id| self.groups.contains_key(id))
                && (!interface.transparent || self.flows.values().any(|nodes| nodes.contains_key(&interface.id)))
    }

    /// What changed since the last call: a door, or none any more, by public address.
    pub(super) fn changes(&mut self) -> Vec<(Ipv4Addr, Option<Door>)> {
        let (mut gone, mut put) = (BTreeSet::new(), Vec::new());
        for id in std::mem::take(&mut self.touched) {
            let wanted: Vec<Door> = match self.interfaces.get(&id) {
                Some(interface) if !self.is_known(interface) => continue,
                Some(interface) => {
                    let publics = interface.addresses.iter().filter_map(|address| address.public);
                    publics.map(|public| self.door(interface, public)).collect()
                }
                None => Vec::new(),
            };
            let now: BTreeSet<Ipv4Addr> = wanted.iter().map(|door| door.public).collect();
            let before = self.opened.remove(&id).unwrap_or_default();
            gone.extend(before.into_iter().filter(|public| !now.contains(public)));
            if !now.is_empty() {
                self.opened.insert(id, now);
            }
            put.extend(wanted);
        }
        let mut changes = BTreeMap::new();
        for public in gone {
            // An address that has moved is another's door by now.
            let moved = self
                .open
                .get(&public)
                .is_some_and(|door| self.opened.get(&door.interface).is_some_and(|opened| opened.contains(&public)));
            if !moved && self.open.remove(&public).is_some() {
                changes.insert(public, None);
            }
        }
        for door in put {
            if self.open.get(&door.public) != Some(&door) {
                self.open.insert(door.public, door.clone());
                changes.insert(door.public, Some(door));
            }
        }
        changes.into_iter().collect()
    }

    fn door(&self, interface: &Interface, public: Ipv4Addr) -> Door {
        let mut door = Door {
            public,
            interface: interface.id.clone(),
            tcp: BTreeSet::new(),
            udp: BTreeSet::new(),
            wide: Vec::new(),
        };
        if interface.transparent {
            // Without groups, whatever it listens on is open to everybody.
            let ports = self.flows.values().find_map(|nodes| nodes.get(&interface.id)).map_or(&[][..], Vec::as_slice);
            for (protocol, port) in ports {
                if *port < self.first {
                    continue;
                }
                if protocol.has_connections() && self.lets_in(interface, Protocol::Tcp, *port) {
                    door.tcp.insert(*port);
                }
                if protocol.has_datagrams() && self.lets_in(interface, Protocol::Udp, *port) {
                    door.udp.insert(*port);
                }
            }
            return door;
        }
        let rules = interface.groups.iter().filter_map(|id| self.groups.get(id)).flat_map(|group| &group.ingress);
        for rule in rules {
            let open = matches!(rule.peer, PeerMatch::Cidr(cidr) if cidr.contains(&self.host));
            let ports = if rule.protocol == Protocol::All { PortRange::ALL } else { rule.ports };
            if !open || ports.from > ports.to || ports.to < self.first {
                continue;
            }
            let wide = ports.to - ports.from >= WIDEST;
            match rule.protocol {
                Protocol::Tcp | Protocol::All if wide => door.wide.push((ports.from.max(self.first), ports.to)),
                Protocol::Tcp => door.tcp.extend(ports.from.max(self.first)..=ports.to),
                Protocol::Udp if !wide => door.udp.extend(ports.from.max(self.first)..=ports.to),
                _ => {}
            }
        }
        door
    }

    /// Whether the groups of an interface, if it has any, open a port to the host.
    fn lets_in(&self, interface: &Interface, protocol: Protocol, port: u16) -> bool {
        let mut rules = interface.groups.iter().filter_map(|id| self.groups.get(id)).flat_map(|group| &group.ingress);
        interface.groups.is_empty()
            || rules.any(|rule| {
                let open = matches!(rule.peer, PeerMatch::Cidr(cidr) if cidr.contains(&self.host));
                let all = rule.protocol == Protocol::All;
                open && (all || rule.protocol == protocol && rule.ports.contains(port))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonal_substrate::{Address, Rule};

    fn rule(protocol: Protocol, from: u16, to: u16, cidr: &str) -> Rule {
        Rule { protocol, ports: PortRange { from, to }, peer: PeerMatch::Cidr(cidr.parse().unwrap()) }
    }

    #[test]
    fn ports_open_to_everybody_or_the_host_get_a_door_and_no_others() {
        let mut doors = Doors::new("127.100.0.1".parse().unwrap(), 1);
        doors.put_group(Group {
            id: "sg-1".into(),
            network: "vpc-1".into(),
            ingress: vec![
                rule(Protocol::Tcp, 80, 81, "0.0.0.0/0"),
                rule(Protocol::Tcp, 22, 22, "127.100.0.1/32"),
                rule(Protocol::Tcp, 3306, 3306, "10.0.0.0/8"),
                rule(Protocol::Tcp, 1000, 2000, "0.0.0.0/0"),
            ],
            egress: vec![],
        });
        let public = "127.100.0.10".parse().unwrap();
        doors.put_interface(interface(public));
        let changes = doors.changes();
        let [(at, Some(door))] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!((*at, &door.tcp), (public, &BTreeSet::from([22, 80, 81])));
        assert_eq!(door.wide, [(1000, 2000)]);
        assert!(doors.changes().is_empty());
        doors.remove_interface("eni-1");
        assert_eq!(doors.changes(), [(public, None)]);
    }

    #[test]
    fn a_door_of_which_something_was_not_heard_yet_is_left_as_it_is() {
        let mut doors = Doors::new("127.100.0.1".parse().unwrap(), 1);
        let public = "127.100.0.10".parse().unwrap();
        doors.put_interface(interface(public));
        assert_eq!(doors.changes(), [], "its group may open ports");
        doors.all_is_known();
        assert!(matches!(&doors.changes()[..], [(_, Some(door))] if door.tcp.is_empty()));
    }

    #[test]
    fn a_world_of_an_ordinary_user_has_no_doors_below_1024() {
        let mut doors = Doors::new("127.100.0.1".parse().unwrap(), 1024);
        let ingress = [(80, 80), (1000, 1030), (100, 900), (0, 65_535)];
        let rules = ingress.map(|(from, to)| rule(Protocol::Tcp, from, to, "0.0.0.0/0"));
        doors.put_group(Group { id: "sg-1".into(), network: "vpc-1".into(), ingress: rules.to_vec(), egress: vec![] });
        let public = "127.100.0.10".parse().unwrap();
        doors.put_interface(interface(public));
        let changes = doors.changes();
        let [(_, Some(door))] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(door.tcp, (1024..=1030).collect());
        assert_eq!(door.wide, [(1024, 65_535)]);
    }

    #[test]
    fn an_address_that_moves_has_one_door_all_the_time_and_a_change_looks_at_those_that_it_concerns() {
        let mut doors = Doors::new("127.100.0.1".parse().unwrap(), 1);
        let (first, second) = ("127.100.0.10".parse().unwrap(), "127.100.0.11".parse().unwrap());
        for (number, group) in (0..100).map(|number| (number, format!("sg-{}", number % 10))) {
            let id = format!("eni-{number}");
            let public = Ipv4Addr::new(127, 100, 1, number);
            doors.put_interface(Interface { id, groups: vec![group], ..interface(public) });
        }
        let open = |port| Group {
            id: "sg-3".into(),
            network: "vpc-1".into(),
            ingress: vec![rule(Protocol::Tcp, port, port, "0.0.0.0/0")],
            egress: vec![],
        };
        doors.all_is_known();
        doors.changes();
        doors.put_group(open(80));
        assert_eq!(doors.touched.len(), 10);
        assert_eq!(doors.changes().len(), 10);
        doors.put_group(open(80));
        assert!(doors.touched.is_empty(), "it is as it was");
        let with = |id: &str, publics: &[Ipv4Addr]| {
            let address = |public: &Ipv4Addr| Address { private: "10.0.0.4".parse().unwrap(), public: Some(*public) };
            let addresses = publics.iter().map(address).collect();
            Interface { id: id.into(), groups: vec!["sg-3".into()], addresses, ..interface(first) }
        };
        doors.put_interface(with("eni-a", &[first]));
        doors.put_interface(with("eni-b", &[second]));
        doors.changes();
        // In either order of telling.
        doors.put_interface(with("eni-a", &[]));
        doors.put_interface(with("eni-b", &[first, second]));
        let changes = doors.changes();
        assert!(matches!(&changes[..], [(at, Some(door))] if *at == first && door.interface == "eni-b"), "{changes:?}");
        doors.put_interface(with("eni-a", &[first]));
        let changes = doors.changes();
        assert!(matches!(&changes[..], [(at, Some(door))] if *at == first && door.interface == "eni-a"), "{changes:?}");
        doors.put_interface(with("eni-b", &[second]));
        assert_eq!(doors.changes(), [], "what it has no more is another's");
        doors.remove_interface("eni-a");
        assert_eq!(doors.changes(), [(first, None)]);
    }

    fn interface(public: Ipv4Addr) -> Interface {
        Interface {
            id: "eni-1".into(),
            network: "vpc-1".into(),
            subnet: "subnet-1".into(),
            zone: "us-east-1a".into(),
            mac: "0a:00:00:00:00:01".into(),
            addresses: vec![Address { private: "10.0.0.4".parse().unwrap(), public: Some(public) }],
            groups: vec!["sg-1".into()],
            source_check: true,
            transparent: false,
            beside: None,
            generation: 0,
        }
    }
}
