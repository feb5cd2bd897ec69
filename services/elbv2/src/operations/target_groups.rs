//! Target groups. Source: Elastic Load Balancing API reference, `CreateTargetGroup` and the actions that name it.

use super::{balancer, balancer_of_group, check_name, group, merge_tags, new_id, page};
use crate::albs;
use crate::attributes;
use crate::ec2;
use crate::errors::{Error, invalid};
use crate::model::{CheckPort, CheckProtocol, HealthCheck, Kind, Protocol, Target, TargetGroup, TargetType, Version};
use crate::shapes::{
    CreateTargetGroupInput, CreateTargetGroupOutput, DeleteTargetGroupInput, DeleteTargetGroupOutput,
    DescribeTargetGroupAttributesInput, DescribeTargetGroupAttributesOutput, DescribeTargetGroupsInput,
    DescribeTargetGroupsOutput, Matcher, ModifyTargetGroupAttributesInput, ModifyTargetGroupAttributesOutput,
    ModifyTargetGroupInput, ModifyTargetGroupOutput, ProtocolEnum, TargetGroup as WireGroup, TargetGroupAttribute,
    TargetGroupIpAddressTypeEnum, TargetTypeEnum,
};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// Target groups per region, as AWS's default quota has it.
const QUOTA: usize = 3000;

/// `CreateTargetGroup`
pub fn create(tx: &mut Tx<'_>, input: &CreateTargetGroupInput) -> Result<CreateTargetGroupOutput, AwsError> {
    check_name("Target group name", &input.name)?;
    let target_type = match input.target_type.unwrap_or_default() {
        TargetTypeEnum::Instance => TargetType::Instance,
        TargetTypeEnum::Ip => TargetType::Ip,
        TargetTypeEnum::Alb => TargetType::Alb,
        other @ TargetTypeEnum::Lambda => {
            return Err(
                Error::Unsupported(format!("targets of type '{other}'; only 'instance', 'ip' and 'alb'")).into()
            );
        }
    };
    let protocol = protocol_of(input)?;
    if target_type == TargetType::Alb && protocol != Protocol::Tcp {
        return Err(invalid("The protocol must be 'TCP' for target groups with target type 'alb'").into());
    }
    let version = version_of(input)?;
    let port =
        input.port.and_then(|port| u16::try_from(port).ok()).ok_or_else(|| invalid("A port must be specified"))?;
    let vpc = input.vpc_id.clone().ok_or_else(|| invalid("A VPC ID must be specified"))?;
    if ec2::vpc_ranges(tx, &vpc)?.is_none() {
        return Err(invalid(format!("The VPC ID '{vpc}' is not found")).into());
    }
    // A load balancer is asked as one asks it: by HTTP.
    let checked_by = match target_type {
        TargetType::Alb => input.health_check_protocol.or(Some(ProtocolEnum::Http)),
        TargetType::Instance | TargetType::Ip => input.health_check_protocol,
    };
    let mut health_check = default_check(protocol, version, checked_by);
    HealthChange {
        target_type,
        kind: protocol.kind(),
        version,
        protocol: checked_by,
        enabled: input.health_check_enabled,
        port: input.health_check_port.as_deref(),
        path: input.health_check_path.as_deref(),
        interval: input.health_check_interval_seconds,
        timeout: input.health_check_timeout_seconds,
        healthy: input.healthy_threshold_count,
        unhealthy: input.unhealthy_threshold_count,
        matcher: input.matcher.as_ref(),
    }
    .apply(&mut health_check)?;
    let mut tags = Tags::new();
    merge_tags(&mut tags, &input.tags, tx.caller.is_service())?;

    if let Some(existing) = tx.list::<TargetGroup>().find(|other| other.name == input.name) {
        let same = existing.protocol == protocol
            && existing.version == version
            && existing.port == port
            && existing.vpc == vpc
            && existing.target_type == target_type
            && existing.health_check == health_check
            && existing.tags == tags;
        if !same {
            return Err(Error::DuplicateTargetGroupName(input.name.clone()).into());
        }
        return Ok(CreateTargetGroupOutput { target_groups: vec![shown(&tx.view(), existing)] });
    }
    if tx.list::<TargetGroup>().count() >= QUOTA {
        let text = format!("The maximum number of target groups has been reached: '{QUOTA}'");
        return Err(Error::TooMany { what: "TooManyTargetGroups", text }.into());
    }
    let id = new_id(tx);
    let arn = tx.scope.arn(ec2::SERVICE, &format!("targetgroup/{}/{id}", input.name));
    let attributes = crate::model::Attributes::new();
    let name = input.name.clone();
    let record = TargetGroup { arn, name, protocol, version, port, vpc, target_type, health_check, attributes, tags };
    let output = CreateTargetGroupOutput { target_groups: vec![shown(&tx.view(), &record)] };
    tx.put(record);
    Ok(output)
}

