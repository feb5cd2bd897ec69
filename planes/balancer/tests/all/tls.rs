//! TLS: which certificate a client is shown, what is negotiated under a policy, what targets hear of
//! it, and that changes disturb nobody.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion as Tls, ServerConfig, ServerConnection, StreamOwned};
use zonal_balancer::config::*;

use crate::support::*;

const POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/// A certificate for these names, on an elliptic curve.
pub fn certificate(id: &str, names: &[&str]) -> Certificate {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("the names are names");
    Certificate { id: id.to_owned(), chain: made.cert.pem(), private_key: made.signing_key.serialize_pem() }
}

fn rsa() -> Certificate {
    Certificate {
        id: "rsa".to_owned(),
        chain: include_str!("certificates/rsa.pem").to_owned(),
        private_key: include_str!("certificates/rsa.key").to_owned(),
    }
}

/// A listener with a default certificate and others.
pub fn listener_tls(default: Certificate, others: Vec<Certificate>) -> ListenerTls {
    ListenerTls {
        policy: POLICY.to_owned(),
        alpn: AlpnPolicy::Http1Only,
        headers: TlsHeaders::default(),
        default_certificate: default,
        certificates: others,
    }
}

/// What a client is like.
pub struct Kind {
    pub host: Option<&'static str>,
    pub alpn: &'static [&'static [u8]],
    pub versions: Vec<&'static rustls::SupportedProtocolVersion>,
    pub rsa_only: bool,
}

impl Default for Kind {
    fn default() -> Self {
        let versions = vec![&rustls::version::TLS13, &rustls::version::TLS12];
        Self { host: Some("www.example.com"), alpn: &[], versions, rsa_only: false }
    }
}

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A client that believes what it is shown, and offers these protocols.
pub fn client_config(alpn: &[&[u8]]) -> ClientConfig {
    zonal_unverified::client(alpn).expect("the versions have suites")
}

/// Shakes hands as such a client.
pub fn connect(world: &World, kind: &Kind) -> io::Result<TlsStream> {
    let mut provider = ring::default_provider();
    if kind.rsa_only {
        let mut schemes = provider.signature_verification_algorithms.mapping.to_vec();
        schemes.retain(|(scheme, _)| format!("{scheme:?}").starts_with("RSA"));
        provider.signature_verification_algorithms.mapping = schemes.leak();
        provider.cipher_suites.retain(|suite| !format!("{:?}", suite.suite()).contains("ECDSA"));
    }
    let config = zonal_unverified::client_of(provider, &kind.versions, kind.alpn);
    let mut config = config.expect("the versions have suites");
    config.enable_sni = kind.host.is_some();
    let name = ServerName::try_from(kind.host.unwrap_or("unnamed.example.com")).expect("it is a name");
    let socket = TcpStream::connect(world.address())?;
    socket.set_read_timeout(Some(DEADLINE))?;
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("usable settings"), socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn shown(world: &World, kind: &Kind) -> CertificateDer<'static> {
    let stream = connect(world, kind).expect("the handshake succeeds");
    stream.conn.peer_certificates().expect("a certificate is shown")[0].clone().into_owned()
}

fn der(certificate: &Certificate) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(certificate.chain.as_bytes()).expect("it is PEM")
}

pub fn ask(stream: &mut TlsStream, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: www.example.com\r\n\r\n").expect("the balancer reads");
    let (mut text, mut space) = (String::new(), [0; 4096]);
    let whole = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length: usize = header(head, "content-length")?.parse().ok()?;
        (body.len() == length).then_some(())
    };
    while whole(&text).is_none() {
        let count = stream.read(&mut space).expect("the balancer answers");
        assert!(count > 0, "the balancer closed after {text}");
        text.push_str(&String::from_utf8_lossy(&space[..count]));
    }
    text
}

fn secure(target: &Server, tls: ListenerTls) -> World {
    let world = World::unsettled(&[target], |config| config.listeners[0].tls = Some(tls));
    world.wait_health(&target.id, HealthState::Healthy);
    world
}

