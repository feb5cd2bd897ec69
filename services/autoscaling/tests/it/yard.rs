//! A region of its own for each test: services over a virtual world, and a clock that jumps from event to event.

use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zonal_cloud::{CloudConfig, Service};
use zonal_sim::{Costs, Sim};
use zonal_testbed::{TestClock, Testbed, in_memory};
use zonal_wire::{AwsError, Time};

/// In seconds.
pub const START: i64 = zonal_testbed::START.secs();

/// A region and its world.
pub struct Yard(Testbed);

impl std::ops::Deref for Yard {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        &self.0
    }
}

impl Yard {
    /// An empty region, with a template `web` to launch from.
    pub fn new() -> Self {
        let yard = Self::open(START, None);
        let image = yard.call("ec2", "DescribeImages", json!({ "Owners": ["amazon"] }));
        let data = json!({ "ImageId": image["Images"][0]["ImageId"], "InstanceType": "t3.micro" });
        yard.call("ec2", "CreateLaunchTemplate", json!({ "LaunchTemplateName": "web", "LaunchTemplateData": data }));
        yard
    }

    /// The region whose state is in a file, or an empty one; in a world where nothing runs yet.
    pub fn open(second: i64, path: Option<&Path>) -> Self {
        let start = Time::from_secs(second);
        let sim = Arc::new(Sim::new(start.0, Costs::default()));
        let services: Vec<Box<dyn Service>> = vec![
            Box::new(zonal_ec2::Ec2 { public_range: "127.100.0.0/16".parse().unwrap() }),
            Box::new(zonal_elbv2::Elbv2),
            Box::new(zonal_cloudwatch::CloudWatch),
            Box::new(zonal_autoscaling::AutoScaling),
        ];
        let config = CloudConfig { path: path.map(ToOwned::to_owned), ..in_memory() };
        Self(Testbed::over(config, services, sim.clone(), Some(sim), TestClock::at(start)))
    }

    /// Calls an operation as a user.
    pub fn try_call(&self, service: &str, operation: &str, input: Value) -> Result<Value, AwsError> {
        self.try_json(service, operation, &input)
    }

    /// The same, where it must succeed.
    pub fn call(&self, service: &str, operation: &str, input: Value) -> Value {
        self.json(service, operation, &input)
    }

    pub fn scaling(&self, operation: &str, input: Value) -> Value {
        self.call("autoscaling", operation, input)
    }

    /// Lets time pass until something is so; fails with the group's state when it takes longer than `limit`.
    pub fn until(&self, limit: Duration, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = self.now() + limit;
        while !holds(self) {
            assert!(self.now() < end, "{what}: {:#}", self.scaling("DescribeAutoScalingGroups", json!({})));
            self.pass(Duration::from_secs(1));
        }
    }

    /// The default subnets of zones, by their letters.
    pub fn subnets(&self, letters: &str) -> String {
        let all = self.call("ec2", "DescribeSubnets", json!({}));
        let of = |letter: char| {
            let zone = format!("us-east-1{letter}");
            let found =
                all["Subnets"].as_array().unwrap().iter().find(|subnet| subnet["AvailabilityZone"] == zone.as_str());
            found.unwrap()["SubnetId"].as_str().unwrap().to_owned()
        };
        letters.chars().map(of).collect::<Vec<_>>().join(",")
    }

    /// Makes a group over zones; `more` is added to the request.
    pub fn group(&self, name: &str, letters: &str, sizes: (i32, i32, i32), more: Value) {
        let mut input = json!({
            "AutoScalingGroupName": name,
            "LaunchTemplate": { "LaunchTemplateName": "web", "Version": "$Latest" },
            "MinSize": sizes.0,
            "DesiredCapacity": sizes.1,
            "MaxSize": sizes.2,
            "VPCZoneIdentifier": self.subnets(letters),
        });
        input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.scaling("CreateAutoScalingGroup", input);
    }

    /// A group as it is described.
    pub fn described(&self, name: &str) -> Value {
        self.scaling("DescribeAutoScalingGroups", json!({ "AutoScalingGroupNames": [name] }))["AutoScalingGroups"][0]
            .clone()
    }

    /// The ids of its instances in a state.
    pub fn in_state(&self, name: &str, state: &str) -> Vec<String> {
        let group = self.described(name);
        let instances = group["Instances"].as_array().cloned().unwrap_or_default();
        instances
            .iter()
            .filter(|i| i["LifecycleState"] == state)
            .map(|i| i["InstanceId"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The zones' letters of its instances in service, sorted.
    pub fn zones(&self, name: &str) -> String {
        let group = self.described(name);
        let instances = group["Instances"].as_array().cloned().unwrap_or_default();
        let serving = instances.iter().filter(|i| i["LifecycleState"] == "InService");
        let mut letters: Vec<char> =
            serving.filter_map(|i| i["AvailabilityZone"].as_str().and_then(|zone| zone.chars().last())).collect();
        letters.sort_unstable();
        letters.into_iter().collect()
    }

    /// Its activities, the newest first: (status, description, cause).
    pub fn activities(&self, name: &str) -> Vec<(String, String, String)> {
        let found = self.scaling(
            "DescribeScalingActivities",
            json!({ "AutoScalingGroupName": name, "IncludeDeletedGroups": true }),
        );
        let text = |value: &Value, member: &str| value[member].as_str().unwrap_or_default().to_owned();
        let all = found["Activities"].as_array().cloned().unwrap_or_default();
        all.iter().map(|a| (text(a, "StatusCode"), text(a, "Description"), text(a, "Cause"))).collect()
    }

    pub fn serving(&self, limit: Duration, name: &str, count: usize) {
        self.until(limit, &format!("{count} in service"), |yard| yard.in_state(name, "InService").len() == count);
    }

    /// Cuts a zone off, or mends it.
    pub fn cut(&self, letter: char, cut: bool) {
        let zone = format!("us-east-1{letter}");
        let done = self.cloud.act(&self.scope, "cut", |tx| {
            zonal_ec2::faults::set_zone(tx, &zone, cut, None);
            Ok(())
        });
        done.unwrap();
    }

    /// Kills an instance's machine.
    pub fn crash(&self, id: &str) {
        self.try_crash(id).unwrap();
    }

    /// The same, where it may be refused.
    pub fn try_crash(&self, id: &str) -> Result<(), AwsError> {
        self.cloud.act(&self.scope, "crash", |tx| zonal_ec2::faults::crash_instance(tx, id))
    }

    /// Publishes a metric as the service that it belongs to.
    pub fn publish(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)], value: f64) {
        let dimensions: Vec<Value> =
            dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
        let input = json!({
            "Namespace": namespace,
            "MetricData": [{ "MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": "Percent" }],
        });
        let done = self.cloud.act(&self.scope, "publish", |tx| {
            tx.as_service("ec2", |tx| tx.call_json("cloudwatch", "PutMetricData", &input)).map(drop)
        });
        done.unwrap();
    }
}

/// The items of a list; none where it is empty.
pub fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
