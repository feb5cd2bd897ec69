//! Target groups of a group, under their two names: load balancer target groups and traffic sources.

use crate::errors::Error;
use crate::model::{Group, Lifecycle, Member};
use crate::operations::groups::set_target_groups;
use crate::operations::{active_group, group, paged};
use crate::shapes::{
    AttachLoadBalancerTargetGroupsResultType, AttachLoadBalancerTargetGroupsType, AttachTrafficSourcesResultType,
    AttachTrafficSourcesType, DescribeLoadBalancerTargetGroupsRequest, DescribeLoadBalancerTargetGroupsResponse,
    DescribeTrafficSourcesRequest, DescribeTrafficSourcesResponse, DetachLoadBalancerTargetGroupsResultType,
    DetachLoadBalancerTargetGroupsType, DetachTrafficSourcesResultType, DetachTrafficSourcesType,
    LoadBalancerTargetGroupState, TrafficSourceIdentifier, TrafficSourceState,
};
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

fn attach_arns(tx: &mut Tx<'_>, name: &str, new: &[String]) -> Result<(), AwsError> {
    let group = active_group(&tx.view(), name)?;
    let mut arns = group.target_groups.clone();
    arns.extend(new.iter().filter(|arn| !group.target_groups.contains(arn)).cloned());
    set_target_groups(tx, group, arns)
}

fn detach_arns(tx: &mut Tx<'_>, name: &str, old: &[String]) -> Result<(), AwsError> {
    let group = active_group(&tx.view(), name)?;
    let arns = group.target_groups.iter().filter(|arn| !old.contains(arn)).cloned().collect();
    set_target_groups(tx, group, arns)
}

fn identifiers(sources: &[TrafficSourceIdentifier]) -> Result<Vec<String>, Error> {
    match sources.iter().find(|source| source.type_.as_deref().is_some_and(|kind| kind != "elbv2")) {
        Some(other) => {
            Err(Error::unsupported(&format!("TrafficSources.Type = {}", other.type_.as_deref().unwrap_or_default())))
        }
        None => Ok(sources.iter().map(|source| source.identifier.clone()).collect()),
    }
}

/// `InService` once every instance that serves is registered, `Adding` before.
fn state(view: &View<'_>, group: &Group, arn: &str) -> &'static str {
    let serving = view.owned_by::<Member>(&group.name).filter(|member| member.state == Lifecycle::InService);
    let (mut all, mut registered) = (0, 0);
    for member in serving {
        all += 1;
        registered += i32::from(member.registered.contains(arn));
    }
    if registered < all {
        "Adding"
    } else if all == 0 {
        "Added"
    } else {
        "InService"
    }
}

/// AttachLoadBalancerTargetGroups.
pub fn attach(
    tx: &mut Tx<'_>,
    input: &AttachLoadBalancerTargetGroupsType,
) -> Result<AttachLoadBalancerTargetGroupsResultType, AwsError> {
    attach_arns(tx, &input.auto_scaling_group_name, &input.target_group_arns)?;
    Ok(AttachLoadBalancerTargetGroupsResultType::default())
}

/// DetachLoadBalancerTargetGroups.
pub fn detach(
    tx: &mut Tx<'_>,
    input: &DetachLoadBalancerTargetGroupsType,
) -> Result<DetachLoadBalancerTargetGroupsResultType, AwsError> {
    detach_arns(tx, &input.auto_scaling_group_name, &input.target_group_arns)?;
    Ok(DetachLoadBalancerTargetGroupsResultType::default())
}

/// DescribeLoadBalancerTargetGroups.
pub fn describe(
    view: &View<'_>,
    input: &DescribeLoadBalancerTargetGroupsRequest,
) -> Result<DescribeLoadBalancerTargetGroupsResponse, AwsError> {
    let group = group(view, &input.auto_scaling_group_name)?;
    let mut arns = group.target_groups.clone();
    arns.sort();
    let (page, next_token) =
        paged(arns.into_iter().map(|arn| (arn.clone(), arn)), input.next_token.as_deref(), input.max_records)?;
    let load_balancer_target_groups = page
        .into_iter()
        .map(|arn| LoadBalancerTargetGroupState {
            state: Some(state(view, &group, &arn).to_owned()),
            load_balancer_target_group_arn: Some(arn),
        })
        .collect();
    Ok(DescribeLoadBalancerTargetGroupsResponse { load_balancer_target_groups, next_token })
}

/// AttachTrafficSources.
pub fn attach_sources(
    tx: &mut Tx<'_>,
    input: &AttachTrafficSourcesType,
) -> Result<AttachTrafficSourcesResultType, AwsError> {
    let arns = identifiers(&input.traffic_sources)?;
    attach_arns(tx, &input.auto_scaling_group_name, &arns)?;
    Ok(AttachTrafficSourcesResultType::default())
}

/// DetachTrafficSources.
pub fn detach_sources(
    tx: &mut Tx<'_>,
    input: &DetachTrafficSourcesType,
) -> Result<DetachTrafficSourcesResultType, AwsError> {
    let arns = identifiers(&input.traffic_sources)?;
    detach_arns(tx, &input.auto_scaling_group_name, &arns)?;
    Ok(DetachTrafficSourcesResultType::default())
}

/// DescribeTrafficSources.
pub fn describe_sources(
    view: &View<'_>,
    input: &DescribeTrafficSourcesRequest,
) -> Result<DescribeTrafficSourcesResponse, AwsError> {
    let group = group(view, &input.auto_scaling_group_name)?;
    let mut arns = group.target_groups.clone();
    if input.traffic_source_type.as_deref().is_some_and(|kind| kind != "elbv2") {
        arns.clear();
    }
    arns.sort();
    let (page, next_token) =
        paged(arns.into_iter().map(|arn| (arn.clone(), arn)), input.next_token.as_deref(), input.max_records)?;
    let traffic_sources = page
        .into_iter()
        .map(|arn| TrafficSourceState {
            traffic_source: Some(arn.clone()),
            state: Some(state(view, &group, &arn).to_owned()),
            identifier: Some(arn),
            type_: Some("elbv2".to_owned()),
        })
        .collect();
    Ok(DescribeTrafficSourcesResponse { traffic_sources, next_token })
}
