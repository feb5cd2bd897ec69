//! The operation table: what is implemented, and how each is called.

use crate::errors::Error;
use crate::operations::*;
use crate::shapes::ops;
use std::time::Duration;
use zonal_cloud::{Entry, Tx, ask, read, write};
use zonal_wire::{AwsError, Operation};

/// How long a Describe waits for what it names to leave a transition.
const SETTLE: Duration = Duration::from_secs(1);
/// The code of a client token that was used for something else.
const MISMATCH: &str = "IdempotentParameterMismatch";
/// So many ASCII characters a client token has at most, of all operations and of those of launch templates.
const TOKEN: usize = 64;
const TEMPLATE_TOKEN: usize = 128;

/// Parameters that are accepted but have no effect: (operation, parameter, why).
pub(crate) const WITHOUT_EFFECT: &[(&str, &str, &str)] = &[
    (
        "RunInstances",
        "BlockDeviceMappings",
        "the root volume's size, type and deletion are kept; other devices are not made",
    ),
    (
        "RunInstances",
        "EbsOptimized, CpuOptions, HibernationOptions, EnclaveOptions, MaintenanceOptions, NetworkPerformanceOptions, \
         LicenseSpecifications, Operator, AdditionalInfo, ElasticGpuSpecification, ElasticInferenceAccelerators, \
         MetadataOptions.HttpProtocolIpv6",
        "nothing here to set",
    ),
    (
        "RunInstances",
        "Placement.Tenancy, Placement.GroupName, Placement.GroupId, Placement.PartitionNumber, Placement.Affinity, \
         Placement.SpreadDomain",
        "every instance shares the machine",
    ),
    ("RunInstances", "CapacityReservationSpecification.CapacityReservationPreference", "there are no reservations"),
    ("RunInstances", "PrivateDnsNameOptions", "names are by address"),
    (
        "RunInstances",
        "NetworkInterfaces.InterfaceType, NetworkInterfaces.EnaSrdSpecification, \
         NetworkInterfaces.ConnectionTrackingSpecification, NetworkInterfaces.EnaQueueCount",
        "every interface is of one kind; tracking is the kernel's",
    ),
    ("CreateNetworkInterface", "InterfaceType, ConnectionTrackingSpecification, Operator", "as in RunInstances"),
    ("ModifyInstanceAttribute", "EnaSupport, SriovNetSupport", "shown as they are on AWS's current types, always"),
    ("RunInstances", "IamInstanceProfile", "kept and shown; credentials are not given out"),
    ("AssociateIamInstanceProfile", "IamInstanceProfile", "as RunInstances has it"),
    ("ModifyVpcAttribute", "EnableNetworkAddressUsageMetrics", "kept and shown; there are no such metrics"),
    ("ModifySubnetAttribute", "EnableResourceNameDnsARecordOnLaunch", "kept and shown; names are by address"),
    ("CreateVpc", "InstanceTenancy, Ipv6 and IPAM parameters", "IPv4 only; no pools"),
    ("AllocateAddress", "PublicIpv4Pool, NetworkBorderGroup", "one pool per world"),
    ("CreateImage", "BlockDeviceMappings", "the root volume's size is the instance's"),
    (
        "DescribeInstanceTypes",
        "the table",
        "56 common types of the families t2, t3, t3a, t4g, m4 to m7i, c5 to c7i, r5, r6i",
    ),
];

