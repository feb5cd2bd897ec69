//! Network interfaces.

use super::{Answer, Selection, at_least_five, filters, json, one, shown, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{
    ElasticAddress, Instance, Interface, InterfaceAttachment, InterfacePhase, PublicAddress, SecurityGroup, Settings,
    Subnet, Vpc,
};
use crate::shapes::{self, *};
use rand::Rng;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use zonal_cloud::regions::Region;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Caller, Tx, View};

/// The words in "does not exist".
pub(crate) const UNKNOWN: (&str, &str) = ("InvalidNetworkInterfaceID.NotFound", "networkInterface");

fn check_id(id: &str) -> Result<(), Error> {
    Error::check_form(id, "eni-", "InvalidNetworkInterfaceId.Malformed")
}

pub(crate) fn interface<'a>(view: &View<'a>, id: &str) -> Result<&'a Interface, Error> {
    check_id(id)?;
    view.get::<Interface>(id)
        .filter(|interface| interface.phase != InterfacePhase::Deleting)
        .ok_or_else(|| Error::not_found(UNKNOWN.0, UNKNOWN.1, id))
}

/// What a new interface is to be.
#[derive(Default)]
pub(crate) struct New {
    pub subnet: String,
    pub description: String,
    pub private_ip: Option<String>,
    /// The VPC's default group where empty.
    pub groups: Vec<String>,
    pub tags: Tags,
}

/// Makes an interface: checks its groups, finds it an address.
pub(crate) fn make(tx: &mut Tx<'_>, new: New) -> Answer<Interface> {
    let subnet = super::subnets::subnet(&tx.view(), &new.subnet)?.clone();
    let mut groups = new.groups;
    // A network load balancer may be made without groups; then its nodes have none.
    let is_flow_node = matches!(tx.caller, Caller::Service(_)) && new.description.starts_with("ELB net/");
    if groups.is_empty() && !is_flow_node {
        groups.extend(
            tx.owned_by::<SecurityGroup>("default")
                .find(|g| g.vpc == subnet.vpc && g.name == "default")
                .map(|g| g.id.clone()),
        );
    }
    super::groups::check_membership(&tx.view(), &groups, &subnet.vpc, &format!("subnet {}", subnet.id))?;
    let private = address(tx, &subnet, new.private_ip.as_deref())?;
    let bytes: [u8; 5] = tx.chance().random();
    let mac = bytes.iter().fold("0a".to_owned(), |mac, byte| format!("{mac}:{byte:02x}"));
    let requester = match &tx.caller {
        Caller::Service(name) if new.description.starts_with("ELB ") => Some(format!("amazon-elb/{name}")),
        _ => None,
    };
    let interface = Interface {
        id: tx.id("eni-"),
        vpc: subnet.vpc,
        subnet: subnet.id,
        zone: subnet.zone,
        description: new.description,
        private: vec![private],
        mac,
        groups,
        source_dest_check: !is_flow_node,
        public: None,
        attachment: None,
        requester,
        phase: InterfacePhase::Pending,
        generation: 1,
        tags: new.tags,
    };
    tx.put(interface.clone());
    Ok(interface)
}

/// A free private address of a subnet: the one asked for, or the first. The first four and the last are AWS's.
pub(crate) fn address(tx: &Tx<'_>, subnet: &Subnet, wanted: Option<&str>) -> Result<Ipv4Addr, Error> {
    let own = tx.list::<Interface>().filter(|interface| interface.subnet == subnet.id);
    let used: BTreeSet<Ipv4Addr> = own.flat_map(|interface| interface.private.iter().copied()).collect();
    let first = u32::from(subnet.cidr.network());
    let usable = first + 4..u32::from(subnet.cidr.broadcast());
    let Some(wanted) = wanted else {
        return usable.map(Ipv4Addr::from).find(|address| !used.contains(address)).ok_or_else(|| {
            let text = format!(
                "There are not enough free addresses in subnet '{}' to satisfy the requested number of instances.",
                subnet.id
            );
            Error::Coded("InsufficientFreeAddressesInSubnet", text)
        });
    };
    let invalid =
        || Error::InvalidParameterValue(format!("Address {wanted} does not fall within the subnet's address range"));
    let address: Ipv4Addr = wanted.parse().map_err(|_| invalid())?;
    if !subnet.cidr.contains(&address) {
        return Err(invalid());
    }
    if !usable.contains(&u32::from(address)) {
        let text = format!("Address {wanted} is in subnet's reserved address range");
        return Err(Error::InvalidParameterValue(text));
    }
    if used.contains(&address) {
        return Err(Error::Coded("InvalidIPAddress.InUse", format!("Address {wanted} is in use.")));
    }
    Ok(address)
}

