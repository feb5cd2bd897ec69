//! Sockets for the plane, made where they belong and handed over.

use super::request::{Kind, Place};
use super::{Warden, lock};
use crate::error::{Act, Error, Result};
use crate::network::INET;
use crate::network::model::device;
use crate::sys;
use nix::sys::socket::{Backlog, SockaddrIn, bind, listen, setsockopt, sockopt};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// `IP_FREEBIND`: an address may be bound before it is there.
const FREEBIND: libc::c_int = 15;

/// `IP_TRANSPARENT`: any address may be bound, and sent from.
const TRANSPARENT: libc::c_int = 19;

impl Warden {
    /// Unconnected sockets in a place.
    pub(super) fn sockets(&self, place: &Place, kind: Kind, count: usize, transparent: bool) -> Result<Vec<OwnedFd>> {
        let may = matches!(place, Place::Interface(id) if lock(&self.routers).is_transparent(id));
        if transparent && !may {
            return Err(Error::Refused(format!("{place:?} bears no other addresses")));
        }
        let one = |_| {
            let socket = make(kind)?;
            if transparent {
                sys::set_option(socket.as_fd(), libc::SOL_IP, TRANSPARENT, 1)?;
            }
            Ok(socket)
        };
        self.in_place(place, || (0..count).map(one).collect::<std::io::Result<Vec<_>>>())?
            .act("make sockets in", format!("{place:?}"))
    }

    /// A socket bound in a place.
    pub(super) fn bind(&self, place: &Place, kind: Kind, address: Ipv4Addr, port: u16) -> Result<OwnedFd> {
        let what = format!("{address}:{port} in {place:?}");
        self.in_place(place, || -> Result<OwnedFd> {
            let socket = make(kind).act("make socket for", &what)?;
            sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1).act("set up", &what)?;
            if *place != Place::Host {
                sys::set_option(socket.as_fd(), libc::SOL_IP, FREEBIND, 1).act("set up", &what)?;
            }
            // Several share a port: a balancer's threads.
            sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, i32::from(*place != Place::Host))
                .act("set up", &what)?;
            if (place, kind) == (&Place::Internet, Kind::Udp) {
                // It takes what is diverted to it, and answers in the name of whom that was for.
                sys::set_option(socket.as_fd(), libc::SOL_IP, TRANSPARENT, 1).act("set up", &what)?;
            }
            if let Place::Metadata(interface) = place {
                // Only what comes from this very interface reaches this socket: who asks is certain.
                let name = std::ffi::OsString::from(device(interface));
                setsockopt(&socket, sockopt::BindToDevice, &name).act("tie to its interface", &what)?;
            }
            bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, port))).act("bind", &what)?;
            if kind == Kind::Tcp {
                listen(&socket, Backlog::MAXCONN).act("listen on", &what)?;
            }
            Ok(socket)
        })?
    }

    fn in_place<T: Send>(&self, place: &Place, act: impl FnOnce() -> T + Send) -> Result<T> {
        let routers = lock(&self.routers);
        let (name, known): (&str, bool) = match place {
            Place::Host => return Ok(act()),
            Place::Internet => (INET, true),
            Place::Interface(id) => (id.as_str(), routers.is_interface(id)),
            Place::Router(id) => (id.as_str(), routers.is_network(id)),
            Place::Metadata(id) => (routers.home(id).unwrap_or(id), routers.is_interface(id)),
        };
        if !known {
            return Err(Error::Unknown { kind: "place", id: name.to_owned() });
        }
        let namespace = routers.open_namespace(name)?;
        drop(routers);
        namespace.inside(act)
    }
}

fn make(kind: Kind) -> std::io::Result<OwnedFd> {
    let kind = match kind {
        Kind::Tcp => libc::SOCK_STREAM,
        Kind::Udp => libc::SOCK_DGRAM,
    };
    sys::socket(libc::AF_INET, kind | libc::SOCK_NONBLOCK, 0)
}
