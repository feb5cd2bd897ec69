//! What a balancer says: revisions applied, health, counters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FlowReport, Node};

/// What a balancer says without being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// From now on every new request is routed by this revision.
    Applied {
        /// The load balancer's ARN.
        balancer: String,
        /// The revision that was applied.
        revision: u64,
    },
    /// A listener could not be opened on a node; the rest of the revision stands.
    ListenFailed {
        /// The load balancer's ARN.
        balancer: String,
        /// The listener's ARN.
        listener: String,
        /// The node that it failed on.
        node: Node,
        /// The system's words.
        error: String,
    },
    /// A target's health has changed.
    Health(HealthReport),
}

/// A target's health from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The load balancer's ARN.
    pub balancer: String,
    /// The target group's ARN.
    pub target_group: String,
    /// The target's id as registered.
    pub target: String,
    /// The target's port.
    pub port: u16,
    /// The target's zone.
    pub zone: String,
    /// State, reason and description.
    pub health: Health,
}

/// Health as `DescribeTargetHealth` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The state.
    pub state: HealthState,
    /// Why, for every state but healthy.
    pub reason: Option<HealthReason>,
    /// The reason in words.
    pub description: Option<String>,
}

/// `TargetHealthStateEnum` of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HealthState {
    /// Not yet found healthy or unhealthy.
    Initial,
    /// Takes requests.
    Healthy,
    /// Takes requests only if no target of its group is healthy.
    Unhealthy,
    /// Deregistered; finishes what it has.
    Draining,
    /// Takes no requests: not registered, or its group or zone is in no use.
    Unused,
}

/// `TargetHealthReasonEnum` of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HealthReason {
    /// `Elb.RegistrationInProgress`
    RegistrationInProgress,
    /// `Elb.InitialHealthChecking`
    InitialHealthChecking,
    /// `Target.ResponseCodeMismatch`
    ResponseCodeMismatch,
    /// `Target.Timeout`
    Timeout,
    /// `Target.FailedHealthChecks`
    FailedHealthChecks,
    /// `Target.NotRegistered`
    NotRegistered,
    /// `Target.NotInUse`
    NotInUse,
    /// `Target.DeregistrationInProgress`
    DeregistrationInProgress,
}

impl HealthState {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Unused => "unused",
        }
    }
}

impl HealthReason {
    /// The API's code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegistrationInProgress => "Elb.RegistrationInProgress",
            Self::InitialHealthChecking => "Elb.InitialHealthChecking",
            Self::ResponseCodeMismatch => "Target.ResponseCodeMismatch",
            Self::Timeout => "Target.Timeout",
            Self::FailedHealthChecks => "Target.FailedHealthChecks",
            Self::NotRegistered => "Target.NotRegistered",
            Self::NotInUse => "Target.NotInUse",
            Self::DeregistrationInProgress => "Target.DeregistrationInProgress",
        }
    }
}

/// What a balancer has counted since it was last asked; the hosts and connections are as they are
/// now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsReport {
    /// The load balancer's ARN.
    pub balancer: String,
    /// `ActiveConnectionCount`: from clients and to targets, now.
    pub active_connections: u64,
    /// One per node, by its zone.
    pub nodes: BTreeMap<String, NodeMetrics>,
    /// One per target group (ARN) and zone of the node that the request came in on.
    pub groups: BTreeMap<String, BTreeMap<String, GroupMetrics>>,
    /// Flows of a network load balancer.
    #[serde(default)]
    pub flows: FlowReport,
    /// Hosts per target group (ARN) and zone of the target, now.
    pub hosts: BTreeMap<String, BTreeMap<String, Hosts>>,
}

/// What belongs to no target group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeMetrics {
    /// `NewConnectionCount`: from clients and to targets.
    pub new_connections: u64,
    /// `RejectedConnectionCount`
    pub rejected_connections: u64,
    /// `ProcessedBytes`: HTTP from and to clients.
    pub processed_bytes: u64,
    /// `HTTPCode_ELB_3XX_Count`
    pub elb_3xx: u64,
    /// `HTTPCode_ELB_4XX_Count`
    pub elb_4xx: u64,
    /// `HTTPCode_ELB_5XX_Count`
    pub elb_5xx: u64,
    /// `HTTPCode_ELB_500_Count`
    pub elb_500: u64,
    /// `HTTPCode_ELB_502_Count`
    pub elb_502: u64,
    /// `HTTPCode_ELB_503_Count`
    pub elb_503: u64,
    /// `HTTPCode_ELB_504_Count`
    pub elb_504: u64,
    /// `HTTP_Redirect_Count`
    pub redirects: u64,
    /// `HTTP_Redirect_Url_Limit_Exceeded_Count`
    pub redirects_too_long: u64,
    /// `HTTP_Fixed_Response_Count`
    pub fixed_responses: u64,
    /// `ClientTLSNegotiationErrorCount`
    pub client_tls_errors: u64,
    /// `RuleEvaluations`
    pub rule_evaluations: u64,
    /// `DesyncMitigationMode_NonCompliant_Request_Count`
    pub non_compliant_requests: u64,
    /// `DroppedInvalidHeaderRequestCount`: requests that lost a header to `drop_invalid_header_fields`.
    pub dropped_invalid_header_requests: u64,
}

/// What belongs to a target group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupMetrics {
    /// `RequestCount`: requests that a target was chosen for.
    pub requests: u64,
    /// `NonStickyRequestCount`: of these, those of groups with stickiness that no cookie brought to their target.
    pub non_sticky_requests: u64,
    /// `UnhealthyRoutingRequestCount`: of these, those whose target was chosen of all since too few are healthy.
    pub unhealthy_routing_requests: u64,
    /// `HTTPCode_Target_2XX_Count`
    pub target_2xx: u64,
    /// `HTTPCode_Target_3XX_Count`
    pub target_3xx: u64,
    /// `HTTPCode_Target_4XX_Count`
    pub target_4xx: u64,
    /// `HTTPCode_Target_5XX_Count`
    pub target_5xx: u64,
    /// `TargetConnectionErrorCount`
    pub connection_errors: u64,
    /// `TargetTLSNegotiationErrorCount`
    pub tls_errors: u64,
    /// `TargetResponseTime`: from the request's leaving to the response's head.
    pub response_time: Distribution,
}

/// Enough of a distribution for CloudWatch's statistics: exact sum, extremes and count, and
/// percentiles within the width of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Number of samples.
    pub count: u64,
    /// Seconds, real time.
    pub sum: f64,
    /// Seconds; 0 without samples.
    pub min: f64,
    /// Seconds; 0 without samples.
    pub max: f64,
    /// Middle of a bucket in microseconds, and its samples; buckets without any are left out.
    pub buckets: Vec<(u64, u64)>,
}

/// `HealthyHostCount` and `UnHealthyHostCount`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    /// Targets found healthy.
    pub healthy: u64,
    /// Targets found unhealthy.
    pub unhealthy: u64,
}
