//! What networks and all beside machines can be filtered by. Source: the pages of the Describe operations in the EC2 API Reference.

use super::Names;

pub(in crate::operations) const NETWORK_INTERFACES: Names = &[
    ("addresses.association.owner-id", "PrivateIpAddresses.Association.IpOwnerId"),
    ("addresses.association.public-ip", "PrivateIpAddresses.Association.PublicIp"),
    ("addresses.primary", "PrivateIpAddresses.Primary"),
    ("addresses.private-ip-address", "PrivateIpAddresses.PrivateIpAddress"),
    ("association.allocation-id", "Association.AllocationId"),
    ("association.association-id", "Association.AssociationId"),
    ("association.ip-owner-id", "Association.IpOwnerId"),
    ("association.public-dns-name", "Association.PublicDnsName"),
    ("association.public-ip", "Association.PublicIp"),
    ("attachment.attach-time", "Attachment.AttachTime@"),
    ("attachment.attachment-id", "Attachment.AttachmentId"),
    ("attachment.delete-on-termination", "Attachment.DeleteOnTermination"),
    ("attachment.device-index", "Attachment.DeviceIndex"),
    ("attachment.instance-id", "Attachment.InstanceId"),
    ("attachment.instance-owner-id", "Attachment.InstanceOwnerId"),
    ("attachment.status", "Attachment.Status"),
    ("availability-zone", "AvailabilityZone"),
    ("availability-zone-id", "AvailabilityZoneId"),
    ("description", "Description"),
    ("group-id", "Groups.GroupId"),
    ("group-name", "Groups.GroupName"),
    ("interface-type", "InterfaceType"),
    ("ipv6-addresses.ipv6-address", "Ipv6Addresses.Ipv6Address"),
    ("mac-address", "MacAddress"),
    ("network-interface-id", "NetworkInterfaceId"),
    ("operator.managed", "Operator.Managed"),
    ("operator.principal", "Operator.Principal"),
    ("owner-id", "OwnerId"),
    ("private-dns-name", "PrivateDnsName"),
    ("private-ip-address", "PrivateIpAddress"),
    ("requester-id", "RequesterId"),
    ("requester-managed", "RequesterManaged"),
    ("source-dest-check", "SourceDestCheck"),
    ("status", "Status"),
    ("subnet-id", "SubnetId"),
    ("tag-key", "Tags.Key"),
    ("tag-value", "Tags.Value"),
    ("vpc-id", "VpcId"),
];

pub(in crate::operations) const SUBNETS: Names = &[
    ("availability-zone", "AvailabilityZone"),
    ("availability-zone-id", "AvailabilityZoneId"),
    ("availabilityZone", "AvailabilityZone"),
    ("availabilityZoneId", "AvailabilityZoneId"),
    ("available-ip-address-count", "AvailableIpAddressCount"),
    ("cidr", "CidrBlock"),
    ("cidr-block", "CidrBlock"),
    ("cidrBlock", "CidrBlock"),
    ("customer-owned-ipv4-pool", "CustomerOwnedIpv4Pool"),
    ("default-for-az", "DefaultForAz"),
    ("defaultForAz", "DefaultForAz"),
    ("enable-dns64", "EnableDns64"),
    ("enable-lni-at-device-index", "EnableLniAtDeviceIndex"),
    ("ipv6-cidr-block-association.association-id", "Ipv6CidrBlockAssociationSet.AssociationId"),
    ("ipv6-cidr-block-association.ipv6-cidr-block", "Ipv6CidrBlockAssociationSet.Ipv6CidrBlock"),
    ("ipv6-cidr-block-association.state", "Ipv6CidrBlockAssociationSet.Ipv6CidrBlockState.State"),
    ("ipv6-native", "Ipv6Native"),
    ("map-customer-owned-ip-on-launch", "MapCustomerOwnedIpOnLaunch"),
    ("map-public-ip-on-launch", "MapPublicIpOnLaunch"),
    ("outpost-arn", "OutpostArn"),
    ("owner-id", "OwnerId"),
    (
        "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
        "PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsARecord",
    ),
    (
        "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record",
        "PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsAAAARecord",
    ),
    ("private-dns-name-options-on-launch.hostname-type", "PrivateDnsNameOptionsOnLaunch.HostnameType"),
    ("state", "State"),
    ("subnet-arn", "SubnetArn"),
    ("subnet-id", "SubnetId"),
    ("tag-key", "Tags.Key"),
    ("tag-value", "Tags.Value"),
    ("vpc-id", "VpcId"),
];

