//! A virtual world's own certificate authority. What it signs is real, though nothing virtual speaks TLS.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, Error, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use std::time::Duration;

/// The authority: made when something is first to be signed.
#[derive(Default)]
pub(crate) struct Authority {
    made: Option<(String, Issuer<'static, KeyPair>)>,
}

impl Authority {
    /// Signs a certificate of these names for these days since 1970: it, the authority's own, and its private key, as PEM.
    pub(crate) fn issue(&mut self, names: Vec<String>, days: (i64, i64)) -> Result<(String, String, String), Error> {
        let (chain, issuer) = match &self.made {
            Some(made) => made,
            None => self.made.insert(make()?),
        };
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.clone())?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        // A common name has at most 64 characters.
        if let Some(name) = names.first().filter(|name| name.len() <= 64) {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = (date_time_ymd(1970, 1, 1), date_time_ymd(1970, 1, 1));
        params.not_before += span(days.0);
        params.not_after += span(days.1);
        let certificate = params.signed_by(&key, issuer)?;
        Ok((certificate.pem(), chain.clone(), key.serialize_pem()))
    }
}

fn make() -> Result<(String, Issuer<'static, KeyPair>), Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Zonal, a virtual world's own authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let chain = params.self_signed(&key)?.pem();
    Ok((chain, Issuer::new(params, key)))
}

fn span(days: i64) -> Duration {
    Duration::from_secs(days.unsigned_abs() * 86_400)
}
