//! The `AWS/EC2` metrics, from what the world says its sandboxes used.

use crate::model::{Instance, InstanceState, Status};
use serde_json::{Value, json};
use zonal_cloud::Tx;
use zonal_substrate::SandboxFigures;

/// The tag that names an instance's group: its metrics are kept for the group too.
const GROUP_TAG: &str = "aws:autoscaling:groupName";

pub(crate) fn publish(tx: &mut Tx<'_>, figures: &[SandboxFigures]) {
    for figures in figures {
        let Some((scope, instance)) = tx.find::<Instance>(&figures.id) else { continue };
        if instance.state != InstanceState::Running {
            continue;
        }
        let (scope, data) = (scope.clone(), data(instance, figures));
        let put = tx.within(&scope, |tx| {
            tx.as_service("ec2", |tx| {
                tx.call_json("cloudwatch", "PutMetricData", &json!({ "Namespace": "AWS/EC2", "MetricData": data }))
            })
        });
        if let Err(error) = put {
            tracing::warn!("metrics of {}: {error}", figures.id);
        }
    }
}

fn data(instance: &Instance, figures: &SandboxFigures) -> Vec<Value> {
    let failed = |failed: bool| if failed { 1.0 } else { 0.0 };
    let values = [
        ("CPUUtilization", figures.cpu_percent, "Percent"),
        ("NetworkIn", figures.network_in as f64, "Bytes"),
        ("NetworkOut", figures.network_out as f64, "Bytes"),
        ("NetworkPacketsIn", figures.packets_in as f64, "Count"),
        ("NetworkPacketsOut", figures.packets_out as f64, "Count"),
        ("StatusCheckFailed", failed(instance.status != Status::Ok), "Count"),
        ("StatusCheckFailed_Instance", failed(instance.status != Status::Ok), "Count"),
        ("StatusCheckFailed_System", failed(instance.status == Status::SystemImpaired), "Count"),
    ];
    let mut owners = vec![("InstanceId", instance.id.as_str())];
    owners.extend(instance.tags.get(GROUP_TAG).map(|group| ("AutoScalingGroupName", group.as_str())));
    let datum = |(name, value, unit): &(&str, f64, &str), (dimension, owner): (&str, &str)| {
        json!({
            "MetricName": name,
            "Value": value,
            "Unit": unit,
            "Dimensions": [{ "Name": dimension, "Value": owner }],
        })
    };
    owners.iter().flat_map(|owner| values.iter().map(|value| datum(value, *owner))).collect()
}
