//! Health checks. Source: Route 53 API reference, `HealthCheckConfig`, `CreateHealthCheck` and the actions that name it.

use super::{alarms, globally, max_items, seen_globally};
use crate::errors::{Error, invalid};
use crate::model::{Endpoint, HealthCheck, Seen, Subject};
use crate::shapes::{
    CreateHealthCheckRequest, CreateHealthCheckResponse, DeleteHealthCheckRequest, DeleteHealthCheckResponse,
    GetHealthCheckCountRequest, GetHealthCheckCountResponse, GetHealthCheckLastFailureReasonRequest,
    GetHealthCheckLastFailureReasonResponse, GetHealthCheckRequest, GetHealthCheckResponse,
    GetHealthCheckStatusRequest, GetHealthCheckStatusResponse, HealthCheck as WireCheck, HealthCheckConfig,
    HealthCheckObservation, HealthCheckRegion, HealthCheckType, ListHealthChecksRequest, ListHealthChecksResponse,
    ResettableElementName, StatusReport, UpdateHealthCheckRequest, UpdateHealthCheckResponse,
};
use std::collections::BTreeSet;
use std::net::IpAddr;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View, ids};
use zonal_wire::AwsError;

/// Health checks per account, as AWS's default quota has it.
const QUOTA: usize = 200;

/// `CreateHealthCheck`: the same reference with the same settings is the same health check.
pub fn create(tx: &mut Tx<'_>, input: &CreateHealthCheckRequest) -> Result<CreateHealthCheckResponse, AwsError> {
    globally(tx, |tx| {
        let (subject, inverted, disabled) = read(tx, &input.health_check_config)?;
        let by_reference = |other: &&HealthCheck| other.caller_reference == input.caller_reference;
        let known = tx.list::<HealthCheck>().find(by_reference).cloned();
        if let Some(known) = known {
            if (&known.subject, known.inverted, known.disabled) != (&subject, inverted, disabled) {
                return Err(Error::HealthCheckAlreadyExists.into());
            }
            return Ok(CreateHealthCheckResponse { location: location(&known.id), health_check: shown(&known) });
        }
        if tx.list::<HealthCheck>().count() >= QUOTA {
            return Err(Error::TooManyHealthChecks.into());
        }
        refuse_unknown_children(&tx.view(), &subject)?;
        let check = HealthCheck {
            id: ids::uuid(tx.chance()),
            caller_reference: input.caller_reference.clone(),
            version: 1,
            subject,
            inverted,
            disabled,
            seen: None,
            tags: Tags::new(),
        };
        tx.put(check.clone());
        Ok(CreateHealthCheckResponse { location: location(&check.id), health_check: shown(&check) })
    })
}

fn location(id: &str) -> String {
    format!("https://route53.amazonaws.com/2013-04-01/healthcheck/{id}")
}

/// What a configuration asks for.
fn read(tx: &mut Tx<'_>, config: &HealthCheckConfig) -> Result<(Subject, bool, bool), Error> {
    let refuse = |text: &str| invalid(format!("Invalid parameter : {text}"));
    let kind = config.type_;
    let subject = match kind {
        HealthCheckType::Http
        | HealthCheckType::HttpStrMatch
        | HealthCheckType::Https
        | HealthCheckType::HttpsStrMatch
        | HealthCheckType::Tcp => Subject::Endpoint(endpoint(config, kind)?),
        HealthCheckType::Calculated => {
            let threshold = config.health_threshold.and_then(|threshold| u32::try_from(threshold).ok());
            if config.child_health_checks.is_empty() {
                return Err(refuse("ChildHealthChecks must be specified for CALCULATED health checks"));
            }
            let mut seen = BTreeSet::new();
            if let Some(twice) = config.child_health_checks.iter().find(|child| !seen.insert(*child)) {
                return Err(refuse(&format!("ChildHealthCheck {twice} is specified more than once")));
            }
            let threshold =
                threshold.ok_or_else(|| refuse("HealthThreshold must be specified for CALCULATED health checks"))?;
            Subject::Calculated { threshold, children: config.child_health_checks.clone() }
        }
        HealthCheckType::CloudwatchMetric => Subject::Alarm(alarms::read(tx, config)?),
        other => return Err(refuse(&format!("Zonal does not support health checks of type {other}"))),
    };
    Ok((subject, config.inverted == Some(true), config.disabled == Some(true)))
}