#[test]
fn targets_hear_that_a_client_came_by_https() {
    let target = Server::plain("one");
    let world = secure(&target, listener_tls(certificate("c", &["www.example.com"]), Vec::new()));
    let mut stream = connect(&world, &Kind::default()).expect("the handshake succeeds");
    for path in ["/a", "/b"] {
        assert!(ask(&mut stream, path).starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let requests = target.requests();
    assert_eq!(requests.len(), 2, "both requests on one connection");
    assert_eq!(requests[1].header("x-forwarded-proto"), Some("https"));
    assert_eq!(requests[1].header("x-forwarded-port"), Some("80"));
}

#[test]
fn targets_hear_of_version_and_cipher_suite_if_they_are_to_and_clients_cannot_say_them() {
    let target = Server::plain("one");
    let mut world = secure(&target, listener_tls(certificate("c", &["www.example.com"]), Vec::new()));
    let mut stream = connect(&world, &Kind::default()).expect("the handshake succeeds");
    ask(&mut stream, "/");
    let quiet = target.requests().pop().expect("the target was asked");
    assert_eq!(quiet.header("x-amzn-tls-version"), None);
    world.apply(|config| config.http.tls_headers = true);
    write!(stream, "GET / HTTP/1.1\r\nHost: a\r\nX-Amzn-Tls-Version: TLSv1.0\r\n\r\n").expect("the balancer reads");
    let told = wait_for("the target is asked again", || {
        let requests = target.requests();
        if requests.len() == 2 { Ok(requests[1].clone()) } else { Err(format!("{} requests", requests.len())) }
    });
    assert_eq!(told.header("x-amzn-tls-version"), Some("TLSv1.3"));
    assert_eq!(told.head.to_ascii_lowercase().matches("x-amzn-tls-version").count(), 1);
    assert!(told.header("x-amzn-tls-cipher-suite").is_some_and(|suite| suite.starts_with("TLS_")));
}

#[test]
fn a_listener_names_the_headers_of_version_and_cipher_suite() {
    let target = Server::plain("one");
    let headers = TlsHeaders { version: "X-Tls".to_owned(), cipher_suite: "X_Suite".to_owned() };
    let tls = ListenerTls { headers, ..listener_tls(certificate("c", &["www.example.com"]), Vec::new()) };
    let mut world = secure(&target, tls);
    world.apply(|config| config.http.tls_headers = true);
    let mut stream = connect(&world, &Kind::default()).expect("the handshake succeeds");
    write!(stream, "GET / HTTP/1.1\r\nHost: a\r\nx-tls: TLSv1.0\r\n\r\n").expect("the balancer reads");
    let told = wait_for("the target is asked", || target.requests().pop().ok_or_else(String::new));
    assert_eq!((told.header("x-tls"), told.header("x-amzn-tls-version")), (Some("TLSv1.3"), None));
    assert_eq!(told.head.to_ascii_lowercase().matches("x-tls:").count(), 1);
    assert!(told.header("x_suite").is_some_and(|suite| suite.starts_with("TLS_")));
}

#[test]
fn the_certificate_is_the_one_for_just_the_name_then_for_its_domain_then_the_default() {
    let target = Server::plain("one");
    let exact = certificate("exact", &["www.example.com"]);
    let wild = certificate("wild", &["*.example.com"]);
    let default = certificate("default", &["example.org"]);
    let world = secure(&target, listener_tls(default.clone(), vec![wild.clone(), exact.clone()]));
    let of = |host| shown(&world, &Kind { host, ..Kind::default() });
    assert_eq!(of(Some("www.example.com")), der(&exact));
    assert_eq!(of(Some("WWW.Example.com")), der(&exact));
    assert_eq!(of(Some("api.example.com")), der(&wild));
    assert_eq!(of(Some("a.b.example.com")), der(&default));
    assert_eq!(of(Some("example.com")), der(&default));
    assert_eq!(of(None), der(&default));
}

#[test]
fn of_two_certificates_for_a_name_a_client_is_shown_the_one_that_it_can_use() {
    let target = Server::plain("one");
    let curve = certificate("curve", &["both.example.com"]);
    let world = secure(&target, listener_tls(certificate("default", &["d"]), vec![rsa(), curve.clone()]));
    let of = |rsa_only| shown(&world, &Kind { host: Some("both.example.com"), rsa_only, ..Kind::default() });
    assert_eq!(of(false), der(&curve));
    assert_eq!(of(true), der(&rsa()));
}

#[test]
fn a_policy_decides_the_versions() {
    let target = Server::plain("one");
    let mut world = secure(&target, listener_tls(certificate("c", &["www.example.com"]), Vec::new()));
    let (tls12, tls13) = (&rustls::version::TLS12, &rustls::version::TLS13);
    for (policy, offered, agreed) in [
        ("ELBSecurityPolicy-2016-08", vec![tls13, tls12], Some(Tls::TLSv1_2)),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", vec![tls13, tls12], Some(Tls::TLSv1_3)),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", vec![tls12], Some(Tls::TLSv1_2)),
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", vec![tls13], Some(Tls::TLSv1_3)),
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", vec![tls12], None),
        ("ELBSecurityPolicy-2016-08", vec![tls13], None),
    ] {
        world.apply(|config| config.listeners[0].tls.as_mut().expect("it has TLS").policy = policy.to_owned());
        let stream = connect(&world, &Kind { versions: offered, ..Kind::default() });
        assert_eq!(stream.ok().and_then(|stream| stream.conn.protocol_version()), agreed, "{policy}");
    }
    let mut errors = 0;
    wait_for("both failures are counted", || {
        errors += world.metrics().nodes[ZONE].client_tls_errors;
        if errors == 2 { Ok(()) } else { Err(format!("{errors} are")) }
    });
}

#[test]
fn a_policy_that_cannot_be_kept_is_reported_by_name_and_the_former_stays_in_force() {
    let target = Server::plain("one");
    let mut world = secure(&target, listener_tls(certificate("c", &["www.example.com"]), Vec::new()));
    let wanted = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09";
    world.apply(|config| config.listeners[0].tls.as_mut().expect("it has TLS").policy = wanted.to_owned());
    let error = world.wait_report("the failure is reported", |report| match report {
        Report::ListenFailed { error, .. } => Some(error.clone()),
        _ => None,
    });
    assert!(error.contains(wanted), "{error}");
    assert!(connect(&world, &Kind::default()).is_ok());
}

#[test]
fn a_new_certificate_is_for_new_connections_and_disturbs_no_old_one() {
    let target = Server::plain("one");
    let (old, new) = (certificate("old", &["www.example.com"]), certificate("new", &["www.example.com"]));
    let mut world = secure(&target, listener_tls(old, Vec::new()));
    let mut stream = connect(&world, &Kind::default()).expect("the handshake succeeds");
    ask(&mut stream, "/before");
    world.apply(|config| config.listeners[0].tls = Some(listener_tls(new.clone(), Vec::new())));
    assert_eq!(shown(&world, &Kind::default()), der(&new));
    assert!(ask(&mut stream, "/after").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_listener_whose_certificate_is_unusable_answers_nobody_in_the_clear() {
    let target = Server::plain("one");
    let broken = Certificate { id: "x".to_owned(), chain: "x".to_owned(), private_key: "x".to_owned() };
    let world = secure(&target, listener_tls(broken, Vec::new()));
    let mut client = world.client();
    client.send(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
    assert!(client.is_closed());
    assert!(target.requests().is_empty());
}

#[test]
fn http_on_an_https_port_is_400_in_the_clear() {
    let target = Server::plain("one");
    let world = secure(&target, listener_tls(certificate("c", &["www.example.com"]), Vec::new()));
    for request in ["GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "G"] {
        let mut client = world.client();
        client.send(request.as_bytes());
        let answer = client.answer();
        assert_eq!((answer.status, answer.header("server")), (400, Some("awselb/2.0")));
        assert!(answer.text().contains("The plain HTTP request was sent to HTTPS port"), "{}", answer.text());
        assert!(client.is_closed());
    }
    let metrics = world.metrics();
    assert_eq!((metrics.nodes[ZONE].elb_4xx, metrics.nodes[ZONE].client_tls_errors), (3, 0));
    assert!(target.requests().is_empty());
}

#[test]
fn what_is_neither_tls_nor_http_on_an_https_port_is_a_failed_handshake() {
    let target = Server::plain("one");
    let world = secure(&target, listener_tls(certificate("c", &["www.example.com"]), Vec::new()));
    let mut client = world.client();
    client.send(&[0x16, 0x03, 0x01, 0xff, 0xff, 0, 0, 0]);
    assert!(client.try_answer(false).is_err());
    // It is counted once the connection is let go of, which the client may see first.
    wait_for("its failed handshake is counted", || match world.metrics().nodes[ZONE].client_tls_errors {
        1 => Ok(()),
        other => Err(other.to_string()),
    });
}

#[test]
fn alpn_agrees_on_the_first_that_the_listener_wants_and_the_client_has() {
    let target = Server::plain("one");
    let world = secure(&target, listener_tls(certificate("c", &["www.example.com"]), Vec::new()));
    let agreed =
        |alpn| connect(&world, &Kind { alpn, ..Kind::default() }).map(|s| s.conn.alpn_protocol().map(<[u8]>::to_vec));
    assert_eq!(agreed(&[b"h2", b"http/1.1"]).ok().flatten().as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(agreed(&[]).ok().flatten(), None);
    assert!(agreed(&[b"h2"]).is_err(), "nothing in common");
}

/// Accepts as a server whose certificate nobody vouches for.
pub fn tls_acceptor() -> impl Fn(TcpStream) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
    let made = certificate("t", &["internal"]);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("usable")
        .with_no_client_auth()
        .with_single_cert(vec![der(&made)], PrivateKeyDer::from_pem_slice(made.private_key.as_bytes()).expect("a key"))
        .expect("they fit");
    let config = Arc::new(config);
    move |socket| Ok(StreamOwned::new(ServerConnection::new(config.clone()).map_err(io::Error::other)?, socket))
}

/// A target that speaks TLS.
fn tls_target(log: Arc<std::sync::Mutex<Vec<String>>>) -> Server {
    let accept = tls_acceptor();
    Server::raw("tls", move |socket| {
        let mut stream = accept(socket)?;
        let (mut text, mut space) = (String::new(), [0; 4096]);
        loop {
            let count = stream.read(&mut space)?;
            if count == 0 {
                return Ok(());
            }
            text.push_str(&String::from_utf8_lossy(&space[..count]));
            while let Some(end) = text.find("\r\n\r\n") {
                let head: String = text.drain(..end + 4).collect();
                if !head.starts_with("GET /health ") {
                    log.lock().expect("no holder panics").push(head);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")?;
            }
        }
    })
}

#[test]
fn targets_of_an_https_group_are_spoken_to_over_tls_whatever_their_certificate() {
    let log = Arc::default();
    let target = tls_target(Arc::clone(&log));
    let world = World::unsettled(&[&target], |config| {
        let group = &mut config.target_groups[0];
        group.protocol = TargetProtocol::Https;
        group.health_check.protocol = CheckProtocol::Https { path: "/health".to_owned(), matcher: "200".to_owned() };
        group.health_check.timeout = Duration::from_secs(5);
    });
    world.wait_health("tls", HealthState::Healthy);
    let mut client = world.client();
    for path in ["/a", "/b"] {
        assert_eq!(client.get(path).text(), "hi");
    }
    let heads: Vec<String> = log.lock().expect("no holder panics").clone();
    assert_eq!(heads.len(), 2);
    assert!(heads[0].contains("\r\nX-Forwarded-Proto: http\r\n"), "{}", heads[0]);
}

#[test]
fn a_target_that_does_not_speak_tls_is_unhealthy_and_answers_502() {
    let target = Server::raw("bare", |mut socket| {
        let _hello = socket.read(&mut [0; 4096])?;
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    });
    let world = World::unsettled(&[&target], |config| {
        let group = &mut config.target_groups[0];
        group.protocol = TargetProtocol::Https;
        group.health_check.protocol = CheckProtocol::Https { path: "/health".to_owned(), matcher: "200".to_owned() };
    });
    world.wait_health("bare", HealthState::Unhealthy);
    assert_eq!(world.get("/").status, 502);
    let metrics = world.metrics();
    assert_eq!(metrics.groups["group"][ZONE].tls_errors, 1);
}
