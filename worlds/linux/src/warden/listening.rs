//! What a namespace's sockets listen on for others, as the kernel's socket diagnostics (sock_diag(7)) tell it. Reading `/proc/net/tcp`
//! instead would walk the table of all the machine's connections, which takes milliseconds each time, whatever the namespace has.

use crate::sys;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
/// The bit of those that listen, of the states that are asked for: then no table of connections is looked at.
const LISTENING: u32 = 1 << 10;
/// Whether a socket of IPv6 is not reached over IPv4: one byte.
const INET_DIAG_SKV6ONLY: u16 = 11;

const HEADER: usize = 16;
/// A question after its header: family, protocol, states, and a socket's name, which stays open.
const QUESTION: usize = 56;
/// An answer after its header, up to its attributes.
const ANSWER: usize = 72;

/// The TCP ports that are listened on, in the namespace of the thread, for others than itself.
pub(super) fn ports() -> io::Result<Vec<u16>> {
    let mut ports = Vec::new();
    for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
        let mut socket = File::from(sys::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_SOCK_DIAG)?);
        socket.write_all(&question(family))?;
        let mut buffer = vec![0; 32 << 10];
        loop {
            let got = socket.read(&mut buffer)?;
            if read(buffer.get(..got).unwrap_or_default(), &mut ports)? {
                break;
            }
        }
    }
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

fn question(family: u8) -> Vec<u8> {
    let mut bytes = ((HEADER + QUESTION) as u32).to_ne_bytes().to_vec();
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes.resize(HEADER, 0);
    bytes.extend([family, libc::IPPROTO_TCP as u8, 0, 0]);
    bytes.extend(LISTENING.to_ne_bytes());
    bytes.resize(HEADER + QUESTION, 0);
    bytes
}

