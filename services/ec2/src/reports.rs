//! What follows from the world's reports.

use crate::metrics;
use crate::model::{
    Failure, Image, ImageState, Instance, InstanceState, Interface, InterfacePhase, StateReason, Status, Trouble,
    Volume, Vpc,
};
use crate::operations::{attachments, interfaces, run, snapshots};
use zonal_cloud::{Record, Tx, View};
use zonal_substrate::{Ask, Inventory, Lack, Report, SandboxState, StopCause};

pub(crate) fn take_in(tx: &mut Tx<'_>, report: &Report) {
    match report {
        Report::InterfaceReady { id, generation } => on::<Interface>(tx, id, |tx, interface| {
            // What is said of an earlier place of its own is no longer true.
            if interface.phase == InterfacePhase::Pending && interface.generation == *generation {
                tx.put(Interface { phase: InterfacePhase::Ready, ..interface });
            }
        }),
        Report::InterfaceRemoved(id) => on::<Interface>(tx, id, |tx, interface| {
            if interface.phase == InterfacePhase::Deleting {
                tx.remove::<Interface>(&interface.id);
            }
        }),
        Report::NetworkRemoved(id) => on::<Vpc>(tx, id, |tx, vpc| {
            if vpc.deleting {
                tx.remove::<Vpc>(&vpc.id);
            }
        }),
        Report::Sandbox { id, generation, state } => on::<Instance>(tx, id, |tx, instance| {
            // What is said of an earlier start is no longer true.
            if instance.generation == *generation {
                sandbox(tx, instance, state);
            }
        }),
        Report::SandboxRemoved(id) => on::<Instance>(tx, id, removed),
        Report::ImageReady(id) => on::<Image>(tx, id, |tx, image| {
            snapshots::complete(tx, &image.snapshot);
            tx.put(Image { state: ImageState::Available, ..image });
        }),
        Report::SandboxFigures { minute, figures } => metrics::publish(tx, *minute, figures),
        Report::Failed { id, reason } => troubled(tx, id, reason),
        Report::TargetHealth(_)
        | Report::BalancerMetrics { .. }
        | Report::Probed { .. }
        | Report::ZoneServed { .. }
        | Report::LookedUp { .. }
        | Report::CertificateIssued { .. } => {}
    }
}

/// Does something with the record of that key, in its own account and region.
fn on<T: Record>(tx: &mut Tx<'_>, key: &str, act: impl FnOnce(&mut Tx<'_>, T)) {
    if let Some((scope, record)) = tx.find::<T>(key).map(|(scope, record)| (scope.clone(), record.clone())) {
        tx.within(&scope, |tx| act(tx, record));
    }
}

fn sandbox(tx: &mut Tx<'_>, instance: Instance, state: &SandboxState) {
    match (state, instance.state) {
        // One that runs may have gone further before anybody listened, while we were dead, say: a world tells its last state only.
        (SandboxState::Running | SandboxState::UserDataDone { .. }, InstanceState::Pending) => {
            tx.put(Instance {
                state: InstanceState::Running,
                status: Status::Ok,
                failure: None,
                trouble: None,
                ..instance
            });
        }
        // A report of what runs already, after a restart of ours, is no recovery: a dead machine does not report.
        (SandboxState::Running, InstanceState::Running) => {
            tx.put(Instance { status: Status::Ok, failure: None, trouble: None, ..instance });
        }
        (SandboxState::Stopped(_), InstanceState::Stopping) => stopped(tx, instance),
        (SandboxState::Stopped(StopCause::Itself), InstanceState::Running | InstanceState::Pending) => {
            let reason = Some(StateReason::new("Client.InstanceInitiatedShutdown", "Instance initiated shutdown"));
            if instance.terminate_on_shutdown {
                tx.put(Instance { state: InstanceState::ShuttingDown, reason, ..instance });
            } else {
                stopped(tx, Instance { reason, ..instance });
            }
        }
        (SandboxState::Stopped(StopCause::WorldEnded), InstanceState::Running) => boots(tx, instance),
        (SandboxState::Stopped(StopCause::Died(_)), InstanceState::Running) => {
            fails(tx, instance, Status::InstanceImpaired);
        }
        (SandboxState::Stopped(StopCause::ZoneCut), InstanceState::Running) => {
            fails(tx, instance, Status::SystemImpaired);
        }
        (SandboxState::Stopped(StopCause::ZoneCut), InstanceState::Pending) => {
            not_started(tx, instance, Lack::Other, "its zone is cut off");
        }
        (SandboxState::Stopped(StopCause::Died(why)), InstanceState::Pending) => {
            not_started(tx, instance, Lack::Other, why);
        }
        (SandboxState::Stopped(StopCause::NotStarted { lack, why }), InstanceState::Pending) => {
            not_started(tx, instance, *lack, why);
        }
        _ => {}
    }
}

