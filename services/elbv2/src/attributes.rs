//! Attributes of load balancers, target groups and listeners: their names, defaults, and which values they take.
//!
//! Source: Elastic Load Balancing API reference, `LoadBalancerAttribute`, `TargetGroupAttribute`, `ListenerAttribute`. Those without
//! effect are kept, shown, and named in the coverage table.

use crate::errors::{Error, invalid};
use crate::model::{Attributes, Kind, Listener, LoadBalancer, Protocol, Scheme, TargetGroup};
use std::time::Duration;

mod network;
mod plane;

pub use plane::{http, response_headers, routing, tls_headers};

/// What values an attribute takes.
enum Takes {
    Bool,
    Number(u64, u64),
    /// A number, or a word instead of one.
    NumberOr(&'static str, u64, u64),
    OneOf(&'static [&'static str]),
    Text,
    /// The name of a header of ours.
    HeaderName,
}

use Takes::{Bool, HeaderName, Number, NumberOr, OneOf, Text};

/// A key, its default, and what it takes.
type Attribute = (&'static str, &'static str, Takes);
type Table = &'static [Attribute];

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
    (ANOMALY, "off", OneOf(&["on", "off"])),
    (ALGORITHM, "round_robin", OneOf(&["round_robin", "least_outstanding_requests", "weighted_random"])),
    (CROSS_ZONE, "use_load_balancer_configuration", OneOf(&["true", "false", "use_load_balancer_configuration"])),
    (SLOW_START, "0", NumberOr("0", 30, 900)),
    (APP_COOKIE, "", Text),
    ("stickiness.app_cookie.duration_seconds", "86400", Number(1, 604_800)),
    (STICKY, "false", Bool),
    ("stickiness.lb_cookie.duration_seconds", "86400", Number(1, 604_800)),
    (STICKY_TYPE, "lb_cookie", OneOf(&["lb_cookie", "app_cookie"])),
    (FAILOVER, "1", NumberOr("off", 1, 1000)),
    (FAILOVER_PERCENTAGE, "off", NumberOr("off", 1, 100)),
    (MINIMUM, "1", Number(1, 1000)),
    (MINIMUM_PERCENTAGE, "off", NumberOr("off", 1, 100)),
];

const ALGORITHM: &str = "load_balancing.algorithm.type";
const ANOMALY: &str = "load_balancing.algorithm.anomaly_mitigation";
const SLOW_START: &str = "slow_start.duration_seconds";
const STICKY: &str = "stickiness.enabled";
const STICKY_TYPE: &str = "stickiness.type";
const APP_COOKIE: &str = "stickiness.app_cookie.cookie_name";
const FAILOVER: &str = "target_group_health.dns_failover.minimum_healthy_targets.count";
const FAILOVER_PERCENTAGE: &str = "target_group_health.dns_failover.minimum_healthy_targets.percentage";
const MINIMUM: &str = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count";
const MINIMUM_PERCENTAGE: &str = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage";
/// Names that applications cannot have for their cookies.
const RESERVED_COOKIES: [&str; 3] = ["AWSALB", "AWSALBAPP", "AWSALBTG"];

fn table_of_balancer(kind: Kind) -> Table {
    match kind {
        Kind::Application => BALANCER,
        Kind::Network => network::BALANCER,
    }
}

fn table_of_group(protocol: Protocol) -> Table {
    match protocol.kind() {
        Kind::Application => GROUP,
        Kind::Network => network::GROUP,
    }
}

fn table_of_listener(protocol: Protocol) -> Table {
    match protocol {
        Protocol::Http | Protocol::Https => LISTENER,
        Protocol::Tcp | Protocol::TcpUdp => network::LISTENER,
        Protocol::Udp | Protocol::Tls => &[],
    }
}

const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";

const TLS_VERSION: &str = "routing.http.request.x_amzn_tls_version.header_name";
const TLS_CIPHER_SUITE: &str = "routing.http.request.x_amzn_tls_cipher_suite.header_name";
/// What attributes begin with that only HTTPS listeners have.
const OF_HTTPS: &str = "routing.http.request.";

