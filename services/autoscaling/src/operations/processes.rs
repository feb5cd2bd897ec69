//! Processes: suspended, resumed, and the lists of what there is.

use crate::balance::TERMINATION_POLICIES;
use crate::errors::Error;
use crate::model::{Group, Process, Transition};
use crate::operations::active_group;
use crate::policy::AdjustmentType;
use crate::shapes::{
    AdjustmentType as ShownAdjustment, DescribeAccountLimitsAnswer, DescribeAccountLimitsInput,
    DescribeAdjustmentTypesAnswer, DescribeAdjustmentTypesInput, DescribeLifecycleHookTypesAnswer,
    DescribeLifecycleHookTypesInput, DescribeScalingProcessTypesInput, DescribeTerminationPolicyTypesAnswer,
    DescribeTerminationPolicyTypesInput, ProcessType, ProcessesType, ResumeProcessesOutput, ScalingProcessQuery,
    SuspendProcessesOutput,
};
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

fn parsed(names: &[String]) -> Result<Vec<Process>, Error> {
    if names.is_empty() {
        return Ok(Process::ALL.to_vec());
    }
    names
        .iter()
        .map(|name| {
            Process::parse(name).ok_or_else(|| Error::Validation(format!("Invalid scaling process name: {name}")))
        })
        .collect()
}

/// SuspendProcesses: all, where none is named.
pub fn suspend(tx: &mut Tx<'_>, input: &ScalingProcessQuery) -> Result<SuspendProcessesOutput, AwsError> {
    let processes = parsed(&input.scaling_processes)?;
    let group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    let reason = format!("User suspended at {}", tx.now.iso8601());
    tx.update::<Group, _>(&group.name, |group| {
        for process in processes {
            group.suspended.entry(process).or_insert_with(|| reason.clone());
        }
    });
    Ok(SuspendProcessesOutput::default())
}

/// ResumeProcesses: all, where none is named.
pub fn resume(tx: &mut Tx<'_>, input: &ScalingProcessQuery) -> Result<ResumeProcessesOutput, AwsError> {
    let processes = parsed(&input.scaling_processes)?;
    let group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    tx.update::<Group, _>(&group.name, |group| group.suspended.retain(|process, _| !processes.contains(process)));
    // Health checks and load balancers are the instances' affair.
    super::groups::wake_members(tx, &group.name);
    Ok(ResumeProcessesOutput::default())
}

/// DescribeScalingProcessTypes.
pub fn types(_view: &View<'_>, _input: &DescribeScalingProcessTypesInput) -> Result<ProcessesType, AwsError> {
    Ok(ProcessesType {
        processes: Process::ALL.iter().map(|p| ProcessType { process_name: p.as_str().to_owned() }).collect(),
    })
}

/// DescribeAdjustmentTypes.
pub fn adjustment_types(
    _view: &View<'_>,
    _input: &DescribeAdjustmentTypesInput,
) -> Result<DescribeAdjustmentTypesAnswer, AwsError> {
    let all = [AdjustmentType::Change, AdjustmentType::Exact, AdjustmentType::Percent];
    let adjustment_types =
        all.iter().map(|kind| ShownAdjustment { adjustment_type: Some(kind.as_str().to_owned()) }).collect();
    Ok(DescribeAdjustmentTypesAnswer { adjustment_types })
}

/// DescribeTerminationPolicyTypes.
pub fn termination_policy_types(
    _view: &View<'_>,
    _input: &DescribeTerminationPolicyTypesInput,
) -> Result<DescribeTerminationPolicyTypesAnswer, AwsError> {
    Ok(DescribeTerminationPolicyTypesAnswer {
        termination_policy_types: TERMINATION_POLICIES.map(ToOwned::to_owned).to_vec(),
    })
}

/// DescribeLifecycleHookTypes.
pub fn hook_types(
    _view: &View<'_>,
    _input: &DescribeLifecycleHookTypesInput,
) -> Result<DescribeLifecycleHookTypesAnswer, AwsError> {
    let all = [Transition::Launching, Transition::Terminating];
    Ok(DescribeLifecycleHookTypesAnswer {
        lifecycle_hook_types: all.iter().map(|turn| turn.as_str().to_owned()).collect(),
    })
}

/// DescribeAccountLimits: AWS's defaults.
pub fn limits(view: &View<'_>, _input: &DescribeAccountLimitsInput) -> Result<DescribeAccountLimitsAnswer, AwsError> {
    Ok(DescribeAccountLimitsAnswer {
        max_number_of_auto_scaling_groups: Some(500),
        max_number_of_launch_configurations: Some(200),
        number_of_auto_scaling_groups: i32::try_from(view.list::<Group>().count()).ok(),
        number_of_launch_configurations: Some(0),
    })
}
