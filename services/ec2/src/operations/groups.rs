//! Security groups and their rules.

use super::{Answer, Selection, cidr, cut, filters_of, one, specified, tag_list, tag_values, text};
use crate::errors::Error;
use crate::model::{GroupRule, Interface, Peer, SecurityGroup, Vpc};
use crate::shapes::{self, *};
use ipnet::Ipv4Net;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View, filters};

const MAX_RULES: usize = 60;

/// The words in "does not exist".
const UNKNOWN: &str = "InvalidGroup.NotFound";

pub(crate) fn group<'a>(view: &View<'a>, id: &str) -> Result<&'a SecurityGroup, Error> {
    view.get::<SecurityGroup>(id)
        .ok_or_else(|| Error::Coded(UNKNOWN, format!("The security group '{id}' does not exist")))
}

/// The group that a call names by id, or by name in the default VPC.
fn named(view: &View<'_>, id: Option<&String>, name: Option<&String>) -> Result<SecurityGroup, Error> {
    match (id, name) {
        (Some(id), _) => group(view, id).cloned(),
        (None, Some(name)) => by_name(view, name, None).cloned(),
        (None, None) => Err(Error::MissingParameter("GroupName or GroupId".to_owned())),
    }
}

/// The group of that name in a VPC, or in the default one.
pub(crate) fn by_name<'a>(view: &View<'a>, name: &str, vpc: Option<&str>) -> Result<&'a SecurityGroup, Error> {
    let vpc = vpc.or_else(|| view.list::<Vpc>().find(|vpc| vpc.is_default && !vpc.deleting).map(|vpc| vpc.id.as_str()));
    view.list::<SecurityGroup>()
        .find(|group| group.name == name && Some(group.vpc.as_str()) == vpc)
        .ok_or_else(|| Error::Coded(UNKNOWN, format!("The security group '{name}' does not exist in default VPC")))
}

/// A new group lets everything out.
fn everything_out(tx: &mut Tx<'_>) -> GroupRule {
    GroupRule {
        id: tx.id("sgr-"),
        egress: true,
        protocol: "-1".to_owned(),
        from_port: None,
        to_port: None,
        peer: Peer::Cidr(Ipv4Net::default()),
        description: None,
        tags: Tags::new(),
    }
}

/// A VPC's default group: its members reach each other.
pub(crate) fn make_default(tx: &mut Tx<'_>, vpc: &str) {
    let id = tx.id("sg-");
    let among = GroupRule { egress: false, peer: Peer::Group(id.clone()), ..everything_out(tx) };
    let out = everything_out(tx);
    tx.put(SecurityGroup {
        id,
        vpc: vpc.to_owned(),
        name: "default".to_owned(),
        description: "default VPC security group".to_owned(),
        rules: vec![among, out],
        tags: Tags::new(),
    });
}

pub fn create(tx: &mut Tx<'_>, input: &CreateSecurityGroupRequest) -> Answer<CreateSecurityGroupResult> {
    let vpc = match &input.vpc_id {
        Some(id) => super::vpcs::vpc(&tx.view(), id)?.id.clone(),
        None => tx
            .list::<Vpc>()
            .find(|vpc| vpc.is_default && !vpc.deleting)
            .map(|vpc| vpc.id.clone())
            .ok_or_else(|| Error::Coded("VPCIdNotSpecified", "No default VPC for this user".to_owned()))?,
    };
    let name = &input.group_name;
    if name.starts_with("sg-") || name.is_empty() || name.len() > 255 {
        let text = format!(
            "Value ({name}) for parameter GroupName is invalid. It must not be empty, longer than 255 characters, or start with sg-."
        );
        return Err(Error::InvalidParameterValue(text).into());
    }
    if tx.list::<SecurityGroup>().any(|group| group.vpc == vpc && group.name == *name) {
        let text = format!("The security group '{name}' already exists for VPC '{vpc}'");
        return Err(Error::Coded("InvalidGroup.Duplicate", text).into());
    }
    let tags = specified(tx, &input.tag_specifications, "security-group", &["security-group"])?;
    let id = tx.id("sg-");
    let rules = vec![everything_out(tx)];
    let arn = tx.scope.arn("ec2", &format!("security-group/{id}"));
    tx.put(SecurityGroup {
        id: id.clone(),
        vpc,
        name: name.clone(),
        description: input.description.clone(),
        rules,
        tags: tags.clone(),
    });
    Ok(CreateSecurityGroupResult {
        group_id: text(id),
        security_group_arn: text(arn),
        tags: tag_list(&tags),
        ..Default::default()
    })
}

