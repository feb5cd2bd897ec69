//! Scheduled actions.

use crate::errors::Error;
use crate::model::pair;
use crate::operations::create_group::bounds;
use crate::operations::{active_group, group, paged};
use crate::schedule::{Cron, Schedule};
use crate::shapes::{
    BatchDeleteScheduledActionAnswer, BatchDeleteScheduledActionType, BatchPutScheduledUpdateGroupActionAnswer,
    BatchPutScheduledUpdateGroupActionType, DeleteScheduledActionOutput, DeleteScheduledActionType,
    DescribeScheduledActionsType, FailedScheduledUpdateGroupActionRequest, PutScheduledUpdateGroupActionOutput,
    PutScheduledUpdateGroupActionType, ScheduledActionsType, ScheduledUpdateGroupAction,
};
use crate::zone::Zone;
use zonal_cloud::{Record, Scope, Tx, View, ids};
use zonal_wire::AwsError;

/// PutScheduledUpdateGroupAction.
pub fn put(
    tx: &mut Tx<'_>,
    input: &PutScheduledUpdateGroupActionType,
) -> Result<PutScheduledUpdateGroupActionOutput, AwsError> {
    active_group(&tx.view(), &input.auto_scaling_group_name)?;
    put_one(tx, input)?;
    Ok(PutScheduledUpdateGroupActionOutput::default())
}

fn put_one(tx: &mut Tx<'_>, input: &PutScheduledUpdateGroupActionType) -> Result<(), Error> {
    let (group, name) = (&input.auto_scaling_group_name, &input.scheduled_action_name);
    let unknown = |zone: &str| Error::Validation(format!("Given time zone:{zone} is invalid"));
    let zone = match input.time_zone.as_deref() {
        Some(given) => Zone::named(given).ok_or_else(|| unknown(given))?,
        None => Zone::utc(),
    };
    if input.min_size.is_none() && input.max_size.is_none() && input.desired_capacity.is_none() {
        return Err(Error::Validation(
            "At least one of MinSize, MaxSize and DesiredCapacity must be given.".to_owned(),
        ));
    }
    if let (Some(min), Some(max)) = (input.min_size, input.max_size) {
        bounds(min, max)?;
    }
    let start = input.start_time.or(input.time);
    if start.is_some_and(|start| start < tx.now) {
        return Err(Error::Validation("Given start time is in the past".to_owned()));
    }
    if start.zip(input.end_time).is_some_and(|(start, end)| end <= start) {
        return Err(Error::Validation("End time must be after start time.".to_owned()));
    }
    let first = match &input.recurrence {
        Some(text) => {
            let cron = Cron::parse(text)
                .ok_or_else(|| Error::Validation(format!("Given recurrence string:{text} is invalid")))?;
            let comes = cron.after(start.unwrap_or(tx.now), &zone);
            let comes =
                comes.ok_or_else(|| Error::Validation(format!("Given recurrence string:{text} never comes")))?;
            // It acts at the start, then as it recurs.
            start.unwrap_or(comes)
        }
        None => start.ok_or_else(|| Error::Validation("Either StartTime or Recurrence must be given.".to_owned()))?,
    };
    if input.recurrence.is_some() && input.end_time.is_some_and(|end| end < first) {
        return Err(Error::Validation("End time must be after start time.".to_owned()));
    }
    let uuid = match tx.get::<Schedule>(&pair(group, name)) {
        Some(old) => old.uuid.clone(),
        None => ids::uuid(tx.chance()),
    };
    let mut schedule = Schedule::new(group, name, uuid, first);
    schedule.start = start;
    schedule.end = input.end_time;
    schedule.recurrence = input.recurrence.clone();
    schedule.time_zone = input.time_zone.clone();
    schedule.min = input.min_size;
    schedule.max = input.max_size;
    schedule.desired = input.desired_capacity;
    tx.put(schedule);
    Ok(())
}

