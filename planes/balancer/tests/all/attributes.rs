//! HTTP attributes: what targets see of clients, and what clients see of answers.

use std::io::Write as _;
use std::time::Duration;

use zonal_balancer::config::*;

use crate::support::*;

fn with(target: &Server, change: impl FnOnce(&mut BalancerConfig)) -> World {
    let world = World::unsettled(&[target], change);
    world.wait_health(&target.id, HealthState::Healthy);
    world
}

fn last(target: &Server) -> Request {
    target.requests().pop().expect("the target was asked")
}

#[test]
fn x_forwarded_for_is_appended_to_preserved_or_removed() {
    let target = Server::plain("a");
    let mut world = with(&target, |_| {});
    let ask = |world: &World, said: &str| {
        let mut client = world.client();
        let port = client.stream.local_addr().expect("it is connected").port();
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{said}\r\n").as_bytes());
        assert_eq!(client.answer().status, 200);
        (last(&target).header("x-forwarded-for").map(str::to_owned), port)
    };
    let said = "X-Forwarded-For: 203.0.113.9\r\n";
    assert_eq!(ask(&world, said).0.as_deref(), Some("203.0.113.9, 127.0.0.1"));
    world.apply(|config| config.http.xff_client_port = true);
    let (seen, port) = ask(&world, said);
    assert_eq!(seen, Some(format!("203.0.113.9, 127.0.0.1:{port}")));
    world.apply(|config| config.http.xff_mode = XffMode::Preserve);
    assert_eq!(ask(&world, said).0.as_deref(), Some("203.0.113.9"));
    assert_eq!(ask(&world, "").0, None);
    world.apply(|config| config.http.xff_mode = XffMode::Remove);
    assert_eq!(ask(&world, said).0, None);
}

#[test]
fn more_than_thirty_addresses_in_x_forwarded_for_are_463() {
    let target = Server::plain("a");
    let world = with(&target, |_| {});
    for (count, status) in [(30, 200), (31, 463)] {
        let mut client = world.client();
        let list = vec!["203.0.113.9"; count].join(", ");
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {list}\r\n\r\n").as_bytes());
        assert_eq!(client.answer().status, status);
    }
    let mut client = world.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-Forwarded-For: 1.1.1.1\r\n".repeat(31)).as_bytes());
    assert_eq!(client.answer().status, 463);
    assert_eq!(world.metrics().nodes[ZONE].elb_4xx, 2);
}

#[test]
fn header_names_beyond_letters_digits_and_hyphens_pass_unless_they_are_to_be_dropped() {
    let target = Server::plain("a");
    let mut world = with(&target, |_| {});
    let ask = |world: &World| {
        let mut client = world.client();
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nmy_header: 1\r\nmy-header: 2\r\n\r\n");
        assert_eq!(client.answer().status, 200);
        (last(&target).header("my_header").map(str::to_owned), last(&target).header("my-header").map(str::to_owned))
    };
    assert_eq!(ask(&world), (Some("1".to_owned()), Some("2".to_owned())));
    world.apply(|config| config.http.drop_invalid_header_fields = true);
    assert_eq!(ask(&world), (None, Some("2".to_owned())));
    assert_eq!(world.metrics().nodes[ZONE].dropped_invalid_header_requests, 1);
}

#[test]
fn the_server_header_can_be_taken_out_and_others_set_in_every_answer() {
    let target = Server::start("a", |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nServer: mine\r\nX-Frame-Options: ALLOW\r\nContent-Length: 0\r\n\r\n")?;
        Ok(true)
    });
    let mut world = with(&target, |_| {});
    let plain = world.get("/");
    assert_eq!((plain.header("server"), plain.header("x-frame-options")), (Some("mine"), Some("ALLOW")));
    world.apply(|config| {
        config.listeners[0].response_headers =
            ResponseHeaders { server: false, set: vec![("X-Frame-Options".to_owned(), "DENY".to_owned())] };
    });
    let dressed = world.get("/");
    assert_eq!((dressed.header("server"), dressed.header("x-frame-options")), (None, Some("DENY")));
    assert_eq!(dressed.head.matches("X-Frame-Options").count(), 1);
    let mut client = world.client();
    client.send(b"nonsense\r\n\r\n");
    let own = client.answer();
    assert_eq!((own.status, own.header("server"), own.header("x-frame-options")), (400, None, Some("DENY")));
}

#[test]
fn a_connection_older_than_the_keep_alive_duration_ends_after_its_next_answer() {
    let target = Server::plain("a");
    let mut world = with(&target, |_| {});
    let mut client = world.client();
    assert_eq!(client.get("/").header("connection"), Some("keep-alive"));
    world.apply(|config| config.http.client_keep_alive = Duration::ZERO);
    let answer = client.get("/");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(client.is_closed());
}
