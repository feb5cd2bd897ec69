//! Scaling policies: put, described, deleted. How they are carried out is in `execute`.

use crate::errors::Error;
use crate::model::{Group, pair};
use crate::neighbours;
use crate::operations::{active_group, paged};
use crate::policy::{AdjustmentType, Policy, PolicyKind, Step, Tracked};
use crate::shapes::{
    Alarm, CustomizedMetricSpecification, DeletePolicyOutput, DeletePolicyType, DescribePoliciesType, MetricDimension,
    PoliciesType, PolicyARNType, PredefinedMetricSpecification, PutScalingPolicyType, ScalingPolicy, StepAdjustment,
    TargetTrackingConfiguration,
};
use serde_json::{Value, json};
use zonal_cloud::{Record, Scope, Tx, View, ids};
use zonal_wire::AwsError;

/// Alarms of target tracking: so many periods of a minute above the target, or below nine tenths of it.
const HIGH_PERIODS: u32 = 3;
const LOW_PERIODS: u32 = 15;
const LOW_SHARE: f64 = 0.9;

/// PutScalingPolicy.
pub fn put(tx: &mut Tx<'_>, input: &PutScalingPolicyType) -> Result<PolicyARNType, AwsError> {
    let group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    let kind = kind(input)?;
    let old = tx.get::<Policy>(&pair(&group.name, &input.policy_name)).cloned();
    let arn = match &old {
        Some(old) => old.arn.clone(),
        None => {
            let uuid = ids::uuid(tx.chance());
            tx.scope.arn(
                "autoscaling",
                &format!("scalingPolicy:{uuid}:autoScalingGroupName/{}:policyName/{}", group.name, input.policy_name),
            )
        }
    };
    if let Some(old) = &old {
        neighbours::delete_alarms(tx, &old.alarms)?;
    }
    let mut policy = Policy::new(&group.name, &input.policy_name, arn, kind, input.enabled.unwrap_or(true));
    make_alarms(tx, &group, &mut policy)?;
    let answer =
        PolicyARNType { policy_arn: Some(policy.arn.clone()), alarms: shown_alarms(&tx.scope, &policy.alarms) };
    tx.put(policy);
    Ok(answer)
}

fn kind(input: &PutScalingPolicyType) -> Result<PolicyKind, Error> {
    let adjustment_type = || {
        let name = input.adjustment_type.as_deref().unwrap_or_default();
        AdjustmentType::parse(name)
            .ok_or_else(|| Error::Validation(format!("The adjustment type '{name}' is not valid")))
    };
    if input.min_adjustment_step.is_some() {
        return Err(Error::unsupported("MinAdjustmentStep (use MinAdjustmentMagnitude)"));
    }
    match input.policy_type.as_deref().unwrap_or("SimpleScaling") {
        "SimpleScaling" => Ok(PolicyKind::Simple {
            adjustment_type: adjustment_type()?,
            adjustment: input.scaling_adjustment.ok_or_else(|| {
                Error::Validation("ScalingAdjustment is required for policy type SimpleScaling".to_owned())
            })?,
            min_magnitude: input.min_adjustment_magnitude,
            cooldown: input.cooldown,
        }),
        "StepScaling" => {
            if input.step_adjustments.is_empty() {
                return Err(Error::Validation("StepAdjustments are required for policy type StepScaling".to_owned()));
            }
            let steps: Vec<Step> = input
                .step_adjustments
                .iter()
                .map(|step| Step {
                    lower: step.metric_interval_lower_bound,
                    upper: step.metric_interval_upper_bound,
                    adjustment: step.scaling_adjustment,
                })
                .collect();
            check_steps(&steps)?;
            let aggregation = input.metric_aggregation_type.clone().unwrap_or_else(|| "Average".to_owned());
            Ok(PolicyKind::Step {
                adjustment_type: adjustment_type()?,
                steps,
                min_magnitude: input.min_adjustment_magnitude,
                aggregation,
                warmup: input.estimated_instance_warmup,
            })
        }
        "TargetTrackingScaling" => {
            let config = input.target_tracking_configuration.as_ref().ok_or_else(|| {
                Error::Validation(
                    "TargetTrackingConfiguration is required for policy type TargetTrackingScaling".to_owned(),
                )
            })?;
            if config.target_value <= 0.0 || !config.target_value.is_finite() {
                return Err(Error::Validation("TargetValue must be greater than 0".to_owned()));
            }
            Ok(PolicyKind::Target {
                tracked: tracked(config)?,
                target: config.target_value,
                no_scale_in: config.disable_scale_in.unwrap_or(false),
                warmup: input.estimated_instance_warmup,
            })
        }
        other => Err(Error::unsupported(&format!("PolicyType = {other}"))),
    }
}