const LISTENER: Table = &[
    (TLS_CIPHER_SUITE, "X-Amzn-Tls-Cipher-Suite", HeaderName),
    (TLS_VERSION, "X-Amzn-Tls-Version", HeaderName),
    ("routing.http.response.access_control_allow_credentials.header_value", "", OneOf(&["", "true"])),
    ("routing.http.response.access_control_allow_headers.header_value", "", Text),
    ("routing.http.response.access_control_allow_methods.header_value", "", Text),
    ("routing.http.response.access_control_allow_origin.header_value", "", Text),
    ("routing.http.response.access_control_expose_headers.header_value", "", Text),
    ("routing.http.response.access_control_max_age.header_value", "", NumberOr("", 0, 86_400)),
    ("routing.http.response.content_security_policy.header_value", "", Text),
    ("routing.http.response.server.enabled", "true", Bool),
    ("routing.http.response.strict_transport_security.header_value", "", Text),
    ("routing.http.response.x_content_type_options.header_value", "", OneOf(&["", "nosniff"])),
    ("routing.http.response.x_frame_options.header_value", "", OneOf(&["", "DENY", "SAMEORIGIN"])),
];

/// All attributes of a load balancer, those not set with their defaults.
pub fn of_balancer(balancer: &LoadBalancer) -> impl Iterator<Item = (String, String)> {
    shown(table_of_balancer(balancer.kind), &balancer.attributes).map(|(key, value)| {
        // An internal load balancer keeps IPv6 traffic of internet gateways out unless told otherwise.
        let closed = key == "ipv6.deny_all_igw_traffic" && balancer.scheme == Scheme::Internal;
        let default = closed && !balancer.attributes.contains_key(&key);
        (key, if default { "true".into() } else { value })
    })
}

/// All attributes of a target group.
pub fn of_group(group: &TargetGroup) -> impl Iterator<Item = (String, String)> {
    shown(table_of_group(group.protocol), &group.attributes).map(|(key, value)| {
        let given = group.attributes.contains_key(&key);
        let default = crate::network::default_of(group, &key).filter(|_| !given);
        (key, default.map_or(value, ToOwned::to_owned))
    })
}

/// All attributes of a listener.
pub fn of_listener(listener: &Listener) -> impl Iterator<Item = (String, String)> {
    let has = |(key, _): &(String, String)| listener.protocol == Protocol::Https || !key.starts_with(OF_HTTPS);
    shown(table_of_listener(listener.protocol), &listener.attributes).filter(has)
}

fn shown(table: Table, set: &Attributes) -> impl Iterator<Item = (String, String)> {
    table.iter().map(|(key, default, _)| ((*key).to_owned(), set.get(*key).map_or(*default, String::as_str).to_owned()))
}

/// Sets attributes of a load balancer, all or none.
///
/// # Errors
/// A key that it has not, or a value that the key does not take.
pub fn set_balancer(balancer: &mut LoadBalancer, new: impl IntoIterator<Item = Given>) -> Result<(), Error> {
    let table = table_of_balancer(balancer.kind);
    let mut changed = balancer.attributes.clone();
    change(table, "Load balancer", &mut changed, new)?;
    for logs in ["access_logs", "connection_logs", "health_check_logs"] {
        let [enabled, bucket] =
            ["enabled", "bucket"].map(|part| text(table, &changed, &format!("{logs}.s3.{part}")).to_owned());
        if enabled == "true" && bucket.is_empty() {
            let text = format!("The value of '{logs}.s3.bucket' cannot be empty where '{logs}.s3.enabled' is 'true'");
            return Err(Error::InvalidConfiguration(text));
        }
    }
    balancer.attributes = changed;
    Ok(())
}

