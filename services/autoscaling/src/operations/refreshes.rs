//! Instance refreshes: started, cancelled, described.

use crate::errors::Error;
use crate::mixed;
use crate::operations::create_group::{refuse, relaunching};
use crate::operations::groups::shown_template;
use crate::operations::{active_group, group, paged};
use crate::refresh::{Exempt, Refresh, RefreshStatus, active};
use crate::shapes::{
    CancelInstanceRefreshAnswer, CancelInstanceRefreshType, DescribeInstanceRefreshesAnswer,
    DescribeInstanceRefreshesType, DesiredConfiguration, InstanceRefresh, InstanceRefreshLivePoolProgress,
    InstanceRefreshProgressDetails, InstanceRefreshStatus, RefreshPreferences, RefreshStrategy,
    ScaleInProtectedInstances, StandbyInstances, StartInstanceRefreshAnswer, StartInstanceRefreshType,
};
use zonal_cloud::{Record, Tx, View, ids};
use zonal_wire::AwsError;

/// StartInstanceRefresh.
pub fn start(tx: &mut Tx<'_>, input: &StartInstanceRefreshType) -> Result<StartInstanceRefreshAnswer, AwsError> {
    let group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    if active(&tx.view(), &group.name).is_some() {
        return Err(Error::InstanceRefreshInProgress.into());
    }
    let configuration = input.desired_configuration.clone().unwrap_or_default();
    refuse(&[("Strategy = ReplaceRootVolume", input.strategy == Some(RefreshStrategy::ReplaceRootVolume))])?;
    let id = ids::uuid(tx.chance());
    let mut refresh = Refresh::new(id.clone(), &group.name, tx.now);
    if let Some(preferences) = &input.preferences {
        prefer(&mut refresh, preferences)?;
    }
    let (template, policy) = (configuration.launch_template.as_ref(), configuration.mixed_instances_policy.as_ref());
    refresh.configuration = relaunching(tx, &group, template, policy)?;
    tx.put(refresh);
    Ok(StartInstanceRefreshAnswer { instance_refresh_id: Some(id) })
}

fn prefer(refresh: &mut Refresh, given: &RefreshPreferences) -> Result<(), Error> {
    refuse(&[
        ("Preferences.CheckpointPercentages", !given.checkpoint_percentages.is_empty()),
        ("Preferences.AutoRollback", given.auto_rollback == Some(true)),
        ("Preferences.AlarmSpecification", given.alarm_specification.is_some()),
        ("Preferences.BakeTime", given.bake_time.is_some_and(|seconds| seconds > 0)),
        ("Preferences.MaxHealthyPercentage", given.max_healthy_percentage.is_some_and(|percent| percent > 100)),
    ])?;
    refresh.min_healthy = given.min_healthy_percentage.unwrap_or(refresh.min_healthy);
    refresh.warmup = given.instance_warmup;
    refresh.skip_matching = given.skip_matching.unwrap_or(false);
    refresh.protected = match given.scale_in_protected_instances {
        None | Some(ScaleInProtectedInstances::Wait) => Exempt::Wait,
        Some(ScaleInProtectedInstances::Ignore) => Exempt::Ignore,
        Some(ScaleInProtectedInstances::Refresh) => Exempt::Replace,
    };
    refresh.standby = match given.standby_instances {
        None | Some(StandbyInstances::Wait) => Exempt::Wait,
        Some(StandbyInstances::Ignore) => Exempt::Ignore,
        Some(StandbyInstances::Terminate) => Exempt::Replace,
    };
    Ok(())
}

/// CancelInstanceRefresh: what is replaced stays replaced.
pub fn cancel(tx: &mut Tx<'_>, input: &CancelInstanceRefreshType) -> Result<CancelInstanceRefreshAnswer, AwsError> {
    let group = group(&tx.view(), &input.auto_scaling_group_name)?;
    let mut refresh = active(&tx.view(), &group.name).ok_or(Error::NoActiveInstanceRefresh)?;
    refresh.status = RefreshStatus::Cancelling;
    let id = refresh.id.clone();
    tx.put(refresh);
    Ok(CancelInstanceRefreshAnswer { instance_refresh_id: Some(id) })
}

/// DescribeInstanceRefreshes: the newest first.
pub fn describe(
    view: &View<'_>,
    input: &DescribeInstanceRefreshesType,
) -> Result<DescribeInstanceRefreshesAnswer, AwsError> {
    group(view, &input.auto_scaling_group_name)?;
    let wanted = |refresh: &&Refresh| {
        refresh.group == input.auto_scaling_group_name
            && (input.instance_refresh_ids.is_empty() || input.instance_refresh_ids.contains(&refresh.id))
    };
    let mut items: Vec<(String, &Refresh)> = view
        .list::<Refresh>()
        .filter(wanted)
        .map(|refresh| (format!("{:020}{}", i64::MAX - refresh.start.0, refresh.key()), refresh))
        .collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let (page, next_token) = paged(items, input.next_token.as_deref(), input.max_records)?;
    Ok(DescribeInstanceRefreshesAnswer { instance_refreshes: page.into_iter().map(shape).collect(), next_token })
}

fn shape(refresh: &Refresh) -> InstanceRefresh {
    let (percentage, left) = (Some(refresh.percentage()), i32::try_from(refresh.old.len()).ok());
    InstanceRefresh {
        instance_refresh_id: Some(refresh.id.clone()),
        auto_scaling_group_name: Some(refresh.group.clone()),
        status: Some(match refresh.status {
            RefreshStatus::Pending => InstanceRefreshStatus::Pending,
            RefreshStatus::InProgress => InstanceRefreshStatus::InProgress,
            RefreshStatus::Successful => InstanceRefreshStatus::Successful,
            RefreshStatus::Failed => InstanceRefreshStatus::Failed,
            RefreshStatus::Cancelling => InstanceRefreshStatus::Cancelling,
            RefreshStatus::Cancelled => InstanceRefreshStatus::Cancelled,
        }),
        status_reason: refresh.reason.clone(),
        start_time: Some(refresh.start),
        end_time: refresh.end,
        percentage_complete: percentage,
        instances_to_update: left,
        progress_details: Some(InstanceRefreshProgressDetails {
            live_pool_progress: Some(InstanceRefreshLivePoolProgress {
                percentage_complete: percentage,
                instances_to_update: left,
            }),
            warm_pool_progress: None,
        }),
        preferences: Some(RefreshPreferences {
            min_healthy_percentage: Some(refresh.min_healthy),
            max_healthy_percentage: Some(100),
            instance_warmup: refresh.warmup,
            skip_matching: Some(refresh.skip_matching),
            auto_rollback: Some(false),
            scale_in_protected_instances: Some(match refresh.protected {
                Exempt::Wait => ScaleInProtectedInstances::Wait,
                Exempt::Ignore => ScaleInProtectedInstances::Ignore,
                Exempt::Replace => ScaleInProtectedInstances::Refresh,
            }),
            standby_instances: Some(match refresh.standby {
                Exempt::Wait => StandbyInstances::Wait,
                Exempt::Ignore => StandbyInstances::Ignore,
                Exempt::Replace => StandbyInstances::Terminate,
            }),
            ..Default::default()
        }),
        desired_configuration: refresh.configuration.as_ref().map(|own| DesiredConfiguration {
            launch_template: own.mixed.is_none().then(|| shown_template(&own.template)),
            mixed_instances_policy: mixed::shown(&own.template, own.mixed.as_ref()),
        }),
        strategy: Some(RefreshStrategy::Rolling),
        ..Default::default()
    }
}
