//! What the daemon tells the plane, and what it hears back.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use zonal_dns::table::{NameSets, ZoneTable};

/// One thing that the plane is to do, whole; it stands until its key is told anew or dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Duty {
    /// Balance.
    Balancer(Box<zonal_balancer::config::BalancerConfig>),
    /// Answer for a zone in a view.
    Zone { view: String, zone: Box<zonal_dns::config::Zone> },
    /// Answer a VPC's names at these addresses of its router, to clients in a region.
    Resolver {
        network: String,
        addresses: Vec<Ipv4Addr>,
        #[serde(default)]
        region: String,
    },
    /// Check an endpoint's health from outside.
    Probe(Box<zonal_dns::config::Probe>),
    /// Tell the instance behind an interface about itself.
    Metadata { interface: String, document: Box<zonal_metadata::config::InstanceMetadata> },
    /// Let what comes to a public address on the host in.
    Door(Door),
    /// Have virtual time pass so many times faster than real time.
    Speed(u32),
}

/// A public address on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Door {
    pub public: Ipv4Addr,
    /// The interface that it stands for.
    pub interface: String,
    /// The TCP ports that its groups open to the internet.
    pub tcp: BTreeSet<u16>,
    /// The UDP ports, likewise.
    pub udp: BTreeSet<u16>,
    /// Ranges too wide to listen on whole: of these, what something inside listens on.
    pub wide: Vec<(u16, u16)>,
}

/// A message to the plane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Tell {
    /// All that there is to do has been told, under these keys; everything else is dropped.
    Only(BTreeSet<String>),
    /// One duty is this from now on.
    Put(String, Box<Duty>),
    /// Of the zone that is one duty, these names have these record sets from now on.
    Names(String, NameSets),
    /// One duty is over.
    Drop(String),
    /// Once the duty of this key is as it was told: [`Hear::Served`], with this number.
    Confirm(String, u64),
    /// What balancers have counted is to be told, as counted until that instant of the world's clock.
    Count(i64),
}

/// A message from the plane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Hear {
    Health(zonal_balancer::config::HealthReport),
    /// What balancers have counted since the last time, and the instant that was said for it.
    Metrics {
        at: i64,
        metrics: Vec<zonal_balancer::config::MetricsReport>,
    },
    Probed {
        id: String,
        healthy: Option<bool>,
        address: Option<IpAddr>,
        outcome: String,
    },
    /// A zone is answered by as it was told, or ended as it was told.
    Served {
        key: String,
        revision: u64,
    },
    /// A duty could not be taken up.
    Failed {
        key: String,
        reason: String,
    },
}

/// What somebody keeps of a duty that was told: of a zone, its names, so that a change costs what it changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Held {
    Zone { view: String, table: Box<ZoneTable> },
    Other(Duty),
}

impl Held {
    pub(crate) fn new(duty: Duty) -> Self {
        match duty {
            Duty::Zone { view, zone } => Self::Zone { view, table: Box::new(ZoneTable::new(*zone)) },
            other => Self::Other(other),
        }
    }

    /// The duty, whole.
    pub(crate) fn duty(&self) -> Duty {
        match self {
            Self::Zone { view, table } => Duty::Zone { view: view.clone(), zone: Box::new(table.zone()) },
            Self::Other(duty) => duty.clone(),
        }
    }
}
