//! Route 53: hosted zones and their record sets, public ones and those of VPCs.
//!
//! Operations write what is wanted; [`controllers::zones`] has the DNS plane answer by it, and calls changes INSYNC when the plane says that it
//! does; [`controllers::checks`] has the world probe endpoints, whose health goes into the zones. Everything lives in the account's
//! global scope. Traffic policies are not there, and refused by name.
#![forbid(unsafe_code)]

pub mod controllers;
mod errors;
mod geography;
pub mod model;
mod names;
mod operations;
pub mod shapes;
mod values;

pub use errors::Error;

use operations::{
    answers, changes, checks, cidrs, delegations, geography as parts, limits, list, records, tags, vpcs, zones,
};
use shapes::ops;
use std::time::Duration;
use zonal_cloud::{Controller, Coverage, Entry, Registrar, Service, Tx, ask, read, write};
use zonal_substrate::Report;
use zonal_wire::Api;

/// How long `GetChange` waits for a change to be served.
const SETTLE: Duration = Duration::from_secs(1);

/// The service.
pub struct Route53;

impl Service for Route53 {
    fn name(&self) -> &'static str {
        "route53"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![
            write::<ops::CreateHostedZone>(zones::create),
            read::<ops::GetHostedZone>(zones::get),
            write::<ops::DeleteHostedZone>(zones::delete),
            write::<ops::UpdateHostedZoneComment>(zones::update_comment),
            read::<ops::GetHostedZoneCount>(zones::count),
            read::<ops::GetDNSSEC>(zones::dnssec),
            read::<ops::ListHostedZones>(list::zones),
            read::<ops::ListHostedZonesByName>(list::zones_by_name),
            read::<ops::ListHostedZonesByVPC>(list::zones_by_vpc),
            read::<ops::ListResourceRecordSets>(list::records),
            write::<ops::ChangeResourceRecordSets>(records::change),
            read::<ops::GetChange>(changes::get).settles::<ops::GetChange>(SETTLE, changes::unsettled),
            ask::<ops::TestDNSAnswer>(answers::test),
            read::<ops::ListGeoLocations>(parts::list),
            read::<ops::GetGeoLocation>(parts::get),
            write::<ops::AssociateVPCWithHostedZone>(vpcs::associate),
            write::<ops::DisassociateVPCFromHostedZone>(vpcs::disassociate),
            write::<ops::CreateHealthCheck>(checks::create),
            read::<ops::GetHealthCheck>(checks::get),
            read::<ops::ListHealthChecks>(checks::list),
            write::<ops::UpdateHealthCheck>(checks::update),
            write::<ops::DeleteHealthCheck>(checks::delete),
            read::<ops::GetHealthCheckStatus>(checks::status),
            read::<ops::GetHealthCheckCount>(checks::count),
            read::<ops::GetHealthCheckLastFailureReason>(checks::last_failure),
            write::<ops::CreateReusableDelegationSet>(delegations::create),
            read::<ops::GetReusableDelegationSet>(delegations::get),
            read::<ops::ListReusableDelegationSets>(delegations::list),
            write::<ops::DeleteReusableDelegationSet>(delegations::delete),
            read::<ops::GetAccountLimit>(limits::of_account),
            read::<ops::GetHostedZoneLimit>(limits::of_zone),
            read::<ops::GetReusableDelegationSetLimit>(limits::of_delegation_set),
            write::<ops::CreateCidrCollection>(cidrs::create),
            write::<ops::ChangeCidrCollection>(cidrs::change),
            read::<ops::ListCidrCollections>(cidrs::list),
            read::<ops::ListCidrLocations>(cidrs::locations),
            read::<ops::ListCidrBlocks>(cidrs::blocks),
            write::<ops::DeleteCidrCollection>(cidrs::delete),
            write::<ops::ChangeTagsForResource>(tags::change),
            read::<ops::ListTagsForResource>(tags::list),
            read::<ops::ListTagsForResources>(tags::list_several),
        ]
    }

    fn controllers(&self) -> Vec<Box<dyn Controller>> {
        vec![
            Box::new(controllers::zones::Zones),
            Box::new(controllers::checks::Checks),
            Box::new(controllers::changes::Changes),
        ]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<model::HostedZone>();
        registrar.record::<model::RecordSet>();
        registrar.record::<model::Change>();
        registrar.record::<model::HealthCheck>();
        registrar.record::<model::CidrCollection>();
        registrar.record::<model::DelegationSet>();
    }

    fn report(&self, tx: &mut Tx<'_>, report: &Report) {
        controllers::checks::heard(tx, report);
        controllers::zones::heard(tx, report);
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            without_effect: &[
                ("CreateHealthCheck", "HealthCheckConfig.MeasureLatency", "kept and shown"),
                (
                    "CreateHealthCheck",
                    "HealthCheckConfig.AlarmIdentifier",
                    "the alarm's own state counts, not the data that it looks at",
                ),
                ("CreateHealthCheck", "HealthCheckConfig.Regions", "kept and shown; there is one checker, on the host"),
            ],
        }
    }
}
