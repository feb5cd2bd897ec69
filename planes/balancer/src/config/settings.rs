//! Attributes of load balancers, listeners and target groups, as far as a balancer acts on them, with
//! AWS's defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A load balancer's HTTP attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpSettings {
    /// `client_keep_alive.seconds`: a client's connection that is older ends after its next answer.
    pub client_keep_alive: Duration,
    /// `routing.http.preserve_host_header.enabled`: the target sees the Host that the client sent.
    pub preserve_host_header: bool,
    /// `routing.http.xff_client_port.enabled`: X-Forwarded-For has the client's port too.
    pub xff_client_port: bool,
    /// `routing.http.xff_header_processing.mode`
    pub xff_mode: XffMode,
    /// `routing.http.drop_invalid_header_fields.enabled`: only names of letters, digits and hyphens pass.
    pub drop_invalid_header_fields: bool,
    /// `routing.http.desync_mitigation_mode`
    pub desync: DesyncMode,
    /// `routing.http.x_amzn_tls_version_and_cipher_suite.enabled`: of listeners that speak TLS.
    pub tls_headers: bool,
    /// Whether there is an access log record for each request.
    pub access_log: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            client_keep_alive: Duration::from_secs(3600),
            preserve_host_header: false,
            xff_client_port: false,
            xff_mode: XffMode::Append,
            drop_invalid_header_fields: false,
            desync: DesyncMode::Defensive,
            tls_headers: false,
            access_log: false,
        }
    }
}

/// What happens to X-Forwarded-For.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum XffMode {
    /// The client's address is added.
    Append,
    /// It passes as it came.
    Preserve,
    /// It is taken out.
    Remove,
}

/// What happens to requests that break the rules of HTTP; see `core::desync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DesyncMode {
    /// They are counted.
    Monitor,
    /// Severe ones are refused; ambiguous ones end both connections.
    Defensive,
    /// All are refused.
    Strictest,
}

/// A listener's attributes `routing.http.response.…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResponseHeaders {
    /// `routing.http.response.server.enabled`: whether answers have a Server header.
    pub server: bool,
    /// Names and values that every answer has, in place of what a target says.
    pub set: Vec<(String, String)>,
}

impl Default for ResponseHeaders {
    fn default() -> Self {
        Self { server: true, set: Vec::new() }
    }
}

/// Groups that share the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredForward")]
pub struct Forward {
    /// The groups.
    pub groups: Vec<WeightedGroup>,
    /// `TargetGroupStickinessConfig`, if enabled: for so long a client stays with its group.
    pub stickiness: Option<Duration>,
}

impl From<Vec<WeightedGroup>> for Forward {
    fn from(groups: Vec<WeightedGroup>) -> Self {
        Self { groups, stickiness: None }
    }
}

/// What has been stored: at first it was the groups alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredForward {
    Groups(Vec<WeightedGroup>),
    Whole { groups: Vec<WeightedGroup>, stickiness: Option<Duration> },
}

impl From<StoredForward> for Forward {
    fn from(stored: StoredForward) -> Self {
        match stored {
            StoredForward::Groups(groups) => groups.into(),
            StoredForward::Whole { groups, stickiness } => Self { groups, stickiness },
        }
    }
}

/// A share of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightedGroup {
    /// The target group's ARN.
    pub target_group: String,
    /// 0 to 999.
    pub weight: u32,
}

/// How a target group's targets are chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupRouting {
    /// `load_balancing.algorithm.type`
    pub algorithm: Algorithm,
    /// `slow_start.duration_seconds`: a target that becomes healthy is given its whole share after so
    /// long; zero for at once.
    pub slow_start: Duration,
    /// `stickiness.…`
    pub stickiness: Stickiness,
    /// `target_group_health.unhealthy_state_routing.minimum_healthy_targets.count`: with fewer, all
    /// targets take requests.
    pub minimum_healthy: u32,
    /// `….minimum_healthy_targets.percentage`, the same in hundredths; 0 for off.
    pub minimum_healthy_percentage: u8,
}

impl Default for GroupRouting {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::RoundRobin,
            slow_start: Duration::ZERO,
            stickiness: Stickiness::Off,
            minimum_healthy: 1,
            minimum_healthy_percentage: 0,
        }
    }
}

/// Which target is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// `round_robin`: each in turn.
    RoundRobin,
    /// `least_outstanding_requests`: the one with the fewest requests on their way.
    LeastOutstandingRequests,
    /// `weighted_random`: any, by chance; all weigh the same.
    WeightedRandom,
}

/// How a client stays with its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stickiness {
    /// It does not.
    Off,
    /// `lb_cookie`: from its first answer on.
    LbCookie {
        /// `stickiness.lb_cookie.duration_seconds`
        duration: Duration,
    },
    /// `app_cookie`: from the answer on in which the target sets a cookie of this name.
    AppCookie {
        /// `stickiness.app_cookie.cookie_name`
        name: String,
        /// `stickiness.app_cookie.duration_seconds`
        duration: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_of_before_stickiness_still_opens() {
        let share = WeightedGroup { target_group: "g".to_owned(), weight: 1 };
        let old = serde_json::json!([{"target_group": "g", "weight": 1}]);
        assert_eq!(serde_json::from_value::<Forward>(old).ok(), Some(Forward::from(vec![share.clone()])));
        let sticky = Forward { groups: vec![share], stickiness: Some(Duration::from_secs(60)) };
        let stored = serde_json::to_value(&sticky).expect("plain values are written");
        assert_eq!(serde_json::from_value::<Forward>(stored).ok(), Some(sticky));
        let settings = serde_json::from_value::<HttpSettings>(serde_json::json!({}));
        assert_eq!(settings.ok(), Some(HttpSettings::default()));
    }
}
