//! TLS on both sides: what a listener shows its clients, and how targets are spoken to.
//!
//! A listener's engine is one immutable value behind one pointer, so that a new certificate is used
//! by the next handshake and disturbs no connection. The keys of session tickets belong to the
//! listener and outlive its engines: they are random, kept in memory only and changed every six
//! hours.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, IpAddr, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CipherSuite, HandshakeKind, ServerConfig, ServerConnection, SignatureAlgorithm, SupportedCipherSuite, version,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream, client, server};

use crate::config::{AlpnPolicy, Certificate, ListenerTls, ProtocolVersion, TlsHeaders};
use crate::core::policy::{SecurityPolicy, Tls13, security_policy};

/// Why a listener's TLS settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// There is no such policy, or it promises what cannot be kept.
    #[error("security policy {0} is not supported")]
    Policy(String),
    /// Not a certificate chain.
    #[error("certificate {id}: its chain cannot be read")]
    Chain {
        /// The certificate's ARN.
        id: String,
    },
    /// Not a private key.
    #[error("certificate {id}: its private key cannot be read")]
    Key {
        /// The certificate's ARN.
        id: String,
    },
    /// They do not belong together, or the library cannot use them.
    #[error("certificate {id}: {source}")]
    Unusable {
        /// The certificate's ARN.
        id: String,
        /// The library's reason.
        source: rustls::Error,
    },
    /// The library refuses the settings.
    #[error("TLS settings")]
    Settings(#[from] rustls::Error),
}

/// Keys of session tickets: one per listener, for as long as it lives.
#[derive(Clone, Debug)]
pub struct Tickets(Arc<dyn ProducesTickets>);

impl Tickets {
    /// With keys that nobody has seen.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new() -> Result<Self, TlsError> {
        Ok(Self(ring::Ticketer::new()?))
    }
}

/// What a listener shows its clients. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
    headers: Arc<TlsHeaders>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServerTls")
    }
}

impl ServerTls {
    /// Makes settings ready for handshakes.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(tls: &ListenerTls, tickets: &Tickets) -> Result<Self, TlsError> {
        let policy = security_policy(&tls.policy).ok_or_else(|| TlsError::Policy(tls.policy.clone()))?;
        let certificates = Arc::new(Certificates::new(tls)?);
        let mut config = ServerConfig::builder_with_provider(provider(policy))
            .with_protocol_versions(&versions(policy))?
            .with_no_client_auth()
            .with_cert_resolver(certificates.clone());
        // The order is the policy's, not the client's.
        config.ignore_client_order = true;
        config.alpn_protocols = tls.alpn.protocols().iter().map(|name| name.to_vec()).collect();
        config.ticketer = tickets.0.clone();
        config.send_tls13_tickets = 1;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, certificates, headers: Arc::new(tls.headers.clone()) })
    }

    /// As [`ServerTls::accept`], of a client that may have taken the port for an HTTP one.
    ///
    /// # Errors
    /// If the handshake fails.
    pub async fn meet(&self, stream: TcpStream) -> io::Result<Met> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        // A TLS connection begins with the type of a record, and none is a letter; a method is one.
        if first[0].is_ascii_alphabetic() {
            return Ok(Met::Http(stream));
        }
        let stream = self.accept(stream).await?;
        let handshake = self.handshake(stream.get_ref().1);
        Ok(Met::Tls(Box::new(stream.into()), handshake))
    }

    /// Makes a client's connection one that is encrypted.
    ///
    /// # Errors
    /// If the handshake fails.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// What became of a handshake.
    fn handshake(&self, session: &ServerConnection) -> Option<Box<Handshake>> {
        let (version, suite) = (session.protocol_version()?, session.negotiated_cipher_suite()?.suite());
        let usable = |key: &CertifiedKey| fits(suite, key.key.algorithm());
        let named = session.server_name().and_then(|host| Some((host, self.certificates.pick(host, usable)?)));
        let shown = named.map_or(&self.certificates.default, |(_, shown)| shown);
        Some(Box::new(Handshake {
            version: if version == rustls::ProtocolVersion::TLSv1_3 { "TLSv1.3" } else { "TLSv1.2" },
            suite: name_of(suite)?,
            headers: self.headers.clone(),
            domain: named.map(|(host, _)| host.to_owned()),
            certificate: match session.handshake_kind() {
                Some(HandshakeKind::Resumed) => None,
                _ => Some(shown.id.clone()),
            },
        }))
    }
}

