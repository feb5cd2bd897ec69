//! From one version of a zone to the next, so that a change costs the plane what changed and not the zone.

use std::collections::BTreeMap;

use crate::Error;
use crate::config::{Change, RecordSet, Zone};
use crate::name::{self, Key};
use crate::snapshot::parse_name;

/// The changes of a view that turn one version of a zone into the next: a name each, where names are all that changed.
pub fn steps(view: &str, old: &Zone, new: &Zone) -> Result<Vec<Change>, Error> {
    if old.name != new.name || old.overlay != new.overlay {
        return Ok(vec![Change::PutZone { view: view.to_owned(), zone: new.clone() }]);
    }
    let (before, after) = (by_name(old)?, by_name(new)?);
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (&**name, Vec::new()));
    let other = after.iter().filter(|(name, sets)| before.get(*name) != Some(sets));
    let changed = other.map(|(name, sets)| (&**name, sets.iter().map(|set| (*set).clone()).collect()));
    let put = |(owner, records): (&Key, Vec<RecordSet>)| Change::PutName {
        view: view.to_owned(),
        zone: new.name.clone(),
        name: name::format(owner),
        records,
    };
    Ok(gone.chain(changed).map(put).collect())
}

fn by_name(zone: &Zone) -> Result<BTreeMap<Box<Key>, Vec<&RecordSet>>, Error> {
    let mut names: BTreeMap<Box<Key>, Vec<&RecordSet>> = BTreeMap::new();
    for set in &zone.records {
        names.entry(name::key(&parse_name(&set.name)?)).or_default().push(set);
    }
    Ok(names)
}
