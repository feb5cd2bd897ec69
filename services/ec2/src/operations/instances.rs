//! Instances: describing, stopping, starting, rebooting, terminating.

use super::{Answer, Selection, at_least_five, filters, json, one, tag_list, text};
use crate::errors::Error;
use crate::model::{Instance, InstanceState, Interface, InterfacePhase, StateReason, Status, Volume};
use crate::operations::{interfaces, run};
use crate::shapes::{self, *};
use std::collections::BTreeMap;
use zonal_cloud::{Caller, Rest, Tx, View};
use zonal_wire::Time;

/// The words in "does not exist".
pub(crate) const UNKNOWN: (&str, &str) = ("InvalidInstanceID.NotFound", "instance");

/// Refuses what is no instance's id.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    Error::check_form(id, "i-", "InvalidInstanceID.Malformed")
}

pub(crate) fn instance<'a>(view: &View<'a>, id: &str) -> Result<&'a Instance, Error> {
    check_id(id)?;
    view.get::<Instance>(id).ok_or_else(|| Error::not_found(UNKNOWN.0, UNKNOWN.1, id))
}

/// All that a call names, or the error that names all that are missing or malformed.
pub(crate) fn all(tx: &Tx<'_>, ids: &[String]) -> Result<Vec<Instance>, Error> {
    ids.iter().try_for_each(|id| check_id(id))?;
    let missing: Vec<String> = ids.iter().filter(|id| tx.get::<Instance>(id).is_none()).cloned().collect();
    if !missing.is_empty() {
        return Err(Error::NotFound(UNKNOWN.0, UNKNOWN.1, missing));
    }
    Ok(ids.iter().filter_map(|id| tx.get::<Instance>(id).cloned()).collect())
}

fn filter_values(view: &View<'_>, instance: &Instance, name: &str) -> Option<Vec<String>> {
    if !instance.more_interfaces.is_empty() && name.starts_with("network-interface.") {
        // All of them count.
        return None;
    }
    let interface = view.get::<Interface>(&instance.interface);
    let optional = |value: Option<String>| Some(value.into_iter().collect());
    match name {
        "instance-id" => one(&instance.id),
        "instance-state-name" => one(instance.state.name()),
        "instance-state-code" => one(instance.state.code()),
        "instance-type" => one(&instance.instance_type),
        "image-id" => one(&instance.image),
        "key-name" => optional(instance.key_name.clone()),
        "availability-zone" | "placement.availability-zone" => one(&instance.zone),
        "availability-zone-id" => one(super::subnets::zone_id(&instance.zone)),
        "vpc-id" | "network-interface.vpc-id" => one(&instance.vpc),
        "subnet-id" | "network-interface.subnet-id" => one(&instance.subnet),
        "reservation-id" => one(&instance.reservation),
        "client-token" => one(&instance.client_token),
        "owner-id" => one(&view.scope.account),
        "architecture" => optional(run::type_of(instance).map(|t| t.architecture.to_owned())),
        "root-device-name" => one(&instance.root_device),
        "root-device-type" => one("ebs"),
        "virtualization-type" => one("hvm"),
        "hypervisor" => one("xen"),
        "tenancy" => one("default"),
        "monitoring-state" => one(if instance.monitoring { "enabled" } else { "disabled" }),
        "launch-time" => one(instance.launched.iso8601_millis()),
        "private-ip-address" | "network-interface.addresses.private-ip-address" => {
            optional(interface.map(|interface| interface.primary().to_string()))
        }
        "private-dns-name" => optional(interface.map(|i| interfaces::private_name(view, i.primary()))),
        "ip-address" | "network-interface.addresses.association.public-ip" => {
            optional(interface.and_then(|i| i.public.as_ref()).map(|public| public.ip.to_string()))
        }
        "dns-name" => optional(interface.and_then(|i| interfaces::public_name(view, &i.vpc, i.public.as_ref()?.ip))),
        "instance.group-id" | "network-interface.group-id" => {
            Some(interface.map(|i| i.groups.clone()).unwrap_or_default())
        }
        "instance.group-name" => {
            let groups = interface.map(|i| interfaces::group_identifiers(view, &i.groups)).unwrap_or_default();
            Some(groups.into_iter().filter_map(|group| group.group_name).collect())
        }
        "network-interface.network-interface-id" => one(&instance.interface),
        "iam-instance-profile.arn" => optional(instance.profile.clone()),
        "block-device-mapping.volume-id" => one(&instance.volume),
        "instance-lifecycle" => Some(Vec::new()),
        _ => None,
    }
}

