//! A small network to try things in: one VPC, a public subnet per zone, machines that serve on any port.

use std::net::Ipv4Addr;
use std::time::Duration;
use zonal_sim::{Costs, Micros, Sim, Visit};
use zonal_substrate::{
    AclEntry, Address, Ask, DiskSource, Group, Interface, Network, PeerMatch, PortRange, Protocol, Report, Route,
    RouteTarget, Rule, Sandbox, Subnet, World,
};

pub const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 100, 0, 1);
pub const GROUP: &str = "sg-web";

pub struct Town {
    pub sim: Sim,
    pub now: Micros,
    pub heard: Vec<Report>,
}

/// The private and the public address of machine `n`.
pub fn private(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, n, 10)
}

pub fn public(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 100, 9, n)
}

pub fn rule(port: u16, peer: PeerMatch) -> Rule {
    Rule { protocol: Protocol::Tcp, ports: PortRange { from: port, to: port }, peer }
}

pub fn anywhere() -> PeerMatch {
    PeerMatch::Cidr("0.0.0.0/0".parse().unwrap())
}

pub fn all_out() -> Vec<Rule> {
    vec![Rule { protocol: Protocol::All, ports: PortRange::ALL, peer: anywhere() }]
}

pub fn entry(allow: bool, ports: PortRange) -> AclEntry {
    AclEntry { allow, protocol: Protocol::Tcp, ports, cidr: "0.0.0.0/0".parse().unwrap() }
}

pub fn subnet(n: u8) -> Subnet {
    let out = Route { destination: "0.0.0.0/0".parse().unwrap(), target: RouteTarget::InternetGateway };
    Subnet {
        id: format!("subnet-{n}"),
        network: "vpc-1".into(),
        cidr: format!("10.0.{n}.0/24").parse().unwrap(),
        zone: zone(n),
        routes: vec![out],
        ingress: vec![entry(true, PortRange::ALL)],
        egress: vec![entry(true, PortRange::ALL)],
    }
}

pub fn zone(n: u8) -> String {
    format!("us-east-1{}", char::from(b'a' + n))
}

pub fn interface(n: u8) -> Interface {
    Interface {
        id: format!("eni-{n}"),
        network: "vpc-1".into(),
        subnet: format!("subnet-{n}"),
        zone: zone(n),
        mac: format!("0a:00:00:00:00:{n:02x}"),
        addresses: vec![Address { private: private(n), public: Some(public(n)) }],
        groups: vec![GROUP.into()],
        source_check: true,
        transparent: false,
        beside: None,
        generation: 0,
    }
}

pub fn sandbox(n: u8, generation: u64) -> Ask {
    Ask::StartSandbox(Box::new(Sandbox {
        id: format!("i-{n}"),
        generation,
        interface: format!("eni-{n}"),
        zone: zone(n),
        hostname: format!("ip-10-0-{n}-10.ec2.internal"),
        disk: DiskSource::Base,
        disk_gib: 8,
        vcpus: 1,
        memory_mib: 1024,
        user_data: Vec::new(),
        authorized_keys: Vec::new(),
        image_kind: "al2023".into(),
    }))
}

impl Town {
    /// With `machines` machines, booted, each in its own subnet and zone, that let port 80 in from everywhere.
    pub fn with(machines: u8) -> Self {
        let mut town = Self { sim: Sim::new(0, Costs::default()), now: 0, heard: Vec::new() };
        let network = Network {
            id: "vpc-1".into(),
            cidrs: vec!["10.0.0.0/16".parse().unwrap()],
            internet: true,
            resolver: true,
            region: String::new(),
        };
        town.ask([Ask::PutNetwork(network)]);
        town.group(vec![rule(80, anywhere())], all_out());
        for n in 0..machines {
            town.ask([Ask::PutSubnet(subnet(n)), Ask::PutInterface(interface(n)), sandbox(n, 1)]);
        }
        town.pass(Duration::from_secs(2));
        town
    }

    pub fn ask(&self, asks: impl IntoIterator<Item = Ask>) {
        self.sim.ask(asks.into_iter().collect());
    }

    pub fn group(&self, ingress: Vec<Rule>, egress: Vec<Rule>) {
        self.ask([Ask::PutGroup(Group { id: GROUP.into(), network: "vpc-1".into(), ingress, egress })]);
    }

    /// Lets time pass, event by event; how many instants something happened at.
    pub fn pass(&mut self, span: Duration) -> usize {
        let end = self.now + i64::try_from(span.as_micros()).unwrap();
        let mut instants = 0;
        while let Some(at) = self.sim.due().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.heard.append(&mut self.sim.advance(self.now));
            instants += 1;
        }
        self.now = end;
        self.heard.append(&mut self.sim.advance(end));
        instants
    }

    pub fn visit(&self, n: u8, port: u16) -> Visit {
        self.sim.request(CLIENT, public(n), port)
    }
}
