//! Zones: each view of the DNS plane has the zones that it is to have, and says when it answers by them.
//!
//! Two public zones may have one name; only one can be the one that the domain is delegated to, and here that is the older one, as
//! where a domain's registration made its zone. A key is a view and a name, as that is what the plane has one zone for; then the whole
//! zone is asked for. Behind them may be what of the zone is to be looked at: a name, or `*` for those of the changes that are pending. So
//! a change costs the names that it is about, however many the zone has.

use crate::model::{Change, ChangeStatus, CidrCollection, Content, HealthCheck, HostedZone, Policy, RecordSet};
use crate::model::{Verdicts, ZoneState};
use crate::operations::cidrs::DEFAULT;
use std::collections::BTreeSet;
use zonal_cloud::{self as cloud, Controller, Scope, Tx, View, Wake};
use zonal_dns::config;
use zonal_substrate::{Ask, NameSets, Report};
use zonal_wire::AwsError;

/// The names of changes that are pending, in a key. No name in normal form is like it.
const PENDING: &str = "*";

/// Drives what the DNS plane serves. The key is `VIEW NAME`, or `VIEW NAME PART`; the scope has no account, as names are everybody's.
pub struct Zones;

fn everybody() -> Scope {
    Scope::new("", Scope::GLOBAL)
}

fn wake_all(zone: &HostedZone, wake: &mut dyn FnMut(&Scope, &str)) {
    for view in zone.views() {
        wake(&everybody(), &format!("{view} {}", zone.name));
    }
}

fn wake_part(zone: &HostedZone, part: &str, wake: &mut dyn FnMut(&Scope, &str)) {
    for view in zone.views() {
        wake(&everybody(), &format!("{view} {} {part}", zone.name));
    }
}

