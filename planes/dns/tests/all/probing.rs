//! Health checks of endpoints on loopback, in the clear and over TLS.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::net::TcpStream;
use tokio::sync::watch;
use zonal_dns::config::{Check, Probe, Tls};
use zonal_dns::shell::{Connecting, Probed, Prober, Way, ZoneStore};

use crate::sockets::PATIENCE;

/// An endpoint that shows a certificate of its own making and answers one request; its port, and the name that it was wanted under.
fn secure_endpoint() -> (u16, mpsc::Receiver<Option<String>>) {
    let made = rcgen::generate_simple_self_signed(vec!["elsewhere.example.com".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![made.cert.into()], key.into()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (name, names) = mpsc::channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut octet = [0];
            stream.read_exact(&mut octet).unwrap();
            request.push(octet[0]);
        }
        name.send(stream.conn.server_name().map(str::to_owned)).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell").unwrap();
    });
    (port, names)
}

/// A way to loopback addresses, or to none.
struct Loopback(bool);

impl Way for Loopback {
    fn leads_to(&self, address: IpAddr) -> bool {
        self.0 && address.is_loopback()
    }

    fn connect(&self, address: SocketAddr) -> Connecting {
        Box::pin(TcpStream::connect(address))
    }
}

/// An endpoint that answers in parts, each after a pause; its port.
fn slow_endpoint(parts: &'static [&'static [u8]], pause: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(pause)).unwrap();
        for part in parts {
            // Whoever asks says no more and goes on listening, so that reading is a pause.
            while stream.read(&mut [0; 1024]).is_ok_and(|len| len > 0) {}
            if stream.write_all(part).is_err() {
                return;
            }
        }
    });
    port
}

/// What the first connection of a health check came to.
fn probed(port: u16, tls: Option<Tls>) -> Probed {
    let host = Some("www.example.com".to_owned());
    let check = Check::Http { path: "/".to_owned(), host, search: Some("well".to_owned()), tls };
    probed_at("127.0.0.1", port, check, Loopback(true))
}

/// Likewise, of an endpoint that is found by a name or address.
fn probed_at(host: &str, port: u16, check: Check, way: Loopback) -> Probed {
    probed_fast(host, port, check, way, 1)
}

/// Likewise, in a world whose clock is so many times as fast.
fn probed_fast(host: &str, port: u16, check: Check, way: Loopback, times: u32) -> Probed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let probe = Probe { id: "check".to_owned(), host: host.to_owned(), port, check, interval: 30, threshold: 1 };
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (_speed, speed) = watch::channel(times);
    runtime.block_on(async {
        let store = Arc::new(ZoneStore::new());
        let _prober = Prober::start(&store, probe, speed, Arc::new(way), move |probed| drop(tell.send(probed)));
        tokio::time::timeout(PATIENCE, told.recv()).await.expect("in time").expect("something")
    })
}

#[test]
fn an_endpoint_is_asked_over_tls_whoever_its_certificate_is_for_and_told_its_name_where_that_is_wanted() {
    for wanted in [Some("www.example.com".to_owned()), None] {
        let (port, names) = secure_endpoint();
        let said = probed(port, Some(Tls { server_name: wanted.clone() }));
        assert_eq!((said.healthy, said.outcome.as_str()), (Some(true), "Success: HTTP Status Code 200, OK"));
        assert_eq!(said.address, Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(names.recv_timeout(PATIENCE).unwrap(), wanted);
    }
}

#[test]
fn an_endpoint_that_speaks_no_tls_fails_the_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // What was asked is read, so that the answer is not cut short.
        let _ = stream.read(&mut [0; 1024]);
    });
    let said = probed(port, Some(Tls { server_name: None }));
    assert_eq!(said.healthy, Some(false));
    assert!(said.outcome.starts_with("Failure: SSL/TLS handshake error"), "{}", said.outcome);
}

#[test]
fn nothing_is_learned_of_what_is_where_checks_may_not_lead_whether_by_address_or_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "::ffff:127.0.0.1"] {
        let said = probed_at(host, port, Check::Tcp, Loopback(false));
        assert_eq!((said.healthy, said.address), (Some(false), Some(IpAddr::V4(Ipv4Addr::LOCALHOST))), "{host}");
        assert!(said.outcome.starts_with("Failure: Connection timed out."), "{host}: {}", said.outcome);
        assert!(listener.accept().is_err(), "{host} was connected to");
    }
    // It is not the endpoint: where they may, they are told that somebody is there.
    for host in ["localhost", "::ffff:127.0.0.1"] {
        assert_eq!(probed_at(host, port, Check::Tcp, Loopback(true)).healthy, Some(true), "{host}");
    }
}

#[test]
fn the_status_has_two_seconds_and_the_body_two_more_once_it_is_there() {
    // Twice as fast: a second each.
    let said = |parts: &'static [&'static [u8]], pause, search: Option<&str>| {
        let port = slow_endpoint(parts, Duration::from_millis(pause));
        let check = Check::Http { path: "/".to_owned(), host: None, search: search.map(str::to_owned), tls: None };
        probed_fast("127.0.0.1", port, check, Loopback(true), 2)
    };
    let late = said(&[b"HTTP/1.1 200 OK\r\n\r\n"], 1500, None);
    assert_eq!(late.healthy, Some(false), "{}", late.outcome);
    assert_eq!(late.outcome, "Failure: The endpoint did not answer within the time allowed");
    let parts: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\n\r\nall is ", b"well"];
    let slow = said(parts, 600, Some("well"));
    assert_eq!(slow.outcome, "Success: HTTP Status Code 200, OK");
}
