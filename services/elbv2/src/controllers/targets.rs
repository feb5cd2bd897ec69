//! Target groups: follows the instances that are registered, and lets go of targets that have drained.

use super::EC2_INSTANCES;
use crate::albs;
use crate::ec2;
use crate::model::{Target, TargetGroup, TargetHealth, TargetStage, TargetType};
use crate::operations::balancer_of_group;
use crate::operations::targets::drain;
use zonal_balancer::config::HealthReport;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_ec2::shapes::InstanceStateName;
use zonal_wire::AwsError;

/// Drives each target group's targets. The key is the group's ARN.
pub struct Targets;

impl Controller for Targets {
    fn name(&self) -> &'static str {
        "elbv2.targets"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<TargetGroup>() {
            wake(&change.scope, &change.key);
        } else if change.is::<Target>() {
            wake(&change.scope, change.key.split('|').next().unwrap_or_default());
        } else if change.table == EC2_INSTANCES {
            for group in albs::groups_of(*view, TargetType::Instance, &change.key) {
                wake(&change.scope, group);
            }
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, group) in view.everywhere::<TargetGroup>() {
            wake(scope, &group.arn);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(group) = tx.get::<TargetGroup>(key).cloned() else {
            return Ok(Wake::OnChange);
        };
        let targets: Vec<Target> = Target::of(&tx.view(), key).cloned().collect();
        let mut wake = Wake::OnChange;
        for target in targets {
            if let TargetStage::Draining(until) = target.stage {
                if until <= tx.now || balancer_of_group(&tx.view(), key).is_none() {
                    albs::forget_health(tx, &target.key);
                    tx.remove::<Target>(&target.key);
                } else {
                    wake = wake.or(Wake::At(until));
                }
            } else if group.target_type == TargetType::Instance {
                follow(tx, &group, target)?;
            }
        }
        // A group that a drain above gave its end has its wake-up by that change.
        Ok(wake)
    }
}

/// Brings a target up to its instance's state: one that stopped is kept and takes nothing; one that is terminated is deregistered.
fn follow(tx: &mut Tx<'_>, group: &TargetGroup, mut target: Target) -> Result<(), AwsError> {
    let instance = ec2::instance(tx, &target.id)?;
    let Some(instance) = instance
        .filter(|found| !matches!(found.state, InstanceStateName::Terminated | InstanceStateName::ShuttingDown))
    else {
        drain(tx, group, &target.key);
        return Ok(());
    };
    target.address = instance.address;
    let stage = match instance.state {
        InstanceStateName::Running => TargetStage::Registered,
        other => TargetStage::Invalid(other.to_string()),
    };
    if stage != target.stage {
        // It starts anew, from its first health check on.
        albs::forget_health(tx, &target.key);
        target.stage = stage;
    }
    tx.put(target);
    Ok(())
}

/// Takes in what a balancer found.
pub fn health_changed(tx: &mut Tx<'_>, report: &HealthReport) {
    let (target, key) = albs::health_key(&report.target_group, &report.target, report.port);
    let registered = |(_, target): &(&Scope, &Target)| target.stage == TargetStage::Registered;
    let Some(scope) = tx.find::<Target>(&target).filter(registered).map(|(scope, _)| scope.clone()) else { return };
    tx.within(&scope, |tx| tx.put(TargetHealth { key, health: report.health.clone() }));
}
