//! What a resolver does while it waits for upstream: an upstream of the test's own says what it hears, and answers when it is told.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};

use domain::base::Message;
use zonal_dns::answer::Transport;
use zonal_dns::config::{Change, Zone};
use zonal_dns::shell::Options;

use crate::message::{ask, authoritative, public_zone, query, render, set};
use crate::sockets::{PATIENCE, World, connect, framed, read_framed};

/// A name server that answers by hand.
struct Upstream(UdpSocket);

impl Upstream {
    fn new() -> Upstream {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Upstream(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next question, and who asks.
    fn hear(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 512];
        let (len, from) = self.0.recv_from(&mut buffer).expect("upstream is asked");
        (buffer[..len].to_vec(), from)
    }

    fn is_silent(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let heard = self.0.recv(&mut [0; 512]);
        self.0.set_nonblocking(false).unwrap();
        heard.is_err()
    }

    fn say(&self, message: &[u8], to: SocketAddr) {
        self.0.send_to(message, to).unwrap();
    }
}

/// The answer to a question about `far.test`, whose address is that.
fn answer_to(question: &[u8], address: &str) -> Vec<u8> {
    let zone = public_zone("far.test", vec![set("far.test", "A", 60, &[address])]);
    let snapshot = zonal_dns::Snapshot::default().replaced_by(&zone).unwrap();
    ask(&snapshot, &authoritative(), question, Transport::Udp, 0).1
}

fn far() -> Vec<u8> {
    query("far.test", "A", None)
}

#[test]
fn what_many_ask_is_asked_upstream_once() {
    let (world, upstream) = (World::new(), Upstream::new());
    let (resolver, address) = world.start(Options::resolver("vpc-1", Some(upstream.address()), 2));
    let clients: Vec<UdpSocket> = (0..5)
        .map(|_| {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client.send_to(&far(), address).unwrap();
            client
        })
        .collect();
    let (question, from) = upstream.hear();
    // A query that needs nothing from upstream tells when all before it have been taken in.
    crate::sockets::ask_udp(address, &query("www.example.com", "A", None));
    assert!(upstream.is_silent(), "the others wait for the first");
    upstream.say(&answer_to(&question, "192.0.2.7"), from);
    for client in clients {
        let mut buffer = [0; 512];
        let len = client.recv(&mut buffer).expect("each gets the answer");
        assert_eq!(render(&buffer[..len]), "NOERROR ra\nfar.test 60 A 192.0.2.7");
    }
    assert_eq!(resolver.counts().fetched, 5);
    assert!(upstream.is_silent());
}

#[test]
fn who_waits_for_anothers_question_asks_when_that_one_is_gone() {
    let (world, upstream) = (World::new(), Upstream::new());
    let (_resolver, address) = world.start(Options::resolver("vpc-1", Some(upstream.address()), 2));
    let mut first = connect(address);
    first.write_all(&framed(&far())).unwrap();
    upstream.hear();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(&far(), address).unwrap();
    crate::sockets::ask_udp(address, &query("www.example.com", "A", None));
    assert!(upstream.is_silent(), "it waits for the first");
    // A connection that is closed with an answer unread is reset.
    first.write_all(&framed(&query("www.example.com", "A", None))).unwrap();
    first.peek(&mut [0]).unwrap();
    drop(first);
    let (question, from) = upstream.hear();
    upstream.say(&answer_to(&question, "192.0.2.7"), from);
    let mut buffer = [0; 512];
    let len = client.recv(&mut buffer).expect("an answer");
    assert_eq!(render(&buffer[..len]), "NOERROR ra\nfar.test 60 A 192.0.2.7");
}

#[test]
fn a_query_that_waits_holds_up_none_behind_it_on_its_connection() {
    let (world, upstream) = (World::new(), Upstream::new());
    let (_resolver, address) = world.start(Options::resolver("vpc-1", Some(upstream.address()), 2));
    let mut stream = connect(address);
    stream.write_all(&[framed(&far()), framed(&query("www.example.com", "A", None))].concat()).unwrap();
    assert_eq!(render(&read_framed(&mut stream)), "NOERROR ra\nwww.example.com 300 A 127.100.0.1");
    // Whoever has asked all that it will gets the rest nevertheless.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let (question, from) = upstream.hear();
    upstream.say(&answer_to(&question, "192.0.2.7"), from);
    assert_eq!(render(&read_framed(&mut stream)), "NOERROR ra\nfar.test 60 A 192.0.2.7");
}

#[test]
fn an_answer_counts_only_with_its_id_and_its_question_from_where_it_was_asked() {
    let (world, upstream) = (World::new(), Upstream::new());
    let (_resolver, address) = world.start(Options::resolver("vpc-1", Some(upstream.address()), 2));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(&far(), address).unwrap();
    let (question, from) = upstream.hear();
    // Somebody else, who guessed all but the address.
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&answer_to(&question, "192.0.2.66"), from).unwrap();
    let mut other_id = answer_to(&question, "192.0.2.66");
    other_id[1] ^= 1;
    upstream.say(&other_id, from);
    let mut other_name = query("near.test", "A", None);
    other_name[..2].copy_from_slice(&question[..2]);
    upstream.say(&answer_to(&other_name, "192.0.2.66"), from);
    upstream.say(&question, from);
    upstream.say(&answer_to(&question, "192.0.2.7"), from);
    let mut buffer = [0; 512];
    let len = client.recv(&mut buffer).unwrap();
    assert_eq!(render(&buffer[..len]), "NOERROR ra\nfar.test 60 A 192.0.2.7");
}

#[test]
fn questions_go_out_with_ids_and_from_ports_that_do_not_repeat() {
    let (world, upstream) = (World::new(), Upstream::new());
    let (_resolver, address) = world.start(Options::resolver("vpc-1", Some(upstream.address()), 2));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut ids = std::collections::BTreeSet::new();
    for number in 0..50 {
        client.send_to(&query(&format!("n{number}.far.test"), "A", None), address).unwrap();
        let (question, from) = upstream.hear();
        ids.insert(Message::from_octets(&question[..]).unwrap().header().id());
        seen.insert(from.port());
    }
    // Of 50 ids out of 65,536 two are alike once in fifty runs; three pairs, never.
    assert!(ids.len() >= 48 && seen.len() >= 45, "{} ids, {} ports", ids.len(), seen.len());
}

#[test]
fn a_private_zone_hides_upstream_and_the_public_zone() {
    let (world, upstream) = (World::new(), Upstream::new());
    let zone = Zone { name: "far.test".into(), overlay: false, records: vec![set("far.test", "A", 5, &["10.0.0.9"])] };
    world.store.change(2, &[Change::PutZone { view: "vpc-1".into(), zone }]).unwrap();
    let (_resolver, address) = world.start(Options::resolver("vpc-1", Some(upstream.address()), 2));
    assert_eq!(render(&crate::sockets::ask_udp(address, &far())), "NOERROR ra\nfar.test 5 A 10.0.0.9");
    let below = crate::sockets::ask_udp(address, &query("other.far.test", "A", None));
    assert_eq!(render(&below), "NXDOMAIN ra");
    assert!(upstream.is_silent());
}
