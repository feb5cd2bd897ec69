//! The zones as they are served: built from configuration, never changed, replaced whole.
//!
//! A new snapshot shares with the old one all that did not change: views, zones and names are behind `Arc`s.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::base::Rtype;
use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use crate::Error;
use crate::config::{Change, DnsConfig, RecordSet, Zone as ZoneConfig};
use crate::geo::Places;
use crate::name::{self, Key, WireName};
use crate::names::{Names, Node};
use crate::policy::Routed;
use crate::rdata;
use crate::records::Records;

/// All that is served, at one revision.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    revision: u64,
    views: BTreeMap<String, Arc<View>>,
    places: Arc<Places>,
}

/// Zones by the key of their apex. The order never shows, so it is a hash table; a copy of it copies pointers.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    hasher: DefaultHashBuilder,
    zones: HashTable<Arc<Zone>>,
}

/// One zone.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) apex_key: Box<Key>,
    pub(crate) overlay: bool,
    /// The SOA as it goes with negative answers, its TTL already the negative one (RFC 2308, 3 and 5).
    pub(crate) soa: Option<Records>,
    /// Every name that exists, those without records that have names below them (RFC 4592, 2.2.2) included.
    pub(crate) names: Names,
    /// Queries answered from this zone; it outlives the zone's versions.
    queries: Arc<AtomicU64>,
}

impl Snapshot {
    /// Builds the snapshot of a whole configuration. Counters of zones that `self` has go on.
    pub fn replaced_by(&self, config: &DnsConfig) -> Result<Snapshot, Error> {
        self.check_revision(config.revision)?;
        let places = Arc::new(read_places(&config.places)?);
        let mut next = Snapshot { revision: config.revision, views: BTreeMap::new(), places };
        for view in &config.views {
            let old = self.views.get(&view.name);
            let built = Arc::make_mut(next.views.entry(view.name.clone()).or_default());
            for zone in &view.zones {
                built.put(zone, old.map(|old| &**old))?;
            }
        }
        Ok(next)
    }

    /// Builds the snapshot that comes of changes, all or none.
    pub fn changed_by(&self, revision: u64, changes: &[Change]) -> Result<Snapshot, Error> {
        self.check_revision(revision)?;
        let mut next = self.clone();
        next.revision = revision;
        for change in changes {
            next.change(change)?;
        }
        Ok(next)
    }

    /// The revision of the configuration that this is.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Queries answered so far, by view and zone.
    pub fn queries(&self) -> impl Iterator<Item = (&str, String, u64)> {
        self.views.iter().flat_map(|(view_name, view)| {
            let mut zones: Vec<_> = view.zones.iter().collect();
            zones.sort_by(|a, b| a.apex_key.cmp(&b.apex_key));
            zones
                .into_iter()
                .map(|zone| (view_name.as_str(), name::format(&zone.apex_key), zone.queries.load(Ordering::Relaxed)))
        })
    }

    pub(crate) fn view(&self, name: &str) -> Option<&View> {
        self.views.get(name).map(|view| &**view)
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    fn check_revision(&self, offered: u64) -> Result<(), Error> {
        if offered < self.revision { Err(Error::Stale { applied: self.revision, offered }) } else { Ok(()) }
    }

    fn change(&mut self, change: &Change) -> Result<(), Error> {
        match change {
            Change::PutZone { view, zone } => {
                let old = self.views.get(view).cloned();
                Arc::make_mut(self.views.entry(view.clone()).or_default()).put(zone, old.as_deref())?;
            }
            Change::RemoveZone { view, zone } => {
                let apex = name::key(&parse_name(zone)?);
                if let Some(view) = self.views.get_mut(view) {
                    Arc::make_mut(view).remove(&apex);
                }
            }
            Change::PutName { view, zone, name, records } => {
                let apex = name::key(&parse_name(zone)?);
                let found = self.views.get_mut(view).and_then(|view| Arc::make_mut(view).zone_mut(&apex));
                let missing = || Error::NoZone { view: view.clone(), zone: zone.clone() };
                Arc::make_mut(found.ok_or_else(missing)?).put_name(name, records)?;
            }
            Change::RemoveView { view } => {
                self.views.remove(view);
            }
            Change::PutPlaces(places) => self.places = Arc::new(read_places(places)?),
        }
        Ok(())
    }
}

fn read_places(places: &[crate::config::Place]) -> Result<Places, Error> {
    Places::new(places).map_err(|text| Error::Prefix { text })
}

impl View {
    /// The zone with that apex.
    pub(crate) fn zone(&self, apex: &Key) -> Option<&Zone> {
        let hash = self.hasher.hash_one(apex);
        self.zones.find(hash, |zone| *zone.apex_key == *apex).map(|zone| &**zone)
    }