/// BatchPutScheduledUpdateGroupAction: each for itself.
pub fn batch_put(
    tx: &mut Tx<'_>,
    input: &BatchPutScheduledUpdateGroupActionType,
) -> Result<BatchPutScheduledUpdateGroupActionAnswer, AwsError> {
    active_group(&tx.view(), &input.auto_scaling_group_name)?;
    let mut failed = Vec::new();
    for request in &input.scheduled_update_group_actions {
        let one = PutScheduledUpdateGroupActionType {
            auto_scaling_group_name: input.auto_scaling_group_name.clone(),
            scheduled_action_name: request.scheduled_action_name.clone(),
            time: None,
            start_time: request.start_time,
            end_time: request.end_time,
            recurrence: request.recurrence.clone(),
            min_size: request.min_size,
            max_size: request.max_size,
            desired_capacity: request.desired_capacity,
            time_zone: request.time_zone.clone(),
        };
        if let Err(error) = put_one(tx, &one) {
            failed.push(failure(&request.scheduled_action_name, error));
        }
    }
    Ok(BatchPutScheduledUpdateGroupActionAnswer { failed_scheduled_update_group_actions: failed })
}

fn failure(name: &str, error: Error) -> FailedScheduledUpdateGroupActionRequest {
    let error = AwsError::from(error);
    FailedScheduledUpdateGroupActionRequest {
        scheduled_action_name: name.to_owned(),
        error_code: Some(error.code.into_owned()),
        error_message: Some(error.message),
    }
}

fn delete_one(tx: &mut Tx<'_>, group: &str, name: &str) -> Result<(), Error> {
    let key = pair(group, name);
    if tx.get::<Schedule>(&key).is_none() {
        return Err(Error::Validation(format!("Scheduled action name not found: {name}")));
    }
    tx.remove::<Schedule>(&key);
    Ok(())
}

/// DeleteScheduledAction.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteScheduledActionType) -> Result<DeleteScheduledActionOutput, AwsError> {
    group(&tx.view(), &input.auto_scaling_group_name)?;
    delete_one(tx, &input.auto_scaling_group_name, &input.scheduled_action_name)?;
    Ok(DeleteScheduledActionOutput::default())
}

/// BatchDeleteScheduledAction: each for itself.
pub fn batch_delete(
    tx: &mut Tx<'_>,
    input: &BatchDeleteScheduledActionType,
) -> Result<BatchDeleteScheduledActionAnswer, AwsError> {
    group(&tx.view(), &input.auto_scaling_group_name)?;
    let mut failed = Vec::new();
    for name in &input.scheduled_action_names {
        if let Err(error) = delete_one(tx, &input.auto_scaling_group_name, name) {
            failed.push(failure(name, error));
        }
    }
    Ok(BatchDeleteScheduledActionAnswer { failed_scheduled_actions: failed })
}

/// DescribeScheduledActions.
pub fn describe(view: &View<'_>, input: &DescribeScheduledActionsType) -> Result<ScheduledActionsType, AwsError> {
    let wanted = |schedule: &&Schedule| {
        input.auto_scaling_group_name.as_ref().is_none_or(|group| *group == schedule.group)
            && (input.scheduled_action_names.is_empty()
                || input.scheduled_action_names.contains(&schedule.name)
                || input.scheduled_action_names.contains(&arn(view.scope, schedule)))
            && input.start_time.is_none_or(|start| schedule.next >= start)
            && input.end_time.is_none_or(|end| schedule.next <= end)
    };
    let items = view.list::<Schedule>().filter(wanted).map(|schedule| (schedule.key().to_owned(), schedule));
    let (page, next_token) = paged(items, input.next_token.as_deref(), input.max_records)?;
    let scheduled_update_group_actions = page.into_iter().map(|schedule| shape(view.scope, schedule)).collect();
    Ok(ScheduledActionsType { scheduled_update_group_actions, next_token })
}

fn arn(scope: &Scope, schedule: &Schedule) -> String {
    scope.arn(
        "autoscaling",
        &format!(
            "scheduledUpdateGroupAction:{}:autoScalingGroupName/{}:scheduledActionName/{}",
            schedule.uuid, schedule.group, schedule.name
        ),
    )
}

fn shape(scope: &Scope, schedule: &Schedule) -> ScheduledUpdateGroupAction {
    ScheduledUpdateGroupAction {
        auto_scaling_group_name: Some(schedule.group.clone()),
        scheduled_action_name: Some(schedule.name.clone()),
        scheduled_action_arn: Some(arn(scope, schedule)),
        time: Some(schedule.next),
        start_time: Some(schedule.next),
        end_time: schedule.end,
        recurrence: schedule.recurrence.clone(),
        min_size: schedule.min,
        max_size: schedule.max,
        desired_capacity: schedule.desired,
        time_zone: schedule.time_zone.clone(),
    }
}
