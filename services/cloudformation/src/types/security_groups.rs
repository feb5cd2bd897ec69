//! `AWS::EC2::SecurityGroup`, `AWS::EC2::SecurityGroupIngress`, `AWS::EC2::SecurityGroupEgress`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, text};
use super::schema::{Kind, Property, TAGS, Update::*, number, text as member};
use super::{Handler, Progress, ResourceType};

const INGRESS_RULE: &[Property] = &[
    member("IpProtocol").required(),
    number("FromPort"),
    number("ToPort"),
    member("CidrIp"),
    member("CidrIpv6"),
    member("SourceSecurityGroupId"),
    member("SourceSecurityGroupName"),
    member("SourceSecurityGroupOwnerId"),
    member("SourcePrefixListId"),
    member("Description"),
];

const EGRESS_RULE: &[Property] = &[
    member("IpProtocol").required(),
    number("FromPort"),
    number("ToPort"),
    member("CidrIp"),
    member("CidrIpv6"),
    member("DestinationSecurityGroupId"),
    member("DestinationPrefixListId"),
    member("Description"),
];

/// A security group.
pub const SECURITY_GROUP: ResourceType = ResourceType {
    name: "AWS::EC2::SecurityGroup",
    properties: &[
        Replace.text("GroupDescription").required(),
        Replace.text("GroupName"),
        Replace.text("VpcId"),
        InPlace.of("SecurityGroupIngress", Kind::List(&Kind::Object(INGRESS_RULE))),
        InPlace.of("SecurityGroupEgress", Kind::List(&Kind::Object(EGRESS_RULE))),
        TAGS,
    ],
    attributes: &["GroupId", "VpcId", "Id", "GroupName"],
    handler: &SecurityGroup,
};

/// The two directions of a group's rules: property, operations' suffix, and the name of the peer group.
const INGRESS_SIDE: Side = Side {
    property: "SecurityGroupIngress",
    suffix: "Ingress",
    peer: "SourceSecurityGroupId",
    prefix: "SourcePrefixListId",
};
const EGRESS_SIDE: Side = Side {
    property: "SecurityGroupEgress",
    suffix: "Egress",
    peer: "DestinationSecurityGroupId",
    prefix: "DestinationPrefixListId",
};

struct Side {
    property: &'static str,
    suffix: &'static str,
    peer: &'static str,
    prefix: &'static str,
}

impl Side {
    /// A rule as EC2 takes it.
    fn permission(&self, rule: &Value) -> Value {
        let mut permission = Map::new();
        for name in ["IpProtocol", "FromPort", "ToPort"] {
            if let Some(value) = rule.get(name) {
                permission.insert(name.to_owned(), value.clone());
            }
        }
        let peers = [
            ("CidrIp", "IpRanges", "CidrIp"),
            ("CidrIpv6", "Ipv6Ranges", "CidrIpv6"),
            (self.peer, "UserIdGroupPairs", "GroupId"),
            ("SourceSecurityGroupName", "UserIdGroupPairs", "GroupName"),
            (self.prefix, "PrefixListIds", "PrefixListId"),
        ];
        for (name, list, wire) in peers {
            if let Some(value) = rule.get(name) {
                let mut peer = json!({wire: value});
                if let Some(owner) = rule.get("SourceSecurityGroupOwnerId").filter(|_| list == "UserIdGroupPairs") {
                    peer["UserId"] = owner.clone();
                }
                if let Some(description) = rule.get("Description") {
                    peer["Description"] = description.clone();
                }
                permission.insert(list.to_owned(), json!([peer]));
            }
        }
        permission.into()
    }

    fn authorize(&self, cx: &mut Context<'_, '_>, group: &str, rules: &[&Value]) -> Result<Value, Failure> {
        let permissions: Vec<Value> = rules.iter().map(|rule| self.permission(rule)).collect();
        cx.ec2(
            &format!("AuthorizeSecurityGroup{}", self.suffix),
            json!({"GroupId": group, "IpPermissions": permissions}),
        )
    }

    fn revoke(&self, cx: &mut Context<'_, '_>, group: &str, rules: &[&Value]) -> Result<Value, Failure> {
        let permissions: Vec<Value> = rules.iter().map(|rule| self.permission(rule)).collect();
        cx.ec2(&format!("RevokeSecurityGroup{}", self.suffix), json!({"GroupId": group, "IpPermissions": permissions}))
    }

    /// The group's rules go from the old list to the new one; what is in both is not touched.
    fn change(&self, cx: &mut Context<'_, '_>, group: &str, old: &[Value], new: &[Value]) -> Result<(), Failure> {
        let gone: Vec<&Value> = old.iter().filter(|rule| !new.contains(rule)).collect();
        let come: Vec<&Value> = new.iter().filter(|rule| !old.contains(rule)).collect();
        if !gone.is_empty() {
            self.revoke(cx, group, &gone)?;
        }
        if !come.is_empty() {
            self.authorize(cx, group, &come)?;
        }
        Ok(())
    }

