//! Any order of what users, instances and balancers do: what a balancer is told, and what users are shown, stays true.

use crate::fake::Bench;
use crate::load_balancers::internet_facing;
use crate::targets::{found, group, health_by_id, listener};
use proptest::prelude::*;
use std::time::Duration;
use zonal_balancer::config::{HealthReason, HealthState, TargetState};
use zonal_ec2::shapes::{StartInstancesRequest, StopInstancesRequest, TerminateInstancesRequest, ops as ec2};
use zonal_elbv2::shapes::*;

const INSTANCES: [&str; 3] = ["i-0", "i-1", "i-2"];

#[derive(Debug, Clone, Copy)]
enum Step {
    Register(usize),
    Deregister(usize),
    Stop(usize),
    Start(usize),
    Terminate(usize),
    Healthy(usize),
    Unhealthy(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..INSTANCES.len();
    prop_oneof![
        4 => which.clone().prop_map(Step::Register),
        2 => which.clone().prop_map(Step::Deregister),
        1 => which.clone().prop_map(Step::Stop),
        2 => which.clone().prop_map(Step::Start),
        1 => which.clone().prop_map(Step::Terminate),
        2 => which.clone().prop_map(Step::Healthy),
        1 => which.prop_map(Step::Unhealthy),
        1 => (1u64..400).prop_map(Step::Pass),
    ]
}

/// What an instance is, and whether it is registered or drains until then.
#[derive(Debug, Clone, Copy, Default)]
struct Model {
    stopped: bool,
    terminated: bool,
    registered: bool,
    drains_until: Option<u64>,
}

impl Model {
    fn deregister(&mut self, now: u64) {
        if self.registered {
            self.registered = false;
            self.drains_until = Some(now + 300);
        }
    }
}

fn run(bench: &Bench, arn: &str, group: &str, models: &mut [Model; 3], now: &mut u64, step: Step) {
    let targets = |at: usize| vec![TargetDescription { id: INSTANCES[at].into(), ..Default::default() }];
    match step {
        Step::Register(at) => {
            let input = RegisterTargetsInput { target_group_arn: group.into(), targets: targets(at) };
            let can = !models[at].stopped && !models[at].terminated;
            assert_eq!(bench.call::<ops::RegisterTargets>(input).is_ok(), can);
            if can {
                models[at].registered = true;
                models[at].drains_until = None;
            }
        }
        Step::Deregister(at) => {
            let input = DeregisterTargetsInput { target_group_arn: group.into(), targets: targets(at) };
            bench.call::<ops::DeregisterTargets>(input).unwrap();
            models[at].deregister(*now);
        }
        Step::Stop(at) if !models[at].terminated => {
            bench.ec2::<ec2::StopInstances>(StopInstancesRequest {
                instance_ids: vec![INSTANCES[at].into()],
                ..Default::default()
            });
            models[at].stopped = true;
        }
        Step::Start(at) if !models[at].terminated => {
            bench.ec2::<ec2::StartInstances>(StartInstancesRequest {
                instance_ids: vec![INSTANCES[at].into()],
                ..Default::default()
            });
            models[at].stopped = false;
        }
        Step::Terminate(at) => {
            bench.ec2::<ec2::TerminateInstances>(TerminateInstancesRequest {
                instance_ids: vec![INSTANCES[at].into()],
                ..Default::default()
            });
            models[at].terminated = true;
            models[at].deregister(*now);
        }
        Step::Stop(_) | Step::Start(_) => {}
        Step::Healthy(at) => bench.report(&found(arn, group, INSTANCES[at], HealthState::Healthy, None)),
        Step::Unhealthy(at) => {
            bench.report(&found(arn, group, INSTANCES[at], HealthState::Unhealthy, Some(HealthReason::Timeout)));
        }
        Step::Pass(seconds) => {
            *now += seconds;
            bench.pass(Duration::from_secs(seconds));
        }
    }
    for model in models {
        model.drains_until = model.drains_until.filter(|until| *until > *now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_balancer_is_told_of_running_registered_targets_and_users_are_shown_the_same(steps in prop::collection::vec(step(), 1..40)) {
        let bench = Bench::new();
        let arn = internet_facing(&bench, "web").load_balancer_arn.unwrap();
        let group = group(&bench, "tg");
        listener(&bench, &arn, 80, &group).unwrap();
        for id in INSTANCES {
            bench.run_instance(id, "subnet-a");
        }
        let (mut models, mut now) = ([Model::default(); 3], 0);
        let mut last = bench.told(&arn);
        for step in steps {
            run(&bench, &arn, &group, &mut models, &mut now, step);
            let told = bench.told(&arn);
            // Only what is new has a new revision.
            prop_assert!(told == last || told.revision > last.revision);
            let shown = health_by_id(&bench, &group);
            for (id, model) in INSTANCES.iter().zip(&models) {
                let target = told.target_groups[0].targets.iter().find(|target| target.id == *id);
                let state = shown.get(*id).map(String::as_str);
                match (model.registered, model.drains_until) {
                    (true, _) if model.stopped => {
                        prop_assert!(target.is_none() && state == Some("unused"), "{id} {model:?}: {target:?} {state:?}");
                    }
                    (true, _) => {
                        prop_assert_eq!(target.map(|target| target.state), Some(TargetState::Active));
                        prop_assert!(matches!(state, Some("initial" | "healthy" | "unhealthy")), "{id} {model:?}: {state:?}");
                    }
                    (false, Some(_)) => {
                        prop_assert_eq!(target.map(|target| target.state), Some(TargetState::Draining));
                        prop_assert_eq!(state, Some("draining"));
                    }
                    (false, None) => prop_assert!(target.is_none() && state.is_none(), "{id} {model:?}: {target:?} {state:?}"),
                }
            }
            last = told;
        }
    }
}
