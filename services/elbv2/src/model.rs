//! What is stored: load balancers with their nodes, target groups with their targets, listeners with their rules.

mod listeners;

pub use listeners::{Listener, ListenerTls, Rule};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use zonal_balancer::config::{BalancerConfig, Health};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Record, View};
use zonal_wire::Time;

/// The attributes that a user has set, by key. What was not set has the default of `attributes.rs`.
pub type Attributes = BTreeMap<String, String>;

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// `arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID` (or `net/`): the key.
    pub arn: String,
    /// What it balances.
    #[serde(default)]
    pub kind: Kind,
    /// Unique among the account's load balancers in the region.
    pub name: String,
    /// The public DNS name.
    pub dns_name: String,
    /// Who reaches it.
    pub scheme: Scheme,
    /// Its VPC.
    pub vpc: String,
    /// What it is doing.
    pub state: BalancerState,
    /// When it was made.
    pub created: Time,
    /// The groups that its interfaces are to belong to.
    pub security_groups: Vec<String>,
    /// One per subnet, those that are leaving included.
    pub nodes: Vec<Node>,
    /// Attributes that were set.
    pub attributes: Attributes,
    /// What stickiness cookies are sealed with. Load balancers of before there was stickiness have none.
    #[serde(default)]
    pub cookie_secret: String,
    /// Tags.
    pub tags: Tags,
}

/// `LoadBalancerTypeEnum`, as far as there is a plane for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Requests.
    #[default]
    Application,
    /// Flows.
    Network,
}

/// `LoadBalancerSchemeEnum`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// Nodes have public addresses, and the name leads to them.
    InternetFacing,
    /// The name leads to private addresses.
    Internal,
}

/// Where a load balancer is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BalancerState {
    /// Its nodes are being made.
    Provisioning,
    /// It takes traffic.
    Active,
    /// Its user has deleted it: nobody sees it any more, and its nodes are being removed.
    Deleting,
}

impl LoadBalancer {
    /// The last part of the ARN, as metrics name it: `app/NAME/ID`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.arn.split_once(":loadbalancer/").map_or("", |(_, path)| path)
    }

    /// Whether its user still has it.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.state != BalancerState::Deleting
    }

    /// Why a node cannot be what it is to be, if that is so of one.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.serving().find_map(|node| node.failure.as_deref())
    }

    /// How the ARNs of its listeners' rules begin.
    #[must_use]
    pub fn keys_of_rules(arn: &str) -> String {
        format!("{}/", arn.replacen(":loadbalancer/", ":listener-rule/", 1))
    }

    /// How the ARNs of its listeners begin.
    #[must_use]
    pub fn keys_of_listeners(arn: &str) -> String {
        format!("{}/", arn.replacen(":loadbalancer/", ":listener/", 1))
    }

    /// The nodes of the subnets that it is to serve.
    pub fn serving(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.stage != NodeStage::Leaving)
    }

    /// Those of them that take traffic: their interfaces pass packets.
    pub fn ready(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.stage == NodeStage::Ready)
    }

    /// A node more, or one less, makes it ready again only when all interfaces pass packets.
    pub fn settle(&mut self) {
        if self.state == BalancerState::Provisioning && self.serving().all(|node| node.stage == NodeStage::Ready) {
            self.state = BalancerState::Active;
        }
    }

    /// Its user deletes it: all nodes go.
    pub fn delete(&mut self) {
        self.state = BalancerState::Deleting;
        for node in &mut self.nodes {
            node.stage = NodeStage::Leaving;
        }
    }
}

/// The load balancer's presence in a subnet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The subnet.
    pub subnet: String,
    /// Its Availability Zone's name.
    pub zone: String,
    /// How far it is.
    pub stage: NodeStage,
    /// The addresses that its user wants it to have.
    #[serde(default)]
    pub wanted: WantedAddress,
    /// Its interface, once made.
    pub interface: Option<NodeInterface>,
    /// Why it could not be brought to what it is to be, the last time that was tried.
    #[serde(default)]
    pub failure: Option<String>,
}

/// What a subnet mapping says of a node's addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WantedAddress {
    /// An Elastic IP address of the user's, by its `eipalloc-…`.
    pub allocation: Option<String>,
    /// A private address of the subnet.
    pub private: Option<Ipv4Addr>,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeStage {
    /// Its interface does not pass packets yet.
    Joining,
    /// It serves.
    Ready,
    /// Its subnet was taken away: interface and address are to go.
    Leaving,
}

/// A node's interface and addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeInterface {
    /// `eni-…`.
    pub id: String,
    /// Inside the VPC.
    pub address: Ipv4Addr,
    /// The groups it was last given.
    pub groups: Vec<String>,
    /// Of an internet-facing load balancer.
    pub public: Option<PublicAddress>,
}

/// A public address that a node holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublicAddress {
    /// `eipalloc-…`.
    pub allocation: String,
    /// `eipassoc-…`.
    pub association: String,
    /// The address.
    pub address: Ipv4Addr,
    /// Whether it is the user's own: it is given back to him, not released.
    #[serde(default)]
    pub is_users: bool,
}

