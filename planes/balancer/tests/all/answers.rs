//! What clients get and what targets see, when all is well and when it is not.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use zonal_balancer::config::*;

use crate::support::*;

#[test]
fn a_target_sees_who_asked_and_by_which_door() {
    let target = Server::plain("a");
    let world = World::with(&[&target]);
    let mut client = world.client();
    client.send(
        b"GET /x?y=1 HTTP/1.1\r\nHost: example.com:8080\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\
          Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-Custom: kept\r\n\r\n",
    );
    assert_eq!(client.answer().text(), "a");
    let seen = &target.requests()[0];
    assert_eq!(seen.line(), "GET /x?y=1 HTTP/1.1");
    assert_eq!(seen.header("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-port"), Some("80"));
    assert_eq!(seen.header("host"), Some("example.com:8080"));
    assert_eq!(seen.header("x-custom"), Some("kept"));
    assert!(seen.header("x-amzn-trace-id").is_some_and(|id| id.starts_with("Root=1-")), "{}", seen.head);
    for gone in ["connection", "keep-alive", "x-hop"] {
        assert_eq!(seen.header(gone), None);
    }
    assert_eq!(seen.head.matches("X-Forwarded-Proto").count(), 1);
}

#[test]
fn connections_are_kept_on_both_sides() {
    let target = Server::plain("a");
    let world = World::on_cores(1, &[&target], |_| {});
    world.wait_health("a", HealthState::Healthy);
    let mut client = world.client();
    for _ in 0..20 {
        let answer = client.get("/");
        assert_eq!(answer.header("connection"), Some("keep-alive"));
    }
    assert_eq!(target.connections(), 1);
    // Another client finds it too.
    world.get("/");
    assert_eq!(target.connections(), 1);
}

#[test]
fn requests_go_round_whoever_asks() {
    let targets = ["a", "b", "c"].map(Server::plain);
    let world = World::with(&targets.each_ref());
    for _ in 0..30 {
        world.get("/");
    }
    for target in &targets {
        assert_eq!(target.requests().len(), 10, "{}", target.id);
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let target = Server::start("a", |request, stream| {
        let body = request.line().to_owned();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        Ok(true)
    });
    let world = World::with(&[&target]);
    let mut client = world.client();
    client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    for expected in ["GET /1 HTTP/1.1", "POST /2 HTTP/1.1", "GET /3 HTTP/1.1"] {
        assert_eq!(client.answer().text(), expected);
    }
}

#[test]
fn without_a_target_the_answer_is_503() {
    let world = World::unsettled(&[], |_| {});
    let mut client = world.client();
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.body.len()), (503, 162));
        assert_eq!(answer.header("server"), Some("awselb/2.0"));
    }
    let metrics = world.metrics();
    assert_eq!((metrics.nodes[ZONE].elb_5xx, metrics.nodes[ZONE].elb_503), (2, 2));
    assert!(metrics.groups.values().all(|zones| zones.values().all(|counts| counts.requests == 0)));
}

