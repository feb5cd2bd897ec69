//! Zones: each view of the DNS plane has the zones that it is to have, whole.
//!
//! Two public zones may have one name; only one can be the one that the domain is delegated to, and here that is the older one, as
//! where a domain's registration made its zone. The key is a view and a name, as that is what the plane has one zone for.

use crate::model::{
    Change, ChangeStatus, CidrCollection, Content, HealthCheck, HostedZone, Policy, RecordSet, Verdicts, ZoneState,
};
use crate::operations::cidrs::DEFAULT;
use std::collections::BTreeSet;
use zonal_cloud::{self as cloud, Controller, Scope, Tx, View, Wake};
use zonal_dns::config;
use zonal_substrate::Ask;
use zonal_wire::AwsError;

/// Drives what the DNS plane serves. The key is `VIEW NAME`; the scope has no account, as names are everybody's.
pub struct Zones;

fn everybody() -> Scope {
    Scope::new("", Scope::GLOBAL)
}

fn wake_all(zone: &HostedZone, wake: &mut dyn FnMut(&Scope, &str)) {
    for view in zone.views() {
        wake(&everybody(), &format!("{view} {}", zone.name));
    }
}

impl Controller for Zones {
    fn name(&self) -> &'static str {
        "route53.zones"
    }

    fn wakes_on(&self, change: &cloud::Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        let zone = if change.is::<HostedZone>() {
            Some(change.key.as_str())
        } else if change.is::<RecordSet>() {
            change.key.split(' ').next()
        } else {
            None
        };
        if change.is::<CidrCollection>() || change.is::<HealthCheck>() {
            // A health check may count for others that are calculated from it.
            let checks = view.list::<HealthCheck>().filter(|_| change.is::<HealthCheck>());
            let above = checks.filter(|check| check.subject.hangs_on(&change.key, view)).map(|check| check.id.as_str());
            let sets = above.chain([change.key.as_str()]).flat_map(|id| view.owned_by::<RecordSet>(id));
            let zones: BTreeSet<&str> = sets.map(|set| set.zone.as_str()).collect();
            for zone in zones.into_iter().filter_map(|zone| view.get::<HostedZone>(zone)) {
                wake_all(zone, wake);
            }
        }
        if let Some(zone) = zone.and_then(|zone| view.get::<HostedZone>(zone)) {
            wake_all(zone, wake);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (_, zone) in view.everywhere::<HostedZone>() {
            wake_all(zone, wake);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some((view, name)) = key.split_once(' ') else { return Ok(Wake::OnChange) };
        let named = |(_, zone): &(&Scope, &HostedZone)| zone.name == name && zone.views().contains(view);
        let mut zones: Vec<(Scope, HostedZone)> = tx
            .view()
            .everywhere::<HostedZone>()
            .filter(named)
            .map(|(scope, zone)| (scope.clone(), zone.clone()))
            .collect();
        zones.sort_by(|a, b| (a.1.created, &a.1.id).cmp(&(b.1.created, &b.1.id)));

        match zones.iter().find(|(_, zone)| zone.is_seen_in(view)) {
            Some((scope, zone)) => {
                let zone = Box::new(served(&tx.view(), scope, zone));
                tx.ask(Ask::PutZone { view: view.to_owned(), zone });
            }
            None => tx.ask(Ask::RemoveZone { view: view.to_owned(), name: name.to_owned() }),
        }
        for (scope, zone) in zones {
            tx.within(&scope, |tx| settle(tx, zone, view));
        }
        Ok(Wake::OnChange)
    }
}

/// The view is being told: what was pending for its zone is in sync once this is committed, and the world does what it is asked in
/// the order in which it is asked. A zone that no view has any more is forgotten.
fn settle(tx: &mut Tx<'_>, mut zone: HostedZone, view: &str) {
    let id = zone.id.clone();
    // Those that are pending: they are its own as long.
    let own: Vec<Change> = tx.owned_by::<Change>(&id).cloned().collect();
    for change in own {
        tx.put(Change { status: ChangeStatus::InSync, ..change });
    }
    if zone.is_seen_in(view) {
        zone.served.insert(view.to_owned());
    } else {
        zone.served.remove(view);
    }
    if zone.state == ZoneState::Deleting && zone.served.is_empty() {
        tx.remove::<HostedZone>(&id);
    } else {
        tx.put(zone);
    }
}

/// A zone as the plane has it.
fn served(view: &View<'_>, scope: &Scope, zone: &HostedZone) -> config::Zone {
    let view = view.at(scope);
    let mut verdicts = Verdicts::new(view);
    let records = view.starting::<RecordSet>(RecordSet::keys_of_zone(&zone.id)).map(|set| {
        let (ttl, values, alias) = match &set.content {
            Content::Records { ttl, values } => (*ttl, values.clone(), None),
            Content::Alias { name, evaluate, .. } => {
                (0, Vec::new(), Some(config::Alias { target_name: name.clone(), evaluate_target_health: *evaluate }))
            }
        };
        config::RecordSet {
            name: set.name.clone(),
            type_: set.kind.clone(),
            ttl,
            values,
            alias,
            policy: match &set.policy {
                Policy::Simple => config::Policy::Simple,
                Policy::Weighted(weight) => config::Policy::Weighted { weight: *weight },
                Policy::FailoverPrimary => config::Policy::FailoverPrimary,
                Policy::FailoverSecondary => config::Policy::FailoverSecondary,
                Policy::Multivalue => config::Policy::Multivalue,
                Policy::Latency(region) => config::Policy::Latency { region: region.clone() },
                Policy::Geolocation(location) => config::Policy::Geolocation { location: location.clone() },
                Policy::Cidr { collection, location } => config::Policy::Cidr {
                    // A location that has lost its blocks is for nobody.
                    blocks: (location != DEFAULT).then(|| blocks(&view, collection, location)),
                },
                Policy::Geoproximity(origin, bias) => {
                    config::Policy::Geoproximity { origin: origin.clone(), bias: *bias }
                }
            },
            set_identifier: set.identifier.clone(),
            health: match &set.health_check {
                Some(id) if !verdicts.is_healthy(id) => config::Health::Unhealthy,
                _ => config::Health::Healthy,
            },
        }
    });
    config::Zone { name: zone.name.clone(), overlay: false, records: records.collect() }
}

/// The blocks of a location.
fn blocks(view: &View<'_>, collection: &str, location: &str) -> Vec<String> {
    let found = view.get::<CidrCollection>(collection).and_then(|found| found.locations.get(location));
    found.into_iter().flatten().cloned().collect()
}