/// Reads messages; whether they were the last.
fn read(mut messages: &[u8], ports: &mut Vec<u16>) -> io::Result<bool> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    while !messages.is_empty() {
        let header = messages.first_chunk::<HEADER>().ok_or_else(damaged)?;
        let (length, kind) = (word(header, 0), u16::from_ne_bytes([header[4], header[5]]));
        let body = messages.get(HEADER..length as usize).ok_or_else(damaged)?;
        match i32::from(kind) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => {
                let code = body.first_chunk::<4>().ok_or_else(damaged)?;
                return Err(io::Error::from_raw_os_error(i32::from_ne_bytes(*code).saturating_neg()));
            }
            _ => ports.extend(port(body)),
        }
        messages = messages.get((length as usize).next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The port that an answer tells of, if it can be reached over IPv4 from elsewhere.
fn port(body: &[u8]) -> Option<u16> {
    let answer = body.first_chunk::<ANSWER>()?;
    // Family, state, timer, retransmissions; then the name: two ports, and 16 bytes for each address.
    let port = u16::from_be_bytes([answer[4], answer[5]]);
    let address = *answer.get(8..)?.first_chunk::<16>()?;
    let reached = if i32::from(answer[0]) == libc::AF_INET {
        !Ipv4Addr::from(*address.first_chunk::<4>()?).is_loopback()
    } else {
        let address = Ipv6Addr::from(address);
        // All addresses are those of IPv4 too, unless the socket says otherwise.
        let all = address.is_unspecified() && !is_only_v6(body.get(ANSWER..)?);
        all || address.to_ipv4_mapped().is_some_and(|mapped| !mapped.is_loopback())
    };
    reached.then_some(port)
}

fn is_only_v6(mut attributes: &[u8]) -> bool {
    while let Some([low, high, kind_low, kind_high]) = attributes.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([*low, *high])).max(4);
        if u16::from_ne_bytes([*kind_low, *kind_high]) == INET_DIAG_SKV6ONLY {
            return attributes.get(4).is_some_and(|only| *only != 0);
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

fn word(bytes: &[u8; HEADER], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn who_listens_on_all_addresses_is_found_whatever_family_its_socket_is_of() {
        let open = |at: &str| TcpListener::bind(at).unwrap();
        let mut bound = vec![open("0.0.0.0:0")];
        let near = open("127.0.0.1:0");
        let mut hidden = vec![near];
        if let Ok(both) = TcpListener::bind("[::]:0") {
            bound.extend([both, open("[::ffff:0.0.0.0]:0")]);
            hidden.extend([open("[::1]:0"), open("[::ffff:127.0.0.1]:0")]);
        }
        // What is connected is no listener.
        let client = std::net::TcpStream::connect(hidden[0].local_addr().unwrap()).unwrap();
        let ports = ports().unwrap();
        let has = |listener: &TcpListener| ports.contains(&listener.local_addr().unwrap().port());
        assert!(bound.iter().all(has), "{bound:?} in {ports:?}");
        assert!(!hidden.iter().any(has), "{hidden:?} in {ports:?}");
        assert!(!ports.contains(&client.local_addr().unwrap().port()));
    }

    #[test]
    fn a_socket_of_ipv6_alone_is_reached_by_nobody_over_ipv4() {
        let socket = sys::socket(libc::AF_INET6, libc::SOCK_STREAM, 0).unwrap();
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::Ipv6V6Only, &true).unwrap();
        let address = nix::sys::socket::SockaddrIn6::from(std::net::SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0));
        nix::sys::socket::bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &address).unwrap();
        nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
        let port = TcpListener::from(socket).local_addr().unwrap().port();
        assert!(!ports().unwrap().contains(&port));
    }

    /// A message of this kind.
    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// An answer about a socket of IPv6, with an attribute that is not ours before the one about IPv4.
    fn answer(address: Ipv6Addr, only: u8) -> Vec<u8> {
        let mut body = vec![libc::AF_INET6 as u8, 10, 0, 0];
        body.extend(8080_u16.to_be_bytes());
        body.resize(8, 0);
        body.extend(address.octets());
        body.resize(ANSWER, 0);
        for (kind, value) in [(8, 1), (INET_DIAG_SKV6ONLY, only)] {
            body.extend(5_u16.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend([value, 0, 0, 0]);
        }
        message(SOCK_DIAG_BY_FAMILY, &body)
    }

    #[test]
    fn answers_are_read_as_the_kernel_means_them() {
        let mapped = |octets: [u8; 4]| Ipv4Addr::from(octets).to_ipv6_mapped();
        for (address, only, reached) in [
            (Ipv6Addr::UNSPECIFIED, 0, true),
            (Ipv6Addr::UNSPECIFIED, 1, false),
            (Ipv6Addr::LOCALHOST, 0, false),
            (mapped([0; 4]), 0, true),
            (mapped([10, 0, 0, 5]), 0, true),
            (mapped([127, 0, 0, 1]), 0, false),
            ("fe80::1".parse().unwrap(), 0, false),
        ] {
            let mut ports = Vec::new();
            let messages = [answer(address, only), message(libc::NLMSG_DONE as u16, &[0; 4])].concat();
            assert!(read(&messages, &mut ports).unwrap(), "{address}");
            assert_eq!(ports == [8080], reached, "{address} {only}");
        }
    }

    #[test]
    fn an_error_is_the_kernels_and_damaged_answers_are_none() {
        let refused = message(libc::NLMSG_ERROR as u16, &(-libc::ENOENT).to_ne_bytes());
        assert_eq!(read(&refused, &mut Vec::new()).unwrap_err().raw_os_error(), Some(libc::ENOENT));
        let whole = answer(Ipv6Addr::UNSPECIFIED, 0);
        assert!(!read(&whole, &mut Vec::new()).unwrap());
        for end in 1..whole.len() {
            assert!(read(&whole[..end], &mut Vec::new()).is_err(), "{end}");
        }
        assert!(read(&[0; 16], &mut Vec::new()).is_err(), "a message of no length");
        assert!(read(&message(libc::NLMSG_ERROR as u16, &i32::MIN.to_ne_bytes()), &mut Vec::new()).is_err());
    }
}