pub(in crate::operations) const VPCS: Names = &[
    ("cidr", "CidrBlock"),
    ("cidr-block", "CidrBlock"),
    ("cidr-block-association.association-id", "CidrBlockAssociationSet.AssociationId"),
    ("cidr-block-association.cidr-block", "CidrBlockAssociationSet.CidrBlock"),
    ("cidr-block-association.state", "CidrBlockAssociationSet.CidrBlockState.State"),
    ("cidrBlock", "CidrBlock"),
    ("dhcp-options-id", "DhcpOptionsId"),
    ("ipv6-cidr-block-association.association-id", "Ipv6CidrBlockAssociationSet.AssociationId"),
    ("ipv6-cidr-block-association.ipv6-cidr-block", "Ipv6CidrBlockAssociationSet.Ipv6CidrBlock"),
    ("ipv6-cidr-block-association.ipv6-pool", "Ipv6CidrBlockAssociationSet.Ipv6Pool"),
    ("ipv6-cidr-block-association.state", "Ipv6CidrBlockAssociationSet.Ipv6CidrBlockState.State"),
    ("is-default", "IsDefault"),
    ("isDefault", "IsDefault"),
    ("owner-id", "OwnerId"),
    ("state", "State"),
    ("tag-key", "Tags.Key"),
    ("tag-value", "Tags.Value"),
    ("vpc-id", "VpcId"),
];

pub(in crate::operations) const SECURITY_GROUPS: Names = &[
    ("description", "Description"),
    ("egress.ip-permission.cidr", "IpPermissionsEgress.IpRanges.CidrIp"),
    ("egress.ip-permission.from-port", "IpPermissionsEgress.FromPort"),
    ("egress.ip-permission.group-id", "IpPermissionsEgress.UserIdGroupPairs.GroupId"),
    ("egress.ip-permission.group-name", "IpPermissionsEgress.UserIdGroupPairs.GroupName"),
    ("egress.ip-permission.ipv6-cidr", "IpPermissionsEgress.Ipv6Ranges.CidrIpv6"),
    ("egress.ip-permission.prefix-list-id", "IpPermissionsEgress.PrefixListIds.PrefixListId"),
    ("egress.ip-permission.protocol", "IpPermissionsEgress.IpProtocol"),
    ("egress.ip-permission.to-port", "IpPermissionsEgress.ToPort"),
    ("egress.ip-permission.user-id", "IpPermissionsEgress.UserIdGroupPairs.UserId"),
    ("group-id", "GroupId"),
    ("group-name", "GroupName"),
    ("ip-permission.cidr", "IpPermissions.IpRanges.CidrIp"),
    ("ip-permission.from-port", "IpPermissions.FromPort"),
    ("ip-permission.group-id", "IpPermissions.UserIdGroupPairs.GroupId"),
    ("ip-permission.group-name", "IpPermissions.UserIdGroupPairs.GroupName"),
    ("ip-permission.ipv6-cidr", "IpPermissions.Ipv6Ranges.CidrIpv6"),
    ("ip-permission.prefix-list-id", "IpPermissions.PrefixListIds.PrefixListId"),
    ("ip-permission.protocol", "IpPermissions.IpProtocol"),
    ("ip-permission.to-port", "IpPermissions.ToPort"),
    ("ip-permission.user-id", "IpPermissions.UserIdGroupPairs.UserId"),
    ("owner-id", "OwnerId"),
    ("tag-key", "Tags.Key"),
    ("tag-value", "Tags.Value"),
    ("vpc-id", "VpcId"),
];

