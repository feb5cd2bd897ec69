//! Status checks of instances.

use super::{Answer, cut, filters_of, one, text};
use crate::errors::Error;
use crate::model::{Instance, InstanceState, Status};
use crate::operations::instances;
use crate::shapes::*;
use zonal_cloud::{View, filters};

pub fn describe(view: &View<'_>, input: &DescribeInstanceStatusRequest) -> Answer<DescribeInstanceStatusResult> {
    for id in &input.instance_ids {
        instances::instance(view, id)?;
    }
    let filters = filters_of(&input.filters);
    let mut found = Vec::new();
    for instance in view.among::<Instance>(&input.instance_ids) {
        let shown = input.include_all_instances == Some(true) || instance.state == InstanceState::Running;
        if !shown {
            continue;
        }
        let shape = shape(instance);
        let summary = |summary: &Option<InstanceStatusSummary>| {
            Some(summary.iter().filter_map(|s| s.status).map(|status| status.as_str().to_owned()).collect())
        };
        let pass = filters::pass(&filters, |name| match name {
            "availability-zone" => one(&instance.zone),
            "instance-state-name" => one(instance.state.name()),
            "instance-state-code" => one(instance.state.code()),
            "instance-status.status" => summary(&shape.instance_status),
            "system-status.status" => summary(&shape.system_status),
            _ => None,
        });
        if pass.map_err(|name| Error::InvalidFilter(name.to_owned()))? {
            found.push((instance.id.clone(), shape));
        }
    }
    let (instance_statuses, next_token) = cut(found, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeInstanceStatusResult { instance_statuses, next_token, ..Default::default() })
}

/// Whether an instance that the request names is in transition.
pub fn unsettled(view: &View<'_>, input: &DescribeInstanceStatusRequest) -> bool {
    input.instance_ids.iter().filter_map(|id| view.get::<Instance>(id)).any(|instance| instance.state.in_transition())
}

fn summary(instance: &Instance, passed: bool) -> InstanceStatusSummary {
    let (status, detail) = match (instance.state, passed) {
        (InstanceState::Running, true) => (SummaryStatus::Ok, StatusType::Passed),
        (InstanceState::Running, false) => (SummaryStatus::Impaired, StatusType::Failed),
        _ => return InstanceStatusSummary { status: Some(SummaryStatus::NotApplicable), ..Default::default() },
    };
    InstanceStatusSummary {
        status: Some(status),
        details: vec![InstanceStatusDetails {
            name: Some(StatusName::Reachability),
            status: Some(detail),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn shape(instance: &Instance) -> InstanceStatus {
    InstanceStatus {
        instance_id: text(&instance.id),
        availability_zone: text(&instance.zone),
        availability_zone_id: text(super::subnets::zone_id(&instance.zone)),
        instance_state: Some(instances::state_shape(instance.state)),
        // A machine that is lost fails both checks: nothing answers behind a dead system.
        instance_status: Some(summary(instance, instance.status == Status::Ok)),
        system_status: Some(summary(instance, instance.status != Status::SystemImpaired)),
        ..Default::default()
    }
}
