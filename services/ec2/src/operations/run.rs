//! `RunInstances`.

use super::{Answer, specified, text};
use crate::errors::Error;
use crate::instance_types::InstanceType;
use crate::model::{
    Instance, InstanceState, Interface, MetadataOptions, PublicAddress, Status, Subnet, Volume, Vpc, ZoneOutage,
};
use crate::operations::{images, instances, interfaces, templates};
use crate::shapes::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zonal_cloud::regions::Region;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};
use zonal_wire::{AwsError, value};

/// User data's limit, decoded.
const MAX_USER_DATA: usize = 16 * 1024;
/// The most that one call may start.
const MAX_COUNT: i32 = 1000;
/// What this call makes, and may tag.
const TAGGABLE: &[&str] = &["instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"];

pub fn run(tx: &mut Tx<'_>, input: &RunInstancesRequest) -> Answer<Reservation> {
    let mut merged;
    let mut own_tags = Tags::new();
    let input = match &input.launch_template {
        Some(template) => {
            merged = with_template(&tx.view(), input, template, &mut own_tags)?;
            &merged
        }
        None => input,
    };
    let input = match input.image_id.as_deref().and_then(|id| id.strip_prefix(PARAMETER)) {
        Some(parameter) => {
            let image_id = Some(parameter_image(tx, parameter)?);
            merged = RunInstancesRequest { image_id, ..input.clone() };
            &merged
        }
        None => input,
    };
    let plan = Plan { own_tags, ..Plan::of(&tx.view(), input)? };
    let reservation = tx.id("r-");
    let mut made = Vec::new();
    for index in 0..plan.count {
        made.push(start(tx, input, &plan, &reservation, index)?);
    }
    let view = tx.view();
    let instances =
        made.iter().filter_map(|id| view.get::<Instance>(id)).map(|instance| instances::started(&view, instance));
    Ok(Reservation {
        reservation_id: text(&reservation),
        owner_id: text(&*tx.scope.account),
        instances: instances.collect(),
        ..Default::default()
    })
}

/// An image given by a parameter of Parameter Store: `resolve:ssm:NAME`.
const PARAMETER: &str = "resolve:ssm:";

fn parameter_image(tx: &mut Tx<'_>, parameter: &str) -> Answer<String> {
    let found = tx.call_json("ssm", "GetParameter", &serde_json::json!({ "Name": parameter }));
    let found = found.ok().map(|mut found| found["Parameter"].take());
    // An image id is no secret, and the value of a secure string as it is stored is no image id.
    let found = found.filter(|parameter| parameter["Type"] != "SecureString");
    let value = found.and_then(|parameter| parameter["Value"].as_str().map(ToOwned::to_owned));
    value.ok_or_else(|| {
        let text = format!("The parameter {parameter} does not exist, or holds no image id.");
        Error::InvalidParameterValue(text).into()
    })
}

/// The request with what its launch template says where it says nothing itself. `own_tags` are AWS's own, which say whose
/// version an instance was started from.
fn with_template(
    view: &View<'_>,
    input: &RunInstancesRequest,
    template: &LaunchTemplateSpecification,
    own_tags: &mut Tags,
) -> Answer<RunInstancesRequest> {
    let found = templates::named(view, template.launch_template_id.as_ref(), template.launch_template_name.as_ref())?;
    let version = template.version.as_deref().unwrap_or("$Default");
    own_tags.insert("aws:ec2launchtemplate:id".to_owned(), found.id.clone());
    let number = found.version_number(version).map(|number| number.to_string()).unwrap_or_default();
    own_tags.insert("aws:ec2launchtemplate:version".to_owned(), number);
    let data = templates::version(found, version)?.data.clone();
    let mut request = value::to_json(input);
    let (Value::Object(request_members), Value::Object(data)) = (&mut request, data) else { return Ok(input.clone()) };
    request_members.remove("LaunchTemplate");
    let known = RunInstances::members();
    for (name, given) in data {
        let name = if name == "RamDiskId" { "RamdiskId".to_owned() } else { name };
        if !known.contains(&name.as_str()) {
            continue;
        }
        match request_members.get_mut(&name) {
            None => {
                request_members.insert(name, given);
            }
            // Tags of both are given to the instance; the request's own win.
            Some(Value::Array(own)) if name == "TagSpecifications" => merge_tags(own, given),
            Some(Value::Array(own)) if own.is_empty() => *own = given.as_array().cloned().unwrap_or_default(),
            Some(_) => {}
        }
    }
    if let (Some(subnet), Some(Value::Array(own))) =
        (input.subnet_id.clone(), request_members.get_mut("NetworkInterfaces"))
        && let Some(first) = own.first_mut().and_then(Value::as_object_mut)
    {
        // Whoever names a template with interfaces and a subnet beside it (a group, say) means the first of them.
        first.entry("SubnetId").or_insert(Value::String(subnet));
        request_members.remove("SubnetId");
    }
    let mut out = RunInstancesRequest::default();
    value::from_json(&request, &mut out).map_err(|error| {
        let text = format!("The launch template {} does not make a valid request: {error}", found.id);
        AwsError::from(Error::Coded("InvalidLaunchTemplate", text))
    })?;
    Ok(out)
}