pub(in crate::operations) const NETWORK_ACLS: Names = &[
    ("association.association-id", "Associations.NetworkAclAssociationId"),
    ("association.network-acl-id", "Associations.NetworkAclId"),
    ("association.subnet-id", "Associations.SubnetId"),
    ("default", "IsDefault"),
    ("entry.cidr", "Entries.CidrBlock"),
    ("entry.egress", "Entries.Egress"),
    ("entry.icmp.code", "Entries.IcmpTypeCode.Code"),
    ("entry.icmp.type", "Entries.IcmpTypeCode.Type"),
    ("entry.ipv6-cidr", "Entries.Ipv6CidrBlock"),
    ("entry.port-range.from", "Entries.PortRange.From"),
    ("entry.port-range.to", "Entries.PortRange.To"),
    ("entry.protocol", "Entries.Protocol"),
    ("entry.rule-action", "Entries.RuleAction"),
    ("entry.rule-number", "Entries.RuleNumber"),
    ("network-acl-id", "NetworkAclId"),
    ("owner-id", "OwnerId"),
    ("tag-key", "Tags.Key"),
    ("tag-value", "Tags.Value"),
    ("vpc-id", "VpcId"),
];

pub(in crate::operations) const ROUTE_TABLES: Names = &[
    ("association.gateway-id", "Associations.GatewayId"),
    ("association.main", "Associations.Main"),
    ("association.route-table-association-id", "Associations.RouteTableAssociationId"),
    ("association.route-table-id", "Associations.RouteTableId"),
    ("association.subnet-id", "Associations.SubnetId"),
    ("owner-id", "OwnerId"),
    ("route-table-id", "RouteTableId"),
    ("route.destination-cidr-block", "Routes.DestinationCidrBlock"),
    ("route.destination-ipv6-cidr-block", "Routes.DestinationIpv6CidrBlock"),
    ("route.destination-prefix-list-id", "Routes.DestinationPrefixListId"),
    ("route.egress-only-internet-gateway-id", "Routes.EgressOnlyInternetGatewayId"),
    ("route.gateway-id", "Routes.GatewayId"),
    ("route.instance-id", "Routes.InstanceId"),
    ("route.nat-gateway-id", "Routes.NatGatewayId"),
    ("route.origin", "Routes.Origin"),
    ("route.state", "Routes.State"),
    ("route.transit-gateway-id", "Routes.TransitGatewayId"),
    ("route.vpc-peering-connection-id", "Routes.VpcPeeringConnectionId"),
    ("tag-key", "Tags.Key"),
    ("tag-value", "Tags.Value"),
    ("vpc-id", "VpcId"),
];

pub(in crate::operations) const INTERNET_GATEWAYS: Names = &[
    ("attachment.state", "Attachments.State"),
    ("attachment.vpc-id", "Attachments.VpcId"),
    ("internet-gateway-id", "InternetGatewayId"),
    ("owner-id", "OwnerId"),
    ("tag-key", "Tags.Key"),
    ("tag-value", "Tags.Value"),
];

pub(in crate::operations) const ADDRESSES: Names = &[
    ("allocation-id", "AllocationId"),
    ("association-id", "AssociationId"),
    ("instance-id", "InstanceId"),
    ("network-border-group", "NetworkBorderGroup"),
    ("network-interface-id", "NetworkInterfaceId"),
    ("network-interface-owner-id", "NetworkInterfaceOwnerId"),
    ("private-ip-address", "PrivateIpAddress"),
    ("public-ip", "PublicIp"),
    ("tag-key", "Tags.Key"),
    ("tag-value", "Tags.Value"),
];

