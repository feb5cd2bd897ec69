//! The seam between the control plane and a world.
//!
//! The control plane says what should exist with [`Ask`]s; a world makes it so in its own way (namespaces and processes, or
//! virtual time) and says what came of it with [`Report`]s. Every ask is idempotent: it carries the whole desired state of one
//! thing, so that asking twice, or again after a crash, is harmless. There is no implementation here, and no AWS rule: groups,
//! routes and addresses arrive as plain facts.
//!
//! Ids are those of the control plane (`eni-0ab…`, `vpc-0ab…`, `i-0ab…`): unique in a world, short, `[a-z0-9-]`.
#![forbid(unsafe_code)]

mod network;
mod sandbox;

pub use network::{
    AclEntry, Address, Beside, Group, Interface, Network, PeerMatch, PortRange, Protocol, Route, RouteTarget, Rule,
    SERVICES, Subnet,
};
pub use sandbox::{DiskSource, Image, Lack, Sandbox, SandboxFigures, SandboxState, StopCause};
pub use zonal_dns::config as dns;
pub use zonal_dns::table::{NameSets, ZoneTable};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the control plane asks of a world. Each is the whole desired state of one thing; in a zone, which may be large, of a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// A VPC exists with these facts.
    PutNetwork(Network),
    /// The VPC is gone, with all that is inside.
    RemoveNetwork(String),
    /// A subnet's routes and access list are these.
    PutSubnet(Subnet),
    /// The subnet is gone.
    RemoveSubnet(String),
    /// A security group has these rules.
    PutGroup(Group),
    /// The group is gone; no interface names it any more.
    RemoveGroup(String),
    /// An interface exists, with these addresses and groups.
    PutInterface(Interface),
    /// The interface is gone.
    RemoveInterface(String),
    /// A sandbox runs: made, or started again from its disk. The `generation` tells one start from the next: where that start runs
    /// already nothing happens; where an earlier one runs, it is shut down first (a reboot).
    StartSandbox(Box<Sandbox>),
    /// A sandbox is stopped, its disk kept. `force` skips the orderly shutdown.
    StopSandbox {
        /// The sandbox's id.
        id: String,
        /// Which start is meant: a later one is left alone.
        generation: u64,
        /// Kill at once.
        force: bool,
    },
    /// A sandbox's PID 1 is killed as if its kernel had panicked; reported as [`StopCause::Died`].
    CrashSandbox {
        /// The sandbox's id.
        id: String,
        /// Which start is meant: a later one is left alone.
        generation: u64,
    },
    /// The sandbox and its disk are gone.
    RemoveSandbox(String),
    /// A disk image is made of a sandbox's disk.
    PutImage {
        /// The new image's id.
        id: String,
        /// The sandbox whose disk it is.
        sandbox: String,
    },
    /// The image is gone.
    RemoveImage(String),
    /// A load balancer has this configuration; its nodes' interfaces exist already.
    PutBalancer(Box<zonal_balancer::config::BalancerConfig>),
    /// The load balancer is gone.
    RemoveBalancer(String),
    /// A DNS zone as one view sees it: `"public"`, or the id of a network.
    PutZone {
        /// The view.
        view: String,
        /// The zone, whole.
        zone: Box<zonal_dns::config::Zone>,
        /// What is to be said in a [`Report::ZoneServed`] once it is answered by, if anybody waits for that.
        confirm: Option<u64>,
    },
    /// Some names of a zone have these record sets, and no others. Means nothing where the zone is not there: then it is yet to be put
    /// whole, as it is by then.
    PutNames {
        /// The view.
        view: String,
        /// The zone's name, as given.
        zone: String,
        /// The names.
        names: NameSets,
        /// As in [`Ask::PutZone`].
        confirm: Option<u64>,
    },
    /// The zone is gone from the view.
    RemoveZone {
        /// The view.
        view: String,
        /// The zone's name, as given.
        name: String,
        /// As in [`Ask::PutZone`].
        confirm: Option<u64>,
    },
    /// A health check from outside runs.
    PutProbe(Box<zonal_dns::config::Probe>),
    /// The health check is over.
    RemoveProbe(String),
    /// The public name servers are asked a query in DNS's wire form; what they say is reported as [`Report::LookedUp`].
    LookUp {
        /// What it is for.
        id: String,
        /// The query.
        query: Vec<u8>,
    },
    /// The world's own authority signs a certificate of these names, reported as [`Report::CertificateIssued`].
    IssueCertificate {
        /// What it is for.
        id: String,
        /// The names; the first is the main one.
        names: Vec<String>,
        /// From which day to which it holds, in days since 1970.
        days: (i64, i64),
    },
    /// What the metadata service tells the sandbox behind an interface.
    PutMetadata {
        /// The interface.
        interface: String,
        /// The document.
        document: Box<zonal_metadata::config::InstanceMetadata>,
    },
    /// An Availability Zone (by its name) is cut off: its interfaces' packets are dropped and its sandboxes stopped dead; or it is whole again.
    SetZone {
        /// The Availability Zone.
        zone: String,
        /// Whether it is cut off.
        cut: bool,
    },
    /// The world's clock runs so many times faster than real time: health checks, timeouts and drains follow it; what the machine
    /// itself takes does not.
    SetSpeed(u32),
}

