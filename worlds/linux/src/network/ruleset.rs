//! A router's rules, computed whole from what the VPC is, and the difference between two of them as one nft transaction.
//!
//! Pure: [`Ruleset::of`] says what should be, [`Ruleset::changes`] what to tell nft. A packet between two interfaces passes, in
//! this order: source check (`sources`), route table (`routing`), access lists (`acl`), then, unless its connection is known
//! already, what the groups of its sender let out and those of its receiver let in.

use super::model::{UPLINK, Vpc, device, nat_mark, steer_mark};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use zonal_substrate::{AclEntry, Group, PeerMatch, PortRange, Protocol, RouteTarget, Rule, Subnet};

/// The table of ours in a router.
pub(crate) const TABLE: &str = "ip vpc";

/// What never changes: the hooks, and the maps they look into.
const SKELETON: &str = r#"
add table ip vpc
add set ip vpc owned { type ifname . ipv4_addr; }
add set ip vpc unchecked { type ifname; }
add set ip vpc cut { type ifname; }
add set ip vpc publics { type ipv4_addr; }
add map ip vpc public_in { type ipv4_addr : ipv4_addr; }
add map ip vpc public_out { type ipv4_addr : ipv4_addr; }
add map ip vpc transparent { type ifname : mark; }
add map ip vpc nat_out { type mark : ipv4_addr; }
add map ip vpc routes { type ifname : verdict; }
add map ip vpc acl_out { type ifname : verdict; }
add map ip vpc acl_in { type ifname : verdict; }
add map ip vpc groups_out { type ifname : verdict; }
add map ip vpc groups_in { type ifname : verdict; }
add chain ip vpc inbound
add rule ip vpc inbound oifname "uplink" accept
add rule ip vpc inbound oifname vmap @groups_in
add rule ip vpc inbound drop
add chain ip vpc sources { type filter hook prerouting priority -300; policy drop; }
add rule ip vpc sources iifname { "lo", "uplink" } accept
add rule ip vpc sources iifname @cut drop
add rule ip vpc sources iifname . ip saddr @owned accept
add rule ip vpc sources iifname @unchecked accept
add chain ip vpc steering { type filter hook prerouting priority -150; }
add rule ip vpc steering ct direction reply ct mark != 0 meta mark set ct mark
add rule ip vpc steering iifname . ip saddr @owned return
add rule ip vpc steering ct state new ct mark set iifname map @transparent
add chain ip vpc arriving { type nat hook prerouting priority -100; }
add rule ip vpc arriving iifname "uplink" dnat to ip daddr map @public_in
add chain ip vpc forwarding { type filter hook forward priority 0; policy drop; }
add rule ip vpc forwarding iifname "uplink" oifname "uplink" drop
add rule ip vpc forwarding oifname @cut drop
add rule ip vpc forwarding oifname "uplink" iifname vmap @routes
add rule ip vpc forwarding iifname vmap @acl_out
add rule ip vpc forwarding oifname vmap @acl_in
add rule ip vpc forwarding ct state established,related accept
add rule ip vpc forwarding iifname "uplink" goto inbound
add rule ip vpc forwarding iifname vmap @groups_out
add chain ip vpc local { type filter hook input priority 0; policy drop; }
add rule ip vpc local iifname "lo" accept
add rule ip vpc local iifname "uplink" drop
add rule ip vpc local ct state established,related accept
add rule ip vpc local meta l4proto { tcp, udp } th dport 53 accept
add rule ip vpc local ip daddr 169.254.169.254 tcp dport 80 accept
add chain ip vpc answering { type filter hook output priority 0; }
add rule ip vpc answering oifname @cut drop
add chain ip vpc leaving { type nat hook postrouting priority 100; }
add rule ip vpc leaving oifname "uplink" snat to meta mark map @nat_out
add rule ip vpc leaving oifname "uplink" snat to ip saddr map @public_out
"#;

/// A router's rules beside the skeleton.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ruleset {
    /// Sets with no fixed place: the members of each group.
    sets: BTreeSet<String>,
    /// Chains and their rules.
    chains: BTreeMap<String, Vec<String>>,
    /// Elements: (set or map, key) to value (empty for a set).
    elements: BTreeMap<(String, String), String>,
}

