//! WebSocket: after its handshake a connection is a pipe between client and target, in the clear or
//! over TLS on either side, for as long as somebody speaks. Over HTTP/2 there is none: an ALB upgrades
//! HTTP/1.1 connections only (ELB guide, Listeners for your Application Load Balancers: WebSockets).

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use zonal_balancer::config::*;

use crate::h2spec::wire::{self, Peer};
use crate::support::*;
use crate::tls::{Kind, TlsStream, certificate, connect, listener_tls, tls_acceptor};

/// RFC 6455, 1.3: this key is answered with that.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame (RFC 6455, 5.2), masked.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("tests' frames are short") | 0x80;
    let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [kind, length].into_iter().chain(MASK).chain(masked).collect()
}

fn read_frame(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut mask = [0; 4];
    if head[1] & 0x80 != 0 {
        stream.read_exact(&mut mask)?;
    }
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    stream.read_exact(&mut payload)?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok((head[0], payload))
}

/// Reads a head to its end and no byte further.
fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Answers handshakes and sends back each text, a close too; counts connections that have ended.
fn converse(mut stream: impl Read + Write, ended: &AtomicUsize) -> io::Result<()> {
    let head = read_head(&mut stream)?;
    if head.starts_with("GET /health ") {
        return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    assert_eq!(header(&head, "sec-websocket-key"), Some(KEY));
    assert_eq!(header(&head, "sec-websocket-version"), Some("13"));
    assert_eq!(header(&head, "upgrade"), Some("websocket"));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes())?;
    while let Ok((kind, payload)) = read_frame(&mut stream) {
        let length = u8::try_from(payload.len()).expect("tests' frames are short");
        stream.write_all(&[&[kind, length], &payload[..]].concat())?;
        if kind == CLOSE {
            break;
        }
    }
    ended.fetch_add(1, SeqCst);
    Ok(())
}

/// A target in the clear.
fn target() -> (Server, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    (Server::raw("ws", move |stream| converse(stream, &count)), ended)
}

fn world(target: &Server, change: impl FnOnce(&mut BalancerConfig)) -> World {
    let world = World::unsettled(&[target], |config| {
        let mut tls = listener_tls(certificate("c", &["www.example.com"]), Vec::new());
        tls.alpn = AlpnPolicy::Http2Preferred;
        config.listeners[0].tls = Some(tls);
        config.target_groups[0].health_check.timeout = Duration::from_secs(5);
        change(config);
    });
    world.wait_health("ws", HealthState::Healthy);
    world
}

/// Opens a WebSocket over TLS.
fn open(world: &World) -> TlsStream {
    let mut stream = connect(world, &Kind { alpn: &[b"http/1.1"], ..Kind::default() }).expect("the handshake succeeds");
    let request = format!(
        "GET /chat HTTP/1.1\r\nHost: www.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the balancer reads");
    let head = read_head(&mut stream).expect("the balancer answers");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(header(&head, "sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(header(&head, "connection"), Some("upgrade"));
    stream
}

fn say(stream: &mut TlsStream, text: &[u8]) {
    stream.write_all(&frame(TEXT, text)).expect("it is open");
    assert_eq!(read_frame(stream).expect("it is sent back"), (TEXT, text.to_vec()));
}

fn wait_ended(ended: &AtomicUsize, count: usize) {
    wait_for("the target's connection ends", || match ended.load(SeqCst) {
        now if now == count => Ok(()),
        now => Err(format!("{now} ended")),
    });
}

fn is_over(stream: &mut TlsStream) -> bool {
    matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_))
}

#[test]
fn frames_pass_both_ways_over_tls_and_a_close_ends_both_sides() {
    let (target, ended) = target();
    let world = world(&target, |_| {});
    let mut stream = open(&world);
    for text in [&b"hello"[..], b"", b"again"] {
        say(&mut stream, text);
    }
    stream.write_all(&frame(CLOSE, &[0x03, 0xe8])).expect("it is open");
    assert_eq!(read_frame(&mut stream).expect("the target closes, too"), (CLOSE, vec![0x03, 0xe8]));
    assert!(is_over(&mut stream));
    wait_ended(&ended, 1);
}

#[test]
fn frames_pass_to_targets_over_tls() {
    let ended = Arc::new(AtomicUsize::new(0));
    let (accept, count) = (tls_acceptor(), ended.clone());
    let target = Server::raw("ws", move |socket| converse(accept(socket)?, &count));
    let world = world(&target, |config| {
        let group = &mut config.target_groups[0];
        group.protocol = TargetProtocol::Https;
        group.health_check.protocol = CheckProtocol::Https { path: "/health".to_owned(), matcher: "200".to_owned() };
    });
    let mut stream = open(&world);
    say(&mut stream, b"twice encrypted");
}

#[test]
fn a_client_that_vanishes_takes_its_targets_connection_along() {
    let (target, ended) = target();
    let world = world(&target, |_| {});
    let mut stream = open(&world);
    say(&mut stream, b"bye");
    drop(stream);
    wait_ended(&ended, 1);
}

#[test]
fn a_socket_that_is_silent_for_the_idle_timeout_is_closed() {
    let (target, ended) = target();
    let idle = Duration::from_millis(300);
    let world = world(&target, |config| config.idle_timeout = idle);
    let mut stream = open(&world);
    // Before the balancer has seen the last of it, which the echo comes after.
    let silent = Instant::now();
    say(&mut stream, b"first");
    assert!(is_over(&mut stream));
    assert!(silent.elapsed() >= idle, "closed after {:?}", silent.elapsed());
    wait_ended(&ended, 1);
}

#[test]
fn a_socket_that_is_used_outlives_the_idle_timeout() {
    let (target, _) = target();
    let idle = Duration::from_secs(1);
    let world = world(&target, |config| config.idle_timeout = idle);
    let mut stream = open(&world);
    let opened = Instant::now();
    while opened.elapsed() < 2 * idle {
        say(&mut stream, b"still here");
        std::thread::park_timeout(idle / 10);
    }
    say(&mut stream, b"at last");
}

#[test]
fn http2_offers_no_websockets() {
    let (target, _) = target();
    let world = world(&target, |_| {});
    let mut peer = Peer::bare(&world);
    peer.send(&[wire::PREFACE, &wire::settings(&[])].concat());
    let settings = peer.read().expect("the balancer answers").expect("it stays open");
    assert_eq!(settings.kind, wire::SETTINGS);
    // RFC 8441: SETTINGS_ENABLE_CONNECT_PROTOCOL is 8.
    assert!(settings.payload.chunks(6).all(|setting| setting[..2] != [0, 8]), "{settings:?}");
    let mut fields = wire::request("CONNECT");
    fields.extend(wire::field(":protocol", "websocket"));
    peer.send(&wire::headers(1, wire::END_HEADERS, &fields));
    crate::h2spec::see(&mut peer, &crate::h2spec::Sight::Reset(crate::h2spec::PROTOCOL_ERROR)).expect("it is refused");
}
