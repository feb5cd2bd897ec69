//! All that can be asked of the warden: ids, addresses and sizes. No path, no command, no user id.

use crate::error::{Error, Result};
use crate::sandbox::disk::{BASE, SHARED_BASE};
use crate::world::{Config, check_id};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use zonal_substrate::{
    Group, Interface, Inventory, Lack, Network, PeerMatch, RouteTarget, Sandbox, SandboxState, Subnet,
};

/// The last place that an interface has on a machine.
const MAX_PLACE: u8 = 15;

/// A request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Request {
    PutNetwork(Network),
    RemoveNetwork(String),
    PutSubnet(Subnet),
    PutGroup(Group),
    PutInterface(Interface),
    RemoveInterface(String),
    /// A subnet or a group is gone.
    Forget(String),
    SetZone {
        zone: String,
        cut: bool,
    },
    StartSandbox(Box<Sandbox>),
    StopSandbox {
        id: String,
        generation: u64,
        force: bool,
    },
    CrashSandbox {
        id: String,
        generation: u64,
    },
    RemoveSandbox(String),
    PutImage {
        id: String,
        sandbox: String,
    },
    RemoveImage(String),
    Console(String),
    /// Runs a shell inside, on the three descriptors that come along.
    Shell(String),
    Inventory,
    Figures,
    /// From now on, this connection is told of every change.
    Events,
    /// Sockets that connect from a place.
    Sockets {
        place: Place,
        kind: Kind,
        count: usize,
        /// They may be bound to addresses that are not the place's: only where the interface is transparent.
        transparent: bool,
    },
    /// A socket that is bound in a place, and listens if it is TCP's. Between the routers, one for UDP may have any address outside.
    Bind {
        place: Place,
        kind: Kind,
        address: Ipv4Addr,
        port: u16,
    },
    /// The ports that something listens on behind an interface, to all addresses or its own.
    Listening(String),
}

/// Where a socket is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Place {
    /// On the host, on an address of the public range.
    Host,
    /// Between the routers.
    Internet,
    /// Behind an interface.
    Interface(String),
    /// On a VPC's router: its resolver.
    Router(String),
    /// On the router, reached from one interface only: its metadata service.
    Metadata(String),
}

/// What kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    Tcp,
    Udp,
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// Done; sockets asked for come along.
    Done,
    Failed(String),
    /// A sandbox can't be started, however often it is tried.
    NotStarted {
        lack: Lack,
        why: String,
    },
    Console(Vec<u8>),
    Inventory(Inventory),
    Figures(Vec<Usage>),
    Ports(Vec<u16>),
}

/// What a sandbox has used since its group was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub id: String,
    /// Nanoseconds of processor time.
    pub cpu: u64,
    /// Nanoseconds of processor time per second that it may use.
    pub quota: f64,
    /// Bytes and packets received and sent by its interface.
    pub bytes: (u64, u64),
    pub packets: (u64, u64),
}

/// A change that the warden tells of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    pub id: String,
    pub generation: u64,
    pub state: SandboxState,
}