pub fn describe(view: &View<'_>, input: &DescribeInstancesRequest) -> Answer<DescribeInstancesResult> {
    input.instance_ids.iter().try_for_each(|id| check_id(id))?;
    at_least_five(input.max_results, &input.instance_ids, "instancesSet")?;
    let selection = Selection {
        ids: &input.instance_ids,
        filters: &input.filters,
        names: filters::INSTANCES,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: UNKNOWN,
    };
    let (found, next_token) = selection.of(
        view.among::<Instance>(&input.instance_ids),
        |instance| &instance.id,
        |instance| &instance.tags,
        |instance, name| filter_values(view, instance, name),
        |instance| json(&shape(view, instance)),
    )?;
    let mut reservations: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for instance in found {
        reservations.entry(&instance.reservation).or_default().push(instance);
    }
    let reservations = reservations.into_iter().map(|(id, mut instances)| {
        instances.sort_by_key(|instance| instance.launch_index);
        Reservation {
            reservation_id: text(id),
            owner_id: text(&*view.scope.account),
            instances: instances.into_iter().map(|instance| shape(view, instance)).collect(),
            ..Default::default()
        }
    });
    Ok(DescribeInstancesResult { reservations: reservations.collect(), next_token, ..Default::default() })
}

/// Whether an instance that the request names is in transition. A terminated one is until its interface is gone, too: who has seen
/// it `terminated` deletes its group and its subnet next.
pub fn unsettled(view: &View<'_>, input: &DescribeInstancesRequest) -> bool {
    let leaving = |instance: &Instance| {
        let interface = view.get::<Interface>(&instance.interface);
        interface.is_some_and(|interface| interface.phase == InterfacePhase::Deleting)
    };
    let mut named = input.instance_ids.iter().filter_map(|id| view.get::<Instance>(id));
    named.any(|instance| instance.state.in_transition() || leaving(instance))
}

/// No service of AWS's operates it in its user's place.
pub(crate) fn nobody() -> OperatorResponse {
    OperatorResponse { managed: Some(false), ..Default::default() }
}

pub(crate) fn state_shape(state: InstanceState) -> shapes::InstanceState {
    shapes::InstanceState { code: Some(state.code()), name: state.name().parse().ok(), ..Default::default() }
}

