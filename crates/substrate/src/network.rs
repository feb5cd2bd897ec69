//! Networks, interfaces, groups and routes, as plain facts.

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Where AWS's services are inside a world: what the VPC resolver answers for their names. An address of a range that is kept for
/// documentation (RFC 5737), so that no packet for it ever leaves by mistake.
pub const SERVICES: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A VPC: one router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// `vpc-…`.
    pub id: String,
    /// Its address ranges.
    pub cidrs: Vec<Ipv4Net>,
    /// Whether an internet gateway is attached: without one nothing comes in or goes out.
    pub internet: bool,
    /// Whether the resolver at base+2 and 169.254.169.253 answers.
    pub resolver: bool,
    /// The region that its resolver's clients are in, for names that depend on it.
    #[serde(default)]
    pub region: String,
}

/// A subnet: what its interfaces' packets may reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// Its VPC.
    pub network: String,
    /// Its range.
    pub cidr: Ipv4Net,
    /// Its Availability Zone's name, such as `us-east-1a`.
    pub zone: String,
    /// The routes beside the VPC's own; the most specific one wins.
    pub routes: Vec<Route>,
    /// Inbound entries in order of their numbers; what none matches is denied.
    pub ingress: Vec<AclEntry>,
    /// Outbound entries, likewise.
    pub egress: Vec<AclEntry>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Where the packet wants to go.
    pub destination: Ipv4Net,
    /// Where it goes.
    pub target: RouteTarget,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteTarget {
    /// Inside the VPC.
    Local,
    /// The internet gateway: only for interfaces with a public address.
    InternetGateway,
    /// A NAT gateway's interface.
    Nat(String),
    /// Nowhere: the target is gone.
    Blackhole,
}

/// An entry of a network access list. Stateless.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AclEntry {
    /// Lets the packet pass, or drops it.
    pub allow: bool,
    /// Which protocol.
    pub protocol: Protocol,
    /// Which destination ports (TCP and UDP).
    pub ports: PortRange,
    /// The other side.
    pub cidr: Ipv4Net,
}

/// A security group. Stateful: answers to what was let through pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// `sg-…`.
    pub id: String,
    /// Its VPC.
    pub network: String,
    /// What may come in.
    pub ingress: Vec<Rule>,
    /// What may go out.
    pub egress: Vec<Rule>,
}

/// What a group lets through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Which protocol.
    pub protocol: Protocol,
    /// Which destination ports (TCP, UDP).
    pub ports: PortRange,
    /// The other side.
    pub peer: PeerMatch,
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PeerMatch {
    /// Addresses.
    Cidr(Ipv4Net),
    /// Members of a group, by their private addresses.
    Group(String),
}

/// An IP protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// All of them (`-1`).
    All,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP: of a type and code, where they are said.
    Icmp {
        /// Its type; all, where there is none.
        kind: Option<u8>,
        /// Its code; all, where there is none.
        code: Option<u8>,
    },
    /// Another, by number.
    Other(u8),
}

/// An inclusive range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// The first.
    pub from: u16,
    /// The last.
    pub to: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self { from: 0, to: u16::MAX };

    /// Whether it holds `port`.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        self.from <= port && port <= self.to
    }
}

/// A network interface: a namespace of its own, joined to its VPC's router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// `eni-…`.
    pub id: String,
    /// Its VPC.
    pub network: String,
    /// Its subnet.
    pub subnet: String,
    /// Its Availability Zone's name.
    pub zone: String,
    /// Its hardware address, `0a:…`.
    pub mac: String,
    /// Its private addresses, the primary one first, each with its public one.
    pub addresses: Vec<Address>,
    /// The groups it belongs to.
    pub groups: Vec<String>,
    /// Whether packets that are not to or from its own addresses are dropped.
    pub source_check: bool,
    /// Whether it is a balancer's node that speaks to targets in its clients' names: answers to what it
    /// sends come back to it whatever address it bears, a group that names one of its groups means
    /// it too, and without groups it is open.
    #[serde(default)]
    pub transparent: bool,
    /// Where its own end is, if not in a namespace of its own.
    #[serde(default)]
    pub beside: Option<Beside>,
    /// How often it was attached or detached: [`crate::Report::InterfaceReady`] says it back, so that what is said of an earlier place is
    /// not taken for this one's.
    #[serde(default)]
    pub generation: u64,
}

/// That an interface's own end is in the namespace of another: it is one more interface of the machine that lives there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// The interface that the machine lives behind.
    pub interface: String,
    /// Its place on the machine: the device `eth1` for 1, and so on.
    pub index: u8,
}

/// A private address, and the public one that stands for it outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Inside.
    pub private: Ipv4Addr,
    /// Outside: of the world's public range.
    pub public: Option<Ipv4Addr>,
}
