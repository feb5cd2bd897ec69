//! Network access lists.

use super::{Answer, Selection, cidr, filters, json, one, protocols, shown, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{Acl, AclAssociation, AclRule};
use crate::shapes::{self, *};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use zonal_cloud::{Tx, View};

/// The words in "does not exist".
pub(crate) const UNKNOWN: (&str, &str) = ("InvalidNetworkAclID.NotFound", "networkAcl");
/// The number of the entry that denies what no other matches.
const LAST: i32 = 32767;

fn acl<'a>(view: &View<'a>, id: &str) -> Result<&'a Acl, Error> {
    view.get::<Acl>(id).ok_or_else(|| Error::not_found(UNKNOWN.0, UNKNOWN.1, id))
}

pub fn create(tx: &mut Tx<'_>, input: &CreateNetworkAclRequest) -> Answer<CreateNetworkAclResult> {
    super::vpcs::vpc(&tx.view(), &input.vpc_id)?;
    let tags = specified(tx, &input.tag_specifications, "network-acl", &["network-acl"])?;
    let acl = Acl {
        id: tx.id("acl-"),
        vpc: input.vpc_id.clone(),
        is_default: false,
        rules: Vec::new(),
        associations: Vec::new(),
        tags,
    };
    tx.put(acl.clone());
    Ok(CreateNetworkAclResult { network_acl: Some(shape(&tx.scope.account, &acl)), ..Default::default() })
}

pub fn describe(view: &View<'_>, input: &DescribeNetworkAclsRequest) -> Answer<DescribeNetworkAclsResult> {
    let selection = Selection {
        ids: &input.network_acl_ids,
        filters: &input.filters,
        names: filters::NETWORK_ACLS,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: UNKNOWN,
    };
    let (acls, next_token) = selection.of(
        view.among::<Acl>(&input.network_acl_ids),
        |acl| &acl.id,
        |acl| &acl.tags,
        |acl, name| match name {
            "network-acl-id" | "association.network-acl-id" => one(&acl.id),
            "vpc-id" => one(&acl.vpc),
            "default" => one(acl.is_default),
            "owner-id" => one(&view.scope.account),
            "association.subnet-id" => Some(acl.associations.iter().map(|a| a.subnet.clone()).collect()),
            "association.association-id" => Some(acl.associations.iter().map(|a| a.id.clone()).collect()),
            _ => None,
        },
        |acl| json(&shape(&view.scope.account, acl)),
    )?;
    let network_acls = acls.into_iter().map(|acl| shape(&view.scope.account, acl)).collect();
    Ok(DescribeNetworkAclsResult { network_acls, next_token, ..Default::default() })
}

fn shape(account: &str, acl: &Acl) -> NetworkAcl {
    let last = |egress| AclRule {
        egress,
        number: LAST,
        allow: false,
        protocol: "-1".to_owned(),
        ports: None,
        icmp: None,
        cidr: Ipv4Net::default().into(),
    };
    let mut rules: Vec<AclRule> = acl.rules.iter().cloned().chain([last(false), last(true)]).collect();
    rules.sort_by_key(|rule| (!rule.egress, rule.number));
    NetworkAcl {
        network_acl_id: text(&acl.id),
        vpc_id: text(&acl.vpc),
        owner_id: text(account),
        is_default: Some(acl.is_default),
        entries: rules.iter().map(entry).collect(),
        associations: acl
            .associations
            .iter()
            .map(|association| NetworkAclAssociation {
                network_acl_association_id: text(&association.id),
                network_acl_id: text(&acl.id),
                subnet_id: text(&association.subnet),
                ..Default::default()
            })
            .collect(),
        tags: tag_list(&acl.tags),
        ..Default::default()
    }
}

