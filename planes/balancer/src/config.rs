//! What the control plane tells a balancer, and what it hears back: plain values, no behaviour.
//!
//! Names are those of the Elastic Load Balancing v2 API where it has one. Durations are virtual
//! time: a world that runs N times faster divides them.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod flow;
mod report;
mod settings;
mod tls;

pub use flow::{FlowGroup, FlowListener, FlowMetrics, FlowProtocol, FlowReport, FlowTotals};
pub use report::{
    Distribution, GroupMetrics, Health, HealthReason, HealthReport, HealthState, Hosts, MetricsReport, NodeMetrics,
    Report,
};
pub use settings::{
    Algorithm, DesyncMode, Forward, GroupRouting, HttpSettings, ResponseHeaders, Stickiness, WeightedGroup, XffMode,
};
pub use tls::{AlpnPolicy, Certificate, ListenerTls, TlsHeaders};

/// One application load balancer, whole. A new revision replaces the old one; one that is not newer
/// is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerConfig {
    /// The load balancer's ARN.
    pub id: String,
    /// The revision of the commit this was made from.
    pub revision: u64,
    /// One per enabled Availability Zone.
    pub nodes: Vec<Node>,
    /// What is listened on, on every node.
    pub listeners: Vec<Listener>,
    /// Every target group that a listener's action names.
    pub target_groups: Vec<TargetGroup>,
    /// Attribute `idle_timeout.timeout_seconds`: for clients that send nothing, and for targets that
    /// do not answer (504).
    pub idle_timeout: Duration,
    /// Attributes that say how requests are read and passed on.
    #[serde(default)]
    pub http: HttpSettings,
    /// What stickiness cookies are sealed with: as long as it stays, so do sessions.
    #[serde(default)]
    pub cookie_secret: String,
}

impl BalancerConfig {
    /// The target group of that ARN.
    pub fn group(&self, id: &str) -> Option<&TargetGroup> {
        self.target_groups.iter().find(|group| group.id == id)
    }
}

/// The balancer's presence in one zone: an interface with an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Node {
    /// The id of the network interface (`eni-…`): names the network that the address is of.
    pub interface: String,
    /// Availability Zone name.
    pub zone: String,
    /// The private address that is listened on and connected from.
    pub address: Ipv4Addr,
}

/// A port, and what is done with the requests that come in on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The listener's ARN.
    pub id: String,
    /// The port on every node.
    pub port: u16,
    /// Without it, the listener's protocol is HTTP; with it, HTTPS.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    /// With it, this is a network load balancer's listener, and its rules and actions are of no use but for the default
    /// action's target groups.
    #[serde(default)]
    pub flow: Option<FlowListener>,
    /// What happens to a request that no rule matches.
    pub default_action: Action,
    /// Tried in ascending priority before the default.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Attributes that change the answers' headers.
    #[serde(default)]
    pub response_headers: ResponseHeaders,
}

/// A listener rule: all of its conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The rule's ARN.
    pub id: String,
    /// 1 to 50,000; the smallest is tried first.
    pub priority: u32,
    /// Each holds if one of its values matches.
    pub conditions: Vec<Condition>,
    /// What happens to a request that matches.
    pub action: Action,
}

/// What a rule looks at. `*` stands for any run of characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// `host-header`: the host without port, in any case.
    HostHeader(Vec<String>),
    /// `path-pattern`: the path without query, case-sensitive.
    PathPattern(Vec<String>),
    /// `http-request-method`: compared exactly.
    HttpRequestMethod(Vec<String>),
    /// `http-header`: one header's value, in any case.
    HttpHeader {
        /// The header's name.
        name: String,
        /// Patterns.
        values: Vec<String>,
    },
    /// `query-string`: a key (or any) with a value, in any case. `\*` and `\?` are these characters themselves.
    QueryString(Vec<QueryPattern>),
    /// `source-ip`: network and prefix length.
    SourceIp(Vec<(Ipv4Addr, u8)>),
}

/// One pair that a `query-string` condition looks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryPattern {
    /// Without it, any key.
    pub key: Option<String>,
    /// The pattern of the value.
    pub value: String,
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// To one of several groups, by weight.
    Forward(Forward),
    /// An answer of the balancer's own.
    FixedResponse {
        /// 2xx, 4xx or 5xx.
        status_code: u16,
        /// Without it, the answer has no Content-Type.
        content_type: Option<String>,
        /// At most 1,024 bytes on AWS.
        message_body: String,
    },
    /// To another address; see [`Redirect`].
    Redirect(Redirect),
}

/// The parts of the address redirected to. Each may hold `#{protocol}`, `#{host}`, `#{port}`,
/// `#{path}` and `#{query}` as the API allows them in that part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// `HTTP`, `HTTPS` or `#{protocol}`.
    pub protocol: String,
    /// Host name.
    pub host: String,
    /// Number or `#{port}`.
    pub port: String,
    /// With its leading slash; `#{path}` is without it.
    pub path: String,
    /// Without its question mark.
    pub query: String,
    /// 301 rather than 302.
    pub permanent: bool,
}

/// Targets that are checked and chosen in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroup {
    /// The target group's ARN.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether its targets are spoken to over TLS.
    #[serde(default)]
    pub protocol: TargetProtocol,
    /// What its targets are spoken to in.
    #[serde(default)]
    pub protocol_version: ProtocolVersion,
    /// How targets are found healthy.
    pub health_check: HealthCheck,
    /// All that are registered, or were and still drain.
    pub targets: Vec<Target>,
    /// Attribute `deregistration_delay.timeout_seconds`.
    pub deregistration_delay: Duration,
    /// Whether a node sends to targets of other zones too.
    pub cross_zone: bool,
    /// How its targets take flows, in a network load balancer.
    #[serde(default)]
    pub flow: Option<FlowGroup>,
    /// Attributes that say which target a request goes to.
    #[serde(default)]
    pub routing: GroupRouting,
}

/// `Protocol` of a target group whose requests are HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetProtocol {
    /// Bare.
    #[default]
    Http,
    /// Over TLS; certificates are not validated.
    Https,
}

/// `ProtocolVersion` of a target group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProtocolVersion {
    /// `HTTP1`
    #[default]
    Http1,
    /// `HTTP2`
    Http2,
    /// `GRPC`
    Grpc,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Instance id or address, as registered.
    pub id: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The port that it was registered with.
    pub port: u16,
    /// Availability Zone name.
    pub zone: String,
    /// Whether it takes new requests.
    pub state: TargetState,
}

/// What the control plane wants of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetState {
    /// Registered.
    Active,
    /// Deregistered: what is in flight may finish within the deregistration delay.
    Draining,
}

/// A target group's health check settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// How the target is asked.
    pub protocol: CheckProtocol,
    /// Without it, the target's own port (`traffic-port`).
    pub port: Option<u16>,
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// After which a check has failed.
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy target healthy.
    pub healthy_threshold: u32,
    /// Failures in a row that make a target unhealthy.
    pub unhealthy_threshold: u32,
}

/// What a health check does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckProtocol {
    /// `GET path` must be answered with a status that the matcher names. In a group whose protocol
    /// version is gRPC: a call of `path` must be answered with such a gRPC status.
    Http {
        /// Path and query.
        path: String,
        /// `200`, `200,202`, `200-299`, or a mix of them.
        matcher: String,
    },
    /// As `Http`, over TLS. Certificates are not validated.
    Https {
        /// Path and query.
        path: String,
        /// As `Http`'s.
        matcher: String,
    },
    /// A connection must be accepted.
    Tcp,
}
