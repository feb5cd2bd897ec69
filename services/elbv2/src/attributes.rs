//! Attributes of load balancers, target groups and listeners: their names, defaults, and which values they take.
//!
//! Source: Elastic Load Balancing API reference, `LoadBalancerAttribute`, `TargetGroupAttribute`, `ListenerAttribute`. Only a few
//! have an effect; the others are kept, shown, and named in the coverage table.

use crate::errors::{Error, invalid};
use crate::model::{Attributes, LoadBalancer, Scheme, TargetGroup};
use std::time::Duration;

/// What values an attribute takes.
enum Takes {
    Bool,
    Number(u64, u64),
    OneOf(&'static [&'static str]),
    Text,
}

use Takes::{Bool, Number, OneOf, Text};

type Table = &'static [(&'static str, &'static str, Takes)];

const BALANCER: Table = &[
    ("access_logs.s3.enabled", "false", Bool),
    ("access_logs.s3.bucket", "", Text),
    ("access_logs.s3.prefix", "", Text),
    ("client_keep_alive.seconds", "3600", Number(60, 604_800)),
    ("connection_logs.s3.enabled", "false", Bool),
    ("connection_logs.s3.bucket", "", Text),
    ("connection_logs.s3.prefix", "", Text),
    ("deletion_protection.enabled", "false", Bool),
    ("health_check_logs.s3.enabled", "false", Bool),
    ("health_check_logs.s3.bucket", "", Text),
    ("health_check_logs.s3.prefix", "", Text),
    ("idle_timeout.timeout_seconds", "60", Number(1, 4000)),
    ("ipv6.deny_all_igw_traffic", "false", Bool),
    ("load_balancing.cross_zone.enabled", "true", OneOf(&["true"])),
    ("routing.http.desync_mitigation_mode", "defensive", OneOf(&["monitor", "defensive", "strictest"])),
    ("routing.http.drop_invalid_header_fields.enabled", "false", Bool),
    ("routing.http.preserve_host_header.enabled", "false", Bool),
    ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", Bool),
    ("routing.http.xff_client_port.enabled", "false", Bool),
    ("routing.http.xff_header_processing.mode", "append", OneOf(&["append", "preserve", "remove"])),
    ("routing.http2.enabled", "true", Bool),
    ("waf.fail_open.enabled", "false", Bool),
    ("zonal_shift.config.enabled", "false", Bool),
];

const GROUP: Table = &[
    ("deregistration_delay.timeout_seconds", "300", Number(0, 3600)),
    ("load_balancing.algorithm.anomaly_mitigation", "off", OneOf(&["on", "off"])),
    (
        "load_balancing.algorithm.type",
        "round_robin",
        OneOf(&["round_robin", "least_outstanding_requests", "weighted_random"]),
    ),
    (CROSS_ZONE, "use_load_balancer_configuration", OneOf(&["true", "false", "use_load_balancer_configuration"])),
    ("slow_start.duration_seconds", "0", Number(0, 900)),
    ("stickiness.app_cookie.cookie_name", "", Text),
    ("stickiness.app_cookie.duration_seconds", "86400", Number(1, 604_800)),
    ("stickiness.enabled", "false", Bool),
    ("stickiness.lb_cookie.duration_seconds", "86400", Number(1, 604_800)),
    ("stickiness.type", "lb_cookie", OneOf(&["lb_cookie", "app_cookie"])),
    ("target_group_health.dns_failover.minimum_healthy_targets.count", "1", Text),
    ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", Text),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1", Number(1, 1000)),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off", Text),
];

const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";

const LISTENER: Table = &[
    ("routing.http.response.access_control_allow_credentials.header_value", "", Text),
    ("routing.http.response.access_control_allow_headers.header_value", "", Text),
    ("routing.http.response.access_control_allow_methods.header_value", "", Text),
    ("routing.http.response.access_control_allow_origin.header_value", "", Text),
    ("routing.http.response.access_control_expose_headers.header_value", "", Text),
    ("routing.http.response.access_control_max_age.header_value", "", Text),
    ("routing.http.response.content_security_policy.header_value", "", Text),
    ("routing.http.response.server.enabled", "true", Bool),
    ("routing.http.response.strict_transport_security.header_value", "", Text),
    ("routing.http.response.x_content_type_options.header_value", "", Text),
    ("routing.http.response.x_frame_options.header_value", "", Text),
];

/// All attributes of a load balancer, those not set with their defaults.
pub fn of_balancer(balancer: &LoadBalancer) -> impl Iterator<Item = (String, String)> {
    shown(BALANCER, &balancer.attributes).map(|(key, value)| {
        // An internal load balancer keeps IPv6 traffic of internet gateways out unless told otherwise.
        let closed = key == "ipv6.deny_all_igw_traffic" && balancer.scheme == Scheme::Internal;
        let default = closed && !balancer.attributes.contains_key(&key);
        (key, if default { "true".into() } else { value })
    })
}

