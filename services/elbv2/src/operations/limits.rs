//! Account limits: AWS's published table. Source: Elastic Load Balancing API reference, `DescribeAccountLimits`; User Guide for
//! Application Load Balancers, "Quotas".

use super::page;
use crate::shapes::{DescribeAccountLimitsInput, DescribeAccountLimitsOutput, Limit};
use zonal_cloud::View;
use zonal_wire::AwsError;

const LIMITS: [(&str, u32); 10] = [
    ("application-load-balancers", 50),
    ("condition-values-per-alb-rule", 5),
    ("condition-wildcards-per-alb-rule", 6),
    ("listeners-per-application-load-balancer", 50),
    ("rules-per-application-load-balancer", 100),
    ("target-groups", 3000),
    ("target-groups-per-action-on-application-load-balancer", 5),
    ("target-groups-per-application-load-balancer", 100),
    ("targets-per-application-load-balancer", 1000),
    ("targets-per-target-group", 1000),
];

/// `DescribeAccountLimits`
pub fn account(_: &View<'_>, input: &DescribeAccountLimitsInput) -> Result<DescribeAccountLimitsOutput, AwsError> {
    let limit =
        |(name, max): (&str, u32)| (name.to_owned(), Limit { name: Some(name.to_owned()), max: Some(max.to_string()) });
    let (limits, next_marker) = page(LIMITS.into_iter().map(limit), input.marker.as_deref(), input.page_size)?;
    Ok(DescribeAccountLimitsOutput { limits, next_marker })
}