/// A free public address of the world's range, drawn by chance: as on AWS, an address that was just given back is not the next one
/// given out.
pub(crate) fn public_address(tx: &mut Tx<'_>) -> Result<Ipv4Addr, Error> {
    let settings = tx.get::<Settings>(Settings::KEY).map(|settings| settings.public_range);
    let Some(range) = settings else {
        return Err(Error::Coded("InsufficientAddressCapacity", "This world has no public addresses.".to_owned()));
    };
    let view = tx.view();
    let of_interfaces = view.everywhere::<Interface>().filter_map(|(_, interface)| Some(interface.public.as_ref()?.ip));
    let of_accounts = view.everywhere::<ElasticAddress>().map(|(_, address)| address.ip);
    let taken: BTreeSet<Ipv4Addr> = of_interfaces.chain(of_accounts).collect();
    // The range's first 256 addresses are the world's own (its host is the first of them).
    let (first, last) = (u32::from(range.network()) + 256, u32::from(range.broadcast()) - 1);
    for _ in 0..64 {
        let ip = Ipv4Addr::from(tx.chance().random_range(first..=last));
        if !taken.contains(&ip) {
            return Ok(ip);
        }
    }
    (first..=last)
        .map(Ipv4Addr::from)
        .find(|ip| !taken.contains(ip))
        .ok_or_else(|| Error::Coded("InsufficientAddressCapacity", "Not enough available public addresses.".to_owned()))
}

/// Gives an interface a public address of its own, as instances get at launch.
pub(crate) fn give_public(tx: &mut Tx<'_>, id: &str) -> Answer<()> {
    let ip = public_address(tx)?;
    tx.update::<Interface, _>(id, |interface| interface.public = Some(PublicAddress { ip, allocation: None }));
    Ok(())
}

/// The private addresses that a request asks for: the primary one, if it is said, and those beside it, given or any.
pub(crate) struct Addresses<'a> {
    pub primary: Option<String>,
    pub more: Vec<Option<&'a str>>,
}

impl<'a> Addresses<'a> {
    pub fn of(single: Option<&String>, listed: &'a [PrivateIpAddressSpecification], count: Option<i32>) -> Self {
        let is_primary = |address: &&PrivateIpAddressSpecification| address.primary == Some(true);
        let primary = listed.iter().find(is_primary).and_then(|address| address.private_ip_address.clone());
        let others = listed.iter().filter(|address| !is_primary(address));
        let mut more: Vec<Option<&str>> = others.map(|address| address.private_ip_address.as_deref()).collect();
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        more.extend(std::iter::repeat_n(None, count.min(256)));
        Self { primary: single.cloned().or(primary), more }
    }
}

pub fn create(tx: &mut Tx<'_>, input: &CreateNetworkInterfaceRequest) -> Answer<CreateNetworkInterfaceResult> {
    let tags = specified(tx, &input.tag_specifications, "network-interface", &["network-interface"])?;
    super::beyond::refuse("CreateNetworkInterface", input)?;
    let asked = Addresses::of(
        input.private_ip_address.as_ref(),
        &input.private_ip_addresses,
        input.secondary_private_ip_address_count,
    );
    let new = New {
        subnet: input.subnet_id.clone(),
        description: input.description.clone().unwrap_or_default(),
        private_ip: asked.primary,
        groups: input.groups.clone(),
        tags,
    };
    let mut interface = make(tx, new)?;
    interface.private.extend(super::attachments::add(tx, &interface, &asked.more, false, None)?);
    Ok(CreateNetworkInterfaceResult {
        network_interface: Some(shape(&tx.view(), &interface)),
        client_token: input.client_token.clone(),
        ..Default::default()
    })
}

