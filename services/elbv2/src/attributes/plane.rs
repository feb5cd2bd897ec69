//! What attributes tell a load balancer's plane.

use super::{
    ALGORITHM, APP_COOKIE, BALANCER, GROUP, LISTENER, MINIMUM, MINIMUM_PERCENTAGE, SLOW_START, STICKY, STICKY_TYPE,
    TLS_CIPHER_SUITE, TLS_VERSION, number, text,
};
use crate::model::{Attributes, LoadBalancer, TargetGroup};
use std::time::Duration;
use zonal_balancer::config::{
    Algorithm, DesyncMode, GroupRouting, HttpSettings, ResponseHeaders, Stickiness, TlsHeaders, XffMode,
};

/// How requests are read and passed on.
#[must_use]
pub fn http(balancer: &LoadBalancer) -> HttpSettings {
    let set = &balancer.attributes;
    let is = |key: &str| text(BALANCER, set, key) == "true";
    HttpSettings {
        client_keep_alive: Duration::from_secs(number(BALANCER, set, "client_keep_alive.seconds")),
        preserve_host_header: is("routing.http.preserve_host_header.enabled"),
        xff_client_port: is("routing.http.xff_client_port.enabled"),
        xff_mode: match text(BALANCER, set, "routing.http.xff_header_processing.mode") {
            "preserve" => XffMode::Preserve,
            "remove" => XffMode::Remove,
            _ => XffMode::Append,
        },
        drop_invalid_header_fields: is("routing.http.drop_invalid_header_fields.enabled"),
        desync: match text(BALANCER, set, "routing.http.desync_mitigation_mode") {
            "monitor" => DesyncMode::Monitor,
            "strictest" => DesyncMode::Strictest,
            _ => DesyncMode::Defensive,
        },
        tls_headers: is("routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
        // There is no S3 to deliver them to.
        access_log: false,
    }
}

/// How a target group's targets are chosen.
#[must_use]
pub fn routing(group: &TargetGroup) -> GroupRouting {
    let set = &group.attributes;
    let seconds = |key: &str| Duration::from_secs(number(GROUP, set, key));
    GroupRouting {
        algorithm: match text(GROUP, set, ALGORITHM) {
            "least_outstanding_requests" => Algorithm::LeastOutstandingRequests,
            "weighted_random" => Algorithm::WeightedRandom,
            _ => Algorithm::RoundRobin,
        },
        slow_start: seconds(SLOW_START),
        stickiness: match (text(GROUP, set, STICKY), text(GROUP, set, STICKY_TYPE)) {
            ("true", "app_cookie") => Stickiness::AppCookie {
                name: text(GROUP, set, APP_COOKIE).to_owned(),
                duration: seconds("stickiness.app_cookie.duration_seconds"),
            },
            ("true", _) => Stickiness::LbCookie { duration: seconds("stickiness.lb_cookie.duration_seconds") },
            _ => Stickiness::Off,
        },
        // Both were checked: the defaults stand for `off`.
        minimum_healthy: text(GROUP, set, MINIMUM).parse().unwrap_or(1),
        minimum_healthy_percentage: text(GROUP, set, MINIMUM_PERCENTAGE).parse().unwrap_or(0),
    }
}

/// What a listener changes of answers. An attribute's name is its header's, in lower case and with underscores.
#[must_use]
pub fn response_headers(set: &Attributes) -> ResponseHeaders {
    let header = |(key, value): (&String, &String)| {
        let name = key.strip_prefix("routing.http.response.")?.strip_suffix(".header_value")?;
        let words = name.split('_').map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{}{rest}", first.to_ascii_uppercase())
        });
        (!value.is_empty()).then(|| (words.collect::<Vec<_>>().join("-"), value.clone()))
    };
    ResponseHeaders {
        server: text(LISTENER, set, "routing.http.response.server.enabled") == "true",
        set: set.iter().filter_map(header).collect(),
    }
}

/// The names of the headers that tell targets of a client's TLS.
#[must_use]
pub fn tls_headers(set: &Attributes) -> TlsHeaders {
    let name = |key: &str| text(LISTENER, set, key).to_owned();
    TlsHeaders { version: name(TLS_VERSION), cipher_suite: name(TLS_CIPHER_SUITE) }
}
