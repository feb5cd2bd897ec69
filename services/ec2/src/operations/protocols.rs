//! IP protocols, ports and ICMP types, as rules of groups and entries of access lists name them: one form of each, and nothing out of
//! its range, so that no rule is wider than what was asked for.
//!
//! Sources: IpPermission, CreateNetworkAclEntry and IcmpTypeCode in the EC2 API Reference.

use crate::errors::Error;

/// The number of a protocol given by name or by number; `None` is all of them.
pub(super) fn number(given: &str) -> Result<Option<u8>, Error> {
    let digits = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit());
    match given.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Some(6)),
        "udp" => Ok(Some(17)),
        "icmp" => Ok(Some(1)),
        "icmpv6" => Ok(Some(58)),
        "-1" | "all" => Ok(None),
        number => number.parse().ok().filter(|_| digits).map(Some).ok_or_else(|| {
            let text = format!("Invalid value '{given}' for IP protocol. Unknown protocol.");
            Error::InvalidParameterValue(text)
        }),
    }
}

/// Refuses ports that are none, and ranges that end before they begin.
pub(super) fn check_ports(from: i32, to: i32) -> Result<(), Error> {
    if (0..=65535).contains(&from) && (from..=65535).contains(&to) {
        return Ok(());
    }
    Err(Error::InvalidParameterValue(format!("Invalid TCP/UDP port range ({from}:{to})")))
}

/// Refuses ICMP types and codes that are none; -1 is all of them, and who says all types says all codes.
pub(super) fn check_icmp(kind: i32, code: i32) -> Result<(), Error> {
    for (what, number) in [("type", kind), ("code", code)] {
        if !(-1..=255).contains(&number) {
            return Err(Error::InvalidParameterValue(format!("ICMP {what} ({number}) out of range")));
        }
    }
    if kind == -1 && code != -1 {
        let text = format!("ICMP code ({code}) cannot be specified with all ICMP types");
        return Err(Error::InvalidParameterValue(text));
    }
    Ok(())
}
