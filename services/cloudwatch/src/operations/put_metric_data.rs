//! PutMetricData.

use crate::errors::Error;
use crate::model::MetricId;
use crate::query;
use crate::series;
use crate::shapes::{MetricDatum, PutMetricDataInput, PutMetricDataOutput};
use crate::statistics::StatisticSet;
use std::time::Duration;
use zonal_cloud::Tx;
use zonal_wire::{AwsError, Time};

const MOST_DATA: usize = 1000;
const MOST_VALUES: usize = 150;
const OLDEST: Duration = Duration::from_secs(14 * 86_400);
const NEWEST: Duration = Duration::from_secs(2 * 3600);
/// Values beyond ±2^360 are refused.
const LARGEST: f64 = 2.348_542_582_773_833_4e108;

/// Takes in values.
pub fn put(tx: &mut Tx<'_>, input: &PutMetricDataInput) -> Result<PutMetricDataOutput, AwsError> {
    let namespace = input.namespace.as_str();
    if namespace.starts_with(':') || (namespace.starts_with("AWS/") && !tx.caller.is_service()) {
        return Err(Error::Value(format!("The value {namespace} for parameter Namespace is invalid.")).into());
    }
    let data: Vec<&MetricDatum> = input
        .metric_data
        .iter()
        .chain(input.entity_metric_data.iter().flat_map(|entity| &entity.metric_data))
        .collect();
    if data.is_empty() {
        return Err(Error::Missing("The parameter MetricData is required.".to_owned()).into());
    }
    if data.len() > MOST_DATA {
        return Err(
            Error::Value(format!("The collection MetricData must not have a size greater than {MOST_DATA}.")).into()
        );
    }
    for (index, datum) in data.into_iter().enumerate() {
        let place = format!("MetricData.member.{}", index + 1);
        let id = MetricId {
            namespace: namespace.to_owned(),
            name: datum.metric_name.clone(),
            dimensions: query::dimensions(&datum.dimensions)?,
        };
        if id.dimensions.len() > 30 {
            return Err(Error::Value(format!(
                "The collection {place}.Dimensions must not have a size greater than 30."
            ))
            .into());
        }
        let text = std::iter::once(&id.name).chain(id.dimensions.iter().flat_map(|(name, value)| [name, value]));
        if text.into_iter().any(|text| text.chars().any(char::is_control)) {
            return Err(Error::Value(format!("The parameter {place} contains control characters.")).into());
        }
        let set = values(datum, &place)?;
        let time = datum.timestamp.unwrap_or(tx.now);
        within_reach(time, tx.now, &place)?;
        let by_second = match datum.storage_resolution {
            None | Some(60) => false,
            Some(1) => true,
            Some(_) => {
                return Err(Error::Value(format!("The parameter {place}.StorageResolution must be 1 or 60.")).into());
            }
        };
        let unit = datum.unit.map_or("None", |unit| unit.as_str());
        series::put(tx, &id, unit, time, &set, by_second);
    }
    Ok(PutMetricDataOutput::default())
}

fn within_reach(time: Time, now: Time, place: &str) -> Result<(), Error> {
    if time < now - OLDEST {
        return Err(Error::Value(format!(
            "The parameter {place}.Timestamp must specify a time no more than two weeks in the past."
        )));
    }
    if time > now + NEWEST {
        return Err(Error::Value(format!(
            "The parameter {place}.Timestamp must specify a time within two hours in the future."
        )));
    }
    Ok(())
}

fn values(datum: &MetricDatum, place: &str) -> Result<StatisticSet, Error> {
    let given = [datum.value.is_some(), datum.statistic_values.is_some(), !datum.values.is_empty()];
    if given.iter().filter(|given| **given).count() > 1 {
        let names = ["Value", "StatisticValues", "Values"];
        let both: Vec<&str> = names.into_iter().zip(given).filter_map(|(name, given)| given.then_some(name)).collect();
        return Err(Error::Combination(format!(
            "The parameters {place}.{} and {place}.{} are mutually exclusive and you have specified both.",
            both[0], both[1]
        )));
    }
    let finite = |value: f64, name: &str| {
        if value.is_finite() && value.abs() <= LARGEST {
            Ok(value)
        } else {
            Err(Error::Value(format!("The value {value} for parameter {place}.{name} is invalid.")))
        }
    };
    if let Some(value) = datum.value {
        return Ok(StatisticSet::of(finite(value, "Value")?, 1.0));
    }
    if let Some(set) = &datum.statistic_values {
        for (name, value) in
            [("SampleCount", set.sample_count), ("Sum", set.sum), ("Minimum", set.minimum), ("Maximum", set.maximum)]
        {
            finite(value, &format!("StatisticValues.{name}"))?;
        }
        if set.sample_count <= 0.0 {
            return Err(Error::Value(format!(
                "The parameter {place}.StatisticValues.SampleCount must be greater than 0."
            )));
        }
        if set.minimum > set.maximum {
            return Err(Error::Combination(format!(
                "The parameter {place}.StatisticValues.Maximum must be greater than {place}.StatisticValues.Minimum."
            )));
        }
        return Ok(StatisticSet::given(set.sample_count, set.sum, set.minimum, set.maximum));
    }
    if datum.values.is_empty() {
        return Err(Error::Missing(format!("The parameter {place}.Value is required.")));
    }
    if datum.values.len() > MOST_VALUES {
        return Err(Error::Value(format!(
            "The collection {place}.Values must not have a size greater than {MOST_VALUES}."
        )));
    }
    if !datum.counts.is_empty() && datum.counts.len() != datum.values.len() {
        return Err(Error::Value(format!(
            "The parameters {place}.Values and {place}.Counts must be of the same size."
        )));
    }
    let mut set = StatisticSet::default();
    for (index, value) in datum.values.iter().enumerate() {
        let count = finite(datum.counts.get(index).copied().unwrap_or(1.0), "Counts")?;
        if count < 0.0 {
            return Err(Error::Value(format!("The parameter {place}.Counts must not be negative.")));
        }
        set.merge(&StatisticSet::of(finite(*value, "Values")?, count));
    }
    Ok(set)
}
