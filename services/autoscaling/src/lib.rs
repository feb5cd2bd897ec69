//! Amazon EC2 Auto Scaling: groups that keep their size, heal, and grow and shrink with the load.
//!
//! A group says what it wants; its controller launches and terminates by calling EC2 as any user would, evenly over its zones. A second
//! controller leads each instance through its life: into service, onto the load balancer, watched, drained, out. Policies act when
//! alarms of CloudWatch call them.
#![forbid(unsafe_code)]

mod activities;
mod balance;
mod configuration;
mod controllers;
mod errors;
mod mixed;
mod model;
mod neighbours;
mod operations;
mod policy;
mod refresh;
mod schedule;
pub mod shapes;
mod zone;

pub use errors::Error;

use operations::{
    absent, activities as scaling_activities, capacity, create_group, execute, groups, hooks, instances, metrics,
    policies, processes, refreshes, schedules, standby, tags, target_groups,
};
use shapes::ops;
use std::time::Duration;
use zonal_cloud::{Controller, Coverage, Entry, Registrar, Service, Tx, read, write};
use zonal_substrate::Inventory;
use zonal_wire::Api;

/// How long a Describe waits for what it names to settle.
const SETTLE: Duration = Duration::from_secs(1);

/// The service.
#[derive(Debug, Clone, Copy, Default)]
pub struct AutoScaling;

