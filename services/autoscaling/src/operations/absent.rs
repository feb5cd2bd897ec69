//! What cannot be made here, and so is never there: launch configurations, classic load balancers, warm pools, notifications. Describing
//! them finds none, which is the truth; making them is answered as an unknown operation.

use crate::operations::group;
use crate::shapes::{
    DescribeLoadBalancersRequest, DescribeLoadBalancersResponse, DescribeNotificationConfigurationsAnswer,
    DescribeNotificationConfigurationsType, DescribeWarmPoolAnswer, DescribeWarmPoolType, LaunchConfigurationNamesType,
    LaunchConfigurationsType,
};
use zonal_cloud::View;
use zonal_wire::AwsError;

/// DescribeLaunchConfigurations.
pub fn launch_configurations(
    _view: &View<'_>,
    _input: &LaunchConfigurationNamesType,
) -> Result<LaunchConfigurationsType, AwsError> {
    Ok(LaunchConfigurationsType::default())
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
