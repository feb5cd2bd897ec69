//! TLS toward endpoints whose certificates nobody validates: a load balancer's targets, and what health checks look at.
//!
//! Source: ELB guide, "Target groups for your Application Load Balancers" (routing configuration); Route 53 Developer Guide, "How
//! Amazon Route 53 determines whether a health check is healthy": neither validates certificates.

#![forbid(unsafe_code)]

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DEFAULT_VERSIONS, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};

/// A client of TLS 1.2 and 1.3 that takes any certificate, and offers these protocols (ALPN), the preferred first.
///
/// # Errors
/// If the library refuses its own settings.
pub fn client(protocols: &[&[u8]]) -> Result<ClientConfig, rustls::Error> {
    client_of(ring::default_provider(), DEFAULT_VERSIONS, protocols)
}

/// The same with what a provider can, in these versions.
///
/// # Errors
/// If the provider has no suite for one of the versions.
pub fn client_of(
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> Result<ClientConfig, rustls::Error> {
    let any = AnyCertificate(provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(any))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// Takes any certificate, but only from whoever has its key.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