impl Service for AutoScaling {
    fn name(&self) -> &'static str {
        "autoscaling"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![
            write::<ops::CreateAutoScalingGroup>(create_group::create),
            write::<ops::UpdateAutoScalingGroup>(groups::update),
            write::<ops::DeleteAutoScalingGroup>(groups::delete),
            read::<ops::DescribeAutoScalingGroups>(groups::describe)
                .settles::<ops::DescribeAutoScalingGroups>(SETTLE, groups::unsettled),
            write::<ops::SetDesiredCapacity>(capacity::set_desired),
            write::<ops::TerminateInstanceInAutoScalingGroup>(capacity::terminate),
            read::<ops::DescribeAutoScalingInstances>(instances::describe),
            write::<ops::SetInstanceHealth>(instances::set_health),
            write::<ops::SetInstanceProtection>(instances::set_protection),
            write::<ops::AttachInstances>(instances::attach),
            write::<ops::DetachInstances>(instances::detach),
            write::<ops::EnterStandby>(standby::enter),
            write::<ops::ExitStandby>(standby::exit),
            write::<ops::AttachLoadBalancerTargetGroups>(target_groups::attach),
            write::<ops::DetachLoadBalancerTargetGroups>(target_groups::detach),
            read::<ops::DescribeLoadBalancerTargetGroups>(target_groups::describe),
            write::<ops::AttachTrafficSources>(target_groups::attach_sources),
            write::<ops::DetachTrafficSources>(target_groups::detach_sources),
            read::<ops::DescribeTrafficSources>(target_groups::describe_sources),
            read::<ops::DescribeScalingActivities>(scaling_activities::describe)
                .settles::<ops::DescribeScalingActivities>(SETTLE, scaling_activities::unsettled),
            write::<ops::SuspendProcesses>(processes::suspend),
            write::<ops::ResumeProcesses>(processes::resume),
            read::<ops::DescribeScalingProcessTypes>(processes::types),
            read::<ops::DescribeAdjustmentTypes>(processes::adjustment_types),
            read::<ops::DescribeTerminationPolicyTypes>(processes::termination_policy_types),
            read::<ops::DescribeLifecycleHookTypes>(processes::hook_types),
            read::<ops::DescribeAccountLimits>(processes::limits),
            write::<ops::PutLifecycleHook>(hooks::put),
            write::<ops::DeleteLifecycleHook>(hooks::delete),
            read::<ops::DescribeLifecycleHooks>(hooks::describe),
            write::<ops::CompleteLifecycleAction>(hooks::complete_action),
            write::<ops::RecordLifecycleActionHeartbeat>(hooks::heartbeat),
            write::<ops::PutScalingPolicy>(policies::put),
            read::<ops::DescribePolicies>(policies::describe),
            write::<ops::DeletePolicy>(policies::delete),
            write::<ops::ExecutePolicy>(execute::execute),
            write::<ops::PutScheduledUpdateGroupAction>(schedules::put),
            write::<ops::BatchPutScheduledUpdateGroupAction>(schedules::batch_put),
            write::<ops::DeleteScheduledAction>(schedules::delete),
            write::<ops::BatchDeleteScheduledAction>(schedules::batch_delete),
            read::<ops::DescribeScheduledActions>(schedules::describe),
            read::<ops::DescribeLaunchConfigurations>(absent::launch_configurations),
            write::<ops::CreateLaunchConfiguration>(absent::create_launch_configuration),
            write::<ops::DeleteLaunchConfiguration>(absent::delete_launch_configuration),
            read::<ops::DescribeLoadBalancers>(absent::load_balancers),
            read::<ops::DescribeWarmPool>(absent::warm_pool),
            read::<ops::DescribeNotificationConfigurations>(absent::notifications),
            write::<ops::StartInstanceRefresh>(refreshes::start),
            write::<ops::CancelInstanceRefresh>(refreshes::cancel),
            read::<ops::DescribeInstanceRefreshes>(refreshes::describe),
            write::<ops::CreateOrUpdateTags>(tags::create_or_update),
            write::<ops::DeleteTags>(tags::delete),
            read::<ops::DescribeTags>(tags::describe),
            write::<ops::EnableMetricsCollection>(metrics::enable),
            write::<ops::DisableMetricsCollection>(metrics::disable),
            read::<ops::DescribeMetricCollectionTypes>(metrics::types),
        ]
    }

    fn controllers(&self) -> Vec<Box<dyn Controller>> {
        vec![
            Box::new(controllers::groups::Groups),
            Box::new(controllers::instances::Instances),
            Box::new(controllers::metrics::Metrics),
            Box::new(controllers::refreshes::Refreshes),
            Box::new(controllers::schedules::Schedules),
        ]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<model::Group>();
        registrar.record::<model::Member>();
        registrar.record::<model::Activity>();
        registrar.record::<model::Hook>();
        registrar.record::<controllers::metrics::Published>();
        registrar.record::<policy::Policy>();
        registrar.record::<refresh::Refresh>();
        registrar.record::<schedule::Schedule>();
    }

    fn adopt(&self, tx: &mut Tx<'_>, _: &Inventory) {
        controllers::metrics::begin(tx);
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            without_effect: &[
                ("CreateAutoScalingGroup", "MaxInstanceLifetime", "shown; instances are not replaced for their age"),
                ("CreateAutoScalingGroup", "CapacityRebalance", "shown; there are no Spot Instances"),
                (
                    "CreateAutoScalingGroup",
                    "MixedInstancesPolicy",
                    "the first override is what is launched; OnDemandBaseCapacity and what is about Spot Instances is shown",
                ),
                ("CreateAutoScalingGroup", "Context", "shown"),
                ("CreateAutoScalingGroup", "ServiceLinkedRoleARN", "shown"),
                ("CreateAutoScalingGroup", "DesiredCapacityType", "no effect: capacity is counted in instances"),
                ("CreateAutoScalingGroup", "AvailabilityZoneDistribution", "no effect: always balanced-best-effort"),
                ("CreateAutoScalingGroup", "AvailabilityZoneImpairmentPolicy", "no effect: there is no zonal shift"),
                ("CreateAutoScalingGroup", "SkipZonalShiftValidation", "no effect: there is no zonal shift"),
                (
                    "CreateAutoScalingGroup",
                    "TerminationPolicies",
                    "ClosestToNextInstanceHour and AllocationStrategy tell no instances \
                    apart",
                ),
                (
                    "UpdateAutoScalingGroup",
                    "MaxInstanceLifetime",
                    "as in CreateAutoScalingGroup, and so are the others there",
                ),
                ("PutLifecycleHook", "NotificationTargetARN", "shown; nobody is notified"),
                ("PutLifecycleHook", "RoleARN", "shown"),
                ("PutScalingPolicy", "MetricAggregationType", "shown; the alarm's own statistic decides"),
                ("CancelInstanceRefresh", "WaitForTransitioningInstances", "no effect: those in transition go on"),
            ],
        }
    }
}
