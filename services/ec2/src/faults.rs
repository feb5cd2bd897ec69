//! What is broken on purpose, beside AWS's interface: `zonal break`.

use crate::errors::Error;
use crate::model::{Instance, InstanceState, ZoneOutage};
use zonal_cloud::{DEFAULT_ACCOUNT, Scope, Tx};
use zonal_substrate::Ask;
use zonal_wire::{AwsError, Time};

/// Kills an instance's machine: nothing in it goes on, and nobody starts it again but who asks for it. Its state stays `running`
/// and its status checks fail, as when a machine's kernel panics.
///
/// # Errors
/// There is no such instance, or it does not run.
pub fn crash_instance(tx: &mut Tx<'_>, id: &str) -> Result<(), AwsError> {
    let Some((_, instance)) = tx.find::<Instance>(id) else {
        return Err(Error::not_found("InvalidInstanceID.NotFound", "instance", id).into());
    };
    if instance.state != InstanceState::Running {
        let text = format!("The instance '{id}' is {}; only a running one can be broken.", instance.state.name());
        return Err(Error::Coded("IncorrectInstanceState", text).into());
    }
    let generation = instance.generation;
    tx.ask(Ask::CrashSandbox { id: id.to_owned(), generation });
    Ok(())
}

/// Cuts an Availability Zone off, or mends it. While it is cut, nothing can be launched or started there. An outage strikes everyone
/// in the zone, so that it is recorded in one place, whoever makes it. Instances that it killed boot again when it is over.
pub fn set_zone(tx: &mut Tx<'_>, zone: &str, cut: bool, until: Option<Time>) {
    let place = Scope::new(DEFAULT_ACCOUNT, Scope::GLOBAL);
    // The world hears of it before it is asked to start anything there again.
    tx.ask(Ask::SetZone { zone: zone.to_owned(), cut });
    tx.within(&place, |tx| {
        if cut {
            tx.put(ZoneOutage { zone: zone.to_owned(), until });
        } else {
            tx.remove::<ZoneOutage>(zone);
        }
    });
}
