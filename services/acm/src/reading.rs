//! Certificates and keys as they are imported: read, checked and understood.

use crate::errors::{Error, invalid};
use crate::model::{Algorithm, Facts};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use zonal_wire::Time;

/// Reads a certificate with its key and chain, and checks that they belong together.
///
/// # Errors
/// If one of them cannot be read or does not belong to the others; or if the certificate's key is of a kind that ACM does not take.
pub fn read(body: &str, key: &str, chain: Option<&str>, now: Time) -> Result<Facts, Error> {
    let ill = || invalid("The certificate field contains an invalid certificate: it is not PEM-encoded or not X.509.");
    let certificates = pems(body).ok_or_else(ill)?;
    let [certificate] = certificates.as_slice() else {
        return Err(if certificates.is_empty() {
            ill()
        } else {
            invalid(
                "Certificate field contains more than one certificate. You can specify only one certificate in this field.",
            )
        });
    };
    let facts = facts(certificate).ok_or_else(ill)?.ok_or_else(|| {
        invalid("The key algorithm of the certificate is not supported: RSA of 2048, 3072 or 4096 bits, or an elliptic curve.")
    })?;
    if now < facts.not_before {
        return Err(invalid("The certificate is not in effect yet, is not valid."));
    }
    if now > facts.not_after {
        return Err(invalid("The certificate has expired, is not valid."));
    }
    if key.contains("ENCRYPTED") {
        return Err(invalid("The private key is encrypted: it must be imported unencrypted."));
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| invalid("The private key is not PEM-encoded or is not valid."))?;
    let above = match chain {
        None => Vec::new(),
        Some(chain) => pems(chain)
            .filter(|chain| !chain.is_empty() && chain.iter().all(|one| X509Certificate::from_der(one).is_ok()))
            .ok_or_else(|| invalid("The certificate chain is not PEM-encoded or is not valid."))?,
    };
    // A chain leads upwards from the certificate.
    let mut below = certificate;
    for one in &above {
        if !is_issued_by(below, one) {
            return Err(invalid("Could not validate the certificate with the certificate chain."));
        }
        below = one;
    }
    CertifiedKey::from_der(vec![certificate.clone()], key, &ring::default_provider()).map_err(|_| {
        invalid("The private key does not belong to the certificate, or is of a kind that is not supported.")
    })?;
    Ok(facts)
}

fn pems(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().ok()
}

/// Whether the one names the other as its issuer.
fn is_issued_by(one: &CertificateDer<'_>, other: &CertificateDer<'_>) -> bool {
    match (X509Certificate::from_der(one), X509Certificate::from_der(other)) {
        (Ok((_, one)), Ok((_, other))) => one.issuer().as_raw() == other.subject().as_raw(),
        _ => false,
    }
}

/// What it says; `None` if it cannot be read, `Some(None)` if its key is of no kind that ACM takes.
fn facts(certificate: &CertificateDer<'_>) -> Option<Option<Facts>> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    let Some(algorithm) = algorithm(&read) else { return Some(None) };
    let alternatives = read.subject_alternative_name().ok()?;
    let mut names: Vec<String> = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect();
    let common = read.subject().iter_common_name().find_map(|name| name.as_str().ok()).map(ToOwned::to_owned);
    let domain = common.or_else(|| names.first().cloned())?;
    if !names.contains(&domain) {
        names.insert(0, domain.clone());
    }
    let time = |time: x509_parser::time::ASN1Time| Time::from_secs(time.timestamp());
    Some(Some(Facts {
        domain,
        names,
        serial: read.raw_serial_as_string(),
        subject: read.subject().to_string(),
        issuer: read.issuer().to_string(),
        not_before: time(read.validity().not_before),
        not_after: time(read.validity().not_after),
        algorithm,
        signature: signature(&read.signature_algorithm.algorithm.to_id_string()),
    }))
}

fn algorithm(certificate: &X509Certificate<'_>) -> Option<Algorithm> {
    match certificate.public_key().parsed().ok()? {
        PublicKey::RSA(key) => match key.key_size() {
            2048 => Some(Algorithm::Rsa2048),
            3072 => Some(Algorithm::Rsa3072),
            4096 => Some(Algorithm::Rsa4096),
            _ => None,
        },
        PublicKey::EC(point) => match point.key_size() {
            256 => Some(Algorithm::EcPrime256v1),
            384 => Some(Algorithm::EcSecp384r1),
            // 521 bits, in whole bytes.
            521 | 528 => Some(Algorithm::EcSecp521r1),
            _ => None,
        },
        _ => None,
    }
}

/// ACM's name of a signature algorithm; its number for one that has none.
fn signature(number: &str) -> String {
    match number {
        "1.2.840.113549.1.1.5" => "SHA1WITHRSA",
        "1.2.840.113549.1.1.11" => "SHA256WITHRSA",
        "1.2.840.113549.1.1.12" => "SHA384WITHRSA",
        "1.2.840.113549.1.1.13" => "SHA512WITHRSA",
        "1.2.840.10045.4.3.2" => "SHA256WITHECDSA",
        "1.2.840.10045.4.3.3" => "SHA384WITHECDSA",
        "1.2.840.10045.4.3.4" => "SHA512WITHECDSA",
        other => other,
    }
    .to_owned()
}
