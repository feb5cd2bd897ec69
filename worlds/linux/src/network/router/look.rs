//! What the routers that stand are asked: what there is, where it is, what it has carried.

use super::super::model::device;
use super::super::namespace::Namespace;
use super::{Routers, place_of};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes received and sent; packets received and sent.
pub(crate) type Counters = ((u64, u64), (u64, u64));

impl Routers {
    /// The VPCs that stand.
    pub(crate) fn networks(&self) -> Vec<String> {
        self.vpcs.keys().cloned().collect()
    }

    /// The interfaces that stand.
    pub(crate) fn interfaces(&self) -> Vec<String> {
        self.vpcs.values().flat_map(|kept| kept.vpc.interfaces.keys().cloned()).collect()
    }

    /// Whether a zone is cut off.
    pub(crate) fn is_cut(&self, zone: &str) -> bool {
        self.cut.contains(zone)
    }

    /// The interfaces in a zone.
    pub(crate) fn interfaces_in(&self, zone: &str) -> BTreeSet<String> {
        let all = self.vpcs.values().flat_map(|kept| kept.vpc.interfaces.values());
        all.filter(|interface| interface.zone == zone).map(|interface| interface.id.clone()).collect()
    }

    /// Whether it is an interface.
    pub(crate) fn is_interface(&self, id: &str) -> bool {
        self.vpcs.values().any(|kept| kept.vpc.interfaces.contains_key(id))
    }

    /// Whether it is an interface that may bear others' addresses.
    pub(crate) fn is_transparent(&self, id: &str) -> bool {
        let vpcs = self.vpcs.values();
        vpcs.filter_map(|kept| kept.vpc.interfaces.get(id)).any(|interface| interface.transparent)
    }

    /// The VPC that an interface is in.
    pub(crate) fn home(&self, id: &str) -> Option<&str> {
        self.homes.get(id).map(String::as_str)
    }

    /// Whether it is a VPC.
    pub(crate) fn is_network(&self, id: &str) -> bool {
        self.vpcs.contains_key(id)
    }

    /// What these interfaces have received and sent: bytes, packets. One socket per router serves them all.
    pub(crate) fn counters(&self, interfaces: &BTreeSet<&str>) -> BTreeMap<String, Counters> {
        let mut all = BTreeMap::new();
        for (home, kept) in &self.vpcs {
            let mut wanted = kept.vpc.interfaces.keys().filter(|id| interfaces.contains(id.as_str())).peekable();
            if wanted.peek().is_none() {
                continue;
            }
            let Ok(netlink) = self.namespace(home).and_then(|router| router.netlink()) else { continue };
            for id in wanted {
                // Seen from the router: what it received, the interface sent.
                if let Ok(((in_bytes, in_packets), (out_bytes, out_packets))) = netlink.counters(&device(id)) {
                    all.insert(id.clone(), ((out_bytes, in_bytes), (out_packets, in_packets)));
                }
            }
        }
        all
    }

    /// The namespace of a router, or the one that an interface's own end is in.
    pub(crate) fn open_namespace(&self, id: &str) -> Result<Namespace> {
        match self.homes.get(id).and_then(|home| self.vpcs.get(home)?.vpc.interfaces.get(id)) {
            Some(interface) => self.end(place_of(interface)),
            None => self.namespace(id),
        }
    }
}
