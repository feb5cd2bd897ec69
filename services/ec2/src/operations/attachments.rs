//! More interfaces of an instance, and more private addresses of an interface.
//!
//! Sources: AttachNetworkInterface, DetachNetworkInterface, AssignPrivateIpAddresses, UnassignPrivateIpAddresses in the EC2 API
//! Reference; "Elastic network interfaces" in the EC2 User Guide.

use super::{Answer, instances, interfaces, run};
use crate::errors::Error;
use crate::model::{Instance, InstanceState, Interface, InterfaceAttachment, Subnet};
use crate::shapes::*;
use std::net::Ipv4Addr;
use zonal_cloud::{Tx, View};

pub fn attach(tx: &mut Tx<'_>, input: &AttachNetworkInterfaceRequest) -> Answer<AttachNetworkInterfaceResult> {
    let view = tx.view();
    let interface = interfaces::interface(&view, &input.network_interface_id)?.clone();
    let instance = instances::instance(&view, &input.instance_id)?.clone();
    if !matches!(instance.state, InstanceState::Running | InstanceState::Stopped) {
        let text = format!("Instance '{}' is not 'running' or 'stopped'.", instance.id);
        return Err(Error::Coded("IncorrectInstanceState", text).into());
    }
    if input.network_card_index.is_some_and(|card| card != 0) {
        let text = format!("Instance '{}' has one network card: NetworkCardIndex can only be 0.", instance.id);
        return Err(Error::InvalidParameterValue(text).into());
    }
    let attachment_id = attach_at(tx, &interface, &instance, input.device_index, false)?;
    Ok(AttachNetworkInterfaceResult {
        attachment_id: Some(attachment_id),
        network_card_index: Some(0),
        ..Default::default()
    })
}

/// Attaches an interface beside an instance's primary one; the attachment's id.
pub(crate) fn attach_at(
    tx: &mut Tx<'_>,
    interface: &Interface,
    instance: &Instance,
    index: i32,
    delete_on_termination: bool,
) -> Answer<String> {
    interfaces::refuse_requester_managed(tx, interface)?;
    if interface.attachment.is_some() {
        return Err(Error::InvalidParameterValue(format!("Interface: [{}] in use.", interface.id)).into());
    }
    // The current record: a launch attaches one after the other.
    let more = tx.get::<Instance>(&instance.id).map(|own| own.more_interfaces.clone()).unwrap_or_default();
    let at = |id: &String| tx.get::<Interface>(id).and_then(|other| Some(other.attachment.as_ref()?.index));
    if index == 0 || more.iter().filter_map(at).any(|taken| taken == index) {
        let text = format!("Instance '{}' already has an interface attached at device index '{index}'.", instance.id);
        return Err(Error::InvalidParameterValue(text).into());
    }
    let most = run::type_of(instance).map_or(1, |kind| kind.interfaces.0);
    let count = i32::try_from(more.len()).unwrap_or(i32::MAX).saturating_add(2);
    if count > most {
        let text = format!("Interface count {count} exceeds the limit for {}", instance.instance_type);
        return Err(Error::Coded("AttachmentLimitExceeded", text).into());
    }
    if !(1..=15).contains(&index) {
        let text = format!("Value ({index}) for parameter deviceIndex is invalid. Valid values: 1 to 15.");
        return Err(Error::InvalidParameterValue(text).into());
    }
    if interface.zone != instance.zone || interface.vpc != instance.vpc {
        let what = if interface.zone == instance.zone { "VPC" } else { "availability zone" };
        let text = format!("You may not attach a network interface to an instance if they are not in the same {what}");
        return Err(Error::InvalidParameterCombination(text).into());
    }
    let id = tx.id("eni-attach-");
    let (now, own) = (tx.now, instance.id.clone());
    let attachment = InterfaceAttachment { id: id.clone(), instance: Some(own), index, delete_on_termination, at: now };
    tx.update::<Interface, _>(&interface.id, |interface| interface.moves_to(Some(attachment)));
    tx.update::<Instance, _>(&instance.id, |instance| instance.more_interfaces.push(interface.id.clone()));
    Ok(id)
}