fn entry(rule: &AclRule) -> NetworkAclEntry {
    NetworkAclEntry {
        egress: Some(rule.egress),
        rule_number: Some(rule.number),
        rule_action: Some(if rule.allow { RuleAction::Allow } else { RuleAction::Deny }),
        protocol: text(&rule.protocol),
        port_range: rule.ports.map(|(from, to)| shapes::PortRange {
            from: Some(from),
            to: Some(to),
            ..Default::default()
        }),
        icmp_type_code: rule.icmp.map(|(kind, code)| IcmpTypeCode {
            type_: Some(kind),
            code: Some(code),
            ..Default::default()
        }),
        cidr_block: if let IpNet::V4(cidr) = rule.cidr { shown(cidr) } else { None },
        ipv6_cidr_block: if let IpNet::V6(cidr) = rule.cidr { shown(cidr) } else { None },
        ..Default::default()
    }
}

pub fn create_entry(tx: &mut Tx<'_>, input: &CreateNetworkAclEntryRequest) -> Answer<CreateNetworkAclEntryOutput> {
    let own = acl(&tx.view(), &input.network_acl_id)?.clone();
    if !(1..LAST).contains(&input.rule_number) {
        let text =
            format!("Value ({}) for parameter ruleNumber is invalid. Valid values: 1 to 32766.", input.rule_number);
        return Err(Error::InvalidParameterValue(text).into());
    }
    if own.rules.iter().any(|rule| rule.number == input.rule_number && rule.egress == input.egress) {
        let text = format!("The network acl entry identified by {} already exists.", input.rule_number);
        return Err(Error::Coded("NetworkAclEntryAlreadyExists", text).into());
    }
    let rule = rule(input)?;
    tx.update::<Acl, _>(&own.id, |acl| {
        acl.rules.push(rule);
        acl.rules.sort_by_key(|rule| (rule.egress, rule.number));
    });
    Ok(CreateNetworkAclEntryOutput::default())
}

/// The entry that a call describes.
fn rule(input: &CreateNetworkAclEntryRequest) -> Answer<AclRule> {
    let cidr = match (&input.cidr_block, &input.ipv6_cidr_block) {
        (Some(range), None) => IpNet::V4(cidr(range, "cidrBlock")?),
        (None, Some(range)) => IpNet::V6(range.parse::<Ipv6Net>().map(|range| range.trunc()).map_err(|_| {
            let text =
                format!("Value ({range}) for parameter ipv6CidrBlock is invalid. This is not a valid CIDR block.");
            Error::InvalidParameterValue(text)
        })?),
        (None, None) => return Err(Error::MissingParameter("CidrBlock".to_owned()).into()),
        (Some(_), Some(_)) => {
            let text = "The parameter cidrBlock cannot be used with the parameter ipv6CidrBlock";
            return Err(Error::InvalidParameterCombination(text.to_owned()).into());
        }
    };
    let number = protocols::number(&input.protocol)?;
    // Other protocols have neither: AWS lets pass all of such a protocol, whatever is given.
    let (mut ports, mut icmp) = (None, None);
    match number {
        Some(6 | 17) => {
            let given = input.port_range.as_ref().and_then(|range| range.from.zip(range.to));
            let (from, to) = given.ok_or_else(|| Error::MissingParameter("PortRange".to_owned()))?;
            protocols::check_ports(from, to)?;
            ports = Some((from, to));
        }
        Some(1 | 58) if number == Some(1) || matches!(cidr, IpNet::V6(_)) => {
            let given = input.icmp_type_code.as_ref();
            let given = given.ok_or_else(|| Error::MissingParameter("IcmpTypeCode".to_owned()))?;
            let (kind, code) = (given.type_.unwrap_or(-1), given.code.unwrap_or(-1));
            protocols::check_icmp(kind, code)?;
            icmp = Some((kind, code));
        }
        _ => {}
    }
    Ok(AclRule {
        egress: input.egress,
        number: input.rule_number,
        allow: input.rule_action == RuleAction::Allow,
        protocol: number.map_or_else(|| "-1".to_owned(), |number| number.to_string()),
        ports,
        icmp,
        cidr,
    })
}

