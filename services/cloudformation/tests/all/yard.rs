//! A region of its own for each test: all services over a virtual world, and a clock that jumps from event to event.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use zonal_cloud::{CloudConfig, Service};
use zonal_sim::{Costs, Sim};
use zonal_testbed::{START, TestClock, Testbed, in_memory};
use zonal_wire::AwsError;

/// Which of the engine's calls fails: counted from the start, or by the operation's name.
#[derive(Default)]
pub struct Faults {
    count: AtomicUsize,
    nth: Mutex<Option<usize>>,
    named: Mutex<Option<String>>,
}

impl Faults {
    fn of(&self, operation: &str) -> Option<AwsError> {
        let reads = ["Describe", "List", "Get"].iter().any(|prefix| operation.starts_with(prefix));
        let named = self.named.lock().unwrap().as_deref() == Some(operation);
        if named {
            return Some(AwsError::client("Injected", format!("{operation} fails in this test")));
        }
        if reads {
            return None;
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        (*self.nth.lock().unwrap() == Some(number))
            .then(|| AwsError::client("Injected", format!("{operation} fails in this test")))
    }

    /// How many calls have changed something so far.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The call that fails from here: the next but `nth`; `None` lets all pass.
    pub fn fail_nth(&self, nth: Option<usize>) {
        self.count.store(0, Ordering::Relaxed);
        *self.nth.lock().unwrap() = nth;
    }

    /// Every call of an operation fails.
    pub fn fail_named(&self, operation: Option<&str>) {
        *self.named.lock().unwrap() = operation.map(str::to_owned);
    }
}

/// A region and its world.
pub struct Yard {
    bed: Testbed,
    pub faults: Arc<Faults>,
    sim: Arc<Sim>,
    kill: Arc<AtomicU64>,
    seed: u64,
}

impl std::ops::Deref for Yard {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        &self.bed
    }
}

impl Yard {
    /// An empty region, kept in memory.
    pub fn new() -> Self {
        Self::empty(None)
    }

    /// An empty region, kept in a file.
    pub fn stored(path: &Path) -> Self {
        Self::empty(Some(path))
    }

    fn empty(path: Option<&Path>) -> Self {
        let sim = Arc::new(Sim::new(START.0, Costs::default()));
        Self::over(path, sim, TestClock::at(START), Arc::default(), 0)
    }

    /// The same region and world under a new daemon, as after `kill -9` of the old one.
    pub fn reopened(self, path: &Path) -> Self {
        let Yard { bed, faults, sim, seed, .. } = self;
        let clock = bed.clock.clone();
        drop(bed);
        // A daemon draws its own chance at each start: ids it gave before must not come again.
        Self::over(Some(path), sim, clock, faults, seed + 1)
    }

    fn over(path: Option<&Path>, sim: Arc<Sim>, clock: Arc<TestClock>, faults: Arc<Faults>, seed: u64) -> Self {
        let interrupt = faults.clone();
        let services: Vec<Box<dyn Service>> = vec![
            Box::new(zonal_ec2::Ec2 { public_range: "127.100.0.0/16".parse().unwrap() }),
            Box::new(zonal_elbv2::Elbv2),
            Box::new(zonal_autoscaling::AutoScaling),
            Box::new(zonal_acm::Acm),
            Box::new(zonal_route53::Route53),
            Box::new(zonal_cloudwatch::CloudWatch),
            Box::new(zonal_ssm::Ssm::new(&[7; 32])),
            Box::new(zonal_cloudformation::CloudFormation::interrupted(Arc::new(move |operation| {
                interrupt.of(operation)
            }))),
        ];
        let kill = Arc::new(AtomicU64::new(u64::MAX));
        let killed_at = kill.clone();
        let committed =
            move |revision| assert!(revision < killed_at.load(Ordering::Relaxed), "killed at commit {revision}");
        let config =
            CloudConfig { path: path.map(Path::to_owned), seed, committed: Box::new(committed), ..in_memory() };
        let bed = Testbed::over(config, services, sim.clone(), Some(sim.clone()), clock);
        Self { bed, faults, sim, kill, seed }
    }

    /// The daemon dies (panics) right after that many more commits; `None` lets it live.
    pub fn kill_after(&self, commits: Option<u64>) {
        let at = commits.map_or(u64::MAX, |commits| self.cloud.revision() + commits);
        self.kill.store(at, Ordering::Relaxed);
    }

    /// Calls an operation as a user.
    pub fn try_call(&self, service: &str, operation: &str, input: Value) -> Result<Value, AwsError> {
        self.try_json(service, operation, &input)
    }

    /// The same, where it must succeed.
    pub fn call(&self, service: &str, operation: &str, input: Value) -> Value {
        self.json(service, operation, &input)
    }

    /// Calls CloudFormation.
    pub fn stacks(&self, operation: &str, input: Value) -> Value {
        self.call("cloudformation", operation, input)
    }

