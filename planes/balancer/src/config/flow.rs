//! What makes a load balancer a network load balancer: listeners that take flows instead of requests, target groups with their
//! flow settings, and what is counted of flows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A listener that takes flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowListener {
    /// What flows it takes.
    pub protocol: FlowProtocol,
    /// Listener attribute `tcp.idle_timeout.seconds`: a TCP flow on which nothing is sent for so long is reset.
    pub tcp_idle_timeout: Duration,
}

/// `ProtocolEnum`, as far as network load balancers have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlowProtocol {
    /// Connections, passed through as they are.
    Tcp,
    /// Datagrams.
    Udp,
    /// Both, on the same port.
    TcpUdp,
    /// Connections whose TLS ends at the balancer. The certificates are those of the listener's `tls`.
    Tls,
}

impl FlowProtocol {
    /// Whether connections are accepted.
    pub fn has_connections(self) -> bool {
        self != Self::Udp
    }

    /// Whether datagrams are.
    pub fn has_datagrams(self) -> bool {
        matches!(self, Self::Udp | Self::TcpUdp)
    }
}

/// How a target group's targets take flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowGroup {
    /// Whether targets are spoken to in TLS (protocol `TLS`).
    pub tls: bool,
    /// Attribute `stickiness.enabled` of type `source_ip`: a client's flows all go to one target.
    pub sticky: bool,
    /// Attribute `preserve_client_ip.enabled`: targets see the client's address instead of the node's.
    pub preserve_client_ip: bool,
    /// Attribute `proxy_protocol_v2.enabled`.
    pub proxy_protocol_v2: bool,
    /// Attribute `deregistration_delay.connection_termination.enabled`: what is left when the delay is over is cut off.
    pub terminate_deregistered: bool,
    /// Attribute `target_health_state.unhealthy.connection_termination.enabled`: flows end when their target is found unhealthy.
    pub terminate_unhealthy: bool,
}

/// What a node has counted of flows since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowMetrics {
    /// Flows of TCP listeners.
    pub tcp: FlowTotals,
    /// Flows of UDP.
    pub udp: FlowTotals,
    /// Flows of TLS listeners.
    pub tls: FlowTotals,
    /// `TCP_Client_Reset_Count`
    pub client_resets: u64,
    /// `TCP_Target_Reset_Count`
    pub target_resets: u64,
    /// `TCP_ELB_Reset_Count`
    pub elb_resets: u64,
    /// `ClientTLSNegotiationErrorCount`
    pub client_tls_errors: u64,
    /// `TargetTLSNegotiationErrorCount`
    pub target_tls_errors: u64,
    /// `RejectedFlowCount`: more flows than there is room for.
    pub rejected: u64,
    /// `UnhealthyRoutingFlowCount`: flows whose target was chosen of all since too few are healthy; not of TLS listeners.
    pub unhealthy_routing: u64,
    /// `PortAllocationErrorCount`
    pub port_allocation_errors: u64,
}

/// The counts that every protocol has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowTotals {
    /// `ActiveFlowCount`, now.
    pub active: u64,
    /// `NewFlowCount`
    pub new: u64,
    /// `ProcessedBytes`: payload, both ways.
    pub bytes: u64,
}

/// Flows by the node's zone.
pub type FlowReport = BTreeMap<String, FlowMetrics>;