pub fn describe(view: &View<'_>, input: &DescribeSecurityGroupsRequest) -> Answer<DescribeSecurityGroupsResult> {
    for id in &input.group_ids {
        group(view, id)?;
    }
    for name in &input.group_names {
        by_name(view, name, None)?;
    }
    let wanted = |group: &SecurityGroup| input.group_names.is_empty() || input.group_names.contains(&group.name);
    let selection = Selection {
        ids: &input.group_ids,
        filters: &input.filters,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: (UNKNOWN, "security group"),
    };
    let (groups, next_token) = selection.of(
        view.list::<SecurityGroup>().filter(|group| wanted(group)),
        |group| &group.id,
        |group| &group.tags,
        |group, name| {
            let (egress, name) = match name.strip_prefix("egress.") {
                Some(name) => (true, name),
                None => (false, name),
            };
            let rules = || group.rules.iter().filter(move |rule| rule.egress == egress);
            match name {
                "group-id" => one(&group.id),
                "group-name" => one(&group.name),
                "vpc-id" => one(&group.vpc),
                "description" => one(&group.description),
                "owner-id" => one(&view.scope.account),
                "ip-permission.protocol" => Some(rules().map(|rule| rule.protocol.clone()).collect()),
                "ip-permission.from-port" => {
                    Some(rules().filter_map(|rule| rule.from_port).map(|p| p.to_string()).collect())
                }
                "ip-permission.to-port" => {
                    Some(rules().filter_map(|rule| rule.to_port).map(|p| p.to_string()).collect())
                }
                "ip-permission.cidr" => Some(rules().filter_map(|rule| cidr_of(&rule.peer)).collect()),
                "ip-permission.group-id" => Some(rules().filter_map(|rule| group_of(&rule.peer)).collect()),
                _ => None,
            }
        },
    )?;
    let security_groups = groups.into_iter().map(|group| shape(view, group)).collect();
    Ok(DescribeSecurityGroupsResult { next_token, security_groups, ..Default::default() })
}

fn cidr_of(peer: &Peer) -> Option<String> {
    if let Peer::Cidr(cidr) = peer { Some(cidr.to_string()) } else { None }
}

fn group_of(peer: &Peer) -> Option<String> {
    if let Peer::Group(id) = peer { Some(id.clone()) } else { None }
}

fn shape(view: &View<'_>, group: &SecurityGroup) -> shapes::SecurityGroup {
    shapes::SecurityGroup {
        group_id: text(&group.id),
        group_name: text(&group.name),
        description: text(&group.description),
        vpc_id: text(&group.vpc),
        owner_id: text(&view.scope.account),
        security_group_arn: text(view.scope.arn("ec2", &format!("security-group/{}", group.id))),
        ip_permissions: permissions(&view.scope.account, group, false),
        ip_permissions_egress: permissions(&view.scope.account, group, true),
        tags: tag_list(&group.tags),
        ..Default::default()
    }
}

/// Rules gathered as AWS shows them: one permission per protocol and range of ports, with all its peers.
fn permissions(account: &str, group: &SecurityGroup, egress: bool) -> Vec<IpPermission> {
    let mut out: Vec<IpPermission> = Vec::new();
    for rule in group.rules.iter().filter(|rule| rule.egress == egress) {
        let same = |p: &IpPermission| {
            p.ip_protocol.as_ref() == Some(&rule.protocol) && p.from_port == rule.from_port && p.to_port == rule.to_port
        };
        let at = out.iter().position(same).unwrap_or_else(|| {
            out.push(IpPermission {
                ip_protocol: text(&rule.protocol),
                from_port: rule.from_port,
                to_port: rule.to_port,
                ..Default::default()
            });
            out.len() - 1
        });
        let (permission, description) = (&mut out[at], rule.description.clone());
        match &rule.peer {
            Peer::Cidr(cidr) => {
                permission.ip_ranges.push(IpRange { cidr_ip: text(cidr), description, ..Default::default() })
            }
            Peer::Cidr6(cidr) => {
                permission.ipv6_ranges.push(Ipv6Range { cidr_ipv6: text(cidr), description, ..Default::default() });
            }
            Peer::Group(id) => permission.user_id_group_pairs.push(UserIdGroupPair {
                group_id: text(id),
                user_id: text(account),
                description,
                ..Default::default()
            }),
        }
    }
    out
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteSecurityGroupRequest) -> Answer<DeleteSecurityGroupResult> {
    let group = named(&tx.view(), input.group_id.as_ref(), input.group_name.as_ref())?;
    if group.name == "default" {
        let text = format!("the specified group: \"{}\" name: \"default\" cannot be deleted by a user", group.id);
        return Err(Error::Coded("CannotDelete", text).into());
    }
    let referenced = tx
        .list::<SecurityGroup>()
        .any(|other| other.id != group.id && other.rules.iter().any(|rule| rule.peer == Peer::Group(group.id.clone())));
    if referenced || tx.list::<Interface>().any(|interface| interface.groups.contains(&group.id)) {
        let text = format!("resource {} has a dependent object", group.id);
        return Err(Error::Coded("DependencyViolation", text).into());
    }
    tx.remove::<SecurityGroup>(&group.id);
    Ok(DeleteSecurityGroupResult { return_: Some(true), group_id: text(group.id), ..Default::default() })
}

