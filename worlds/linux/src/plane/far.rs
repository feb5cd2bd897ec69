//! What instances may reach through the host: the internet. What is near the host (its own addresses, private networks, metadata
//! services) is refused, always, whatever the protocol.

use std::net::{Ipv4Addr, UdpSocket};

/// Whether an address is one that instances may reach through the host.
pub(super) fn may_leave(wanted: Ipv4Addr) -> bool {
    is_far(wanted) && !is_own(wanted)
}

/// Whether an address is the internet's: not of a private, local or otherwise special network.
fn is_far(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || a == 0
        || a >= 240
        // Carrier-grade NAT: cloud providers keep services there.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    // Azure's and Alibaba's services for their machines, which have public-looking or shared addresses.
    let provider = address == Ipv4Addr::new(168, 63, 129, 16);
    !special && !provider
}

/// Whether an address is the host's own: only then can something be bound to it.
fn is_own(address: Ipv4Addr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_near_the_host_can_be_reached() {
        for near in [
            "127.0.0.1",
            "127.100.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.192",
            "198.18.0.1",
        ] {
            assert!(!may_leave(near.parse().unwrap()), "{near}");
        }
        assert!(is_far("203.0.113.80".parse().unwrap()));
        assert!(is_far("151.101.0.204".parse().unwrap()));
    }
}
