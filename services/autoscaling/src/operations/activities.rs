//! DescribeScalingActivities.

use crate::errors::Error;
use crate::model::{Activity, ActivityStatus, Group};
use crate::operations::{group, paged};
use crate::shapes::{ActivitiesType, Activity as Shown, DescribeScalingActivitiesType, ScalingActivityStatusCode};
use zonal_cloud::{Record, View};
use zonal_wire::AwsError;

/// The newest first.
pub fn describe(view: &View<'_>, input: &DescribeScalingActivitiesType) -> Result<ActivitiesType, AwsError> {
    let deleted = input.include_deleted_groups.unwrap_or(false);
    if let (Some(name), false) = (&input.auto_scaling_group_name, deleted) {
        group(view, name)?;
    }
    if let Some(filter) = input.filters.first() {
        return Err(Error::unsupported(&format!("Filters.{}", filter.name.as_deref().unwrap_or_default())).into());
    }
    let wanted = |activity: &&Activity| {
        (deleted || !activity.of_deleted_group)
            && (input.activity_ids.is_empty() || input.activity_ids.contains(&activity.id))
    };
    let mut found: Vec<&Activity> = match &input.auto_scaling_group_name {
        Some(name) => view.owned_by::<Activity>(name).filter(wanted).collect(),
        None => view.list::<Activity>().filter(wanted).collect(),
    };
    found.reverse();
    // The newest first, so a page's place counts backwards.
    let items =
        found.into_iter().map(|activity| (format!("{:020}{}", i64::MAX - activity.start.0, activity.key()), activity));
    let mut items: Vec<(String, &Activity)> = items.collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let (page, next_token) = paged(items, input.next_token.as_deref(), Some(input.max_records.unwrap_or(100)))?;
    Ok(ActivitiesType { activities: page.into_iter().map(|activity| shape(activity, deleted)).collect(), next_token })
}

/// Whether the group that the request names launches something: what drains takes minutes and is not waited for.
pub fn unsettled(view: &View<'_>, input: &DescribeScalingActivitiesType) -> bool {
    let Some(name) = &input.auto_scaling_group_name else { return false };
    let Some(group) = view.get::<Group>(name) else { return false };
    let mut open = view.owned_by::<Activity>(&group.arn(view.scope));
    open.any(|activity| activity.status == ActivityStatus::PreInService)
}

/// As the API shows it.
pub fn shape(activity: &Activity, with_group: bool) -> Shown {
    Shown {
        activity_id: activity.id.clone(),
        auto_scaling_group_name: activity.group.clone(),
        description: Some(activity.description.clone()),
        cause: activity.cause.clone(),
        start_time: activity.start,
        end_time: activity.end,
        status_code: match activity.status {
            ActivityStatus::PreInService => ScalingActivityStatusCode::PreInService,
            ActivityStatus::InProgress => ScalingActivityStatusCode::InProgress,
            ActivityStatus::WaitingForELBConnectionDraining => {
                ScalingActivityStatusCode::WaitingForELBConnectionDraining
            }
            ActivityStatus::MidLifecycleAction => ScalingActivityStatusCode::MidLifecycleAction,
            ActivityStatus::Successful => ScalingActivityStatusCode::Successful,
            ActivityStatus::Failed => ScalingActivityStatusCode::Failed,
            ActivityStatus::Cancelled => ScalingActivityStatusCode::Cancelled,
        },
        status_message: activity.message.clone(),
        progress: Some(activity.progress),
        details: Some(activity.details.clone()),
        auto_scaling_group_state: activity.of_deleted_group.then(|| "Deleted".to_owned()),
        auto_scaling_group_arn: with_group.then(|| activity.group_arn.clone()),
    }
}
