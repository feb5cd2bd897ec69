//! What the warden knows of one VPC: the facts that its router's rules follow from.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zonal_substrate::{Group, Interface, Network, Subnet};

/// A VPC, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Vpc {
    pub network: Network,
    pub subnets: BTreeMap<String, Subnet>,
    pub groups: BTreeMap<String, Group>,
    pub interfaces: BTreeMap<String, Interface>,
    /// The Availability Zones (by name) that are cut off.
    pub cut: BTreeSet<String>,
    /// The interfaces whose machine is off: nobody is there to answer, not even with a refusal.
    #[serde(default)]
    pub silent: BTreeSet<String>,
}

impl Vpc {
    /// A VPC with nothing in it.
    pub(crate) fn new(network: Network) -> Self {
        Self {
            network,
            subnets: BTreeMap::new(),
            groups: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            cut: BTreeSet::new(),
            silent: BTreeSet::new(),
        }
    }
}

/// The name of an interface's device in its router: short, as the kernel wants it, and the same at every start.
pub(crate) fn device(id: &str) -> String {
    // FNV-1a: not against an enemy (ids are ours), only to fit fifteen characters.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("v{:014x}", hash & 0x00ff_ffff_ffff_ffff)
}

/// The device of a router that leads out, and a mark for packets of one NAT gateway.
pub(crate) const UPLINK: &str = "uplink";

/// The mark that packets on their way through a NAT gateway bear.
pub(crate) fn nat_mark(id: &str) -> u32 {
    let name = device(id);
    // Fourteen hex digits, so this never fails; the top bit keeps it from being 0, which means unmarked.
    u32::from_str_radix(&name[8..15], 16).unwrap_or_default() | 0x8000_0000
}

/// The mark that answers to a transparent interface bear, and the number of the routing table that leads them there.
pub(crate) fn steer_mark(id: &str) -> u32 {
    // The two uppermost bits tell it from those of NAT gateways.
    nat_mark(id) & 0x0fff_ffff | 0x4000_0000
}
