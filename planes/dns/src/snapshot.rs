//! The zones as they are served: built from configuration, never changed, replaced whole.
//!
//! A new snapshot shares with the old one all that did not change: views, zones and names are behind `Arc`s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::base::{Rtype, Ttl};
use hashbrown::HashMap;

use crate::Error;
use crate::config::{Change, DnsConfig, Health, Policy, RecordSet, Zone as ZoneConfig};
use crate::name::{self, Key, WireName};
use crate::rdata::{self, Data, Record};

/// All that is served, at one revision.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    revision: u64,
    views: BTreeMap<String, Arc<View>>,
}

/// Zones by the key of their apex. The order never shows, so it is a hash map.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    zones: HashMap<Box<Key>, Arc<Zone>>,
}

/// One zone.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) apex: WireName,
    pub(crate) apex_key: Box<Key>,
    pub(crate) overlay: bool,
    /// The SOA as it goes with negative answers, its TTL already the negative one (RFC 2308, 3 and 5).
    pub(crate) soa: Option<Record>,
    /// Every name that exists, those without records that have names below them (RFC 4592, 2.2.2) included.
    pub(crate) names: HashMap<Box<Key>, Arc<Node>>,
    /// Whether any name but the apex has NS records.
    pub(crate) has_cuts: bool,
    /// Queries answered from this zone; it outlives the zone's versions.
    queries: Arc<AtomicU64>,
}

/// The record sets of one name. A handful, so a list in type order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) sets: Vec<(Rtype, Routed)>,
}

/// What answers for one name and type.
#[derive(Clone, Debug)]
pub(crate) enum Routed {
    Simple(Content),
    Multivalue(Vec<Member>),
    Weighted(Vec<(u8, Member)>),
    Failover { primary: Option<Member>, secondary: Option<Member> },
}

/// One record set among several of one name and type.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) health: Health,
    pub(crate) content: Content,
}

/// Records, or the name to take them from.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Records(Records),
    Alias(Box<Key>),
}

/// The values of one record set.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    pub(crate) all: Vec<Record>,
    /// The SOA's own way of saying how long a negative answer lives.
    negative_ttl: Option<Ttl>,
}

impl Snapshot {
    /// Builds the snapshot of a whole configuration. Counters of zones that `self` has go on.
    pub fn replaced_by(&self, config: &DnsConfig) -> Result<Snapshot, Error> {
        self.check_revision(config.revision)?;
        let mut next = Snapshot { revision: config.revision, views: BTreeMap::new() };
        for view in &config.views {
            let old = self.views.get(&view.name);
            let built = Arc::make_mut(next.views.entry(view.name.clone()).or_default());
            for zone in &view.zones {
                built.put(zone, old)?;
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
            let mut zones: Vec<_> = view.zones.values().collect();
            zones.sort_by(|a, b| a.apex_key.cmp(&b.apex_key));
            zones
                .into_iter()
                .map(|zone| (view_name.as_str(), name::format(&zone.apex_key), zone.queries.load(Ordering::Relaxed)))
        })
    }

    pub(crate) fn view(&self, name: &str) -> Option<&View> {
        self.views.get(name).map(|view| &**view)
    }

    fn check_revision(&self, offered: u64) -> Result<(), Error> {
        if offered < self.revision { Err(Error::Stale { applied: self.revision, offered }) } else { Ok(()) }
    }

    fn change(&mut self, change: &Change) -> Result<(), Error> {
        match change {
            Change::PutZone { view, zone } => {
                let old = self.views.get(view).cloned();
                Arc::make_mut(self.views.entry(view.clone()).or_default()).put(zone, old.as_ref())?;
            }
            Change::RemoveZone { view, zone } => {
                let apex = name::key(&parse_name(zone)?);
                if let Some(view) = self.views.get_mut(view) {
                    Arc::make_mut(view).zones.remove(&apex);
                }
            }
            Change::PutName { view, zone, name, records } => {
                let apex = name::key(&parse_name(zone)?);
                let found = self.views.get_mut(view).and_then(|view| Arc::make_mut(view).zones.get_mut(&apex));
                let missing = || Error::NoZone { view: view.clone(), zone: zone.clone() };
                Arc::make_mut(found.ok_or_else(missing)?).put_name(name, records)?;
            }
            Change::RemoveView { view } => {
                self.views.remove(view);
            }
        }
        Ok(())
    }
}

