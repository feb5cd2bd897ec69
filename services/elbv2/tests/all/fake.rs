//! What stands around the service in these tests: an EC2 with a few subnets and the handful of operations that load balancers call,
//! a world that only takes notes, and a clock that stands still.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zonal_balancer::config::BalancerConfig;
use zonal_cloud::{CloudConfig, Entry, Record, Registrar, Service, Tx, View, read, write};
use zonal_ec2::shapes::{self as ec2, ops};
use zonal_elbv2::Elbv2;
use zonal_elbv2::model::Told;
use zonal_substrate::{Ask, Report, ZoneTable};
use zonal_testbed::{Notes, START, TestClock, Testbed, in_memory};
use zonal_wire::{Api, AwsError, Blob, Operation};

/// Four subnets of one VPC with an internet gateway, two of another without.
pub const SUBNETS: [(&str, &str, &str, &str); 6] = [
    ("subnet-a", "us-east-1a", "vpc-1", "10.0.0.0/24"),
    ("subnet-b", "us-east-1b", "vpc-1", "10.0.1.0/24"),
    ("subnet-c", "us-east-1c", "vpc-1", "10.0.2.0/24"),
    ("subnet-a2", "us-east-1a", "vpc-1", "10.0.3.0/24"),
    ("subnet-x", "us-east-1a", "vpc-2", "10.1.0.0/24"),
    ("subnet-y", "us-east-1b", "vpc-2", "10.1.1.0/24"),
];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Instance {
    id: String,
    state: String,
    subnet: String,
    address: String,
}