/// What a call to authorize or revoke says: permissions, or the older single form.
struct Asked<'a> {
    permissions: &'a [IpPermission],
    protocol: Option<&'a String>,
    from: Option<i32>,
    to: Option<i32>,
    cidr: Option<&'a String>,
    source: Option<&'a String>,
}

impl Asked<'_> {
    fn rules(&self, view: &View<'_>, vpc: &str, egress: bool) -> Answer<Vec<GroupRule>> {
        let mut rules = Vec::new();
        for permission in self.permissions {
            rules.append(&mut rules_of(view, permission, vpc, egress)?);
        }
        if self.protocol.is_some() || self.cidr.is_some() || self.source.is_some() {
            let single = IpPermission {
                // The older form names a group alone for "everything".
                ip_protocol: self.protocol.cloned().or_else(|| text("-1")),
                from_port: self.from,
                to_port: self.to,
                ip_ranges: self.cidr.iter().map(|cidr| IpRange { cidr_ip: text(cidr), ..Default::default() }).collect(),
                user_id_group_pairs: self
                    .source
                    .iter()
                    .map(|name| UserIdGroupPair { group_name: text(name), ..Default::default() })
                    .collect(),
                ..Default::default()
            };
            rules.append(&mut rules_of(view, &single, vpc, egress)?);
        }
        if rules.is_empty() {
            return Err(Error::MissingParameter("IpPermissions".to_owned()).into());
        }
        Ok(rules)
    }
}

fn rules_of(view: &View<'_>, permission: &IpPermission, vpc: &str, egress: bool) -> Answer<Vec<GroupRule>> {
    let given = permission.ip_protocol.as_deref().ok_or_else(|| Error::MissingParameter("IpProtocol".to_owned()))?;
    let protocol = match given.to_ascii_lowercase().as_str() {
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "icmp" | "1" => "icmp",
        "icmpv6" | "58" => "icmpv6",
        "-1" | "all" => "-1",
        number if number.parse::<u8>().is_ok() => given,
        _ => {
            let text = format!("Invalid value '{given}' for IP protocol. Unknown protocol.");
            return Err(Error::InvalidParameterValue(text).into());
        }
    };
    let (from_port, to_port) = ports(protocol, permission.from_port, permission.to_port)?;
    let rule = |peer, description: &Option<String>| GroupRule {
        id: String::new(),
        egress,
        protocol: protocol.to_owned(),
        from_port,
        to_port,
        peer,
        description: description.clone(),
        tags: Tags::new(),
    };
    let mut rules = Vec::new();
    for range in &permission.ip_ranges {
        let given = range.cidr_ip.as_deref().unwrap_or_default();
        if !given.contains('/') {
            return Err(Error::InvalidParameterValue(format!("CIDR block {given} is malformed")).into());
        }
        rules.push(rule(Peer::Cidr(cidr(given, "cidrIp")?), &range.description));
    }
    for range in &permission.ipv6_ranges {
        rules.push(rule(Peer::Cidr6(range.cidr_ipv6.clone().unwrap_or_default()), &range.description));
    }
    for pair in &permission.user_id_group_pairs {
        let source = match (&pair.group_id, &pair.group_name) {
            (Some(id), _) => group(view, id)?,
            (None, Some(name)) => by_name(view, name, Some(vpc))?,
            (None, None) => return Err(Error::MissingParameter("GroupId".to_owned()).into()),
        };
        rules.push(rule(Peer::Group(source.id.clone()), &pair.description));
    }
    if !permission.prefix_list_ids.is_empty() {
        return Err(Error::Coded("UnsupportedOperation", "Prefix lists are not supported yet.".to_owned()).into());
    }
    Ok(rules)
}