/// A new group's protocol.
fn protocol_of(input: &CreateTargetGroupInput) -> Result<Protocol, Error> {
    let wire = input.protocol.ok_or_else(|| invalid("A protocol must be specified"))?;
    let protocol =
        Protocol::of(wire).ok_or_else(|| Error::Unsupported(format!("target groups of protocol '{wire}'")))?;
    if protocol.kind() == Kind::Network && input.protocol_version.is_some() {
        return Err(invalid(format!("You cannot specify a protocol version for target groups of protocol '{wire}'")));
    }
    match input.ip_address_type {
        None | Some(TargetGroupIpAddressTypeEnum::Ipv4) => {}
        Some(other) => return Err(Error::Unsupported(format!("the IP address type '{other}'; only 'ipv4'"))),
    }
    if input.target_control_port.is_some() {
        return Err(Error::Unsupported("target control ports".into()));
    }
    Ok(protocol)
}

/// A new group's version of HTTP.
fn version_of(input: &CreateTargetGroupInput) -> Result<Version, Error> {
    match input.protocol_version.as_deref() {
        None | Some("HTTP1") => Ok(Version::Http1),
        Some("HTTP2") => Ok(Version::Http2),
        Some("GRPC") => Ok(Version::Grpc),
        Some(other) => Err(invalid(format!("Protocol version '{other}' must be one of 'HTTP1', 'HTTP2', 'GRPC'"))),
    }
}

/// How targets of a new group are checked if nothing else is said. (API reference, `CreateTargetGroup`.)
fn default_check(protocol: Protocol, version: Version, given: Option<ProtocolEnum>) -> HealthCheck {
    let network = protocol.kind() == Kind::Network;
    let (timeout, matcher) = match (network, given) {
        // UNIMPLEMENTED, which a server says of a service that it does not have.
        (false, _) if version == Version::Grpc => (5, "12"),
        (false, _) => (5, "200"),
        (true, Some(ProtocolEnum::Http)) => (6, "200-399"),
        (true, _) => (10, "200-399"),
    };
    HealthCheck {
        protocol: if network { CheckProtocol::Tcp } else { CheckProtocol::Http },
        port: CheckPort::Traffic,
        path: if version == Version::Grpc { "/AWS.ALB/healthcheck".into() } else { "/".into() },
        matcher: matcher.into(),
        interval: 30,
        timeout,
        healthy: 5,
        unhealthy: 2,
    }
}

/// What a request changes of a health check.
struct HealthChange<'a> {
    target_type: TargetType,
    kind: Kind,
    version: Version,
    protocol: Option<ProtocolEnum>,
    enabled: Option<bool>,
    port: Option<&'a str>,
    path: Option<&'a str>,
    interval: Option<i32>,
    timeout: Option<i32>,
    healthy: Option<i32>,
    unhealthy: Option<i32>,
    matcher: Option<&'a Matcher>,
}