fn endpoint(config: &HealthCheckConfig, kind: HealthCheckType) -> Result<Endpoint, Error> {
    let refuse = |text: &str| Err(invalid(format!("Invalid parameter : {text}")));
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (address, name) = (given(&config.ip_address), given(&config.fully_qualified_domain_name));
    let (path, search) = (given(&config.resource_path), given(&config.search_string));
    let is_tcp = kind == HealthCheckType::Tcp;
    let is_tls = matches!(kind, HealthCheckType::Https | HealthCheckType::HttpsStrMatch);
    if let Some(text) = &address {
        check_address(text)?;
    }
    if address.is_none() && name.is_none() {
        return refuse("Either IPAddress or FullyQualifiedDomainName must be specified");
    }
    if let Some(name) = name.as_deref().filter(|name| crate::names::normal(name).is_none()) {
        return refuse(&format!("{name} is not a valid domain name"));
    }
    if is_tcp && config.port.is_none() {
        return refuse("Port must be specified for TCP health checks");
    }
    if is_tcp && path.is_some() {
        return refuse("ResourcePath must not be specified for TCP health checks");
    }
    if search.is_some() != matches!(kind, HealthCheckType::HttpStrMatch | HealthCheckType::HttpsStrMatch) {
        return refuse("SearchString must be specified for health checks that match a string, and for no others");
    }
    let interval = config.request_interval.unwrap_or(30);
    if interval != 10 && interval != 30 {
        return refuse("RequestInterval must be either 10 or 30");
    }
    let number = |given: Option<i32>, default: i32| u32::try_from(given.unwrap_or(default)).unwrap_or_default();
    Ok(Endpoint {
        kind: kind.to_string(),
        address,
        name,
        port: u16::try_from(number(config.port, if is_tls { 443 } else { 80 }))
            .map_err(|_| invalid("Invalid parameter : Port is out of range"))?,
        path: path.map(|path| if path.starts_with('/') { path } else { format!("/{path}") }),
        search,
        interval: number(Some(interval), 30),
        threshold: number(config.failure_threshold, 3),
        measure_latency: config.measure_latency == Some(true),
        enable_sni: is_tls && config.enable_sni != Some(false),
        regions: config.regions.iter().map(ToString::to_string).collect(),
    })
}

/// Addresses that no checker on the internet could reach. This world's own public addresses are loopback addresses of the host,
/// all above 127.63. Source: `HealthCheckConfig`, `IPAddress`, which names RFC 5735, RFC 6598 and RFC 5156.
fn check_address(text: &str) -> Result<(), Error> {
    let refuse = || invalid(format!("Invalid parameter : {text} is not a public IP address"));
    let address: IpAddr = text.parse().map_err(|_| refuse())?;
    // What stands for an address of IPv4 is that address.
    let is_special = match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            v4.is_private()
                || v4.is_link_local()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19))
                || (v4.is_loopback() && b < 64)
        }
        // Only this is public; of it, tunnels lead to addresses of IPv4.
        IpAddr::V6(v6) => match v6.segments() {
            [0x2001, 0, ..] | [0x2002, ..] => true,
            [first, ..] => first & 0xe000 != 0x2000,
        },
    };
    if is_special { Err(refuse()) } else { Ok(()) }
}

fn refuse_unknown_children(view: &View<'_>, subject: &Subject) -> Result<(), Error> {
    let Subject::Calculated { children, .. } = subject else { return Ok(()) };
    match children.iter().find(|child| view.get::<HealthCheck>(child).is_none()) {
        Some(child) => Err(invalid(format!("Invalid parameter : ChildHealthCheck {child} does not exist"))),
        None => Ok(()),
    }
}

/// A health check as the wire shows it.
fn shown(check: &HealthCheck) -> WireCheck {
    WireCheck {
        id: check.id.clone(),
        caller_reference: check.caller_reference.clone(),
        health_check_version: check.version,
        health_check_config: shown_config(check),
        cloud_watch_alarm_configuration: match &check.subject {
            Subject::Alarm(alarm) => alarms::shown_metric(&alarm.metric),
            _ => None,
        },
        ..WireCheck::default()
    }
}