    fn rules<'v>(&self, properties: &'v Value) -> &'v [Value] {
        properties.get(self.property).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

struct SecurityGroup;

impl SecurityGroup {
    /// The egress rules that a group has: EC2 gives a new one a rule that lets everything out.
    fn egress(properties: &Value) -> Vec<Value> {
        match EGRESS_SIDE.rules(properties) {
            [] => vec![json!({"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"})],
            rules => rules.to_vec(),
        }
    }
}

impl Handler for SecurityGroup {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = Map::new();
        let name = match properties.get("GroupName") {
            Some(name) => name.clone(),
            None => Value::from(cx.name(255)),
        };
        input.insert("GroupName".to_owned(), name);
        input.insert("Description".to_owned(), properties["GroupDescription"].clone());
        if let Some(vpc) = properties.get("VpcId") {
            input.insert("VpcId".to_owned(), vpc.clone());
        }
        input.insert("TagSpecifications".to_owned(), cx.tag_specifications("security-group", properties));
        let made = cx.ec2("CreateSecurityGroup", input.into())?;
        let id = text(&made, "GroupId").to_owned();
        INGRESS_SIDE.change(cx, &id, &[], INGRESS_SIDE.rules(properties))?;
        EGRESS_SIDE.change(cx, &id, &Self::egress(&json!({})), &Self::egress(properties))?;
        Ok(id)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        INGRESS_SIDE.change(cx, id, INGRESS_SIDE.rules(old), INGRESS_SIDE.rules(new))?;
        EGRESS_SIDE.change(cx, id, &Self::egress(old), &Self::egress(new))?;
        cx.retag_ec2(id, old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DeleteSecurityGroup", json!({"GroupId": id})))
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        if name == "VpcId" || name == "GroupName" {
            let group = cx.get("ec2", "DescribeSecurityGroups", json!({"GroupIds": [id]}), "SecurityGroups")?;
            return Ok(group[name].clone());
        }
        Ok(Value::from(id))
    }
}

/// A rule that lets something in.
pub const INGRESS: ResourceType = ResourceType {
    name: "AWS::EC2::SecurityGroupIngress",
    properties: &[
        Replace.text("GroupId"),
        Replace.text("GroupName"),
        Replace.text("IpProtocol").required(),
        Replace.number("FromPort"),
        Replace.number("ToPort"),
        Replace.text("CidrIp"),
        Replace.text("CidrIpv6"),
        Replace.text("SourceSecurityGroupId"),
        Replace.text("SourceSecurityGroupName"),
        Replace.text("SourceSecurityGroupOwnerId"),
        Replace.text("SourcePrefixListId"),
        InPlace.text("Description"),
    ],
    attributes: &["Id"],
    handler: &Rule(INGRESS_SIDE),
};

/// A rule that lets something out.
pub const EGRESS: ResourceType = ResourceType {
    name: "AWS::EC2::SecurityGroupEgress",
    properties: &[
        Replace.text("GroupId").required(),
        Replace.text("IpProtocol").required(),
        Replace.number("FromPort"),
        Replace.number("ToPort"),
        Replace.text("CidrIp"),
        Replace.text("CidrIpv6"),
        Replace.text("DestinationSecurityGroupId"),
        Replace.text("DestinationPrefixListId"),
        InPlace.text("Description"),
    ],
    attributes: &["Id"],
    handler: &Rule(EGRESS_SIDE),
};

struct Rule(Side);

/// The rule's group by its id, or, in the default VPC, by its name.
fn group_of(cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
    if let Some(id) = properties.get("GroupId").and_then(Value::as_str) {
        return Ok(id.to_owned());
    }
    let input = json!({"GroupNames": [text(properties, "GroupName")]});
    let found = cx.ec2("DescribeSecurityGroups", input)?;
    Ok(text(&found["SecurityGroups"][0], "GroupId").to_owned())
}

impl Handler for Rule {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let group = group_of(cx, properties)?;
        let made = self.0.authorize(cx, &group, &[properties])?;
        Ok(text(&made["SecurityGroupRules"][0], "SecurityGroupRuleId").to_owned())
    }

    /// Only its description can be another one.
    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, _: &Value, new: &Value) -> Result<Progress, Failure> {
        let group = group_of(cx, new)?;
        let rule = json!({"SecurityGroupRuleId": *id, "Description": text(new, "Description")});
        let input = json!({"GroupId": group, "SecurityGroupRuleDescriptions": [rule]});
        cx.ec2(&format!("UpdateSecurityGroupRuleDescriptions{}", self.0.suffix), input)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<Progress, Failure> {
        let group = match group_of(cx, properties) {
            Ok(group) => group,
            Err(failure) if failure.is_absence() => return Ok(Progress::Done),
            Err(failure) => return Err(failure),
        };
        let input = json!({"GroupId": group, "SecurityGroupRuleIds": [id]});
        deleted(cx.ec2(&format!("RevokeSecurityGroup{}", self.0.suffix), input))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}
