//! A region of its own for each test, in a world where nothing is.

use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use zonal_cloud::{Caller, Clock, Cloud, CloudConfig, Prepared, Scope, Sync};
use zonal_cloudwatch::CloudWatch;
use zonal_substrate::{Ask, Inventory, World};
use zonal_wire::{AwsError, Time};

/// 2026-11-24T16:00:00Z
pub const START: i64 = 1_795_536_000;

struct Virtual(AtomicI64);

impl Clock for Virtual {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

struct Nothing;

impl World for Nothing {
    fn ask(&self, _asks: Vec<Ask>) {}

    fn inventory(&self) -> Inventory {
        Inventory::default()
    }

    fn console(&self, _sandbox: &str) -> Vec<u8> {
        Vec::new()
    }

    fn describe(&self) -> &'static str {
        "nothing"
    }
}

pub struct Yard {
    cloud: Cloud,
    clock: Arc<Virtual>,
    scope: Scope,
}

impl Yard {
    pub fn new() -> Self {
        Self::at(START, None)
    }

    /// One whose state is kept in a file, opened at a time.
    pub fn at(second: i64, path: Option<&Path>) -> Self {
        let clock = Arc::new(Virtual(AtomicI64::new(second * 1_000_000)));
        let config = CloudConfig {
            path: path.map(ToOwned::to_owned),
            sync: Sync::Process,
            seed: 1,
            committed: Box::new(|_| {}),
        };
        let cloud = Cloud::open(config, vec![Box::new(CloudWatch)], Arc::new(Nothing), clock.clone()).unwrap();
        cloud.start();
        Self { cloud, clock, scope: Scope::new("000000000000", "us-east-1") }
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    pub fn try_call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        let (service, api) = self.cloud.apis().next().unwrap();
        let facts = api.operation(operation).unwrap_or_else(|| panic!("{operation}"));
        let mut typed = (facts.new_input)();
        zonal_wire::value::from_json(&input, &mut *typed).unwrap_or_else(|error| panic!("{operation}: {error}"));
        let request = Prepared {
            service,
            operation: facts.name,
            scope: self.scope.clone(),
            caller: Caller::User { access_key: "000000000000".to_owned() },
            input: typed,
        };
        self.cloud.request(&request).map(|output| zonal_wire::value::to_json(&*output))
    }

    pub fn call(&self, operation: &str, input: Value) -> Value {
        self.try_call(operation, input).unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    /// Lets time pass, from one due job to the next.
    pub fn pass(&self, time: Duration) {
        let end = self.now() + time;
        loop {
            let next = self.cloud.run_due().map_or(end, |due| due.max(self.now()).min(end));
            self.clock.0.store(next.0, Ordering::Relaxed);
            if next >= end {
                self.cloud.run_due();
                return;
            }
        }
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
