//! Outages of Availability Zones: made, and mended when their time is over.

use crate::model::ZoneOutage;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_substrate::Ask;
use zonal_wire::AwsError;

/// Outages.
pub(super) struct Zones;

impl Controller for Zones {
    fn name(&self) -> &'static str {
        "ec2.zones"
    }

    fn wakes_on(&self, change: &Change, _: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<ZoneOutage>() {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<ZoneOutage>().for_each(|(scope, outage)| wake(scope, &outage.zone));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let outage = tx.get::<ZoneOutage>(key).cloned();
        let zone = key.to_owned();
        match outage.map(|outage| outage.until) {
            None => tx.ask(Ask::SetZone { zone, cut: false }),
            Some(Some(until)) if until <= tx.now => {
                tx.remove::<ZoneOutage>(key);
                tx.ask(Ask::SetZone { zone, cut: false });
            }
            Some(until) => {
                tx.ask(Ask::SetZone { zone, cut: true });
                return Ok(until.map_or(Wake::OnChange, Wake::At));
            }
        }
        Ok(Wake::OnChange)
    }
}
