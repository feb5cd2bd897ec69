//! What the warden does for sandboxes.

use super::request::{Event, Reply, Usage};
use super::{Warden, lock};
use crate::error::{Act, Error, Result};
use crate::holder::protocol::Running;
use crate::sandbox::cgroup::Hierarchy;
use crate::sandbox::images::{self, Pending};
use crate::sandbox::{Spec, disk, machine, usage, volume};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use zonal_substrate::{Inventory, Lack, Sandbox, SandboxState, StopCause};

impl Warden {
    /// Starts a sandbox, its disk made if it has none. What may pass by itself is an error; what will not is an answer.
    pub(super) fn start(&self, mut sandbox: Sandbox) -> Result<Reply> {
        let cut = || Ok(Reply::Stopped(StopCause::ZoneCut));
        {
            let routers = lock(&self.routers);
            if !routers.is_interface(&sandbox.interface) {
                return Err(Error::Unknown { kind: "interface", id: sandbox.interface });
            }
            if routers.is_cut(&sandbox.zone) {
                return cut();
            }
        }
        let mut record = match self.disk(&sandbox) {
            Ok(record) => record,
            Err(error) => {
                let (lack, why) = (error.lack(), error.to_string());
                return Ok(Reply::Stopped(StopCause::NotStarted { lack, why }));
            }
        };
        let (id, generation) = (sandbox.id.clone(), sandbox.generation);
        if record.generation >= generation {
            // It has begun before: the world went down since, or this is asked again. User data has had its turn.
            sandbox.user_data.clear();
        }
        {
            // Disks take their time. From this look on no zone is cut before the holder has the sandbox, and kills it with the others.
            let mut routers = lock(&self.routers);
            if routers.is_cut(&sandbox.zone) {
                return cut();
            }
            let interface = sandbox.interface.clone();
            routers.set_silent(&interface, false)?;
            lock(&self.machines).insert(id.clone(), interface);
            let spec = Spec { sandbox, slot: record.slot, layers: record.layers.clone(), sized: record.sized };
            match lock(&self.holder).start(spec) {
                // The holder lives, and could not.
                Err(Error::Remote(why)) => {
                    return Ok(Reply::Stopped(StopCause::NotStarted { lack: Lack::Other, why }));
                }
                other => other?,
            }
        }
        if record.generation < generation {
            record.generation = generation;
            record.write(&self.config, &id)?;
        }
        Ok(Reply::Done)
    }

    /// Finds a sandbox's disk, or makes it.
    fn disk(&self, sandbox: &Sandbox) -> Result<disk::Record> {
        let id = &sandbox.id;
        let record = match disk::read(&self.config, id) {
            Some(record) => record,
            None => {
                let spare = self.spares.take(sandbox.disk_gib)?;
                let mut slots = lock(&self.disks);
                let made = match disk::read(&self.config, id) {
                    // Asked by two at once.
                    Some(record) => Ok(record),
                    None => disk::make(&self.config, sandbox, spare.as_deref(), &mut slots),
                };
                if let Some(spare) = &spare {
                    // What was made of it has another name now.
                    let _ = disk::remove(&self.config, spare);
                }
                if made.is_err() && disk::remove(&self.config, id).is_ok() {
                    slots.give_back(id);
                }
                made?
            }
        };
        if record.sized {
            volume::attach(&self.config, id)?;
        }
        Ok(record)
    }

    /// Kills a sandbox as a panic of its kernel would: what it had to say is not heard any more.
    pub(super) fn crash(&self, id: &str, generation: u64) -> Result<()> {
        let held = lock(&self.holder).list()?;
        let is_meant = held
            .get(id)
            .is_some_and(|(own, state)| *own == generation && !matches!(state, Some(SandboxState::Stopped(_))));
        let interface = lock(&self.machines).get(id).cloned().filter(|_| is_meant);
        if let Some(interface) = interface {
            lock(&self.routers).set_silent(&interface, true)?;
        }
        lock(&self.holder).crash(id, generation)
    }

    /// What follows for the network from what the holder says of a sandbox.
    pub(super) fn hear(&self, event: &Event) {
        let Some(interface) = lock(&self.machines).get(&event.id).cloned() else { return };
        let silent = matches!(event.state, SandboxState::Stopped(_));
        if let Err(error) = lock(&self.routers).set_silent(&interface, silent) {
            tracing::warn!(%error, "the interface of {} should be {}", event.id, if silent { "silent" } else { "heard" });
        }
    }

