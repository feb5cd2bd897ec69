//! Names that are never asked for outside: they mean something only here.
//!
//! Route 53 Resolver answers them itself where no zone has them (Developer Guide: "Domain names that VPC Resolver creates
//! autodefined system rules for"; RFC 6303): loopback, the reverse names of private and link-local addresses, and the domains
//! of EC2's private names.

use crate::name::{self, Key};

/// The domains, as keys.
const DOMAINS: [&Key; 11] = [
    b"\x09localhost\0",
    b"\x0blocaldomain\0",
    b"\x03ec2\x08internal\0",
    b"\x07compute\x08internal\0",
    b"\x010\x07in-addr\x04arpa\0",
    b"\x0210\x07in-addr\x04arpa\0",
    b"\x03127\x07in-addr\x04arpa\0",
    b"\x03254\x03169\x07in-addr\x04arpa\0",
    b"\x03168\x03192\x07in-addr\x04arpa\0",
    b"\x03255\x03255\x03255\x03255\x07in-addr\x04arpa\0",
    b"\x01d\x01f\x03ip6\x04arpa\0",
];

/// The reverse names of 172.16.0.0/12 are below sixteen domains.
const REVERSE_172: &Key = b"\x03172\x07in-addr\x04arpa\0";

/// Whether a name stays here.
pub(crate) fn stays_here(key: &Key) -> bool {
    name::ancestors(key).any(|domain| DOMAINS.contains(&domain) || is_private_172(domain))
}

fn is_private_172(domain: &Key) -> bool {
    match domain {
        [2, tens, ones, rest @ ..] if rest == REVERSE_172 => {
            matches!((tens, ones), (b'1', b'6'..=b'9') | (b'2', b'0'..=b'9') | (b'3', b'0' | b'1'))
        }
        _ => false,
    }
}
