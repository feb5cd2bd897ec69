//! PROXY protocol version 2: the header before a connection's first byte, or in each datagram, that
//! tells a target who the client is and which address it asked.
//!
//! As its specification has it ("Binary header format"), for IPv4. A network load balancer adds a TLV
//! (type 0xEA) only to flows that come through a VPC endpoint; there are none here, so there is no
//! TLV.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::choice::Transport;

/// What every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const PROXY: u8 = 0x21;
/// AF_INET in the high half; STREAM or DGRAM in the low.
const TCP4: u8 = 0x11;
const UDP4: u8 = 0x12;
/// Two addresses and two ports.
const ADDRESSES: u16 = 12;
/// The whole header.
pub const LENGTH: usize = 28;

/// A header for a flow.
pub fn header(transport: Transport, source: SocketAddrV4, destination: SocketAddrV4) -> [u8; LENGTH] {
    let mut header = [0; LENGTH];
    header[..12].copy_from_slice(&SIGNATURE);
    header[12] = PROXY;
    header[13] = match transport {
        Transport::Tcp => TCP4,
        Transport::Udp => UDP4,
    };
    header[14..16].copy_from_slice(&ADDRESSES.to_be_bytes());
    header[16..20].copy_from_slice(&source.ip().octets());
    header[20..24].copy_from_slice(&destination.ip().octets());
    header[24..26].copy_from_slice(&source.port().to_be_bytes());
    header[26..28].copy_from_slice(&destination.port().to_be_bytes());
    header
}

/// What a header says: its transport, source, destination and length. `None` where `bytes` do not
/// begin with a whole header for IPv4. Whoever checks what a target saw reads it with this.
pub fn parse(bytes: &[u8]) -> Option<(Transport, SocketAddrV4, SocketAddrV4, usize)> {
    let (fixed, rest) = bytes.split_first_chunk::<16>()?;
    if fixed[..12] != SIGNATURE || fixed[12] != PROXY {
        return None;
    }
    let transport = match fixed[13] {
        TCP4 => Transport::Tcp,
        UDP4 => Transport::Udp,
        _ => return None,
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let addresses = rest.get(..length)?.first_chunk::<12>()?;
    let address = |at: usize| Ipv4Addr::new(addresses[at], addresses[at + 1], addresses[at + 2], addresses[at + 3]);
    let port = |at: usize| u16::from_be_bytes([addresses[at], addresses[at + 1]]);
    let (source, destination) = (SocketAddrV4::new(address(0), port(8)), SocketAddrV4::new(address(4), port(10)));
    Some((transport, source, destination, 16 + length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_the_specifications_bytes() {
        let source = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 4660);
        let header = header(Transport::Tcp, source, SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 5), 80));
        let expected = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c\
            \xc0\x00\x02\x01\x0a\x00\x00\x05\x12\x34\x00\x50";
        assert_eq!(&header, expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            udp in any::<bool>(), from in any::<(u32, u16)>(), to in any::<(u32, u16)>(), tail in any::<Vec<u8>>(),
        ) {
            let transport = if udp { Transport::Udp } else { Transport::Tcp };
            let address = |(ip, port): (u32, u16)| SocketAddrV4::new(Ipv4Addr::from(ip), port);
            let mut bytes = header(transport, address(from), address(to)).to_vec();
            bytes.extend(tail);
            prop_assert_eq!(parse(&bytes), Some((transport, address(from), address(to), LENGTH)));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes in any::<Vec<u8>>(), whole in any::<bool>()) {
            let mut framed = if whole { SIGNATURE.to_vec() } else { Vec::new() };
            framed.extend(bytes);
            if let Some((.., length)) = parse(&framed) {
                prop_assert!(length <= framed.len());
            }
        }
    }
}