    /// Removes a sandbox with its disk, running or not.
    pub(super) fn remove(&self, id: &str) -> Result<()> {
        lock(&self.machines).remove(id);
        lock(&self.holder).stop(id, u64::MAX, true)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        // A killed sandbox is gone once its last process is; that takes milliseconds.
        while lock(&self.holder).forget(id).is_err() {
            if Instant::now() > deadline {
                return Err(Error::Refused(format!(
                    "{id} was killed, and has processes still after 10 s: one hangs in the kernel, `zonal doctor` and dmesg say more"
                )));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.hierarchy.remove(&self.config.cgroup(), id);
        machine::forget(&self.config, id);
        // Its ids are another's to have once its record is gone, which goes first.
        disk::remove(&self.config, id)?;
        let mut slots = lock(&self.disks);
        slots.give_back(id);
        images::sweep(&self.config)
    }

    /// Makes an image of a sandbox's disk: one more layer over those it stands on.
    pub(super) fn put_image(&self, id: &str, sandbox: &str) -> Result<()> {
        let record =
            disk::read(&self.config, sandbox).ok_or_else(|| Error::Unknown { kind: "disk", id: sandbox.to_owned() })?;
        let begun = {
            let _only = lock(&self.disks);
            images::begin(&self.config, id, &record)?
        };
        let Some(pending) = begun else { return Ok(()) };
        let made = pending.finish(&self.config, id, sandbox, &record);
        if made.is_err() {
            Pending::abandon(&self.config, id)?;
        }
        made?;
        // It may have been removed meanwhile.
        let _only = lock(&self.disks);
        images::sweep(&self.config)
    }

    /// Removes an image. What stands on it keeps its files.
    pub(super) fn remove_image(&self, id: &str) -> Result<()> {
        let _only = lock(&self.disks);
        images::remove(&self.config, id)
    }

    /// Cuts a zone off, or joins it again; its sandboxes stop dead.
    pub(super) fn set_zone(&self, zone: &str, cut: bool) -> Result<()> {
        let inside = {
            let mut routers = lock(&self.routers);
            routers.set_zone(zone, cut)?;
            routers.interfaces_in(zone)
        };
        if cut {
            lock(&self.holder).cut(&inside)?;
        }
        Ok(())
    }

    /// What exists.
    pub(super) fn inventory(&self) -> Result<Inventory> {
        let held = lock(&self.holder).list()?;
        let mut sandboxes = BTreeMap::new();
        for id in disk::all(&self.config) {
            if let Some(record) = disk::read(&self.config, &id) {
                let stopped = (record.generation, SandboxState::Stopped(StopCause::WorldEnded));
                sandboxes.insert(id, stopped);
            }
        }
        // One on its way up is no world's that ended.
        sandboxes
            .extend(held.into_iter().map(|(id, (start, state))| (id, (start, state.unwrap_or(SandboxState::Running)))));
        let routers = lock(&self.routers);
        let images = images::all(&self.config);
        Ok(Inventory { sandboxes, interfaces: routers.interfaces(), networks: routers.networks(), images })
    }

    /// What the running sandboxes have used so far.
    pub(super) fn figures(&self) -> Result<Vec<Usage>> {
        let specs = lock(&self.holder).running()?;
        let interfaces = specs.iter().map(|running| running.interface.as_str()).collect();
        let counters = lock(&self.routers).counters(&interfaces);
        let first: Vec<i32> = specs.iter().map(|running| running.pid).collect();
        let summed = if self.hierarchy == Hierarchy::Absent { usage::processor_time(&first) } else { BTreeMap::new() };
        let mut all = Vec::new();
        for Running { id, interface, vcpus, pid } in specs {
            if let Err(error) = machine::refresh(&self.config, &self.hierarchy, &id) {
                tracing::debug!(%error, "the memory of {id}");
            }
            let counted = self.hierarchy.cpu_used(&self.config.cgroup(), &id);
            let Some(cpu) = counted.or_else(|| summed.get(&pid).copied()) else { continue };
            let (bytes, packets) = counters.get(&interface).copied().unwrap_or_default();
            all.push(Usage { id, cpu, quota: f64::from(vcpus) * self.config.vcpu_share * 1e9, bytes, packets });
        }
        Ok(all)
    }

    /// The ports that are listened on behind an interface.
    pub(super) fn listening(&self, id: &str) -> Result<Vec<u16>> {
        let namespace = {
            let routers = lock(&self.routers);
            if routers.is_silent(id) {
                // Whoever asks goes by what was listened on before: nobody refuses there.
                return Err(Error::Refused(format!("the machine behind {id} is off")));
            }
            routers.open_namespace(id)?
        };
        namespace.inside(super::listening::ports)?.act("read sockets of", id)
    }
}