pub fn replace_entry(tx: &mut Tx<'_>, input: &ReplaceNetworkAclEntryRequest) -> Answer<ReplaceNetworkAclEntryOutput> {
    acl(&tx.view(), &input.network_acl_id)?;
    // The two calls take the same members.
    let new = rule(&CreateNetworkAclEntryRequest {
        network_acl_id: input.network_acl_id.clone(),
        rule_number: input.rule_number,
        protocol: input.protocol.clone(),
        rule_action: input.rule_action,
        egress: input.egress,
        cidr_block: input.cidr_block.clone(),
        ipv6_cidr_block: input.ipv6_cidr_block.clone(),
        icmp_type_code: input.icmp_type_code.clone(),
        port_range: input.port_range.clone(),
        ..Default::default()
    })?;
    let (number, egress) = (input.rule_number, input.egress);
    let replaced = tx.update::<Acl, _>(&input.network_acl_id, |acl| {
        let own = acl.rules.iter_mut().find(|rule| (rule.number, rule.egress) == (number, egress));
        own.map(|own| *own = new).is_some()
    });
    if replaced != Some(true) {
        return Err(no_entry(number).into());
    }
    Ok(ReplaceNetworkAclEntryOutput::default())
}

fn no_entry(number: i32) -> Error {
    let text = format!("The network acl entry identified by {number} does not exist.");
    Error::Coded("InvalidNetworkAclEntry.NotFound", text)
}

pub fn delete_entry(tx: &mut Tx<'_>, input: &DeleteNetworkAclEntryRequest) -> Answer<DeleteNetworkAclEntryOutput> {
    acl(&tx.view(), &input.network_acl_id)?;
    let removed = tx.update::<Acl, _>(&input.network_acl_id, |acl| {
        let before = acl.rules.len();
        acl.rules.retain(|rule| (rule.number, rule.egress) != (input.rule_number, input.egress));
        acl.rules.len() < before
    });
    if removed != Some(true) {
        return Err(no_entry(input.rule_number).into());
    }
    Ok(DeleteNetworkAclEntryOutput::default())
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteNetworkAclRequest) -> Answer<DeleteNetworkAclOutput> {
    let own = acl(&tx.view(), &input.network_acl_id)?;
    if own.is_default || !own.associations.is_empty() {
        return Err(Error::DependencyViolation("networkAcl", own.id.clone()).into());
    }
    tx.remove::<Acl>(&input.network_acl_id);
    Ok(DeleteNetworkAclOutput::default())
}

pub fn replace_association(
    tx: &mut Tx<'_>,
    input: &ReplaceNetworkAclAssociationRequest,
) -> Answer<ReplaceNetworkAclAssociationResult> {
    acl(&tx.view(), &input.network_acl_id)?;
    let found = tx.list::<Acl>().find_map(|acl| {
        acl.associations
            .iter()
            .find(|association| association.id == input.association_id)
            .map(|a| (acl.id.clone(), a.clone()))
    });
    let Some((old, association)) = found else {
        let text = format!("The association ID '{}' does not exist", input.association_id);
        return Err(Error::Coded("InvalidAssociationID.NotFound", text).into());
    };
    let vpc = acl(&tx.view(), &input.network_acl_id)?.vpc.clone();
    if tx.get::<Acl>(&old).is_some_and(|old| old.vpc != vpc) {
        let text = format!(
            "Network ACL {} and subnet {} belong to different networks",
            input.network_acl_id, association.subnet
        );
        return Err(Error::InvalidParameterValue(text).into());
    }
    let id = tx.id("aclassoc-");
    tx.update::<Acl, _>(&old, |acl| acl.associations.retain(|own| own.id != association.id));
    let new = AclAssociation { id: id.clone(), subnet: association.subnet };
    tx.update::<Acl, _>(&input.network_acl_id, |acl| acl.associations.push(new));
    Ok(ReplaceNetworkAclAssociationResult { new_association_id: text(id), ..Default::default() })
}
