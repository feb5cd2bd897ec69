//! Changes of rules that a security group has: what they let through, and their descriptions.

use super::{Answer, groups, rules};
use crate::errors::Error;
use crate::model::{GroupRule, Peer, SecurityGroup};
use crate::shapes::*;
use zonal_cloud::Tx;

/// `ModifySecurityGroupRules`: each rule named becomes what is said, whole; its id and its tags stay.
pub fn modify(tx: &mut Tx<'_>, input: &ModifySecurityGroupRulesRequest) -> Answer<ModifySecurityGroupRulesResult> {
    let mut group = groups::group(&tx.view(), &input.group_id)?.clone();
    for update in &input.security_group_rules {
        let id = &update.security_group_rule_id;
        let at = place(&group, id)?;
        let Some(wanted) = &update.security_group_rule else {
            return Err(Error::MissingParameter("SecurityGroupRule".to_owned()).into());
        };
        let old = &group.rules[at];
        let made = rules::rules_of(&tx.view(), &permission(wanted), &group.vpc, old.egress)?;
        let [new] = made.as_slice() else {
            let text = "A rule has exactly one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId.";
            return Err(Error::InvalidParameterCombination(text.to_owned()).into());
        };
        if !same_kind(&old.peer, &new.peer) {
            let text = format!("The security group rule '{id}' cannot be changed to another type of source.");
            return Err(Error::InvalidParameterValue(text).into());
        }
        if group.rules.iter().any(|other| other.id != *id && other.same_as(new)) {
            let text = "The specified rule already exists in this security group.";
            return Err(Error::Coded("InvalidPermission.Duplicate", text.to_owned()).into());
        }
        group.rules[at] = GroupRule { id: id.clone(), tags: old.tags.clone(), ..new.clone() };
    }
    tx.put(group);
    Ok(ModifySecurityGroupRulesResult { return_: Some(true), ..Default::default() })
}

fn place(group: &SecurityGroup, id: &str) -> Result<usize, Error> {
    group.rules.iter().position(|rule| rule.id == id).ok_or_else(|| rules::unknown(id))
}

/// A single rule in the form that authorizing takes.
fn permission(rule: &SecurityGroupRuleRequest) -> IpPermission {
    let description = || rule.description.clone();
    let range =
        |cidr: &String| IpRange { cidr_ip: Some(cidr.clone()), description: description(), ..Default::default() };
    let range6 =
        |cidr: &String| Ipv6Range { cidr_ipv6: Some(cidr.clone()), description: description(), ..Default::default() };
    let group =
        |id: &String| UserIdGroupPair { group_id: Some(id.clone()), description: description(), ..Default::default() };
    let list = |id: &String| PrefixListId {
        prefix_list_id: Some(id.clone()),
        description: description(),
        ..Default::default()
    };
    IpPermission {
        ip_protocol: rule.ip_protocol.clone(),
        from_port: rule.from_port,
        to_port: rule.to_port,
        ip_ranges: rule.cidr_ipv4.iter().map(range).collect(),
        ipv6_ranges: rule.cidr_ipv6.iter().map(range6).collect(),
        user_id_group_pairs: rule.referenced_group_id.iter().map(group).collect(),
        prefix_list_ids: rule.prefix_list_id.iter().map(list).collect(),
        ..Default::default()
    }
}

fn same_kind(a: &Peer, b: &Peer) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// What a call to change descriptions says: rules by id, or by what they let through.
struct Described<'a> {
    group: SecurityGroup,
    permissions: &'a [IpPermission],
    by_id: &'a [SecurityGroupRuleDescription],
    egress: bool,
}

impl Described<'_> {
    fn update(mut self, tx: &mut Tx<'_>) -> Answer<()> {
        if self.permissions.is_empty() && self.by_id.is_empty() {
            return Err(Error::MissingParameter("IpPermissions".to_owned()).into());
        }
        for named in self.by_id {
            let id = named.security_group_rule_id.as_deref().unwrap_or_default();
            let at = place(&self.group, id)?;
            self.group.rules[at].description.clone_from(&named.description);
        }
        for permission in self.permissions {
            for wanted in rules::rules_of(&tx.view(), permission, &self.group.vpc, self.egress)? {
                let Some(own) = self.group.rules.iter_mut().find(|own| own.same_as(&wanted)) else {
                    let text = "The specified rule does not exist in this security group.";
                    return Err(Error::Coded("InvalidPermission.NotFound", text.to_owned()).into());
                };
                own.description = wanted.description;
            }
        }
        tx.put(self.group);
        Ok(())
    }
}

pub fn describe_ingress(
    tx: &mut Tx<'_>,
    input: &UpdateSecurityGroupRuleDescriptionsIngressRequest,
) -> Answer<UpdateSecurityGroupRuleDescriptionsIngressResult> {
    let group = groups::named(&tx.view(), input.group_id.as_ref(), input.group_name.as_ref())?;
    let (permissions, by_id) = (&input.ip_permissions, &input.security_group_rule_descriptions);
    Described { group, permissions, by_id, egress: false }.update(tx)?;
    Ok(UpdateSecurityGroupRuleDescriptionsIngressResult { return_: Some(true), ..Default::default() })
}

pub fn describe_egress(
    tx: &mut Tx<'_>,
    input: &UpdateSecurityGroupRuleDescriptionsEgressRequest,
) -> Answer<UpdateSecurityGroupRuleDescriptionsEgressResult> {
    let group = groups::named(&tx.view(), input.group_id.as_ref(), input.group_name.as_ref())?;
    let (permissions, by_id) = (&input.ip_permissions, &input.security_group_rule_descriptions);
    Described { group, permissions, by_id, egress: true }.update(tx)?;
    Ok(UpdateSecurityGroupRuleDescriptionsEgressResult { return_: Some(true), ..Default::default() })
}
