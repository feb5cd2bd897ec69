//! Labels of results: what stands in `${…}` is put in from the series that they are for.
//!
//! Source: "Using dynamic labels" in the CloudWatch user guide. Times and their ranges are left as they stand.

use crate::math::Values;
use crate::model::{Query, Source};

/// The label of a query's result.
pub fn of(query: &Query, region: &str, account: &str, values: &Values) -> String {
    match &query.label {
        Some(given) => rendered(given, query, region, account, values),
        None => default(query).to_owned(),
    }
}

/// The label of one of several series that `query` gives: that of the series, `source`'s, behind the one that was given. A dynamic one
/// is the series' own instead, and one without text leaves it as it is.
pub fn of_several(query: &Query, source: Option<&Query>, region: &str, account: &str, values: &Values) -> String {
    let own = source.map(|source| of(source, region, account, values));
    match (&query.label, source, own) {
        (Some(given), Some(source), _) if given.contains("${") => rendered(given, source, region, account, values),
        (Some(given), _, Some(own)) if !given.is_empty() => format!("{given} {own}"),
        (_, _, Some(own)) => own,
        // What was calculated in the array itself has no other name.
        (_, _, None) => of(query, region, account, values),
    }
}

/// What a series is called by itself.
fn default(query: &Query) -> &str {
    match &query.source {
        Source::Metric { metric, .. } => &metric.name,
        Source::Expression { .. } => &query.id,
    }
}

/// A label with what its series has put in.
fn rendered(label: &str, query: &Query, region: &str, account: &str, values: &Values) -> String {
    let mut out = String::new();
    let mut rest = label;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((word, behind)) = after.split_once('}') else { break };
        out += before;
        match put_in(word.trim(), query, (region, account), values) {
            Some(text) => out += &text,
            None => out += &format!("${{{word}}}"),
        }
        rest = behind;
    }
    out + rest
}

fn put_in(word: &str, query: &Query, (region, account): (&str, &str), values: &Values) -> Option<String> {
    let all = || values.values().copied();
    let sum = all().sum::<f64>();
    let least = all().fold(f64::INFINITY, f64::min);
    let most = all().fold(f64::NEG_INFINITY, f64::max);
    if word == "LABEL" {
        return Some(default(query).to_owned());
    }
    if word == "DATAPOINT_COUNT" {
        return Some(values.len().to_string());
    }
    if let Some(name) = word.strip_prefix("PROP(").and_then(|rest| rest.strip_suffix(')')) {
        return property(name.trim().trim_matches(['\'', '"']), query, region, account);
    }
    // A series without values has none of these.
    let first = all().next().unwrap_or(f64::NAN);
    let last = all().next_back().unwrap_or(f64::NAN);
    let number = match word {
        "AVG" => sum / values.len() as f64,
        "SUM" if values.is_empty() => f64::NAN,
        "SUM" => sum,
        "MIN" => least,
        "MAX" => most,
        "FIRST" => first,
        "LAST" => last,
        "FIRST_LAST_RANGE" => last - first,
        "MIN_MAX_RANGE" => most - least,
        _ => return None,
    };
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
