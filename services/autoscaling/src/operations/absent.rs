//! What cannot be made here, and so is never there: launch configurations, classic load balancers, warm pools, notifications. Describing
//! them finds none, which is the truth; making them is answered as an unknown operation, or as AWS answers accounts that have none yet.

use crate::errors::Error;
use crate::operations::group;
use crate::shapes::{
    CreateLaunchConfigurationOutput, CreateLaunchConfigurationType, DeleteLaunchConfigurationOutput,
    DescribeLoadBalancersRequest, DescribeLoadBalancersResponse, DescribeNotificationConfigurationsAnswer,
    DescribeNotificationConfigurationsType, DescribeWarmPoolAnswer, DescribeWarmPoolType, LaunchConfigurationNameType,
    LaunchConfigurationNamesType, LaunchConfigurationsType,
};
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// DescribeLaunchConfigurations.
pub fn launch_configurations(
    _view: &View<'_>,
    _input: &LaunchConfigurationNamesType,
) -> Result<LaunchConfigurationsType, AwsError> {
    Ok(LaunchConfigurationsType::default())
}

/// CreateLaunchConfiguration: as for all accounts that came after September 2024.
pub fn create_launch_configuration(
    _tx: &mut Tx<'_>,
    _input: &CreateLaunchConfigurationType,
) -> Result<CreateLaunchConfigurationOutput, AwsError> {
    Err(Error::NoLaunchConfigurations.into())
}

/// DeleteLaunchConfiguration.
pub fn delete_launch_configuration(
    _tx: &mut Tx<'_>,
    input: &LaunchConfigurationNameType,
) -> Result<DeleteLaunchConfigurationOutput, AwsError> {
    let name = &input.launch_configuration_name;
    let text = format!("Launch configuration name not found - Launch configuration {name} not found");
    Err(Error::Validation(text).into())
}

/// DescribeLoadBalancers: the classic ones.
pub fn load_balancers(
    view: &View<'_>,
    input: &DescribeLoadBalancersRequest,
) -> Result<DescribeLoadBalancersResponse, AwsError> {
    group(view, &input.auto_scaling_group_name)?;
    Ok(DescribeLoadBalancersResponse::default())
}

/// DescribeWarmPool.
pub fn warm_pool(view: &View<'_>, input: &DescribeWarmPoolType) -> Result<DescribeWarmPoolAnswer, AwsError> {
    group(view, &input.auto_scaling_group_name)?;
    Ok(DescribeWarmPoolAnswer::default())
}

/// DescribeNotificationConfigurations.
pub fn notifications(
    _view: &View<'_>,
    _input: &DescribeNotificationConfigurationsType,
) -> Result<DescribeNotificationConfigurationsAnswer, AwsError> {
    Ok(DescribeNotificationConfigurationsAnswer::default())
}