fn merge_tags(own: &mut Vec<Value>, template: Value) {
    let kind = |specification: &Value| specification.get("ResourceType").cloned();
    for specification in template.as_array().cloned().unwrap_or_default() {
        let Some(same) = own.iter_mut().find(|other| kind(other) == kind(&specification)) else {
            own.push(specification);
            continue;
        };
        let Some(Value::Array(tags)) = same.get_mut("Tags") else { continue };
        for tag in specification.get("Tags").and_then(Value::as_array).cloned().unwrap_or_default() {
            if !tags.iter().any(|own| own.get("Key") == tag.get("Key")) {
                tags.push(tag);
            }
        }
    }
}

/// The operation's member names, for templates that say more than it takes.
struct RunInstances;

impl RunInstances {
    fn members() -> Vec<&'static str> {
        zonal_wire::Structure::facts(&RunInstancesRequest::default()).members.iter().map(|member| member.name).collect()
    }
}

/// What one call starts, checked whole before anything is made.
struct Plan {
    count: i32,
    public_key: Option<String>,
    image: images::Found,
    instance_type: &'static InstanceType,
    subnet: Subnet,
    groups: Vec<String>,
    interface: Option<InstanceNetworkInterfaceSpecification>,
    /// Those beside the primary one.
    more: Vec<InstanceNetworkInterfaceSpecification>,
    public_ip: bool,
    user_data: Option<String>,
    metadata: MetadataOptions,
    volume_size: i32,
    volume_kind: String,
    delete_volume: bool,
    /// Tags that nobody gave: the launch template's.
    own_tags: Tags,
}