fn shown_config(check: &HealthCheck) -> HealthCheckConfig {
    let mut wire = HealthCheckConfig {
        inverted: Some(check.inverted),
        disabled: Some(check.disabled),
        ..HealthCheckConfig::default()
    };
    let number = |number: u32| i32::try_from(number).ok();
    match &check.subject {
        Subject::Endpoint(endpoint) => {
            wire.type_ = endpoint.kind.parse().unwrap_or(HealthCheckType::Http);
            wire.ip_address = endpoint.address.clone();
            wire.fully_qualified_domain_name = endpoint.name.clone();
            wire.port = Some(endpoint.port.into());
            wire.resource_path = endpoint.path.clone();
            wire.search_string = endpoint.search.clone();
            wire.request_interval = number(endpoint.interval);
            wire.failure_threshold = number(endpoint.threshold);
            wire.measure_latency = Some(endpoint.measure_latency);
            wire.enable_sni = Some(endpoint.enable_sni);
            wire.regions =
                endpoint.regions.iter().filter_map(|region| region.parse::<HealthCheckRegion>().ok()).collect();
        }
        Subject::Calculated { threshold, children } => {
            wire.type_ = HealthCheckType::Calculated;
            wire.health_threshold = number(*threshold);
            wire.child_health_checks = children.clone();
        }
        Subject::Alarm(alarm) => {
            wire.type_ = HealthCheckType::CloudwatchMetric;
            alarms::show(alarm, &mut wire);
        }
    }
    wire
}

/// The health check of that id.
pub(crate) fn check<'a>(view: &View<'a>, id: &str) -> Result<&'a HealthCheck, Error> {
    view.get::<HealthCheck>(id).ok_or_else(|| Error::NoSuchHealthCheck(id.to_owned()))
}

/// `GetHealthCheck`
pub fn get(view: &View<'_>, input: &GetHealthCheckRequest) -> Result<GetHealthCheckResponse, AwsError> {
    seen_globally(view, |view| Ok(GetHealthCheckResponse { health_check: shown(check(view, &input.health_check_id)?) }))
}

/// `ListHealthChecks`: in the order of their ids; the marker is the first of the next page.
pub fn list(view: &View<'_>, input: &ListHealthChecksRequest) -> Result<ListHealthChecksResponse, AwsError> {
    let most = max_items(input.max_items.as_deref(), 100)?;
    let marker = input.marker.clone().unwrap_or_default();
    seen_globally(view, |view| {
        let mut rest = view.list::<HealthCheck>().filter(|check| check.id >= marker);
        let health_checks = rest.by_ref().take(most).map(shown).collect();
        let next = rest.next();
        Ok(ListHealthChecksResponse {
            health_checks,
            marker: marker.clone(),
            is_truncated: next.is_some(),
            next_marker: next.map(|check| check.id.clone()),
            max_items: most.to_string(),
        })
    })
}

/// `DeleteHealthCheck`: record sets may still name it; they are healthy then.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteHealthCheckRequest) -> Result<DeleteHealthCheckResponse, AwsError> {
    globally(tx, |tx| {
        check(&tx.view(), &input.health_check_id)?;
        tx.remove::<HealthCheck>(&input.health_check_id);
        Ok(DeleteHealthCheckResponse {})
    })
}