/// Sets attributes of a target group, all or none.
///
/// # Errors
/// As [`set_balancer`].
pub fn set_group(group: &mut TargetGroup, new: impl IntoIterator<Item = Given>) -> Result<(), Error> {
    let mut changed = group.attributes.clone();
    let new: Vec<Given> = new.into_iter().collect();
    let other = match group.protocol.kind() {
        Kind::Application => "source_ip",
        Kind::Network => "lb_cookie",
    };
    if let Some((_, Some(kind))) = new.iter().find(|(key, _)| key.as_deref() == Some(STICKY_TYPE))
        && (kind == other || group.protocol.kind() == Kind::Network && kind == "app_cookie")
    {
        return Err(Error::InvalidConfiguration(format!(
            "Stickiness type '{kind}' is not supported for target groups with the {} protocol",
            group.protocol.wire()
        )));
    }
    change(table_of_group(group.protocol), "Target group", &mut changed, new)?;
    match group.protocol.kind() {
        Kind::Application => check_group(&changed)?,
        Kind::Network => crate::network::check_attributes(group, &changed)?,
    }
    group.attributes = changed;
    Ok(())
}

/// What attributes of a target group allow only together. Source: the ALB guide, "Edit target group attributes".
fn check_group(set: &Attributes) -> Result<(), Error> {
    let is = |key: &str, value: &str| text(GROUP, set, key) == value;
    let forbid = |text: &str| Err(Error::InvalidConfiguration(text.into()));
    if !is(ALGORITHM, "round_robin") && !is(SLOW_START, "0") {
        return forbid("Slow start mode is only supported with the round robin routing algorithm");
    }
    if is(ANOMALY, "on") && !is(ALGORITHM, "weighted_random") {
        return forbid("Anomaly mitigation is only supported with the weighted random routing algorithm");
    }
    let name = text(GROUP, set, APP_COOKIE);
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.bytes().all(token) || RESERVED_COOKIES.iter().any(|reserved| name.starts_with(reserved)) {
        return Err(invalid(format!("The application cookie name '{name}' is not valid")));
    }
    if is(STICKY, "true") && is(CROSS_ZONE, "false") {
        return forbid("Stickiness is not supported when cross-zone load balancing is off");
    }
    if is(STICKY, "true") && is(STICKY_TYPE, "app_cookie") && name.is_empty() {
        return forbid("A cookie name must be specified for stickiness of type 'app_cookie'");
    }
    Ok(())
}

/// Sets attributes of a listener, all or none.
///
/// # Errors
/// As [`set_balancer`].
pub fn set_listener(listener: &mut Listener, new: impl IntoIterator<Item = Given>) -> Result<(), Error> {
    let new: Vec<Given> = new.into_iter().collect();
    let is_other = |(key, _): &Given| key.as_deref().is_some_and(|key| key.starts_with(OF_HTTPS));
    if listener.protocol == Protocol::Http && new.iter().any(is_other) {
        let text = "Request header attributes are only supported on listeners with the protocol 'HTTPS'";
        return Err(Error::InvalidConfiguration(text.into()));
    }
    change(table_of_listener(listener.protocol), "Listener", &mut listener.attributes, new)
}

/// A key and a value as a request gives them.
pub type Given = (Option<String>, Option<String>);

fn change(table: Table, what: &str, set: &mut Attributes, new: impl IntoIterator<Item = Given>) -> Result<(), Error> {
    let mut changed = set.clone();
    for (key, value) in new {
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        let Some((_, _, takes)) = find(table, &key) else { return Err(unknown(what, &key)) };
        let fits = match takes {
            Bool => value == "true" || value == "false",
            Number(least, most) => value.parse::<u64>().is_ok_and(|number| (*least..=*most).contains(&number)),
            OneOf(values) => values.contains(&value.as_str()),
            NumberOr(word, least, most) => {
                value == *word || value.parse::<u64>().is_ok_and(|number| (*least..=*most).contains(&number))
            }
            // They go into headers: no line ends among them.
            Text => value.len() <= 1024 && !value.chars().any(char::is_control),
            HeaderName => is_header_name(&value),
        };
        if !fits {
            return Err(invalid(match takes {
                Number(least, most) => format!("'{key}' must be a number between {least} and {most} inclusive"),
                Bool => format!("'{key}' must be one of [true, false]"),
                OneOf(values) => format!("'{key}' must be one of [{}]", values.join(", ")),
                NumberOr(word, least, most) => {
                    format!("'{key}' must be '{word}' or a number between {least} and {most} inclusive")
                }
                Text | HeaderName => format!("The value of '{key}' is not valid"),
            }));
        }
        changed.insert(key, value);
    }
    *set = changed;
    Ok(())
}