impl Record for Instance {
    const TABLE: &'static str = "ec2.instance";
    fn key(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    pub id: String,
    pub groups: Vec<String>,
    pub description: String,
    pub by_service: bool,
    pub subnet: String,
    pub address: String,
}

impl Record for Interface {
    const TABLE: &'static str = "ec2.network_interface";
    fn key(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    pub id: String,
    pub interface: Option<String>,
}

impl Record for Address {
    const TABLE: &'static str = "ec2.address";
    fn key(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Outage {
    zone: String,
}

impl Record for Outage {
    const TABLE: &'static str = "ec2.zone_outage";
    fn key(&self) -> &str {
        &self.zone
    }
}

struct FakeEc2;

impl Service for FakeEc2 {
    fn name(&self) -> &'static str {
        "ec2"
    }

    fn api(&self) -> &'static Api {
        &ec2::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![
            read::<ops::DescribeSubnets>(subnets),
            read::<ops::DescribeSecurityGroups>(groups),
            read::<ops::DescribeInternetGateways>(gateways),
            read::<ops::DescribeVpcs>(vpcs),
            read::<ops::DescribeInstances>(instances),
            read::<ops::DescribeAvailabilityZones>(zones),
            write::<ops::RunInstances>(run),
            write::<ops::StopInstances>(|tx, input| {
                set_state(tx, &input.instance_ids, "stopped").map(|()| Default::default())
            }),
            write::<ops::StartInstances>(|tx, input| {
                set_state(tx, &input.instance_ids, "running").map(|()| Default::default())
            }),
            write::<ops::TerminateInstances>(|tx, input| {
                set_state(tx, &input.instance_ids, "terminated").map(|()| Default::default())
            }),
            write::<ops::CreateNetworkInterface>(create_interface),
            read::<ops::DescribeNetworkInterfaces>(interfaces),
            write::<ops::DeleteNetworkInterface>(|tx, input| {
                tx.remove::<Interface>(&input.network_interface_id);
                Ok(Default::default())
            }),
            write::<ops::ModifyNetworkInterfaceAttribute>(|tx, input| {
                tx.update(&input.network_interface_id, |found: &mut Interface| found.groups.clone_from(&input.groups));
                Ok(Default::default())
            }),
            write::<ops::AllocateAddress>(allocate),
            write::<ops::AssociateAddress>(associate),
            write::<ops::DisassociateAddress>(|_, _| Ok(Default::default())),
            write::<ops::ReleaseAddress>(|tx, input| {
                tx.remove::<Address>(input.allocation_id.as_deref().unwrap_or_default());
                Ok(Default::default())
            }),
            // Here it stands for a zone that is cut off, or for a subnet that is full: the tags' resource is what it is.
            write::<ops::CreateTags>(|tx, input| {
                tx.put(Outage { zone: input.resources[0].clone() });
                Ok(Default::default())
            }),
            write::<ops::DeleteTags>(|tx, input| {
                tx.remove::<Outage>(&input.resources[0]);
                Ok(Default::default())
            }),
        ]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<Instance>();
        registrar.record::<Interface>();
        registrar.record::<Address>();
        registrar.record::<Outage>();
    }
}

fn wanted(filters: &[ec2::Filter], name: &str, own: &str) -> bool {
    filters
        .iter()
        .filter(|filter| filter.name.as_deref() == Some(name))
        .all(|filter| filter.values.iter().any(|v| v == own))
}

fn subnets(_: &View<'_>, input: &ec2::DescribeSubnetsRequest) -> Result<ec2::DescribeSubnetsResult, AwsError> {
    if let Some(unknown) = input.subnet_ids.iter().find(|id| SUBNETS.iter().all(|(known, ..)| known != id)) {
        return Err(AwsError::client("InvalidSubnetID.NotFound", format!("The subnet ID '{unknown}' does not exist")));
    }
    let found = SUBNETS.iter().filter(|(id, _, vpc, _)| {
        input.subnet_ids.is_empty()
            || input.subnet_ids.iter().any(|asked| asked == id) && wanted(&input.filters, "vpc-id", vpc)
    });
    let subnets = found.map(|(id, zone, vpc, cidr)| ec2::Subnet {
        subnet_id: Some((*id).into()),
        availability_zone: Some((*zone).into()),
        vpc_id: Some((*vpc).into()),
        cidr_block: Some((*cidr).into()),
        available_ip_address_count: Some(250),
        ..Default::default()
    });
    Ok(ec2::DescribeSubnetsResult { subnets: subnets.collect(), ..Default::default() })
}

fn groups(
    _: &View<'_>,
    input: &ec2::DescribeSecurityGroupsRequest,
) -> Result<ec2::DescribeSecurityGroupsResult, AwsError> {
    let all = [("sg-default", "default", "vpc-1"), ("sg-web", "web", "vpc-1"), ("sg-far", "far", "vpc-2")];
    if input.group_ids.iter().any(|id| all.iter().all(|(known, ..)| known != id)) {
        return Err(AwsError::client("InvalidGroup.NotFound", "The security group does not exist"));
    }
    let found = all.iter().filter(|(id, name, vpc)| {
        (input.group_ids.is_empty() || input.group_ids.iter().any(|asked| asked == id))
            && wanted(&input.filters, "vpc-id", vpc)
            && wanted(&input.filters, "group-name", name)
    });
    let security_groups = found.map(|(id, _, vpc)| ec2::SecurityGroup {
        group_id: Some((*id).into()),
        vpc_id: Some((*vpc).into()),
        ..Default::default()
    });
    Ok(ec2::DescribeSecurityGroupsResult { security_groups: security_groups.collect(), ..Default::default() })
}

fn gateways(
    _: &View<'_>,
    input: &ec2::DescribeInternetGatewaysRequest,
) -> Result<ec2::DescribeInternetGatewaysResult, AwsError> {
    let there = wanted(&input.filters, "attachment.vpc-id", "vpc-1");
    let internet_gateways = there.then(ec2::InternetGateway::default).into_iter().collect();
    Ok(ec2::DescribeInternetGatewaysResult { internet_gateways, ..Default::default() })
}

fn vpcs(_: &View<'_>, input: &ec2::DescribeVpcsRequest) -> Result<ec2::DescribeVpcsResult, AwsError> {
    let range = match input.vpc_ids[0].as_str() {
        "vpc-1" => "10.0.0.0/16",
        "vpc-2" => "10.1.0.0/16",
        other => return Err(AwsError::client("InvalidVpcID.NotFound", format!("The vpc ID '{other}' does not exist"))),
    };
    let vpc = ec2::Vpc { vpc_id: input.vpc_ids.first().cloned(), cidr_block: Some(range.into()), ..Default::default() };
    Ok(ec2::DescribeVpcsResult { vpcs: vec![vpc], ..Default::default() })
}

fn instances(view: &View<'_>, input: &ec2::DescribeInstancesRequest) -> Result<ec2::DescribeInstancesResult, AwsError> {
    let id = &input.instance_ids[0];
    let Some(found) = view.get::<Instance>(id) else {
        return Err(AwsError::client("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist")));
    };
    let (_, zone, vpc, _) = SUBNETS.iter().find(|(subnet, ..)| *subnet == found.subnet).expect("one of ours");
    let instance = ec2::Instance {
        instance_id: Some(found.id.clone()),
        state: Some(ec2::InstanceState { name: found.state.parse().ok(), ..Default::default() }),
        placement: Some(ec2::Placement { availability_zone: Some((*zone).into()), ..Default::default() }),
        vpc_id: Some((*vpc).into()),
        private_ip_address: (found.state != "terminated").then(|| found.address.clone()),
        ..Default::default()
    };
    let reservation = ec2::Reservation { instances: vec![instance], ..Default::default() };
    Ok(ec2::DescribeInstancesResult { reservations: vec![reservation], ..Default::default() })
}

fn zones(
    view: &View<'_>,
    _: &ec2::DescribeAvailabilityZonesRequest,
) -> Result<ec2::DescribeAvailabilityZonesResult, AwsError> {
    let zone = |name: &str| ec2::AvailabilityZone {
        zone_name: Some(name.into()),
        state: Some(if view.get::<Outage>(name).is_some() {
            ec2::AvailabilityZoneState::Unavailable
        } else {
            ec2::AvailabilityZoneState::Available
        }),
        ..Default::default()
    };
    let availability_zones = ["us-east-1a", "us-east-1b", "us-east-1c"].map(zone).into();
    Ok(ec2::DescribeAvailabilityZonesResult { availability_zones })
}

/// Runs an instance whose id is the client token.
fn run(tx: &mut Tx<'_>, input: &ec2::RunInstancesRequest) -> Result<ec2::Reservation, AwsError> {
    let number = tx.list::<Instance>().count() + 100;
    tx.put(Instance {
        id: input.client_token.clone().unwrap_or_default(),
        state: "running".into(),
        subnet: input.subnet_id.clone().unwrap_or_default(),
        address: format!("10.0.0.{number}"),
    });
    Ok(Default::default())
}

fn set_state(tx: &mut Tx<'_>, ids: &[String], state: &str) -> Result<(), AwsError> {
    for id in ids {
        tx.update(id, |instance: &mut Instance| state.clone_into(&mut instance.state));
    }
    Ok(())
}

fn create_interface(
    tx: &mut Tx<'_>,
    input: &ec2::CreateNetworkInterfaceRequest,
) -> Result<ec2::CreateNetworkInterfaceResult, AwsError> {
    if tx.get::<Outage>(&input.subnet_id).is_some() {
        let text = format!("{} has no free address", input.subnet_id);
        return Err(AwsError::client("InsufficientFreeAddressesInSubnet", text));
    }
    let number = tx.list::<Interface>().count() + 10;
    let address = input.private_ip_address.clone().unwrap_or_else(|| format!("10.0.9.{number}"));
    let id = tx.id("eni-");
    tx.put(Interface {
        id: id.clone(),
        groups: input.groups.clone(),
        description: input.description.clone().unwrap_or_default(),
        by_service: tx.caller.is_service(),
        subnet: input.subnet_id.clone(),
        address: address.clone(),
    });
    let network_interface = ec2::NetworkInterface {
        network_interface_id: Some(id),
        private_ip_address: Some(address),
        ..Default::default()
    };
    Ok(ec2::CreateNetworkInterfaceResult { network_interface: Some(network_interface), ..Default::default() })
}

fn interfaces(
    view: &View<'_>,
    input: &ec2::DescribeNetworkInterfacesRequest,
) -> Result<ec2::DescribeNetworkInterfacesResult, AwsError> {
    let found = view.list::<Interface>().filter(|own| wanted(&input.filters, "subnet-id", &own.subnet));
    let network_interfaces =
        found.map(|own| ec2::NetworkInterface { private_ip_address: Some(own.address.clone()), ..Default::default() });
    Ok(ec2::DescribeNetworkInterfacesResult { network_interfaces: network_interfaces.collect(), ..Default::default() })
}

fn allocate(tx: &mut Tx<'_>, _: &ec2::AllocateAddressRequest) -> Result<ec2::AllocateAddressResult, AwsError> {
    let number = tx.list::<Address>().count() + 1;
    let id = tx.id("eipalloc-");
    tx.put(Address { id: id.clone(), interface: None });
    Ok(ec2::AllocateAddressResult {
        allocation_id: Some(id),
        public_ip: Some(format!("127.100.0.{number}")),
        ..Default::default()
    })
}

fn associate(tx: &mut Tx<'_>, input: &ec2::AssociateAddressRequest) -> Result<ec2::AssociateAddressResult, AwsError> {
    let id = input.allocation_id.clone().unwrap_or_default();
    tx.update(&id, |address: &mut Address| address.interface.clone_from(&input.network_interface_id));
    Ok(ec2::AssociateAddressResult { association_id: Some(tx.id("eipassoc-")) })
}

/// A cloud with this service and the EC2 above.
pub struct Bench {
    bed: Testbed,
    notes: Arc<Notes>,
}

impl Bench {
    pub fn new() -> Self {
        Self::at(None)
    }