fn ports(protocol: &str, from: Option<i32>, to: Option<i32>) -> Result<(Option<i32>, Option<i32>), Error> {
    match protocol {
        "tcp" | "udp" => match (from, to) {
            (Some(from), Some(to)) if (0..=65535).contains(&from) && (from..=65535).contains(&to) => {
                Ok((Some(from), Some(to)))
            }
            (Some(-1), _) | (None, None) => Ok((Some(0), Some(65535))),
            (Some(from), Some(to)) => {
                Err(Error::InvalidParameterValue(format!("Invalid TCP/UDP port range ({from}:{to})")))
            }
            _ => Err(Error::InvalidParameterValue("Must specify both from and to ports with TCP/UDP.".to_owned())),
        },
        "icmp" | "icmpv6" => Ok((Some(from.unwrap_or(-1)), Some(to.unwrap_or(-1)))),
        // Other protocols have no ports; AWS drops what is given.
        _ => Ok((None, None)),
    }
}

fn authorize(tx: &mut Tx<'_>, id: &str, rules: Vec<GroupRule>) -> Answer<Vec<SecurityGroupRule>> {
    let mut group = group(&tx.view(), id)?.clone();
    let mut added = Vec::new();
    for mut rule in rules {
        if group.rules.iter().any(|own| own.same_as(&rule)) {
            let (peer, protocol) =
                (cidr_of(&rule.peer).or_else(|| group_of(&rule.peer)).unwrap_or_default(), &rule.protocol);
            let ports = match (rule.from_port, rule.to_port) {
                (Some(from), Some(to)) => format!("from port: {from}, to port: {to}, "),
                _ => String::new(),
            };
            let text = format!(
                "the specified rule \"peer: {peer}, {}, {ports}ALLOW\" already exists",
                protocol.to_uppercase()
            );
            return Err(Error::Coded("InvalidPermission.Duplicate", text).into());
        }
        rule.id = tx.id("sgr-");
        added.push(rule_shape(&tx.scope.account, &group.id, &rule));
        let egress = rule.egress;
        group.rules.push(rule);
        if group.rules.iter().filter(|rule| rule.egress == egress).count() > MAX_RULES {
            let text = "The maximum number of rules per security group has been reached.";
            return Err(Error::Coded("RulesPerSecurityGroupLimitExceeded", text.to_owned()).into());
        }
    }
    tx.put(group);
    Ok(added)
}

fn rule_shape(account: &str, group: &str, rule: &GroupRule) -> SecurityGroupRule {
    let mut out = SecurityGroupRule {
        security_group_rule_id: text(&rule.id),
        group_id: text(group),
        group_owner_id: text(account),
        is_egress: Some(rule.egress),
        ip_protocol: text(&rule.protocol),
        from_port: Some(rule.from_port.unwrap_or(-1)),
        to_port: Some(rule.to_port.unwrap_or(-1)),
        description: rule.description.clone(),
        tags: tag_list(&rule.tags),
        ..Default::default()
    };
    match &rule.peer {
        Peer::Cidr(cidr) => out.cidr_ipv4 = text(cidr),
        Peer::Cidr6(cidr) => out.cidr_ipv6 = text(cidr),
        Peer::Group(id) => {
            out.referenced_group_info =
                Some(ReferencedSecurityGroup { group_id: text(id), user_id: text(account), ..Default::default() });
        }
    }
    out
}

pub fn authorize_ingress(
    tx: &mut Tx<'_>,
    input: &AuthorizeSecurityGroupIngressRequest,
) -> Answer<AuthorizeSecurityGroupIngressResult> {
    let group = named(&tx.view(), input.group_id.as_ref(), input.group_name.as_ref())?;
    let asked = Asked {
        permissions: &input.ip_permissions,
        protocol: input.ip_protocol.as_ref(),
        from: input.from_port,
        to: input.to_port,
        cidr: input.cidr_ip.as_ref(),
        source: input.source_security_group_name.as_ref(),
    };
    let rules = asked.rules(&tx.view(), &group.vpc, false)?;
    let security_group_rules = authorize(tx, &group.id, rules)?;
    Ok(AuthorizeSecurityGroupIngressResult { return_: Some(true), security_group_rules, ..Default::default() })
}

