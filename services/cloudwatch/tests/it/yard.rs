//! A region of its own for each test, in a world where nothing is.

use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use zonal_cloud::CloudConfig;
use zonal_cloudwatch::CloudWatch;
use zonal_testbed::{Notes, TestClock, Testbed, in_memory};
use zonal_wire::{AwsError, Time};

/// In seconds.
pub const START: i64 = zonal_testbed::START.secs();

pub struct Yard(Testbed);

impl std::ops::Deref for Yard {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        &self.0
    }
}

impl Yard {
    pub fn new() -> Self {
        Self::at(START, None)
    }

    /// One whose state is kept in a file, opened at a time.
    pub fn at(second: i64, path: Option<&Path>) -> Self {
        let config = CloudConfig { path: path.map(ToOwned::to_owned), ..in_memory() };
        let clock = TestClock::at(Time::from_secs(second));
        Self(Testbed::over(config, vec![Box::new(CloudWatch)], Arc::new(Notes::default()), None, clock))
    }

    pub fn try_call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        self.try_json("cloudwatch", operation, &input)
    }

    pub fn call(&self, operation: &str, input: Value) -> Value {
        self.json("cloudwatch", operation, &input)
    }

    /// Puts one value of the metric `N`/`m`, now.
    pub fn put(&self, value: f64) {
        self.call("PutMetricData", json!({ "Namespace": "N", "MetricData": [{ "MetricName": "m", "Value": value }] }));
    }

    /// The statistics of `N`/`m` over the last so many seconds: (seconds since the range's start, average).
    pub fn averages(&self, seconds: i64, period: i64) -> Vec<(i64, f64)> {
        let start = self.now().secs() - seconds;
        let answer = self.call(
            "GetMetricData",
            json!({
                "StartTime": Time::from_secs(start).iso8601(),
                "EndTime": Time::from_secs(self.now().secs() + 1).iso8601(),
                "ScanBy": "TimestampAscending",
                "MetricDataQueries": [{ "Id": "a", "MetricStat": {
                    "Metric": { "Namespace": "N", "MetricName": "m" }, "Period": period, "Stat": "Average" } }],
            }),
        );
        let result = &answer["MetricDataResults"][0];
        let times = result["Timestamps"].as_array().cloned().unwrap_or_default();
        let values = result["Values"].as_array().cloned().unwrap_or_default();
        times.iter().zip(&values).map(|(time, value)| (seconds_of(time) - start, value.as_f64().unwrap())).collect()
    }
}

/// A time as answers have it, in seconds.
pub fn seconds_of(time: &Value) -> i64 {
    match time.as_str() {
        Some(text) => Time::parse(text).unwrap().secs(),
        None => time.as_f64().unwrap() as i64,
    }
}

/// The items of a list; none where it is empty.
pub fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
