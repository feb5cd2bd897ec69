//! Typed tables in memory, per account and region, and how they are read.

use crate::scope::{Caller, Scope};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::ops::Bound;
use std::sync::Arc;
use zonal_wire::Time;

/// A stored resource. Encoded with its fields' names, so that a later version with more fields (each with a serde default) reads
/// what an earlier one wrote.
pub trait Record: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static {
    /// The table's name, unique in the program: `ec2.instance`.
    const TABLE: &'static str;

    /// Names of what a record belongs to (its group, say), where it is to be found by those too: see [`View::owned_by`].
    const OWNERS: Option<fn(&Self) -> Vec<&str>> = None;

    /// The record's key: unique in its table, account and region.
    fn key(&self) -> &str;
}

/// A record of any type, in memory.
pub(crate) type Row = Arc<dyn Any + Send + Sync>;

/// How a table's records are stored and compared.
#[derive(Clone, Copy)]
pub(crate) struct Codec {
    pub encode: fn(&Row) -> Result<String, serde_json::Error>,
    pub decode: fn(&str) -> Result<Row, serde_json::Error>,
}

impl Codec {
    pub(crate) fn of<T: Record>() -> Self {
        Self {
            encode: |row| serde_json::to_string(typed::<T>(row)),
            decode: |text| Ok(Arc::new(serde_json::from_str::<T>(text)?)),
        }
    }
}

fn typed<T: Record>(row: &Row) -> &T {
    // A table is reached by its type's name only, so that what it holds is of that type.
    row.downcast_ref::<T>().expect("a table holds records of its own type")
}

/// What a row belongs to.
type Owners = Box<dyn Fn(&Row) -> Vec<String> + Send + Sync>;

/// The keys of one table's records by what they belong to: never stored, made of the records.
pub(crate) struct Index {
    owners: Owners,
    keys: BTreeMap<Scope, BTreeMap<String, BTreeSet<String>>>,
}

impl Index {
    /// An empty one, where records of the type are to be found so.
    pub(crate) fn of<T: Record>() -> Option<Self> {
        let owners = T::OWNERS?;
        let owners = move |row: &Row| owners(typed::<T>(row)).into_iter().map(ToOwned::to_owned).collect();
        Some(Self { owners: Box::new(owners), keys: BTreeMap::new() })
    }

    fn replace(&mut self, scope: &Scope, key: &str, old: Option<&Row>, new: Option<&Row>) {
        let (old, new) = (old.map(&self.owners).unwrap_or_default(), new.map(&self.owners).unwrap_or_default());
        if old == new {
            return;
        }
        let own = self.keys.entry(scope.clone()).or_default();
        for owner in old {
            if let Some(keys) = own.get_mut(&owner) {
                keys.remove(key);
                if keys.is_empty() {
                    own.remove(&owner);
                }
            }
        }
        for owner in new {
            own.entry(owner).or_default().insert(key.to_owned());
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
    }
}

/// One table: rows by scope, then key.
pub(crate) type Rows = BTreeMap<Scope, BTreeMap<String, Row>>;

/// All tables.
#[derive(Default)]
pub(crate) struct State {
    pub tables: BTreeMap<&'static str, Rows>,
    pub indexes: BTreeMap<&'static str, Index>,
    pub revision: u64,
}

impl State {
    pub(crate) fn get<T: Record>(&self, scope: &Scope, key: &str) -> Option<&T> {
        self.tables.get(T::TABLE)?.get(scope)?.get(key).map(typed)
    }

    pub(crate) fn list<T: Record>(&self, scope: &Scope) -> impl Iterator<Item = &T> {
        self.tables.get(T::TABLE).and_then(|rows| rows.get(scope)).into_iter().flat_map(|rows| rows.values().map(typed))
    }

