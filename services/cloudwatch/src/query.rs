//! Queries of metric data: checked, and answered.

use crate::errors::Error;
use crate::math::{self, Value, Values};
use crate::model::{MetricId, Query, Source};
use crate::series;
use crate::shapes;
use crate::statistics::Statistic;
use std::collections::{BTreeMap, BTreeSet};
use zonal_cloud::View;

/// The dimensions of a request as a map.
///
/// # Errors
/// A name given twice.
pub fn dimensions(given: &[shapes::Dimension]) -> Result<BTreeMap<String, String>, Error> {
    let mut out = BTreeMap::new();
    for dimension in given {
        if out.insert(dimension.name.clone(), dimension.value.clone()).is_some() {
            return Err(Error::Value(format!("The dimension {} is given more than once.", dimension.name)));
        }
    }
    Ok(out)
}

/// The other way round.
pub fn shown(dimensions: &BTreeMap<String, String>) -> Vec<shapes::Dimension> {
    dimensions.iter().map(|(name, value)| shapes::Dimension { name: name.clone(), value: value.clone() }).collect()
}

/// Checks a period of a query.
///
/// # Errors
/// It is not one that CloudWatch has.
pub fn period(seconds: i32) -> Result<i64, Error> {
    if matches!(seconds, 1 | 5 | 10 | 20 | 30) || (seconds > 0 && seconds % 60 == 0) {
        return Ok(i64::from(seconds));
    }
    Err(Error::Value("The parameter Period must be one of 1, 5, 10, 20, 30 or a multiple of 60.".to_owned()))
}

/// Reads the queries of a request.
///
/// # Errors
/// Validation errors, as AWS words them.
pub fn parse(given: &[shapes::MetricDataQuery]) -> Result<Vec<Query>, Error> {
    let mut ids = BTreeSet::new();
    given.iter().map(|query| {
        let valid = query.id.starts_with(|c: char| c.is_ascii_lowercase())
            && query.id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            return Err(Error::Validation(format!(
                "The value '{}' for the parameter Id must begin with a lowercase letter and have letters, digits and underscores only.",
                query.id
            )));
        }
        if !ids.insert(query.id.as_str()) {
            return Err(Error::Validation(format!("The values for parameter id in MetricDataQueries are not unique: {}", query.id)));
        }
        let source = match (&query.metric_stat, &query.expression) {
            (Some(stat), None) => metric_source(stat)?,
            (None, Some(text)) => {
                math::parse(text).map_err(|reason| expression_error(&query.id, &reason))?;
                Source::Expression { text: text.clone(), period: query.period.map(period).transpose()? }
            }
            _ => return Err(Error::Validation("Exactly one of Expression and MetricStat must be given in each of MetricDataQueries.".to_owned())),
        };
        Ok(Query { id: query.id.clone(), label: query.label.clone(), returned: query.return_data.unwrap_or(true), source })
    }).collect()
}

fn metric_source(stat: &shapes::MetricStat) -> Result<Source, Error> {
    let (Some(namespace), Some(name)) = (&stat.metric.namespace, &stat.metric.metric_name) else {
        return Err(Error::Validation("A metric needs a Namespace and a MetricName.".to_owned()));
    };
    if Statistic::parse(&stat.stat).is_none() {
        return Err(Error::Validation(format!("The value '{}' for the parameter Stat is not supported.", stat.stat)));
    }
    Ok(Source::Metric {
        metric: MetricId {
            namespace: namespace.clone(),
            name: name.clone(),
            dimensions: dimensions(&stat.metric.dimensions)?,
        },
        period: period(stat.period)?,
        statistic: stat.stat.clone(),
        unit: stat.unit.map(|unit| unit.as_str().to_owned()),
    })
}

/// As a request has it.
pub fn shape(query: &Query) -> shapes::MetricDataQuery {
    let mut out = shapes::MetricDataQuery {
        id: query.id.clone(),
        label: query.label.clone(),
        return_data: Some(query.returned),
        ..Default::default()
    };
    match &query.source {
        Source::Metric { metric, period, statistic, unit } => {
            out.metric_stat = Some(shapes::MetricStat {
                metric: shapes::Metric {
                    namespace: Some(metric.namespace.clone()),
                    metric_name: Some(metric.name.clone()),
                    dimensions: shown(&metric.dimensions),
                },
                period: i32::try_from(*period).unwrap_or(i32::MAX),
                stat: statistic.clone(),
                unit: unit.as_deref().and_then(|unit| unit.parse().ok()),
            });
        }
        Source::Expression { text, period } => {
            out.expression = Some(text.clone());
            out.period = period.and_then(|period| i32::try_from(period).ok());
        }
    }
    out
}

fn expression_error(id: &str, reason: &str) -> Error {
    Error::Validation(format!("Error in expression '{id}': {reason}"))
}

/// The values of one statistic of one metric.
pub fn values(
    view: &View<'_>,
    metric: &MetricId,
    statistic: &str,
    unit: Option<&str>,
    range: (i64, i64),
    period: i64,
) -> Values {
    let Some(statistic) = Statistic::parse(statistic) else { return Values::new() };
    series::read_any(view, metric, unit, range.0, range.1, period)
        .iter()
        .filter_map(|(second, set)| Some((*second, statistic.of(set)?)))
        .collect()
}

/// Answers all queries over a range of seconds, by id.
///
/// # Errors
/// An expression that cannot be evaluated.
pub fn answer(view: &View<'_>, queries: &[Query], range: (i64, i64)) -> Result<BTreeMap<String, Value>, Error> {
    let mut results = BTreeMap::new();
    let mut metrics = Vec::new();
    let mut common = 1;
    for query in queries {
        if let Source::Metric { metric, period, statistic, unit } = &query.source {
            let values = values(view, metric, statistic, unit.as_deref(), range, *period);
            results.insert(query.id.clone(), Value::Series(values));
            metrics.push(query.id.clone());
            common = common.max(*period);
        }
    }
    // An expression may use others: take those whose ids are known until none is left, or none can be.
    let mut waiting: Vec<(&Query, math::Expression)> = Vec::new();
    for query in queries {
        if let Source::Expression { text, period } = &query.source {
            common = common.max(period.unwrap_or(1));
            waiting.push((query, math::parse(text).map_err(|reason| expression_error(&query.id, &reason))?));
        }
    }
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut left = Vec::new();
        for (query, expression) in waiting {
            if !known(&expression, &results) {
                left.push((query, expression));
                continue;
            }
            let period = if common > 1 { common } else { 60 };
            let aligned = (range.0 - range.0.rem_euclid(period), range.1);
            let scope = math::Scope { results: &results, metrics: &metrics, period, range: aligned };
            let value = scope.evaluate(&expression).map_err(|reason| expression_error(&query.id, &reason))?;
            if let Value::Scalar(_) = value {
                return Err(expression_error(&query.id, "the final value must be a time series"));
            }
            results.insert(query.id.clone(), value);
        }
        if left.len() == before {
            return Err(expression_error(&left[0].0.id, "it refers to an id that does not exist, or to itself"));
        }
        waiting = left;
    }
    Ok(results)
}

fn known(expression: &math::Expression, results: &BTreeMap<String, Value>) -> bool {
    use math::Expression as E;
    match expression {
        E::Id(id) => results.contains_key(id),
        E::Number(_) | E::Word(_) => true,
        E::Negative(inner) => known(inner, results),
        E::Binary(_, left, right) => known(left, results) && known(right, results),
        E::Array(items) | E::Call(_, items) => items.iter().all(|item| known(item, results)),
    }
}