/// An instance as `DescribeInstances` shows it.
pub(crate) fn shape(view: &View<'_>, instance: &Instance) -> shapes::Instance {
    let interface = view.get::<Interface>(&instance.interface).filter(|_| instance.state != InstanceState::Terminated);
    let kind = run::type_of(instance);
    let network = interface.map(|interface| interface_shape(view, interface));
    // Its own addresses, names and groups are its interface's.
    let own = network.as_ref();
    let association = own.and_then(|own| own.association.as_ref());
    let more = instance.more_interfaces.iter().filter_map(|id| view.get::<Interface>(id));
    let volume = view.get::<Volume>(&instance.volume);
    shapes::Instance {
        instance_id: text(&instance.id),
        image_id: text(&instance.image),
        instance_type: text(&instance.instance_type),
        state: Some(state_shape(instance.state)),
        state_reason: state_reason(instance),
        state_transition_reason: text(transition_reason(instance)),
        launch_time: Some(instance.launched),
        key_name: instance.key_name.clone(),
        ami_launch_index: Some(instance.launch_index),
        architecture: kind.and_then(|kind| kind.architecture.parse().ok()),
        cpu_options: kind.map(|kind| CpuOptions {
            core_count: i32::try_from(kind.vcpus / kind.threads_per_core()).ok(),
            threads_per_core: i32::try_from(kind.threads_per_core()).ok(),
            ..Default::default()
        }),
        placement: Some(Placement {
            availability_zone: text(&instance.zone),
            availability_zone_id: text(super::subnets::zone_id(&instance.zone)),
            group_name: text(""),
            tenancy: Some(Tenancy::Default),
            ..Default::default()
        }),
        monitoring: Some(Monitoring {
            state: Some(if instance.monitoring { MonitoringState::Enabled } else { MonitoringState::Disabled }),
            ..Default::default()
        }),
        vpc_id: own.and_then(|own| own.vpc_id.clone()),
        subnet_id: own.and_then(|own| own.subnet_id.clone()),
        private_ip_address: own.and_then(|own| own.private_ip_address.clone()),
        private_dns_name: Some(own.and_then(|own| own.private_dns_name.clone()).unwrap_or_default()),
        public_ip_address: association.and_then(|public| public.public_ip.clone()),
        public_dns_name: Some(association.and_then(|public| public.public_dns_name.clone()).unwrap_or_default()),
        security_groups: own.map(|own| own.groups.clone()).unwrap_or_default(),
        source_dest_check: own.and_then(|own| own.source_dest_check),
        network_interfaces: network.into_iter().chain(more.map(|interface| interface_shape(view, interface))).collect(),
        root_device_name: text(&instance.root_device),
        root_device_type: Some(DeviceType::Ebs),
        block_device_mappings: volume.iter().map(|volume| volume_shape(instance, volume)).collect(),
        virtualization_type: Some(VirtualizationType::Hvm),
        hypervisor: Some(HypervisorType::Xen),
        ena_support: Some(true),
        ebs_optimized: Some(instance.ebs_optimized),
        client_token: text(&instance.client_token),
        iam_instance_profile: instance.profile.as_deref().map(super::profiles::profile),
        metadata_options: Some(metadata_shape(instance)),
        network_performance_options: Some(InstanceNetworkPerformanceOptions {
            bandwidth_weighting: Some(InstanceBandwidthWeighting::Default),
            ..Default::default()
        }),
        operator: Some(nobody()),
        platform_details: text("Linux/UNIX"),
        usage_operation: text("RunInstances"),
        usage_operation_update_time: Some(instance.launched),
        capacity_reservation_specification: Some(CapacityReservationSpecificationResponse {
            capacity_reservation_preference: Some(CapacityReservationPreference::Open),
            ..Default::default()
        }),
        hibernation_options: Some(HibernationOptions { configured: Some(false), ..Default::default() }),
        enclave_options: Some(EnclaveOptions { enabled: Some(false), ..Default::default() }),
        maintenance_options: Some(InstanceMaintenanceOptions {
            auto_recovery: Some(InstanceAutoRecoveryState::Default),
            ..Default::default()
        }),
        private_dns_name_options: Some(PrivateDnsNameOptionsResponse {
            hostname_type: Some(HostnameType::IpName),
            enable_resource_name_dns_a_record: Some(false),
            enable_resource_name_dns_aaaa_record: Some(false),
            ..Default::default()
        }),
        tags: tag_list(&instance.tags),
        ..Default::default()
    }
}

/// An instance as the call that starts it shows it: settings are about to be applied, the interface to be attached, and no public
/// address is there yet. Source: the example of run-instances in the AWS CLI reference.
pub(crate) fn started(view: &View<'_>, instance: &Instance) -> shapes::Instance {
    let mut shape = shape(view, instance);
    shape.public_ip_address = None;
    shape.public_dns_name = text("");
    shape.block_device_mappings.clear();
    if let Some(options) = &mut shape.metadata_options {
        options.state = Some(InstanceMetadataOptionsState::Pending);
    }
    for interface in &mut shape.network_interfaces {
        interface.association = None;
        for address in &mut interface.private_ip_addresses {
            address.association = None;
        }
        if let Some(attachment) = &mut interface.attachment {
            attachment.status = Some(AttachmentStatus::Attaching);
        }
    }
    shape
}

/// Why an instance is in its state; one that starts gives that as its reason.
fn state_reason(instance: &Instance) -> Option<shapes::StateReason> {
    let (code, message) = match (&instance.reason, instance.state) {
        (Some(reason), _) => (reason.code.as_str(), reason.message.as_str()),
        (None, InstanceState::Pending) => ("pending", "pending"),
        (None, _) => return None,
    };
    Some(shapes::StateReason { code: text(code), message: text(message), ..Default::default() })
}

/// `User initiated (2026-11-24 16:00:00 GMT)` where a user ended the last state; the code of a start that failed.
fn transition_reason(instance: &Instance) -> String {
    let asked = instance.reason.as_ref().and_then(|reason| reason.by_user);
    let text = |at: Time| format!("User initiated ({})", at.iso8601().replace('T', " ").replace('Z', " GMT"));
    let failed = instance.reason.as_ref().filter(|reason| reason.is_failure()).map(|reason| reason.code.clone());
    asked.map(text).or(failed).unwrap_or_default()
}