impl HealthChange<'_> {
    fn apply(&self, check: &mut HealthCheck) -> Result<(), Error> {
        match self.protocol {
            None => {}
            Some(ProtocolEnum::Http) => check.protocol = CheckProtocol::Http,
            Some(ProtocolEnum::Https) => check.protocol = CheckProtocol::Https,
            Some(ProtocolEnum::Tcp) if self.target_type == TargetType::Alb => {
                return Err(invalid("Health check protocol must be 'HTTP' or 'HTTPS' for target type 'alb'"));
            }
            Some(ProtocolEnum::Tcp) if self.kind == Kind::Network => check.protocol = CheckProtocol::Tcp,
            Some(other) => return Err(Error::Unsupported(format!("health checks of protocol '{other}'"))),
        }
        if self.enabled == Some(false) {
            return Err(invalid(
                "Health check enabled must be true for target groups with target type 'instance', 'ip' or 'alb'",
            ));
        }
        if let Some(port) = self.port {
            check.port = match port {
                "traffic-port" => CheckPort::Traffic,
                number => match number.parse() {
                    Ok(number) if number > 0 => CheckPort::Port(number),
                    _ => {
                        return Err(invalid(format!(
                            "Health check port '{port}' must be 'traffic-port' or a port number"
                        )));
                    }
                },
            };
        }
        if check.protocol == CheckProtocol::Tcp && (self.path.is_some() || self.matcher.is_some()) {
            return Err(invalid(
                "Health check path and matcher cannot be specified for health checks of protocol 'TCP'",
            ));
        }
        if let Some(path) = self.path {
            if !path.starts_with('/') {
                return Err(invalid(format!("Health check path '{path}' must begin with a '/'")));
            }
            if path.bytes().any(|byte| !byte.is_ascii_graphic()) {
                return Err(invalid(format!("Health check path '{path}' contains invalid characters")));
            }
            check.path = path.to_owned();
        }
        set(&mut check.interval, self.interval, 5, 300, "interval")?;
        set(&mut check.timeout, self.timeout, 2, 120, "timeout")?;
        set(&mut check.healthy, self.healthy, 2, 10, "healthy threshold count")?;
        set(&mut check.unhealthy, self.unhealthy, 2, 10, "unhealthy threshold count")?;
        if check.interval <= check.timeout {
            return Err(invalid("Health check interval must be greater than the timeout."));
        }
        if let Some(matcher) = self.matcher {
            let (given, other, least, name) = match self.version {
                Version::Grpc => (&matcher.grpc_code, &matcher.http_code, 0, "gRPC"),
                Version::Http1 | Version::Http2 => (&matcher.http_code, &matcher.grpc_code, 200, "HTTP"),
            };
            if other.is_some() {
                let version = self.version.wire();
                return Err(invalid(format!(
                    "You must specify a matcher of {name} codes for target groups of protocol version '{version}'"
                )));
            }
            let code = given.clone().unwrap_or_default();
            let most = match (self.version, self.kind) {
                (Version::Grpc, _) => 99,
                (_, Kind::Network) => 599,
                (_, Kind::Application) => 499,
            };
            if !is_matcher(&code, least, most) {
                return Err(invalid(format!(
                    "Health check matcher {name} code '{code}' must be within '{least}-{most}' inclusive"
                )));
            }
            check.matcher = code;
        }
        Ok(())
    }
}

fn set(field: &mut u32, given: Option<i32>, least: u32, most: u32, what: &str) -> Result<(), Error> {
    if let Some(given) = given {
        let fits = u32::try_from(given).ok().filter(|given| (least..=most).contains(given));
        *field =
            fits.ok_or_else(|| invalid(format!("Health check {what} '{given}' must be between {least} and {most}")))?;
    }
    Ok(())
}

/// Codes and ranges of codes from `least` to `most`, with commas between.
fn is_matcher(text: &str, least: u16, most: u16) -> bool {
    let code = |text: &str| text.parse::<u16>().ok().filter(|code| (least..=most).contains(code));
    text.split(',').all(|part| match part.split_once('-') {
        Some((low, high)) => matches!((code(low), code(high)), (Some(low), Some(high)) if low <= high),
        None => code(part).is_some(),
    })
}

/// `ModifyTargetGroup`
pub fn modify(tx: &mut Tx<'_>, input: &ModifyTargetGroupInput) -> Result<ModifyTargetGroupOutput, AwsError> {
    let mut changed = group(&tx.view(), &input.target_group_arn)?.clone();
    HealthChange {
        target_type: changed.target_type,
        kind: changed.protocol.kind(),
        version: changed.version,
        protocol: input.health_check_protocol,
        enabled: input.health_check_enabled,
        port: input.health_check_port.as_deref(),
        path: input.health_check_path.as_deref(),
        interval: input.health_check_interval_seconds,
        timeout: input.health_check_timeout_seconds,
        healthy: input.healthy_threshold_count,
        unhealthy: input.unhealthy_threshold_count,
        matcher: input.matcher.as_ref(),
    }
    .apply(&mut changed.health_check)?;
    let output = ModifyTargetGroupOutput { target_groups: vec![shown(&tx.view(), &changed)] };
    tx.put(changed);
    Ok(output)
}

/// `DeleteTargetGroup`: deleting what is not there is no error.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteTargetGroupInput) -> Result<DeleteTargetGroupOutput, AwsError> {
    let arn = &input.target_group_arn;
    match group(&tx.view(), arn) {
        Err(Error::TargetGroupNotFound) => return Ok(DeleteTargetGroupOutput {}),
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    if balancer_of_group(&tx.view(), arn).is_some() {
        let text = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(Error::ResourceInUse(text).into());
    }
    let targets: Vec<String> = Target::of(&tx.view(), arn).map(|target| target.key.clone()).collect();
    for key in targets {
        albs::forget_health(tx, &key);
        tx.remove::<Target>(&key);
    }
    tx.remove::<TargetGroup>(arn);
    Ok(DeleteTargetGroupOutput {})
}