/// What a world tells the control plane. Facts only; what follows from them is the services' affair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// An interface exists and passes packets.
    InterfaceReady {
        /// The interface.
        id: String,
        /// The generation that was asked for.
        generation: u64,
    },
    /// An interface is gone.
    InterfaceRemoved(String),
    /// A network is gone.
    NetworkRemoved(String),
    /// A sandbox changed its state.
    Sandbox {
        /// The sandbox.
        id: String,
        /// The start it speaks of.
        generation: u64,
        /// What it is now.
        state: SandboxState,
    },
    /// A sandbox and its disk are gone.
    SandboxRemoved(String),
    /// An image is complete.
    ImageReady(String),
    /// A balancer's targets changed their health.
    TargetHealth(zonal_balancer::config::HealthReport),
    /// All that was asked of a zone, up to the ask that this confirms, is what a view's queries are answered by.
    ZoneServed {
        /// The view.
        view: String,
        /// The zone's name, as given.
        zone: String,
        /// What that ask was to be confirmed by.
        revision: u64,
    },
    /// What the public name servers said.
    LookedUp {
        /// What it was for.
        id: String,
        /// Their answer in DNS's wire form; nothing where they said nothing soon.
        answer: Option<Vec<u8>>,
    },
    /// A certificate that was asked for.
    CertificateIssued {
        /// What it is for.
        id: String,
        /// The certificate: PEM.
        certificate: String,
        /// The authority's own: PEM.
        chain: String,
        /// The private key: PEM.
        private_key: String,
    },
    /// A health check from outside knows something else than before.
    Probed {
        /// The health check.
        id: String,
        /// Whether its endpoint counts as healthy; nothing while there is too little to say.
        healthy: Option<bool>,
        /// The address connected to, where there was one.
        address: Option<IpAddr>,
        /// What came of the last connection, in words.
        outcome: String,
    },
    /// What the balancers have counted since the last such report.
    BalancerMetrics {
        /// Until when, in microseconds since 1970 on the world's clock: an instant of the stretch that was counted.
        at: i64,
        /// The counts, one of each balancer.
        metrics: Vec<zonal_balancer::config::MetricsReport>,
    },
    /// What the sandboxes used in a minute of the world's clock. Each minute is reported once, whatever the clock's speed.
    SandboxFigures {
        /// The minute's beginning, in seconds since 1970: a multiple of 60.
        minute: i64,
        /// The figures, of those that ran.
        figures: Vec<SandboxFigures>,
    },
    /// An ask failed for a reason that trying again may mend. The control plane asks again later.
    Failed {
        /// What was asked, by the id of its thing.
        id: String,
        /// What was tried and what came of it, for a state reason.
        reason: String,
    },
}

/// What exists in a world, by id: to adopt or to remove.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Sandboxes with a disk, and what they are doing.
    pub sandboxes: BTreeMap<String, (u64, SandboxState)>,
    /// Interfaces.
    pub interfaces: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Images beside the base.
    pub images: Vec<String>,
}

/// A world: something that can make real what is asked. Asking never blocks; reports come through the channel given at start.
pub trait World: Send + Sync {
    /// Performs asks, in order for one id; the world may work on different ids at once.
    fn ask(&self, asks: Vec<Ask>);

    /// What stands: at start, what the last one left; later, what was made since too.
    fn inventory(&self) -> Inventory;

    /// The console output of a sandbox so far (its last 64 KiB), oldest first.
    fn console(&self, sandbox: &str) -> Vec<u8>;

    /// The control plane has asked for all that stands: what the world knows of from before, and was not asked for since, may go. Said
    /// after each start, once; before, a world keeps what it has.
    fn all_is_asked(&self) {}