/// A name that a header of ours can have: letters, digits, hyphens and underscores, and none that means something else.
fn is_header_name(name: &str) -> bool {
    const TAKEN: [&str; 10] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-port",
        "x-forwarded-proto",
    ];
    (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && !TAKEN.iter().any(|taken| name.eq_ignore_ascii_case(taken))
}

fn find<'a>(table: &'a [Attribute], key: &str) -> Option<&'a Attribute> {
    table.iter().find(|(known, ..)| *known == key)
}

/// What is wrong with a key that a table has not: it is another kind's, or nobody's.
fn unknown(what: &str, key: &str) -> Error {
    let is_of = |table: Table| find(table, key).is_some();
    let elsewhere = match what {
        "Load balancer" if is_of(BALANCER) => Some("network"),
        "Load balancer" if is_of(network::BALANCER) => Some("application"),
        "Target group" if is_of(GROUP) || is_of(network::GROUP) => {
            return Error::InvalidConfiguration("The provided target group attribute is not supported".into());
        }
        _ => None,
    };
    match elsewhere {
        Some(kind) => Error::InvalidConfiguration(format!(
            "{what} attribute key '{key}' is not supported on load balancers with type '{kind}'"
        )),
        None => invalid(format!("{what} attribute key '{key}' is not recognized")),
    }
}

/// How long an idle connection is kept.
#[must_use]
pub fn idle_timeout(balancer: &LoadBalancer) -> Duration {
    Duration::from_secs(number(BALANCER, &balancer.attributes, "idle_timeout.timeout_seconds"))
}

/// Whether clients that come by TLS may speak HTTP/2.
#[must_use]
pub fn has_http2(balancer: &LoadBalancer) -> bool {
    text(BALANCER, &balancer.attributes, "routing.http2.enabled") == "true"
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

/// Whether a node sends to targets of other zones: as the group says, else as the load balancer does. Application load balancers
/// do, network load balancers do not unless told to.
#[must_use]
pub fn is_cross_zone(balancer: &LoadBalancer, group: &TargetGroup) -> bool {
    match group.attributes.get(CROSS_ZONE).map(String::as_str) {
        Some("true") => true,
        Some("false") => false,
        _ => {
            let default = balancer.kind == Kind::Application;
            balancer.attributes.get(CROSS_ZONE).map_or(default, |value| value == "true")
        }
    }
}

/// Whether an attribute of a target group is `true`.
#[must_use]
pub fn is_set(group: &TargetGroup, key: &str) -> bool {
    of_group(group).any(|(known, value)| known == key && value == "true")
}

/// A number of a listener's attributes; 0 where it has no such attribute.
#[must_use]
pub fn listener_number(listener: &Listener, key: &str) -> u64 {
    number(table_of_listener(listener.protocol), &listener.attributes, key)
}

/// With how many healthy targets at least a zone is in DNS.
pub struct DnsFailover {
    /// So many; `None` for `off`.
    pub count: Option<usize>,
    /// So many in a hundred; `None` for `off`.
    pub percentage: Option<usize>,
}

/// With how many healthy targets of a group at least a zone is in DNS.
#[must_use]
pub fn dns_failover(group: &TargetGroup) -> DnsFailover {
    // What is set was checked: what is no number is `off`.
    let least = |key: &str| text(GROUP, &group.attributes, key).parse().ok();
    DnsFailover { count: least(FAILOVER), percentage: least(FAILOVER_PERCENTAGE) }
}

fn text<'a>(table: Table, set: &'a Attributes, key: &str) -> &'a str {
    let default = table.iter().find(|(known, ..)| *known == key).map_or("", |(_, default, _)| *default);
    set.get(key).map_or(default, String::as_str)
}

