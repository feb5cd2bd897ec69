//! Metrics: put, aggregated, listed, forgotten.

use crate::yard::{START, Yard, items, seconds_of};
use serde_json::{Value, json};
use std::time::Duration;
use zonal_wire::Time;

fn statistics(yard: &Yard, period: i64, more: Value) -> Vec<Value> {
    let mut input = json!({
        "Namespace": "N",
        "MetricName": "m",
        "StartTime": Time::from_secs(START - 3600).iso8601(),
        "EndTime": Time::from_secs(START + 3600).iso8601(),
        "Period": period,
    });
    input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    yard.call("GetMetricStatistics", input)["Datapoints"].as_array().cloned().unwrap_or_default()
}

#[test]
fn single_values_value_lists_and_statistic_sets_add_up() {
    let yard = Yard::new();
    yard.call(
        "PutMetricData",
        json!({ "Namespace": "N", "MetricData": [
            { "MetricName": "m", "Value": 1.0, "Unit": "Count" },
            { "MetricName": "m", "Values": [2.0, 4.0], "Counts": [1.0, 2.0], "Unit": "Count" },
            { "MetricName": "m", "StatisticValues": { "SampleCount": 2.0, "Sum": 20.0, "Minimum": 5.0, "Maximum": 15.0 }, "Unit": "Count" },
        ] }),
    );
    let points =
        statistics(&yard, 60, json!({ "Statistics": ["SampleCount", "Sum", "Average", "Minimum", "Maximum"] }));
    assert_eq!(points.len(), 1);
    let point = &points[0];
    assert_eq!(seconds_of(&point["Timestamp"]), START);
    for (name, expected) in
        [("SampleCount", 6.0), ("Sum", 31.0), ("Average", 31.0 / 6.0), ("Minimum", 1.0), ("Maximum", 15.0)]
    {
        assert_eq!(point[name].as_f64(), Some(expected), "{name}");
    }
    assert_eq!(point["Unit"], "Count");
}

#[test]
fn units_are_kept_apart_and_percentiles_are_read_out() {
    let yard = Yard::new();
    for value in 1..=100 {
        let datum = json!({ "MetricName": "m", "Value": f64::from(value), "Unit": "Seconds" });
        yard.call("PutMetricData", json!({ "Namespace": "N", "MetricData": [datum] }));
    }
    yard.call(
        "PutMetricData",
        json!({ "Namespace": "N", "MetricData": [{ "MetricName": "m", "Value": 7.0, "Unit": "Bytes" }] }),
    );
    assert_eq!(statistics(&yard, 60, json!({ "Statistics": ["Sum"] })).len(), 2);
    let points = statistics(&yard, 60, json!({ "ExtendedStatistics": ["p90"], "Unit": "Seconds" }));
    let p90 = points[0]["ExtendedStatistics"]["p90"].as_f64().unwrap();
    assert!((p90 - 90.0).abs() < 1.0, "{p90}");
}

#[test]
fn high_resolution_points_can_be_read_by_the_second() {
    let yard = Yard::new();
    for _ in 0..3 {
        yard.call(
            "PutMetricData",
            json!({ "Namespace": "N", "MetricData": [{ "MetricName": "m", "Value": 1.0, "StorageResolution": 1 }] }),
        );
        yard.pass(Duration::from_secs(5));
    }
    assert_eq!(yard.averages(60, 1).len(), 3);
    assert_eq!(yard.averages(60, 60).len(), 1);
}

#[test]
fn old_points_become_coarser_and_are_dropped_in_the_end() {
    let yard = Yard::new();
    for minute in 0..10 {
        yard.put(f64::from(minute));
        yard.pass(Duration::from_secs(60));
    }
    assert_eq!(yard.averages(3600, 60).len(), 10);
    yard.pass(Duration::from_secs(4 * 3600));
    assert_eq!(yard.averages(5 * 3600, 60), []);
    let coarse: Vec<f64> = yard.averages(5 * 3600, 300).into_iter().map(|(_, value)| value).collect();
    assert_eq!(coarse, [2.0, 7.0]);
    yard.pass(Duration::from_secs(5 * 86_400));
    let hours: Vec<f64> = yard.averages(6 * 86_400, 3600).into_iter().map(|(_, value)| value).collect();
    assert_eq!(hours, [4.5]);
    yard.pass(Duration::from_secs(20 * 86_400));
    assert!(items(&yard.call("ListMetrics", json!({}))["Metrics"]).is_empty());
}

#[test]
fn points_are_still_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    Yard::at(START, Some(&path)).put(4.0);
    let again = Yard::at(START + 60, Some(&path));
    assert_eq!(again.averages(120, 60), [(60, 4.0)]);
}