impl Request {
    /// Checks every id, name and size before anything is done.
    pub(crate) fn check(&self, config: &Config) -> Result<()> {
        match self {
            Self::PutNetwork(network) => {
                bounded("address ranges", network.cidrs.len(), 16)?;
                check_id(&network.id)
            }
            Self::RemoveNetwork(id) | Self::RemoveInterface(id) | Self::Forget(id) | Self::RemoveSandbox(id) => {
                check_id(id)
            }
            Self::Console(id) | Self::Shell(id) | Self::Listening(id) => check_id(id),
            Self::RemoveImage(id) => image_id(id),
            Self::StopSandbox { id, .. } | Self::CrashSandbox { id, .. } => check_id(id),
            Self::PutImage { id, sandbox } => image_id(id).and_then(|()| check_id(sandbox)),
            Self::SetZone { zone, .. } => check_id(zone),
            Self::PutSubnet(subnet) => {
                bounded("routes", subnet.routes.len(), 1000)?;
                bounded("entries", subnet.ingress.len().max(subnet.egress.len()), 1000)?;
                for route in &subnet.routes {
                    if let RouteTarget::Nat(id) = &route.target {
                        check_id(id)?;
                    }
                }
                [&subnet.id, &subnet.network, &subnet.zone].into_iter().try_for_each(|id| check_id(id))
            }
            Self::PutGroup(group) => {
                bounded("rules", group.ingress.len().max(group.egress.len()), 1000)?;
                for rule in group.ingress.iter().chain(&group.egress) {
                    if let PeerMatch::Group(id) = &rule.peer {
                        check_id(id)?;
                    }
                }
                check_id(&group.id).and_then(|()| check_id(&group.network))
            }
            Self::PutInterface(interface) => {
                bounded("groups", interface.groups.len(), 16)?;
                bounded("addresses", interface.addresses.len(), 64)?;
                if let Some(beside) = &interface.beside {
                    check_id(&beside.interface)?;
                    if !(1..=MAX_PLACE).contains(&beside.index) || beside.interface == interface.id {
                        return Err(Error::Refused(format!("{} beside {}", interface.id, beside.interface)));
                    }
                }
                for address in &interface.addresses {
                    address.public.map_or(Ok(()), |public| public_address(config, public))?;
                    private_address(address.private)?;
                }
                interface.groups.iter().try_for_each(|id| check_id(id))?;
                [&interface.id, &interface.network, &interface.subnet, &interface.zone]
                    .into_iter()
                    .try_for_each(|id| check_id(id))
            }
            Self::StartSandbox(sandbox) => {
                bounded("bytes of user data", sandbox.user_data.len(), 64 << 10)?;
                bounded("keys", sandbox.authorized_keys.len(), 64)?;
                bounded("virtual CPUs", sandbox.vcpus as usize, 1024)?;
                let name = &sandbox.hostname;
                let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
                if name.is_empty() || name.len() > 64 || !name.bytes().all(fine) {
                    return Err(Error::Refused(format!("{name:?} is no host name")));
                }
                check_id(&sandbox.id).and_then(|()| check_id(&sandbox.interface))
            }
            Self::Sockets { place, count, .. } => {
                bounded("sockets", *count, crate::frame::MOST_FDS)?;
                place.check()
            }
            Self::Bind { place, kind, address, .. } => {
                if *place == Place::Host {
                    public_address(config, *address)?;
                }
                // Who speaks in others' names from there speaks in those of the world outside, not in instances'.
                if (place, kind) == (&Place::Internet, &Kind::Udp) && config.public.contains(address) {
                    return Err(Error::Refused(format!("{address} is an address of this world")));
                }
                place.check()
            }
            Self::Inventory | Self::Figures | Self::Events => Ok(()),
        }
    }
}

impl Place {
    fn check(&self) -> Result<()> {
        match self {
            Self::Host | Self::Internet => Ok(()),
            Self::Interface(id) | Self::Router(id) | Self::Metadata(id) => check_id(id),
        }
    }
}

fn bounded(what: &str, count: usize, most: usize) -> Result<()> {
    if count <= most { Ok(()) } else { Err(Error::Refused(format!("{count} {what}; at most {most}"))) }
}

/// The base is nobody's to make or remove: all of a world stands on it, and other worlds may.
fn image_id(id: &str) -> Result<()> {
    if id == BASE || id == SHARED_BASE { Err(Error::Refused(format!("{id} is the base"))) } else { check_id(id) }
}

fn public_address(config: &Config, address: Ipv4Addr) -> Result<()> {
    if config.public.contains(&address) && address != config.host() {
        Ok(())
    } else {
        Err(Error::Refused(format!("{address} is no public address of this world")))
    }
}

/// What an interface may have as its own: not what means something else in a router.
fn private_address(address: Ipv4Addr) -> Result<()> {
    if address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_unspecified()
        || address.is_broadcast()
    {
        return Err(Error::Refused(format!("{address} can't be an interface's own")));
    }
    Ok(())
}
