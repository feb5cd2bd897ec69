//! What stands around the service in these tests: an EC2 that knows two VPCs, and a world that keeps the zones it is asked for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zonal_cloud::{CloudConfig, Entry, Registrar, Service, View, read};
use zonal_cloudwatch::CloudWatch;
use zonal_dns::config::{self, DnsConfig, PUBLIC, Probe, Zone};
use zonal_dns::{Snapshot, ask};
use zonal_ec2::shapes as ec2;
use zonal_route53::Route53;
use zonal_substrate::{Ask, Inventory, Report, World, ZoneTable};
use zonal_testbed::{START, TestClock, Testbed, in_memory, stored};
use zonal_wire::{Api, AwsError, Operation};

struct FakeEc2;

impl Service for FakeEc2 {
    fn name(&self) -> &'static str {
        "ec2"
    }

    fn api(&self) -> &'static Api {
        &ec2::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![read::<ec2::ops::DescribeVpcs>(vpcs)]
    }

    fn records(&self, _: &mut Registrar) {}
}

fn vpcs(view: &View<'_>, input: &ec2::DescribeVpcsRequest) -> Result<ec2::DescribeVpcsResult, AwsError> {
    let known = &*view.scope.region == "us-east-1" && ["vpc-1", "vpc-2"].contains(&input.vpc_ids[0].as_str());
    if !known {
        return Err(AwsError::client("InvalidVpcID.NotFound", "The vpc ID does not exist"));
    }
    Ok(ec2::DescribeVpcsResult { vpcs: vec![ec2::Vpc::default()], ..Default::default() })
}

/// The zones by view and name, and the probes by id.
#[derive(Default)]
struct Names {
    zones: Mutex<BTreeMap<(String, String), ZoneTable>>,
    probes: Mutex<BTreeMap<String, Probe>>,
    /// The names of each ask that was not of a whole zone.
    told: Mutex<Vec<Vec<String>>>,
    /// What it has done and not yet said.
    unsaid: Mutex<Vec<Report>>,
}

impl Names {
    fn note(&self, view: String, zone: String, confirm: Option<u64>) {
        let report = confirm.map(|revision| Report::ZoneServed { view, zone, revision });
        self.unsaid.lock().unwrap().extend(report);
    }
}

impl World for Names {
    fn ask(&self, asks: Vec<Ask>) {
        let mut zones = self.zones.lock().unwrap();
        let mut probes = self.probes.lock().unwrap();
        for ask in asks {
            match ask {
                Ask::PutZone { view, zone, confirm } => {
                    let name = zone.name.clone();
                    zones.insert((view.clone(), name.clone()), ZoneTable::new(*zone));
                    self.note(view, name, confirm);
                }
                Ask::PutNames { view, zone, names, confirm } => {
                    if !names.is_empty() {
                        self.told.lock().unwrap().push(names.keys().cloned().collect());
                    }
                    zones.get_mut(&(view.clone(), zone.clone())).expect("it was put whole first").put(names);
                    self.note(view, zone, confirm);
                }
                Ask::RemoveZone { view, name, confirm } => {
                    zones.remove(&(view.clone(), name.clone()));
                    self.note(view, name, confirm);
                }
                Ask::PutProbe(probe) => drop(probes.insert(probe.id.clone(), *probe)),
                Ask::RemoveProbe(id) => drop(probes.remove(&id)),
                other => panic!("no other ask is this service's: {other:?}"),
            }
        }
    }

    fn inventory(&self) -> Inventory {
        Inventory::default()
    }

    fn console(&self, _: &str) -> Vec<u8> {
        Vec::new()
    }

    fn names_answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let zones = self.zones.lock().unwrap();
        let public = zones.iter().filter(|((view, _), _)| view == PUBLIC).map(|(_, table)| table.zone()).collect();
        let views = vec![config::View { name: PUBLIC.to_owned(), zones: public }];
        let config = DnsConfig { revision: 1, views, places: Vec::new() };
        ask::asked(&Snapshot::default().replaced_by(&config).unwrap(), query, 0)
    }

    fn describe(&self) -> &'static str {
        "names"
    }
}

/// A cloud with this service.
pub struct Bench {
    bed: Testbed,
    names: Arc<Names>,
}

impl Bench {
    pub fn new() -> Self {
        Self::over(in_memory())
    }

    /// One whose state is in a file, which may be there already: the daemon of a world that has begun anew.
    pub fn stored(path: &Path) -> Self {
        Self::over(stored(path))
    }

    fn over(config: CloudConfig) -> Self {
        let names = Arc::new(Names::default());
        let services: Vec<Box<dyn Service>> = vec![Box::new(FakeEc2), Box::new(CloudWatch), Box::new(Route53)];
        let bed = Testbed::over(config, services, names.clone(), None, TestClock::at(START));
        Self { bed, names }
    }

    /// Calls an operation; the controllers do not run.
    pub fn only<O: Operation>(&self, input: O::Input) -> Result<O::Output, AwsError> {
        // A second passes from each call to the next.
        self.bed.clock.set(self.bed.now() + Duration::from_secs(1));
        self.bed.call::<O>("route53", input)
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.bed.clock.set(self.bed.now() + time);
        self.settle();
    }

    /// Lets the controllers run, and the world say what it did.
    pub fn settle(&self) {
        self.bed.cloud.run_due();
        while self.say() {
            self.bed.cloud.run_due();
        }
    }

    /// Lets the controllers run; the world does what it is asked, and says nothing of it.
    pub fn settle_unheard(&self) {
        self.bed.cloud.run_due();
    }

    /// Lets the world say what it did, with the controllers yet to run.
    pub fn hear(&self) {
        self.say();
    }

    /// Lets the world say what it did; whether that was anything.
    fn say(&self) -> bool {
        let reports = std::mem::take(&mut *self.names.unsaid.lock().unwrap());
        self.bed.cloud.take_in(&reports);
        !reports.is_empty()
    }

    /// The names that were asked for since this was last called, by ask; asks of whole zones are not among them.
    pub fn told(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut *self.names.told.lock().unwrap())
    }

    /// Calls an operation, and lets the controllers run.
    pub fn call<O: Operation>(&self, input: O::Input) -> Result<O::Output, AwsError> {
        let output = self.only::<O>(input)?;
        self.settle();
        Ok(output)
    }

    /// Calls an operation of CloudWatch's, and lets the controllers run.
    pub fn cloudwatch<O: Operation>(&self, input: O::Input) -> Result<O::Output, AwsError> {
        let output = self.bed.call::<O>("cloudwatch", input)?;
        self.settle();
        Ok(output)
    }

    /// What the world probes for a health check.
    pub fn probe(&self, id: &str) -> Option<Probe> {
        self.names.probes.lock().unwrap().get(id).cloned()
    }

    /// The world has seen an endpoint.
    pub fn probed(&self, id: &str, healthy: Option<bool>) {
        let outcome =
            if healthy == Some(true) { "Success: HTTP Status Code 200, OK" } else { "Failure: Connection timed out" };
        self.bed.cloud.report(&Report::Probed {
            id: id.to_owned(),
            healthy,
            address: Some([192, 0, 2, 1].into()),
            outcome: outcome.to_owned(),
        });
        self.settle();
    }

    /// The zone that the world has in a view.
    pub fn served(&self, view: &str, name: &str) -> Option<Zone> {
        self.names.zones.lock().unwrap().get(&(view.to_owned(), name.to_owned())).map(ZoneTable::zone)
    }
}