impl Plan {
    fn of(view: &View<'_>, input: &RunInstancesRequest) -> Answer<Self> {
        super::beyond::refuse("RunInstances", input)?;
        let (min, max) = (input.min_count, input.max_count);
        if min < 1 || max < min || max > MAX_COUNT {
            let text = format!(
                "Value ({max}) for parameter maxCount is invalid. Expecting 1 <= minCount <= maxCount <= {MAX_COUNT}."
            );
            return Err(Error::InvalidParameterValue(text).into());
        }
        if input.instance_market_options.is_some() {
            let text = "Spot instances are not supported yet: leave InstanceMarketOptions out.";
            return Err(Error::Coded("UnsupportedOperation", text.to_owned()).into());
        }
        let image = input.image_id.as_ref().ok_or_else(|| Error::MissingParameter("ImageId".to_owned()))?;
        let image = images::find(view, image)?;
        let instance_type = InstanceType::named(input.instance_type.as_deref().unwrap_or("m1.small"))?;
        if instance_type.architecture != image.architecture {
            let text = format!(
                "The architecture '{}' of the specified instance type does not match the architecture '{}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
                instance_type.architecture, image.architecture
            );
            return Err(Error::InvalidParameterValue(text).into());
        }
        let key = input.key_name.as_deref().map(|name| super::keys::pair(view, name)).transpose()?;
        let (interface, more) = super::attachments::described(input)?;
        if !input.security_groups.is_empty() && input.subnet_id.is_some() {
            let text = "The parameter groupName cannot be used with the parameter subnet";
            return Err(Error::InvalidParameterCombination(text.to_owned()).into());
        }
        if let Some(limit) = input.metadata_options.as_ref().and_then(|options| options.http_put_response_hop_limit) {
            super::attributes::check_hop_limit(limit)?;
        }
        if let Some(credits) = &input.credit_specification {
            super::attributes::check_credits(&credits.cpu_credits, instance_type)?;
        }
        let subnet = subnet(view, input, interface.as_ref())?;
        let addresses = |own: &InstanceNetworkInterfaceSpecification| {
            own.private_ip_address.is_some() || !own.private_ip_addresses.is_empty()
        };
        if max > 1 && (input.private_ip_address.is_some() || interface.iter().chain(&more).any(addresses)) {
            let text = "Private IP addresses may not be specified for more than one instance.";
            return Err(Error::InvalidParameterCombination(text.to_owned()).into());
        }
        has_capacity(view, instance_type.name, &subnet.zone)?;
        let mut groups: Vec<String> = interface.as_ref().map(|i| i.groups.clone()).unwrap_or_default();
        groups.extend(input.security_group_ids.iter().cloned());
        for name in &input.security_groups {
            groups.push(super::groups::by_name(view, name, Some(&subnet.vpc))?.id.clone());
        }
        let public_ip = interface.as_ref().and_then(|i| i.associate_public_ip_address).unwrap_or(subnet.map_public_ip);
        let root = |mapping: &&BlockDeviceMapping| mapping.device_name.as_deref() == Some(image.root_device.as_str());
        let disk = input.block_device_mappings.iter().find(root);
        let disk = disk.and_then(|mapping| mapping.ebs.clone()).unwrap_or_default();
        let volume_kind = disk.volume_type.map_or("gp3", |kind| kind.as_str());
        let volume_size = super::volumes::root_size(disk.volume_size, volume_kind, image.size)?;
        // As many as there are addresses for, if that is enough.
        let free = super::subnets::available(view, &subnet);
        let count = if (min..max).contains(&free) { free } else { max };
        Ok(Self {
            count,
            public_key: key.map(|key| key.public_key.clone()),
            instance_type,
            groups,
            public_ip,
            user_data: user_data(input.user_data.as_ref())?,
            metadata: metadata(input.metadata_options.as_ref(), &image),
            volume_size,
            volume_kind: volume_kind.to_owned(),
            delete_volume: disk.delete_on_termination.unwrap_or(true),
            subnet,
            image,
            interface,
            more,
            own_tags: Tags::new(),
        })
    }
}

/// Refuses a launch or a start in a zone that is cut off.
pub(crate) fn has_capacity(view: &View<'_>, instance_type: &str, zone: &str) -> Answer<()> {
    if view.find::<ZoneOutage>(zone).is_none() {
        return Ok(());
    }
    let text = format!(
        "We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested ({zone}). Our system will be working on provisioning additional capacity."
    );
    Err(AwsError::from(Error::Coded("InsufficientInstanceCapacity", text)).status(500))
}

/// The subnet that a request means: the one it names, or the default one of its zone, or of the first zone that is whole.
fn subnet(
    view: &View<'_>,
    input: &RunInstancesRequest,
    interface: Option<&InstanceNetworkInterfaceSpecification>,
) -> Answer<Subnet> {
    let attached = interface.and_then(|i| i.network_interface_id.as_ref());
    if let Some(attached) = attached {
        let subnet = &interfaces::interface(view, attached)?.subnet;
        return Ok(super::subnets::subnet(view, subnet)?.clone());
    }
    if let Some(id) = input.subnet_id.as_ref().or_else(|| interface.and_then(|i| i.subnet_id.as_ref())) {
        return Ok(super::subnets::subnet(view, id)?.clone());
    }
    let placement = input.placement.as_ref();
    let wanted = placement.and_then(|p| p.availability_zone.as_ref().or(p.availability_zone_id.as_ref()));
    let zone = match wanted {
        Some(wanted) => Some(
            Region::named(&view.scope.region)
                .and_then(|region| region.zone_name(wanted))
                .ok_or_else(|| Error::InvalidParameterValue(format!("Invalid availability zone: [{wanted}]")))?,
        ),
        None => None,
    };
    let default_vpc = view.list::<Vpc>().find(|vpc| vpc.is_default && !vpc.deleting).map(|vpc| &vpc.id);
    let mut candidates: Vec<&Subnet> = view
        .list::<Subnet>()
        .filter(|subnet| subnet.default_for_az && Some(&subnet.vpc) == default_vpc)
        .filter(|subnet| zone.as_ref().is_none_or(|zone| subnet.zone == *zone))
        .collect();
    candidates.sort_by_key(|subnet| (view.find::<ZoneOutage>(&subnet.zone).is_some(), subnet.zone.clone()));
    candidates.first().map(|subnet| (*subnet).clone()).ok_or_else(|| {
        let text = match zone {
            Some(zone) => format!("No default subnet for availability zone: '{zone}'."),
            None => {
                "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.".to_owned()
            }
        };
        Error::Coded("MissingInput", text).into()
    })
}

