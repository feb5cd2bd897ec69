//! The clients on real sockets, against a DNS server and HTTP servers on loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use zonal_lab::clients::Route;
use zonal_lab::shell::{Clock, RunningLoad};
use zonal_lab::{At, Load, LoadPlan, Outcome, Sample};

const SPEED: u32 = 20;
const LIMIT: Duration = Duration::from_secs(10);

struct Fast(Instant);

impl Clock for Fast {
    fn now(&self) -> At {
        At(0).plus(self.0.elapsed() * SPEED)
    }

    fn real_until(&self, at: At) -> Duration {
        at.since(self.now()) / SPEED
    }
}

fn plan(route: Route, port: u16, clients: u32) -> LoadPlan {
    let (timeout, idle) = (Duration::from_secs(4), Some(Duration::from_secs(50)));
    let end = At(0).plus(Duration::from_secs(100_000));
    LoadPlan { rate: 10.0, clients, route, port, path: "/".into(), timeout, idle, seed: 1, start: At(0), end }
}

/// The first `n` samples.
fn samples(plan: LoadPlan, dns: SocketAddr, n: usize) -> Vec<Sample> {
    let load =
        RunningLoad::start(Load::new(plan), dns, Arc::new(Fast(Instant::now())), None).expect("threads can be made");
    (0..n).map(|_| load.next_sample(LIMIT).expect("requests end")).collect()
}

/// A server that answers every request with `answer`; counts connections. Its threads end with the test's process.
fn server(answer: &'static str) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let port = listener.local_addr().expect("it is bound").port();
    let connections = Arc::new(AtomicU32::new(0));
    let counter = connections.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
                let mut writer = stream;
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
                    if line == "\r\n" && (writer.write_all(answer.as_bytes()).is_err() || answer.contains("close")) {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    (port, connections)
}

/// A DNS server that answers every question with 127.0.0.1 for a TTL of 60 s; counts questions.
fn dns() -> (SocketAddr, Arc<AtomicU32>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a port");
    let address = socket.local_addr().expect("it is bound");
    let questions = Arc::new(AtomicU32::new(0));
    let counter = questions.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut message = buffer[..length].to_vec();
            message[2] |= 0x80;
            message[7] = 1;
            message.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            socket.send_to(&message, from).expect("loopback takes it");
        }
    });
    (address, questions)
}

fn by_address(port: u16) -> LoadPlan {
    plan(Route::Addresses(vec![Ipv4Addr::LOCALHOST]), port, 2)
}

/// No lookup goes there.
fn no_dns() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

#[test]
fn names_are_resolved_and_connections_kept() {
    let (port, connections) = server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let (dns, questions) = dns();
    let all = samples(plan(Route::Name("x.test".into()), port, 3), dns, 100);
    assert!(all.iter().all(|sample| sample.outcome == Outcome::Status(200)), "{all:?}");
    assert_eq!(questions.load(Ordering::SeqCst), 3, "one per client within the TTL");
    let opened = connections.load(Ordering::SeqCst);
    assert!(opened < 50, "{opened} connections for 100 requests");
}

#[test]
fn every_framing_of_an_answer_is_read_to_its_end() {
    let check = |answer: &'static str, outcome: Outcome| {
        let all = samples(by_address(server(answer).0), no_dns(), 5);
        assert!(all.iter().all(|sample| sample.outcome == outcome), "{answer}: {all:?}");
    };
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n", Outcome::Status(200));
    check("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nto the end", Outcome::Status(200));
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", Outcome::Status(204));
    check("HTTP/1.1 504 Gateway Time-out\r\nContent-Length: 0\r\n\r\n", Outcome::Status(504));
    check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort", Outcome::Broken);
    check("SSH-2.0-OpenSSH close\r\n", Outcome::Garbled);
}

#[test]
fn silence_is_a_timeout_in_virtual_time() {
    let (port, _) = server("");
    let all = samples(by_address(port), no_dns(), 3);
    for sample in all {
        assert_eq!(sample.outcome, Outcome::Timeout);
        assert!(sample.latency() >= Duration::from_secs(4), "{:?}", sample.latency());
    }
}

#[test]
fn nobody_there_is_a_refusal() {
    let gone =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback has a port");
    let all = samples(by_address(gone.port()), no_dns(), 3);
    assert!(all.iter().all(|sample| sample.outcome == Outcome::Refused), "{all:?}");
}

#[test]
fn no_other_machine_is_ever_asked() {
    // An address of documentation (RFC 5737): a packet there would time out, not be refused.
    let plan = plan(Route::Addresses(vec![Ipv4Addr::new(192, 0, 2, 1)]), 80, 1);
    let all = samples(plan, no_dns(), 3);
    assert!(all.iter().all(|sample| sample.outcome == Outcome::Refused), "{all:?}");
}

#[test]
fn a_load_can_be_doubled_and_ends_when_dropped() {
    let (port, _) = server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let clock = Arc::new(Fast(Instant::now()));
    let load = RunningLoad::start(Load::new(by_address(port)), no_dns(), clock, None).expect("threads can be made");
    let pace = |n: u32| {
        let first = load.next_sample(LIMIT).expect("requests end").intended;
        for _ in 1..n {
            load.next_sample(LIMIT).expect("requests end");
        }
        let last = load.next_sample(LIMIT).expect("requests end");
        last.intended.since(first).as_secs_f64() / f64::from(n)
    };
    let before = pace(100);
    load.set_factor(5.0);
    let after = pace(300);
    assert!(after < before / 2.5, "a request every {before} s, then every {after} s");
    drop(load);
}