fn check_steps(steps: &[Step]) -> Result<(), Error> {
    let mut sorted: Vec<&Step> = steps.iter().collect();
    sorted.sort_by(|a, b| a.lower.unwrap_or(f64::NEG_INFINITY).total_cmp(&b.lower.unwrap_or(f64::NEG_INFINITY)));
    for step in &sorted {
        if step.lower.zip(step.upper).is_some_and(|(lower, upper)| lower >= upper) {
            return Err(Error::Validation(
                "MetricIntervalLowerBound must be less than MetricIntervalUpperBound".to_owned(),
            ));
        }
        if step.lower.is_none() && step.upper.is_none() && steps.len() > 1 {
            return Err(Error::Validation("Step adjustment intervals can't overlap".to_owned()));
        }
    }
    for pair in sorted.windows(2) {
        match (pair[0].upper, pair[1].lower) {
            (Some(upper), Some(lower)) if upper == lower => {}
            (Some(upper), Some(lower)) if upper < lower => {
                return Err(Error::Validation("Step adjustment intervals can't have a gap between them".to_owned()));
            }
            _ => return Err(Error::Validation("Step adjustment intervals can't overlap".to_owned())),
        }
    }
    Ok(())
}

fn tracked(config: &TargetTrackingConfiguration) -> Result<Tracked, Error> {
    match (&config.predefined_metric_specification, &config.customized_metric_specification) {
        (Some(given), None) => {
            let kind = given.predefined_metric_type.as_str().to_owned();
            if kind == "ALBRequestCountPerTarget" && given.resource_label.as_deref().and_then(split_label).is_none() {
                return Err(Error::Validation(
                    "ALBRequestCountPerTarget needs a ResourceLabel of the form app/NAME/ID/targetgroup/NAME/ID"
                        .to_owned(),
                ));
            }
            Ok(Tracked::Predefined { kind, label: given.resource_label.clone() })
        }
        (None, Some(given)) => {
            if !given.metrics.is_empty() {
                return Err(Error::unsupported("CustomizedMetricSpecification.Metrics"));
            }
            match (&given.namespace, &given.metric_name, given.statistic) {
                (Some(namespace), Some(name), Some(statistic)) => Ok(Tracked::Customized {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    dimensions: given.dimensions.iter().map(|d| (d.name.clone(), d.value.clone())).collect(),
                    statistic: statistic.as_str().to_owned(),
                    unit: given.unit.clone(),
                    period: given.period,
                }),
                _ => Err(Error::Validation(
                    "CustomizedMetricSpecification needs Namespace, MetricName and Statistic".to_owned(),
                )),
            }
        }
        _ => Err(Error::Validation(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be given".to_owned(),
        )),
    }
}

/// The load balancer and the target group of a resource label.
fn split_label(label: &str) -> Option<(&str, &str)> {
    let at = label.find("/targetgroup/")?;
    let (balancer, group) = (&label[..at], &label[at + 1..]);
    (balancer.starts_with("app/") && group.matches('/').count() == 2).then_some((balancer, group))
}