    /// A cloud whose state is kept in a file, and may be there already.
    pub fn at(path: Option<&std::path::Path>) -> Self {
        let notes = Arc::new(Notes::default());
        let config = CloudConfig { path: path.map(ToOwned::to_owned), ..in_memory() };
        let services: Vec<Box<dyn Service>> = vec![Box::new(FakeEc2), Box::new(zonal_acm::Acm), Box::new(Elbv2)];
        let bed = Testbed::over(config, services, notes.clone(), None, TestClock::at(START));
        bed.cloud.run_due();
        Self { bed, notes }
    }

    /// Calls an operation as a user, and lets the controllers run.
    pub fn call<O: Operation>(&self, input: O::Input) -> Result<O::Output, AwsError> {
        self.call_of::<O>("elbv2", input)
    }

    /// Calls an operation of EC2's.
    pub fn ec2<O: Operation>(&self, input: O::Input) -> O::Output {
        self.call_of::<O>("ec2", input).unwrap()
    }

    /// Imports a certificate with a new key; answers its ARN.
    pub fn certificate(&self, name: &str) -> String {
        use zonal_acm::shapes::{ImportCertificateRequest, ops};
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let input = ImportCertificateRequest {
            certificate: Blob(made.cert.pem().into()),
            private_key: Blob(made.signing_key.serialize_pem().into()),
            ..Default::default()
        };
        self.call_of::<ops::ImportCertificate>("acm", input).unwrap().certificate_arn.unwrap()
    }