impl View {
    /// The zone with that apex.
    pub(crate) fn zone(&self, apex: &Key) -> Option<&Zone> {
        self.zones.get(apex).map(|zone| &**zone)
    }

    fn put(&mut self, config: &ZoneConfig, old: Option<&Arc<View>>) -> Result<(), Error> {
        let mut zone = Zone::build(config)?;
        if let Some(old) = old.and_then(|view| view.zones.get(&zone.apex_key)) {
            zone.queries = Arc::clone(&old.queries);
        }
        self.zones.insert(zone.apex_key.clone(), Arc::new(zone));
        Ok(())
    }
}

impl Zone {
    fn build(config: &ZoneConfig) -> Result<Zone, Error> {
        let apex = parse_name(&config.name)?;
        let apex_key = name::key(&apex);
        let mut by_name: BTreeMap<Box<Key>, Vec<&RecordSet>> = BTreeMap::new();
        for set in &config.records {
            let owner = name::key(&parse_name(&set.name)?);
            if !name::is_within(&owner, &apex_key) {
                return Err(Error::OutOfZone { name: set.name.clone(), zone: config.name.clone() });
            }
            by_name.entry(owner).or_default().push(set);
        }
        let mut zone = Zone {
            apex,
            apex_key,
            overlay: config.overlay,
            soa: None,
            names: HashMap::with_capacity(by_name.len() + 1),
            has_cuts: false,
            queries: Arc::default(),
        };
        for (owner, sets) in by_name {
            zone.names.insert(owner, Arc::new(Node::build(&sets, &zone.apex_key)?));
        }
        let owners: Vec<Box<Key>> = zone.names.keys().cloned().collect();
        for owner in owners {
            zone.make_ancestors(&owner);
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
        let node = Node::build(&records.iter().collect::<Vec<_>>(), &self.apex_key)?;
        self.names.insert(owner.clone(), Arc::new(node));
        self.make_ancestors(&owner);
        if records.is_empty() {
            self.prune(&owner);
        }
        self.refresh();
        Ok(())
    }

    fn make_ancestors(&mut self, owner: &Key) {
        for name in name::ancestors(owner) {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), Arc::default());
            }
            if name == &*self.apex_key {
                break;
            }
        }
    }

    /// Removes a name that has no records and nothing below it, then its parents for which the same has come true.
    fn prune(&mut self, owner: &Key) {
        for name in name::ancestors(owner) {
            let is_empty = self.names.get(name).is_some_and(|node| node.sets.is_empty());
            let is_leaf = || !self.names.keys().any(|other| name::parent(other) == Some(name));
            if name == &*self.apex_key || !is_empty || !is_leaf() {
                break;
            }
            self.names.remove(name);
        }
    }

    /// Brings what is derived from the names up to date.
    fn refresh(&mut self) {
        self.names.entry(self.apex_key.clone()).or_default();
        let apex = &self.names[&self.apex_key];
        self.soa = match apex.get(Rtype::SOA) {
            Some(Routed::Simple(Content::Records(Records { all, negative_ttl: Some(ttl) }))) => {
                all.first().map(|soa| {
                    let mut negative = soa.clone();
                    negative.fixed[4..].copy_from_slice(&ttl.as_secs().to_be_bytes());
                    negative
                })
            }
            _ => None,
        };
        self.has_cuts = self.names.iter().any(|(name, node)| *name != self.apex_key && node.get(Rtype::NS).is_some());
    }

    /// Counts a query that this zone answered.
    pub(crate) fn count_query(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
    }
}

