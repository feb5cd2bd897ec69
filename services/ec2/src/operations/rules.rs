//! The rules of security groups.

use super::filters::{self, Filters};
use super::{Answer, cidr, cut, groups, json, one, protocols, shown, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{GroupRule, Peer, SecurityGroup};
use crate::shapes::*;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Scope, Tx, View};

const MAX_RULES: usize = 60;

/// What a call to authorize or revoke says: permissions, or the older single form.
struct Asked<'a> {
    permissions: &'a [IpPermission],
    protocol: Option<&'a String>,
    from: Option<i32>,
    to: Option<i32>,
    cidr: Option<&'a String>,
    source: Option<&'a String>,
}

impl<'a> Asked<'a> {
    fn of(
        permissions: &'a [IpPermission],
        (protocol, from, to): (Option<&'a String>, Option<i32>, Option<i32>),
        cidr: Option<&'a String>,
        source: Option<&'a String>,
    ) -> Self {
        Self { permissions, protocol, from, to, cidr, source }
    }

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
                ip_ranges: self
                    .cidr
                    .iter()
                    .map(|cidr| IpRange { cidr_ip: text(*cidr), ..Default::default() })
                    .collect(),
                user_id_group_pairs: self
                    .source
                    .iter()
                    .map(|name| UserIdGroupPair { group_name: text(*name), ..Default::default() })
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

pub(super) fn rules_of(view: &View<'_>, permission: &IpPermission, vpc: &str, egress: bool) -> Answer<Vec<GroupRule>> {
    let given = permission.ip_protocol.as_deref().ok_or_else(|| Error::MissingParameter("IpProtocol".to_owned()))?;
    // One name for each protocol: what has ports keeps them, however it is written.
    let protocol = match protocols::number(given)? {
        None => "-1".to_owned(),
        Some(6) => "tcp".to_owned(),
        Some(17) => "udp".to_owned(),
        Some(1) => "icmp".to_owned(),
        Some(58) => "icmpv6".to_owned(),
        Some(number) => number.to_string(),
    };
    let (from_port, to_port) = ports(&protocol, permission.from_port, permission.to_port)?;
    let rule = |peer, description: &Option<String>| GroupRule {
        id: String::new(),
        egress,
        protocol: protocol.clone(),
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
        let given = range.cidr_ipv6.as_deref().unwrap_or_default();
        let range_given: ipnet::Ipv6Net =
            given.parse().map_err(|_| Error::InvalidParameterValue(format!("CIDR block {given} is malformed")))?;
        rules.push(rule(Peer::Cidr6(range_given.trunc().to_string()), &range.description));
    }
    for pair in &permission.user_id_group_pairs {
        let source = match (&pair.group_id, &pair.group_name) {
            (Some(id), _) => groups::group(view, id)?,
            (None, Some(name)) => groups::by_name(view, name, Some(vpc))?,
            (None, None) => return Err(Error::MissingParameter("GroupId".to_owned()).into()),
        };
        if source.vpc != vpc {
            let text = "You have specified two resources that belong to different networks.";
            return Err(Error::Coded("InvalidGroup.NotFound", text.to_owned()).into());
        }
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
            (Some(-1), None | Some(-1)) | (None, None) => Ok((Some(0), Some(65535))),
            (Some(from), Some(to)) => protocols::check_ports(from, to).map(|()| (Some(from), Some(to))),
            _ => Err(Error::InvalidParameterValue("Must specify both from and to ports with TCP/UDP.".to_owned())),
        },
        "icmp" | "icmpv6" => {
            let (kind, code) = (from.unwrap_or(-1), to.unwrap_or(-1));
            protocols::check_icmp(kind, code).map(|()| (Some(kind), Some(code)))
        }
        // Other protocols have no ports; AWS drops what is given.
        _ => Ok((None, None)),
    }
}

fn authorize(
    tx: &mut Tx<'_>,
    id: &str,
    rules: Vec<GroupRule>,
    tags: &[TagSpecification],
) -> Answer<Vec<SecurityGroupRule>> {
    let tags = specified(tx, tags, "security-group-rule", &["security-group-rule"])?;
    let mut group = groups::group(&tx.view(), id)?.clone();
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
        rule.tags.clone_from(&tags);
        added.push(rule_shape(&tx.scope, &group.id, &rule));
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

fn rule_shape(scope: &Scope, group: &str, rule: &GroupRule) -> SecurityGroupRule {
    let account = &scope.account;
    let mut out = SecurityGroupRule {
        security_group_rule_id: text(&rule.id),
        security_group_rule_arn: text(scope.arn("ec2", &format!("security-group-rule/{}", rule.id))),
        group_id: text(group),
        group_owner_id: text(&**account),
        is_egress: Some(rule.egress),
        ip_protocol: text(&rule.protocol),
        from_port: Some(rule.from_port.unwrap_or(-1)),
        to_port: Some(rule.to_port.unwrap_or(-1)),
        description: rule.description.clone(),
        tags: tag_list(&rule.tags),
        ..Default::default()
    };
    match &rule.peer {
        Peer::Cidr(cidr) => out.cidr_ipv4 = shown(cidr),
        Peer::Cidr6(cidr) => out.cidr_ipv6 = text(cidr),
        Peer::Group(id) => {
            out.referenced_group_info =
                Some(ReferencedSecurityGroup { group_id: text(id), user_id: text(&**account), ..Default::default() });
        }
    }
    out
}

pub fn authorize_ingress(
    tx: &mut Tx<'_>,
    input: &AuthorizeSecurityGroupIngressRequest,
) -> Answer<AuthorizeSecurityGroupIngressResult> {
    let group = groups::named(&tx.view(), input.group_id.as_ref(), input.group_name.as_ref())?;
    let asked = Asked::of(
        &input.ip_permissions,
        (input.ip_protocol.as_ref(), input.from_port, input.to_port),
        input.cidr_ip.as_ref(),
        input.source_security_group_name.as_ref(),
    );
    let rules = asked.rules(&tx.view(), &group.vpc, false)?;
    let security_group_rules = authorize(tx, &group.id, rules, &input.tag_specifications)?;
    Ok(AuthorizeSecurityGroupIngressResult { return_: Some(true), security_group_rules, ..Default::default() })
}

pub fn authorize_egress(
    tx: &mut Tx<'_>,
    input: &AuthorizeSecurityGroupEgressRequest,
) -> Answer<AuthorizeSecurityGroupEgressResult> {
    let group = groups::group(&tx.view(), &input.group_id)?.clone();
    let asked = Asked::of(
        &input.ip_permissions,
        (input.ip_protocol.as_ref(), input.from_port, input.to_port),
        input.cidr_ip.as_ref(),
        input.source_security_group_name.as_ref(),
    );
    let rules = asked.rules(&tx.view(), &group.vpc, true)?;
    let security_group_rules = authorize(tx, &group.id, rules, &input.tag_specifications)?;
    Ok(AuthorizeSecurityGroupEgressResult { return_: Some(true), security_group_rules, ..Default::default() })
}

/// Takes rules away, by id or by what they let through.
fn revoke(
    tx: &mut Tx<'_>,
    group: &SecurityGroup,
    ids: &[String],
    asked: &Asked<'_>,
    egress: bool,
) -> Answer<Vec<RevokedSecurityGroupRule>> {
    let rules = if ids.is_empty() { asked.rules(&tx.view(), &group.vpc, egress)? } else { Vec::new() };
    let mut group = group.clone();
    let mut revoked = Vec::new();
    for rule in ids {
        let Some(at) = group.rules.iter().position(|own| own.id == *rule && own.egress == egress) else {
            return Err(unknown(rule).into());
        };
        revoked.push(group.rules.remove(at));
    }
    for rule in &rules {
        let Some(at) = group.rules.iter().position(|own| own.same_as(rule)) else {
            let text = "The specified rule does not exist in this security group.";
            return Err(Error::Coded("InvalidPermission.NotFound", text.to_owned()).into());
        };
        revoked.push(group.rules.remove(at));
    }
    let shapes = revoked.iter().map(|rule| revoked_shape(&group.id, rule)).collect();
    tx.put(group);
    Ok(shapes)
}

fn revoked_shape(group: &str, rule: &GroupRule) -> RevokedSecurityGroupRule {
    RevokedSecurityGroupRule {
        security_group_rule_id: text(&rule.id),
        group_id: text(group),
        is_egress: Some(rule.egress),
        ip_protocol: text(&rule.protocol),
        from_port: Some(rule.from_port.unwrap_or(-1)),
        to_port: Some(rule.to_port.unwrap_or(-1)),
        cidr_ipv4: cidr_of(&rule.peer),
        cidr_ipv6: if let Peer::Cidr6(cidr) = &rule.peer { text(cidr) } else { None },
        referenced_group_id: group_of(&rule.peer),
        description: rule.description.clone(),
        ..Default::default()
    }
}

pub(super) fn unknown(rule: &str) -> Error {
    let text = format!("The security group rule ID '{rule}' does not exist");
    Error::Coded("InvalidSecurityGroupRuleId.NotFound", text)
}

pub fn revoke_ingress(
    tx: &mut Tx<'_>,
    input: &RevokeSecurityGroupIngressRequest,
) -> Answer<RevokeSecurityGroupIngressResult> {
    let group = groups::named(&tx.view(), input.group_id.as_ref(), input.group_name.as_ref())?;
    let asked = Asked::of(
        &input.ip_permissions,
        (input.ip_protocol.as_ref(), input.from_port, input.to_port),
        input.cidr_ip.as_ref(),
        input.source_security_group_name.as_ref(),
    );
    let revoked_security_group_rules = revoke(tx, &group, &input.security_group_rule_ids, &asked, false)?;
    Ok(RevokeSecurityGroupIngressResult { return_: Some(true), revoked_security_group_rules, ..Default::default() })
}

pub fn revoke_egress(
    tx: &mut Tx<'_>,
    input: &RevokeSecurityGroupEgressRequest,
) -> Answer<RevokeSecurityGroupEgressResult> {
    let group = groups::group(&tx.view(), &input.group_id)?.clone();
    let asked = Asked::of(
        &input.ip_permissions,
        (input.ip_protocol.as_ref(), input.from_port, input.to_port),
        input.cidr_ip.as_ref(),
        input.source_security_group_name.as_ref(),
    );
    let revoked_security_group_rules = revoke(tx, &group, &input.security_group_rule_ids, &asked, true)?;
    Ok(RevokeSecurityGroupEgressResult { return_: Some(true), revoked_security_group_rules, ..Default::default() })
}

pub fn describe(
    view: &View<'_>,
    input: &DescribeSecurityGroupRulesRequest,
) -> Answer<DescribeSecurityGroupRulesResult> {
    let of_form = |id: &String| Error::check_form(id, "sgr-", "InvalidSecurityGroupRuleId.Malformed");
    input.security_group_rule_ids.iter().try_for_each(of_form)?;
    let known = |id: &String| view.list::<SecurityGroup>().any(|group| group.rules.iter().any(|rule| rule.id == *id));
    if let Some(missing) = input.security_group_rule_ids.iter().find(|id| !known(id)) {
        return Err(unknown(missing).into());
    }
    let filters = Filters::of(&input.filters, filters::SECURITY_GROUP_RULES)?;
    let mut found = Vec::new();
    for group in view.list::<SecurityGroup>() {
        for rule in &group.rules {
            if !input.security_group_rule_ids.is_empty() && !input.security_group_rule_ids.contains(&rule.id) {
                continue;
            }
            let quick = |name: &str| match name {
                "group-id" => one(&group.id),
                "security-group-rule-id" => one(&rule.id),
                _ => None,
            };
            let shape = || rule_shape(view.scope, &group.id, rule);
            if filters.pass(&rule.tags, quick, || json(&shape())) {
                found.push((rule.id.clone(), shape()));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let (security_group_rules, next_token) = cut(found, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeSecurityGroupRulesResult { security_group_rules, next_token, ..Default::default() })
}

pub(crate) fn cidr_of(peer: &Peer) -> Option<String> {
    if let Peer::Cidr(cidr) = peer { Some(cidr.to_string()) } else { None }
}

pub(crate) fn group_of(peer: &Peer) -> Option<String> {
    if let Peer::Group(id) = peer { Some(id.clone()) } else { None }
}
