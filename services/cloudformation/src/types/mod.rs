//! The resource types: for each its properties, its attributes, and the handler that makes, changes and deletes it by the
//! API operations of its service, as its user would.
//!
//! Handlers are level-triggered. [`Handler::create`] is called once; [`Handler::settle`], [`Handler::update`] and
//! [`Handler::delete`] are called again and again until they say [`Progress::Done`], each time looking at what there is and
//! taking the next step towards what is wanted.

mod addresses;
mod alarms;
mod auto_scaling_groups;
mod cdk_metadata;
mod certificates;
mod cidr_collections;
mod composite_alarms;
mod context;
mod group_actions;
mod health_checks;
pub mod identifiers;
mod instances;
mod key_pairs;
mod launch_templates;
mod listener_rules;
mod listeners;
mod load_balancers;
mod network_acls;
mod network_interfaces;
mod parameters;
mod records;
pub mod rolling;
mod routes;
mod scaling_policies;
pub mod schema;
mod security_groups;
pub mod standing;
mod subnets;
mod target_groups;
mod vpcs;
mod wait_conditions;
mod zones;

pub use context::{Context, Failure};

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::template::{Catalog, Resource, TemplateError};
use schema::Property;

/// A resource type.
pub struct ResourceType {
    /// Its name.
    pub name: &'static str,
    /// The properties it takes.
    pub properties: &'static [Property],
    /// What `Fn::GetAtt` gives.
    pub attributes: &'static [&'static str],
    /// How it is made, changed and deleted.
    pub handler: &'static dyn Handler,
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is as wanted.
    Done,
    /// It is on its way; look again when something changes.
    Waiting,
    /// It can't go while something else uses it, which may end.
    Held(Failure),
}

/// Makes, changes and deletes the resources of one type.
pub trait Handler: Sync {
    /// Makes one.
    ///
    /// # Returns
    /// Its physical id.
    ///
    /// # Errors
    /// What the service says; nothing is made then.
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure>;

    /// Whether a new one can be used.
    ///
    /// # Errors
    /// It never will.
    fn settle(&self, _cx: &mut Context<'_, '_>, _id: &str, _properties: &Value) -> Result<Progress, Failure> {
        Ok(Progress::Done)
    }

    /// How long a new one may take until it can be used; `None` as long as anything may.
    fn patience(&self, _properties: &Value) -> Option<Duration> {
        None
    }

    /// Why one failed that took longer.
    fn overdue(&self, _cx: &Context<'_, '_>, _properties: &Value) -> Failure {
        Failure::overdue()
    }

    /// Changes one from some properties to others, of which none needs a replacement. May give it another physical id.
    ///
    /// # Errors
    /// What the service says.
    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure>;

    /// Deletes one; one that is gone is deleted.
    ///
    /// # Errors
    /// What the service says.
    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<Progress, Failure>;

    /// What `Ref` gives.
    fn reference(&self, id: &str) -> String {
        id.to_owned()
    }

    /// What `Fn::GetAtt` gives for one of [`ResourceType::attributes`].
    ///
    /// # Errors
    /// What the service says.
    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, properties: &Value, name: &str) -> Result<Value, Failure>;

    /// Whether an update takes several steps, so that one broken off may have been half made: what restores it is then
    /// told that it has the properties it was going to.
    fn is_stepwise(&self) -> bool {
        false
    }

    /// Whether properties that can usually be changed in place need a replacement this time.
    fn replaces(&self, _old: &Value, _new: &Value) -> bool {
        false
    }
}

/// Types whose own properties are attributes too, as they were written.
const OPEN: [&str; 6] = [
    "AWS::AutoScaling::AutoScalingGroup",
    "AWS::EC2::Instance",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
];

impl ResourceType {
    /// Whether `Fn::GetAtt` gives a property as the template has it.
    pub fn gives_property(&self, name: &str) -> bool {
        OPEN.contains(&self.name)
            && !self.attributes.contains(&name)
            && self.properties.iter().any(|property| property.name == name)
    }