/// `UpdateHealthCheck`: what is not named stays as it is.
pub fn update(tx: &mut Tx<'_>, input: &UpdateHealthCheckRequest) -> Result<UpdateHealthCheckResponse, AwsError> {
    globally(tx, |tx| {
        let old = check(&tx.view(), &input.health_check_id)?.clone();
        if input.health_check_version.is_some_and(|version| version != old.version) {
            return Err(Error::HealthCheckVersionMismatch(old.version).into());
        }
        let mut config = shown_config(&old);
        if let (Subject::Endpoint(Endpoint { address: None, .. }), Some(_)) = (&old.subject, &input.ip_address) {
            let text = "Invalid parameter : IPAddress cannot be added to a health check that was made without one";
            return Err(invalid(text).into());
        }
        for element in &input.reset_elements {
            match element {
                ResettableElementName::FullyQualifiedDomainName => config.fully_qualified_domain_name = None,
                ResettableElementName::Regions => config.regions = Vec::new(),
                ResettableElementName::ResourcePath => config.resource_path = None,
                ResettableElementName::ChildHealthChecks => config.child_health_checks = Vec::new(),
            }
        }
        let named = input.clone();
        config.ip_address = named.ip_address.or(config.ip_address);
        config.port = named.port.or(config.port);
        config.resource_path = named.resource_path.or(config.resource_path);
        config.fully_qualified_domain_name = named.fully_qualified_domain_name.or(config.fully_qualified_domain_name);
        config.search_string = named.search_string.or(config.search_string);
        config.failure_threshold = named.failure_threshold.or(config.failure_threshold);
        config.inverted = named.inverted.or(config.inverted);
        config.disabled = named.disabled.or(config.disabled);
        config.enable_sni = named.enable_sni.or(config.enable_sni);
        config.health_threshold = named.health_threshold.or(config.health_threshold);
        config.alarm_identifier = named.alarm_identifier.or(config.alarm_identifier);
        config.insufficient_data_health_status =
            named.insufficient_data_health_status.or(config.insufficient_data_health_status);
        if !named.child_health_checks.is_empty() {
            config.child_health_checks = named.child_health_checks;
        }
        if !named.regions.is_empty() {
            config.regions = named.regions;
        }
        let (subject, inverted, disabled) = read(tx, &config)?;
        refuse_unknown_children(&tx.view(), &subject)?;
        if subject.hangs_on(&old.id, &tx.view()) {
            let text = "Invalid parameter : ChildHealthChecks must not lead back to the health check itself";
            return Err(invalid(text).into());
        }
        // What was seen of another endpoint says nothing of this one.
        let seen = old.seen.clone().filter(|_| old.subject == subject && !disabled);
        let changed = HealthCheck { version: old.version + 1, subject, inverted, disabled, seen, ..old };
        let health_check = shown(&changed);
        tx.put(changed);
        Ok(UpdateHealthCheckResponse { health_check })
    })
}

/// `GetHealthCheckStatus`: what the one checker that there is has seen.
pub fn status(view: &View<'_>, input: &GetHealthCheckStatusRequest) -> Result<GetHealthCheckStatusResponse, AwsError> {
    seen_globally(view, |view| {
        let found = check(view, &input.health_check_id)?;
        if matches!(found.subject, Subject::Calculated { .. }) {
            return Err(invalid("Invalid parameter : a CALCULATED health check has no status of its own").into());
        }
        let observed = |seen: &Seen| HealthCheckObservation {
            region: Some(HealthCheckRegion::UsEast1),
            ip_address: seen.address.clone(),
            status_report: Some(StatusReport { status: Some(seen.outcome.clone()), checked_time: Some(seen.at) }),
        };
        Ok(GetHealthCheckStatusResponse { health_check_observations: found.seen.iter().map(observed).collect() })
    })
}

/// `GetHealthCheckLastFailureReason`: of the last check, where that failed; nothing is kept of those before.
pub fn last_failure(
    view: &View<'_>,
    input: &GetHealthCheckLastFailureReasonRequest,
) -> Result<GetHealthCheckLastFailureReasonResponse, AwsError> {
    let input = GetHealthCheckStatusRequest { health_check_id: input.health_check_id.clone() };
    let mut health_check_observations = status(view, &input)?.health_check_observations;
    health_check_observations.retain(|seen| {
        let said = seen.status_report.as_ref().and_then(|report| report.status.as_deref());
        said.is_some_and(|said| said.starts_with("Failure"))
    });
    Ok(GetHealthCheckLastFailureReasonResponse { health_check_observations })
}

/// `GetHealthCheckCount`
pub fn count(view: &View<'_>, _: &GetHealthCheckCountRequest) -> Result<GetHealthCheckCountResponse, AwsError> {
    let count = seen_globally(view, |view| view.list::<HealthCheck>().count());
    Ok(GetHealthCheckCountResponse { health_check_count: i64::try_from(count).unwrap_or(i64::MAX) })
}