pub(crate) fn user_data(given: Option<&String>) -> Answer<Option<String>> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(None) };
    let compact: String = given.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let decoded = STANDARD
        .decode(&compact)
        .map_err(|_| Error::InvalidParameterValue("Invalid BASE64 encoding of user data.".to_owned()))?;
    if decoded.len() > MAX_USER_DATA {
        return Err(Error::InvalidParameterValue("User data is limited to 16384 bytes".to_owned()).into());
    }
    Ok(Some(compact))
}

fn metadata(given: Option<&InstanceMetadataOptionsRequest>, image: &images::Found) -> MetadataOptions {
    let given = given.cloned().unwrap_or_default();
    // AL2023's images ask for IMDSv2 themselves (their ImdsSupport is v2.0).
    let tokens = given.http_tokens.map_or(image.imds_v2, |tokens| tokens == HttpTokensState::Required);
    MetadataOptions {
        enabled: given.http_endpoint != Some(InstanceMetadataEndpointState::Disabled),
        token_required: tokens,
        hop_limit: given.http_put_response_hop_limit.unwrap_or(if image.imds_v2 { 2 } else { 1 }),
        tags: given.instance_metadata_tags == Some(InstanceMetadataTagsState::Enabled),
    }
}

fn start(tx: &mut Tx<'_>, input: &RunInstancesRequest, plan: &Plan, reservation: &str, index: i32) -> Answer<String> {
    let id = tx.id("i-");
    let given = plan.interface.as_ref();
    let interface = match given.and_then(|i| i.network_interface_id.as_ref()) {
        Some(existing) => {
            let own = interfaces::interface(&tx.view(), existing)?;
            interfaces::refuse_requester_managed(tx, own)?;
            if own.attachment.is_some() || plan.count > 1 {
                let text = format!("Network interface '{existing}' is already in use.");
                return Err(Error::Coded("InvalidNetworkInterface.InUse", text).into());
            }
            own.id.clone()
        }
        None => {
            let given = given.cloned().unwrap_or_default();
            let given = InstanceNetworkInterfaceSpecification {
                subnet_id: Some(plan.subnet.id.clone()),
                private_ip_address: input.private_ip_address.clone().or(given.private_ip_address),
                groups: plan.groups.clone(),
                ..given
            };
            let interface = make_interface(tx, input, plan, &given)?;
            if plan.public_ip {
                interfaces::give_public(tx, &interface.id)?;
            }
            interface.id
        }
    };
    let created = given.and_then(|i| i.network_interface_id.as_ref()).is_none();
    interfaces::attach_primary(tx, &interface, &id, given.and_then(|i| i.delete_on_termination).unwrap_or(created));
    let volume = Volume {
        id: tx.id("vol-"),
        instance: id.clone(),
        zone: plan.subnet.zone.clone(),
        size: plan.volume_size,
        kind: plan.volume_kind.clone(),
        delete_on_termination: plan.delete_volume,
        created: tx.now,
        tags: specified(tx, &input.tag_specifications, "volume", TAGGABLE)?,
    };
    let volume_id = volume.id.clone();
    tx.put(volume);
    let profile = input.iam_instance_profile.as_ref().and_then(|profile| super::profiles::arn(tx, profile));
    let mut tags = specified(tx, &input.tag_specifications, "instance", TAGGABLE)?;
    tags.extend(plan.own_tags.clone());
    let instance = Instance {
        id: id.clone(),
        reservation: reservation.to_owned(),
        launch_index: index,
        image: plan.image.id.clone(),
        root_device: plan.image.root_device.clone(),
        instance_type: plan.instance_type.name.to_owned(),
        key_name: input.key_name.clone(),
        public_key: plan.public_key.clone(),
        zone: plan.subnet.zone.clone(),
        vpc: plan.subnet.vpc.clone(),
        subnet: plan.subnet.id.clone(),
        interface,
        more_interfaces: Vec::new(),
        volume: volume_id,
        state: InstanceState::Pending,
        status: Status::Ok,
        failure: None,
        trouble: None,
        generation: 1,
        stop_forced: false,
        launched: tx.now,
        reason: None,
        terminated: None,
        user_data: plan.user_data.clone(),
        monitoring: input.monitoring.as_ref().is_some_and(|monitoring| monitoring.enabled),
        ebs_optimized: input.ebs_optimized.unwrap_or(false),
        termination_protection: input.disable_api_termination.unwrap_or(false),
        stop_protection: input.disable_api_stop.unwrap_or(false),
        terminate_on_shutdown: input.instance_initiated_shutdown_behavior == Some(ShutdownBehavior::Terminate),
        profile,
        metadata: plan.metadata.clone(),
        credits: input.credit_specification.as_ref().map(|credits| credits.cpu_credits.clone()),
        client_token: input.client_token.clone().unwrap_or_default(),
        tags,
    };
    tx.put(instance.clone());
    for more in &plan.more {
        attach_more(tx, input, plan, &instance, more)?;
    }
    Ok(id)
}