/// The metric of an alarm, as PutMetricAlarm takes it.
fn metric(tracked: &Tracked, group: &str) -> Value {
    let one = |namespace: &str, name: &str, statistic: &str, dimensions: Vec<(&str, &str)>| {
        let dimensions: Vec<Value> =
            dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
        json!({ "Namespace": namespace, "MetricName": name, "Statistic": statistic, "Dimensions": dimensions, "Period": 60 })
    };
    match tracked {
        Tracked::Predefined { kind, label } => {
            let of_group = vec![("AutoScalingGroupName", group)];
            match kind.as_str() {
                "ASGAverageNetworkIn" => one("AWS/EC2", "NetworkIn", "Average", of_group),
                "ASGAverageNetworkOut" => one("AWS/EC2", "NetworkOut", "Average", of_group),
                "ALBRequestCountPerTarget" => {
                    let (balancer, target_group) = label.as_deref().and_then(split_label).unwrap_or_default();
                    let dimensions = vec![("TargetGroup", target_group), ("LoadBalancer", balancer)];
                    one("AWS/ApplicationELB", "RequestCountPerTarget", "Sum", dimensions)
                }
                _ => one("AWS/EC2", "CPUUtilization", "Average", of_group),
            }
        }
        Tracked::Customized { namespace, name, dimensions, statistic, unit, period } => {
            let dimensions = dimensions.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut out = one(namespace, name, statistic, dimensions);
            if let Some(unit) = unit {
                out["Unit"] = unit.as_str().into();
            }
            if let Some(period) = period {
                out["Period"] = (*period).into();
            }
            out
        }
    }
}

/// Target tracking has two alarms of its own; other policies are given theirs by the user.
fn make_alarms(tx: &mut Tx<'_>, group: &Group, policy: &mut Policy) -> Result<(), AwsError> {
    let PolicyKind::Target { tracked, target, no_scale_in, .. } = &policy.kind else { return Ok(()) };
    let mut alarms = vec![("AlarmHigh", HIGH_PERIODS, "GreaterThanThreshold", *target)];
    if !no_scale_in {
        alarms.push(("AlarmLow", LOW_PERIODS, "LessThanThreshold", *target * LOW_SHARE));
    }
    let metric = metric(tracked, &group.name);
    for (kind, periods, operator, threshold) in alarms {
        let name = format!("TargetTracking-{}-{kind}-{}", group.name, ids::uuid(tx.chance()));
        let mut alarm = metric.clone();
        alarm["AlarmName"] = name.as_str().into();
        alarm["AlarmDescription"] =
            format!("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {}.", policy.arn).into();
        alarm["EvaluationPeriods"] = periods.into();
        alarm["ComparisonOperator"] = operator.into();
        alarm["Threshold"] = json!(threshold);
        alarm["AlarmActions"] = json!([policy.arn]);
        alarm["ActionsEnabled"] = policy.enabled.into();
        neighbours::put_alarm(tx, &alarm)?;
        policy.alarms.push(name);
    }
    Ok(())
}

fn shown_alarms(scope: &Scope, names: &[String]) -> Vec<Alarm> {
    names
        .iter()
        .map(|name| Alarm {
            alarm_name: Some(name.clone()),
            alarm_arn: Some(scope.arn("cloudwatch", &format!("alarm:{name}"))),
        })
        .collect()
}

/// The policy that a request names by name (in a group) or by ARN.
pub fn find(view: &View<'_>, group: Option<&str>, name: &str) -> Result<Policy, Error> {
    let found = view
        .list::<Policy>()
        .find(|policy| policy.arn == name || (policy.name == name && group.is_some_and(|group| group == policy.group)));
    found.cloned().ok_or_else(|| Error::Validation(format!("PolicyName not found - {name}")))
}

/// DeletePolicy.
pub fn delete(tx: &mut Tx<'_>, input: &DeletePolicyType) -> Result<DeletePolicyOutput, AwsError> {
    let policy = find(&tx.view(), input.auto_scaling_group_name.as_deref(), &input.policy_name)?;
    neighbours::delete_alarms(tx, &policy.alarms)?;
    tx.remove::<Policy>(policy.key());
    Ok(DeletePolicyOutput::default())
}