pub fn describe(view: &View<'_>, input: &DescribeNetworkInterfacesRequest) -> Answer<DescribeNetworkInterfacesResult> {
    input.network_interface_ids.iter().try_for_each(|id| check_id(id))?;
    at_least_five(input.max_results, &input.network_interface_ids, "networkInterfaceIdsSet")?;
    let selection = Selection {
        ids: &input.network_interface_ids,
        filters: &input.filters,
        names: filters::NETWORK_INTERFACES,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: UNKNOWN,
    };
    let (interfaces, next_token) = selection.of(
        view.among::<Interface>(&input.network_interface_ids)
            .filter(|interface| interface.phase != InterfacePhase::Deleting),
        |interface| &interface.id,
        |interface| &interface.tags,
        |interface, name| {
            let attachment = interface.attachment.as_ref();
            let optional = |value: Option<String>| Some(value.into_iter().collect());
            match name {
                "network-interface-id" => one(&interface.id),
                "vpc-id" => one(&interface.vpc),
                "subnet-id" => one(&interface.subnet),
                "availability-zone" => one(&interface.zone),
                "description" => one(&interface.description),
                "mac-address" => one(&interface.mac),
                "group-id" => Some(interface.groups.clone()),
                "private-ip-address" | "addresses.private-ip-address" => one(interface.primary()),
                "association.public-ip" | "addresses.association.public-ip" => {
                    optional(interface.public.as_ref().map(|public| public.ip.to_string()))
                }
                "association.allocation-id" => {
                    optional(interface.public.as_ref().and_then(|public| public.allocation.clone()))
                }
                "attachment.instance-id" => optional(attachment.and_then(|attachment| attachment.instance.clone())),
                "attachment.attachment-id" => optional(attachment.map(|attachment| attachment.id.clone())),
                "attachment.device-index" => optional(attachment.map(|attachment| attachment.index.to_string())),
                "requester-managed" => one(interface.requester.is_some()),
                "requester-id" => optional(interface.requester.clone()),
                "owner-id" => one(&view.scope.account),
                "status" => one(status(interface).as_str()),
                _ => None,
            }
        },
        |interface| json(&shape(view, interface)),
    )?;
    let network_interfaces = interfaces.into_iter().map(|interface| shape(view, interface)).collect();
    Ok(DescribeNetworkInterfacesResult { network_interfaces, next_token, ..Default::default() })
}

fn status(interface: &Interface) -> NetworkInterfaceStatus {
    let attached = interface.attachment.as_ref();
    // One that is being attached to a running instance is in use from then on.
    let beside = attached.is_some_and(|attachment| attachment.index > 0);
    match (interface.phase, attached.is_some() || interface.requester.is_some()) {
        (InterfacePhase::Pending, _) if !beside => NetworkInterfaceStatus::Pending,
        (_, true) => NetworkInterfaceStatus::InUse,
        (_, false) => NetworkInterfaceStatus::Available,
    }
}

/// How far an interface's attachment is: the primary one of an instance is there before it.
pub(crate) fn attachment_status(interface: &Interface) -> AttachmentStatus {
    let beside = interface.attachment.as_ref().is_some_and(|attachment| attachment.index > 0);
    match interface.phase {
        InterfacePhase::Pending if beside => AttachmentStatus::Attaching,
        _ => AttachmentStatus::Attached,
    }
}

/// Whether a deleted interface that matters for deleting something else is still there: who was told that it is deleted deletes its group
/// and its subnet next.
pub(crate) fn leaving(view: &View<'_>, matters: impl Fn(&Interface) -> bool) -> bool {
    view.list::<Interface>().any(|interface| interface.phase == InterfacePhase::Deleting && matters(interface))
}

/// Whether an interface that the request names is being made, attached or detached.
pub fn unsettled(view: &View<'_>, input: &DescribeNetworkInterfacesRequest) -> bool {
    let mut named = input.network_interface_ids.iter().filter_map(|id| view.get::<Interface>(id));
    named.any(|interface| interface.phase == InterfacePhase::Pending)
}

/// The private DNS name of an address.
pub(crate) fn private_name(view: &View<'_>, address: Ipv4Addr) -> String {
    let domain = Region::named(&view.scope.region).map_or("ec2.internal".into(), Region::internal_domain);
    dashed("ip", address, &domain)
}

/// The public DNS name of an address, where its VPC gives such names.
pub(crate) fn public_name(view: &View<'_>, vpc: &str, address: Ipv4Addr) -> Option<String> {
    view.get::<Vpc>(vpc).filter(|vpc| vpc.dns_hostnames && vpc.dns_support)?;
    let domain = Region::named(&view.scope.region)?.public_domain();
    Some(dashed("ec2", address, &domain))
}

/// `ip-10-0-0-1.ec2.internal`. Without the formatter, which takes far longer for so little: names are made for each instance of each answer.
fn dashed(prefix: &str, address: Ipv4Addr, domain: &str) -> String {
    let mut name = String::with_capacity(prefix.len() + "-255-255-255-255.".len() + domain.len());
    name.push_str(prefix);
    for octet in address.octets() {
        name.push('-');
        for (least, unit) in [(100, 100), (10, 10), (0, 1)] {
            if octet >= least {
                name.push(char::from(b'0' + octet / unit % 10));
            }
        }
    }
    name.push('.');
    name.push_str(domain);
    name
}

