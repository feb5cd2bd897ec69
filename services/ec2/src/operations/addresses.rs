//! Elastic IP addresses.

use super::{Answer, Selection, filters, json, one, shown, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{ElasticAddress, Instance, Interface, PublicAddress};
use crate::shapes::*;
use zonal_cloud::{Tx, View};

const MAX_ADDRESSES: usize = 5;

pub(crate) fn unknown(id: &str) -> Error {
    Error::Coded("InvalidAllocationID.NotFound", format!("The allocation ID '{id}' does not exist"))
}

pub fn allocate(tx: &mut Tx<'_>, input: &AllocateAddressRequest) -> Answer<AllocateAddressResult> {
    let tags = specified(tx, &input.tag_specifications, "elastic-ip", &["elastic-ip"])?;
    // Addresses of a service's own count against no quota of the user's.
    let own = |address: &&ElasticAddress| !address.is_balancers();
    if !tx.caller.is_service() && tx.list::<ElasticAddress>().filter(own).count() >= MAX_ADDRESSES {
        return Err(Error::Coded(
            "AddressLimitExceeded",
            "The maximum number of addresses has been reached.".to_owned(),
        )
        .into());
    }
    let ip = super::interfaces::public_address(tx)?;
    let address = ElasticAddress { id: tx.id("eipalloc-"), ip, association: None, tags };
    tx.put(address.clone());
    Ok(AllocateAddressResult {
        allocation_id: text(address.id),
        public_ip: shown(ip),
        domain: Some(DomainType::Vpc),
        public_ipv4_pool: text("amazon"),
        network_border_group: text(&*tx.scope.region),
        ..Default::default()
    })
}

/// The address that a call names by allocation or by itself.
fn address(view: &View<'_>, allocation: Option<&String>, ip: Option<&String>) -> Result<ElasticAddress, Error> {
    match (allocation, ip) {
        (Some(id), _) => view.get::<ElasticAddress>(id).cloned().ok_or_else(|| unknown(id)),
        (None, Some(ip)) => view
            .list::<ElasticAddress>()
            .find(|address| address.ip.to_string() == *ip)
            .cloned()
            .ok_or_else(|| Error::Coded("InvalidAddress.NotFound", format!("Address '{ip}' not found."))),
        (None, None) => Err(Error::MissingParameter("AllocationId".to_owned())),
    }
}

/// Refuses what users would do to an address that a load balancer allocated, or that a service's interface has.
fn refuse_services(tx: &Tx<'_>, address: &ElasticAddress) -> Result<(), Error> {
    let refused = address.is_balancers() && !tx.caller.is_service();
    let at = address.association.as_ref().and_then(|(_, interface)| tx.get::<Interface>(interface));
    if refused || at.is_some_and(|at| super::interfaces::refuse_requester_managed(tx, at).is_err()) {
        let text = "You do not have permission to access the specified resource.";
        return Err(Error::Coded("AuthFailure", text.to_owned()));
    }
    Ok(())
}

pub fn associate(tx: &mut Tx<'_>, input: &AssociateAddressRequest) -> Answer<AssociateAddressResult> {
    let own = address(&tx.view(), input.allocation_id.as_ref(), input.public_ip.as_ref())?;
    refuse_services(tx, &own)?;
    let view = tx.view();
    let interface = match (&input.instance_id, &input.network_interface_id) {
        (Some(instance), _) => {
            let instance = super::instances::instance(&view, instance)?;
            if instance.state.is_ending() {
                let text = format!("The instance {} is not in a valid state for this operation.", instance.id);
                return Err(Error::Coded("IncorrectInstanceState", text).into());
            }
            if !instance.more_interfaces.is_empty() {
                let text = format!(
                    "There are multiple interfaces attached to instance '{}'. Please specify an interface ID for the operation instead.",
                    instance.id
                );
                return Err(Error::Coded("InvalidInstanceID", text).into());
            }
            super::interfaces::interface(&view, &instance.interface)?
        }
        (None, Some(interface)) => super::interfaces::interface(&view, interface)?,
        (None, None) => {
            let text = "Either 'InstanceId' or 'NetworkInterfaceId' must be specified.";
            return Err(Error::Coded("MissingParameter", text.to_owned()).into());
        }
    };
    super::interfaces::refuse_requester_managed(tx, interface)?;
    let attached =
        view.list::<crate::model::InternetGateway>().any(|gateway| gateway.vpc.as_ref() == Some(&interface.vpc));
    if !attached {
        let text = format!("Network {} is not attached to any internet gateway", interface.vpc);
        return Err(Error::Coded("Gateway.NotAttached", text).into());
    }
    let target = interface.id.clone();
    match &own.association {
        Some((id, at)) if *at == target => {
            return Ok(AssociateAddressResult { association_id: text(id), ..Default::default() });
        }
        // It moves by itself; who does not want that says so.
        Some((id, _)) if input.allow_reassociation == Some(false) => {
            let text = format!("resource {} is already associated with associate-id {id}", own.id);
            return Err(Error::Coded("Resource.AlreadyAssociated", text).into());
        }
        Some((_, at)) => release_from(tx, &at.clone()),
        None => {}
    }
    // What the interface had goes: an address of its launch for good, another Elastic IP to its owner.
    release_from(tx, &target);
    let id = tx.id("eipassoc-");
    let public = PublicAddress { ip: own.ip, allocation: Some(own.id.clone()) };
    tx.update::<Interface, _>(&target, |interface| interface.public = Some(public));
    tx.put(ElasticAddress { association: Some((id.clone(), target)), ..own });
    Ok(AssociateAddressResult { association_id: text(id), ..Default::default() })
}

/// Takes the Elastic IP, if any, from an interface.
pub(crate) fn release_from(tx: &mut Tx<'_>, interface: &str) {
    let allocation = tx.get::<Interface>(interface).and_then(|interface| interface.public.as_ref()?.allocation.clone());
    let Some(allocation) = allocation else { return };
    tx.update::<ElasticAddress, _>(&allocation, |address| address.association = None);
    tx.update::<Interface, _>(interface, |interface| interface.public = None);
}

pub fn disassociate(tx: &mut Tx<'_>, input: &DisassociateAddressRequest) -> Answer<DisassociateAddressOutput> {
    let found = match (&input.association_id, &input.public_ip) {
        (Some(id), _) => tx
            .list::<ElasticAddress>()
            .find(|address| address.association.as_ref().is_some_and(|(own, _)| own == id))
            .cloned()
            .ok_or_else(|| {
                Error::Coded("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
            })?,
        (None, Some(ip)) => address(&tx.view(), None, Some(ip))?,
        (None, None) => {
            let text = "Either 'AssociationId' or 'PublicIp' must be specified.";
            return Err(Error::Coded("MissingParameter", text.to_owned()).into());
        }
    };
    refuse_services(tx, &found)?;
    if let Some((_, interface)) = found.association {
        release_from(tx, &interface);
    }
    Ok(DisassociateAddressOutput::default())
}

pub fn release(tx: &mut Tx<'_>, input: &ReleaseAddressRequest) -> Answer<ReleaseAddressOutput> {
    let own = address(&tx.view(), input.allocation_id.as_ref(), input.public_ip.as_ref())?;
    refuse_services(tx, &own)?;
    if own.association.is_some() {
        let text = format!("Address {} is in use.", own.ip);
        return Err(Error::Coded("InvalidIPAddress.InUse", text).into());
    }
    tx.remove::<ElasticAddress>(&own.id);
    Ok(ReleaseAddressOutput::default())
}

pub fn describe(view: &View<'_>, input: &DescribeAddressesRequest) -> Answer<DescribeAddressesResult> {
    for ip in &input.public_ips {
        address(view, None, Some(ip))?;
    }
    for id in &input.allocation_ids {
        address(view, Some(id), None)?;
    }
    let wanted =
        |address: &ElasticAddress| input.public_ips.is_empty() || input.public_ips.contains(&address.ip.to_string());
    let selection = Selection {
        ids: &input.allocation_ids,
        filters: &input.filters,
        names: filters::ADDRESSES,
        token: None,
        limit: None,
        unknown: ("InvalidAllocationID.NotFound", "allocation"),
    };
    let (addresses, _) = selection.of(
        view.among::<ElasticAddress>(&input.allocation_ids).filter(|address| wanted(address)),
        |address| &address.id,
        |address| &address.tags,
        |address, name| {
            let optional = |value: Option<String>| Some(value.into_iter().collect());
            match name {
                "allocation-id" => one(&address.id),
                "public-ip" => one(address.ip),
                "domain" => one("vpc"),
                "association-id" => optional(address.association.as_ref().map(|(id, _)| id.clone())),
                "network-interface-id" => {
                    optional(address.association.as_ref().map(|(_, interface)| interface.clone()))
                }
                "instance-id" => optional(behind(view, address).and_then(|(_, instance)| Some(instance?.id.clone()))),
                "private-ip-address" => {
                    optional(behind(view, address).map(|(interface, _)| interface.primary().to_string()))
                }
                "network-border-group" => one(&view.scope.region),
                _ => None,
            }
        },
        |address| json(&shape(view, address)),
    )?;
    let addresses = addresses.into_iter().map(|address| shape(view, address)).collect();
    Ok(DescribeAddressesResult { addresses, ..Default::default() })
}

/// The interface that an address stands for, and the instance behind it, if one is.
fn behind<'a>(view: &View<'a>, address: &ElasticAddress) -> Option<(&'a Interface, Option<&'a Instance>)> {
    let interface = view.get::<Interface>(&address.association.as_ref()?.1)?;
    Some((interface, super::interfaces::instance_of(view, interface)))
}

fn shape(view: &View<'_>, address: &ElasticAddress) -> Address {
    let behind = behind(view, address);
    Address {
        allocation_id: text(&address.id),
        public_ip: shown(address.ip),
        domain: Some(DomainType::Vpc),
        public_ipv4_pool: text("amazon"),
        network_border_group: text(&*view.scope.region),
        association_id: address.association.as_ref().map(|(id, _)| id.clone()),
        network_interface_id: address.association.as_ref().map(|(_, interface)| interface.clone()),
        network_interface_owner_id: address.association.as_ref().map(|_| view.scope.account.to_string()),
        private_ip_address: behind.as_ref().map(|(interface, _)| interface.primary().to_string()),
        instance_id: behind.and_then(|(_, instance)| Some(instance?.id.clone())),
        tags: tag_list(&address.tags),
        ..Default::default()
    }
}

/// `DescribeAddressesAttribute`: reverse DNS names, of which none are set here.
pub fn describe_attribute(
    view: &View<'_>,
    input: &DescribeAddressesAttributeRequest,
) -> Answer<DescribeAddressesAttributeResult> {
    let mut addresses = Vec::new();
    for id in &input.allocation_ids {
        let own = address(view, Some(id), None)?;
        addresses.push(AddressAttribute {
            allocation_id: text(own.id),
            public_ip: shown(own.ip),
            ..Default::default()
        });
    }
    Ok(DescribeAddressesAttributeResult { addresses, ..Default::default() })
}