    fn zone_mut(&mut self, apex: &Key) -> Option<&mut Arc<Zone>> {
        let hash = self.hasher.hash_one(apex);
        self.zones.find_mut(hash, |zone| *zone.apex_key == *apex)
    }

    fn put(&mut self, config: &ZoneConfig, old: Option<&View>) -> Result<(), Error> {
        let mut zone = Zone::build(config)?;
        if let Some(old) = old.and_then(|view| view.zone(&zone.apex_key)) {
            zone.queries = Arc::clone(&old.queries);
        }
        let (key, zone) = (zone.apex_key.clone(), Arc::new(zone));
        match self.zone_mut(&key) {
            Some(known) => *known = zone,
            None => {
                let hasher = self.hasher.clone();
                self.zones.insert_unique(hasher.hash_one(&*key), zone, |zone| hasher.hash_one(&*zone.apex_key));
            }
        }
        Ok(())
    }

    fn remove(&mut self, apex: &Key) {
        let hash = self.hasher.hash_one(apex);
        if let Ok(found) = self.zones.find_entry(hash, |zone| *zone.apex_key == *apex) {
            found.remove();
        }
    }
}

impl Zone {
    fn build(config: &ZoneConfig) -> Result<Zone, Error> {
        let apex_key = name::key(&parse_name(&config.name)?);
        let mut owners: Vec<(Box<Key>, &RecordSet)> = Vec::with_capacity(config.records.len());
        for set in &config.records {
            let owner = name::key(&parse_name(&set.name)?);
            if !name::is_within(&owner, &apex_key) {
                return Err(Error::OutOfZone { name: set.name.clone(), zone: config.name.clone() });
            }
            owners.push((owner, set));
        }
        owners.sort_by(|(a, _), (b, _)| a.cmp(b));
        let names = Names::new(&apex_key, owners.len());
        let mut zone = Zone { apex_key, overlay: config.overlay, soa: None, names, queries: Arc::default() };
        for sets in owners.chunk_by(|(a, _), (b, _)| a == b) {
            let node = build_node(&sets[0].0, sets.iter().map(|(_, set)| *set), &zone.apex_key)?;
            zone.names.put(node);
        }
        zone.refresh();
        Ok(zone)
    }

    /// Replaces the record sets of one name, and makes or removes the empty names between it and the apex.
    fn put_name(&mut self, owner_text: &str, records: &[RecordSet]) -> Result<(), Error> {
        let owner = name::key(&parse_name(owner_text)?);
        let misplaced = |name: &str, zone: String| Error::OutOfZone { name: name.to_owned(), zone };
        if !name::is_within(&owner, &self.apex_key) {
            return Err(misplaced(owner_text, name::format(&self.apex_key)));
        }
        for set in records {
            if name::key(&parse_name(&set.name)?) != owner {
                return Err(misplaced(&set.name, owner_text.to_owned()));
            }
        }
        if records.is_empty() {
            self.names.clear(&owner);
        } else {
            self.names.put(build_node(&owner, records.iter(), &self.apex_key)?);
        }
        if owner == self.apex_key {
            self.refresh();
        }
        Ok(())
    }

    /// Brings what is derived from the apex up to date.
    fn refresh(&mut self) {
        let soa = self.plain(&self.apex_key, Rtype::SOA);
        // The last field is the zone's own way of saying how long a negative answer lives.
        let negative_ttl = |soa: &Records| {
            let last = soa.iter().next().and_then(|record| record.rdata.last_chunk::<4>());
            last.map_or(0, |minimum| u32::from_be_bytes(*minimum)).min(soa.ttl())
        };
        self.soa = soa.map(|soa| soa.with_ttl(negative_ttl(soa)));
    }

    /// Counts a query that this zone answered.
    pub(crate) fn count_query(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
    }
}

fn build_node<'c>(owner: &Key, configs: impl Iterator<Item = &'c RecordSet>, apex: &Key) -> Result<Node, Error> {
    let mut by_type: SmallVec<[(Rtype, &RecordSet); 4]> = SmallVec::new();
    for set in configs {
        let unknown = || Error::Type { name: set.name.clone(), type_: set.type_.clone() };
        by_type.push((rdata::record_type(&set.type_).ok_or_else(unknown)?, set));
    }
    by_type.sort_by_key(|(rtype, _)| *rtype);
    let mut sets = SmallVec::new();
    for group in by_type.chunk_by(|(a, _), (b, _)| a == b) {
        let configs: SmallVec<[&RecordSet; 8]> = group.iter().map(|(_, set)| *set).collect();
        sets.push((group[0].0, Routed::build(group[0].0, &configs, apex)?));
    }
    Ok(Node::new(owner, sets))
}

pub(crate) fn parse_name(text: &str) -> Result<WireName, Error> {
    name::parse(text).map_err(|source| Error::Name { text: text.to_owned(), source })
}