    pub(crate) fn starting<'a, T: Record>(
        &'a self,
        scope: &Scope,
        prefix: String,
    ) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let rows = self.tables.get(T::TABLE).and_then(|rows| rows.get(scope)).into_iter();
        rows.flat_map(move |rows| {
            let prefix = prefix.clone();
            let from = rows.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
            from.take_while(move |(key, _)| key.starts_with(&prefix)).map(|(_, row)| typed(row))
        })
    }

    pub(crate) fn owned_by<T: Record>(&self, scope: &Scope, owner: &str) -> impl Iterator<Item = &T> + use<'_, T> {
        let rows = self.tables.get(T::TABLE).and_then(|rows| rows.get(scope));
        let keys = self.indexes.get(T::TABLE).and_then(|index| index.keys.get(scope)?.get(owner));
        keys.into_iter().flatten().filter_map(move |key| rows?.get(key).map(typed))
    }

    pub(crate) fn scopes<T: Record>(&self) -> impl Iterator<Item = (&Scope, &T)> {
        self.tables
            .get(T::TABLE)
            .into_iter()
            .flat_map(|rows| rows.iter().flat_map(|(scope, rows)| rows.values().map(move |row| (scope, typed(row)))))
    }

    pub(crate) fn find<T: Record>(&self, key: &str) -> Option<(&Scope, &T)> {
        let rows = self.tables.get(T::TABLE)?;
        rows.iter().find_map(|(scope, rows)| rows.get(key).map(|row| (scope, typed(row))))
    }

    /// Whether the record that a change speaks of is there.
    pub(crate) fn has(&self, change: &Change) -> bool {
        let rows = self.tables.get(change.table).and_then(|rows| rows.get(&change.scope));
        rows.is_some_and(|rows| rows.contains_key(&change.key))
    }

    /// Puts a row, or takes it away; returns what stood there.
    pub(crate) fn set(&mut self, table: &'static str, scope: &Scope, key: &str, row: Option<Row>) -> Option<Row> {
        let rows = self.tables.entry(table).or_default();
        if let Some(index) = self.indexes.get_mut(table) {
            let old = rows.get(scope).and_then(|rows| rows.get(key));
            index.replace(scope, key, old, row.as_ref());
        }
        match row {
            Some(row) => match rows.get_mut(scope) {
                Some(rows) => rows.insert(key.to_owned(), row),
                None => rows.entry(scope.clone()).or_default().insert(key.to_owned(), row),
            },
            None => {
                let own = rows.get_mut(scope)?;
                let old = own.remove(key);
                if own.is_empty() {
                    rows.remove(scope);
                }
                old
            }
        }
    }
}

/// A record that a transaction put, changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The record's table.
    pub table: &'static str,
    /// Where.
    pub scope: Scope,
    /// Its key.
    pub key: String,
}

impl Change {
    /// Whether it is a change of that record type.
    #[must_use]
    pub fn is<T: Record>(&self) -> bool {
        self.table == T::TABLE
    }
}

/// The state as it stands at one instant, seen from one account and region.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(crate) state: &'a State,
    /// Where the call is made.
    pub scope: &'a Scope,
    /// Who makes it.
    pub caller: &'a Caller,
    /// When.
    pub now: Time,
}

