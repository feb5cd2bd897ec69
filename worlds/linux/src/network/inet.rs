//! The namespace `inet` between routers and host. It needs nothing of the world's but two addresses, so it is made while the holder that is
//! to pin it comes up.

use super::namespace::{Kind, Namespace};
use super::netlink::LOOPBACK;
use super::{DATAGRAM_MARK, DATAGRAM_PORT, EGRESS_PORT, INET, INET_ADDRESS, nft};
use crate::error::{Act, Error, Result};
use ipnet::Ipv4Net;
use nix::sched::{CloneFlags, unshare};
use std::net::Ipv4Addr;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

/// An `inet` that is being made. Nothing pins it yet: it ends with this process.
pub(crate) struct Ahead(JoinHandle<Result<Namespace>>);

impl Ahead {
    /// Begins to make it, on a thread. That thread shares no root directory with the others by the time this returns: the process may
    /// enter another mount namespace meanwhile.
    pub(crate) fn begin(public: Ipv4Net, host: Ipv4Addr) -> Result<Self> {
        let (tell, apart) = channel();
        let making = move || {
            let parted = unshare(CloneFlags::CLONE_FS).act("part from", "the root directory");
            let goes_on = parted.is_ok();
            // Whoever waits for it is there as long as this thread is.
            let _ = tell.send(parted);
            if goes_on { make(public, host) } else { Err(Error::Refused("not apart".to_owned())) }
        };
        let making = std::thread::Builder::new().name(INET.to_owned()).spawn(making).act("start thread", INET)?;
        apart.recv().unwrap_or_else(|_| Err(Error::Refused(format!("making {INET} panicked"))))?;
        Ok(Self(making))
    }

    /// Waits until it is made.
    pub(super) fn finish(self) -> Result<Namespace> {
        self.0.join().unwrap_or_else(|_| Err(Error::Refused(format!("making {INET} panicked"))))
    }
}

/// Makes one that nothing pins yet.
pub(super) fn make(public: Ipv4Net, host: Ipv4Addr) -> Result<Namespace> {
    let inet = Namespace::make(INET, Kind::Router)?;
    furnish(&inet, public, host, false)?;
    Ok(inet)
}

/// Gives it its addresses and rules: in place of those it has, where it `stood` before.
pub(super) fn furnish(inet: &Namespace, public: Ipv4Net, host: Ipv4Addr, stood: bool) -> Result<()> {
    let netlink = inet.netlink()?;
    netlink.add_address(LOOPBACK, Ipv4Net::from(INET_ADDRESS))?;
    netlink.add_address(LOOPBACK, Ipv4Net::from(host))?;
    // A removal waits until no packet can be on its way through what goes: ten milliseconds that a new one need not wait.
    let anew = if stood { "add table ip edge\ndelete table ip edge\n" } else { "" };
    let rules = format!(
        "{anew}add table ip edge\n\
         add chain ip edge arriving {{ type nat hook prerouting priority -100; }}\n\
         add rule ip edge arriving ip daddr != {public} meta l4proto tcp dnat to {INET_ADDRESS}:{EGRESS_PORT}\n\
         add chain ip edge forwarding {{ type filter hook forward priority 0; policy drop; }}\n\
         add rule ip edge forwarding ip saddr {public} ip daddr {public} accept\n\
         add chain ip edge local {{ type filter hook input priority 0; policy drop; }}\n\
         add rule ip edge local iifname \"lo\" accept\n\
         add rule ip edge local ct state established,related accept\n\
         add rule ip edge local tcp dport {EGRESS_PORT} ct status dnat accept\n\
         add rule ip edge local meta mark {DATAGRAM_MARK} accept\n"
    );
    // Datagrams keep the address that they are for: a socket is told it with each. A kernel that can't do that has no way out for them.
    let diverting = format!(
        "add chain ip edge diverting {{ type filter hook prerouting priority -150; }}\n\
         add rule ip edge diverting ip daddr != {public} meta l4proto udp tproxy to {INET_ADDRESS}:{DATAGRAM_PORT} \
         meta mark set {DATAGRAM_MARK} accept\n"
    );
    // All at once, as nft takes longer to start than to do it.
    let diverted = match nft(inet, &format!("{rules}{diverting}")) {
        Err(refused) => nft(inet, &rules).map(|()| Err(refused))?,
        Ok(()) => Ok(()),
    };
    if let Err(error) = diverted.and_then(|()| netlink.take_marked(DATAGRAM_MARK)) {
        tracing::warn!(%error, "no way out for UDP");
    }
    Ok(())
}
