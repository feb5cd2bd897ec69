//! VPCs and what shapes their traffic.

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;

/// A VPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vpc {
    /// `vpc-…`.
    pub id: String,
    /// Its range, /16 to /28.
    pub cidr: Ipv4Net,
    /// The association of that range.
    pub cidr_association: String,
    /// Whether it is the region's default one.
    pub is_default: bool,
    /// The resolver answers (`enableDnsSupport`).
    pub dns_support: bool,
    /// Instances with public addresses get public names (`enableDnsHostnames`).
    pub dns_hostnames: bool,
    /// Network Address Usage metrics are wanted (`enableNetworkAddressUsageMetrics`): kept and shown.
    #[serde(default)]
    pub usage_metrics: bool,
    /// Deleted: its router is being taken down.
    pub deleting: bool,
    /// Tags.
    pub tags: Tags,
}

impl Record for Vpc {
    const TABLE: &'static str = "ec2.vpc";
    fn key(&self) -> &str {
        &self.id
    }
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// Its Availability Zone's name.
    pub zone: String,
    /// Its range.
    pub cidr: Ipv4Net,
    /// Whether instances get a public address if they do not say.
    pub map_public_ip: bool,
    /// Whether it is its zone's default one.
    pub default_for_az: bool,
    /// Instances' names by their ids get A records, as a subnet may ask for its instances: kept and shown.
    #[serde(default)]
    pub resource_name_a_record: bool,
    /// Tags.
    pub tags: Tags,
}

impl Record for Subnet {
    const TABLE: &'static str = "ec2.subnet";
    fn key(&self) -> &str {
        &self.id
    }
}

/// An internet gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InternetGateway {
    /// `igw-…`.
    pub id: String,
    /// The VPC it is attached to.
    pub vpc: Option<String>,
    /// Tags.
    pub tags: Tags,
}

impl Record for InternetGateway {
    const TABLE: &'static str = "ec2.internet_gateway";
    fn key(&self) -> &str {
        &self.id
    }
}

/// A route table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteTable {
    /// `rtb-…`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// Its associations; the main one names no subnet.
    pub associations: Vec<RouteTableAssociation>,
    /// The routes beside the local one.
    pub routes: Vec<Route>,
    /// Tags.
    pub tags: Tags,
}

impl RouteTable {
    /// Whether subnets without a table of their own use it.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.associations.iter().any(|association| association.subnet.is_none())
    }
}

impl Record for RouteTable {
    const TABLE: &'static str = "ec2.route_table";
    fn key(&self) -> &str {
        &self.id
    }
}

/// That a subnet uses a table; without a subnet, that the table is its VPC's main one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteTableAssociation {
    /// `rtbassoc-…`.
    pub id: String,
    /// The subnet.
    pub subnet: Option<String>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub destination: Ipv4Net,
    /// Through what.
    pub via: RouteVia,
}

/// What a route leads through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteVia {
    /// An internet gateway, attached or not (then a black hole).
    Gateway(String),
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// `sg-…`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// Its name, unique in the VPC.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its rules.
    pub rules: Vec<GroupRule>,
    /// Tags.
    pub tags: Tags,
}

impl Record for SecurityGroup {
    const TABLE: &'static str = "ec2.security_group";
    // Found by its name, which has to be a new one, and by the groups that its rules name, which cannot be deleted.
    const OWNERS: Option<fn(&Self) -> Vec<&str>> = Some(|group| {
        let named = group.rules.iter().filter_map(|rule| match &rule.peer {
            Peer::Group(id) => Some(id.as_str()),
            _ => None,
        });
        std::iter::once(group.name.as_str()).chain(named).collect()
    });
    fn key(&self) -> &str {
        &self.id
    }
}

/// A rule of a security group: one peer, one range of ports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRule {
    /// `sgr-…`.
    pub id: String,
    /// Outbound rather than inbound.
    pub egress: bool,
    /// `-1`, `tcp`, `udp`, `icmp`, or another protocol's number.
    pub protocol: String,
    /// First port, or ICMP type (-1: all). Absent for protocols without ports.
    pub from_port: Option<i32>,
    /// Last port, or ICMP code.
    pub to_port: Option<i32>,
    /// The other side.
    pub peer: Peer,
    /// What it is for.
    pub description: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
}

impl GroupRule {
    /// Whether it lets through exactly what `other` does.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        (self.egress, &self.protocol, self.from_port, self.to_port, &self.peer)
            == (other.egress, &other.protocol, other.from_port, other.to_port, &other.peer)
    }
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Peer {
    /// IPv4 addresses.
    Cidr(Ipv4Net),
    /// IPv6 addresses, kept as given: nothing here has one, so nothing matches.
    Cidr6(String),
    /// The members of a group.
    Group(String),
}

/// A network access list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Acl {
    /// `acl-…`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// Whether it is its VPC's default one.
    pub is_default: bool,
    /// Its entries, in the order of their numbers, inbound before outbound.
    pub rules: Vec<AclRule>,
    /// The subnets that use it.
    pub associations: Vec<AclAssociation>,
    /// Tags.
    pub tags: Tags,
}

impl Record for Acl {
    const TABLE: &'static str = "ec2.network_acl";
    fn key(&self) -> &str {
        &self.id
    }
}

/// That a subnet uses an access list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AclAssociation {
    /// `aclassoc-…`.
    pub id: String,
    /// The subnet.
    pub subnet: String,
}

/// An entry of an access list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AclRule {
    /// Outbound rather than inbound.
    pub egress: bool,
    /// 1 to 32766; the lowest that matches decides.
    pub number: i32,
    /// Lets pass rather than drops.
    pub allow: bool,
    /// `-1`, or a protocol's number.
    pub protocol: String,
    /// First and last port.
    pub ports: Option<(i32, i32)>,
    /// ICMP's type and code (-1: all).
    #[serde(default)]
    pub icmp: Option<(i32, i32)>,
    /// The other side. Nothing here has an IPv6 address, so such a range matches nothing.
    pub cidr: IpNet,
}