    /// Properties with the stack's tags among their own, for types whose tags can be changed in place: what an update of a
    /// thing is planned and made from, so that a change of the stack's tags reaches its things.
    pub fn with_stack_tags(&self, properties: &Value, tags: &BTreeMap<String, String>) -> Value {
        let takes = |property: &&Property| {
            property.name == "Tags"
                && property.update == schema::Update::InPlace
                && matches!(property.kind, schema::Kind::List(_))
        };
        let mut merged = properties.clone();
        if !self.properties.iter().any(|property| takes(&property)) {
            return merged;
        }
        let mut own = properties.get("Tags").and_then(Value::as_array).cloned().unwrap_or_default();
        let missing = tags.iter().filter(|(key, _)| !own.iter().any(|tag| tag["Key"] == key.as_str()));
        let missing: Vec<Value> = missing.map(|(key, value)| serde_json::json!({"Key": key, "Value": value})).collect();
        own.extend(missing);
        if !own.is_empty() {
            merged["Tags"] = own.into();
        }
        merged
    }
}

/// The types, by file.
const TABLES: [&[ResourceType]; 23] = [
    &[vpcs::VPC, vpcs::INTERNET_GATEWAY, vpcs::ATTACHMENT],
    &[subnets::SUBNET],
    &[routes::ROUTE_TABLE, routes::ROUTE, routes::ASSOCIATION],
    &[security_groups::SECURITY_GROUP, security_groups::INGRESS, security_groups::EGRESS],
    &[instances::INSTANCE],
    &[addresses::EIP, addresses::ASSOCIATION],
    &[launch_templates::LAUNCH_TEMPLATE],
    &[key_pairs::KEY_PAIR],
    &[health_checks::HEALTH_CHECK],
    &[zones::HOSTED_ZONE],
    &[records::RECORD_SET, records::RECORD_SET_GROUP],
    &[load_balancers::LOAD_BALANCER],
    &[target_groups::TARGET_GROUP],
    &[listeners::LISTENER, listener_rules::RULE, listener_rules::CERTIFICATE],
    &[auto_scaling_groups::GROUP, scaling_policies::POLICY, group_actions::SCHEDULED, group_actions::HOOK],
    &[network_acls::NETWORK_ACL, network_acls::ENTRY, network_acls::ASSOCIATION],
    &[network_interfaces::NETWORK_INTERFACE, network_interfaces::ATTACHMENT],
    &[cidr_collections::CIDR_COLLECTION],
    &[certificates::CERTIFICATE],
    &[alarms::ALARM, composite_alarms::COMPOSITE, composite_alarms::DASHBOARD],
    &[parameters::PARAMETER],
    &[cdk_metadata::CDK_METADATA],
    &[wait_conditions::HANDLE, wait_conditions::CONDITION],
];

/// The type of that name.
pub fn named(name: &str) -> Option<&'static ResourceType> {
    TABLES.into_iter().flatten().find(|known| known.name == name)
}

/// The property by which a template names a thing itself, for types where two can't have one name.
pub fn name_property(type_name: &str) -> Option<&'static str> {
    match type_name {
        "AWS::AutoScaling::AutoScalingGroup" => Some("AutoScalingGroupName"),
        "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::CompositeAlarm" => Some("AlarmName"),
        "AWS::CloudWatch::Dashboard" => Some("DashboardName"),
        "AWS::EC2::KeyPair" => Some("KeyName"),
        "AWS::EC2::LaunchTemplate" => Some("LaunchTemplateName"),
        "AWS::EC2::SecurityGroup" => Some("GroupName"),
        "AWS::ElasticLoadBalancingV2::LoadBalancer" | "AWS::ElasticLoadBalancingV2::TargetGroup" => Some("Name"),
        "AWS::SSM::Parameter" => Some("Name"),
        _ => None,
    }
}

/// All types, in the order of their names.
pub fn all() -> Vec<&'static ResourceType> {
    let mut all: Vec<_> = TABLES.into_iter().flatten().collect();
    all.sort_by_key(|known| known.name);
    all
}

/// The type table as templates are checked against it.
#[derive(Debug, Clone, Copy)]
pub struct Types;

impl Catalog for Types {
    fn knows(&self, type_name: &str) -> bool {
        named(type_name).is_some()
    }

    fn names(&self) -> Vec<&'static str> {
        all().iter().map(|known| known.name).collect()
    }

    fn has_attribute(&self, type_name: &str, attribute: &str) -> bool {
        named(type_name).is_some_and(|known| known.attributes.contains(&attribute) || known.gives_property(attribute))
    }

    fn check_properties(&self, _logical_id: &str, resource: &Resource) -> Result<(), TemplateError> {
        match named(&resource.type_name) {
            Some(known) => {
                schema::check(known.properties, resource)?;
                wait_conditions::check(resource)?;
                crate::attributes::check(resource)
            }
            None => Ok(()),
        }
    }
}