/// Its machine is dead, which its status checks will find.
fn fails(tx: &mut Tx<'_>, instance: Instance, status: Status) {
    let failure = Some(Failure { since: tx.now, status });
    tx.put(Instance { failure, ..instance });
}

/// A start that failed for good. Nothing is lost with a first one; a later one goes back to where it came from: its disk is the user's.
pub(crate) fn not_started(tx: &mut Tx<'_>, instance: Instance, lack: Lack, why: &str) {
    tracing::warn!("{} did not start: {why}", instance.id);
    let instance = Instance { reason: Some(StateReason::not_started(lack, why)), trouble: None, ..instance };
    if instance.generation == 1 {
        tx.put(Instance { state: InstanceState::ShuttingDown, ..instance });
    } else {
        stopped(tx, instance);
    }
}

/// What an instance, or its interface, was asked to be and could not: it is tried again, and seen meanwhile.
fn troubled(tx: &mut Tx<'_>, id: &str, why: &str) {
    let behind = |tx: &Tx<'_>| {
        let (_, interface) = tx.find::<Interface>(id)?;
        interface.attachment.as_ref()?.instance.clone()
    };
    let instance = behind(tx).unwrap_or_else(|| id.to_owned());
    on::<Instance>(tx, &instance, |tx, instance| {
        if instance.state == InstanceState::Pending {
            let since = instance.trouble.as_ref().map_or(tx.now, |trouble| trouble.since);
            tx.put(Instance { trouble: Some(Trouble { since, why: why.to_owned() }), ..instance });
        }
    });
}

fn stopped(tx: &mut Tx<'_>, instance: Instance) {
    run::drop_launch_address(tx, &instance.interface);
    tx.put(Instance { state: InstanceState::Stopped, status: Status::Ok, failure: None, trouble: None, ..instance });
}

/// A sandbox and its disk are gone: what belongs to the instance goes with it.
fn removed(tx: &mut Tx<'_>, instance: Instance) {
    if instance.state != InstanceState::ShuttingDown {
        return;
    }
    let goes = |interface: &Interface| {
        interface.attachment.as_ref().is_some_and(|attachment| attachment.delete_on_termination)
    };
    if tx.get::<Interface>(&instance.interface).is_some_and(goes) {
        interfaces::begin_delete(tx, &instance.interface);
    } else {
        run::drop_launch_address(tx, &instance.interface);
        tx.update::<Interface, _>(&instance.interface, |interface| interface.attachment = None);
    }
    attachments::release_all(tx, &instance);
    if tx.get::<Volume>(&instance.volume).is_some_and(|volume| volume.delete_on_termination) {
        tx.remove::<Volume>(&instance.volume);
    }
    let terminated = Some(tx.now);
    tx.put(Instance { state: InstanceState::Terminated, terminated, more_interfaces: Vec::new(), ..instance });
}

/// The world ended under a running instance: it boots again from its disk, and runs once the world says so. It is a start of its own,
/// so that nothing that is still said of the last one is taken for this one's. A machine that was dead before stays so.
fn boots(tx: &mut Tx<'_>, instance: Instance) {
    if instance.failure.is_none() {
        tx.put(Instance { state: InstanceState::Pending, generation: instance.generation + 1, ..instance });
    }
}

/// After a start: has boot again what ran when the world ended.
pub(crate) fn boot_again(tx: &mut Tx<'_>, inventory: &Inventory) {
    let ended = |instance: &Instance| {
        let stands = inventory.sandboxes.get(&instance.id);
        instance.state == InstanceState::Running
            && stands.is_none_or(|(_, state)| *state == SandboxState::Stopped(StopCause::WorldEnded))
    };
    let all: Vec<_> = tx
        .view()
        .everywhere::<Instance>()
        .filter(|(_, instance)| ended(instance))
        .map(|(scope, instance)| (scope.clone(), instance.clone()))
        .collect();
    for (scope, instance) in all {
        tx.within(&scope, |tx| boots(tx, instance));
    }
}

/// What the world has that no record speaks of.
pub(crate) fn strangers(view: &View<'_>, inventory: &Inventory) -> Vec<Ask> {
    let mut asks = Vec::new();
    for id in inventory.sandboxes.keys() {
        let known = view.find::<Instance>(id).is_some_and(|(_, instance)| instance.state != InstanceState::Terminated);
        if !known {
            asks.push(Ask::RemoveSandbox(id.clone()));
        }
    }
    let gone = |id: &&String| view.find::<Interface>(id).is_none();
    asks.extend(inventory.interfaces.iter().filter(gone).cloned().map(Ask::RemoveInterface));
    asks.extend(inventory.networks.iter().filter(|id| view.find::<Vpc>(id).is_none()).cloned().map(Ask::RemoveNetwork));
    asks.extend(inventory.images.iter().filter(|id| view.find::<Image>(id).is_none()).cloned().map(Ask::RemoveImage));
    asks
}
