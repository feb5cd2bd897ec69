//! Public names of a virtual world, answered on the host as the real world's are: so that `dig` works in both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zonal_dns::config::{Change, PUBLIC};
use zonal_dns::shell::ZoneStore;
use zonal_substrate::{Ask, Inventory, World};

/// A world whose public zones are also put into a store that a DNS server answers from.
pub struct Named {
    world: Arc<dyn World>,
    /// The zones.
    pub zones: Arc<ZoneStore>,
    revision: AtomicU64,
}

impl Named {
    /// Names for `world`.
    pub fn new(world: Arc<dyn World>) -> Self {
        Self { world, zones: Arc::new(ZoneStore::new()), revision: AtomicU64::new(0) }
    }

    fn change(&self, change: Change) {
        let revision = self.revision.fetch_add(1, Ordering::AcqRel) + 1;
        if let Err(error) = self.zones.change(revision, &[change]) {
            tracing::warn!("a zone is not served: {error}");
        }
    }
}

impl World for Named {
    fn ask(&self, asks: Vec<Ask>) {
        for ask in &asks {
            match ask {
                Ask::PutZone { view, zone } if view == PUBLIC => {
                    self.change(Change::PutZone { view: view.clone(), zone: (**zone).clone() });
                }
                Ask::RemoveZone { view, name } if view == PUBLIC => {
                    self.change(Change::RemoveZone { view: view.clone(), zone: name.clone() });
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

    fn describe(&self) -> &'static str {
        self.world.describe()
    }
}