    /// What the public name servers answer to a query, both in DNS's wire form; nothing where they say nothing soon.
    fn names_answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let _ = query;
        None
    }

    /// What this world is, for people: `linux` or `sim (virtual)`.
    fn describe(&self) -> &'static str;
}

impl Ask {
    /// The object that an ask is about: its kind and id. The latest ask about an object is the one that counts.
    #[must_use]
    pub fn object(&self) -> (&'static str, String) {
        match self {
            Self::PutNetwork(Network { id, .. }) | Self::RemoveNetwork(id) => ("network", id.clone()),
            Self::PutSubnet(Subnet { id, .. }) | Self::RemoveSubnet(id) => ("subnet", id.clone()),
            Self::PutGroup(Group { id, .. }) | Self::RemoveGroup(id) => ("group", id.clone()),
            Self::PutInterface(Interface { id, .. }) | Self::RemoveInterface(id) => ("interface", id.clone()),
            Self::StartSandbox(sandbox) => ("sandbox", sandbox.id.clone()),
            Self::StopSandbox { id, .. } | Self::RemoveSandbox(id) => ("sandbox", id.clone()),
            Self::CrashSandbox { id, .. } => ("crash", id.clone()),
            Self::PutImage { id, .. } | Self::RemoveImage(id) => ("image", id.clone()),
            Self::PutBalancer(config) => ("balancer", config.id.clone()),
            Self::RemoveBalancer(id) => ("balancer", id.clone()),
            Self::PutZone { view, zone, .. } => ("zone", format!("{view}:{}", zone.name)),
            Self::PutNames { view, zone: name, .. } | Self::RemoveZone { view, name, .. } => {
                ("zone", format!("{view}:{name}"))
            }
            Self::PutProbe(probe) => ("probe", probe.id.clone()),
            Self::RemoveProbe(id) => ("probe", id.clone()),
            Self::LookUp { id, .. } => ("look-up", id.clone()),
            Self::IssueCertificate { id, .. } => ("certificate", id.clone()),
            Self::PutMetadata { interface, .. } => ("metadata", interface.clone()),
            Self::SetZone { zone, .. } => ("availability-zone", zone.clone()),
            Self::SetSpeed(_) => ("speed", String::new()),
        }
    }
    /// Whether it ends its object without a report that would say so.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::RemoveSubnet(_)
                | Self::RemoveGroup(_)
                | Self::RemoveImage(_)
                | Self::RemoveBalancer(_)
                | Self::RemoveZone { .. }
                | Self::RemoveProbe(_)
                | Self::SetZone { cut: false, .. }
        )
    }

    /// What takes it back; `None` where nothing is left of it, or it goes with another object.
    #[must_use]
    pub fn taken_back(&self) -> Option<Self> {
        Some(match self {
            Self::PutNetwork(Network { id, .. }) => Self::RemoveNetwork(id.clone()),
            Self::PutSubnet(Subnet { id, .. }) => Self::RemoveSubnet(id.clone()),
            Self::PutGroup(Group { id, .. }) => Self::RemoveGroup(id.clone()),
            Self::PutInterface(Interface { id, .. }) => Self::RemoveInterface(id.clone()),
            Self::StartSandbox(sandbox) => Self::RemoveSandbox(sandbox.id.clone()),
            Self::StopSandbox { id, .. } => Self::RemoveSandbox(id.clone()),
            Self::PutImage { id, .. } => Self::RemoveImage(id.clone()),
            Self::PutBalancer(config) => Self::RemoveBalancer(config.id.clone()),
            Self::PutZone { view, zone, .. } => {
                Self::RemoveZone { view: view.clone(), name: zone.name.clone(), confirm: None }
            }
            Self::PutProbe(probe) => Self::RemoveProbe(probe.id.clone()),
            Self::SetZone { zone, cut: true } => Self::SetZone { zone: zone.clone(), cut: false },
            _ => return None,
        })
    }
}

impl Report {
    /// The objects that it says to be gone, as [`Ask::object`] names them.
    #[must_use]
    pub fn gone(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::NetworkRemoved(id) => vec![("network", id.clone())],
            Self::InterfaceRemoved(id) => vec![("interface", id.clone()), ("metadata", id.clone())],
            Self::LookedUp { id, .. } => vec![("look-up", id.clone())],
            Self::CertificateIssued { id, .. } => vec![("certificate", id.clone())],
            Self::SandboxRemoved(id) => vec![("sandbox", id.clone()), ("crash", id.clone())],
            _ => Vec::new(),
        }
    }
}
