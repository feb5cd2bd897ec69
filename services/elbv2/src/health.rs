//! A target's health: what its record says before what the balancer found. Source: Elastic Load Balancing API reference,
//! `TargetHealth`; User Guide for Application Load Balancers, "Target health status" and "Health check reason codes".

use crate::albs;
use crate::attributes;
use crate::model::{Listener, LoadBalancer, Rule, Target, TargetGroup, TargetStage};
use crate::operations::balancer_of_group;
use crate::shapes::{TargetHealth, TargetHealthReasonEnum as Reason, TargetHealthStateEnum as State};
use std::collections::BTreeSet;
use zonal_balancer::config::{HealthReason, HealthState};
use zonal_cloud::View;

fn health(state: State, reason: Reason, description: impl Into<String>) -> TargetHealth {
    TargetHealth { state: Some(state), reason: Some(reason), description: Some(description.into()) }
}

/// The health of a target that is not registered.
#[must_use]
pub fn not_registered() -> TargetHealth {
    health(State::Unused, Reason::TargetNotRegistered, "Target is not registered to the target group")
}

/// The health of a target.
#[must_use]
pub fn of_target(view: &View<'_>, target: &Target) -> TargetHealth {
    match &target.stage {
        TargetStage::Draining(_) => {
            return health(
                State::Draining,
                Reason::TargetDeregistrationInProgress,
                "Target deregistration is in progress",
            );
        }
        TargetStage::Invalid(state) => {
            return health(State::Unused, Reason::TargetInvalidState, format!("Target is in the {state} state"));
        }
        TargetStage::Registered => {}
    }
    let Some(balancer) = balancer_of_group(view, &target.group).and_then(|arn| view.get::<LoadBalancer>(arn)) else {
        let text = "Target group is not configured to receive traffic from the load balancer";
        return health(State::Unused, Reason::TargetNotInUse, text);
    };
    if target.zone != "all" && balancer.serving().all(|node| node.zone != target.zone) {
        let text = "Target is in an Availability Zone that is not enabled for the load balancer";
        return health(State::Unused, Reason::TargetNotInUse, text);
    }
    if balancer.serving().any(|node| node.interface.as_ref().is_some_and(|own| Some(own.address) == target.address)) {
        let text = "Target IP address is in use by a load balancer";
        return health(State::Unused, Reason::TargetIpUnusable, text);
    }
    match albs::found(view, target) {
        None => health(State::Initial, Reason::ElbRegistrationInProgress, "Target registration is in progress"),
        Some(found) => shown(&found.health),
    }
}

/// Whether a target waits for its first verdict.
#[must_use]
pub fn is_initial(view: &View<'_>, target: &Target) -> bool {
    of_target(view, target).state == Some(State::Initial)
}

/// Whether an alias that evaluates its target's health may lead to a load balancer: each target group that it forwards to has a
/// healthy target (Route 53 API reference, `AliasTarget`: `EvaluateTargetHealth`).
#[must_use]
pub fn of_balancer(view: &View<'_>, balancer: &LoadBalancer) -> bool {
    groups(view, balancer).into_iter().all(|group| Target::of(view, group).any(|target| is_healthy(view, target)))
}

/// The zones that a load balancer's name is not to lead to, since a target group has too few healthy targets there (DNS failover
/// of target group health). Where nodes send to all zones, the targets of all count in each.
#[must_use]
pub fn failing_zones(view: &View<'_>, balancer: &LoadBalancer) -> BTreeSet<String> {
    let zones = || balancer.serving().map(|node| node.zone.as_str());
    let mut failing = BTreeSet::new();
    for group in groups(view, balancer).into_iter().filter_map(|arn| view.get::<TargetGroup>(arn)) {
        let least = attributes::dns_failover(group);
        let fails = |zone: Option<&str>| {
            let within = |target: &&Target| zone.is_none_or(|zone| target.zone == zone || target.zone == "all");
            let targets = || Target::of(view, &group.arn).filter(within);
            let healthy = |most: usize| targets().filter(|target| is_healthy(view, target)).take(most).count();
            // Counted no further than need be: a group may have a thousand.
            least.count.is_some_and(|count| healthy(count) < count)
                || least.percentage.is_some_and(|percentage| {
                    let in_use = targets().filter(|target| is_in_use(view, target)).count();
                    let needed = (percentage * in_use).div_ceil(100);
                    healthy(needed) < needed
                })
        };
        if attributes::is_cross_zone(balancer, group) {
            failing.extend(zones().filter(|_| fails(None)).map(ToOwned::to_owned));
        } else {
            failing.extend(zones().filter(|zone| fails(Some(zone))).map(ToOwned::to_owned));
        }
    }
    failing
}

/// The target groups that a load balancer forwards to.
fn groups<'v>(view: &View<'v>, balancer: &LoadBalancer) -> BTreeSet<&'v str> {
    let own = view.starting::<Listener>(LoadBalancer::keys_of_listeners(&balancer.arn));
    own.flat_map(|listener| {
        let rules = view.starting::<Rule>(Listener::keys_of_rules(&listener.arn));
        listener.default_action.groups().chain(rules.flat_map(|rule| rule.action.groups()))
    })
    .collect()
}

fn is_healthy(view: &View<'_>, target: &Target) -> bool {
    of_target(view, target).state == Some(State::Healthy)
}

/// Whether a target is one of those that the plane too counts the healthy ones among.
fn is_in_use(view: &View<'_>, target: &Target) -> bool {
    matches!(of_target(view, target).state, Some(State::Healthy | State::Initial | State::Unhealthy))
}

fn shown(found: &zonal_balancer::config::Health) -> TargetHealth {
    TargetHealth {
        state: Some(match found.state {
            HealthState::Initial => State::Initial,
            HealthState::Healthy => State::Healthy,
            HealthState::Unhealthy => State::Unhealthy,
            HealthState::Draining => State::Draining,
            HealthState::Unused => State::Unused,
        }),
        reason: found.reason.map(|reason| match reason {
            HealthReason::RegistrationInProgress => Reason::ElbRegistrationInProgress,
            HealthReason::InitialHealthChecking => Reason::ElbInitialHealthChecking,
            HealthReason::ResponseCodeMismatch => Reason::TargetResponseCodeMismatch,
            HealthReason::Timeout => Reason::TargetTimeout,
            HealthReason::FailedHealthChecks => Reason::TargetFailedHealthChecks,
            HealthReason::NotRegistered => Reason::TargetNotRegistered,
            HealthReason::NotInUse => Reason::TargetNotInUse,
            HealthReason::DeregistrationInProgress => Reason::TargetDeregistrationInProgress,
        }),
        description: found.description.clone(),
    }
}