impl Ruleset {
    /// What the rules of a VPC should be.
    pub(crate) fn of(vpc: &Vpc) -> Self {
        let mut rules = Self::default();
        for group in vpc.groups.values() {
            rules.group(vpc, group);
        }
        let nats: BTreeSet<&String> = vpc
            .subnets
            .values()
            .flat_map(|subnet| &subnet.routes)
            .filter_map(|route| match &route.target {
                RouteTarget::Nat(id) => Some(id),
                _ => None,
            })
            .collect();
        for id in nats {
            rules.nat(vpc, id);
        }
        for subnet in vpc.subnets.values() {
            rules.subnet(vpc, subnet);
        }
        for interface in vpc.interfaces.values() {
            rules.interface(vpc, interface);
        }
        rules
    }

    fn element(&mut self, set: &str, key: impl ToString, value: impl ToString) {
        self.elements.insert((set.to_owned(), key.to_string()), value.to_string());
    }

    /// A group: the set of its members, and a chain for each direction.
    fn group(&mut self, vpc: &Vpc, group: &Group) {
        self.sets.insert(members(&group.id));
        let known = |rule: &&Rule| match &rule.peer {
            PeerMatch::Cidr(_) => true,
            // A group of another VPC, or one not told of yet, has no members here.
            PeerMatch::Group(id) => vpc.groups.contains_key(id),
        };
        let chain = |rules: &[Rule], side: &str, verdict: &str| -> Vec<String> {
            rules.iter().filter(known).map(|rule| format!("{} {verdict}", rule_match(rule, side))).collect()
        };
        self.chains.insert(format!("o_{}", group.id), chain(&group.egress, "daddr", "goto inbound"));
        let mut ingress = chain(&group.ingress, "saddr", "accept");
        for rule in &group.ingress {
            // Nodes that speak in their clients' names are known by where they come from.
            let PeerMatch::Group(peer) = &rule.peer else { continue };
            let nodes = vpc.interfaces.values().filter(|node| node.transparent && node.groups.contains(peer));
            let devices: Vec<String> = nodes.map(|node| format!("\"{}\"", device(&node.id))).collect();
            if !devices.is_empty() {
                let protocol = protocol_match(rule.protocol, rule.ports);
                ingress.push(format!("iifname {{ {} }} {protocol} accept", devices.join(", ")));
            }
        }
        self.chains.insert(format!("i_{}", group.id), ingress);
    }

    /// A NAT gateway: what passes it is marked, and leaves with its public address.
    fn nat(&mut self, vpc: &Vpc, id: &str) {
        let public = vpc.interfaces.get(id).and_then(|interface| interface.addresses.first()?.public);
        let rules = match public {
            Some(public) if vpc.network.internet => {
                self.element("nat_out", format!("{:#x}", nat_mark(id)), public);
                vec![format!("meta mark set {:#x} return", nat_mark(id))]
            }
            _ => vec!["drop".to_owned()],
        };
        self.chains.insert(format!("n_{id}"), rules);
    }