/// DescribePolicies.
pub fn describe(view: &View<'_>, input: &DescribePoliciesType) -> Result<PoliciesType, AwsError> {
    if let Some(name) = &input.auto_scaling_group_name {
        super::group(view, name)?;
    }
    let wanted = |policy: &&Policy| {
        input.auto_scaling_group_name.as_ref().is_none_or(|group| *group == policy.group)
            && (input.policy_names.is_empty()
                || input.policy_names.contains(&policy.name)
                || input.policy_names.contains(&policy.arn))
            && (input.policy_types.is_empty() || input.policy_types.iter().any(|kind| kind == type_of(&policy.kind)))
    };
    let items = view.list::<Policy>().filter(wanted).map(|policy| (policy.key().to_owned(), policy));
    let (page, next_token) = paged(items, input.next_token.as_deref(), input.max_records)?;
    let scaling_policies = page.into_iter().map(|policy| shape(view.scope, policy)).collect();
    Ok(PoliciesType { scaling_policies, next_token })
}

fn type_of(kind: &PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Simple { .. } => "SimpleScaling",
        PolicyKind::Step { .. } => "StepScaling",
        PolicyKind::Target { .. } => "TargetTrackingScaling",
    }
}

fn shape(scope: &Scope, policy: &Policy) -> ScalingPolicy {
    let mut out = ScalingPolicy {
        auto_scaling_group_name: Some(policy.group.clone()),
        policy_name: Some(policy.name.clone()),
        policy_arn: Some(policy.arn.clone()),
        policy_type: Some(type_of(&policy.kind).to_owned()),
        enabled: Some(policy.enabled),
        alarms: shown_alarms(scope, &policy.alarms),
        ..Default::default()
    };
    match &policy.kind {
        PolicyKind::Simple { adjustment_type, adjustment, min_magnitude, cooldown } => {
            out.adjustment_type = Some(adjustment_type.as_str().to_owned());
            out.scaling_adjustment = Some(*adjustment);
            out.min_adjustment_magnitude = *min_magnitude;
            out.cooldown = *cooldown;
        }
        PolicyKind::Step { adjustment_type, steps, min_magnitude, aggregation, warmup } => {
            out.adjustment_type = Some(adjustment_type.as_str().to_owned());
            out.min_adjustment_magnitude = *min_magnitude;
            out.metric_aggregation_type = Some(aggregation.clone());
            out.estimated_instance_warmup = *warmup;
            out.step_adjustments = steps
                .iter()
                .map(|step| StepAdjustment {
                    metric_interval_lower_bound: step.lower,
                    metric_interval_upper_bound: step.upper,
                    scaling_adjustment: step.adjustment,
                })
                .collect();
        }
        PolicyKind::Target { tracked, target, no_scale_in, warmup } => {
            out.estimated_instance_warmup = *warmup;
            let mut config = TargetTrackingConfiguration {
                target_value: *target,
                disable_scale_in: Some(*no_scale_in),
                ..Default::default()
            };
            match tracked {
                Tracked::Predefined { kind, label } => {
                    config.predefined_metric_specification = Some(PredefinedMetricSpecification {
                        predefined_metric_type: kind.parse().unwrap_or_default(),
                        resource_label: label.clone(),
                    });
                }
                Tracked::Customized { namespace, name, dimensions, statistic, unit, period } => {
                    config.customized_metric_specification = Some(CustomizedMetricSpecification {
                        metric_name: Some(name.clone()),
                        namespace: Some(namespace.clone()),
                        dimensions: dimensions
                            .iter()
                            .map(|(name, value)| MetricDimension { name: name.clone(), value: value.clone() })
                            .collect(),
                        statistic: statistic.parse().ok(),
                        unit: unit.clone(),
                        period: *period,
                        metrics: Vec::new(),
                    });
                }
            }
            out.target_tracking_configuration = Some(config);
        }
    }
    out
}
