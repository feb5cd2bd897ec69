//! Peers that do not play by the rules: each gets the answer that an ALB gives, and nobody else suffers.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use zonal_balancer::config::*;

use crate::support::*;

/// The shortest that a timeout is in real time is 100 ms; this is well above.
const IDLE: Duration = Duration::from_millis(300);

fn impatient(target: &Server) -> World {
    let world = World::unsettled(&[target], |config| config.idle_timeout = IDLE);
    world.wait_health(&target.id, HealthState::Healthy);
    world
}

/// The balancer still serves others.
fn check_serves(world: &World) {
    assert_eq!(world.get("/after").status, 200);
}

#[test]
fn a_client_that_sends_its_head_drop_by_drop_is_served_and_one_that_stops_gets_408() {
    let target = Server::plain("a");
    let world = impatient(&target);
    let mut slow = world.client();
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" {
        slow.send(&[*byte]);
        std::thread::park_timeout(Duration::from_millis(2));
    }
    assert_eq!(slow.answer().status, 200);
    let mut silent = world.client();
    silent.send(b"GET / HTTP/1.1\r\nHost: a\r\n");
    assert_eq!(silent.answer().status, 408);
    assert!(silent.is_closed());
    check_serves(&world);
    assert_eq!(world.metrics().nodes[ZONE].elb_4xx, 1);
}

#[test]
fn many_clients_that_never_finish_their_heads_hold_up_nobody() {
    let target = Server::plain("a");
    let world = impatient(&target);
    let mut stuck: Vec<_> = (0..200).map(|_| world.client()).collect();
    stuck.iter_mut().for_each(|client| client.send(b"GET / HTTP/1.1\r\nX: "));
    let began = Instant::now();
    check_serves(&world);
    assert!(began.elapsed() < DEADLINE / 2);
    assert!(stuck.iter_mut().all(|client| client.answer().status == 408));
}

#[test]
fn a_client_that_connects_and_says_nothing_is_hung_up_on_without_a_word() {
    let target = Server::plain("a");
    let world = impatient(&target);
    let mut client = world.client();
    assert!(client.is_closed());
    assert_eq!(world.metrics().nodes[ZONE].elb_4xx, 0);
}

#[test]
fn a_body_that_stops_halfway_gets_408_and_one_that_ends_with_the_connection_nothing() {
    let target = Server::plain("a");
    let world = impatient(&target);
    let half = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    let mut client = world.client();
    client.send(half);
    assert_eq!(client.answer().status, 408);
    let mut gone = world.client();
    gone.send(half);
    drop(gone);
    check_serves(&world);
    // Neither reached its target as a whole request.
    assert_eq!(target.requests().len(), 1);
}

#[test]
fn a_client_that_has_shut_its_side_down_is_still_answered() {
    let target = Server::plain("a");
    let world = impatient(&target);
    let mut client = world.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.stream.shutdown(Shutdown::Write).expect("it is connected");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (200, "a"));
    assert!(client.is_closed());
}

#[test]
fn a_client_that_resets_while_its_answer_is_on_the_way_takes_nobody_with_it() {
    let target = Server::start("a", |request, stream| {
        let size: usize = if request.line().contains("large") { 8 << 20 } else { 1 };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
        stream.write_all(&vec![b'x'; size])?;
        Ok(true)
    });
    let world = impatient(&target);
    for _ in 0..10 {
        let mut client = world.client();
        client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut some = [0; 1000];
        client.stream.read_exact(&mut some).expect("the answer begins");
        // With unread bytes behind it, closing is a reset.
        drop(client);
    }
    check_serves(&world);
    wait_for("their connections are gone", || match world.metrics().active_connections {
        0..=2 => Ok(()),
        left => Err(format!("{left} connections")),
    });
}

#[test]
fn a_client_that_does_not_read_is_cut_off_after_the_idle_timeout() {
    let target = Server::start("a", |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20)?;
        // It ends when the balancer has had enough.
        Ok(stream.write_all(&vec![b'x'; 64 << 20]).is_ok())
    });
    let world = impatient(&target);
    let mut client = world.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for("the target is asked", || match target.requests().len() {
        1 => Ok(()),
        count => Err(format!("{count} requests")),
    });
    wait_for("the connections are gone", || match world.metrics().active_connections {
        0 => Ok(()),
        left => Err(format!("{left} connections")),
    });
    let mut received = Vec::new();
    // Whether it ends or breaks, it is not whole.
    let _ = client.stream.read_to_end(&mut received);
    assert!(received.len() < 64 << 20);
}

#[test]
fn targets_that_answer_wrongly_are_502s() {
    for answer in [
        &b""[..],
        b"\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 20 Short\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let target = Server::saying("a", answer);
        let world = impatient(&target);
        let given = world.get("/");
        assert_eq!(given.status, 502, "{}", answer.escape_ascii());
        let metrics = world.metrics();
        assert_eq!(metrics.nodes[ZONE].elb_502, 1, "{}", answer.escape_ascii());
        // No retry: it was asked once.
        assert_eq!(target.requests().len(), 1, "{}", answer.escape_ascii());
    }
}

#[test]
fn a_target_whose_head_is_beyond_32_kib_is_a_502() {
    let target = Server::start("a", |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(33 * 1024))?;
        Ok(false)
    });
    let world = impatient(&target);
    assert_eq!(world.get("/").status, 502);
}

#[test]
fn a_target_that_never_answers_or_stops_in_its_head_is_a_504() {
    for part in ["", "HTTP/1.1 200 OK\r\nX: y"] {
        let target = Server::start("a", move |_, stream| {
            stream.write_all(part.as_bytes())?;
            // It says no more until the balancer hangs up.
            Ok(stream.read(&mut [0]).is_ok_and(|count| count > 0))
        });
        let world = impatient(&target);
        let answer = world.get("/");
        assert_eq!(answer.status, 504, "{part:?}");
        assert_eq!(world.metrics().nodes[ZONE].elb_504, 1);
        assert_eq!(target.requests().len(), 1);
    }
}

#[test]
fn a_target_that_stops_in_its_body_or_closes_too_early_leaves_the_client_with_a_broken_answer() {
    for stall in [true, false] {
        let target = Server::start("a", move |_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")?;
            Ok(stall && stream.read(&mut [0]).is_ok_and(|count| count > 0))
        });
        let world = impatient(&target);
        let mut client = world.client();
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let error = client.try_answer(false).expect_err("the end is missing");
        assert!(matches!(error.kind(), std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset));
    }
}

#[test]
fn a_target_that_says_more_than_it_said_it_would_is_not_spoken_to_again_on_that_connection() {
    let target = Server::start("a", |_, stream| {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        )?;
        Ok(true)
    });
    let world = World::on_cores(1, &[&target], |_| {});
    world.wait_health(&target.id, HealthState::Healthy);
    let mut client = world.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "a");
    }
    assert_eq!(target.connections(), 3);
}

#[test]
fn a_target_that_answers_before_the_body_is_there_is_heard_and_the_client_told_to_go() {
    let target = Server::raw("a", |mut stream| {
        let mut head = Vec::new();
        while find(&head, b"\r\n\r\n").is_none() {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    });
    let world = World::unsettled(&[&target], |_| {});
    let mut client = world.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text(), answer.header("connection")), (413, "no", Some("close")));
}