impl<'a> View<'a> {
    /// The record of that key.
    #[must_use]
    pub fn get<T: Record>(&self, key: &str) -> Option<&'a T> {
        self.state.get(self.scope, key)
    }

    /// All records of a type here, in the order of their keys.
    pub fn list<T: Record>(&self) -> impl Iterator<Item = &'a T> + use<'a, T> {
        self.state.list(self.scope)
    }

    /// The records whose keys begin with `prefix`, in the order of their keys: what they cost does not grow with the others.
    pub fn starting<T: Record>(&self, prefix: String) -> impl Iterator<Item = &'a T> + use<'a, T> {
        self.state.starting(self.scope, prefix)
    }

    /// The records that belong to `owner`, in the order of their keys: what they cost does not grow with the others.
    pub fn owned_by<T: Record>(&self, owner: &str) -> impl Iterator<Item = &'a T> + use<'a, T> {
        self.state.owned_by(self.scope, owner)
    }

    /// How many records belong to `owner`: to ask costs nothing of them.
    #[must_use]
    pub fn count_owned_by<T: Record>(&self, owner: &str) -> usize {
        let keys = self.state.indexes.get(T::TABLE).and_then(|index| index.keys.get(self.scope)?.get(owner));
        keys.map_or(0, BTreeSet::len)
    }

    /// The records with these keys, each once, those that there are; all where none is named. In the order of their keys.
    pub fn among<T: Record>(&self, keys: &[String]) -> Box<dyn Iterator<Item = &'a T> + 'a> {
        if keys.is_empty() {
            return Box::new(self.list());
        }
        let keys: BTreeSet<&String> = keys.iter().collect();
        let named: Vec<&'a T> = keys.into_iter().filter_map(|key| self.get(key)).collect();
        Box::new(named.into_iter())
    }

    /// All records of a type in every account and region.
    pub fn everywhere<T: Record>(&self) -> impl Iterator<Item = (&'a Scope, &'a T)> + use<'a, T> {
        self.state.scopes()
    }

    /// The record of that key wherever it lives: for keys that are unique in the world.
    #[must_use]
    pub fn find<T: Record>(&self, key: &str) -> Option<(&'a Scope, &'a T)> {
        self.state.find(key)
    }

    /// The same state seen from elsewhere.
    #[must_use]
    pub fn at(self, scope: &'a Scope) -> Self {
        Self { scope, ..self }
    }

    /// The number of commits so far.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.state.revision
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Named(String);

    impl Record for Named {
        const TABLE: &'static str = "test.named";

        fn key(&self) -> &str {
            &self.0
        }
    }

    #[test]
    fn records_are_found_by_the_beginning_of_their_keys() {
        let (scope, mut state) = (Scope::new("000000000000", "us-east-1"), State::default());
        for key in ["a|1", "b", "b|1", "b|2", "b}", "c|1"] {
            state.set(Named::TABLE, &scope, key, Some(Arc::new(Named(key.to_owned()))));
        }
        let found =
            |prefix: &str| state.starting::<Named>(&scope, prefix.to_owned()).map(Record::key).collect::<Vec<_>>();
        assert_eq!(found("b|"), ["b|1", "b|2"]);
        assert_eq!(found("d"), Vec::<&str>::new());
        assert_eq!(found(""), ["a|1", "b", "b|1", "b|2", "b}", "c|1"]);
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Owned {
        key: String,
        owners: Vec<String>,
    }

    impl Record for Owned {
        const TABLE: &'static str = "test.owned";
        const OWNERS: Option<fn(&Self) -> Vec<&str>> = Some(|own| own.owners.iter().map(String::as_str).collect());

        fn key(&self) -> &str {
            &self.key
        }
    }

    #[test]
    fn records_are_found_by_what_they_belong_to_whatever_becomes_of_them() {
        let (scope, mut state) = (Scope::new("000000000000", "us-east-1"), State::default());
        state.indexes.extend(Index::of::<Owned>().map(|index| (Owned::TABLE, index)));
        let put = |state: &mut State, key: &str, owners: &[&str]| {
            let owned = Owned { key: key.to_owned(), owners: owners.iter().map(ToString::to_string).collect() };
            state.set(Owned::TABLE, &scope, key, Some(Arc::new(owned)))
        };
        let found = |state: &State, owner: &str| {
            state.owned_by::<Owned>(&scope, owner).map(|own| own.key.clone()).collect::<Vec<_>>()
        };
        put(&mut state, "2", &["a", "b"]);
        put(&mut state, "1", &["a"]);
        assert_eq!((found(&state, "a"), found(&state, "b")), (vec!["1".into(), "2".into()], vec!["2".to_owned()]));
        let old = put(&mut state, "2", &["c"]);
        assert_eq!(
            (found(&state, "a"), found(&state, "b"), found(&state, "c")),
            (vec!["1".into()], vec![], vec!["2".to_owned()])
        );
        state.set(Owned::TABLE, &scope, "2", old);
        assert_eq!(
            (found(&state, "b"), found(&state, "c")),
            (vec!["2".to_owned()], vec![]),
            "as where a transaction is undone"
        );
        state.set(Owned::TABLE, &scope, "1", None);
        assert_eq!(found(&state, "a"), ["2"]);
    }
}