/// The groups with their names, in EC2's form.
pub(crate) fn group_identifiers(view: &View<'_>, groups: &[String]) -> Vec<GroupIdentifier> {
    let named = |id: &String| GroupIdentifier {
        group_id: text(id),
        group_name: view.get::<SecurityGroup>(id).map(|group| group.name.clone()),
        ..Default::default()
    };
    groups.iter().map(named).collect()
}

pub(crate) fn shape(view: &View<'_>, interface: &Interface) -> shapes::NetworkInterface {
    let association = interface.public.as_ref().map(|public| NetworkInterfaceAssociation {
        public_ip: shown(public.ip),
        public_dns_name: public_name(view, &interface.vpc, public.ip),
        ip_owner_id: if public.allocation.is_some() { text(&*view.scope.account) } else { text("amazon") },
        allocation_id: public.allocation.clone(),
        association_id: public.allocation.as_ref().and_then(|id| {
            view.get::<ElasticAddress>(id).and_then(|address| address.association.as_ref().map(|(id, _)| id.clone()))
        }),
        ..Default::default()
    });
    let addresses = interface.private.iter().enumerate().map(|(i, address)| NetworkInterfacePrivateIpAddress {
        private_ip_address: shown(address),
        private_dns_name: text(private_name(view, *address)),
        primary: Some(i == 0),
        association: if i == 0 { association.clone() } else { None },
        ..Default::default()
    });
    let addresses: Vec<_> = addresses.collect();
    let (private_ip_address, private_dns_name) =
        addresses.first().map(|own| (own.private_ip_address.clone(), own.private_dns_name.clone())).unwrap_or_default();
    shapes::NetworkInterface {
        network_interface_id: text(&interface.id),
        vpc_id: text(&interface.vpc),
        subnet_id: text(&interface.subnet),
        availability_zone: text(&interface.zone),
        availability_zone_id: text(super::subnets::zone_id(&interface.zone)),
        description: text(&interface.description),
        owner_id: text(&*view.scope.account),
        mac_address: text(&interface.mac),
        private_ip_address,
        private_dns_name,
        private_ip_addresses: addresses,
        association,
        attachment: interface.attachment.as_ref().map(|attachment| NetworkInterfaceAttachment {
            attachment_id: text(&attachment.id),
            instance_id: attachment.instance.clone(),
            instance_owner_id: if attachment.instance.is_some() {
                text(&*view.scope.account)
            } else {
                text("amazon-elb")
            },
            device_index: Some(attachment.index),
            network_card_index: attachment.instance.as_ref().map(|_| 0),
            delete_on_termination: Some(attachment.delete_on_termination),
            attach_time: Some(attachment.at),
            status: Some(attachment_status(interface)),
            ..Default::default()
        }),
        groups: group_identifiers(view, &interface.groups),
        interface_type: Some(if interface.is_flow_node() {
            NetworkInterfaceType::NetworkLoadBalancer
        } else {
            NetworkInterfaceType::Interface
        }),
        operator: Some(super::instances::nobody()),
        requester_managed: Some(interface.requester.is_some()),
        requester_id: interface.requester.clone(),
        source_dest_check: Some(interface.source_dest_check),
        status: Some(status(interface)),
        tag_set: tag_list(&interface.tags),
        ..Default::default()
    }
}

/// Attaches an interface to an instance as its primary one.
pub(crate) fn attach_primary(tx: &mut Tx<'_>, interface: &str, instance: &str, delete_on_termination: bool) {
    let attachment = InterfaceAttachment {
        id: tx.id("eni-attach-"),
        instance: Some(instance.to_owned()),
        index: 0,
        delete_on_termination,
        at: tx.now,
    };
    tx.update::<Interface, _>(interface, |interface| interface.attachment = Some(attachment));
}