#[test]
fn a_target_that_refuses_closes_or_babbles_gives_502() {
    let targets = [
        Server::absent("refuses"),
        Server::saying("closes", b""),
        Server::saying("babbles", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        Server::saying("half a head", b"HTTP/1.1 200 OK\r\nContent-"),
        Server::saying("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        Server::saying("both", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        Server::saying("upgrades unasked", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    ];
    for target in &targets {
        let world = World::unsettled(&[target], |_| {});
        let mut client = world.client();
        let answer = client.get("/");
        assert_eq!((answer.status, answer.body.len()), (502, 122), "{}", target.id);
        // The client's connection is none the worse for it.
        assert_eq!(client.get("/").status, 502, "{}", target.id);
        let metrics = world.metrics();
        assert_eq!(metrics.nodes[ZONE].elb_502, 2, "{}", target.id);
        let errors = metrics.groups["group"][ZONE].connection_errors;
        assert_eq!(errors, if target.id == "refuses" { 2 } else { 0 }, "{}", target.id);
        assert_eq!(target.requests().len(), if target.id == "refuses" { 0 } else { 2 }, "no request is sent twice");
    }
}

#[test]
fn a_target_that_never_answers_gives_504_after_the_idle_timeout() {
    let target = Server::start("a", |_, stream| {
        let _ = std::io::Read::read(stream, &mut [0]);
        Ok(false)
    });
    let world = World::unsettled(&[&target], |config| config.idle_timeout = Duration::from_millis(300));
    let began = std::time::Instant::now();
    let answer = world.get("/");
    assert_eq!((answer.status, answer.body.len()), (504, 132));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(world.metrics().nodes[ZONE].elb_504, 1);
}

#[test]
fn silent_clients_are_closed_and_half_a_request_is_told_so() {
    let target = Server::plain("a");
    let world = World::unsettled(&[&target], |config| config.idle_timeout = Duration::from_millis(200));
    let mut idle = world.client();
    assert!(idle.is_closed());
    let mut half = world.client();
    half.send(b"GET / HTTP/1.1\r\nHost:");
    assert_eq!(half.answer().status, 408);
    assert!(half.is_closed());
}

#[test]
fn a_kept_connection_that_the_target_closed_is_not_used() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = closed.clone();
    let target = Server::start("a", move |_, stream| {
        // Lets believe that it stays open, and closes.
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        stream.shutdown(Shutdown::Both)?;
        count.fetch_add(1, SeqCst);
        Ok(false)
    });
    let world = World::on_cores(1, &[&target], |_| {});
    let mut client = world.client();
    for turn in 1..=50 {
        assert_eq!(client.get("/").status, 200);
        wait_for("the target has closed", || if closed.load(SeqCst) == turn { Ok(()) } else { Err(String::new()) });
    }
    assert_eq!(target.requests().len(), 50);
}

#[test]
fn fixed_responses_and_redirects_need_no_target() {
    let redirect = Redirect {
        protocol: "HTTPS".to_owned(),
        host: "#{host}".to_owned(),
        port: "443".to_owned(),
        path: "/#{path}".to_owned(),
        query: "#{query}".to_owned(),
        permanent: true,
    };
    let world = World::unsettled(&[], |config| {
        config.listeners[0].default_action = Action::Redirect(redirect);
        config.listeners[0].rules = vec![Rule {
            id: "rule".to_owned(),
            priority: 1,
            conditions: vec![Condition::PathPattern(vec!["/teapot*".to_owned()])],
            action: Action::FixedResponse {
                status_code: 418,
                content_type: Some("text/plain".to_owned()),
                message_body: "short and stout".to_owned(),
            },
        }];
    });
    let mut client = world.client();
    let answer = client.get("/a/b?c=d");
    assert_eq!((answer.status, answer.header("location")), (301, Some("https://example.com:443/a/b?c=d")));
    let answer = client.get("/teapot/1");
    assert_eq!((answer.status, answer.text()), (418, "short and stout"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    let node = &world.metrics().nodes[ZONE];
    assert_eq!((node.redirects, node.elb_3xx, node.fixed_responses), (1, 1, 1));
    // A Location has at most 8 KiB.
    let answer = client.get(&format!("/{}", "a".repeat(8 * 1024)));
    assert_eq!((answer.status, answer.header("location")), (500, None));
    let node = &world.metrics().nodes[ZONE];
    assert_eq!((node.redirects, node.redirects_too_long, node.elb_3xx, node.elb_500), (0, 1, 0, 1));
}

#[test]
fn weights_share_the_requests_between_groups() {
    let (heavy, light, none) = (Server::plain("heavy"), Server::plain("light"), Server::plain("none"));
    let world = World::unsettled(&[], |config| {
        config.target_groups = vec![group("h", &[&heavy]), group("l", &[&light]), group("n", &[&none])];
        let weigh = |target_group: &str, weight| WeightedGroup { target_group: target_group.to_owned(), weight };
        config.listeners[0].default_action = Action::Forward(vec![weigh("h", 9), weigh("l", 1), weigh("n", 0)].into());
    });
    let mut client = world.client();
    for _ in 0..100 {
        client.get("/");
    }
    assert_eq!([&heavy, &light, &none].map(|target| target.requests().len()), [90, 10, 0]);
}

#[test]
fn a_node_stays_in_its_zone_if_cross_zone_is_off() {
    let (here, there) = (Server::plain("here"), Server::plain("there"));
    let world = World::unsettled(&[&here, &there], |config| {
        let other =
            Node { interface: "eni-b".to_owned(), zone: "us-east-1b".to_owned(), address: [127, 0, 0, 2].into() };
        config.nodes.push(other);
        config.target_groups[0].targets[1].zone = "us-east-1b".to_owned();
        config.target_groups[0].cross_zone = false;
    });
    world.wait_health("here", HealthState::Healthy);
    world.wait_health("there", HealthState::Healthy);
    for _ in 0..6 {
        assert_eq!(world.get("/").text(), "here");
        let mut address = world.address();
        address.set_ip([127, 0, 0, 2].into());
        assert_eq!(Client::connect(address).get("/").text(), "there");
    }
}

#[test]
fn metrics_count_what_happened_and_start_over() {
    let target = Server::start("a", |request, stream| {
        let status = request.line().split(['/', ' ']).nth(2).unwrap_or("200").to_owned();
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")?;
        Ok(true)
    });
    let world = World::on_cores(2, &[&target], |_| {});
    world.wait_health("a", HealthState::Healthy);
    let mut client = world.client();
    for status in [200, 201, 302, 404, 404, 500] {
        assert_eq!(client.get(&format!("/{status}")).status, status);
    }
    let metrics = world.metrics();
    let counts = &metrics.groups["group"][ZONE];
    assert_eq!(counts.requests, 6);
    assert_eq!([counts.target_2xx, counts.target_3xx, counts.target_4xx, counts.target_5xx], [2, 1, 2, 1]);
    assert_eq!(counts.response_time.count, 6);
    assert!(counts.response_time.min > 0.0 && counts.response_time.min <= counts.response_time.max);
    assert!(counts.response_time.sum >= counts.response_time.max);
    assert_eq!(metrics.hosts["group"][ZONE], Hosts { healthy: 1, unhealthy: 0 });
    // One from the client, one to the target.
    assert_eq!((metrics.active_connections, metrics.nodes[ZONE].new_connections), (2, 2));
    assert!(metrics.nodes[ZONE].processed_bytes > 6 * 60);
    assert_eq!(world.metrics().groups["group"][ZONE].requests, 0);
}
