//! The `AWS/EC2` metrics, from what the world says its sandboxes used.

use crate::model::{Instance, InstanceState, Status};
use zonal_cloud::Tx;
use zonal_cloudwatch::shapes::{Dimension, MetricDatum, PutMetricDataInput, StandardUnit, ops};
use zonal_substrate::SandboxFigures;

/// The tag that names an instance's group: its metrics are kept for the group too.
const GROUP_TAG: &str = "aws:autoscaling:groupName";

pub(crate) fn publish(tx: &mut Tx<'_>, figures: &[SandboxFigures]) {
    for figures in figures {
        let Some((scope, instance)) = tx.find::<Instance>(&figures.id) else { continue };
        if instance.state != InstanceState::Running {
            continue;
        }
        let scope = scope.clone();
        // Typed, since there are sixteen values a minute of each instance, and a quarter of their time was JSON's where they came by it.
        let input = PutMetricDataInput {
            namespace: "AWS/EC2".to_owned(),
            metric_data: data(instance, figures),
            ..Default::default()
        };
        let put =
            tx.within(&scope, |tx| tx.as_service("ec2", |tx| tx.call::<ops::PutMetricData>("cloudwatch", &input)));
        if let Err(error) = put {
            tracing::warn!("metrics of {}: {error}", figures.id);
        }
    }
}

fn data(instance: &Instance, figures: &SandboxFigures) -> Vec<MetricDatum> {
    let failed = |failed: bool| if failed { 1.0 } else { 0.0 };
    let values = [
        ("CPUUtilization", figures.cpu_percent, StandardUnit::Percent),
        ("NetworkIn", figures.network_in as f64, StandardUnit::Bytes),
        ("NetworkOut", figures.network_out as f64, StandardUnit::Bytes),
        ("NetworkPacketsIn", figures.packets_in as f64, StandardUnit::Count),
        ("NetworkPacketsOut", figures.packets_out as f64, StandardUnit::Count),
        ("StatusCheckFailed", failed(instance.status != Status::Ok), StandardUnit::Count),
        ("StatusCheckFailed_Instance", failed(instance.status != Status::Ok), StandardUnit::Count),
        ("StatusCheckFailed_System", failed(instance.status == Status::SystemImpaired), StandardUnit::Count),
    ];
    let mut owners = vec![("InstanceId", instance.id.as_str())];
    owners.extend(instance.tags.get(GROUP_TAG).map(|group| ("AutoScalingGroupName", group.as_str())));
    let datum = |(name, value, unit): &(&str, f64, StandardUnit), (dimension, owner): (&str, &str)| MetricDatum {
        metric_name: (*name).to_owned(),
        value: Some(*value),
        unit: Some(*unit),
        dimensions: vec![Dimension { name: dimension.to_owned(), value: owner.to_owned() }],
        ..Default::default()
    };
    owners.iter().flat_map(|owner| values.iter().map(|value| datum(value, *owner))).collect()
}