    /// Calls CloudFormation, which must refuse; gives the message.
    #[track_caller]
    pub fn refused(&self, operation: &str, input: Value) -> String {
        match self.try_call("cloudformation", operation, input) {
            Ok(output) => panic!("{operation} should have been refused: {output:#}"),
            Err(error) => error.message,
        }
    }

    /// A stack as it is described; `null` where there is none.
    pub fn stack(&self, name: &str) -> Value {
        let found = self.try_call("cloudformation", "DescribeStacks", json!({"StackName": name}));
        found.map_or(Value::Null, |found| found["Stacks"][0].clone())
    }

    /// A stack's status; empty where there is none.
    pub fn status(&self, name: &str) -> String {
        self.stack(name)["StackStatus"].as_str().unwrap_or_default().to_owned()
    }

    /// Lets time pass until a stack's status is final, which must be `wanted` (nothing, for a stack that is gone).
    #[track_caller]
    pub fn until(&self, name: &str, wanted: &str) {
        let end = self.now() + Duration::from_secs(900);
        while self.status(name).ends_with("IN_PROGRESS") {
            assert!(self.now() < end, "{name} stays {}: {:#?}", self.status(name), self.events(name));
            self.tick(end);
        }
        let (status, events) = (self.status(name), self.events(name));
        assert_eq!(status, wanted, "{:#}\n{events:#?}", self.stack(name));
    }

    /// Events, the oldest first: `LogicalId STATUS reason`.
    pub fn events(&self, name: &str) -> Vec<String> {
        let found = self.try_call("cloudformation", "DescribeStackEvents", json!({"StackName": name}));
        let found = found.unwrap_or(Value::Null)["StackEvents"].as_array().cloned().unwrap_or_default();
        let text = |event: &Value, member: &str| event[member].as_str().unwrap_or_default().to_owned();
        found
            .iter()
            .rev()
            .map(|event| {
                let what = [
                    text(event, "LogicalResourceId"),
                    text(event, "ResourceStatus"),
                    text(event, "ResourceStatusReason"),
                ];
                what.join(" ").trim_end().to_owned()
            })
            .collect()
    }

    /// The physical id of a stack's resource.
    pub fn physical(&self, name: &str, logical: &str) -> String {
        let found = self.stacks("DescribeStackResource", json!({"StackName": name, "LogicalResourceId": logical}));
        found["StackResourceDetail"]["PhysicalResourceId"].as_str().unwrap_or_default().to_owned()
    }

    /// A stack's output.
    pub fn output(&self, name: &str, key: &str) -> String {
        let stack = self.stack(name);
        let outputs = stack["Outputs"].as_array().cloned().unwrap_or_default();
        let found = outputs.iter().find(|output| output["OutputKey"] == key);
        found.and_then(|output| output["OutputValue"].as_str()).unwrap_or_default().to_owned()
    }

    /// Everything that the account has, for telling what a stack left behind. Terminated instances are nothing.
    pub fn belongings(&self) -> Vec<String> {
        const KINDS: [(&str, &str, &str, &str); 13] = [
            ("ec2", "DescribeVpcs", "Vpcs", "VpcId"),
            ("ec2", "DescribeSubnets", "Subnets", "SubnetId"),
            ("ec2", "DescribeInternetGateways", "InternetGateways", "InternetGatewayId"),
            ("ec2", "DescribeRouteTables", "RouteTables", "RouteTableId"),
            ("ec2", "DescribeSecurityGroups", "SecurityGroups", "GroupId"),
            ("ec2", "DescribeAddresses", "Addresses", "AllocationId"),
            ("ec2", "DescribeNetworkInterfaces", "NetworkInterfaces", "NetworkInterfaceId"),
            ("ec2", "DescribeLaunchTemplates", "LaunchTemplates", "LaunchTemplateId"),
            ("elbv2", "DescribeLoadBalancers", "LoadBalancers", "LoadBalancerArn"),
            ("elbv2", "DescribeTargetGroups", "TargetGroups", "TargetGroupArn"),
            ("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroups", "AutoScalingGroupName"),
            ("route53", "ListHostedZones", "HostedZones", "Id"),
            ("cloudwatch", "DescribeAlarms", "MetricAlarms", "AlarmName"),
        ];
        let mut all = Vec::new();
        for (service, operation, list, id) in KINDS {
            let found = self.call(service, operation, json!({}));
            for item in found[list].as_array().into_iter().flatten() {
                all.push(format!("{list} {}", item[id].as_str().unwrap_or_default()));
            }
        }
        let instances = self.call("ec2", "DescribeInstances", json!({}));
        for reservation in instances["Reservations"].as_array().into_iter().flatten() {
            for instance in reservation["Instances"].as_array().into_iter().flatten() {
                if instance["State"]["Name"] != "terminated" {
                    all.push(format!("Instance {} {}", instance["InstanceId"], instance["State"]["Name"]));
                }
            }
        }
        all
    }
}

/// A template of the case.
pub fn phase(number: usize) -> String {
    let path = format!("{}/../../cases/whatsthetime/phase-{number}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
