//! Security policies of TLS: AWS's published tables, as far as the plane keeps them. Source: Elastic Load Balancing API
//! reference, `DescribeSSLPolicies`; User Guide for Application Load Balancers, "Security policies".

use super::page;
use crate::errors::Error;
use crate::shapes::{Cipher, DescribeSSLPoliciesInput, DescribeSSLPoliciesOutput, LoadBalancerTypeEnum, SslPolicy};
use zonal_cloud::View;
use zonal_wire::AwsError;

/// Kinds of suites: policies differ in which of them they have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// TLS 1.3 with AES.
    Tls13,
    /// TLS 1.3 with ChaCha20.
    ChaCha,
    /// Elliptic curves and AES-GCM.
    Gcm,
    /// Elliptic curves and AES-CBC.
    Cbc,
    /// The same with SHA-1.
    Sha1,
    /// Static RSA.
    Rsa,
    /// The same with SHA-1.
    RsaSha1,
    /// Triple DES.
    Des,
}

use Kind::{Cbc, ChaCha, Des, Gcm, Rsa, RsaSha1, Sha1, Tls13};

/// All suites, in the order that every policy prefers them.
const SUITES: [(Kind, &str); 22] = [
    (Tls13, "TLS_AES_128_GCM_SHA256"),
    (Tls13, "TLS_AES_256_GCM_SHA384"),
    (ChaCha, "TLS_CHACHA20_POLY1305_SHA256"),
    (Gcm, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (Gcm, "ECDHE-RSA-AES128-GCM-SHA256"),
    (Cbc, "ECDHE-ECDSA-AES128-SHA256"),
    (Cbc, "ECDHE-RSA-AES128-SHA256"),
    (Sha1, "ECDHE-ECDSA-AES128-SHA"),
    (Sha1, "ECDHE-RSA-AES128-SHA"),
    (Gcm, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (Gcm, "ECDHE-RSA-AES256-GCM-SHA384"),
    (Cbc, "ECDHE-ECDSA-AES256-SHA384"),
    (Cbc, "ECDHE-RSA-AES256-SHA384"),
    (Sha1, "ECDHE-RSA-AES256-SHA"),
    (Sha1, "ECDHE-ECDSA-AES256-SHA"),
    (Rsa, "AES128-GCM-SHA256"),
    (Rsa, "AES128-SHA256"),
    (RsaSha1, "AES128-SHA"),
    (Rsa, "AES256-GCM-SHA384"),
    (Rsa, "AES256-SHA256"),
    (RsaSha1, "AES256-SHA"),
    (Des, "DES-CBC3-SHA"),
];

/// A policy: its name, its protocols, its kinds of suites.
type Policy = (&'static str, &'static [&'static str], &'static [Kind]);

const FROM_1_0: &[&str] = &["TLSv1", "TLSv1.1", "TLSv1.2"];
const FROM_1_1: &[&str] = &["TLSv1.1", "TLSv1.2"];
const ONLY_1_2: &[&str] = &["TLSv1.2"];
const FROM_1_0_TO_1_3: &[&str] = &["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
const FROM_1_1_TO_1_3: &[&str] = &["TLSv1.1", "TLSv1.2", "TLSv1.3"];
const FROM_1_2_TO_1_3: &[&str] = &["TLSv1.2", "TLSv1.3"];
const ONLY_1_3: &[&str] = &["TLSv1.3"];

/// All but TLS 1.3's and the oldest.
const OLD: &[Kind] = &[Gcm, Cbc, Sha1, Rsa, RsaSha1];
/// Those with forward secrecy.
const FORWARD: &[Kind] = &[Gcm, Cbc, Sha1];
/// All but the oldest.
const ALL: &[Kind] = &[Tls13, ChaCha, Gcm, Cbc, Sha1, Rsa, RsaSha1];
/// The same without `ChaCha20`, which FIPS does not approve.
const FIPS: &[Kind] = &[Tls13, Gcm, Cbc, Sha1, Rsa, RsaSha1];

const POLICIES: [Policy; 26] = [
    ("ELBSecurityPolicy-2015-05", FROM_1_0, OLD),
    ("ELBSecurityPolicy-2016-08", FROM_1_0, OLD),
    ("ELBSecurityPolicy-FS-1-1-2019-08", FROM_1_1, FORWARD),
    ("ELBSecurityPolicy-FS-1-2-2019-08", ONLY_1_2, FORWARD),
    ("ELBSecurityPolicy-FS-1-2-Res-2019-08", ONLY_1_2, &[Gcm, Cbc]),
    ("ELBSecurityPolicy-FS-1-2-Res-2020-10", ONLY_1_2, &[Gcm]),
    ("ELBSecurityPolicy-FS-2018-06", FROM_1_0, FORWARD),
    ("ELBSecurityPolicy-TLS-1-0-2015-04", FROM_1_0, &[Gcm, Cbc, Sha1, Rsa, RsaSha1, Des]),
    ("ELBSecurityPolicy-TLS-1-1-2017-01", FROM_1_1, OLD),
    ("ELBSecurityPolicy-TLS-1-2-2017-01", ONLY_1_2, &[Gcm, Cbc, Rsa]),
    ("ELBSecurityPolicy-TLS-1-2-Ext-2018-06", ONLY_1_2, OLD),
    ("ELBSecurityPolicy-TLS13-1-0-2021-06", FROM_1_0_TO_1_3, ALL),
    ("ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04", FROM_1_0_TO_1_3, FIPS),
    ("ELBSecurityPolicy-TLS13-1-1-2021-06", FROM_1_1_TO_1_3, ALL),
    ("ELBSecurityPolicy-TLS13-1-1-FIPS-2023-04", FROM_1_1_TO_1_3, FIPS),
    ("ELBSecurityPolicy-TLS13-1-2-2021-06", FROM_1_2_TO_1_3, &[Tls13, ChaCha, Gcm, Cbc]),
    ("ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04", FROM_1_2_TO_1_3, &[Tls13, Gcm, Cbc, Sha1]),
    ("ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06", FROM_1_2_TO_1_3, &[Tls13, ChaCha, Gcm, Cbc, Rsa]),
    ("ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-2023-04", FROM_1_2_TO_1_3, &[Tls13, Gcm, Cbc, Rsa]),
    ("ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", FROM_1_2_TO_1_3, ALL),
    ("ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-2023-04", FROM_1_2_TO_1_3, FIPS),
    ("ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04", FROM_1_2_TO_1_3, &[Tls13, Gcm, Cbc]),
    ("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", FROM_1_2_TO_1_3, &[Tls13, ChaCha, Gcm]),
    ("ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04", FROM_1_2_TO_1_3, &[Tls13, Gcm]),
    ("ELBSecurityPolicy-TLS13-1-3-2021-06", ONLY_1_3, &[Tls13, ChaCha]),
    ("ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04", ONLY_1_3, &[Tls13]),
];

/// Checks that there is a policy of that name.
pub(super) fn check_policy(name: &str) -> Result<(), Error> {
    let known = POLICIES.iter().any(|(known, ..)| *known == name);
    if known { Ok(()) } else { Err(Error::SslPolicyNotFound(name.to_owned())) }
}

/// `DescribeSSLPolicies`
pub fn describe(_: &View<'_>, input: &DescribeSSLPoliciesInput) -> Result<DescribeSSLPoliciesOutput, AwsError> {
    let unknown: Vec<&str> = input
        .names
        .iter()
        .map(String::as_str)
        .filter(|name| POLICIES.iter().all(|(known, ..)| known != name))
        .collect();
    if !unknown.is_empty() {
        return Err(Error::SslPolicyNotFound(unknown.join(", ")).into());
    }
    // A gateway load balancer speaks no TLS.
    let none = input.load_balancer_type == Some(LoadBalancerTypeEnum::Gateway);
    let wanted = POLICIES
        .iter()
        .filter(|(name, ..)| !none && (input.names.is_empty() || input.names.iter().any(|asked| asked == name)));
    let items = wanted.map(|policy| (policy.0.to_owned(), shown(policy)));
    let (ssl_policies, next_marker) = page(items, input.marker.as_deref(), input.page_size)?;
    Ok(DescribeSSLPoliciesOutput { ssl_policies, next_marker })
}

fn shown((name, protocols, kinds): &Policy) -> SslPolicy {
    SslPolicy {
        name: Some((*name).to_owned()),
        ssl_protocols: protocols.iter().map(|protocol| (*protocol).to_owned()).collect(),
        ciphers: (1..)
            .zip(SUITES.iter().filter(|(kind, _)| kinds.contains(kind)))
            .map(|(priority, (_, cipher))| Cipher { name: Some((*cipher).to_owned()), priority: Some(priority) })
            .collect(),
        supported_load_balancer_types: vec!["application".into(), "network".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonal_balancer::core::policy::{self, security_policy};

    #[test]
    fn the_plane_serves_each_policy_with_the_protocols_that_are_listed() {
        for (name, protocols, kinds) in POLICIES {
            let served = security_policy(name).expect(name);
            assert_eq!(served.tls12, protocols.contains(&"TLSv1.2"), "{name}");
            let tls13 = match (protocols.contains(&"TLSv1.3"), kinds.contains(&ChaCha)) {
                (false, _) => policy::Tls13::No,
                (true, false) => policy::Tls13::AesOnly,
                (true, true) => policy::Tls13::All,
            };
            assert_eq!(served.tls13, tls13, "{name}");
        }
    }

    #[test]
    fn suites_are_listed_in_the_order_of_preference() {
        let policy = POLICIES.iter().find(|(name, ..)| *name == "ELBSecurityPolicy-TLS-1-2-2017-01").map(shown);
        let ciphers = policy.map(|policy| policy.ciphers).unwrap_or_default();
        let ciphers: Vec<_> = ciphers.iter().map(|cipher| (cipher.priority, cipher.name.as_deref())).collect();
        assert_eq!(ciphers.len(), 12);
        assert_eq!(ciphers[0], (Some(1), Some("ECDHE-ECDSA-AES128-GCM-SHA256")));
        assert_eq!(ciphers[11], (Some(12), Some("AES256-SHA256")));
    }

    /// How many suites each policy has in the tables of the User Guide for Application Load Balancers ("Ciphers by
    /// policy" of the TLS, FIPS and FS policies) and, for the two oldest, of that for Network Load Balancers.
    #[test]
    fn each_policy_has_as_many_suites_as_the_guides_tables() {
        let counts = [
            ("2015-05", 18),
            ("2016-08", 18),
            ("FS-1-1-2019-08", 12),
            ("FS-1-2-2019-08", 12),
            ("FS-1-2-Res-2019-08", 8),
            ("FS-1-2-Res-2020-10", 4),
            ("FS-2018-06", 12),
            ("TLS-1-0-2015-04", 19),
            ("TLS-1-1-2017-01", 18),
            ("TLS-1-2-2017-01", 12),
            ("TLS-1-2-Ext-2018-06", 18),
            ("TLS13-1-0-2021-06", 21),
            ("TLS13-1-0-FIPS-2023-04", 20),
            ("TLS13-1-1-2021-06", 21),
            ("TLS13-1-1-FIPS-2023-04", 20),
            ("TLS13-1-2-2021-06", 11),
            ("TLS13-1-2-Ext0-FIPS-2023-04", 14),
            ("TLS13-1-2-Ext1-2021-06", 15),
            ("TLS13-1-2-Ext1-FIPS-2023-04", 14),
            ("TLS13-1-2-Ext2-2021-06", 21),
            ("TLS13-1-2-Ext2-FIPS-2023-04", 20),
            ("TLS13-1-2-FIPS-2023-04", 10),
            ("TLS13-1-2-Res-2021-06", 7),
            ("TLS13-1-2-Res-FIPS-2023-04", 6),
            ("TLS13-1-3-2021-06", 3),
            ("TLS13-1-3-FIPS-2023-04", 2),
        ];
        assert_eq!(counts.len(), POLICIES.len());
        for (policy, (name, count)) in POLICIES.iter().zip(counts) {
            assert_eq!(policy.0, format!("ELBSecurityPolicy-{name}"));
            assert_eq!(shown(policy).ciphers.len(), count, "{name}");
        }
    }

    #[test]
    fn a_policys_suites_are_those_of_the_cli_references_example() {
        let policy = POLICIES.iter().find(|(name, ..)| *name == "ELBSecurityPolicy-TLS13-1-2-2021-06").map(shown);
        let ciphers: Vec<_> =
            policy.expect("it is there").ciphers.into_iter().filter_map(|cipher| cipher.name).collect();
        assert_eq!(
            ciphers[..4],
            [
                "TLS_AES_128_GCM_SHA256",
                "TLS_AES_256_GCM_SHA384",
                "TLS_CHACHA20_POLY1305_SHA256",
                "ECDHE-ECDSA-AES128-GCM-SHA256"
            ]
        );
        assert_eq!(
            ciphers[7..],
            [
                "ECDHE-ECDSA-AES256-GCM-SHA384",
                "ECDHE-RSA-AES256-GCM-SHA384",
                "ECDHE-ECDSA-AES256-SHA384",
                "ECDHE-RSA-AES256-SHA384"
            ]
        );
    }
}
