//! Real sockets on loopback: UDP, TCP, `dig`, and a resolver that asks a name server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use zonal_dns::config::{Change, PUBLIC, Zone};
use zonal_dns::shell::{DnsServer, Options, Sockets, ZoneStore};

use crate::message::{public_zone, query, render, set};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a port of its own, UDP and TCP.
pub struct World {
    runtime: Runtime,
    pub store: Arc<ZoneStore>,
}

impl World {
    pub fn new() -> World {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let store = Arc::new(ZoneStore::new());
        let long = "x".repeat(250);
        let many: Vec<String> = (0..5).map(|index| format!("\"{index}{long}\"")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let records = vec![
            set(
                "example.com",
                "SOA",
                900,
                &["ns-1.awsdns-01.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"],
            ),
            set("www.example.com", "A", 300, &["127.100.0.1"]),
            set("short.example.com", "A", 0, &["127.100.0.2"]),
            set("big.example.com", "TXT", 60, &many),
        ];
        store.apply(&public_zone("example.com", records)).unwrap();
        World { runtime, store }
    }

    pub fn start(&self, options: Options) -> (DnsServer, SocketAddr) {
        self.start_with(&self.store, options)
    }

    pub fn start_with(&self, store: &Arc<ZoneStore>, options: Options) -> (DnsServer, SocketAddr) {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).unwrap();
        let _inside = self.runtime.enter();
        (DnsServer::start(store, Sockets { udp: vec![udp], tcp: vec![tcp] }, options).unwrap(), address)
    }
}

pub fn ask_udp(server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server).unwrap();
    socket.send(message).unwrap();
    let mut answer = vec![0; 65_535];
    let len = socket.recv(&mut answer).unwrap();
    answer.truncate(len);
    answer
}

pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

pub fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut message).unwrap();
    message
}

pub fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn a_server_answers_over_udp_and_counts() {
    let world = World::new();
    let (server, address) = world.start(Options::authoritative(PUBLIC, 1));
    assert_eq!(
        render(&ask_udp(address, &query("www.example.com", "A", None))),
        "NOERROR aa\nwww.example.com 300 A 127.100.0.1"
    );
    assert!(render(&ask_udp(address, &query("no.example.com", "A", None))).starts_with("NXDOMAIN aa\nauthority"));
    assert_eq!(render(&ask_udp(address, &query("example.org", "A", None))), "REFUSED");
    assert_eq!(render(&ask_udp(address, &query("big.example.com", "TXT", None))), "NOERROR aa tc");
    let counts = server.counts();
    assert_eq!((counts.udp, counts.tcp, counts.truncated, counts.dropped), (4, 0, 1, 0));
    assert_eq!((counts.no_error, counts.no_name, counts.refused), (2, 1, 1));
    assert_eq!(world.store.snapshot().queries().next(), Some((PUBLIC, "example\u{2e}com.".to_owned(), 3)));
}

