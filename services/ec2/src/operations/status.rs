//! Status checks of instances.

use super::filters::{self, Filters};
use super::{Answer, at_least_five, cut, text};
use crate::errors::Error;
use crate::model::{Instance, InstanceState, Status};
use crate::operations::{instances, run};
use crate::shapes::*;
use zonal_cloud::View;

pub fn describe(view: &View<'_>, input: &DescribeInstanceStatusRequest) -> Answer<DescribeInstanceStatusResult> {
    at_least_five(input.max_results, &input.instance_ids, "instancesSet")?;
    input.instance_ids.iter().try_for_each(|id| instances::check_id(id))?;
    let missing = |id: &&String| view.get::<Instance>(id).is_none();
    let missing: Vec<String> = input.instance_ids.iter().filter(missing).cloned().collect();
    if !missing.is_empty() {
        return Err(Error::NotFound(instances::UNKNOWN.0, instances::UNKNOWN.1, missing).into());
    }
    let filters = Filters::of(&input.filters, filters::INSTANCE_STATUS)?;
    let mut found = Vec::new();
    for instance in view.among::<Instance>(&input.instance_ids) {
        let shown = input.include_all_instances == Some(true) || instance.state == InstanceState::Running;
        if !shown {
            continue;
        }
        let shape = shape(instance);
        if filters.pass_answer(&shape) {
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

/// How its volumes are: reached, from a machine that is there. Told of types on Nitro only, as on AWS.
fn volumes(instance: &Instance) -> EbsStatusSummary {
    let checked = summary(instance, instance.status != Status::SystemImpaired);
    let detail =
        |own: InstanceStatusDetails| EbsStatusDetails { name: own.name, status: own.status, ..Default::default() };
    EbsStatusSummary {
        status: checked.status,
        details: checked.details.into_iter().map(detail).collect(),
        ..Default::default()
    }
}

fn shape(instance: &Instance) -> InstanceStatus {
    InstanceStatus {
        instance_id: text(&instance.id),
        availability_zone: text(&instance.zone),
        availability_zone_id: text(super::subnets::zone_id(&instance.zone)),
        operator: Some(instances::nobody()),
        attached_ebs_status: run::type_of(instance).filter(|kind| kind.is_nitro()).map(|_| volumes(instance)),
        instance_state: Some(instances::state_shape(instance.state)),
        // A machine that is lost fails both checks: nothing answers behind a dead system.
        instance_status: Some(summary(instance, instance.status == Status::Ok)),
        system_status: Some(summary(instance, instance.status != Status::SystemImpaired)),
        ..Default::default()
    }
}
