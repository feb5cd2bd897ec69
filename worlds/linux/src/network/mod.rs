//! The world's network: the namespace `inet`, a router per VPC, a namespace per interface, and the rules between them.

pub(crate) mod inet;
pub(crate) mod model;
pub(crate) mod namespace;
pub(crate) mod netlink;
pub(crate) mod router;
pub(crate) mod ruleset;

use crate::error::{Act, Error, Result};
use namespace::Namespace;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

/// The namespace between routers and host.
pub(crate) const INET: &str = "inet";
/// The gateway that every interface sees: on every router's `lo`.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
/// The next hop of every router.
pub(crate) const INET_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// Every router's address on its uplink.
pub(crate) const ROUTER_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 2);
/// The metadata service.
pub(crate) const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The VPC resolver's link-local address.
pub(crate) const RESOLVER: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
/// Where packages come from, as instances see it: of a range that is kept for documentation, as the services' address is.
pub(crate) const PACKAGES: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The domain of what is in no AWS, and the host in it where packages come from.
pub(crate) const OWN_DOMAIN: &str = "zonal.internal";
/// Where connections that leave the world arrive in `inet`.
pub(crate) const EGRESS_PORT: u16 = 15001;
/// Where datagrams that leave the world do.
pub(crate) const DATAGRAM_PORT: u16 = 15002;
/// The mark that such datagrams bear in `inet`.
pub(crate) const DATAGRAM_MARK: u32 = 1;

/// Changes the rules in a namespace in one transaction.
pub(crate) fn nft(namespace: &Namespace, script: &str) -> Result<()> {
    if script.is_empty() {
        return Ok(());
    }
    let spawned = namespace.inside(|| {
        Command::new("nft")
            .args(["-f", "-"])
            .env("PATH", crate::privilege::PROGRAMS)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    })?;
    let mut child = spawned.act("start nft in", &namespace.name)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes()).act("write to nft in", &namespace.name)?;
    }
    let output = child.wait_with_output().act("wait for nft in", &namespace.name)?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    tracing::warn!(namespace = namespace.name, %message, script, "nft refused");
    Err(Error::Nft { namespace: namespace.name.clone(), message })
}
