//! Group metrics, switched on and off.

use crate::controllers::metrics::METRICS;
use crate::errors::Error;
use crate::model::Group;
use crate::operations::active_group;
use crate::shapes::{
    DescribeMetricCollectionTypesAnswer, DescribeMetricCollectionTypesInput, DisableMetricsCollectionOutput,
    DisableMetricsCollectionQuery, EnableMetricsCollectionOutput, EnableMetricsCollectionQuery, MetricCollectionType,
    MetricGranularityType,
};
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

fn named(names: &[String]) -> Result<Vec<String>, Error> {
    if names.is_empty() {
        return Ok(METRICS.map(ToOwned::to_owned).to_vec());
    }
    match names.iter().find(|name| !METRICS.contains(&name.as_str())) {
        Some(other) => Err(Error::Validation(format!("Invalid metric type: {other}"))),
        None => Ok(names.to_vec()),
    }
}

/// EnableMetricsCollection: all, where none is named.
pub fn enable(
    tx: &mut Tx<'_>,
    input: &EnableMetricsCollectionQuery,
) -> Result<EnableMetricsCollectionOutput, AwsError> {
    if input.granularity != "1Minute" {
        return Err(Error::Validation("1Minute is the only valid granularity.".to_owned()).into());
    }
    let names = named(&input.metrics)?;
    let group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    tx.update::<Group, _>(&group.name, |group| group.metrics.extend(names));
    Ok(EnableMetricsCollectionOutput::default())
}

/// DisableMetricsCollection: all, where none is named.
pub fn disable(
    tx: &mut Tx<'_>,
    input: &DisableMetricsCollectionQuery,
) -> Result<DisableMetricsCollectionOutput, AwsError> {
    let names = named(&input.metrics)?;
    let group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    tx.update::<Group, _>(&group.name, |group| group.metrics.retain(|name| !names.contains(name)));
    Ok(DisableMetricsCollectionOutput::default())
}

/// DescribeMetricCollectionTypes.
pub fn types(
    _view: &View<'_>,
    _input: &DescribeMetricCollectionTypesInput,
) -> Result<DescribeMetricCollectionTypesAnswer, AwsError> {
    Ok(DescribeMetricCollectionTypesAnswer {
        metrics: METRICS.iter().map(|name| MetricCollectionType { metric: Some((*name).to_owned()) }).collect(),
        granularities: vec![MetricGranularityType { granularity: Some("1Minute".to_owned()) }],
    })
}
