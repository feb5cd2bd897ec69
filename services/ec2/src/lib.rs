//! Amazon EC2: instances and the networks they live in.
//!
//! Operations write what is desired; the controllers ask the world for it and the reports of the world move the states on.
#![forbid(unsafe_code)]

mod controllers;
pub mod errors;
pub mod faults;
pub mod instance_types;
mod metrics;
pub mod model;
mod operations;
mod reports;
pub mod shapes;
mod table;

use ipnet::Ipv4Net;
use zonal_cloud::{Controller, Coverage, Entry, Registrar, Service, Tx};
use zonal_substrate::{Inventory, Report};
use zonal_wire::{Api, AwsError};

/// The service, and what it is told of its world.
pub struct Ec2 {
    /// The range that public addresses are drawn from; its first 256 are the world's own.
    pub public_range: Ipv4Net,
}

impl Service for Ec2 {
    fn name(&self) -> &'static str {
        "ec2"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        table::operations()
    }

    fn controllers(&self) -> Vec<Box<dyn Controller>> {
        controllers::all()
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<model::Acl>();
        registrar.record::<model::ElasticAddress>();
        registrar.record::<model::Image>();
        registrar.record::<model::Instance>();
        registrar.record::<model::Interface>();
        registrar.record::<model::InternetGateway>();
        registrar.record::<model::KeyPair>();
        registrar.record::<model::LaunchTemplate>();
        registrar.record::<model::RouteTable>();
        registrar.record::<model::SecurityGroup>();
        registrar.record::<model::Settings>();
        registrar.record::<model::Snapshot>();
        registrar.record::<model::StatusChecks>();
        registrar.record::<model::Subnet>();
        registrar.record::<model::Volume>();
        registrar.record::<model::Vpc>();
        registrar.record::<model::ZoneOutage>();
    }

    fn first_use(&self, tx: &mut Tx<'_>) -> Result<(), AwsError> {
        tx.put(model::Settings { id: model::Settings::KEY.to_owned(), public_range: self.public_range });
        operations::vpcs::make_default(tx).map(drop)
    }

    fn report(&self, tx: &mut Tx<'_>, report: &Report) {
        reports::take_in(tx, report);
    }

    fn adopt(&self, tx: &mut Tx<'_>, inventory: &Inventory) {
        for ask in reports::strangers(&tx.view(), inventory) {
            tx.ask(ask);
        }
        reports::boot_again(tx, inventory);
        operations::snapshots::adopt(tx);
        controllers::checks::begin(tx);
    }

    fn coverage(&self) -> Coverage {
        Coverage { without_effect: table::WITHOUT_EFFECT }
    }
}
