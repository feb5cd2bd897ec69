//! From one version of a zone to the next, so that a change costs the plane what changed and not the zone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::Error;
use crate::config::{Change, RecordSet, Zone};
use crate::name;
use crate::snapshot::parse_name;

/// The changes of a view that turn one version of a zone into the next: a name each, where names are all that changed.
pub fn steps(view: &str, old: &Zone, new: &Zone) -> Result<Vec<Change>, Error> {
    if old.name != new.name || old.overlay != new.overlay {
        return Ok(vec![Change::PutZone { view: view.to_owned(), zone: new.clone() }]);
    }
    let (before, after) = (by_name(old)?, by_name(new)?);
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name, Vec::new()));
    let other = after.iter().filter(|(name, sets)| before.get(*name) != Some(sets));
    let changed = other.map(|(name, sets)| (name, sets.iter().map(|set| (*set).clone()).collect()));
    let put = |(name, records): (&Cow<'_, str>, Vec<RecordSet>)| Change::PutName {
        view: view.to_owned(),
        zone: new.name.clone(),
        name: name.clone().into_owned(),
        records,
    };
    Ok(gone.chain(changed).map(put).collect())
}

type Sets<'z> = SmallVec<[&'z RecordSet; 2]>;

fn by_name(zone: &Zone) -> Result<BTreeMap<Cow<'_, str>, Sets<'_>>, Error> {
    let mut names: BTreeMap<Cow<'_, str>, Sets<'_>> = BTreeMap::new();
    for set in &zone.records {
        names.entry(spelling(&set.name)?).or_default().push(set);
    }
    Ok(names)
}

/// The one spelling of a name. Most names have it, which a look tells; that is much cheaper than reading them.
fn spelling(text: &str) -> Result<Cow<'_, str>, Error> {
    let is_plain = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if !text.is_empty() && text.bytes().all(is_plain) {
        return Ok(if text.ends_with('.') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}.")) });
    }
    Ok(Cow::Owned(name::format(&name::key(&parse_name(text)?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Two texts have one spelling where they are one name, and only there.
        #[test]
        fn a_name_has_one_spelling(texts in prop::array::uniform2("([aA*_1-]|\\\\052|\\\\101){1,3}\\.[aA]\\.?")) {
            let [a, b] = &texts;
            if let (Ok(one), Ok(other)) = (name::parse(a), name::parse(b)) {
                let same = name::key(&one) == name::key(&other);
                prop_assert_eq!(spelling(a).unwrap() == spelling(b).unwrap(), same, "{} {}", a, b);
            }
        }
    }
}
