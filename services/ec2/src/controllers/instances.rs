//! Instances: started, stopped and removed as their state says.

use crate::model::{
    Failure, Instance, InstanceState, Interface, InterfacePhase, SecurityGroup, Status, Subnet, Volume, Vpc, ZoneOutage,
};
use crate::operations::{images, instances as operations, interfaces, run, subnets};
use crate::reports;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_metadata::config::InstanceMetadata;
use zonal_substrate::{Ask, DiskSource, Lack, Sandbox};
use zonal_wire::AwsError;

/// Instances.
pub(super) struct Instances;

impl Controller for Instances {
    fn name(&self) -> &'static str {
        "ec2.instances"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Instance>() {
            wake(&change.scope, &change.key);
        } else if change.is::<Interface>() {
            let behind =
                view.get::<Interface>(&change.key).and_then(|interface| interfaces::instance_of(view, interface));
            behind.into_iter().for_each(|instance| wake(&change.scope, &instance.id));
        } else if change.is::<ZoneOutage>() {
            let failed = |instance: &Instance| instance.zone == change.key && instance.failure.is_some();
            let all = view.everywhere::<Instance>().filter(|(_, instance)| failed(instance));
            all.for_each(|(scope, instance)| wake(scope, &instance.id));
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<Instance>().for_each(|(scope, instance)| wake(scope, &instance.id));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(instance) = tx.get::<Instance>(key).cloned() else { return Ok(Wake::OnChange) };
        match instance.state {
            InstanceState::Pending | InstanceState::Running => {
                if let Some(failure) = instance.failure {
                    return Ok(look_after(tx, &instance, &failure));
                }
                start(tx, &instance);
                if let (InstanceState::Pending, Some(trouble)) = (instance.state, instance.trouble.clone()) {
                    if tx.now < trouble.given_up_at() {
                        return Ok(Wake::At(trouble.given_up_at()));
                    }
                    reports::not_started(tx, instance, Lack::Other, &trouble.why);
                }
            }
            InstanceState::Stopping => {
                let (generation, force) = (instance.generation, instance.stop_forced);
                tx.ask(Ask::StopSandbox { id: instance.id, generation, force });
            }
            // A start that failed, or a machine that powered itself off, is not to be started once more by a world that comes up again.
            InstanceState::Stopped => {
                tx.ask(Ask::StopSandbox {
                    id: instance.id,
                    generation: instance.generation,
                    force: instance.stop_forced,
                });
            }
            InstanceState::ShuttingDown => tx.ask(Ask::RemoveSandbox(instance.id)),
            InstanceState::Terminated => {
                let Some(at) = operations::forgotten_at(&instance) else { return Ok(Wake::OnChange) };
                if tx.now < at {
                    return Ok(Wake::At(at));
                }
                tx.remove::<Instance>(key);
            }
        }
        Ok(Wake::OnChange)
    }
}

/// A machine that died. Where its zone was cut off and is whole again it boots by itself, as AWS recovers instances whose system
/// failed. Where its own operating system died it is left dead: on AWS, too, somebody has to reboot it, or stop and start it.
fn look_after(tx: &mut Tx<'_>, instance: &Instance, failure: &Failure) -> Wake {
    let system = failure.status == Status::SystemImpaired;
    if system && tx.find::<ZoneOutage>(&instance.zone).is_none() {
        // The checks fail until it runs.
        tx.update::<Instance, _>(&instance.id, |instance| {
            instance.generation += 1;
            instance.failure = None;
        });
        return Wake::OnChange;
    }
    let found = instance.found_at(failure);
    if tx.now < found {
        return Wake::At(found);
    }
    if instance.status != failure.status {
        tx.update::<Instance, _>(&instance.id, |instance| instance.status = failure.status);
    }
    Wake::OnChange
}