pub(crate) fn metadata_shape(instance: &Instance) -> InstanceMetadataOptionsResponse {
    let options = &instance.metadata;
    InstanceMetadataOptionsResponse {
        state: Some(InstanceMetadataOptionsState::Applied),
        http_tokens: Some(if options.token_required { HttpTokensState::Required } else { HttpTokensState::Optional }),
        http_put_response_hop_limit: Some(options.hop_limit),
        http_endpoint: Some(if options.enabled {
            InstanceMetadataEndpointState::Enabled
        } else {
            InstanceMetadataEndpointState::Disabled
        }),
        http_protocol_ipv6: Some(InstanceMetadataProtocolState::Disabled),
        instance_metadata_tags: Some(if options.tags {
            InstanceMetadataTagsState::Enabled
        } else {
            InstanceMetadataTagsState::Disabled
        }),
        ..Default::default()
    }
}

fn volume_shape(instance: &Instance, volume: &Volume) -> InstanceBlockDeviceMapping {
    InstanceBlockDeviceMapping {
        device_name: text(&instance.root_device),
        ebs: Some(EbsInstanceBlockDevice {
            volume_id: text(&volume.id),
            status: Some(AttachmentStatus::Attached),
            attach_time: Some(volume.created),
            delete_on_termination: Some(volume.delete_on_termination),
            operator: Some(nobody()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn interface_shape(view: &View<'_>, interface: &Interface) -> InstanceNetworkInterface {
    let full = interfaces::shape(view, interface);
    let association = |own: NetworkInterfaceAssociation| InstanceNetworkInterfaceAssociation {
        ip_owner_id: own.ip_owner_id,
        public_dns_name: own.public_dns_name,
        public_ip: own.public_ip,
        ..Default::default()
    };
    let address = |own: NetworkInterfacePrivateIpAddress| InstancePrivateIpAddress {
        association: own.association.map(association),
        primary: own.primary,
        private_dns_name: own.private_dns_name,
        private_ip_address: own.private_ip_address,
        ..Default::default()
    };
    InstanceNetworkInterface {
        network_interface_id: full.network_interface_id,
        subnet_id: full.subnet_id,
        vpc_id: full.vpc_id,
        description: full.description,
        owner_id: full.owner_id,
        mac_address: full.mac_address,
        private_ip_address: full.private_ip_address,
        private_dns_name: full.private_dns_name,
        private_ip_addresses: full.private_ip_addresses.into_iter().map(address).collect(),
        association: full.association.map(association),
        attachment: interface.attachment.as_ref().map(|own| InstanceNetworkInterfaceAttachment {
            attachment_id: text(&own.id),
            attach_time: Some(own.at),
            delete_on_termination: Some(own.delete_on_termination),
            device_index: Some(own.index),
            network_card_index: Some(0),
            status: Some(interfaces::attachment_status(interface)),
            ..Default::default()
        }),
        groups: full.groups,
        source_dest_check: full.source_dest_check,
        status: Some(NetworkInterfaceStatus::InUse),
        interface_type: text("interface"),
        operator: Some(nobody()),
        ..Default::default()
    }
}

fn change(instance: &Instance, to: InstanceState) -> InstanceStateChange {
    InstanceStateChange {
        instance_id: text(&instance.id),
        previous_state: Some(state_shape(instance.state)),
        current_state: Some(state_shape(to)),
        ..Default::default()
    }
}

fn wrong_state(instance: &Instance, act: &str) -> Error {
    let text = format!("The instance '{}' is not in a state from which it can be {act}.", instance.id);
    Error::Coded("IncorrectInstanceState", text)
}

pub fn start(tx: &mut Tx<'_>, input: &StartInstancesRequest) -> Answer<StartInstancesResult> {
    let mut starting_instances = Vec::new();
    for instance in all(tx, &input.instance_ids)? {
        if !instance.state.can_start() {
            return Err(wrong_state(&instance, "started").into());
        }
        let mut to = instance.state;
        if instance.state == InstanceState::Stopped {
            run::has_capacity(&tx.view(), &instance.instance_type, &instance.zone)?;
            to = InstanceState::Pending;
            let now = tx.now;
            tx.update::<Instance, _>(&instance.id, |instance| {
                instance.state = to;
                instance.launched = now;
                instance.status = Status::Ok;
                instance.failure = None;
                instance.generation += 1;
                instance.stop_forced = false;
                instance.reason = None;
            });
            // What was lost at the stop is given anew, as AWS does for subnets that map addresses.
            let maps = tx.get::<crate::model::Subnet>(&instance.subnet).is_some_and(|subnet| subnet.map_public_ip);
            if maps && tx.get::<Interface>(&instance.interface).is_some_and(|interface| interface.public.is_none()) {
                interfaces::give_public(tx, &instance.interface)?;
            }
        }
        starting_instances.push(change(&instance, to));
    }
    Ok(StartInstancesResult { starting_instances, ..Default::default() })
}

pub fn stop(tx: &mut Tx<'_>, input: &StopInstancesRequest) -> Answer<StopInstancesResult> {
    let mut stopping_instances = Vec::new();
    for instance in all(tx, &input.instance_ids)? {
        if !instance.state.can_stop() {
            return Err(wrong_state(&instance, "stopped").into());
        }
        if instance.stop_protection {
            let text = format!(
                "The instance '{}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.",
                instance.id
            );
            return Err(Error::Coded("OperationNotPermitted", text).into());
        }
        if input.hibernate == Some(true) {
            let text = format!("Instance {} is not enabled for hibernation.", instance.id);
            return Err(Error::Coded("UnsupportedHibernationConfiguration", text).into());
        }
        let to =
            if instance.state == InstanceState::Stopped { InstanceState::Stopped } else { InstanceState::Stopping };
        if to != instance.state {
            let reason = Some(StateReason::by_user(tx.now));
            tx.update::<Instance, _>(&instance.id, |instance| {
                instance.state = to;
                instance.reason = reason;
            });
        }
        if input.force == Some(true) && to == InstanceState::Stopping {
            tx.update::<Instance, _>(&instance.id, |instance| instance.stop_forced = true);
        }
        stopping_instances.push(change(&instance, to));
    }
    Ok(StopInstancesResult { stopping_instances, ..Default::default() })
}

pub fn reboot(tx: &mut Tx<'_>, input: &RebootInstancesRequest) -> Answer<RebootInstancesOutput> {
    for instance in all(tx, &input.instance_ids)? {
        if instance.state != InstanceState::Running {
            return Err(wrong_state(&instance, "rebooted").into());
        }
        tx.update::<Instance, _>(&instance.id, |instance| {
            instance.generation += 1;
            instance.status = Status::Ok;
            instance.failure = None;
        });
    }
    Ok(RebootInstancesOutput::default())
}

pub fn terminate(tx: &mut Tx<'_>, input: &TerminateInstancesRequest) -> Answer<TerminateInstancesResult> {
    let mut terminating_instances = Vec::new();
    for instance in all(tx, &input.instance_ids)? {
        // What keeps users from it does not keep Auto Scaling from it (user guide, "Enable termination protection").
        if instance.termination_protection && tx.caller != Caller::Service("autoscaling") {
            let text = format!(
                "The instance '{}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
                instance.id
            );
            return Err(Error::Coded("OperationNotPermitted", text).into());
        }
        let to = if instance.state == InstanceState::Terminated { instance.state } else { InstanceState::ShuttingDown };
        if !instance.state.is_ending() {
            let reason = Some(StateReason::by_user(tx.now));
            tx.update::<Instance, _>(&instance.id, |instance| {
                instance.state = to;
                instance.reason = reason;
            });
        }
        terminating_instances.push(change(&instance, to));
    }
    Ok(TerminateInstancesResult { terminating_instances, ..Default::default() })
}

/// `GetConsoleOutput`: what the world's console holds.
pub fn console(view: &View<'_>, input: &GetConsoleOutputRequest) -> Answer<Rest<GetConsoleOutputResult>> {
    use base64::Engine;
    let (id, now) = (instance(view, &input.instance_id)?.id.clone(), view.now);
    Ok(Box::new(move |world| {
        let output = world.console(&id);
        GetConsoleOutputResult {
            instance_id: text(&id),
            output: (!output.is_empty()).then(|| base64::engine::general_purpose::STANDARD.encode(output)),
            timestamp: Some(now),
            ..Default::default()
        }
    }))
}

/// When a terminated instance is forgotten.
pub(crate) fn forgotten_at(instance: &Instance) -> Option<Time> {
    instance.terminated.map(|at| at + std::time::Duration::from_secs(3600))
}
