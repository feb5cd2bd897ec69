//! Labels of results: what stands in `${…}` is put in from the series that they are for.
//!
//! Source: "Using dynamic labels" in the CloudWatch user guide. Times and their ranges are left as they stand.

use crate::math::Values;
use crate::model::{Query, Source};

/// The label of a query's result.
pub fn of(query: &Query, region: &str, account: &str, values: &Values) -> String {
    let own = match &query.source {
        Source::Metric { metric, .. } => metric.name.as_str(),
        Source::Expression { .. } => query.id.as_str(),
    };
    let Some(given) = &query.label else { return own.to_owned() };
    let mut out = String::new();
    let mut rest = given.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let Some((word, behind)) = after.split_once('}') else { break };
        out += before;
        match put_in(word.trim(), query, own, (region, account), values) {
            Some(text) => out += &text,
            None => out += &format!("${{{word}}}"),
        }
        rest = behind;
    }
    out + rest
}

fn put_in(word: &str, query: &Query, own: &str, (region, account): (&str, &str), values: &Values) -> Option<String> {
    let all = || values.values().copied();
    let sum = all().sum::<f64>();
    let least = all().fold(f64::INFINITY, f64::min);
    let most = all().fold(f64::NEG_INFINITY, f64::max);
    if word == "LABEL" {
        return Some(own.to_owned());
    }
    if word == "DATAPOINT_COUNT" {
        return Some(values.len().to_string());
    }
    if let Some(name) = word.strip_prefix("PROP(").and_then(|rest| rest.strip_suffix(')')) {
        return property(name.trim().trim_matches(['\'', '"']), query, region, account);
    }
    let (first, last) = (all().next(), all().next_back());
    let number = match word {
        "AVG" => sum / values.len() as f64,
        "SUM" => sum,
        "MIN" => least,
        "MAX" => most,
        "FIRST" => first?,
        "LAST" => last?,
        "FIRST_LAST_RANGE" => last? - first?,
        "MIN_MAX_RANGE" => most - least,
        _ => return None,
    };
    // A series without values has none of these.
    Some(if number.is_finite() { shown(number) } else { String::new() })
}

fn property(name: &str, query: &Query, region: &str, account: &str) -> Option<String> {
    let Source::Metric { metric, period, statistic, .. } = &query.source else { return None };
    match name {
        "AccountId" => Some(account.to_owned()),
        "MetricName" => Some(metric.name.clone()),
        "Namespace" => Some(metric.namespace.clone()),
        "Period" => Some(period.to_string()),
        "Region" => Some(region.to_owned()),
        "Stat" => Some(statistic.clone()),
        _ => metric.dimensions.get(name.strip_prefix("Dim.")?).cloned(),
    }
}

/// A number with three places at most.
fn shown(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
