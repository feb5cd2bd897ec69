//! TLS on both sides of a network load balancer: it ends at the balancer, and begins anew to targets
//! whose group speaks it, whatever their certificate (NLB guide, Target groups: protocol TLS).

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use zonal_balancer::config::*;
use zonal_balancer::core::flow::proxy;

use crate::flows::{Raw, connect, count_until, settings, world};
use crate::support::World;
use crate::tls::{Kind, certificate, connect as connect_tls, listener_tls, tls_acceptor};

fn encrypted(target: &Raw, change: impl FnOnce(&mut BalancerConfig)) -> World {
    world(FlowProtocol::Tls, &[target], |config| {
        config.listeners[0].tls = Some(listener_tls(certificate("c", &["www.example.com"]), vec![]));
        settings(config).tls = true;
        change(config);
    })
}

/// A target that reads a line over TLS and sends it back in capitals; `heads` has what came before TLS.
fn target(prefix: usize, heads: Arc<Mutex<Vec<u8>>>) -> Raw {
    let accept = tls_acceptor();
    Raw::start("t", move |mut socket| {
        let mut head = vec![0; prefix];
        socket.read_exact(&mut head)?;
        heads.lock().expect("nobody panics with it").extend(head);
        let mut stream = accept(socket)?;
        let (mut line, mut byte) = (Vec::new(), [0]);
        while byte != *b"\n" {
            stream.read_exact(&mut byte)?;
            line.push(byte[0].to_ascii_uppercase());
        }
        stream.write_all(&line)?;
        stream.conn.send_close_notify();
        stream.flush()
    })
}

#[test]
fn a_tls_groups_targets_are_spoken_to_in_tls_anew() {
    let target = target(0, Arc::default());
    let world = encrypted(&target, |_| {});
    let mut stream = connect_tls(&world, &Kind::default()).expect("the handshake is the balancer's");
    stream.write_all(b"secret\n").expect("it is open");
    let mut back = String::new();
    stream.read_to_string(&mut back).expect("the target ends it well");
    assert_eq!(back, "SECRET\n");
    drop(stream);
    let sum = count_until(&world, |sum| sum.tls.new == 1 && sum.tls.active == 0);
    assert_eq!((sum.client_tls_errors, sum.target_tls_errors), (0, 0));
}

#[test]
fn a_proxy_header_goes_before_the_targets_tls() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let target = target(proxy::LENGTH, heads.clone());
    let world = encrypted(&target, |config| settings(config).proxy_protocol_v2 = true);
    let mut stream = connect_tls(&world, &Kind::default()).expect("the handshake is the balancer's");
    let own = stream.sock.local_addr().expect("it is bound");
    stream.write_all(b"x\n").expect("it is open");
    stream.read_to_string(&mut String::new()).expect("the target ends it well");
    let heads = heads.lock().expect("nobody panics with it");
    let (_, source, _, _) = proxy::parse(&heads).expect("a header");
    assert_eq!(source.to_string(), own.to_string());
}

#[test]
fn a_target_that_does_not_speak_tls_is_counted_and_its_client_reset() {
    let target = Raw::start("t", |mut socket| {
        drop(socket.read(&mut [0; 4096]));
        socket.write_all(b"220 clear text here\r\n")
    });
    let world = encrypted(&target, |_| {});
    let mut stream = connect_tls(&world, &Kind::default()).expect("the handshake is the balancer's");
    drop(stream.write_all(b"secret\n"));
    assert!(stream.read(&mut [0; 16]).is_err(), "no good end");
    count_until(&world, |sum| sum.target_tls_errors == 1 && sum.client_tls_errors == 0);
}

#[test]
fn a_client_that_does_not_speak_tls_is_counted() {
    let target = target(0, Arc::default());
    let world = encrypted(&target, |_| {});
    let mut clear = connect(&world);
    clear.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it is open");
    // An alert, or a reset.
    drop(clear.read_to_end(&mut Vec::new()));
    count_until(&world, |sum| sum.client_tls_errors == 1);
}
