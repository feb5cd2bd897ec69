//! A cloud with EC2 over a virtual world, whose time the test moves.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zonal_cloud::CloudConfig;
use zonal_sim::{Costs, Sim};
use zonal_substrate::{Ask, Inventory, World};
use zonal_testbed::{START, TestClock, Testbed, in_memory};
use zonal_wire::AwsError;

/// A virtual world that also notes what it is asked, and can forget what it has.
pub struct Noted {
    pub sim: Arc<Sim>,
    pub asks: Mutex<Vec<Ask>>,
    deaf: AtomicBool,
    /// What happens while somebody asks for a console.
    pub at_console: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Noted {
    fn over(sim: Arc<Sim>) -> Arc<Self> {
        Arc::new(Self { sim, asks: Mutex::default(), deaf: AtomicBool::new(false), at_console: Mutex::default() })
    }

    /// From now on nothing comes of what it is asked.
    pub fn silence(&self) {
        self.deaf.store(true, Ordering::Relaxed);
    }
}

impl World for Noted {
    fn ask(&self, asks: Vec<Ask>) {
        self.asks.lock().unwrap().extend(asks.iter().cloned());
        if !self.deaf.load(Ordering::Relaxed) {
            self.sim.ask(asks);
        }
    }
    fn inventory(&self) -> Inventory {
        self.sim.inventory()
    }
    fn console(&self, sandbox: &str) -> Vec<u8> {
        if let Some(act) = &*self.at_console.lock().unwrap() {
            act();
        }
        self.sim.console(sandbox)
    }
    fn describe(&self) -> &'static str {
        "noted"
    }
}

pub struct Yard {
    bed: Testbed,
    pub world: Arc<Noted>,
}

impl std::ops::Deref for Yard {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        &self.bed
    }
}

impl Yard {
    pub fn new() -> Self {
        Self::at(None)
    }

    /// With its state in a file.
    pub fn at(path: Option<PathBuf>) -> Self {
        let sim = Arc::new(Sim::new(START.0, Costs::default()));
        Self::over(path, Noted::over(sim))
    }

    /// Over a world that stands already.
    pub fn over(path: Option<PathBuf>, world: Arc<Noted>) -> Self {
        let config = CloudConfig { path, ..in_memory() };
        let services: Vec<Box<dyn zonal_cloud::Service>> = vec![
            Box::new(zonal_ec2::Ec2 { public_range: "127.100.0.0/16".parse().unwrap() }),
            Box::new(zonal_cloudwatch::CloudWatch),
        ];
        let bed = Testbed::over(config, services, world.clone(), Some(world.sim.clone()), TestClock::at(START));
        Self { bed, world }
    }

    pub fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        self.try_json("ec2", operation, &input)
    }

    /// A call that must succeed.
    pub fn ok(&self, operation: &str, input: Value) -> Value {
        self.json("ec2", operation, &input)
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
