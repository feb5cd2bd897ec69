//! Public names of a virtual world, answered on the host as the real world's are: so that `dig` works in both.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use zonal_dns::config::{Change, PUBLIC, Zone};
use zonal_dns::shell::ZoneStore;
use zonal_dns::table::{NameSets, ZoneTable, changes};
use zonal_substrate::{Ask, Inventory, World};

/// A world whose public zones are also put into a store that a DNS server answers from.
pub struct Named {
    world: Arc<dyn World>,
    /// The zones.
    pub zones: Arc<ZoneStore>,
    /// The zones as they were told last.
    told: Mutex<BTreeMap<String, ZoneTable>>,
    revision: AtomicU64,
}

impl Named {
    /// Names for `world`.
    pub fn new(world: Arc<dyn World>) -> Self {
        Self { world, zones: Arc::new(ZoneStore::new()), told: Mutex::default(), revision: AtomicU64::new(0) }
    }

    /// What is served already is changed name by name.
    fn put(&self, view: &str, zone: &Zone) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = told.get_mut(&zone.name)
            && let Some(names) = known.replace(zone.clone())
            && self.change(&changes(view, &zone.name, names).collect::<Vec<_>>())
        {
            return;
        }
        if self.change(&[Change::PutZone { view: view.to_owned(), zone: zone.clone() }]) {
            told.insert(zone.name.clone(), ZoneTable::new(zone.clone()));
        } else {
            told.remove(&zone.name);
        }
    }

    fn put_names(&self, view: &str, zone: &str, names: &NameSets) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = told.get_mut(zone) else { return };
        let news: Vec<Change> = changes(view, zone, known.put(names.clone())).collect();
        if !self.change(&news) {
            told.remove(zone);
        }
    }

    fn change(&self, changes: &[Change]) -> bool {
        let revision = self.revision.fetch_add(1, Ordering::AcqRel) + 1;
        let changed = self.zones.change(revision, changes);
        changed.inspect_err(|error| tracing::warn!("a zone is not served: {error}")).is_ok()
    }
}

impl World for Named {
    fn ask(&self, asks: Vec<Ask>) {
        for ask in &asks {
            match ask {
                Ask::PutZone { view, zone, .. } if view == PUBLIC => self.put(view, zone),
                Ask::PutNames { view, zone, names, .. } if view == PUBLIC => self.put_names(view, zone, names),
                Ask::RemoveZone { view, name, .. } if view == PUBLIC => {
                    self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
                    self.change(&[Change::RemoveZone { view: view.clone(), zone: name.clone() }]);
                }
                _ => {}
            }
        }
        self.world.ask(asks);
    }

    fn inventory(&self) -> Inventory {
        self.world.inventory()
    }

    fn console(&self, sandbox: &str) -> Vec<u8> {
        self.world.console(sandbox)
    }

    fn all_is_asked(&self) {
        self.world.all_is_asked();
    }

    fn names_answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        zonal_dns::ask::asked(&self.zones.snapshot(), query, self.revision.load(Ordering::Acquire))
    }

    fn describe(&self) -> &'static str {
        self.world.describe()
    }
}
