//! Which header a name is: asked of every header of every message, more than once.

/// The headers that mean something to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Host.
    Host,
    /// Content-Length.
    ContentLength,
    /// Transfer-Encoding.
    TransferEncoding,
    /// Connection.
    Connection,
    /// Expect.
    Expect,
    /// Upgrade.
    Upgrade,
    /// X-Forwarded-For.
    ForwardedFor,
    /// X-Forwarded-Proto.
    ForwardedProto,
    /// X-Forwarded-Port.
    ForwardedPort,
    /// X-Amzn-Trace-Id.
    TraceId,
    /// Of one connection, not of the message: Keep-Alive, Proxy-Connection, TE, Trailer.
    HopByHop,
    /// Any other.
    Other,
}

impl Known {
    /// By a name that has been parsed, in any case.
    pub fn of(name: &str) -> Self {
        // Lengths first: most headers are told apart by theirs alone.
        let is = |other: &str| is_named(name, other);
        match name.len() {
            2 if is("te") => Self::HopByHop,
            4 if is("host") => Self::Host,
            6 if is("expect") => Self::Expect,
            7 if is("upgrade") => Self::Upgrade,
            7 if is("trailer") => Self::HopByHop,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::HopByHop,
            14 if is("content-length") => Self::ContentLength,
            15 if is("x-forwarded-for") => Self::ForwardedFor,
            15 if is("x-amzn-trace-id") => Self::TraceId,
            16 if is("x-forwarded-port") => Self::ForwardedPort,
            16 if is("proxy-connection") => Self::HopByHop,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            17 if is("x-forwarded-proto") => Self::ForwardedProto,
            _ => Self::Other,
        }
    }
}

/// Whether a header's name is `lower`, which is of small letters and hyphens, in any case. Eight bytes at a time: every
/// header of every message is asked, more than once. The bit that makes capitals small makes one thing more alike, a
/// carriage return and a hyphen, and no name that was parsed has the first.
fn is_named(name: &str, lower: &str) -> bool {
    let (names, rest) = name.as_bytes().as_chunks();
    let (lowers, lower_rest) = lower.as_bytes().as_chunks();
    names.len() == lowers.len()
        && rest.len() == lower_rest.len()
        && names.iter().zip(lowers).all(|(name, lower)| small(*name) == u64::from_ne_bytes(*lower))
        && rest.iter().zip(lower_rest).all(|(name, lower)| name | 0x20 == *lower)
}

fn small(bytes: [u8; 8]) -> u64 {
    u64::from_ne_bytes(bytes) | u64::from_ne_bytes([0x20; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 14] = [
        "te",
        "host",
        "expect",
        "upgrade",
        "trailer",
        "connection",
        "keep-alive",
        "content-length",
        "x-forwarded-for",
        "x-amzn-trace-id",
        "x-forwarded-port",
        "proxy-connection",
        "transfer-encoding",
        "x-forwarded-proto",
    ];

    #[test]
    fn a_name_is_known_in_any_case_and_no_other_is() {
        for name in NAMES {
            let known = Known::of(name);
            assert_ne!(known, Known::Other, "{name}");
            assert_eq!(Known::of(&name.to_uppercase()), known, "{name}");
            for at in 0..name.len() {
                // Every character that a name may have, in the place of each of its own.
                for byte in (b'!'..=b'~').filter(|byte| !b"\"(),/:;<=>?@[\\]{}".contains(byte)) {
                    let mut other = name.as_bytes().to_vec();
                    other[at] = byte;
                    let other = String::from_utf8(other).expect("ASCII");
                    let names = |name: &&str| name.eq_ignore_ascii_case(&other);
                    let expected = NAMES.iter().find(|name| names(name)).map_or(Known::Other, |name| Known::of(name));
                    assert_eq!(Known::of(&other), expected, "{other}");
                }
            }
        }
    }
}
