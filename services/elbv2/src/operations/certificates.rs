//! Certificates of listeners. Source: Elastic Load Balancing API reference, `AddListenerCertificates`,
//! `RemoveListenerCertificates`, `DescribeListenerCertificates`, and what `CreateListener` and `ModifyListener` say of them.

use super::policies::check_policy;
use super::{listener, page};
use crate::attributes;
use crate::errors::{Error, invalid};
use crate::model::{Kind, Listener, ListenerTls, LoadBalancer, Protocol};
use crate::shapes::{
    AddListenerCertificatesInput, AddListenerCertificatesOutput, Certificate, DescribeListenerCertificatesInput,
    DescribeListenerCertificatesOutput, RemoveListenerCertificatesInput, RemoveListenerCertificatesOutput,
};
use std::collections::BTreeSet;
use zonal_balancer::config;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// Certificates per listener beside the default one, as AWS's default quota has it.
const QUOTA: usize = 25;
/// The policy of a listener that names none (API reference, `CreateListener`).
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// What a request says of a listener's TLS.
pub struct Given<'a> {
    /// `SslPolicy`
    pub policy: Option<&'a str>,
    /// `Certificates`: the default one.
    pub certificates: &'a [Certificate],
    /// `AlpnPolicy`
    pub alpn: &'a [String],
}

/// A listener's TLS after a request: `before` with what is given.
///
/// # Errors
/// What does not go with the protocol, or names what is not there.
pub fn settings(
    view: &View<'_>,
    protocol: Protocol,
    given: &Given<'_>,
    before: Option<&ListenerTls>,
) -> Result<Option<ListenerTls>, Error> {
    if !protocol.is_encrypted() {
        if given.policy.is_some() || !given.certificates.is_empty() || !given.alpn.is_empty() {
            let text = format!(
                "A certificate, an SSL policy or an ALPN policy cannot be specified for {} listeners",
                protocol.wire()
            );
            return Err(invalid(text));
        }
        return Ok(None);
    }
    let default_certificate = match given.certificates {
        [] => before.map(|before| before.default_certificate.clone()),
        [one] if one.is_default == Some(true) => {
            return Err(invalid("You cannot set the isDefault parameter for a certificate"));
        }
        [one] => Some(known(view, one)?),
        _ => return Err(invalid("Up to '1' certificate can be specified, as the default certificate")),
    };
    let default_certificate = default_certificate
        .ok_or_else(|| invalid(format!("A certificate must be specified for {} listeners", protocol.wire())))?;
    if let Some(policy) = given.policy {
        check_policy(policy)?;
    }
    let policy = given.policy.or(before.map(|before| before.policy.as_str())).unwrap_or(DEFAULT_POLICY).to_owned();
    let alpn = match given.alpn {
        [] => before.and_then(|before| before.alpn.clone()),
        [name] if protocol.kind() == Kind::Network && alpn_of(name).is_some() => Some(name.clone()),
        names => {
            let text = format!("ALPN policy '{}' is not supported for {} listeners", names.join(", "), protocol.wire());
            return Err(Error::AlpnPolicy(text));
        }
    };
    let certificates = before.map(|before| before.certificates.clone()).unwrap_or_default();
    Ok(Some(ListenerTls { policy, alpn, default_certificate, certificates }))
}

fn alpn_of(name: &str) -> Option<config::AlpnPolicy> {
    Some(match name {
        "HTTP1Only" => config::AlpnPolicy::Http1Only,
        "HTTP2Only" => config::AlpnPolicy::Http2Only,
        "HTTP2Optional" => config::AlpnPolicy::Http2Optional,
        "HTTP2Preferred" => config::AlpnPolicy::Http2Preferred,
        "None" => config::AlpnPolicy::None,
        _ => return None,
    })
}

/// The ARN of a certificate that is there.
fn known(view: &View<'_>, given: &Certificate) -> Result<String, Error> {
    let arn = given.certificate_arn.clone().ok_or_else(|| invalid("A certificate ARN must be specified"))?;
    match zonal_acm::material(view, &arn) {
        Some(_) => Ok(arn),
        None if zonal_acm::is_requested(view, &arn) => Err(Error::UnsupportedCertificate(arn)),
        None => Err(Error::CertificateNotFound(arn)),
    }
}