pub fn authorize_egress(
    tx: &mut Tx<'_>,
    input: &AuthorizeSecurityGroupEgressRequest,
) -> Answer<AuthorizeSecurityGroupEgressResult> {
    let group = group(&tx.view(), &input.group_id)?.clone();
    let asked = Asked {
        permissions: &input.ip_permissions,
        protocol: input.ip_protocol.as_ref(),
        from: input.from_port,
        to: input.to_port,
        cidr: input.cidr_ip.as_ref(),
        source: input.source_security_group_name.as_ref(),
    };
    let rules = asked.rules(&tx.view(), &group.vpc, true)?;
    let security_group_rules = authorize(tx, &group.id, rules)?;
    Ok(AuthorizeSecurityGroupEgressResult { return_: Some(true), security_group_rules, ..Default::default() })
}

/// Takes rules away, by id or by what they let through.
fn revoke(tx: &mut Tx<'_>, id: &str, ids: &[String], rules: &[GroupRule], egress: bool) -> Answer<()> {
    let mut group = group(&tx.view(), id)?.clone();
    for rule in ids {
        let Some(at) = group.rules.iter().position(|own| own.id == *rule && own.egress == egress) else {
            let text = format!("The security group rule ID '{rule}' does not exist");
            return Err(Error::Coded("InvalidSecurityGroupRuleId.NotFound", text).into());
        };
        group.rules.remove(at);
    }
    for rule in rules {
        let Some(at) = group.rules.iter().position(|own| own.same_as(rule)) else {
            let text = "The specified rule does not exist in this security group.";
            return Err(Error::Coded("InvalidPermission.NotFound", text.to_owned()).into());
        };
        group.rules.remove(at);
    }
    tx.put(group);
    Ok(())
}

pub fn revoke_ingress(
    tx: &mut Tx<'_>,
    input: &RevokeSecurityGroupIngressRequest,
) -> Answer<RevokeSecurityGroupIngressResult> {
    let group = named(&tx.view(), input.group_id.as_ref(), input.group_name.as_ref())?;
    let asked = Asked {
        permissions: &input.ip_permissions,
        protocol: input.ip_protocol.as_ref(),
        from: input.from_port,
        to: input.to_port,
        cidr: input.cidr_ip.as_ref(),
        source: input.source_security_group_name.as_ref(),
    };
    let ids = &input.security_group_rule_ids;
    let rules = if ids.is_empty() { asked.rules(&tx.view(), &group.vpc, false)? } else { Vec::new() };
    revoke(tx, &group.id, ids, &rules, false)?;
    Ok(RevokeSecurityGroupIngressResult { return_: Some(true), ..Default::default() })
}

pub fn revoke_egress(
    tx: &mut Tx<'_>,
    input: &RevokeSecurityGroupEgressRequest,
) -> Answer<RevokeSecurityGroupEgressResult> {
    let group = group(&tx.view(), &input.group_id)?.clone();
    let asked = Asked {
        permissions: &input.ip_permissions,
        protocol: input.ip_protocol.as_ref(),
        from: input.from_port,
        to: input.to_port,
        cidr: input.cidr_ip.as_ref(),
        source: input.source_security_group_name.as_ref(),
    };
    let ids = &input.security_group_rule_ids;
    let rules = if ids.is_empty() { asked.rules(&tx.view(), &group.vpc, true)? } else { Vec::new() };
    revoke(tx, &group.id, ids, &rules, true)?;
    Ok(RevokeSecurityGroupEgressResult { return_: Some(true), ..Default::default() })
}

pub fn describe_rules(
    view: &View<'_>,
    input: &DescribeSecurityGroupRulesRequest,
) -> Answer<DescribeSecurityGroupRulesResult> {
    let filters = filters_of(&input.filters);
    let mut found = Vec::new();
    for group in view.list::<SecurityGroup>() {
        for rule in &group.rules {
            if !input.security_group_rule_ids.is_empty() && !input.security_group_rule_ids.contains(&rule.id) {
                continue;
            }
            let pass = filters::pass(&filters, |name| match name {
                "group-id" => one(&group.id),
                "security-group-rule-id" => one(&rule.id),
                name => tag_values(&rule.tags, name),
            });
            if pass.map_err(|name| Error::InvalidFilter(name.to_owned()))? {
                found.push((rule.id.clone(), rule_shape(&view.scope.account, &group.id, rule)));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let (security_group_rules, next_token) = cut(found, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeSecurityGroupRulesResult { security_group_rules, next_token, ..Default::default() })
}
