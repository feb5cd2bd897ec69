//! Elastic Load Balancing (version 2): application and network load balancers, their listeners and rules, target groups and their targets.
//!
//! Operations write what is wanted. Three controllers drive the rest: [`controllers::balancers`] gives each load balancer its nodes'
//! interfaces and tells its plane the whole configuration; [`controllers::targets`] follows the instances that are registered;
//! [`controllers::names`] keeps the names in DNS. What planes find comes back as reports: health, and metrics.
#![forbid(unsafe_code)]

mod albs;
mod attributes;
mod conditions;
pub mod controllers;
mod ec2;
mod errors;
mod health;
mod metrics;
pub mod model;
mod network;
mod operations;
mod rules;
pub mod shapes;
mod snapshot;
pub mod zones;

pub use errors::Error;

use operations::{
    certificates, limits, listeners, load_balancers, policies, rules as listener_rules, tags, target_groups, targets,
};
use shapes::ops;
use std::time::Duration;
use zonal_cloud::{Controller, Coverage, Entry, Registrar, Service, Tx, read, write};
use zonal_substrate::Report;
use zonal_wire::{Api, Time};

/// How long a Describe waits for what it names.
const SETTLE: Duration = Duration::from_secs(1);

/// The service.
pub struct Elbv2;

impl Service for Elbv2 {
    fn name(&self) -> &'static str {
        "elbv2"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![
            write::<ops::CreateLoadBalancer>(load_balancers::create),
            write::<ops::DeleteLoadBalancer>(load_balancers::delete),
            read::<ops::DescribeLoadBalancers>(load_balancers::describe)
                .settles::<ops::DescribeLoadBalancers>(SETTLE, load_balancers::unsettled),
            write::<ops::SetSecurityGroups>(load_balancers::set_security_groups),
            write::<ops::SetSubnets>(load_balancers::set_subnets),
            write::<ops::SetIpAddressType>(load_balancers::set_ip_address_type),
            read::<ops::DescribeLoadBalancerAttributes>(load_balancers::describe_attributes),
            write::<ops::ModifyLoadBalancerAttributes>(load_balancers::modify_attributes),
            read::<ops::DescribeCapacityReservation>(load_balancers::describe_capacity),
            write::<ops::CreateTargetGroup>(target_groups::create),
            write::<ops::ModifyTargetGroup>(target_groups::modify),
            write::<ops::DeleteTargetGroup>(target_groups::delete),
            read::<ops::DescribeTargetGroups>(target_groups::describe),
            read::<ops::DescribeTargetGroupAttributes>(target_groups::describe_attributes),
            write::<ops::ModifyTargetGroupAttributes>(target_groups::modify_attributes),
            write::<ops::RegisterTargets>(targets::register),
            write::<ops::DeregisterTargets>(targets::deregister),
            read::<ops::DescribeTargetHealth>(targets::describe_health)
                .settles::<ops::DescribeTargetHealth>(SETTLE, targets::unsettled),
            write::<ops::CreateListener>(listeners::create),
            write::<ops::ModifyListener>(listeners::modify),
            write::<ops::DeleteListener>(listeners::delete),
            read::<ops::DescribeListeners>(listeners::describe),
            read::<ops::DescribeListenerAttributes>(listeners::describe_attributes),
            write::<ops::ModifyListenerAttributes>(listeners::modify_attributes),
            write::<ops::AddListenerCertificates>(certificates::add),
            write::<ops::RemoveListenerCertificates>(certificates::remove),
            read::<ops::DescribeListenerCertificates>(certificates::describe),
            write::<ops::CreateRule>(listener_rules::create),
            write::<ops::ModifyRule>(listener_rules::modify),
            write::<ops::DeleteRule>(listener_rules::delete),
            write::<ops::SetRulePriorities>(listener_rules::set_priorities),
            read::<ops::DescribeRules>(listener_rules::describe),
            write::<ops::AddTags>(tags::add),
            write::<ops::RemoveTags>(tags::remove),
            read::<ops::DescribeTags>(tags::describe),
            read::<ops::DescribeAccountLimits>(limits::account),
            read::<ops::DescribeSSLPolicies>(policies::describe),
        ]
    }

    fn controllers(&self) -> Vec<Box<dyn Controller>> {
        vec![
            Box::new(controllers::balancers::Balancers),
            Box::new(controllers::targets::Targets),
            Box::new(controllers::verdicts::Verdicts),
            Box::new(controllers::names::Names),
        ]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<model::LoadBalancer>();
        registrar.record::<model::TargetGroup>();
        registrar.record::<model::Target>();
        registrar.record::<model::TargetHealth>();
        registrar.record::<model::Listener>();
        registrar.record::<model::Rule>();
        registrar.record::<model::Told>();
        registrar.record::<controllers::names::Outages>();
        registrar.record::<controllers::verdicts::Verdict>();
    }

    fn report(&self, tx: &mut Tx<'_>, report: &Report) {
        match report {
            Report::InterfaceReady { id, .. } => controllers::balancers::interface_ready(tx, id),
            Report::TargetHealth(health) => controllers::targets::health_changed(tx, health),
            Report::BalancerMetrics { at, metrics } => {
                metrics.iter().for_each(|report| metrics::put(tx, Time(*at), report));
            }
            _ => {}
        }
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            without_effect: &[
                (
                    "ModifyLoadBalancerAttributes",
                    "Attributes",
                    "kept and shown without effect: access_logs.*, connection_logs.*, health_check_logs.*, \
                     ipv6.deny_all_igw_traffic, waf.fail_open.enabled, \
                     zonal_shift.config.enabled, dns_record.client_routing_policy",
                ),
                (
                    "ModifyTargetGroupAttributes",
                    "Attributes",
                    "kept and shown without effect: load_balancing.algorithm.anomaly_mitigation; of network load \
                     balancers: target_health_state.unhealthy.draining_interval_seconds",
                ),
                (
                    "SetSecurityGroups",
                    "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic",
                    "there is no PrivateLink",
                ),
                (
                    "DescribeTargetHealth",
                    "Include",
                    "no anomaly detection and no administrative override is ever there to show",
                ),
            ],
        }
    }
}