impl Node {
    fn build(configs: &[&RecordSet], apex: &Key) -> Result<Node, Error> {
        let mut by_type: BTreeMap<Rtype, Vec<&RecordSet>> = BTreeMap::new();
        for set in configs {
            let unknown = || Error::Type { name: set.name.clone(), type_: set.type_.clone() };
            by_type.entry(rdata::record_type(&set.type_).ok_or_else(unknown)?).or_default().push(set);
        }
        let sets = by_type.into_iter().map(|(rtype, sets)| Ok((rtype, Routed::build(rtype, &sets, apex)?)));
        Ok(Node { sets: sets.collect::<Result<_, Error>>()? })
    }

    /// The sets of a type.
    pub(crate) fn get(&self, rtype: Rtype) -> Option<&Routed> {
        self.sets.iter().find(|(have, _)| *have == rtype).map(|(_, routed)| routed)
    }
}

impl Routed {
    fn build(rtype: Rtype, configs: &[&RecordSet], apex: &Key) -> Result<Routed, Error> {
        let mut members = Vec::with_capacity(configs.len());
        for set in configs {
            members.push((set.policy, Member { health: set.health, content: Content::build(rtype, set, apex)? }));
        }
        let clash = || Error::Policies { name: configs[0].name.clone(), type_: configs[0].type_.clone() };
        let mut members = members.into_iter();
        // A group is only made for a set that is in it, so there is a first member.
        let Some((policy, first)) = members.next() else { return Err(clash()) };
        let mut routed = match policy {
            Policy::Simple => Routed::Simple(first.content),
            Policy::Multivalue => Routed::Multivalue(vec![first]),
            Policy::Weighted { weight } => Routed::Weighted(vec![(weight, first)]),
            Policy::FailoverPrimary => Routed::Failover { primary: Some(first), secondary: None },
            Policy::FailoverSecondary => Routed::Failover { primary: None, secondary: Some(first) },
        };
        for (policy, member) in members {
            match (&mut routed, policy) {
                (Routed::Multivalue(all), Policy::Multivalue) => all.push(member),
                (Routed::Weighted(all), Policy::Weighted { weight }) => all.push((weight, member)),
                (Routed::Failover { primary: free @ None, .. }, Policy::FailoverPrimary)
                | (Routed::Failover { secondary: free @ None, .. }, Policy::FailoverSecondary) => *free = Some(member),
                _ => return Err(clash()),
            }
        }
        Ok(routed)
    }
}

impl Content {
    fn build(rtype: Rtype, set: &RecordSet, apex: &Key) -> Result<Content, Error> {
        match &set.alias {
            Some(alias) if set.values.is_empty() => Ok(Content::Alias(name::key(&parse_name(&alias.target_name)?))),
            None if !set.values.is_empty() => {
                let parse = |text: &String| {
                    rdata::parse(rtype, text).map_err(|reason| Error::Value {
                        name: set.name.clone(),
                        type_: set.type_.clone(),
                        text: text.clone(),
                        reason,
                    })
                };
                let ttl = Ttl::from_secs(set.ttl);
                let data: Vec<Data> = set.values.iter().map(parse).collect::<Result<_, _>>()?;
                let negative_ttl = match &data[..] {
                    [Data::Soa(soa)] => Some(ttl.min(soa.minimum())),
                    _ => None,
                };
                let all = data.iter().map(|data| Record::new(rtype, ttl, data, apex)).collect();
                Ok(Content::Records(Records { all, negative_ttl }))
            }
            _ => Err(Error::Content { name: set.name.clone(), type_: set.type_.clone() }),
        }
    }
}

fn parse_name(text: &str) -> Result<WireName, Error> {
    name::parse(text).map_err(|source| Error::Name { text: text.to_owned(), source })
}
