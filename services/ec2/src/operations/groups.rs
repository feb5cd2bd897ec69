//! Security groups.

use super::rules::{cidr_of, group_of};
use super::{Answer, Selection, filters, json, one, shown, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{GroupRule, Interface, Peer, SecurityGroup, Vpc};
use crate::shapes::{self, *};
use ipnet::Ipv4Net;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};

/// The words in "does not exist".
const UNKNOWN: &str = "InvalidGroup.NotFound";

pub(crate) fn group<'a>(view: &View<'a>, id: &str) -> Result<&'a SecurityGroup, Error> {
    Error::check_form(id, "sg-", "InvalidGroupId.Malformed")?;
    view.get::<SecurityGroup>(id).ok_or_else(|| unknown(id))
}

pub(crate) fn unknown(id: &str) -> Error {
    Error::Coded(UNKNOWN, format!("The security group '{id}' does not exist"))
}

/// The group that a call names by id, or by name in the default VPC.
pub(crate) fn named(view: &View<'_>, id: Option<&String>, name: Option<&String>) -> Result<SecurityGroup, Error> {
    match (id, name) {
        (Some(id), _) => group(view, id).cloned(),
        (None, Some(name)) => by_name(view, name, None).cloned(),
        (None, None) => Err(Error::MissingParameter("GroupName or GroupId".to_owned())),
    }
}

/// The group of that name in a VPC, or in the default one.
pub(crate) fn by_name<'a>(view: &View<'a>, name: &str, vpc: Option<&str>) -> Result<&'a SecurityGroup, Error> {
    let vpc = vpc.or_else(|| view.list::<Vpc>().find(|vpc| vpc.is_default && !vpc.deleting).map(|vpc| vpc.id.as_str()));
    view.owned_by::<SecurityGroup>(name)
        .find(|group| group.name == name && Some(group.vpc.as_str()) == vpc)
        .ok_or_else(|| Error::Coded(UNKNOWN, format!("The security group '{name}' does not exist in default VPC")))
}

/// The most groups that an interface may be in. Source: "Amazon VPC quotas" in the VPC User Guide.
const MAX_PER_INTERFACE: usize = 5;

/// Checks the groups that an interface is to be in: they exist, are of its VPC (`of` says whose that is), and not too many.
pub(crate) fn check_membership(view: &View<'_>, ids: &[String], vpc: &str, of: &str) -> Result<(), Error> {
    for id in ids {
        if group(view, id)?.vpc != vpc {
            let text = format!("Security group {id} and {of} belong to different networks.");
            return Err(Error::Coded("InvalidParameter", text));
        }
    }
    if ids.len() > MAX_PER_INTERFACE {
        let text = "The maximum number of security groups per interface has been reached.";
        return Err(Error::Coded("SecurityGroupsPerInterfaceLimitExceeded", text.to_owned()));
    }
    Ok(())
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

/// What a group may be called. Source: CreateSecurityGroup in the EC2 API Reference.
fn check_name(name: &str) -> Result<(), Error> {
    if name == "default" {
        let text = "Cannot use reserved security group name: default";
        return Err(Error::InvalidParameterValue(text.to_owned()));
    }
    if name.starts_with("sg-") {
        let text = format!("Invalid value '{name}' for groupName. Security group names cannot begin with 'sg-'.");
        return Err(Error::InvalidParameterValue(text));
    }
    check_text(name, "GroupName")
}

/// Checks a name or a description: up to 255 characters of letters, digits, spaces and `._-:/()#,@[]+=&;{}!$*`.
fn check_text(text: &str, parameter: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    let because = if text.is_empty() || text.len() > 255 {
        "It must be 1 to 255 characters long."
    } else if !text.is_ascii() {
        "Character sets beyond ASCII are not supported."
    } else if !text.chars().all(allowed) {
        "Valid characters: a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*"
    } else {
        return Ok(());
    };
    Err(Error::InvalidParameterValue(format!("Value ({text}) for parameter {parameter} is invalid. {because}")))
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
    check_name(name)?;
    check_text(&input.description, "GroupDescription")?;
    if tx.owned_by::<SecurityGroup>(name).any(|group| group.vpc == vpc && group.name == *name) {
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
        names: filters::SECURITY_GROUPS,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: (UNKNOWN, "security group"),
    };
    let (groups, next_token) = selection.of(
        view.among::<SecurityGroup>(&input.group_ids).filter(|group| wanted(group)),
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
        |group| json(&shape(view, group)),
    )?;
    let security_groups = groups.into_iter().map(|group| shape(view, group)).collect();
    Ok(DescribeSecurityGroupsResult { next_token, security_groups, ..Default::default() })
}

fn shape(view: &View<'_>, group: &SecurityGroup) -> shapes::SecurityGroup {
    shapes::SecurityGroup {
        group_id: text(&group.id),
        group_name: text(&group.name),
        description: text(&group.description),
        vpc_id: text(&group.vpc),
        owner_id: text(&*view.scope.account),
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
                permission.ip_ranges.push(IpRange { cidr_ip: shown(cidr), description, ..Default::default() })
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

/// Whether a member of the group that is to be deleted is on its way out.
pub fn leaving(view: &View<'_>, input: &DeleteSecurityGroupRequest) -> bool {
    let id = input.group_id.as_ref();
    id.is_some_and(|id| super::interfaces::leaving(view, |interface| interface.groups.contains(id)))
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteSecurityGroupRequest) -> Answer<DeleteSecurityGroupResult> {
    let group = named(&tx.view(), input.group_id.as_ref(), input.group_name.as_ref())?;
    if group.name == "default" {
        let text = format!("the specified group: \"{}\" name: \"default\" cannot be deleted by a user", group.id);
        return Err(Error::Coded("CannotDelete", text).into());
    }
    let names = |rule: &GroupRule| matches!(&rule.peer, Peer::Group(id) if *id == group.id);
    let referenced =
        tx.owned_by::<SecurityGroup>(&group.id).any(|other| other.id != group.id && other.rules.iter().any(names));
    if referenced || tx.owned_by::<Interface>(&group.id).any(|interface| interface.groups.contains(&group.id)) {
        let text = format!("resource {} has a dependent object", group.id);
        return Err(Error::Coded("DependencyViolation", text).into());
    }
    tx.remove::<SecurityGroup>(&group.id);
    Ok(DeleteSecurityGroupResult { return_: Some(true), group_id: text(group.id), ..Default::default() })
}
