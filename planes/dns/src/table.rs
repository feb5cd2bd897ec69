//! A zone by its names, for those who keep what they were told of it: a change costs the names that it changes, however many there are.

use crate::config::{Change, RecordSet, Zone};
use std::collections::BTreeMap;

/// Names of a zone with all the record sets that each has; none where the name is gone.
pub type NameSets = BTreeMap<String, Vec<RecordSet>>;

/// A zone by its names.
///
/// Names are told apart by their text, but for case and the final dot. So whoever tells of a zone writes an octet that may be escaped
/// always in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneTable {
    /// The apex, as it was given.
    pub name: String,
    overlay: bool,
    names: NameSets,
}

impl ZoneTable {
    /// The table of a zone.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self { name: zone.name, overlay: zone.overlay, names: by_name(zone.records) }
    }

    /// The zone, whole. Its record sets are in the order of their names.
    #[must_use]
    pub fn zone(&self) -> Zone {
        let records = self.names.values().flatten().cloned().collect();
        Zone { name: self.name.clone(), overlay: self.overlay, records }
    }

    /// The record sets of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> &[RecordSet] {
        self.names.get(&spelling(name)).map_or(&[], Vec::as_slice)
    }

    /// How many names have record sets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no name has any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Takes a change in, and gives what of it was news.
    pub fn put(&mut self, names: NameSets) -> NameSets {
        let mut news = NameSets::new();
        for (name, sets) in names {
            let name = spelling(&name);
            if self.names.get(&name).map_or(&[][..], Vec::as_slice) == sets {
                continue;
            }
            if sets.is_empty() {
                self.names.remove(&name);
            } else {
                self.names.insert(name.clone(), sets.clone());
            }
            news.insert(name, sets);
        }
        news
    }

    /// Takes the zone in as it is now, and gives the names that changed; nothing where more than names did, and the whole is news.
    pub fn replace(&mut self, zone: Zone) -> Option<NameSets> {
        if (&self.name, self.overlay) != (&zone.name, zone.overlay) {
            *self = Self::new(zone);
            return None;
        }
        let mut next = by_name(zone.records);
        let gone = self.names.keys().filter(|name| !next.contains_key(*name)).cloned();
        let gone: Vec<String> = gone.collect();
        next.retain(|name, sets| self.names.get(name) != Some(sets));
        next.extend(gone.into_iter().map(|name| (name, Vec::new())));
        Some(self.put(next))
    }
}

/// What a view of the DNS plane is told of names that changed in a zone.
pub fn changes(view: &str, zone: &str, names: NameSets) -> impl Iterator<Item = Change> {
    names.into_iter().map(move |(name, records)| Change::PutName {
        view: view.to_owned(),
        zone: zone.to_owned(),
        name,
        records,
    })
}

fn by_name(records: Vec<RecordSet>) -> NameSets {
    let mut names = NameSets::new();
    for set in records {
        let name = spelling(&set.name);
        names.entry(name).or_default().push(set);
    }
    names
}

fn spelling(name: &str) -> String {
    let mut name = name.to_ascii_lowercase();
    if !name.ends_with('.') {
        name.push('.');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(name: &str, value: u8) -> RecordSet {
        RecordSet {
            name: name.to_owned(),
            type_: "A".to_owned(),
            values: vec![format!("192.0.2.{value}")],
            ..RecordSet::default()
        }
    }

    fn zone(records: &[(String, u8)]) -> Zone {
        let records = records.iter().map(|(name, value)| set(name, *value)).collect();
        Zone { name: "example.".to_owned(), overlay: false, records }
    }

    proptest! {
        /// Who is told the zone whole and who is told what is news of it have the same in the end; telling it again is no news.
        #[test]
        fn what_is_news_of_a_zone_makes_the_next_of_the_last(
            versions in prop::collection::vec(prop::collection::vec(("[aAb]{1,2}\\.example\\.?", 0_u8..3), 0..6), 1..6)
        ) {
            let mut whole = ZoneTable::new(zone(&versions[0]));
            let mut told = whole.clone();
            for version in &versions {
                let news = whole.replace(zone(version)).expect("only names change");
                prop_assert_eq!(told.put(news.clone()), news.clone());
                prop_assert!(told.put(news).is_empty());
                prop_assert_eq!(&told, &whole);
                prop_assert_eq!(&whole, &ZoneTable::new(zone(version)));
                prop_assert_eq!(whole.replace(zone(version)), Some(NameSets::new()));
            }
        }
    }

    #[test]
    fn a_zone_that_begins_to_hide_others_is_news_as_a_whole() {
        let mut table = ZoneTable::new(zone(&[("a.example".to_owned(), 1)]));
        assert_eq!(table.replace(Zone { overlay: true, ..zone(&[]) }), None);
        assert!(table.is_empty() && table.zone().overlay);
    }

    #[test]
    fn a_name_is_one_however_its_case_and_its_end_are_written() {
        let mut table = ZoneTable::new(zone(&[("A.example".to_owned(), 1)]));
        assert_eq!(table.get("a.example."), [set("A.example", 1)]);
        assert_eq!(table.put(NameSets::from([("a.EXAMPLE".to_owned(), Vec::new())])).len(), 1);
        assert_eq!(table.len(), 0);
    }
}
