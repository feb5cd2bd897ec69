//! What the metadata service tells one instance, as plain values.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// An instance, as it sees itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceMetadata {
    /// Twelve digits.
    pub account_id: String,
    /// `i-…`.
    pub instance_id: String,
    /// Such as `t2.micro`.
    pub instance_type: String,
    /// `ami-…`.
    pub ami_id: String,
    /// Its root device, such as `/dev/xvda`.
    #[serde(default = "xvda")]
    pub root_device: String,
    /// Its place in the call that started it.
    pub ami_launch_index: u32,
    /// `r-…`.
    pub reservation_id: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Such as `us-east-1a`.
    pub availability_zone: String,
    /// Such as `use1-az1`.
    pub availability_zone_id: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// ISO 8601, for the identity document.
    pub pending_time: String,
    /// The private DNS name.
    pub local_hostname: String,
    /// The public DNS name, where it has one.
    pub public_hostname: Option<String>,
    /// The primary private address.
    pub local_ipv4: Ipv4Addr,
    /// The public address, where it has one.
    pub public_ipv4: Option<Ipv4Addr>,
    /// The primary interface.
    pub interface_id: String,
    /// Its hardware address.
    pub mac: String,
    /// `subnet-…`.
    pub subnet_id: String,
    /// The subnet's range.
    pub subnet_cidr: String,
    /// `vpc-…`.
    pub vpc_id: String,
    /// The VPC's range.
    pub vpc_cidr: String,
    /// Group ids with their names.
    pub security_groups: Vec<(String, String)>,
    /// `domain`, such as `amazonaws.com`.
    pub services_domain: String,
    /// The key pair's name and public key, where it has one.
    pub public_key: Option<(String, String)>,
    /// The instance profile's ARN and id, where it has one.
    pub instance_profile: Option<(String, String)>,
    /// User data, decoded; none where none was given (404).
    pub user_data: Option<Vec<u8>>,
    /// Tags, where the instance may see them.
    pub tags: Option<BTreeMap<String, String>>,
    /// Whether the service answers at all.
    pub enabled: bool,
    /// Whether a session token is required.
    pub token_required: bool,
    /// How far a token's answer travels.
    pub hop_limit: u8,
}

/// The root device of what an older program wrote down.
fn xvda() -> String {
    "/dev/xvda".to_owned()
}