impl Controller for Zones {
    fn name(&self) -> &'static str {
        "route53.zones"
    }

    fn wakes_on(&self, change: &cloud::Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<HostedZone>() {
            if let Some(zone) = view.get::<HostedZone>(&change.key) {
                wake_all(zone, wake);
            }
        } else if change.is::<Change>() {
            // Record sets change with one of these only.
            let pending = view.get::<Change>(&change.key).filter(|change| change.status == ChangeStatus::Pending);
            if let Some(zone) = pending.and_then(|change| view.get::<HostedZone>(&change.zone)) {
                wake_part(zone, PENDING, wake);
            }
        } else if change.is::<CidrCollection>() || change.is::<HealthCheck>() {
            // A health check may count for others that are calculated from it.
            let checks = view.list::<HealthCheck>().filter(|_| change.is::<HealthCheck>());
            let above = checks.filter(|check| check.subject.hangs_on(&change.key, view)).map(|check| check.id.as_str());
            let sets = above.chain([change.key.as_str()]).flat_map(|id| view.owned_by::<RecordSet>(id));
            let names: BTreeSet<(&str, &str)> = sets.map(|set| (set.zone.as_str(), set.name.as_str())).collect();
            for (zone, name) in names {
                if let Some(zone) = view.get::<HostedZone>(zone) {
                    wake_part(zone, name, wake);
                }
            }
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (_, zone) in view.everywhere::<HostedZone>() {
            wake_all(zone, wake);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let mut words = key.splitn(3, ' ');
        let (Some(view), Some(name), part) = (words.next(), words.next(), words.next()) else {
            return Ok(Wake::OnChange);
        };
        let zones = named(&tx.view(), name, view);
        let first = zones.iter().find(|(_, zone)| zone.is_seen_in(view));
        // What is asked of one name says nothing of the others that a change may wait for.
        let whole = part.is_none_or(|part| part == PENDING);
        let confirm = whole.then(|| confirmation(&tx.view(), &zones, view)).flatten();
        let (view, name) = (view.to_owned(), name.to_owned());
        match (part, first) {
            (None, Some((scope, zone))) => {
                let zone = Box::new(served(&tx.view(), scope, zone));
                tx.ask(Ask::PutZone { view: view.clone(), zone, confirm });
                told(tx, &zones, &view);
            }
            (None, None) => tx.ask(Ask::RemoveZone { view, name, confirm }),
            (Some(part), Some((scope, zone))) => {
                let names = sets_of(&tx.view(), scope, zone, &view, part);
                tx.ask(Ask::PutNames { view, zone: name, names, confirm });
            }
            // The zone is asked for whole, or its end, because it changed.
            (Some(_), None) => {}
        }
        Ok(Wake::OnChange)
    }
}

/// The zones of that name that a view has, had or is to have; the one that is to be served first.
fn named(view: &View<'_>, name: &str, of: &str) -> Vec<(Scope, HostedZone)> {
    let named = |(_, zone): &(&Scope, &HostedZone)| zone.name == name && zone.views().contains(of);
    let zones = view.everywhere::<HostedZone>().filter(named);
    let mut zones: Vec<_> = zones.map(|(scope, zone)| (scope.clone(), zone.clone())).collect();
    zones.sort_by(|a, b| (a.1.created, &a.1.id).cmp(&(b.1.created, &b.1.id)));
    zones
}

/// By what a view is to confirm what it is asked, if anybody waits: all that is committed is in it.
fn confirmation(view: &View<'_>, zones: &[(Scope, HostedZone)], of: &str) -> Option<u64> {
    let waits = |(scope, zone): &(Scope, HostedZone)| {
        !zone.is_seen_in(of) || view.at(scope).owned_by::<Change>(&zone.id).next().is_some()
    };
    zones.iter().any(waits).then(|| view.revision())
}

/// The view is being told of the zones that it is to have.
fn told(tx: &mut Tx<'_>, zones: &[(Scope, HostedZone)], view: &str) {
    for (scope, zone) in zones.iter().filter(|(_, zone)| zone.is_seen_in(view) && !zone.served.contains(view)) {
        let mut zone = zone.clone();
        zone.served.insert(view.to_owned());
        tx.within(scope, |tx| tx.put(zone));
    }
}

/// A view answers by what was asked of a zone: changes are in sync with it, and a zone that no view has any more is forgotten.
pub fn heard(tx: &mut Tx<'_>, report: &Report) {
    let Report::ZoneServed { view, zone: name, revision } = report else { return };
    for (scope, mut zone) in named(&tx.view(), name, view) {
        tx.within(&scope, |tx| {
            let pending: Vec<Change> = tx.owned_by::<Change>(&zone.id).cloned().collect();
            let mut waits = false;
            for mut change in pending {
                change.served(view, *revision);
                waits |= change.awaited.contains(view);
                tx.put(change);
            }
            if waits || zone.is_seen_in(view) {
                return;
            }
            zone.served.remove(view);
            if zone.state == ZoneState::Deleting && zone.served.is_empty() {
                tx.remove::<HostedZone>(&zone.id);
            } else {
                tx.put(zone);
            }
        });
    }
}

/// A zone as the plane has it.
fn served(view: &View<'_>, scope: &Scope, zone: &HostedZone) -> config::Zone {
    let view = view.at(scope);
    let mut verdicts = Verdicts::new(view);
    let sets = view.starting::<RecordSet>(RecordSet::keys_of_zone(&zone.id));
    let records = sets.map(|set| shown(&view, &mut verdicts, set)).collect();
    config::Zone { name: zone.name.clone(), overlay: false, records }
}

/// The names of a part of a zone (see [`Zones`]), as the plane has them.
fn sets_of(view: &View<'_>, scope: &Scope, zone: &HostedZone, of: &str, part: &str) -> NameSets {
    let view = view.at(scope);
    let names: BTreeSet<&str> = match part {
        PENDING => {
            let pending = view.owned_by::<Change>(&zone.id).filter(|change| change.awaited.contains(of));
            pending.flat_map(|change| &change.names).map(String::as_str).collect()
        }
        name => BTreeSet::from([name]),
    };
    let mut verdicts = Verdicts::new(view);
    let mut sets = |name: &str| -> Vec<config::RecordSet> {
        let sets = view.starting::<RecordSet>(RecordSet::keys_of_name(&zone.id, name));
        sets.map(|set| shown(&view, &mut verdicts, set)).collect()
    };
    names.into_iter().map(|name| (name.to_owned(), sets(name))).collect()
}

/// A record set as the plane has it.
fn shown(view: &View<'_>, verdicts: &mut Verdicts<'_>, set: &RecordSet) -> config::RecordSet {
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
                blocks: (location != DEFAULT).then(|| blocks(view, collection, location)),
            },
            Policy::Geoproximity(origin, bias) => config::Policy::Geoproximity { origin: origin.clone(), bias: *bias },
        },
        set_identifier: set.identifier.clone(),
        health: match &set.health_check {
            Some(id) if !verdicts.is_healthy(id) => config::Health::Unhealthy,
            _ => config::Health::Healthy,
        },
    }
}

/// The blocks of a location.
fn blocks(view: &View<'_>, collection: &str, location: &str) -> Vec<String> {
    let found = view.get::<CidrCollection>(collection).and_then(|found| found.locations.get(location));
    found.into_iter().flatten().cloned().collect()
}
