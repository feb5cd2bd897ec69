//! Network namespaces, pinned by a bind mount in the holder's mount namespace: they last as long as the holder, and no longer.

use super::netlink::{LOOPBACK, Netlink};
use crate::error::{Act, Error, Result};
use crate::sys;
use ipnet::Ipv4Net;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

/// What a namespace is for: routers forward, interfaces let those inside bind any port and ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Passes packets between its devices.
    Router,
    /// An interface's own side.
    Interface,
}

/// An open network namespace.
pub(crate) struct Namespace {
    file: File,
    /// Its name, for messages.
    pub name: String,
}

impl Namespace {
    /// Opens the namespace pinned in `directory` under `name`.
    pub(crate) fn open(directory: &Path, name: &str) -> Result<Self> {
        let unknown = || Error::Unknown { kind: "namespace", id: name.to_owned() };
        let file = File::open(directory.join(name)).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => unknown(),
            _ => Error::Os { act: "open namespace", what: name.to_owned(), source },
        })?;
        // A warden that was killed while it pinned one has left an empty file in its place.
        let place = fstatfs(&file).act("look at namespace", name)?;
        if place.filesystem_type() != NSFS_MAGIC {
            return Err(unknown());
        }
        Ok(Self { file, name: name.to_owned() })
    }

    /// Opens it, or makes it.
    pub(crate) fn open_or_make(directory: &Path, name: &str, kind: Kind) -> Result<Self> {
        match Self::open(directory, name) {
            Err(Error::Unknown { .. }) => {}
            other => return other,
        }
        let made = Self::make(name, kind)?;
        made.pin(directory)?;
        Ok(made)
    }

    /// Makes one that nothing pins yet: it ends with this process. A thread of its own does it and ends there, so that no other is ever in
    /// the wrong place.
    pub(crate) fn make(name: &str, kind: Kind) -> Result<Self> {
        let file = std::thread::scope(|scope| {
            let made = scope.spawn(|| -> Result<File> {
                unshare(CloneFlags::CLONE_NEWNET).act("make namespace", name)?;
                settings(kind)?;
                let netlink = Netlink::here(name)?;
                netlink.up(LOOPBACK)?;
                // The public range 127.100.0.0/16 is routed like any other here: loopback keeps 127.0.0.0/10.
                let loopback = Ipv4Addr::LOCALHOST;
                netlink.add_address(LOOPBACK, net(loopback, 10))?;
                netlink.remove_address(LOOPBACK, net(loopback, 8))?;
                File::open("/proc/thread-self/ns/net").act("open namespace", name)
            });
            made.join().unwrap_or_else(|_| Err(Error::Refused(format!("making {name} panicked"))))
        })?;
        Ok(Self { file, name: name.to_owned() })
    }

    /// Pins it in `directory`. All of it is set by now, so that a half-made one never shows under its name.
    pub(crate) fn pin(&self, directory: &Path) -> Result<()> {
        let path = directory.join(&self.name);
        File::create(&path).act("create", path.display())?;
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        mount(Some(own.as_str()), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>).act("pin", &self.name)
    }

    /// Unpins a namespace: it ends with the last process inside.
    pub(crate) fn remove(directory: &Path, name: &str) -> Result<()> {
        let path = directory.join(name);
        match umount2(&path, MntFlags::MNT_DETACH) {
            Ok(()) | Err(nix::Error::ENOENT | nix::Error::EINVAL) => {}
            Err(error) => return Err(error).act("unpin", name),
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).act("remove", path.display()),
            _ => Ok(()),
        }
    }

    /// The names of all that are pinned in `directory`.
    pub(crate) fn all(directory: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    /// A netlink socket inside.
    pub(crate) fn netlink(&self) -> Result<Netlink> {
        Netlink::open(self.as_fd(), &self.name)
    }

    /// Runs `act` inside.
    pub(crate) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T> {
        sys::in_network(self.as_fd(), act).act("enter", &self.name)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The kernel's settings for a namespace, written from inside.
fn settings(kind: Kind) -> Result<()> {
    let write = |path: &str, value: &str| fs::write(path, value).act("write", path);
    let conf = "/proc/sys/net/ipv4/conf";
    for scope in ["all", "default", "lo"] {
        write(&format!("{conf}/{scope}/rp_filter"), "0")?;
        write(&format!("{conf}/{scope}/route_localnet"), "1")?;
    }
    // A kernel without IPv6 has nothing to turn off.
    let _ = fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    // Balancers and doors open thousands of connections to one place: a port is used again a second after, not a minute.
    let _ = fs::write("/proc/sys/net/ipv4/tcp_tw_reuse", "1");
    match kind {
        Kind::Router => {
            let _ = fs::write("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535");
            // A closed connection is remembered for two minutes otherwise, and the memory for all worlds is one.
            let _ = fs::write("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait", "5");
            // As long as AWS's connection tracking remembers a flow of datagrams that go both ways.
            let _ = fs::write("/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream", "180");
            write("/proc/sys/net/ipv4/ip_forward", "1")?;
            for scope in ["all", "default"] {
                write(&format!("{conf}/{scope}/send_redirects"), "0")?;
            }
            Ok(())
        }
        // The namespace belongs to the warden, so those inside have no rights over it: they get by setting what they need.
        Kind::Interface => {
            write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")?;
            let range = "/proc/sys/net/ipv4/ping_group_range";
            // In an ordinary user's namespace there are no more groups than these.
            write(range, "0 2147483647").or_else(|_| write(range, "0 65536"))
        }
    }
}

/// `address/length`; a length beyond 32 is taken as 32.
pub(crate) fn net(address: Ipv4Addr, length: u8) -> Ipv4Net {
    Ipv4Net::new(address, length.min(32)).unwrap_or_else(|_| Ipv4Net::from(address))
}
