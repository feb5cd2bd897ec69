//! ELB's security policies, as far as they can be kept.
//!
//! TLS 1.0, TLS 1.1, CBC suites, static RSA and Diffie-Hellman are what no modern library speaks
//! any more. A policy that allows them beside TLS 1.2 is served by its modern part: whoever needs
//! the rest fails to connect. What a policy promises beyond that (hybrid post-quantum key exchange,
//! a validated module) cannot be served by leaving something out, so those are unknown here or kept
//! to their suites.

/// What is negotiated under a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityPolicy {
    /// TLS 1.2 with ECDHE and AES-GCM.
    pub tls12: bool,
    /// TLS 1.3, and with which suites.
    pub tls13: Tls13,
}

/// A policy's part in TLS 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls13 {
    /// Not offered.
    No,
    /// AES-GCM only (the FIPS policies).
    AesOnly,
    /// AES-GCM and ChaCha20-Poly1305.
    All,
}

/// The policy of that name; `None` if there is none, or none that can be kept.
pub fn security_policy(name: &str) -> Option<SecurityPolicy> {
    let (tls12, tls13) = match name.strip_prefix("ELBSecurityPolicy-")? {
        "TLS13-1-3-2021-06" => (false, Tls13::All),
        "TLS13-1-2-2021-06"
        | "TLS13-1-2-Res-2021-06"
        | "TLS13-1-2-Ext1-2021-06"
        | "TLS13-1-2-Ext2-2021-06"
        | "TLS13-1-1-2021-06"
        | "TLS13-1-0-2021-06" => (true, Tls13::All),
        "TLS13-1-3-FIPS-2023-04" => (false, Tls13::AesOnly),
        "TLS13-1-2-FIPS-2023-04"
        | "TLS13-1-2-Res-FIPS-2023-04"
        | "TLS13-1-2-Ext0-FIPS-2023-04"
        | "TLS13-1-2-Ext1-FIPS-2023-04"
        | "TLS13-1-2-Ext2-FIPS-2023-04"
        | "TLS13-1-1-FIPS-2023-04"
        | "TLS13-1-0-FIPS-2023-04" => (true, Tls13::AesOnly),
        "2016-08"
        | "2015-05"
        | "TLS-1-0-2015-04"
        | "TLS-1-1-2017-01"
        | "TLS-1-2-2017-01"
        | "TLS-1-2-Ext-2018-06"
        | "FS-2018-06"
        | "FS-1-1-2019-08"
        | "FS-1-2-2019-08"
        | "FS-1-2-Res-2019-08"
        | "FS-1-2-Res-2020-10" => (true, Tls13::No),
        _ => return None,
    };
    Some(SecurityPolicy { tls12, tls13 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apis_default_policy_has_no_tls_1_3() {
        assert_eq!(security_policy("ELBSecurityPolicy-2016-08").map(|policy| policy.tls13), Some(Tls13::No));
    }

    #[test]
    fn a_policy_that_promises_post_quantum_key_exchange_is_not_taken() {
        assert_eq!(security_policy("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"), None);
    }
}