/// `DescribeTargetGroups`
pub fn describe(view: &View<'_>, input: &DescribeTargetGroupsInput) -> Result<DescribeTargetGroupsOutput, AwsError> {
    let ways = usize::from(input.load_balancer_arn.is_some())
        + usize::from(!input.target_group_arns.is_empty())
        + usize::from(!input.names.is_empty());
    if ways > 1 {
        return Err(invalid(
            "Target group names, target group ARNs and a load balancer ARN cannot be specified at the same time",
        )
        .into());
    }
    if let Some(arn) = &input.load_balancer_arn {
        balancer(view, arn)?;
    }
    for arn in &input.target_group_arns {
        group(view, arn)?;
    }
    let is_there = |name: &&String| view.list::<TargetGroup>().any(|found| found.name == **name);
    if !input.names.iter().all(|name| is_there(&name)) {
        return Err(Error::TargetGroupNotFound.into());
    }
    let wanted = view.list::<TargetGroup>().filter(|found| match &input.load_balancer_arn {
        Some(arn) => balancer_of_group(view, &found.arn) == Some(arn),
        None if ways == 0 => true,
        None => input.target_group_arns.contains(&found.arn) || input.names.contains(&found.name),
    });
    let items = wanted.map(|found| (found.arn.clone(), shown(view, found)));
    let (target_groups, next_marker) = page(items, input.marker.as_deref(), input.page_size)?;
    Ok(DescribeTargetGroupsOutput { target_groups, next_marker })
}

fn matcher_of(group: &TargetGroup) -> Matcher {
    let code = Some(group.health_check.matcher.clone());
    match group.version {
        Version::Grpc => Matcher { http_code: None, grpc_code: code },
        Version::Http1 | Version::Http2 => Matcher { http_code: code, grpc_code: None },
    }
}

fn shown(view: &View<'_>, group: &TargetGroup) -> WireGroup {
    let check = &group.health_check;
    // All four are checked to lie far below the largest integer.
    let number = |value: u32| i32::try_from(value).ok();
    let has_path = check.protocol != CheckProtocol::Tcp;
    WireGroup {
        target_group_arn: Some(group.arn.clone()),
        target_group_name: Some(group.name.clone()),
        protocol: Some(group.protocol.wire()),
        port: Some(i32::from(group.port)),
        vpc_id: Some(group.vpc.clone()),
        health_check_protocol: Some(check.protocol.wire()),
        health_check_port: Some(check.port.to_string()),
        health_check_enabled: Some(true),
        health_check_interval_seconds: number(check.interval),
        health_check_timeout_seconds: number(check.timeout),
        healthy_threshold_count: number(check.healthy),
        unhealthy_threshold_count: number(check.unhealthy),
        health_check_path: has_path.then(|| check.path.clone()),
        matcher: has_path.then(|| matcher_of(group)),
        load_balancer_arns: balancer_of_group(view, &group.arn).map(ToOwned::to_owned).into_iter().collect(),
        target_type: Some(match group.target_type {
            TargetType::Instance => TargetTypeEnum::Instance,
            TargetType::Ip => TargetTypeEnum::Ip,
            TargetType::Alb => TargetTypeEnum::Alb,
        }),
        protocol_version: (group.protocol.kind() == Kind::Application).then(|| group.version.wire().into()),
        ip_address_type: Some(TargetGroupIpAddressTypeEnum::Ipv4),
        target_control_port: None,
    }
}

/// `DescribeTargetGroupAttributes`
pub fn describe_attributes(
    view: &View<'_>,
    input: &DescribeTargetGroupAttributesInput,
) -> Result<DescribeTargetGroupAttributesOutput, AwsError> {
    Ok(DescribeTargetGroupAttributesOutput { attributes: attributes_of(group(view, &input.target_group_arn)?) })
}

/// `ModifyTargetGroupAttributes`
pub fn modify_attributes(
    tx: &mut Tx<'_>,
    input: &ModifyTargetGroupAttributesInput,
) -> Result<ModifyTargetGroupAttributesOutput, AwsError> {
    let mut changed = group(&tx.view(), &input.target_group_arn)?.clone();
    let given = input.attributes.iter().map(|attribute| (attribute.key.clone(), attribute.value.clone()));
    attributes::set_group(&mut changed, given)?;
    let attributes = attributes_of(&changed);
    tx.put(changed);
    Ok(ModifyTargetGroupAttributesOutput { attributes })
}

fn attributes_of(group: &TargetGroup) -> Vec<TargetGroupAttribute> {
    attributes::of_group(group)
        .map(|(key, value)| TargetGroupAttribute { key: Some(key), value: Some(value) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matcher_names_codes_and_ranges_from_200_to_499() {
        for (text, expected) in [
            ("200", true),
            ("200,202", true),
            ("200-299,301", true),
            ("", false),
            ("500", false),
            ("299-200", false),
            ("2xx", false),
        ] {
            assert_eq!(is_matcher(text, 200, 499), expected, "{text}");
        }
    }
}