/// What a client's TLS has agreed on. Versions and suites have the names that an ALB gives them, which are OpenSSL's.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// TLS version.
    pub version: &'static str,
    /// Cipher suite.
    pub suite: &'static str,
    /// What targets are told both in.
    pub headers: Arc<TlsHeaders>,
    /// The host that the client named, if a certificate is for it.
    pub domain: Option<String>,
    /// The ARN of the certificate that was shown; `None` where an earlier session went on. Of two kinds of key for one
    /// host, TLS 1.3 leaves open which it was: then it is the one that is preferred.
    pub certificate: Option<Arc<str>>,
}

fn name_of(suite: CipherSuite) -> Option<&'static str> {
    Some(match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        // No policy has another.
        _ => return None,
    })
}

/// What a client of a port that wants TLS speaks.
pub enum Met {
    /// TLS, and what was agreed on.
    Tls(Box<TlsStream<TcpStream>>, Option<Box<Handshake>>),
    /// HTTP; nothing of it has been read.
    Http(TcpStream),
}

/// How targets are spoken to: their certificates are not validated, as an ALB does it (ELB guide,
/// Target groups for your Application Load Balancers: routing configuration).
#[derive(Clone)]
pub struct ClientTls(TlsConnector);

impl fmt::Debug for ClientTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientTls")
    }
}

impl ClientTls {
    /// Offers these protocols.
    ///
    /// # Errors
    /// If the library refuses its own settings.
    pub fn new(alpn: AlpnPolicy) -> Result<Self, TlsError> {
        let mut config = zonal_unverified::client(alpn.protocols())?;
        // Connections are kept, so there is little to resume.
        config.enable_sni = false;
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Makes a connection to a target one that is encrypted.
    ///
    /// # Errors
    /// If the handshake fails.
    pub async fn connect(&self, stream: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
        let address = stream.peer_addr()?.ip();
        self.0.connect(ServerName::IpAddress(IpAddr::from(address)), stream).await
    }
}

/// How targets are spoken to, by the version of HTTP that their group has.
#[derive(Clone, Debug)]
pub struct TargetTls {
    http1: ClientTls,
    http2: ClientTls,
}

impl TargetTls {
    /// Both ways.
    ///
    /// # Errors
    /// If the library refuses its own settings.
    pub fn new() -> Result<Self, TlsError> {
        // A target that speaks HTTP/1.1 need not know ALPN.
        Ok(Self { http1: ClientTls::new(AlpnPolicy::None)?, http2: ClientTls::new(AlpnPolicy::Http2Only)? })
    }

    /// One of them.
    pub fn of(&self, version: ProtocolVersion) -> &ClientTls {
        match version {
            ProtocolVersion::Http1 => &self.http1,
            ProtocolVersion::Http2 | ProtocolVersion::Grpc => &self.http2,
        }
    }
}

fn provider(policy: SecurityPolicy) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| match suite {
        SupportedCipherSuite::Tls13(_) => match policy.tls13 {
            Tls13::No => false,
            Tls13::AesOnly => suite.suite() != CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            Tls13::All => true,
        },
        SupportedCipherSuite::Tls12(_) => {
            policy.tls12
                && matches!(
                    suite.suite(),
                    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
                        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
                        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
                )
        }
    });
    // As ELB's tables have them: TLS 1.3 first, the shorter key first.
    provider.cipher_suites.sort_by_key(|suite| {
        let long = matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_256_GCM_SHA384
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
        );
        (suite.tls13().is_none(), suite.suite() == CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, long)
    });
    Arc::new(provider)
}

