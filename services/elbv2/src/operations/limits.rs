//! Account limits and TLS policies: AWS's published tables. Source: Elastic Load Balancing API reference, `DescribeAccountLimits`,
//! `DescribeSSLPolicies`; User Guide for Application Load Balancers, "Quotas" and "Security policies".

use super::page;
use crate::errors::Error;
use crate::shapes::{
    Cipher, DescribeAccountLimitsInput, DescribeAccountLimitsOutput, DescribeSSLPoliciesInput,
    DescribeSSLPoliciesOutput, Limit, LoadBalancerTypeEnum, SslPolicy,
};
use zonal_cloud::View;
use zonal_wire::AwsError;

const LIMITS: [(&str, u32); 10] = [
    ("application-load-balancers", 50),
    ("condition-values-per-alb-rule", 5),
    ("condition-wildcards-per-alb-rule", 6),
    ("listeners-per-application-load-balancer", 50),
    ("rules-per-application-load-balancer", 100),
    ("target-groups", 3000),
    ("target-groups-per-action-on-application-load-balancer", 5),
    ("target-groups-per-application-load-balancer", 100),
    ("targets-per-application-load-balancer", 1000),
    ("targets-per-target-group", 1000),
];

const TLS13: [&str; 3] = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
const GCM: [&str; 4] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];
const CBC: [&str; 4] =
    ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384"];
const SHA1: [&str; 4] =
    ["ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA", "ECDHE-ECDSA-AES256-SHA"];
const RSA: [&str; 4] = ["AES128-GCM-SHA256", "AES128-SHA256", "AES256-GCM-SHA384", "AES256-SHA256"];
const RSA_SHA1: [&str; 2] = ["AES128-SHA", "AES256-SHA"];

/// A policy: its name, its protocols, its suites in groups.
type Policy = (&'static str, &'static [&'static str], &'static [&'static [&'static str]]);

const POLICIES: [Policy; 6] = [
    ("ELBSecurityPolicy-2016-08", &["TLSv1", "TLSv1.1", "TLSv1.2"], &[&GCM, &CBC, &SHA1, &RSA, &RSA_SHA1]),
    ("ELBSecurityPolicy-FS-1-2-Res-2020-10", &["TLSv1.2"], &[&GCM]),
    ("ELBSecurityPolicy-TLS-1-1-2017-01", &["TLSv1.1", "TLSv1.2"], &[&GCM, &CBC, &SHA1, &RSA, &RSA_SHA1]),
    ("ELBSecurityPolicy-TLS-1-2-2017-01", &["TLSv1.2"], &[&GCM, &CBC, &RSA]),
    ("ELBSecurityPolicy-TLS13-1-2-2021-06", &["TLSv1.2", "TLSv1.3"], &[&TLS13, &GCM, &CBC]),
    ("ELBSecurityPolicy-TLS13-1-3-2021-06", &["TLSv1.3"], &[&TLS13]),
];

/// `DescribeAccountLimits`
pub fn account(_: &View<'_>, input: &DescribeAccountLimitsInput) -> Result<DescribeAccountLimitsOutput, AwsError> {
    let limit =
        |(name, max): (&str, u32)| (name.to_owned(), Limit { name: Some(name.to_owned()), max: Some(max.to_string()) });
    let (limits, next_marker) = page(LIMITS.into_iter().map(limit), input.marker.as_deref(), input.page_size)?;
    Ok(DescribeAccountLimitsOutput { limits, next_marker })
}

/// Checks that there is a policy of that name.
pub(super) fn check_policy(name: &str) -> Result<(), Error> {
    let known = POLICIES.iter().any(|(known, ..)| *known == name);
    if known { Ok(()) } else { Err(Error::SslPolicyNotFound(name.to_owned())) }
}

/// `DescribeSSLPolicies`
pub fn ssl_policies(_: &View<'_>, input: &DescribeSSLPoliciesInput) -> Result<DescribeSSLPoliciesOutput, AwsError> {
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

fn shown((name, protocols, suites): &Policy) -> SslPolicy {
    let owned = |text: &&str| (*text).to_owned();
    SslPolicy {
        name: Some((*name).to_owned()),
        ssl_protocols: protocols.iter().map(owned).collect(),
        ciphers: (1..)
            .zip(suites.iter().flat_map(|group| group.iter()))
            .map(|(priority, cipher)| Cipher { name: Some((*cipher).to_owned()), priority: Some(priority) })
            .collect(),
        supported_load_balancer_types: vec!["application".into(), "network".into()],
    }
}
