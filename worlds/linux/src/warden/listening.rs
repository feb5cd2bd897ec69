//! What a namespace's sockets listen on for others, of the kernel's own tables.

use std::io;
use std::net::Ipv4Addr;

/// The TCP ports that are listened on, in the namespace of the thread, for others than itself.
pub(super) fn ports() -> io::Result<Vec<u16>> {
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp")?;
    // A kernel without IPv6 has no such table.
    let other = std::fs::read_to_string("/proc/thread-self/net/tcp6").unwrap_or_default();
    let mut ports: Vec<u16> = table.lines().chain(other.lines()).filter_map(port).collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

/// The port that a line tells of, if it is listened on and can be reached over IPv4.
fn port(line: &str) -> Option<u16> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    // State 0A is listening.
    let reached = fields.get(3) == Some(&"0A") && is_for_others(address);
    u16::from_str_radix(port, 16).ok().filter(|_| reached)
}

/// Whether who listens at an address is reached over IPv4 from elsewhere. Addresses are words in the machine's own order: one of IPv4, or
/// four of IPv6, of which `::` stands for all addresses of IPv4 too, but where its socket says otherwise, which is told nowhere.
fn is_for_others(address: &str) -> bool {
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let mapped = [[0; 4], [0; 4], [0, 0, 0xff, 0xff]];
    let last = match address.len() {
        8 => word(0),
        32 if address.bytes().all(|digit| digit == b'0') => return true,
        32 if (0..3).all(|at| word(at * 8) == Some(mapped[at])) => word(24),
        _ => None,
    };
    last.is_some_and(|octets| !Ipv4Addr::from(octets).is_loopback())
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
        let ports = ports().unwrap();
        let has = |listener: &TcpListener| ports.contains(&listener.local_addr().unwrap().port());
        assert!(bound.iter().all(has), "{bound:?} in {ports:?}");
        assert!(!hidden.iter().any(has), "{hidden:?} in {ports:?}");
    }

    #[test]
    fn lines_of_the_kernels_tables_are_read_as_it_means_them() {
        let line = |address: &str, state: &str| {
            format!("   0: {address}:1F90 0000:0000 {state} 00000000:00000000 00:00000000 0")
        };
        let word = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        let zero = "00000000";
        for (address, reached) in [
            (zero.to_owned(), true),
            (word([10, 0, 0, 5]), true),
            (word([127, 0, 0, 1]), false),
            (zero.repeat(4), true),
            (zero.repeat(3) + &word([0, 0, 0, 1]), false),
            (zero.repeat(2) + &word([0, 0, 255, 255]) + &word([10, 0, 0, 5]), true),
            (zero.repeat(2) + &word([0, 0, 255, 255]) + &word([127, 0, 0, 1]), false),
            (word([0xfe, 0x80, 0, 0]) + &zero.repeat(2) + &word([0, 0, 0, 1]), false),
        ] {
            assert_eq!(port(&line(&address, "0A")), reached.then_some(8080), "{address}");
            assert_eq!(port(&line(&address, "01")), None, "{address} is a connection");
        }
        assert_eq!(port("  sl  local_address rem_address   st tx_queue rx_queue"), None);
    }
}
