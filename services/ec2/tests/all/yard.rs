//! A cloud with EC2 over a virtual world, whose time the test moves.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zonal_cloud::{Clock, Cloud, CloudConfig, DEFAULT_ACCOUNT, Scope, Sync};
use zonal_sim::{Costs, Sim};
use zonal_substrate::{Ask, Inventory, World};
use zonal_wire::{AwsError, Time};

/// The time that a test sets.
pub struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

/// A virtual world that also notes what it is asked, and can forget what it has.
pub struct Noted {
    pub sim: Sim,
    pub asks: Mutex<Vec<Ask>>,
}

impl World for Noted {
    fn ask(&self, asks: Vec<Ask>) {
        self.asks.lock().unwrap().extend(asks.iter().cloned());
        self.sim.ask(asks);
    }
    fn inventory(&self) -> Inventory {
        self.sim.inventory()
    }
    fn console(&self, sandbox: &str) -> Vec<u8> {
        self.sim.console(sandbox)
    }
    fn describe(&self) -> &'static str {
        "noted"
    }
}

pub struct Yard {
    pub cloud: Cloud,
    pub world: Arc<Noted>,
    hands: Arc<Hands>,
    pub scope: Scope,
}

pub const START: i64 = 1_767_225_600_000_000;

impl Yard {
    pub fn new() -> Self {
        Self::at(None)
    }

    /// With its state in a file.
    pub fn at(path: Option<PathBuf>) -> Self {
        Self::over(path, Arc::new(Noted { sim: Sim::new(START, Costs::default()), asks: Mutex::default() }))
    }

    /// Over a world that stands already.
    pub fn over(path: Option<PathBuf>, world: Arc<Noted>) -> Self {
        let hands = Arc::new(Hands(AtomicI64::new(START)));
        let config = CloudConfig { path, sync: Sync::Process, seed: 7, committed: Box::new(|_| {}) };
        let services: Vec<Box<dyn zonal_cloud::Service>> = vec![
            Box::new(zonal_ec2::Ec2 { public_range: "127.100.0.0/16".parse().unwrap() }),
            Box::new(zonal_cloudwatch::CloudWatch),
        ];
        let cloud = Cloud::open(config, services, world.clone(), hands.clone()).unwrap();
        cloud.start();
        Self { cloud, world, hands, scope: Scope::new(DEFAULT_ACCOUNT, "us-east-1") }
    }

    pub fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        self.cloud.call_json(&self.scope, "ec2", operation, &input)
    }

    /// A call that must succeed.
    pub fn ok(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).unwrap_or_else(|error| panic!("{operation}: {}: {}", error.code, error.message))
    }

    /// A call that must fail with a code; its message.
    pub fn refused(&self, operation: &str, input: Value, code: &str) -> String {
        match self.call(operation, input) {
            Ok(output) => panic!("{operation} succeeded: {output}"),
            Err(error) => {
                assert_eq!(error.code, code, "{operation}: {}", error.message);
                error.message
            }
        }
    }

    /// Lets so much time pass, event by event.
    pub fn pass(&self, span: Duration) {
        let end = self.hands.now() + span;
        loop {
            let jobs = self.cloud.run_due();
            let reports = self.world.sim.advance(self.hands.now().0);
            for report in &reports {
                self.cloud.report(report);
            }
            if !reports.is_empty() {
                continue;
            }
            let next = [jobs, self.world.sim.due().map(Time)].into_iter().flatten().min().unwrap_or(end);
            if self.hands.now() >= end {
                return;
            }
            self.hands.0.store(next.min(end).0, Ordering::Relaxed);
        }
    }

    /// Lets pass what a boot takes here.
    pub fn settle(&self) {
        self.pass(Duration::from_secs(2));
    }

    pub fn image(&self) -> String {
        let filter = json!({ "Filters": [{ "Name": "name", "Values": ["al2023-*"] }] });
        text(&self.ok("DescribeImages", filter)["Images"][0]["ImageId"])
    }

    /// Runs one instance; its id.
    pub fn run(&self, more: Value) -> String {
        let mut input = json!({ "ImageId": self.image(), "InstanceType": "t2.micro", "MinCount": 1, "MaxCount": 1 });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        text(&self.ok("RunInstances", input)["Instances"][0]["InstanceId"])
    }

    pub fn instance(&self, id: &str) -> Value {
        self.ok("DescribeInstances", json!({ "InstanceIds": [id] }))["Reservations"][0]["Instances"][0].clone()
    }

    pub fn state(&self, id: &str) -> String {
        text(&self.instance(id)["State"]["Name"])
    }

    pub fn default_vpc(&self) -> String {
        text(&self.ok("DescribeVpcs", json!({}))["Vpcs"][0]["VpcId"])
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