    /// What is stored of the configuration that a balancer was told.
    pub fn kept(&self, arn: &str) -> BalancerConfig {
        self.bed.cloud.view(&self.bed.scope, |view| view.get::<Told>(arn).unwrap().config.clone())
    }

    fn call_of<O: Operation>(&self, service: &'static str, input: O::Input) -> Result<O::Output, AwsError> {
        let output = self.bed.call::<O>(service, input)?;
        self.bed.cloud.run_due();
        Ok(output)
    }

    /// Tells the cloud what the world reports, and lets the controllers run.
    pub fn report(&self, report: &Report) {
        self.bed.cloud.report(report);
        self.bed.cloud.run_due();
    }

    /// Lets time pass, and the controllers run.
    pub fn pass(&self, time: Duration) {
        self.bed.clock.set(self.bed.now() + time);
        self.bed.cloud.run_due();
    }

    /// All that the world was asked, in order.
    pub fn asks(&self) -> Vec<Ask> {
        self.notes.asks()
    }

    /// The configuration that a balancer was asked last.
    pub fn told(&self, arn: &str) -> BalancerConfig {
        let of_it = |ask: Ask| match ask {
            Ask::PutBalancer(config) if config.id == arn => Some(*config),
            _ => None,
        };
        self.asks().into_iter().rev().find_map(of_it).expect("the balancer was told something")
    }

    /// The addresses that a name was last asked to lead to.
    pub fn addresses(&self, name: &str) -> Vec<String> {
        let mut zones: BTreeMap<String, ZoneTable> = BTreeMap::new();
        for ask in self.asks() {
            match ask {
                Ask::PutZone { zone, .. } => drop(zones.insert(zone.name.clone(), ZoneTable::new(*zone))),
                Ask::PutNames { zone, names, .. } => drop(zones.get_mut(&zone).expect("put whole first").put(names)),
                Ask::RemoveZone { name, .. } => drop(zones.remove(&name)),
                _ => {}
            }
        }
        zones.values().flat_map(|zone| zone.get(name)).flat_map(|set| set.values.clone()).collect()
    }

    /// EC2's records here.
    pub fn interfaces(&self) -> Vec<Interface> {
        self.bed.cloud.view(&self.bed.scope, |view| view.list::<Interface>().cloned().collect())
    }

    /// EC2's records here.
    pub fn public_addresses(&self) -> Vec<Address> {
        self.bed.cloud.view(&self.bed.scope, |view| view.list::<Address>().cloned().collect())
    }

    /// Starts an instance of that id.
    pub fn run_instance(&self, id: &str, subnet: &str) {
        self.ec2::<ops::RunInstances>(ec2::RunInstancesRequest {
            client_token: Some(id.into()),
            subnet_id: Some(subnet.into()),
            ..Default::default()
        });
    }
}