/// Refuses what users would do to an interface that a service made for itself, such as a load balancer's node.
pub(crate) fn refuse_requester_managed(tx: &Tx<'_>, interface: &Interface) -> Result<(), Error> {
    if interface.requester.is_none() || tx.caller.is_service() {
        return Ok(());
    }
    let text =
        format!("You do not have permission to access the specified resource: {} is requester-managed.", interface.id);
    Err(Error::Coded("OperationNotPermitted", text))
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteNetworkInterfaceRequest) -> Answer<DeleteNetworkInterfaceOutput> {
    let own = interface(&tx.view(), &input.network_interface_id)?;
    refuse_requester_managed(tx, own)?;
    if own.attachment.as_ref().is_some_and(|attachment| attachment.instance.is_some()) {
        let text = format!("Network interface '{}' is currently in use.", own.id);
        return Err(Error::Coded("InvalidParameterValue", text).into());
    }
    let id = own.id.clone();
    begin_delete(tx, &id);
    Ok(DeleteNetworkInterfaceOutput::default())
}

/// Lets go of an interface: its Elastic IP is free at once, the rest when the world says that it is gone.
pub(crate) fn begin_delete(tx: &mut Tx<'_>, id: &str) {
    super::addresses::release_from(tx, id);
    tx.update::<Interface, _>(id, |interface| {
        interface.phase = InterfacePhase::Deleting;
        interface.public = None;
        interface.attachment = None;
    });
}

pub fn modify_attribute(
    tx: &mut Tx<'_>,
    input: &ModifyNetworkInterfaceAttributeRequest,
) -> Answer<ModifyNetworkInterfaceAttributeOutput> {
    let own = interface(&tx.view(), &input.network_interface_id)?.clone();
    refuse_requester_managed(tx, &own)?;
    super::groups::check_membership(&tx.view(), &input.groups, &own.vpc, &format!("interface {}", own.id))?;
    tx.update::<Interface, _>(&own.id, |interface| {
        if !input.groups.is_empty() {
            interface.groups.clone_from(&input.groups);
        }
        if let Some(text) = input.description.as_ref().and_then(|value| value.value.clone()) {
            interface.description = text;
        }
        if let Some(check) = input.source_dest_check.as_ref().and_then(|value| value.value) {
            interface.source_dest_check = check;
        }
        if let (Some(attachment), Some(change)) = (&mut interface.attachment, &input.attachment) {
            attachment.delete_on_termination = change.delete_on_termination.unwrap_or(attachment.delete_on_termination);
        }
    });
    Ok(ModifyNetworkInterfaceAttributeOutput::default())
}

/// ResetNetworkInterfaceAttribute: checks source and destination again.
pub fn reset_attribute(
    tx: &mut Tx<'_>,
    input: &ResetNetworkInterfaceAttributeRequest,
) -> Answer<ResetNetworkInterfaceAttributeOutput> {
    let own = interface(&tx.view(), &input.network_interface_id)?.clone();
    refuse_requester_managed(tx, &own)?;
    if input.source_dest_check.is_none() {
        return Err(Error::InvalidParameterCombination("No attributes specified.".to_owned()).into());
    }
    tx.update::<Interface, _>(&own.id, |interface| interface.source_dest_check = true);
    Ok(ResetNetworkInterfaceAttributeOutput::default())
}

pub fn describe_attribute(
    view: &View<'_>,
    input: &DescribeNetworkInterfaceAttributeRequest,
) -> Answer<DescribeNetworkInterfaceAttributeResult> {
    let own = interface(view, &input.network_interface_id)?;
    let shape = shape(view, own);
    let mut output =
        DescribeNetworkInterfaceAttributeResult { network_interface_id: text(&own.id), ..Default::default() };
    match input.attribute {
        Some(NetworkInterfaceAttribute::Attachment) => output.attachment = shape.attachment,
        Some(NetworkInterfaceAttribute::Description) => {
            output.description = Some(AttributeValue { value: shape.description, ..Default::default() });
        }
        Some(NetworkInterfaceAttribute::GroupSet) => output.groups = shape.groups,
        Some(NetworkInterfaceAttribute::SourceDestCheck) => {
            output.source_dest_check =
                Some(AttributeBooleanValue { value: shape.source_dest_check, ..Default::default() });
        }
        Some(NetworkInterfaceAttribute::AssociatePublicIpAddress) => {
            let own = own.public.as_ref().is_some_and(|public| public.allocation.is_none());
            output.associate_public_ip_address = Some(own);
        }
        None => return Err(Error::MissingParameter("Attribute".to_owned()).into()),
    }
    Ok(output)
}

/// The instance behind an interface, if one is.
pub(crate) fn instance_of<'a>(view: &View<'a>, interface: &Interface) -> Option<&'a Instance> {
    view.get::<Instance>(interface.attachment.as_ref()?.instance.as_ref()?)
}
