//! What a listener needs to speak TLS. Key material passes through here, so nothing in this module
//! prints it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A listener's side of TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerTls {
    /// `SslPolicy`: the name of a security policy of ELB.
    pub policy: String,
    /// What is offered by ALPN.
    pub alpn: AlpnPolicy,
    /// What targets are told the client's TLS in.
    #[serde(default)]
    pub headers: TlsHeaders,
    /// Shown to clients that name no host, or none that another certificate is for.
    pub default_certificate: Certificate,
    /// Chosen from by the host that a client names (SNI).
    #[serde(default)]
    pub certificates: Vec<Certificate>,
}

/// The names of the headers that tell targets of the client's TLS: a listener's attributes
/// `routing.http.request.x_amzn_tls_….header_name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsHeaders {
    /// `X-Amzn-Tls-Version` unless it has another name.
    pub version: String,
    /// `X-Amzn-Tls-Cipher-Suite` unless it has another name.
    pub cipher_suite: String,
}

impl Default for TlsHeaders {
    fn default() -> Self {
        Self { version: "X-Amzn-Tls-Version".to_owned(), cipher_suite: "X-Amzn-Tls-Cipher-Suite".to_owned() }
    }
}

/// A certificate with all that proves it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its ARN.
    pub id: String,
    /// Its own certificate and those of the authorities above it, in this order: PEM.
    pub chain: String,
    /// Its private key: PEM (PKCS #8, PKCS #1 or SEC 1), not encrypted.
    pub private_key: String,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Certificate").field("id", &self.id).finish_non_exhaustive()
    }
}

/// `AlpnPolicy` of the API; an ALB's HTTPS listener is `Http2Preferred` or, with
/// `routing.http2.enabled` off, `Http1Only`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlpnPolicy {
    /// `HTTP1Only`: http/1.1, http/1.0.
    Http1Only,
    /// `HTTP2Only`: h2.
    Http2Only,
    /// `HTTP2Optional`: http/1.1, http/1.0, h2.
    Http2Optional,
    /// `HTTP2Preferred`: h2, http/1.1, http/1.0.
    Http2Preferred,
    /// `None`: nothing is negotiated.
    #[default]
    None,
}

impl AlpnPolicy {
    /// What is offered, most wanted first.
    pub fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Http1Only => &[b"http/1.1", b"http/1.0"],
            Self::Http2Only => &[b"h2"],
            Self::Http2Optional => &[b"http/1.1", b"http/1.0", b"h2"],
            Self::Http2Preferred => &[b"h2", b"http/1.1", b"http/1.0"],
            Self::None => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_never_printed() {
        let certificate = Certificate { id: "arn".to_owned(), chain: String::new(), private_key: "secret".to_owned() };
        assert!(!format!("{certificate:?}").contains("secret"));
    }
}
