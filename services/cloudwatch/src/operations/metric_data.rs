//! GetMetricStatistics and GetMetricData.

use crate::errors::Error;
use crate::labels;
use crate::math::{Named, Value, Values};
use crate::model::{MetricId, Query, Source};
use crate::query;
use crate::series;
use crate::shapes::{
    Datapoint, GetMetricDataInput, GetMetricDataOutput, GetMetricStatisticsInput, GetMetricStatisticsOutput,
    MetricDataResult, ScanBy, Statistic as Plain, StatusCode,
};
use crate::statistics::{Statistic, StatisticSet};
use zonal_cloud::{Scope, View};
use zonal_wire::{AwsError, Time};

const MOST_DATAPOINTS: i64 = 1440;
const MOST_QUERIES: usize = 500;
const MOST_VALUES: usize = 100_800;

/// GetMetricStatistics.
pub fn statistics(view: &View<'_>, input: &GetMetricStatisticsInput) -> Result<GetMetricStatisticsOutput, AwsError> {
    let period = query::period(input.period)?;
    if input.start_time >= input.end_time {
        return Err(Error::Value("The parameter StartTime must be less than the parameter EndTime.".to_owned()).into());
    }
    if input.statistics.is_empty() == input.extended_statistics.is_empty() {
        let text = "Exactly one of the parameters Statistics and ExtendedStatistics must be specified.";
        return Err(if input.statistics.is_empty() {
            Error::Missing(text.to_owned())
        } else {
            Error::Combination(text.to_owned())
        }
        .into());
    }
    let range = whole_periods(input.start_time, input.end_time, period);
    let requested = (range.1 - range.0) / period;
    if requested > MOST_DATAPOINTS {
        return Err(Error::Combination(format!(
            "You have requested up to {requested} datapoints, which exceeds the limit of {MOST_DATAPOINTS}. You may reduce the datapoints \
             requested by increasing Period, or decreasing the time range."
        ))
        .into());
    }
    let extended = input
        .extended_statistics
        .iter()
        .map(|name| match Statistic::parse(name) {
            Some(statistic @ Statistic::Percentile(_)) => Ok((name.clone(), statistic)),
            _ => Err(Error::Value(format!("The value {name} for parameter ExtendedStatistics is invalid."))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let id = MetricId {
        namespace: input.namespace.clone(),
        name: input.metric_name.clone(),
        dimensions: query::dimensions(&input.dimensions)?,
    };
    let unit = input.unit.map(|unit| unit.as_str());
    let mut datapoints = Vec::new();
    for (unit, series) in series::read(view, &id, unit, range.0, range.1, period) {
        let unit = unit.parse().ok();
        for (second, set) in &series {
            let mut point = Datapoint { timestamp: Some(Time::from_secs(*second)), unit, ..Default::default() };
            for statistic in &input.statistics {
                fill(&mut point, *statistic, set);
            }
            point.extended_statistics =
                extended.iter().filter_map(|(name, s)| Some((name.clone(), s.of(set)?))).collect();
            datapoints.push(point);
        }
    }
    Ok(GetMetricStatisticsOutput { label: Some(input.metric_name.clone()), datapoints })
}

fn fill(point: &mut Datapoint, statistic: Plain, set: &StatisticSet) {
    match statistic {
        Plain::SampleCount => point.sample_count = Statistic::Count.of(set),
        Plain::Average => point.average = Statistic::Average.of(set),
        Plain::Sum => point.sum = Statistic::Sum.of(set),
        Plain::Minimum => point.minimum = Statistic::Minimum.of(set),
        Plain::Maximum => point.maximum = Statistic::Maximum.of(set),
    }
}

/// A range in seconds: the start goes back to the start of its minute (of its period, where that is shorter).
fn whole_periods(start: Time, end: Time, period: i64) -> (i64, i64) {
    let step = period.min(60);
    let start = start.secs() - start.secs().rem_euclid(step);
    (start, end.secs().max(start + 1))
}

/// GetMetricData.
pub fn get(view: &View<'_>, input: &GetMetricDataInput) -> Result<GetMetricDataOutput, AwsError> {
    if input.start_time >= input.end_time {
        return Err(
            Error::Validation("The parameter StartTime must be less than the parameter EndTime.".to_owned()).into()
        );
    }
    if input.metric_data_queries.len() > MOST_QUERIES {
        return Err(Error::Validation(format!(
            "The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}."
        ))
        .into());
    }
    let queries = query::parse(&input.metric_data_queries)?;
    let limit = match input.max_datapoints {
        None => MOST_VALUES,
        Some(given) => {
            usize::try_from(given).ok().filter(|given| (1..=MOST_VALUES).contains(given)).ok_or_else(|| {
                Error::Validation(format!("The parameter MaxDatapoints must be between 1 and {MOST_VALUES}."))
            })?
        }
    };
    let skip: usize = match &input.next_token {
        None => 0,
        Some(token) => token.strip_prefix("zonal-").and_then(|rest| rest.parse().ok()).ok_or(Error::NextToken)?,
    };
    let period = queries.iter().filter_map(|query| match &query.source {
        Source::Metric { period, .. } => Some(*period),
        Source::Expression { .. } => None,
    });
    let range = whole_periods(input.start_time, input.end_time, period.min().unwrap_or(60));
    let mut results = query::answer(view, &queries, range)?;
    let (mut skip_left, mut room) = (skip, limit);
    let mut out = GetMetricDataOutput::default();
    for query in queries.iter().filter(|query| query.returned) {
        for (label, values) in series_of(&queries, query, results.remove(&query.id), view.scope) {
            let mut pairs: Vec<(i64, f64)> = values.into_iter().collect();
            if input.scan_by != Some(ScanBy::TimestampAscending) {
                pairs.reverse();
            }
            let skipped = skip_left.min(pairs.len());
            skip_left -= skipped;
            let taken = room.min(pairs.len() - skipped);
            room -= taken;
            let complete = skipped + taken == pairs.len();
            let pairs = &pairs[skipped..skipped + taken];
            out.metric_data_results.push(MetricDataResult {
                id: Some(query.id.clone()),
                label: Some(label),
                timestamps: pairs.iter().map(|(second, _)| Time::from_secs(*second)).collect(),
                values: pairs.iter().map(|(_, value)| *value).collect(),
                status_code: Some(if complete { StatusCode::Complete } else { StatusCode::PartialData }),
                ..Default::default()
            });
            if !complete {
                out.next_token = Some(format!("zonal-{}", skip + limit));
            }
        }
    }
    Ok(out)
}

/// The series of a query's result, with their labels.
fn series_of(queries: &[Query], query: &Query, result: Option<Value>, scope: &Scope) -> Vec<(String, Values)> {
    let (region, account) = (&scope.region, &scope.account);
    match result {
        Some(Value::Series(values)) => vec![(labels::of(query, region, account, &values), values)],
        Some(Value::Array(all)) => {
            let named = |one: Named| {
                let source = queries.iter().find(|query| query.id == one.name);
                (labels::of_several(query, source, region, account, &one.values), one.values)
            };
            all.into_iter().map(named).collect()
        }
        Some(Value::Scalar(_)) | None => Vec::new(),
    }
}