/// Asks for what an instance is made of, once its interface is there.
fn start(tx: &mut Tx<'_>, instance: &Instance) {
    let view = tx.view();
    let Some(interface) = view.get::<Interface>(&instance.interface) else { return };
    let document = Box::new(document(&view, instance, interface));
    let metadata = Ask::PutMetadata { interface: interface.id.clone(), document };
    let ready = interface.phase == InterfacePhase::Ready;
    let sandbox = ready.then(|| Ask::StartSandbox(Box::new(sandbox(&view, instance, interface))));
    tx.ask(metadata);
    if let Some(sandbox) = sandbox {
        tx.ask(sandbox);
    }
}

fn user_data(instance: &Instance) -> Vec<u8> {
    // It was decoded once when it was given.
    instance.user_data.as_ref().and_then(|data| STANDARD.decode(data).ok()).unwrap_or_default()
}

fn sandbox(view: &View<'_>, instance: &Instance, interface: &Interface) -> Sandbox {
    let kind = run::type_of(instance);
    Sandbox {
        id: instance.id.clone(),
        generation: instance.generation,
        interface: interface.id.clone(),
        zone: instance.zone.clone(),
        hostname: interfaces::private_name(view, interface.primary()),
        disk: match images::public_kind(view, &instance.image) {
            Some(_) => DiskSource::Base,
            None => DiskSource::Image(instance.image.clone()),
        },
        disk_gib: view.get::<Volume>(&instance.volume).and_then(|volume| u32::try_from(volume.size).ok()).unwrap_or(8),
        vcpus: kind.map_or(1, |kind| kind.vcpus),
        memory_mib: kind.map_or(1024, |kind| kind.memory_mib),
        user_data: user_data(instance),
        authorized_keys: instance.public_key.iter().cloned().collect(),
        image_kind: images::public_kind(view, &instance.image).unwrap_or("custom").to_owned(),
    }
}

fn document(view: &View<'_>, instance: &Instance, interface: &Interface) -> InstanceMetadata {
    let public = interface.public.as_ref().map(|public| public.ip);
    let named =
        |id: &String| (id.clone(), view.get::<SecurityGroup>(id).map(|group| group.name.clone()).unwrap_or_default());
    InstanceMetadata {
        account_id: view.scope.account.to_string(),
        instance_id: instance.id.clone(),
        instance_type: instance.instance_type.clone(),
        ami_id: instance.image.clone(),
        root_device: instance.root_device.clone(),
        ami_launch_index: u32::try_from(instance.launch_index).unwrap_or_default(),
        reservation_id: instance.reservation.clone(),
        region: view.scope.region.to_string(),
        availability_zone: instance.zone.clone(),
        availability_zone_id: subnets::zone_id(&instance.zone),
        architecture: run::type_of(instance).map_or("x86_64", |kind| kind.architecture).to_owned(),
        pending_time: instance.launched.iso8601(),
        local_hostname: interfaces::private_name(view, interface.primary()),
        public_hostname: public.and_then(|ip| interfaces::public_name(view, &instance.vpc, ip)),
        local_ipv4: interface.primary(),
        public_ipv4: public,
        interface_id: interface.id.clone(),
        mac: interface.mac.clone(),
        subnet_id: instance.subnet.clone(),
        subnet_cidr: view.get::<Subnet>(&instance.subnet).map(|subnet| subnet.cidr.to_string()).unwrap_or_default(),
        vpc_id: instance.vpc.clone(),
        vpc_cidr: view.get::<Vpc>(&instance.vpc).map(|vpc| vpc.cidr.to_string()).unwrap_or_default(),
        security_groups: interface.groups.iter().map(named).collect(),
        services_domain: "amazonaws.com".to_owned(),
        public_key: instance.key_name.clone().zip(instance.public_key.clone()),
        instance_profile: instance
            .profile
            .as_ref()
            .map(|arn| (arn.clone(), format!("AIPA{}", images::stable_hex(arn).to_uppercase()))),
        user_data: instance.user_data.as_ref().map(|_| user_data(instance)),
        tags: instance.metadata.tags.then(|| instance.tags.clone()),
        enabled: instance.metadata.enabled,
        token_required: instance.metadata.token_required,
        hop_limit: u8::try_from(instance.metadata.hop_limit).unwrap_or(1),
    }
}
