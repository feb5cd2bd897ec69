//! All that can be asked of the warden: ids, addresses and sizes. No path, no command, no user id.

use crate::error::{Error, Result};
use crate::sandbox::disk::{BASE, SHARED_BASE};
use crate::world::{Config, check_id};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::time::Duration;
use zonal_substrate::{
    DiskSource, Group, Interface, Inventory, Network, PeerMatch, PortRange, Protocol, RouteTarget, Sandbox,
    SandboxState, StopCause, Subnet,
};

/// The last place that an interface has on a machine.
const MAX_PLACE: u8 = 15;

/// A request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Says that the caller knows the world's key, and may ask for all of this from now on; others get sockets only.
    Key(String),
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
    /// A sandbox did not start, and would not if it were tried again as it is.
    Stopped(StopCause),
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
    /// Whether the plane may ask it: it takes what a world listens on and connects from, and changes nothing.
    pub(crate) fn is_planes(&self) -> bool {
        matches!(self, Self::Sockets { .. } | Self::Bind { .. } | Self::Listening(_))
    }

    /// How long the answer may take before the warden counts as hung. What copies or removes a disk is given much longer than any takes.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(match self {
            Self::StartSandbox(_) | Self::RemoveSandbox(_) | Self::PutImage { .. } | Self::RemoveImage(_) => 600,
            _ => 30,
        })
    }

    /// Checks every id, name and size before anything is done.
    pub(crate) fn check(&self, config: &Config) -> Result<()> {
        match self {
            Self::PutNetwork(network) => {
                bounded("address ranges", network.cidrs.len(), 16)?;
                network.cidrs.iter().try_for_each(|cidr| range(*cidr))?;
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
                range(subnet.cidr)?;
                let entries = subnet.ingress.iter().chain(&subnet.egress);
                entries.map(|entry| (entry.protocol, entry.ports)).try_for_each(ports)?;
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
                    ports((rule.protocol, rule.ports))?;
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
                for key in &sandbox.authorized_keys {
                    bounded("bytes of a key", key.len(), 16 << 10)?;
                }
                bounded("virtual CPUs", sandbox.vcpus as usize, 1024)?;
                bounded("MiB of memory", sandbox.memory_mib as usize, 32 << 20)?;
                bounded("GiB of a disk", sandbox.disk_gib as usize, 64 << 10)?;
                if sandbox.vcpus == 0 || sandbox.memory_mib == 0 {
                    return Err(Error::Refused(format!("{} without processor or memory", sandbox.id)));
                }
                let name = &sandbox.hostname;
                let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
                if name.is_empty() || name.len() > 64 || !name.bytes().all(fine) {
                    return Err(Error::Refused(format!("{name:?} is no host name")));
                }
                if let DiskSource::Image(id) = &sandbox.disk {
                    image_id(id)?;
                }
                // It is empty where nobody has said what kind it is.
                bounded("letters of an image's kind", sandbox.image_kind.len(), 64)?;
                [&sandbox.id, &sandbox.interface, &sandbox.zone].into_iter().try_for_each(|id| check_id(id))
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
            Self::Key(_) | Self::Inventory | Self::Figures | Self::Events => Ok(()),
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

/// A range that ends before it begins is no range: read as all ports it would open what nobody meant to.
fn ports((protocol, ports): (Protocol, PortRange)) -> Result<()> {
    if matches!(protocol, Protocol::Tcp | Protocol::Udp) && ports.from > ports.to {
        return Err(Error::Refused(format!("ports {} to {}", ports.from, ports.to)));
    }
    Ok(())
}

/// The addresses of a VPC or a subnet: as many as AWS lets there be, and none that means something else in a router.
fn range(cidr: Ipv4Net) -> Result<()> {
    if !(16..=28).contains(&cidr.prefix_len()) {
        return Err(Error::Refused(format!("{cidr}: a range is between /16 and /28")));
    }
    private_address(cidr.network())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use zonal_substrate::{DiskSource, Rule};

    fn refused(request: &Request) -> bool {
        request.check(&Config::new(PathBuf::from("/nowhere"), (0, 0))).is_err()
    }

    fn network(cidr: &str) -> Request {
        Request::PutNetwork(Network {
            id: "vpc-1".into(),
            cidrs: vec![cidr.parse().unwrap()],
            internet: true,
            resolver: true,
            region: String::new(),
        })
    }

    fn group(protocol: Protocol, from: u16, to: u16) -> Request {
        let peer = PeerMatch::Cidr("0.0.0.0/0".parse().unwrap());
        let rule = Rule { protocol, ports: PortRange { from, to }, peer };
        Request::PutGroup(Group { id: "sg-1".into(), network: "vpc-1".into(), ingress: vec![rule], egress: vec![] })
    }

    fn sandbox(change: impl FnOnce(&mut Sandbox)) -> Request {
        let mut sandbox = Sandbox {
            id: "i-1".into(),
            generation: 1,
            interface: "eni-1".into(),
            zone: "us-east-1a".into(),
            hostname: "ip-10-0-0-4".into(),
            disk: DiskSource::Base,
            disk_gib: 8,
            vcpus: 2,
            memory_mib: 1024,
            user_data: Vec::new(),
            authorized_keys: Vec::new(),
            image_kind: String::new(),
        };
        change(&mut sandbox);
        Request::StartSandbox(Box::new(sandbox))
    }

    #[test]
    fn a_range_of_ports_that_ends_before_it_begins_is_refused() {
        assert!(!refused(&group(Protocol::Tcp, 80, 80)));
        assert!(refused(&group(Protocol::Tcp, 80, 79)) && refused(&group(Protocol::Udp, 1, 0)));
        assert!(!refused(&group(Protocol::All, 1, 0)), "others have no ports");
    }

    #[test]
    fn ranges_of_addresses_are_those_that_a_vpc_may_have() {
        assert!(!refused(&network("10.0.0.0/16")) && !refused(&network("100.64.0.0/28")));
        for wrong in ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/29", "127.0.0.0/16", "169.254.0.0/16", "224.0.0.0/24"] {
            assert!(refused(&network(wrong)), "{wrong}");
        }
    }

    #[test]
    fn the_base_is_nobodys_to_make_or_remove() {
        for base in [BASE, SHARED_BASE] {
            assert!(refused(&Request::RemoveImage(base.into())));
            assert!(refused(&Request::PutImage { id: base.into(), sandbox: "i-1".into() }));
        }
        assert!(!refused(&Request::RemoveImage("ami-1".into())));
    }

    #[test]
    fn a_sandbox_names_nothing_that_is_no_id() {
        assert!(!refused(&sandbox(|sandbox| sandbox.disk = DiskSource::Image("ami-1".into()))));
        for wrong in ["../images", "inet", "a/b", "", BASE] {
            assert!(refused(&sandbox(|sandbox| sandbox.disk = DiskSource::Image(wrong.into()))), "{wrong:?}");
        }
        assert!(refused(&sandbox(|sandbox| sandbox.zone = "../a".into())));
        assert!(refused(&sandbox(|sandbox| sandbox.interface = "inet".into())));
        assert!(refused(&sandbox(|sandbox| sandbox.image_kind = "k".repeat(65))));
    }

    #[test]
    fn sizes_have_bounds() {
        assert!(!refused(&sandbox(|_| ())));
        assert!(refused(&sandbox(|sandbox| sandbox.vcpus = 0)) && refused(&sandbox(|sandbox| sandbox.vcpus = 1025)));
        assert!(refused(&sandbox(|sandbox| sandbox.memory_mib = 0)));
        assert!(refused(&sandbox(|sandbox| sandbox.memory_mib = u32::MAX)));
        assert!(refused(&sandbox(|sandbox| sandbox.disk_gib = u32::MAX)));
        assert!(refused(&sandbox(|sandbox| sandbox.authorized_keys = vec!["k".repeat(20 << 10)])));
    }
}
