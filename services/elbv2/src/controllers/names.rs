//! Names: every load balancer's, in the public zone of its kind's load balancers in its region.
//!
//! An internal load balancer's name is as public as the others'; it leads to private addresses. A node whose zone is cut off is
//! left out of the answers once three checks, ten seconds apart, have failed; one in whose zone a target group has too few healthy
//! targets, at once; were none left, all stay. (Route 53 Developer Guide, "How Amazon Route 53 determines whether a health check is
//! healthy"; Elastic Load Balancing User Guide, "Routing"; User Guides for Application and Network Load Balancers, "Target group
//! health".)

use super::EC2_OUTAGES;
use super::verdicts::Verdict;
use crate::model::{Kind, LoadBalancer, Scheme};
use crate::zones::name_of_zone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use zonal_cloud::{Change, Controller, Record, Scope, Tx, View, Wake};
use zonal_dns::config::{Health, RecordSet, Zone};
use zonal_ec2::shapes::{AvailabilityZoneState, DescribeAvailabilityZonesRequest, ops};
use zonal_substrate::Ask;
use zonal_wire::{AwsError, Time};

/// How long answers may be kept, in seconds.
const TTL: u32 = 60;

/// How long a node's zone is cut off before its address is withdrawn.
const WITHDRAWN_AFTER: Duration = Duration::from_secs(30);

/// The kinds of load balancers: each has a zone of its own in every region.
const KINDS: [Kind; 2] = [Kind::Application, Kind::Network];

/// Drives the zones of a region's load balancers. The key is the region; the scope has no account, as the zone is everybody's.
pub struct Names;

/// Zones that are cut off, since when, as this controller first saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outages {
    /// The region.
    pub region: String,
    /// By the zones' names.
    pub since: BTreeMap<String, Time>,
}

impl Record for Outages {
    const TABLE: &'static str = "elbv2.outages";
    fn key(&self) -> &str {
        &self.region
    }
}

impl Controller for Names {
    fn name(&self) -> &'static str {
        "elbv2.names"
    }

    fn wakes_on(&self, change: &Change, _: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<LoadBalancer>() || change.is::<Verdict>() {
            wake(&Scope::new("", &change.scope.region), &change.scope.region);
        } else if change.table == EC2_OUTAGES {
            // Wherever the outage is kept, its key is the zone's name.
            let region = zonal_cloud::regions::of_zone(&change.key);
            wake(&Scope::new("", region), region);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, _) in view.everywhere::<LoadBalancer>() {
            wake(&Scope::new("", &scope.region), &scope.region);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, region: &str) -> Result<Wake, AwsError> {
        let here = |(scope, balancer): &(&Scope, &LoadBalancer)| &*scope.region == region && balancer.lives();
        let Some(scope) = tx.view().everywhere::<LoadBalancer>().find(here).map(|(scope, _)| scope.clone()) else {
            tx.remove::<Outages>(region);
            for kind in KINDS {
                let name = name_of_zone(kind, region);
                tx.ask(Ask::RemoveZone { view: zonal_dns::config::PUBLIC.into(), name, confirm: None });
            }
            return Ok(Wake::OnChange);
        };
        let outages = outages(tx, &scope, region);
        let now = tx.now;
        let is_withdrawn = |zone: &str| outages.since.get(zone).is_some_and(|since| *since + WITHDRAWN_AFTER <= now);
        let mut asks = Vec::new();
        for kind in KINDS {
            let (view, name) = (tx.view(), name_of_zone(kind, region));
            let living: Vec<_> = view.everywhere::<LoadBalancer>().filter(here).collect();
            let of_kind = living.iter().filter(|(_, balancer)| balancer.kind == kind);
            let records: Vec<_> = of_kind
                .flat_map(|(scope, balancer)| {
                    let view = view.at(scope);
                    let judged = view.get::<Verdict>(&balancer.arn).cloned();
                    let verdict = judged.unwrap_or_else(|| Verdict::of(&view, balancer));
                    records(balancer, &verdict, &is_withdrawn)
                })
                .collect();
            let view = zonal_dns::config::PUBLIC.to_owned();
            // A zone without a load balancer in it answers for no name.
            asks.push(if living.iter().any(|(_, balancer)| balancer.kind == kind) {
                Ask::PutZone { view, zone: Box::new(Zone { name, overlay: false, records }), confirm: None }
            } else {
                Ask::RemoveZone { view, name, confirm: None }
            });
        }
        let next = outages.since.values().map(|since| *since + WITHDRAWN_AFTER).filter(|at| *at > now).min();
        tx.put(outages);
        asks.into_iter().for_each(|ask| tx.ask(ask));
        Ok(next.map_or(Wake::OnChange, Wake::At))
    }
}

/// The zones that are cut off now, with the time when each was first seen so.
fn outages(tx: &mut Tx<'_>, scope: &Scope, region: &str) -> Outages {
    let known = tx.get::<Outages>(region).map(|outages| outages.since.clone()).unwrap_or_default();
    let input = DescribeAvailabilityZonesRequest::default();
    // Without an answer nothing is known to be cut off.
    let zones = tx.within(scope, |tx| tx.call::<ops::DescribeAvailabilityZones>("ec2", &input)).unwrap_or_default();
    let since = zones
        .availability_zones
        .into_iter()
        .filter(|zone| zone.state != Some(AvailabilityZoneState::Available))
        .filter_map(|zone| zone.zone_name)
        .map(|zone| {
            let since = known.get(&zone).copied().unwrap_or(tx.now);
            (zone, since)
        })
        .collect();
    Outages { region: region.to_owned(), since }
}

/// A load balancer's name, and the same with `dualstack.` in front, as alias records use it.
fn records(balancer: &LoadBalancer, verdict: &Verdict, is_withdrawn: &dyn Fn(&str) -> bool) -> Vec<RecordSet> {
    let addressed = || {
        balancer.ready().filter_map(|node| {
            let interface = node.interface.as_ref()?;
            let address = match balancer.scheme {
                Scheme::InternetFacing => interface.public.as_ref()?.address,
                Scheme::Internal => interface.address,
            };
            Some((node.zone.as_str(), address.to_string()))
        })
    };
    let fails = |zone: &str| verdict.failing.contains(zone);
    let without = |is_out: &dyn Fn(&str) -> bool| -> Vec<String> {
        addressed().filter(|(zone, _)| !is_out(zone)).map(|(_, address)| address).collect()
    };
    let mut values = without(&|zone| is_withdrawn(zone) || fails(zone));
    if values.is_empty() {
        values = without(is_withdrawn);
    }
    if values.is_empty() {
        values = without(&|_| false);
    }
    if values.is_empty() {
        return Vec::new();
    }
    let health = if verdict.healthy { Health::Healthy } else { Health::Unhealthy };
    let set = |name: String, values: Vec<String>| RecordSet {
        name,
        type_: "A".into(),
        ttl: TTL,
        values,
        health,
        ..RecordSet::default()
    };
    let mut sets = vec![set(format!("dualstack.{}", balancer.dns_name), values.clone())];
    if balancer.kind == Kind::Network {
        // Each zone's node has a name of its own too, whatever becomes of it.
        sets.extend(addressed().map(|(zone, address)| set(format!("{zone}.{}", balancer.dns_name), vec![address])));
    }
    sets.push(set(balancer.dns_name.clone(), values));
    sets
}