    /// A subnet: where its packets may leave the VPC, and its access list.
    fn subnet(&mut self, vpc: &Vpc, subnet: &Subnet) {
        // Only packets on their way out come here; one for an address of the VPC has found nobody there.
        let mut rules: Vec<String> = vpc.network.cidrs.iter().map(|cidr| format!("ip daddr {cidr} drop")).collect();
        let mut routes: Vec<_> = subnet.routes.iter().filter(|route| route.target != RouteTarget::Local).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.destination.prefix_len()));
        for route in routes {
            let verdict = match &route.target {
                RouteTarget::InternetGateway if vpc.network.internet => "ip saddr @publics return".to_owned(),
                RouteTarget::Nat(id) => format!("goto n_{id}"),
                RouteTarget::InternetGateway | RouteTarget::Blackhole | RouteTarget::Local => "drop".to_owned(),
            };
            rules.push(format!("ip daddr {} {verdict}", route.destination));
            if route.target == RouteTarget::InternetGateway {
                rules.push(format!("ip daddr {} drop", route.destination));
            }
        }
        rules.push("drop".to_owned());
        self.chains.insert(format!("r_{}", subnet.id), rules);
        for (name, entries, side) in [("ao", &subnet.egress, "daddr"), ("ai", &subnet.ingress, "saddr")] {
            if lets_all_pass(entries) {
                continue;
            }
            let mut rules = vec![format!("ip {side} {} return", subnet.cidr)];
            for entry in entries {
                let verdict = if entry.allow { "return" } else { "drop" };
                let matching = protocol_match(entry.protocol, entry.ports);
                rules.push(format!("ip {side} {} {matching} {verdict}", entry.cidr));
            }
            rules.push("drop".to_owned());
            self.chains.insert(format!("{name}_{}", subnet.id), rules);
        }
    }

    /// An interface: its addresses, its subnet's chains, and its groups.
    fn interface(&mut self, vpc: &Vpc, interface: &zonal_substrate::Interface) {
        let device = format!("\"{}\"", device(&interface.id));
        for address in &interface.addresses {
            self.element("owned", format!("{device} . {}", address.private), "");
            if let Some(public) = address.public {
                self.element("publics", address.private, "");
                self.element("public_in", public, address.private);
                self.element("public_out", address.private, public);
            }
            for group in interface.groups.iter().filter(|group| vpc.groups.contains_key(*group)) {
                self.element(&members(group), address.private, "");
            }
        }
        if interface.transparent {
            self.element("transparent", &device, format!("{:#x}", steer_mark(&interface.id)));
        }
        if !interface.source_check || interface.transparent {
            self.element("unchecked", &device, "");
        }
        // A namespace outlives the processes in it, and its kernel would refuse for them: where a machine is off, packets go unanswered.
        if vpc.cut.contains(&interface.zone) || vpc.silent.contains(&interface.id) {
            self.element("cut", &device, "");
        }
        for (map, chain) in [("routes", "r"), ("acl_out", "ao"), ("acl_in", "ai")] {
            let chain = format!("{chain}_{}", interface.subnet);
            if self.chains.contains_key(&chain) {
                self.element(map, &device, format!("jump {chain}"));
            } else if map == "routes" {
                // A subnet not told of yet lets nothing out.
                self.element(map, &device, "drop");
            }
        }
        let groups: BTreeSet<&String> = interface.groups.iter().filter(|id| vpc.groups.contains_key(*id)).collect();
        for (map, direction) in [("groups_out", "o"), ("groups_in", "i")] {
            let chain = match groups.iter().collect::<Vec<_>>()[..] {
                [one] => format!("{direction}_{one}"),
                [] if interface.transparent => {
                    let name = format!("{direction}open");
                    let verdict = if direction == "o" { "goto inbound" } else { "accept" };
                    self.chains.insert(name.clone(), vec![verdict.to_owned()]);
                    name
                }
                _ => {
                    let name: Vec<&str> = groups.iter().map(|id| id.as_str()).collect();
                    let name = format!("{direction}c_{}", super::model::device(&name.join("+")));
                    let rules = groups.iter().map(|id| format!("jump {direction}_{id}")).collect();
                    self.chains.insert(name.clone(), rules);
                    name
                }
            };
            self.element(map, &device, format!("jump {chain}"));
        }
    }

    /// The whole as a transaction that begins with nothing, whatever was there.
    pub(crate) fn whole(&self) -> String {
        format!("add table {TABLE}\ndelete table {TABLE}\n{SKELETON}{}", Self::default().changes(self))
    }

    /// A router's first rules, where it has none: nothing is removed, so that nothing waits for packets on their way.
    pub(crate) fn first() -> String {
        SKELETON.to_owned()
    }

    /// What turns these rules into `next`, as a transaction; empty if nothing does.
    pub(crate) fn changes(&self, next: &Self) -> String {
        let mut script = String::new();
        // Writing to a string never fails.
        for set in next.sets.difference(&self.sets) {
            let _ = writeln!(script, "add set {TABLE} {set} {{ type ipv4_addr; }}");
        }
        for chain in next.chains.keys().filter(|chain| !self.chains.contains_key(*chain)) {
            let _ = writeln!(script, "add chain {TABLE} {chain}");
        }
        for ((set, key), value) in &self.elements {
            let same = next.elements.get(&(set.clone(), key.clone())) == Some(value);
            let whole_set_goes = self.sets.contains(set) && !next.sets.contains(set);
            if !same && !whole_set_goes {
                let _ = writeln!(script, "delete element {TABLE} {set} {{ {key} }}");
            }
        }
        for (chain, rules) in &next.chains {
            if self.chains.get(chain) != Some(rules) {
                if self.chains.contains_key(chain) {
                    let _ = writeln!(script, "flush chain {TABLE} {chain}");
                }
                for rule in rules {
                    let _ = writeln!(script, "add rule {TABLE} {chain} {rule}");
                }
            }
        }
        for ((set, key), value) in &next.elements {
            if self.elements.get(&(set.clone(), key.clone())) != Some(value) {
                let colon = if value.is_empty() { "" } else { " : " };
                let _ = writeln!(script, "add element {TABLE} {set} {{ {key}{colon}{value} }}");
            }
        }
        let gone: Vec<&String> = self.chains.keys().filter(|chain| !next.chains.contains_key(*chain)).collect();
        for chain in &gone {
            let _ = writeln!(script, "flush chain {TABLE} {chain}");
        }
        for chain in gone {
            let _ = writeln!(script, "delete chain {TABLE} {chain}");
        }
        for set in self.sets.difference(&next.sets) {
            let _ = writeln!(script, "delete set {TABLE} {set}");
        }
        script
    }
}