/// Makes an interface that a launch describes, with as many addresses as the instance's type has room for.
fn make_interface(
    tx: &mut Tx<'_>,
    input: &RunInstancesRequest,
    plan: &Plan,
    given: &InstanceNetworkInterfaceSpecification,
) -> Answer<Interface> {
    let asked = interfaces::Addresses::of(
        given.private_ip_address.as_ref(),
        &given.private_ip_addresses,
        given.secondary_private_ip_address_count,
    );
    let new = interfaces::New {
        subnet: given.subnet_id.clone().unwrap_or_else(|| plan.subnet.id.clone()),
        description: given.description.clone().unwrap_or_default(),
        private_ip: asked.primary,
        groups: given.groups.clone(),
        tags: specified(tx, &input.tag_specifications, "network-interface", TAGGABLE)?,
    };
    let interface = interfaces::make(tx, new)?;
    let most = usize::try_from(plan.instance_type.interfaces.1).unwrap_or(1);
    super::attachments::add(tx, &interface, &asked.more, false, Some(most))?;
    Ok(interface)
}

/// Makes, or takes, one more interface that a launch describes, and attaches it.
fn attach_more(
    tx: &mut Tx<'_>,
    input: &RunInstancesRequest,
    plan: &Plan,
    instance: &Instance,
    given: &InstanceNetworkInterfaceSpecification,
) -> Answer<()> {
    let interface = match &given.network_interface_id {
        Some(existing) => interfaces::interface(&tx.view(), existing)?.clone(),
        None => make_interface(tx, input, plan, given)?,
    };
    let goes = given.delete_on_termination.unwrap_or(given.network_interface_id.is_none());
    super::attachments::attach_at(tx, &interface, instance, given.device_index.unwrap_or_default(), goes).map(drop)
}

/// Whether an interface's public address goes when its instance stops: one of its own does, an Elastic IP stays.
pub(crate) fn drop_launch_address(tx: &mut Tx<'_>, interface: &str) {
    let own = |public: &PublicAddress| public.allocation.is_none();
    if tx.get::<Interface>(interface).is_some_and(|interface| interface.public.as_ref().is_some_and(own)) {
        tx.update::<Interface, _>(interface, |interface| interface.public = None);
    }
}

/// The instance type's facts, for those who have checked it before.
pub(crate) fn type_of(instance: &Instance) -> Option<&'static InstanceType> {
    InstanceType::named(&instance.instance_type).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_is_base64_of_16_kib_at_most() {
        assert_eq!(user_data(Some(&"aGk=".to_owned())).unwrap().as_deref(), Some("aGk="));
        assert_eq!(user_data(Some(&"!".to_owned())).unwrap_err().code, "InvalidParameterValue");
        let long = STANDARD.encode(vec![0; MAX_USER_DATA + 1]);
        assert!(user_data(Some(&long)).is_err());
    }
}