/// `AddListenerCertificates`
pub fn add(tx: &mut Tx<'_>, input: &AddListenerCertificatesInput) -> Result<AddListenerCertificatesOutput, AwsError> {
    let mut changed = listener(&tx.view(), &input.listener_arn)?.clone();
    let mut added = Vec::new();
    for given in &input.certificates {
        if given.is_default.is_some() {
            return Err(invalid("You cannot set the isDefault parameter for a certificate").into());
        }
        added.push(known(&tx.view(), given)?);
    }
    let tls = encrypted(&mut changed)?;
    for arn in &added {
        if !tls.certificates.contains(arn) && *arn != tls.default_certificate {
            tls.certificates.push(arn.clone());
        }
    }
    if tls.certificates.len() > QUOTA {
        let text = format!("The maximum number of certificates per listener is '{QUOTA}'");
        return Err(Error::TooMany { what: "TooManyCertificates", text }.into());
    }
    let balancer = changed.balancer.clone();
    tx.put(changed);
    note_use(tx, &balancer);
    let shown = added.into_iter().map(|arn| Certificate { certificate_arn: Some(arn), is_default: Some(false) });
    Ok(AddListenerCertificatesOutput { certificates: shown.collect() })
}

/// `RemoveListenerCertificates`: the default one stays.
pub fn remove(
    tx: &mut Tx<'_>,
    input: &RemoveListenerCertificatesInput,
) -> Result<RemoveListenerCertificatesOutput, AwsError> {
    let mut changed = listener(&tx.view(), &input.listener_arn)?.clone();
    let tls = encrypted(&mut changed)?;
    let is_named = |arn: &String| input.certificates.iter().any(|given| given.certificate_arn.as_ref() == Some(arn));
    if is_named(&tls.default_certificate) {
        return Err(Error::CertificateInUse("Default certificate cannot be removed from a listener".into()).into());
    }
    tls.certificates.retain(|arn| !is_named(arn));
    let balancer = changed.balancer.clone();
    tx.put(changed);
    note_use(tx, &balancer);
    Ok(RemoveListenerCertificatesOutput {})
}

fn encrypted(listener: &mut Listener) -> Result<&mut ListenerTls, Error> {
    let protocol = listener.protocol.wire();
    listener.tls.as_mut().ok_or_else(|| invalid(format!("Certificates cannot be specified for {protocol} listeners")))
}

/// `DescribeListenerCertificates`
pub fn describe(
    view: &View<'_>,
    input: &DescribeListenerCertificatesInput,
) -> Result<DescribeListenerCertificatesOutput, AwsError> {
    let found = listener(view, &input.listener_arn)?;
    let all = found.tls.iter().flat_map(|tls| {
        let default = std::iter::once((&tls.default_certificate, true));
        default.chain(tls.certificates.iter().map(|arn| (arn, false)))
    });
    // In the order that they were added, the default one first.
    let items = all.enumerate().map(|(at, (arn, is_default))| {
        let shown = Certificate { certificate_arn: Some(arn.clone()), is_default: Some(is_default) };
        (format!("{at:04}"), shown)
    });
    let (certificates, next_marker) = page(items, input.marker.as_deref(), input.page_size)?;
    Ok(DescribeListenerCertificatesOutput { certificates, next_marker })
}

/// Tells Certificate Manager which certificates a load balancer shows now.
pub fn note_use(tx: &mut Tx<'_>, balancer: &str) {
    let own = tx.starting::<Listener>(LoadBalancer::keys_of_listeners(balancer));
    let arns: BTreeSet<String> = own
        .filter_map(|listener| listener.tls.as_ref())
        .flat_map(|tls| tls.certificates.iter().chain([&tls.default_certificate]).cloned())
        .collect();
    zonal_acm::use_by(tx, balancer, &arns);
}

/// A listener's TLS, for the plane. A certificate that is gone is left out: nobody is shown it.
pub fn tls(view: &View<'_>, balancer: &LoadBalancer, listener: &Listener) -> Option<config::ListenerTls> {
    let tls = listener.tls.as_ref()?;
    let certificate = |arn: &String| {
        let material = zonal_acm::material(view, arn);
        material.map(|material| config::Certificate {
            id: arn.clone(),
            chain: material.chain,
            private_key: material.private_key,
        })
    };
    let alpn = match (&tls.alpn, listener.protocol.kind()) {
        (Some(name), _) => alpn_of(name).unwrap_or_default(),
        (None, Kind::Network) => config::AlpnPolicy::None,
        (None, Kind::Application) if attributes::has_http2(balancer) => config::AlpnPolicy::Http2Preferred,
        (None, Kind::Application) => config::AlpnPolicy::Http1Only,
    };
    Some(config::ListenerTls {
        policy: tls.policy.clone(),
        alpn,
        headers: attributes::tls_headers(&listener.attributes),
        default_certificate: certificate(&tls.default_certificate)?,
        certificates: tls.certificates.iter().filter_map(certificate).collect(),
    })
}