#[test]
fn metrics_are_listed_by_namespace_name_and_dimensions_page_by_page() {
    let yard = Yard::new();
    for chunk in 0..3 {
        let data: Vec<Value> = (0..400)
            .map(|n| json!({ "MetricName": "m", "Value": 1.0, "Dimensions": [{ "Name": "Id", "Value": format!("{:04}", chunk * 400 + n) }] }))
            .collect();
        yard.call("PutMetricData", json!({ "Namespace": "N", "MetricData": data }));
    }
    let (mut seen, mut token) = (0, Value::Null);
    loop {
        let page = yard.call("ListMetrics", json!({ "Namespace": "N", "NextToken": token }));
        seen += page["Metrics"].as_array().unwrap().len();
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen, 1200);
    let one = yard.call("ListMetrics", json!({ "Dimensions": [{ "Name": "Id", "Value": "0007" }] }));
    assert_eq!(one["Metrics"].as_array().unwrap().len(), 1);
    let none = yard.call("ListMetrics", json!({ "Dimensions": [{ "Name": "Other" }] }));
    assert!(items(&none["Metrics"]).is_empty());
}

#[test]
fn math_joins_metrics_and_only_what_is_asked_for_is_returned() {
    let yard = Yard::new();
    for (name, value) in [("errors", 5.0), ("requests", 50.0)] {
        yard.call("PutMetricData", json!({ "Namespace": "N", "MetricData": [{ "MetricName": name, "Value": value }] }));
    }
    let stat = |id: &str, name: &str| {
        json!({ "Id": id, "ReturnData": false,
            "MetricStat": { "Metric": { "Namespace": "N", "MetricName": name }, "Period": 60, "Stat": "Sum" } })
    };
    let input = |expression: &str| {
        json!({
            "StartTime": Time::from_secs(START - 60).iso8601(),
            "EndTime": Time::from_secs(START + 60).iso8601(),
            "MetricDataQueries": [{ "Id": "rate", "Expression": expression, "Label": "Error rate" }, stat("e", "errors"), stat("r", "requests")],
        })
    };
    let answer = yard.call("GetMetricData", input("e / r * 100"));
    let results = answer["MetricDataResults"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!((results[0]["Label"].as_str(), &results[0]["Values"]), (Some("Error rate"), &json!([10.0])));
    let error = yard.try_call("GetMetricData", input("e / nobody")).unwrap_err();
    assert_eq!(error.code, "ValidationError");
}

#[test]
fn bad_data_is_refused_whole() {
    let yard = Yard::new();
    let old = Time::from_secs(START - 15 * 86_400).iso8601();
    let dimension = json!({ "Name": "a", "Value": "b" });
    for (namespace, datum, code) in [
        ("AWS/EC2", json!({ "MetricName": "m", "Value": 1.0 }), "InvalidParameterValue"),
        ("N", json!({ "MetricName": "m" }), "MissingParameter"),
        ("N", json!({ "MetricName": "m", "Value": 1.0, "Values": [1.0] }), "InvalidParameterCombination"),
        ("N", json!({ "MetricName": "m", "Value": 1e300 }), "InvalidParameterValue"),
        ("N", json!({ "MetricName": "m", "Value": 1.0, "Timestamp": old }), "InvalidParameterValue"),
        ("N", json!({ "MetricName": "m", "Value": 1.0, "StorageResolution": 5 }), "InvalidParameterValue"),
        ("N", json!({ "MetricName": "m", "Values": [1.0, 2.0], "Counts": [1.0] }), "InvalidParameterValue"),
        (
            "N",
            json!({ "MetricName": "m", "Value": 1.0, "Dimensions": [dimension, dimension] }),
            "InvalidParameterValue",
        ),
    ] {
        let good = json!({ "MetricName": "good", "Value": 1.0 });
        let error =
            yard.try_call("PutMetricData", json!({ "Namespace": namespace, "MetricData": [good, datum] })).unwrap_err();
        assert_eq!(error.code, code, "{namespace} {datum}");
    }
    assert!(items(&yard.call("ListMetrics", json!({}))["Metrics"]).is_empty(), "the good ones are undone with the bad");
}

/// The results of queries over `N`/`a` (1, 2) and `N`/`b` (30, 10), by label.
fn results(queries: Value) -> Vec<(String, Vec<f64>)> {
    let yard = Yard::new();
    for (name, values) in [("a", [1.0, 2.0]), ("b", [30.0, 10.0])] {
        for (minute, value) in (1..).zip(values) {
            let at = Time::from_secs(START - 600 + minute * 60).iso8601();
            let dimensions = json!([{ "Name": "Host", "Value": format!("{name}.example") }]);
            let datum = json!({ "MetricName": name, "Value": value, "Timestamp": at, "Dimensions": dimensions });
            yard.call("PutMetricData", json!({ "Namespace": "N", "MetricData": [datum] }));
        }
    }
    let answer = yard.call(
        "GetMetricData",
        json!({
            "StartTime": Time::from_secs(START - 600).iso8601(), "EndTime": Time::from_secs(START).iso8601(),
            "ScanBy": "TimestampAscending", "MetricDataQueries": queries,
        }),
    );
    let of = |result: Value| {
        let values = items(&result["Values"]).iter().filter_map(Value::as_f64).collect();
        (result["Label"].as_str().unwrap().to_owned(), values)
    };
    items(&answer["MetricDataResults"]).into_iter().map(of).collect()
}

fn query(name: &str, label: Option<&str>, returned: bool) -> Value {
    let dimensions = json!([{ "Name": "Host", "Value": format!("{name}.example") }]);
    let metric = json!({ "Namespace": "N", "MetricName": name, "Dimensions": dimensions });
    let stat = json!({ "Metric": metric, "Period": 60, "Stat": "Sum" });
    let mut out = json!({ "Id": name, "MetricStat": stat, "ReturnData": returned });
    if let Some(label) = label {
        out["Label"] = label.into();
    }
    out
}

#[test]
fn an_expression_of_several_series_gives_a_result_for_each() {
    let sorted = json!({ "Id": "e", "Expression": "SORT(METRICS(), MAX, DESC)" });
    let found = results(json!([query("a", None, false), query("b", None, false), sorted]));
    assert_eq!(found, [("b".to_owned(), vec![30.0, 10.0]), ("a".to_owned(), vec![1.0, 2.0])]);
    let over = json!({ "Id": "f", "Expression": "SUM(e)" });
    let hidden = json!({ "Id": "e", "Expression": "SLICE(METRICS(), 0, 1)", "ReturnData": false });
    let found = results(json!([query("a", None, false), query("b", None, false), hidden, over]));
    assert_eq!(found, [("f".to_owned(), vec![1.0, 2.0])]);
}

#[test]
fn a_label_has_its_series_figures_and_its_metrics_properties_put_in() {
    for (label, expected) in [
        ("plain", "plain"),
        ("[max: ${MAX}, avg ${AVG}] ${LABEL}", "[max: 30, avg 20] b"),
        ("${FIRST} to ${LAST}: ${FIRST_LAST_RANGE}", "30 to 10: -20"),
        ("${SUM}/${DATAPOINT_COUNT}", "40/2"),
        (
            "${PROP('MetricName')} of ${PROP('Dim.Host')}, ${PROP('Stat')} in ${PROP('Region')}",
            "b of b.example, Sum in us-east-1",
        ),
        ("${LAST_TIME} ${", "${LAST_TIME} ${"),
    ] {
        assert_eq!(results(json!([query("b", Some(label), true)]))[0].0, expected, "{label}");
    }
}

#[test]
fn each_of_several_series_has_the_label_given_before_its_own_or_a_dynamic_label_put_in_for_it() {
    let labels = |expression: &str, label: Option<&str>| -> Vec<String> {
        let mut several = json!({ "Id": "e", "Expression": expression });
        if let Some(label) = label {
            several["Label"] = label.into();
        }
        let queries = json!([query("a", None, false), query("b", Some("Bees ${MAX}"), false), several]);
        results(queries).into_iter().map(|(label, _)| label).collect()
    };
    let array = "[a, b]";
    assert_eq!(labels(array, None), ["a", "Bees 30"]);
    assert_eq!(labels(array, Some("All")), ["All a", "All Bees 30"]);
    assert_eq!(labels(array, Some("")), ["a", "Bees 30"]);
    assert_eq!(labels(array, Some("${PROP('Dim.Host')}")), ["a.example", "b.example"]);
    assert_eq!(labels(array, Some("${LABEL}: ${MAX}")), ["a: 2", "b: 30"]);
    assert_eq!(labels("[a + 1, b]", Some("All")), ["All", "All Bees 30"]);
}

#[test]
fn a_series_without_values_has_no_figures_in_its_label() {
    let label = "${MIN}${MAX}${AVG}${SUM}${FIRST}${LAST}${FIRST_LAST_RANGE}${MIN_MAX_RANGE}|${DATAPOINT_COUNT}";
    assert_eq!(results(json!([query("nobodys", Some(label), true)]))[0].0, "|0");
}

#[test]
fn an_alarm_watches_one_series() {
    let yard = Yard::new();
    for expression in ["METRICS()", "IF(a > 1, METRICS(), a)"] {
        let several = json!({ "Id": "e", "Expression": expression, "ReturnData": true });
        let alarm = json!({
            "AlarmName": "al", "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
            "Metrics": [query("a", None, false), several],
        });
        let error = yard.try_call("PutMetricAlarm", alarm).unwrap_err();
        assert_eq!(&*error.code, "ValidationError", "{expression}");
    }
}