/// All attributes of a target group.
pub fn of_group(group: &TargetGroup) -> impl Iterator<Item = (String, String)> {
    shown(GROUP, &group.attributes)
}

/// All attributes of a listener.
pub fn of_listener(attributes: &Attributes) -> impl Iterator<Item = (String, String)> {
    shown(LISTENER, attributes)
}

fn shown(table: Table, set: &Attributes) -> impl Iterator<Item = (String, String)> {
    table.iter().map(|(key, default, _)| ((*key).to_owned(), set.get(*key).map_or(*default, String::as_str).to_owned()))
}

/// Sets attributes of a load balancer, all or none.
///
/// # Errors
/// A key that it has not, or a value that the key does not take.
pub fn set_balancer(set: &mut Attributes, new: impl IntoIterator<Item = Given>) -> Result<(), Error> {
    change(BALANCER, "Load balancer", set, new)
}

/// Sets attributes of a target group, all or none.
///
/// # Errors
/// As [`set_balancer`].
pub fn set_group(set: &mut Attributes, new: impl IntoIterator<Item = Given>) -> Result<(), Error> {
    change(GROUP, "Target group", set, new)
}

/// Sets attributes of a listener, all or none.
///
/// # Errors
/// As [`set_balancer`].
pub fn set_listener(set: &mut Attributes, new: impl IntoIterator<Item = Given>) -> Result<(), Error> {
    change(LISTENER, "Listener", set, new)
}

/// A key and a value as a request gives them.
pub type Given = (Option<String>, Option<String>);

fn change(table: Table, what: &str, set: &mut Attributes, new: impl IntoIterator<Item = Given>) -> Result<(), Error> {
    let mut changed = set.clone();
    for (key, value) in new {
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        let Some((_, _, takes)) = table.iter().find(|(known, ..)| *known == key) else {
            return Err(invalid(format!("{what} attribute key '{key}' is not recognized")));
        };
        let fits = match takes {
            Bool => value == "true" || value == "false",
            Number(least, most) => value.parse::<u64>().is_ok_and(|number| (*least..=*most).contains(&number)),
            OneOf(values) => values.contains(&value.as_str()),
            Text => value.len() <= 1024,
        };
        if !fits {
            return Err(invalid(match takes {
                Number(least, most) => format!("'{key}' must be a number between {least} and {most} inclusive"),
                Bool => format!("'{key}' must be one of [true, false]"),
                OneOf(values) => format!("'{key}' must be one of [{}]", values.join(", ")),
                Text => format!("The value of '{key}' is too long"),
            }));
        }
        changed.insert(key, value);
    }
    *set = changed;
    Ok(())
}

/// How long an idle connection is kept.
#[must_use]
pub fn idle_timeout(balancer: &LoadBalancer) -> Duration {
    Duration::from_secs(number(BALANCER, &balancer.attributes, "idle_timeout.timeout_seconds"))
}

/// Whether a load balancer may not be deleted.
#[must_use]
pub fn is_protected(balancer: &LoadBalancer) -> bool {
    balancer.attributes.get("deletion_protection.enabled").is_some_and(|value| value == "true")
}

/// How long a deregistered target may finish what it has.
#[must_use]
pub fn deregistration_delay(group: &TargetGroup) -> Duration {
    Duration::from_secs(number(GROUP, &group.attributes, "deregistration_delay.timeout_seconds"))
}

/// Whether a node sends to targets of other zones: an application load balancer does unless the group says no.
#[must_use]
pub fn is_cross_zone(group: &TargetGroup) -> bool {
    group.attributes.get(CROSS_ZONE).is_none_or(|value| value != "false")
}

fn number(table: Table, set: &Attributes, key: &str) -> u64 {
    let default = table.iter().find(|(known, ..)| *known == key).map_or("0", |(_, default, _)| default);
    // What is set was checked, and the table's defaults are numbers.
    set.get(key).map_or(default, String::as_str).parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_its_attribute_takes() {
        for table in [BALANCER, GROUP, LISTENER] {
            let defaults = table.iter().map(|(key, default, _)| (Some((*key).to_owned()), Some((*default).to_owned())));
            assert_eq!(change(table, "", &mut Attributes::new(), defaults), Ok(()));
        }
    }

    #[test]
    fn one_bad_value_sets_none() {
        let mut set = Attributes::new();
        let given = |key: &str, value: &str| (Some(key.to_owned()), Some(value.to_owned()));
        let bad = [given("idle_timeout.timeout_seconds", "30"), given("idle_timeout.timeout_seconds", "4001")];
        let error = set_balancer(&mut set, bad).unwrap_err();
        assert_eq!(error.to_string(), "'idle_timeout.timeout_seconds' must be a number between 1 and 4000 inclusive");
        assert!(set.is_empty());
        assert!(set_balancer(&mut set, [given("no.such", "1")]).is_err());
    }
}