fn number(table: Table, set: &Attributes, key: &str) -> u64 {
    // What is set was checked, and the table's defaults are numbers.
    text(table, set, key).parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_its_attribute_takes() {
        for table in [BALANCER, GROUP, LISTENER, network::BALANCER, network::GROUP, network::LISTENER] {
            let defaults = table.iter().map(|(key, default, _)| (Some((*key).to_owned()), Some((*default).to_owned())));
            assert_eq!(change(table, "", &mut Attributes::new(), defaults), Ok(()));
        }
    }

    fn try_group(pairs: &[(&str, &str)]) -> Result<(), Error> {
        let given = pairs.iter().map(|(key, value)| (Some((*key).to_owned()), Some((*value).to_owned())));
        let mut set = Attributes::new();
        change(GROUP, "Target group", &mut set, given)?;
        check_group(&set)
    }

    #[test]
    fn slow_start_is_off_or_30_to_900_seconds_and_only_with_round_robin() {
        for (seconds, fits) in [("0", true), ("29", false), ("30", true), ("900", true), ("901", false)] {
            assert_eq!(try_group(&[(SLOW_START, seconds)]).is_ok(), fits, "{seconds}");
        }
        assert!(try_group(&[(SLOW_START, "30"), (ALGORITHM, "least_outstanding_requests")]).is_err());
        assert!(try_group(&[(ANOMALY, "on")]).is_err());
        assert!(try_group(&[(ANOMALY, "on"), (ALGORITHM, "weighted_random")]).is_ok());
    }

    #[test]
    fn stickiness_needs_cross_zone_and_by_application_a_name_of_its_own() {
        assert!(try_group(&[(STICKY, "true")]).is_ok());
        assert!(try_group(&[(STICKY, "true"), (CROSS_ZONE, "false")]).is_err());
        let named = |name| try_group(&[(STICKY, "true"), (STICKY_TYPE, "app_cookie"), (APP_COOKIE, name)]);
        assert!(named("JSESSIONID").is_ok());
        for bad in ["", "AWSALB", "AWSALBAPP-0", "a b", "a;b"] {
            assert!(named(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_listeners_attribute_is_named_as_its_header() {
        let mut set = Attributes::new();
        let given = |key: &str, value: &str| (Some(format!("routing.http.response.{key}")), Some(value.to_owned()));
        let fine = [given("x_frame_options.header_value", "DENY"), given("server.enabled", "false")];
        assert_eq!(change(LISTENER, "Listener", &mut set, fine), Ok(()));
        let headers = response_headers(&set);
        assert_eq!((headers.server, headers.set), (false, vec![("X-Frame-Options".to_owned(), "DENY".to_owned())]));
        assert!(
            change(LISTENER, "Listener", &mut set, [given("content_security_policy.header_value", "a\r\nb")]).is_err()
        );
    }

    #[test]
    fn a_header_of_ours_has_a_name_that_no_other_has() {
        let named =
            |name: &str| change(LISTENER, "", &mut Attributes::new(), [(Some(TLS_VERSION.into()), Some(name.into()))]);
        assert_eq!(named("X_My-Version1"), Ok(()));
        for bad in ["", "a b", "a:b", "Host", "content-length"] {
            assert!(named(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_bad_value_sets_none() {
        let mut set = Attributes::new();
        let given = |key: &str, value: &str| (Some(key.to_owned()), Some(value.to_owned()));
        let bad = [given("idle_timeout.timeout_seconds", "30"), given("idle_timeout.timeout_seconds", "4001")];
        let error = change(BALANCER, "Load balancer", &mut set, bad).unwrap_err();
        assert_eq!(error.to_string(), "'idle_timeout.timeout_seconds' must be a number between 1 and 4000 inclusive");
        assert!(set.is_empty());
        assert!(change(BALANCER, "Load balancer", &mut set, [given("no.such", "1")]).is_err());
    }
}