fn versions(policy: SecurityPolicy) -> Vec<&'static rustls::SupportedProtocolVersion> {
    let tls13 = (policy.tls13 != Tls13::No).then_some(&version::TLS13);
    tls13.into_iter().chain(policy.tls12.then_some(&version::TLS12)).collect()
}

/// A listener's certificates by the names that they are for.
#[derive(Debug)]
struct Certificates {
    default: Shown,
    /// By DNS name in lower case; a wildcard without its `*`, so with a leading dot. Elliptic curves
    /// before RSA: whoever understands both gets the cheaper one.
    named: BTreeMap<String, Vec<Shown>>,
}

/// A certificate with its key, and its ARN.
#[derive(Clone, Debug)]
struct Shown {
    id: Arc<str>,
    key: Arc<CertifiedKey>,
}

impl Shown {
    fn new(certificate: &Certificate) -> Result<Self, TlsError> {
        Ok(Self { id: certificate.id.as_str().into(), key: Arc::new(certified(certificate)?) })
    }
}

impl Certificates {
    fn new(tls: &ListenerTls) -> Result<Self, TlsError> {
        let default = Shown::new(&tls.default_certificate)?;
        let mut named: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let mut add = |shown: &Shown| {
            for name in names(&shown.key) {
                named.entry(name).or_default().push(shown.clone());
            }
        };
        add(&default);
        for certificate in &tls.certificates {
            add(&Shown::new(certificate)?);
        }
        for keys in named.values_mut() {
            keys.sort_by_key(|shown| shown.key.key.algorithm() != SignatureAlgorithm::ECDSA);
        }
        Ok(Self { default, named })
    }

    /// The best one for a host: one for just this name before one for all of its domain; among
    /// those, the first that the client can use.
    fn pick(&self, host: &str, usable: impl Fn(&CertifiedKey) -> bool) -> Option<&Shown> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let domain = host.find('.').map_or("", |dot| &host[dot..]);
        let matching = [host.as_str(), domain].into_iter().filter_map(|name| self.named.get(name)).flatten();
        let mut first = None;
        for shown in matching {
            if usable(&shown.key) {
                return Some(shown);
            }
            first.get_or_insert(shown);
        }
        first
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = |key: &CertifiedKey| {
            key.key.choose_scheme(hello.signature_schemes()).is_some()
                && hello.cipher_suites().iter().any(|suite| fits(*suite, key.key.algorithm()))
        };
        let named = hello.server_name().and_then(|host| self.pick(host, usable));
        Some(named.unwrap_or(&self.default).key.clone())
    }
}

/// Whether a suite can be proven by a key of that kind.
fn fits(suite: CipherSuite, algorithm: SignatureAlgorithm) -> bool {
    match suite {
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => {
            algorithm == SignatureAlgorithm::ECDSA
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => {
            algorithm == SignatureAlgorithm::RSA
        }
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => true,
        _ => false,
    }
}

fn certified(certificate: &Certificate) -> Result<CertifiedKey, TlsError> {
    let id = || certificate.id.clone();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| TlsError::Chain { id: id() })?;
    let key = PrivateKeyDer::from_pem_slice(certificate.private_key.as_bytes());
    let key = key.map_err(|_| TlsError::Key { id: id() })?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map_err(|source| TlsError::Unusable { id: id(), source })
}

/// The DNS names that a certificate is for, as [`Certificates`] keeps them.
fn names(key: &CertifiedKey) -> Vec<String> {
    let Some(Ok(certificate)) = key.cert.first().map(webpki::EndEntityCert::try_from) else { return Vec::new() };
    let name = |name: &str| name.strip_prefix('*').unwrap_or(name).to_ascii_lowercase();
    certificate.valid_dns_names().map(name).collect()
}