/// The interfaces that a launch describes: the primary one, and those beside it.
pub(crate) fn described(
    input: &RunInstancesRequest,
) -> Result<(Option<InstanceNetworkInterfaceSpecification>, Vec<InstanceNetworkInterfaceSpecification>), Error> {
    let mut all = input.network_interfaces.clone();
    if all.is_empty() {
        return Ok((None, all));
    }
    let refuse = |text: &str| Err(Error::InvalidParameterCombination(text.to_owned()));
    let beside = if input.subnet_id.is_some() {
        Some("subnet ID")
    } else if !input.security_group_ids.is_empty() || !input.security_groups.is_empty() {
        Some("security groups")
    } else {
        None
    };
    if let Some(beside) = beside {
        return refuse(&format!(
            "Network interfaces and an instance-level {beside} may not be specified on the same request"
        ));
    }
    if all.len() > 1 && all.iter().any(|own| own.associate_public_ip_address == Some(true)) {
        return refuse(
            "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.",
        );
    }
    if all.len() > 1 && all.iter().any(|own| own.device_index.is_none()) {
        return Err(Error::InvalidParameterValue("Each network interface requires a device index.".to_owned()));
    }
    let Some(first) = all.iter().position(|own| own.device_index.unwrap_or_default() == 0) else {
        return Err(Error::InvalidParameterValue("No network interface has the device index 0.".to_owned()));
    };
    Ok((Some(all.remove(first)), all))
}

pub fn detach(tx: &mut Tx<'_>, input: &DetachNetworkInterfaceRequest) -> Answer<DetachNetworkInterfaceOutput> {
    let id = &input.attachment_id;
    Error::check_form(id, "eni-attach-", "InvalidNetworkInterfaceAttachmentId.Malformed")?;
    let found = tx.list::<Interface>().find(|own| own.attachment.as_ref().is_some_and(|own| own.id == *id));
    let Some(interface) = found.cloned() else {
        let text = format!("The attachment ID '{id}' does not exist");
        return Err(Error::Coded("InvalidAttachmentID.NotFound", text).into());
    };
    interfaces::refuse_requester_managed(tx, &interface)?;
    let attachment = interface.attachment.as_ref();
    if attachment.is_none_or(|attachment| attachment.index == 0) {
        let text = "The network interface at device index 0 cannot be detached.";
        return Err(Error::Coded("OperationNotPermitted", text.to_owned()).into());
    }
    release(tx, &interface);
    Ok(DetachNetworkInterfaceOutput::default())
}

/// Takes an interface that is not an instance's primary one from its instance.
fn release(tx: &mut Tx<'_>, interface: &Interface) {
    if let Some(instance) = interface.attachment.as_ref().and_then(|attachment| attachment.instance.clone()) {
        tx.update::<Instance, _>(&instance, |instance| instance.more_interfaces.retain(|own| *own != interface.id));
    }
    tx.update::<Interface, _>(&interface.id, |interface| interface.moves_to(None));
}

/// An instance is gone: of its further interfaces those go with it that were to, and the others are free.
pub(crate) fn release_all(tx: &mut Tx<'_>, instance: &Instance) {
    for id in &instance.more_interfaces {
        let Some(interface) = tx.get::<Interface>(id).cloned() else { continue };
        release(tx, &interface);
        if interface.attachment.is_some_and(|attachment| attachment.delete_on_termination) {
            interfaces::begin_delete(tx, id);
        }
    }
}

/// The most private addresses that an interface may have where it is attached.
fn most_addresses(view: &View<'_>, interface: &Interface) -> usize {
    let kind = interfaces::instance_of(view, interface).and_then(run::type_of);
    kind.and_then(|kind| usize::try_from(kind.interfaces.1).ok()).unwrap_or(50)
}

