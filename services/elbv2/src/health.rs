//! A target's health: what its record says before what the balancer found. Source: Elastic Load Balancing API reference,
//! `TargetHealth`; User Guide for Application Load Balancers, "Target health status" and "Health check reason codes".

use crate::albs;
use crate::model::{Listener, LoadBalancer, Rule, Target, TargetStage};
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
    let own = view.starting::<Listener>(LoadBalancer::keys_of_listeners(&balancer.arn));
    let groups = own.flat_map(|listener| {
        let rules = view.starting::<Rule>(Listener::keys_of_rules(&listener.arn));
        listener.default_action.groups().chain(rules.flat_map(|rule| rule.action.groups()))
    });
    let groups: BTreeSet<_> = groups.collect();
    groups.into_iter().all(|group| {
        let mut targets = Target::of(view, group);
        targets.any(|target| of_target(view, target).state == Some(State::Healthy))
    })
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