pub(in crate::operations) const AVAILABILITY_ZONES: Names = &[
    ("group-long-name", "GroupLongName"),
    ("group-name", "GroupName"),
    ("message", "Messages.Message"),
    ("opt-in-status", "OptInStatus"),
    ("parent-zone-id", "ParentZoneId"),
    ("parent-zone-name", "ParentZoneName"),
    ("region-name", "RegionName"),
    ("state", "State"),
    ("zone-id", "ZoneId"),
    ("zone-name", "ZoneName"),
    ("zone-type", "ZoneType"),
];

pub(in crate::operations) const REGIONS: Names =
    &[("endpoint", "Endpoint"), ("opt-in-status", "OptInStatus"), ("region-name", "RegionName")];

pub(in crate::operations) const SECURITY_GROUP_RULES: Names = &[
    ("group-id", "GroupId"),
    ("security-group-rule-id", "SecurityGroupRuleId"),
    ("tag-key", "Tags.Key"),
    ("tag-value", "Tags.Value"),
];

pub(in crate::operations) const DHCP_OPTIONS: Names = &[
    ("dhcp-options-id", "DhcpOptionsId"),
    ("key", "DhcpConfigurations.Key"),
    ("owner-id", "OwnerId"),
    ("tag-key", "Tags.Key"),
    ("tag-value", "Tags.Value"),
    ("value", "DhcpConfigurations.Values.Value"),
];

pub(in crate::operations) const TAGS: Names = &[
    ("key", "Key"),
    ("resource-id", "ResourceId"),
    ("resource-type", "ResourceType"),
    ("tag-key", "Key"),
    ("tag-value", "Value"),
    ("value", "Value"),
];

pub(in crate::operations) const NAT_GATEWAYS: Names =
    &[("nat-gateway-id", ""), ("state", ""), ("subnet-id", ""), ("tag-key", ""), ("vpc-id", "")];

pub(in crate::operations) const VPC_ENDPOINTS: Names = &[
    ("ip-address-type", ""),
    ("service-name", ""),
    ("service-region", ""),
    ("tag-key", ""),
    ("vpc-endpoint-id", ""),
    ("vpc-endpoint-state", ""),
    ("vpc-endpoint-type", ""),
    ("vpc-id", ""),
];

pub(in crate::operations) const PREFIX_LISTS: Names = &[("prefix-list-id", ""), ("prefix-list-name", "")];

pub(in crate::operations) const PEERINGS: Names = &[
    ("accepter-vpc-info.cidr-block", ""),
    ("accepter-vpc-info.owner-id", ""),
    ("accepter-vpc-info.vpc-id", ""),
    ("expiration-time", ""),
    ("requester-vpc-info.cidr-block", ""),
    ("requester-vpc-info.owner-id", ""),
    ("requester-vpc-info.vpc-id", ""),
    ("status-code", ""),
    ("status-message", ""),
    ("tag-key", ""),
    ("vpc-peering-connection-id", ""),
];

pub(in crate::operations) const EGRESS_ONLY_GATEWAYS: Names = &[("tag-key", "")];

pub(in crate::operations) const VPN_GATEWAYS: Names = &[
    ("amazon-side-asn", ""),
    ("attachment.state", ""),
    ("attachment.vpc-id", ""),
    ("availability-zone", ""),
    ("state", ""),
    ("tag-key", ""),
    ("type", ""),
    ("vpn-gateway-id", ""),
];

pub(in crate::operations) const FLOW_LOGS: Names = &[
    ("deliver-log-status", ""),
    ("flow-log-id", ""),
    ("log-destination-type", ""),
    ("log-group-name", ""),
    ("resource-id", ""),
    ("tag-key", ""),
    ("traffic-type", ""),
];

pub(in crate::operations) const CLASSIC_LINKS: Names =
    &[("is-classic-link-enabled", "ClassicLinkEnabled"), ("tag-key", "Tags.Key")];