pub fn assign(tx: &mut Tx<'_>, input: &AssignPrivateIpAddressesRequest) -> Answer<AssignPrivateIpAddressesResult> {
    let interface = interfaces::interface(&tx.view(), &input.network_interface_id)?.clone();
    interfaces::refuse_requester_managed(tx, &interface)?;
    if !input.ipv4_prefixes.is_empty() || input.ipv4_prefix_count.is_some() {
        let text = "Prefixes of private addresses are not delegated here: give addresses, or their number.";
        return Err(Error::Coded("UnsupportedOperation", text.to_owned()).into());
    }
    let count = input.secondary_private_ip_address_count.and_then(|count| usize::try_from(count).ok());
    let wanted: Vec<Option<&str>> = match (input.private_ip_addresses.as_slice(), count) {
        ([], Some(count)) => vec![None; count.min(256)],
        ([], None) => return Err(Error::MissingParameter("secondaryPrivateIpAddressCount".to_owned()).into()),
        (given, None) => given.iter().map(|address| Some(address.as_str())).collect(),
        (_, Some(_)) => {
            let text = "You may not specify both a number of secondary private IP addresses and the addresses.";
            return Err(Error::InvalidParameterCombination(text.to_owned()).into());
        }
    };
    let added = add(tx, &interface, &wanted, input.allow_reassignment == Some(true), None)?;
    let shape = |address: Ipv4Addr| AssignedPrivateIpAddress {
        private_ip_address: Some(address.to_string()),
        ..Default::default()
    };
    Ok(AssignPrivateIpAddressesResult {
        network_interface_id: Some(interface.id),
        assigned_private_ip_addresses: added.into_iter().map(shape).collect(),
        ..Default::default()
    })
}

/// Gives an interface more private addresses: those asked for, or free ones. It has at most as many as `most` says, or what it is
/// attached to.
pub(crate) fn add(
    tx: &mut Tx<'_>,
    interface: &Interface,
    wanted: &[Option<&str>],
    reassign: bool,
    most: Option<usize>,
) -> Answer<Vec<Ipv4Addr>> {
    let most = most.unwrap_or_else(|| most_addresses(&tx.view(), interface));
    if interface.private.len() + wanted.len() > most {
        let text = format!("Number of private addresses will exceed limit. Limit: {most}");
        return Err(Error::Coded("PrivateIpAddressLimitExceeded", text).into());
    }
    let subnet = super::subnets::subnet(&tx.view(), &interface.subnet)?.clone();
    let mut added = Vec::new();
    for wanted in wanted {
        if reassign && let Some(wanted) = wanted {
            take_from_other(tx, &subnet, wanted);
        }
        let address = interfaces::address(tx, &subnet, *wanted)?;
        tx.update::<Interface, _>(&interface.id, |interface| interface.private.push(address));
        added.push(address);
    }
    Ok(added)
}

/// Takes a secondary address from the interface of the subnet that has it.
fn take_from_other(tx: &mut Tx<'_>, subnet: &Subnet, wanted: &str) {
    let has = |interface: &&Interface| {
        interface.subnet == subnet.id && interface.private.iter().skip(1).any(|address| address.to_string() == wanted)
    };
    let other = tx.list::<Interface>().find(has).map(|interface| interface.id.clone());
    if let Some(id) = other {
        tx.update::<Interface, _>(&id, |interface| interface.private.retain(|own| own.to_string() != wanted));
    }
}

pub fn unassign(
    tx: &mut Tx<'_>,
    input: &UnassignPrivateIpAddressesRequest,
) -> Answer<UnassignPrivateIpAddressesOutput> {
    let interface = interfaces::interface(&tx.view(), &input.network_interface_id)?.clone();
    interfaces::refuse_requester_managed(tx, &interface)?;
    for given in &input.private_ip_addresses {
        let at = interface.private.iter().position(|address| address.to_string() == *given);
        if at.is_none_or(|at| at == 0) {
            let text = if at.is_some() {
                format!("Address {given} is the primary address of network interface {}", interface.id)
            } else {
                format!("Some of {given} are not assigned to network interface {}", interface.id)
            };
            return Err(Error::InvalidParameterValue(text).into());
        }
        tx.update::<Interface, _>(&interface.id, |own| own.private.retain(|address| address.to_string() != *given));
    }
    Ok(UnassignPrivateIpAddressesOutput::default())
}