#[test]
fn a_burst_is_answered_whole() {
    let world = World::new();
    let (_server, address) = world.start(Options::authoritative(PUBLIC, 1));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut message = query("www.example.com", "A", None);
    for id in 0..100_u16 {
        message[..2].copy_from_slice(&id.to_be_bytes());
        socket.send_to(&message, address).unwrap();
    }
    let mut ids: Vec<u16> = (0..100)
        .map(|_| {
            let mut answer = [0; 512];
            let len = socket.recv(&mut answer).unwrap();
            assert_eq!(len, 12 + 21 + 16);
            u16::from_be_bytes([answer[0], answer[1]])
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<u16>>());
}

#[test]
fn pipelined_queries_are_answered_in_order_on_one_connection() {
    let world = World::new();
    let (server, address) = world.start(Options::authoritative(PUBLIC, 1));
    let mut stream = connect(address);
    let names = ["www.example.com", "big.example.com", "no.example.com", "short.example.com"];
    let types = ["A", "TXT", "A", "A"];
    let queries: Vec<u8> =
        names.iter().zip(types).flat_map(|(name, rtype)| framed(&query(name, rtype, None))).collect();
    // In pieces that end in the middle of things.
    for piece in queries.chunks(7) {
        stream.write_all(piece).unwrap();
    }
    let answers: Vec<String> = names.iter().map(|_| render(&read_framed(&mut stream))).collect();
    assert!(answers[0].ends_with("www.example.com 300 A 127.100.0.1"), "{}", answers[0]);
    assert_eq!(answers[1].lines().count(), 6, "{}", answers[1]);
    assert!(answers[2].starts_with("NXDOMAIN"), "{}", answers[2]);
    assert!(answers[3].ends_with("short.example.com 0 A 127.100.0.2"), "{}", answers[3]);
    assert_eq!(server.counts().tcp, 4);
}

#[test]
fn a_query_longer_than_any_ends_the_connection() {
    let world = World::new();
    let (_server, address) = world.start(Options::authoritative(PUBLIC, 1));
    let mut stream = connect(address);
    stream.write_all(&[0xff, 0xff, 0, 0]).unwrap();
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    // Others are served as before.
    assert!(render(&ask_udp(address, &query("www.example.com", "A", None))).starts_with("NOERROR"));
}

#[test]
fn a_change_is_served_from_the_next_query_on() {
    let world = World::new();
    let (_server, address) = world.start(Options::authoritative(PUBLIC, 1));
    let zone =
        Zone { name: "new.test".into(), overlay: false, records: vec![set("new.test", "A", 7, &["127.100.0.9"])] };
    assert_eq!(world.store.change(2, &[Change::PutZone { view: PUBLIC.into(), zone }]).unwrap(), 2);
    assert_eq!(render(&ask_udp(address, &query("new.test", "A", None))), "NOERROR aa\nnew.test 7 A 127.100.0.9");
    world.store.change(1, &[]).expect_err("an older revision is refused");
    let remove = Change::RemoveZone { view: PUBLIC.into(), zone: "new.test".into() };
    world.store.change(3, &[remove]).unwrap();
    assert_eq!(render(&ask_udp(address, &query("new.test", "A", None))), "REFUSED");
}

#[test]
fn a_stopped_server_has_closed_its_sockets() {
    let world = World::new();
    let (server, address) = world.start(Options::authoritative(PUBLIC, 1));
    let _connected = connect(address);
    world.runtime.block_on(server.stop());
    UdpSocket::bind(address).expect("the UDP socket is closed");
    assert!(TcpStream::connect(address).is_err(), "the listener is closed");
}

#[test]
fn what_waits_for_upstream_does_not_hold_a_stopped_server() {
    let world = World::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let upstream = silent.local_addr().unwrap();
    let (server, address) = world.start(Options::resolver("vpc-1", Some(upstream), 2));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(&query("debian.org", "A", None), address).unwrap();
    silent.recv(&mut [0; 512]).expect("upstream is asked");
    world.runtime.block_on(server.stop());
    UdpSocket::bind(address).expect("the UDP socket is closed");
}

#[test]
fn a_resolver_asks_upstream_once_and_then_knows() {
    let world = World::new();
    let (name_server, upstream) = world.start(Options::authoritative(PUBLIC, 1));
    let (resolver, address) =
        world.start_with(&Arc::new(ZoneStore::new()), Options::resolver("vpc-1", Some(upstream), 2));
    let www = query("www.example.com", "A", Some(1232));
    for _ in 0..3 {
        let answer = render(&ask_udp(address, &www));
        assert!(answer == "NOERROR ra\nwww.example.com 300 A 127.100.0.1" || answer.contains(" 299 A "), "{answer}");
    }
    assert_eq!((resolver.counts().fetched, name_server.counts().udp), (1, 1));
    // Negative answers are kept too, those that say 0 are not.
    for _ in 0..2 {
        assert!(
            render(&ask_udp(address, &query("no.example.com", "A", None)))
                .starts_with("NXDOMAIN ra\nauthority example.com")
        );
        assert_eq!(
            render(&ask_udp(address, &query("short.example.com", "A", None))),
            "NOERROR ra\nshort.example.com 0 A 127.100.0.2"
        );
    }
    assert_eq!(resolver.counts().fetched, 1 + 1 + 2);
}

#[test]
fn a_resolver_fetches_what_is_long_over_tcp() {
    let world = World::new();
    let long: Vec<String> = (0..20).map(|index| format!("\"{index}{}\"", "x".repeat(250))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    world.store.apply(&public_zone("example.com", vec![set("long.example.com", "TXT", 60, &long)])).unwrap();
    let (name_server, upstream) = world.start(Options::authoritative(PUBLIC, 1));
    let (_resolver, address) =
        world.start_with(&Arc::new(ZoneStore::new()), Options::resolver("vpc-1", Some(upstream), 2));
    let mut stream = connect(address);
    stream.write_all(&framed(&query("long.example.com", "TXT", None))).unwrap();
    assert_eq!(render(&read_framed(&mut stream)).lines().count(), 21);
    assert_eq!((name_server.counts().udp, name_server.counts().tcp), (1, 1));
}

#[test]
fn a_private_cname_leads_outside() {
    let world = World::new();
    let (_name_server, upstream) = world.start(Options::authoritative(PUBLIC, 1));
    let own = Arc::new(ZoneStore::new());
    let zone = Zone {
        name: "corp.test".into(),
        overlay: false,
        records: vec![set("app.corp.test", "CNAME", 30, &["WWW.example.com"])],
    };
    own.change(1, &[Change::PutZone { view: "vpc-1".into(), zone }]).unwrap();
    let (_resolver, address) = world.start_with(&own, Options::resolver("vpc-1", Some(upstream), 2));
    let answer = render(&ask_udp(address, &query("app.corp.test", "A", None)));
    assert_eq!(answer, "NOERROR ra\napp.corp.test 30 CNAME WWW.example.com.\nWWW.example.com 300 A 127.100.0.1");
}

#[test]
fn a_resolver_whose_upstream_is_gone_fails_and_says_so() {
    let world = World::new();
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (resolver, address) = world.start(Options::resolver("vpc-1", Some(gone), 2));
    let started = Instant::now();
    assert_eq!(render(&ask_udp(address, &query("debian.org", "A", None))), "SERVFAIL ra");
    assert!(started.elapsed() < PATIENCE);
    assert_eq!(resolver.counts().failed, 1);
    // What is here is answered as before.
    assert_eq!(
        render(&ask_udp(address, &query("www.example.com", "A", None))),
        "NOERROR ra\nwww.example.com 300 A 127.100.0.1"
    );
}

#[test]
fn dig_understands() {
    let world = World::new();
    let (_server, address) = world.start(Options::authoritative(PUBLIC, 1));
    let dig = |arguments: &str| {
        let mut command = Command::new("dig");
        command.args(["@127.0.0.1", "-p", &address.port().to_string(), "+time=5", "+tries=2", "-r"]);
        let output = command.args(arguments.split(' ')).output().ok()?;
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let Some(answer) = dig("www.example.com A") else {
        assert!(std::env::var_os("ZONAL_STRICT").is_none(), "dig is not installed");
        eprintln!("skipped: dig is not installed");
        return;
    };
    for part in [
        "status: NOERROR",
        "flags: qr aa rd;",
        "www.example.com.\t300\tIN\tA\t127.100.0.1",
        "EDNS: version: 0, flags:; udp: 4096",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    // Cut over UDP, dig comes again over TCP.
    assert_eq!(dig("big.example.com TXT +short +bufsize=512").unwrap().lines().count(), 5);
    assert!(dig("big.example.com TXT +bufsize=512").unwrap().contains("Truncated, retrying in TCP mode"));
    assert!(dig("www.example.com A +edns=1 +noednsneg").unwrap().contains("status: BADVERS"));
    assert!(dig("www.example.com A +opcode=NOTIFY").unwrap().contains("status: NOTIMP"));
    assert!(dig("version.bind CH TXT").unwrap().contains("status: REFUSED"));
    // 0x20: the question comes back as it was spelled.
    assert!(dig("wWw.eXaMple.cOm A").unwrap().contains("wWw.eXaMple.cOm.\t300"));
}
