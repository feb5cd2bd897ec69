//! Health checks of endpoints on loopback, in the clear and over TLS.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::{Arc, mpsc};

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::sync::watch;
use zonal_dns::config::{Check, Probe, Tls};
use zonal_dns::shell::{Probed, Prober, ZoneStore};

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

/// What the first connection of a health check came to.
fn probed(port: u16, tls: Option<Tls>) -> Probed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let host = Some("www.example.com".to_owned());
    let check = Check::Http { path: "/".to_owned(), host, search: Some("well".to_owned()), tls };
    let probe = Probe { id: "check".to_owned(), host: "127.0.0.1".to_owned(), port, check, interval: 30, threshold: 1 };
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (_speed, speed) = watch::channel(1);
    runtime.block_on(async {
        let store = Arc::new(ZoneStore::new());
        let _prober = Prober::start(&store, probe, speed, move |probed| drop(tell.send(probed)));
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