/// Targets that are checked and chosen in the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetGroup {
    /// `arn:…:targetgroup/NAME/ID`: the key.
    pub arn: String,
    /// Unique among the account's target groups in the region.
    pub name: String,
    /// What its targets speak.
    #[serde(default)]
    pub protocol: Protocol,
    /// The version of HTTP that requests are sent in.
    #[serde(default)]
    pub version: Version,
    /// The port of targets that are registered without one.
    pub port: u16,
    /// Its VPC.
    pub vpc: String,
    /// What its targets are.
    pub target_type: TargetType,
    /// How they are found healthy.
    pub health_check: HealthCheck,
    /// Attributes that were set.
    pub attributes: Attributes,
    /// Tags.
    pub tags: Tags,
}

impl TargetGroup {
    /// The last part of the ARN, as metrics name it: `targetgroup/NAME/ID`.
    #[must_use]
    pub fn path(&self) -> &str {
        path_of_group(&self.arn)
    }
}

/// The last part of a target group's ARN.
#[must_use]
pub fn path_of_group(arn: &str) -> &str {
    arn.rsplit_once(':').map_or(arn, |(_, path)| path)
}

/// `TargetTypeEnum`, as far as there is a plane for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetType {
    /// Instances by id, reached at their primary private address.
    Instance,
    /// Private addresses.
    Ip,
    /// One application load balancer by its ARN.
    Alb,
}

/// `ProtocolEnum`, as far as there is a plane for it: of a target group, and of a listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// Requests.
    #[default]
    Http,
    /// Requests over TLS.
    Https,
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
    /// Both.
    TcpUdp,
    /// Connections whose TLS ends here.
    Tls,
}

/// `ProtocolVersion` of a target group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// `HTTP1`
    #[default]
    Http1,
    /// `HTTP2`
    Http2,
    /// `GRPC`
    Grpc,
}

/// What a health check speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckProtocol {
    /// HTTP.
    #[default]
    Http,
    /// HTTP over TLS, whatever the certificate.
    Https,
    /// Nothing: a connection must be accepted.
    Tcp,
}

/// A target group's health check settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is spoken.
    #[serde(default)]
    pub protocol: CheckProtocol,
    /// `traffic-port` or a number, as given.
    pub port: CheckPort,
    /// Path and query.
    pub path: String,
    /// Status codes: `200`, `200,202`, `200-299`.
    pub matcher: String,
    /// Seconds.
    pub interval: u32,
    /// Seconds.
    pub timeout: u32,
    /// Successes in a row that make a target healthy.
    pub healthy: u32,
    /// Failures in a row that make it unhealthy.
    pub unhealthy: u32,
}

/// The port that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckPort {
    /// The one that the target takes traffic on.
    Traffic,
    /// Another.
    Port(u16),
}

impl std::fmt::Display for CheckPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Traffic => f.write_str("traffic-port"),
            Self::Port(port) => port.fmt(f),
        }
    }
}

/// A registered target, or one that still drains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// See [`Target::key_of`].
    pub key: String,
    /// Its group's ARN.
    pub group: String,
    /// Instance id, address or load balancer's ARN, as registered.
    pub id: String,
    /// The port that it takes traffic on.
    pub port: u16,
    /// Where it is reached; `None` while its instance has no address, and of a load balancer, whose nodes have theirs.
    pub address: Option<Ipv4Addr>,
    /// Its Availability Zone's name; `all` for an address outside the VPC, and for a load balancer.
    pub zone: String,
    /// Whether it takes requests.
    pub stage: TargetStage,
}

/// Whether a target takes requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetStage {
    /// It does, as far as its health allows.
    Registered,
    /// Its instance cannot: the instance's state.
    Invalid(String),
    /// It is deregistered and finishes what it has until then.
    Draining(Time),
}

impl Target {
    /// How the keys of those begin that a group has of one id, each on a port of its own.
    #[must_use]
    pub fn keys_of_id(group: &str, id: &str) -> String {
        format!("{group}|{id}|")
    }

    /// The key of a target: its group, id and port.
    #[must_use]
    pub fn key_of(group: &str, id: &str, port: u16) -> String {
        format!("{}{port}", Self::keys_of_id(group, id))
    }

    /// The targets of a group, found by their keys' beginning.
    pub fn of<'a>(view: &View<'a>, group: &str) -> impl Iterator<Item = &'a Self> + use<'a> {
        view.starting(format!("{group}|"))
    }
}

/// What a balancer last said of a target. Apart from [`Target`], so that health wakes no configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetHealth {
    /// The target's key; of a load balancer's nodes, see `albs`.
    pub key: String,
    /// Its health.
    pub health: Health,
}

/// The configuration that a balancer was last told. Its revision grows with every change, so that the plane can refuse older ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The load balancer's ARN.
    pub balancer: String,
    /// The configuration.
    pub config: BalancerConfig,
}

impl Record for LoadBalancer {
    const TABLE: &'static str = "elbv2.load_balancer";
    fn key(&self) -> &str {
        &self.arn
    }
}

impl Record for TargetGroup {
    const TABLE: &'static str = "elbv2.target_group";
    fn key(&self) -> &str {
        &self.arn
    }
}

impl Record for Target {
    const TABLE: &'static str = "elbv2.target";
    fn key(&self) -> &str {
        &self.key
    }
}

impl Record for TargetHealth {
    const TABLE: &'static str = "elbv2.target_health";
    fn key(&self) -> &str {
        &self.key
    }
}

impl Record for Told {
    const TABLE: &'static str = "elbv2.told";
    fn key(&self) -> &str {
        &self.balancer
    }
}