/// What is implemented.
pub(crate) fn operations() -> Vec<Entry> {
    vec![
        read::<ops::DescribeRegions>(account::regions).dry_run::<ops::DescribeRegions>(|input| input.dry_run),
        read::<ops::DescribeAvailabilityZones>(account::zones)
            .dry_run::<ops::DescribeAvailabilityZones>(|input| input.dry_run),
        read::<ops::DescribeAccountAttributes>(account::attributes)
            .dry_run::<ops::DescribeAccountAttributes>(|input| input.dry_run),
        read::<ops::DescribeDhcpOptions>(account::dhcp_options)
            .dry_run::<ops::DescribeDhcpOptions>(|input| input.dry_run),
        read::<ops::DescribeNatGateways>(absent::nat_gateways)
            .dry_run::<ops::DescribeNatGateways>(|input| input.dry_run),
        read::<ops::DescribeVpcEndpoints>(absent::vpc_endpoints)
            .dry_run::<ops::DescribeVpcEndpoints>(|input| input.dry_run),
        read::<ops::DescribePrefixLists>(absent::prefix_lists)
            .dry_run::<ops::DescribePrefixLists>(|input| input.dry_run),
        read::<ops::DescribeVpcPeeringConnections>(absent::peerings)
            .dry_run::<ops::DescribeVpcPeeringConnections>(|input| input.dry_run),
        read::<ops::DescribeEgressOnlyInternetGateways>(absent::egress_only_gateways)
            .dry_run::<ops::DescribeEgressOnlyInternetGateways>(|input| input.dry_run),
        read::<ops::DescribeVpnGateways>(absent::vpn_gateways)
            .dry_run::<ops::DescribeVpnGateways>(|input| input.dry_run),
        read::<ops::DescribeFlowLogs>(absent::flow_logs).dry_run::<ops::DescribeFlowLogs>(|input| input.dry_run),
        read::<ops::DescribeVpcClassicLink>(absent::classic_link)
            .dry_run::<ops::DescribeVpcClassicLink>(|input| input.dry_run),
        read::<ops::DescribeVpcClassicLinkDnsSupport>(absent::classic_link_dns),
        once::<ops::CreateNetworkAcl>(acls::create, |input| input.client_token.as_deref(), TOKEN)
            .dry_run::<ops::CreateNetworkAcl>(|input| input.dry_run),
        read::<ops::DescribeNetworkAcls>(acls::describe).dry_run::<ops::DescribeNetworkAcls>(|input| input.dry_run),
        write::<ops::CreateNetworkAclEntry>(acls::create_entry)
            .dry_run::<ops::CreateNetworkAclEntry>(|input| input.dry_run),
        write::<ops::DeleteNetworkAclEntry>(acls::delete_entry)
            .dry_run::<ops::DeleteNetworkAclEntry>(|input| input.dry_run),
        write::<ops::ReplaceNetworkAclEntry>(acls::replace_entry)
            .dry_run::<ops::ReplaceNetworkAclEntry>(|input| input.dry_run),
        write::<ops::DeleteNetworkAcl>(acls::delete).dry_run::<ops::DeleteNetworkAcl>(|input| input.dry_run),
        write::<ops::ReplaceNetworkAclAssociation>(acls::replace_association)
            .dry_run::<ops::ReplaceNetworkAclAssociation>(|input| input.dry_run),
        write::<ops::AllocateAddress>(addresses::allocate).dry_run::<ops::AllocateAddress>(|input| input.dry_run),
        write::<ops::AssociateAddress>(addresses::associate).dry_run::<ops::AssociateAddress>(|input| input.dry_run),
        write::<ops::DisassociateAddress>(addresses::disassociate)
            .dry_run::<ops::DisassociateAddress>(|input| input.dry_run),
        write::<ops::ReleaseAddress>(addresses::release).dry_run::<ops::ReleaseAddress>(|input| input.dry_run),
        read::<ops::DescribeAddresses>(addresses::describe).dry_run::<ops::DescribeAddresses>(|input| input.dry_run),
        read::<ops::DescribeAddressesAttribute>(addresses::describe_attribute)
            .dry_run::<ops::DescribeAddressesAttribute>(|input| input.dry_run),
        read::<ops::DescribeInstanceAttribute>(attributes::describe)
            .dry_run::<ops::DescribeInstanceAttribute>(|input| input.dry_run),
        write::<ops::ModifyInstanceAttribute>(attributes::modify)
            .dry_run::<ops::ModifyInstanceAttribute>(|input| input.dry_run),
        write::<ops::ResetInstanceAttribute>(attributes::reset)
            .dry_run::<ops::ResetInstanceAttribute>(|input| input.dry_run),
        write::<ops::ModifyInstanceMetadataOptions>(attributes::modify_metadata)
            .dry_run::<ops::ModifyInstanceMetadataOptions>(|input| input.dry_run),
        read::<ops::DescribeInstanceCreditSpecifications>(attributes::describe_credits)
            .dry_run::<ops::DescribeInstanceCreditSpecifications>(|input| input.dry_run),
        write::<ops::ModifyInstanceCreditSpecification>(attributes::modify_credits)
            .dry_run::<ops::ModifyInstanceCreditSpecification>(|input| input.dry_run),
        write::<ops::MonitorInstances>(attributes::monitor).dry_run::<ops::MonitorInstances>(|input| input.dry_run),
        write::<ops::UnmonitorInstances>(attributes::unmonitor)
            .dry_run::<ops::UnmonitorInstances>(|input| input.dry_run),
        write::<ops::CreateInternetGateway>(gateways::create)
            .dry_run::<ops::CreateInternetGateway>(|input| input.dry_run),
        read::<ops::DescribeInternetGateways>(gateways::describe)
            .dry_run::<ops::DescribeInternetGateways>(|input| input.dry_run),
        write::<ops::AttachInternetGateway>(gateways::attach)
            .dry_run::<ops::AttachInternetGateway>(|input| input.dry_run),
        write::<ops::DetachInternetGateway>(gateways::detach)
            .dry_run::<ops::DetachInternetGateway>(|input| input.dry_run),
        write::<ops::DeleteInternetGateway>(gateways::delete)
            .dry_run::<ops::DeleteInternetGateway>(|input| input.dry_run),
        write::<ops::CreateSecurityGroup>(groups::create).dry_run::<ops::CreateSecurityGroup>(|input| input.dry_run),
        read::<ops::DescribeSecurityGroups>(groups::describe)
            .dry_run::<ops::DescribeSecurityGroups>(|input| input.dry_run),
        read::<ops::DescribeSecurityGroupRules>(rules::describe)
            .dry_run::<ops::DescribeSecurityGroupRules>(|input| input.dry_run),
        write::<ops::DeleteSecurityGroup>(groups::delete)
            .settles::<ops::DeleteSecurityGroup>(SETTLE, groups::leaving)
            .dry_run::<ops::DeleteSecurityGroup>(|input| input.dry_run),
        write::<ops::AuthorizeSecurityGroupIngress>(rules::authorize_ingress)
            .dry_run::<ops::AuthorizeSecurityGroupIngress>(|input| input.dry_run),
        write::<ops::AuthorizeSecurityGroupEgress>(rules::authorize_egress)
            .dry_run::<ops::AuthorizeSecurityGroupEgress>(|input| input.dry_run),
        write::<ops::RevokeSecurityGroupIngress>(rules::revoke_ingress)
            .dry_run::<ops::RevokeSecurityGroupIngress>(|input| input.dry_run),
        write::<ops::RevokeSecurityGroupEgress>(rules::revoke_egress)
            .dry_run::<ops::RevokeSecurityGroupEgress>(|input| input.dry_run),
        write::<ops::ModifySecurityGroupRules>(rule_changes::modify)
            .dry_run::<ops::ModifySecurityGroupRules>(|input| input.dry_run),
        write::<ops::UpdateSecurityGroupRuleDescriptionsIngress>(rule_changes::describe_ingress)
            .dry_run::<ops::UpdateSecurityGroupRuleDescriptionsIngress>(|input| input.dry_run),
        write::<ops::UpdateSecurityGroupRuleDescriptionsEgress>(rule_changes::describe_egress)
            .dry_run::<ops::UpdateSecurityGroupRuleDescriptionsEgress>(|input| input.dry_run),
        read::<ops::DescribeImages>(images::describe)
            .settles::<ops::DescribeImages>(SETTLE, images::unsettled)
            .dry_run::<ops::DescribeImages>(|input| input.dry_run),
        write::<ops::CreateImage>(images::create).dry_run::<ops::CreateImage>(|input| input.dry_run),
        write::<ops::DeregisterImage>(images::deregister).dry_run::<ops::DeregisterImage>(|input| input.dry_run),
        read::<ops::DescribeImageAttribute>(images::describe_attribute)
            .dry_run::<ops::DescribeImageAttribute>(|input| input.dry_run),
        read::<ops::DescribeInstances>(instances::describe)
            .settles::<ops::DescribeInstances>(SETTLE, instances::unsettled)
            .dry_run::<ops::DescribeInstances>(|input| input.dry_run),
        write::<ops::StartInstances>(instances::start).dry_run::<ops::StartInstances>(|input| input.dry_run),
        write::<ops::StopInstances>(instances::stop).dry_run::<ops::StopInstances>(|input| input.dry_run),
        write::<ops::RebootInstances>(instances::reboot).dry_run::<ops::RebootInstances>(|input| input.dry_run),
        write::<ops::TerminateInstances>(instances::terminate)
            .dry_run::<ops::TerminateInstances>(|input| input.dry_run),
        ask::<ops::GetConsoleOutput>(instances::console).dry_run::<ops::GetConsoleOutput>(|input| input.dry_run),
        once::<ops::CreateNetworkInterface>(interfaces::create, |input| input.client_token.as_deref(), TOKEN)
            .dry_run::<ops::CreateNetworkInterface>(|input| input.dry_run),
        write::<ops::AttachNetworkInterface>(attachments::attach)
            .dry_run::<ops::AttachNetworkInterface>(|input| input.dry_run),
        write::<ops::DetachNetworkInterface>(attachments::detach)
            .dry_run::<ops::DetachNetworkInterface>(|input| input.dry_run),
        write::<ops::AssignPrivateIpAddresses>(attachments::assign),
        write::<ops::UnassignPrivateIpAddresses>(attachments::unassign),
        read::<ops::DescribeIamInstanceProfileAssociations>(profiles::describe),
        write::<ops::AssociateIamInstanceProfile>(profiles::associate),
        write::<ops::DisassociateIamInstanceProfile>(profiles::disassociate),
        write::<ops::ReplaceIamInstanceProfileAssociation>(profiles::replace),
        read::<ops::DescribeNetworkInterfaces>(interfaces::describe)
            .settles::<ops::DescribeNetworkInterfaces>(SETTLE, interfaces::unsettled)
            .dry_run::<ops::DescribeNetworkInterfaces>(|input| input.dry_run),
        write::<ops::DeleteNetworkInterface>(interfaces::delete)
            .dry_run::<ops::DeleteNetworkInterface>(|input| input.dry_run),
        read::<ops::DescribeNetworkInterfaceAttribute>(interfaces::describe_attribute)
            .dry_run::<ops::DescribeNetworkInterfaceAttribute>(|input| input.dry_run),
        write::<ops::ModifyNetworkInterfaceAttribute>(interfaces::modify_attribute)
            .dry_run::<ops::ModifyNetworkInterfaceAttribute>(|input| input.dry_run),
        write::<ops::ResetNetworkInterfaceAttribute>(interfaces::reset_attribute)
            .dry_run::<ops::ResetNetworkInterfaceAttribute>(|input| input.dry_run),
        read::<ops::DescribeSnapshots>(snapshots::describe).dry_run::<ops::DescribeSnapshots>(|input| input.dry_run),
        write::<ops::DeleteSnapshot>(snapshots::delete).dry_run::<ops::DeleteSnapshot>(|input| input.dry_run),
        write::<ops::ModifyImageAttribute>(images::modify_attribute)
            .dry_run::<ops::ModifyImageAttribute>(|input| input.dry_run),
        write::<ops::CreateKeyPair>(keys::create).dry_run::<ops::CreateKeyPair>(|input| input.dry_run),
        write::<ops::ImportKeyPair>(keys::import).dry_run::<ops::ImportKeyPair>(|input| input.dry_run),
        read::<ops::DescribeKeyPairs>(keys::describe).dry_run::<ops::DescribeKeyPairs>(|input| input.dry_run),
        write::<ops::DeleteKeyPair>(keys::delete).dry_run::<ops::DeleteKeyPair>(|input| input.dry_run),
        once::<ops::CreateRouteTable>(routes::create, |input| input.client_token.as_deref(), TOKEN)
            .dry_run::<ops::CreateRouteTable>(|input| input.dry_run),
        read::<ops::DescribeRouteTables>(routes::describe).dry_run::<ops::DescribeRouteTables>(|input| input.dry_run),
        write::<ops::DeleteRouteTable>(routes::delete).dry_run::<ops::DeleteRouteTable>(|input| input.dry_run),
        write::<ops::CreateRoute>(routes::create_route).dry_run::<ops::CreateRoute>(|input| input.dry_run),
        write::<ops::ReplaceRoute>(routes::replace_route).dry_run::<ops::ReplaceRoute>(|input| input.dry_run),
        write::<ops::DeleteRoute>(routes::delete_route).dry_run::<ops::DeleteRoute>(|input| input.dry_run),
        write::<ops::AssociateRouteTable>(routes::associate).dry_run::<ops::AssociateRouteTable>(|input| input.dry_run),
        write::<ops::DisassociateRouteTable>(routes::disassociate)
            .dry_run::<ops::DisassociateRouteTable>(|input| input.dry_run),
        write::<ops::ReplaceRouteTableAssociation>(routes::replace_association)
            .dry_run::<ops::ReplaceRouteTableAssociation>(|input| input.dry_run),
        once::<ops::RunInstances>(run::run, |input| input.client_token.as_deref(), TOKEN)
            .dry_run::<ops::RunInstances>(|input| input.dry_run),
        read::<ops::DescribeInstanceStatus>(status::describe)
            .settles::<ops::DescribeInstanceStatus>(SETTLE, status::unsettled)
            .dry_run::<ops::DescribeInstanceStatus>(|input| input.dry_run),
        write::<ops::CreateSubnet>(subnets::create).dry_run::<ops::CreateSubnet>(|input| input.dry_run),
        read::<ops::DescribeSubnets>(subnets::describe).dry_run::<ops::DescribeSubnets>(|input| input.dry_run),
        write::<ops::DeleteSubnet>(subnets::delete)
            .settles::<ops::DeleteSubnet>(SETTLE, subnets::leaving)
            .dry_run::<ops::DeleteSubnet>(|input| input.dry_run),
        write::<ops::ModifySubnetAttribute>(subnets::modify_attribute),
        write::<ops::CreateTags>(tags::create).dry_run::<ops::CreateTags>(|input| input.dry_run),
        write::<ops::DeleteTags>(tags::delete).dry_run::<ops::DeleteTags>(|input| input.dry_run),
        read::<ops::DescribeTags>(tags::describe).dry_run::<ops::DescribeTags>(|input| input.dry_run),
        once::<ops::CreateLaunchTemplate>(templates::create, |input| input.client_token.as_deref(), TEMPLATE_TOKEN)
            .dry_run::<ops::CreateLaunchTemplate>(|input| input.dry_run),
        once::<ops::CreateLaunchTemplateVersion>(
            templates::create_version,
            |input| input.client_token.as_deref(),
            TEMPLATE_TOKEN,
        )
        .dry_run::<ops::CreateLaunchTemplateVersion>(|input| input.dry_run),
        read::<ops::DescribeLaunchTemplates>(templates::describe)
            .dry_run::<ops::DescribeLaunchTemplates>(|input| input.dry_run),
        read::<ops::DescribeLaunchTemplateVersions>(templates::describe_versions)
            .dry_run::<ops::DescribeLaunchTemplateVersions>(|input| input.dry_run),
        once::<ops::ModifyLaunchTemplate>(templates::modify, |input| input.client_token.as_deref(), TEMPLATE_TOKEN)
            .dry_run::<ops::ModifyLaunchTemplate>(|input| input.dry_run),
        write::<ops::DeleteLaunchTemplate>(templates::delete)
            .dry_run::<ops::DeleteLaunchTemplate>(|input| input.dry_run),
        write::<ops::DeleteLaunchTemplateVersions>(templates::delete_versions)
            .dry_run::<ops::DeleteLaunchTemplateVersions>(|input| input.dry_run),
        read::<ops::DescribeInstanceTypes>(types::describe)
            .dry_run::<ops::DescribeInstanceTypes>(|input| input.dry_run),
        read::<ops::DescribeInstanceTypeOfferings>(types::offerings)
            .dry_run::<ops::DescribeInstanceTypeOfferings>(|input| input.dry_run),
        read::<ops::DescribeVolumes>(volumes::describe).dry_run::<ops::DescribeVolumes>(|input| input.dry_run),
        read::<ops::DescribeVolumeStatus>(volumes::describe_status)
            .dry_run::<ops::DescribeVolumeStatus>(|input| input.dry_run),
        write::<ops::CreateVpc>(vpcs::create).dry_run::<ops::CreateVpc>(|input| input.dry_run),
        write::<ops::CreateDefaultVpc>(vpcs::create_default).dry_run::<ops::CreateDefaultVpc>(|input| input.dry_run),
        read::<ops::DescribeVpcs>(vpcs::describe).dry_run::<ops::DescribeVpcs>(|input| input.dry_run),
        write::<ops::DeleteVpc>(vpcs::delete).dry_run::<ops::DeleteVpc>(|input| input.dry_run),
        write::<ops::ModifyVpcAttribute>(vpcs::modify_attribute),
        read::<ops::DescribeVpcAttribute>(vpcs::describe_attribute)
            .dry_run::<ops::DescribeVpcAttribute>(|input| input.dry_run),
    ]
}

/// An operation that writes, once for each client token.
fn once<O: Operation>(
    handler: fn(&mut Tx<'_>, &O::Input) -> Result<O::Output, AwsError>,
    token: fn(&O::Input) -> Option<&str>,
    longest: usize,
) -> Entry {
    let handler = move |tx: &mut Tx<'_>, input: &O::Input| {
        if token(input).is_some_and(|token| token.len() > longest || !token.is_ascii()) {
            let text =
                format!("Value for parameter clientToken is invalid. Expecting at most {longest} ASCII characters.");
            return Err(Error::InvalidParameterValue(text).into());
        }
        handler(tx, input)
    };
    write::<O>(handler).idempotent::<O>(token, MISMATCH)
}