fn members(group: &str) -> String {
    format!("m_{group}")
}

fn lets_all_pass(entries: &[AclEntry]) -> bool {
    entries.first().is_some_and(|entry| entry.allow && entry.protocol == Protocol::All && entry.cidr.prefix_len() == 0)
}

fn rule_match(rule: &Rule, side: &str) -> String {
    let peer = match &rule.peer {
        PeerMatch::Cidr(cidr) => format!("ip {side} {cidr}"),
        PeerMatch::Group(id) => format!("ip {side} @{}", members(id)),
    };
    format!("{peer} {}", protocol_match(rule.protocol, rule.ports))
}

fn protocol_match(protocol: Protocol, ports: PortRange) -> String {
    let name = match protocol {
        Protocol::All => return String::new(),
        Protocol::Icmp { kind, code } => {
            let Some(kind) = kind else { return "ip protocol icmp".to_owned() };
            let code = code.map_or(String::new(), |code| format!(" icmp code {code}"));
            return format!("icmp type {kind}{code}");
        }
        Protocol::Other(number) => return format!("ip protocol {number}"),
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    if ports == PortRange::ALL {
        format!("ip protocol {name}")
    } else if ports.from == ports.to {
        format!("{name} dport {}", ports.from)
    } else {
        format!("{name} dport {}-{}", ports.from, ports.to)
    }
}

/// The devices that lead out have this name in every router; the skeleton counts on it.
const _: () = assert!(matches!(UPLINK.as_bytes(), b"uplink"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::namespace::net;
    use std::io::Write;
    use std::process::{Command, Stdio};
    use zonal_substrate::{Address, Interface, Network, Route};

    /// A little generator of our own, so that a failure can be had again by its seed.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, most: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % most
        }

        fn rules(&mut self) -> Vec<Rule> {
            let count = self.below(4);
            (0..count)
                .map(|_| {
                    let kind = [None, Some(8), Some(3)][self.below(3) as usize];
                    let icmp = Protocol::Icmp { kind, code: [None, Some(0)][self.below(2) as usize] };
                    let protocols = [Protocol::All, Protocol::Tcp, Protocol::Udp, icmp, Protocol::Other(47)];
                    let from = self.below(3) as u16 * 1000;
                    let width = [0, 10, 65535 - from][self.below(3) as usize];
                    let peer = match self.below(3) {
                        0 => PeerMatch::Cidr(net([0, 0, 0, 0].into(), 0)),
                        1 => PeerMatch::Cidr(net([10, 0, self.below(3) as u8, 0].into(), 24)),
                        _ => PeerMatch::Group(format!("sg-{}", self.below(4))),
                    };
                    let protocol = protocols[self.below(5) as usize];
                    Rule { protocol, ports: PortRange { from, to: from + width }, peer }
                })
                .collect()
        }

        fn entries(&mut self) -> Vec<AclEntry> {
            let rules = self.rules();
            let entry = |rule: Rule, allow| match rule.peer {
                PeerMatch::Cidr(cidr) => Some(AclEntry { allow, protocol: rule.protocol, ports: rule.ports, cidr }),
                PeerMatch::Group(_) => None,
            };
            rules.into_iter().filter_map(|rule| entry(rule, self.below(2) == 0)).collect()
        }

        /// Changes something about a VPC.
        fn step(&mut self, vpc: &mut Vpc) {
            let number = self.below(4);
            match self.below(7) {
                0 => drop(vpc.groups.remove(&format!("sg-{number}"))),
                1 => {
                    let id = format!("sg-{number}");
                    let group =
                        Group { id: id.clone(), network: "vpc".into(), ingress: self.rules(), egress: self.rules() };
                    vpc.groups.insert(id, group);
                }
                2 => {
                    let targets =
                        [RouteTarget::InternetGateway, RouteTarget::Nat("eni-1".into()), RouteTarget::Blackhole];
                    let target = targets[self.below(3) as usize].clone();
                    let id = format!("subnet-{}", number % 2);
                    let subnet = Subnet {
                        id: id.clone(),
                        network: "vpc".into(),
                        cidr: net([10, 0, number as u8 % 2, 0].into(), 24),
                        zone: "a".into(),
                        routes: vec![Route { destination: net([0, 0, 0, 0].into(), 0), target }],
                        ingress: self.entries(),
                        egress: self.entries(),
                    };
                    vpc.subnets.insert(id, subnet);
                }
                3 => drop(vpc.interfaces.remove(&format!("eni-{number}"))),
                4 => vpc.network.internet = self.below(2) == 0,
                5 => {
                    if !vpc.cut.remove("a") {
                        vpc.cut.insert("a".into());
                    }
                }
                _ => {
                    let id = format!("eni-{number}");
                    let public = (self.below(2) == 0).then(|| [127, 100, 0, number as u8].into());
                    let interface = Interface {
                        id: id.clone(),
                        network: "vpc".into(),
                        subnet: format!("subnet-{}", self.below(2)),
                        zone: ["a", "b"][self.below(2) as usize].into(),
                        mac: "0a:00:00:00:00:01".into(),
                        addresses: vec![Address { private: [10, 0, 0, 10 + number as u8].into(), public }],
                        groups: (0..self.below(4)).map(|group| format!("sg-{group}")).collect(),
                        source_check: self.below(2) == 0,
                        transparent: self.below(3) == 0,
                        beside: None,
                        generation: 0,
                    };
                    vpc.interfaces.insert(id, interface);
                }
            }
        }
    }

    fn nft(script: &str, arguments: &[&str]) -> Result<String, String> {
        let mut child = Command::new("nft")
            .args(arguments)
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        child.stdin.take().ok_or("no input")?.write_all(script.as_bytes()).map_err(|e| e.to_string())?;
        let output = child.wait_with_output().map_err(|e| e.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// What nft lists, with the elements of sets, which have no order, sorted.
    fn listed() -> Vec<String> {
        let text = nft("", &["list", "ruleset"]).unwrap();
        let mut pieces: Vec<String> = text.split([',', '\n', '{', '}']).map(|piece| piece.trim().to_owned()).collect();
        pieces.sort();
        pieces
    }

    #[test]
    fn changes_one_by_one_lead_to_the_same_rules_as_all_at_once() {
        if !nix::unistd::Uid::effective().is_root() {
            assert!(std::env::var_os("ZONAL_STRICT").is_none(), "needs root");
            println!("skipped: needs root");
            return;
        }
        for seed in 0..4 {
            // A thread, which ends with its namespace.
            let run = move || {
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                let mut chance = Chance(seed);
                let network = Network {
                    id: "vpc".into(),
                    cidrs: vec![net([10, 0, 0, 0].into(), 16)],
                    internet: true,
                    resolver: true,
                    region: String::new(),
                };
                let mut vpc = Vpc::new(network);
                let mut applied = Ruleset::default();
                nft(&applied.whole(), &["-f", "-"]).unwrap();
                for step in 0..60 {
                    chance.step(&mut vpc);
                    let next = Ruleset::of(&vpc);
                    let changes = applied.changes(&next);
                    nft(&changes, &["-f", "-"]).unwrap_or_else(|e| panic!("seed {seed} step {step}: {e}\n{changes}"));
                    applied = next;
                }
                let by_steps = listed();
                nft(&applied.whole(), &["-f", "-"]).unwrap();
                assert_eq!(by_steps, listed(), "seed {seed}");
            };
            std::thread::spawn(run).join().unwrap();
        }
    }
}
