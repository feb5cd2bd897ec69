//! Bodies of every framing, both ways.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::support::*;

/// Answers with the body it was sent.
fn echo() -> Server {
    Server::start("echo", |request, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len())?;
        stream.write_all(&request.body)?;
        Ok(true)
    })
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 7u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn bodies_with_a_length_pass_whole_whatever_their_size() {
    let target = echo();
    let world = World::on_cores(1, &[&target], |_| {});
    let mut client = world.client();
    for length in [0, 1, 7_000, 70_000, 3_000_000] {
        let body = noise(length);
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        let mut writer = client.stream.try_clone().expect("descriptors are left");
        let sent = body.clone();
        // The echo starts only when all is there, so that one thread would do; a large one would
        // still fill every buffer on the way.
        let writing = std::thread::spawn(move || writer.write_all(&sent));
        assert!(client.answer().body == body, "{length}");
        writing.join().expect("the writer does not panic").expect("all is taken");
    }
    assert_eq!(target.connections(), 1);
}

#[test]
fn a_chunked_request_reaches_the_target_in_chunks_of_ours() {
    let target = echo();
    let world = World::with(&[&target]);
    let mut client = world.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n");
    client.send(b"00006\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().text(), "hello world");
    assert_eq!(client.answer().status, 200);
    let requests = target.requests();
    assert_eq!(requests[0].header("transfer-encoding"), Some("chunked"));
    assert_eq!(requests[0].header("content-length"), None);
    assert_eq!(requests[1].line(), "GET /next HTTP/1.1");
}

#[test]
fn a_chunked_request_that_breaks_is_answered_400_and_never_completed() {
    let target = echo();
    let world = World::with(&[&target]);
    let mut client = world.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    client.send(b"0\r\n\n");
    assert_eq!(client.answer().status, 400);
    assert!(client.is_closed());
    assert!(target.requests().is_empty());
}

#[test]
fn chunked_answers_pass_and_an_old_client_gets_them_plain() {
    let target = Server::start("a", |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")?;
        stream.write_all(b"4;x\r\ndefg\r\n0\r\n\r\n")?;
        Ok(true)
    });
    let world = World::on_cores(1, &[&target], |_| {});
    let mut client = world.client();
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.text(), "abcdefg");
    }
    let mut old = world.client();
    old.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = old.answer();
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.text(), "abcdefg");
    assert_eq!(target.connections(), 1);
}

#[test]
fn an_answer_until_close_becomes_chunks() {
    let target = Server::saying("a", b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall there is");
    let world = World::with(&[&target]);
    let mut client = world.client();
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!((answer.header("transfer-encoding"), answer.text()), (Some("chunked"), "all there is"));
    }
}

#[test]
fn an_answer_cut_short_does_not_look_whole() {
    for cut in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
    ] {
        let target = Server::saying("a", cut);
        let world = World::with(&[&target]);
        let mut client = world.client();
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.try_answer(false);
        assert!(answer.is_err(), "{} gave {answer:?}", cut.escape_ascii());
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let target = Server::start("a", |request, stream| {
        let status = if request.line().contains("204") { "204 No Content" } else { "304 Not Modified" };
        let status = if request.line().starts_with("HEAD") { "200 OK" } else { status };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n")?;
        Ok(true)
    });
    let world = World::on_cores(1, &[&target], |_| {});
    let mut client = world.client();
    client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.try_answer(true).expect("a head comes");
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("5")));
    let answer = client.get("/204");
    assert_eq!((answer.status, answer.header("content-length")), (204, None));
    assert_eq!(client.get("/304").status, 304);
    assert_eq!(target.connections(), 1);
}

#[test]
fn the_balancer_says_continue_itself() {
    let target = echo();
    let world = World::with(&[&target]);
    let mut client = world.client();
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send(b"body");
    assert_eq!(client.answer().text(), "body");
    assert_eq!(target.requests()[0].header("expect"), None);
}

#[test]
fn interim_answers_of_a_target_are_passed_over() {
    let target = Server::start("a", |_, stream| {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(true)
    });
    let world = World::with(&[&target]);
    assert_eq!(world.get("/").text(), "ok");
}

#[test]
fn an_answer_before_the_request_is_whole_reaches_the_client() {
    use std::sync::mpsc::channel;
    // A target that reads no body: written by hand, since the others read all of it.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let target = Server::absent("a");
    let port = listener.local_addr().expect("it is bound").port();
    let target = Server { port, ..target };
    let (over, wait) = channel::<()>();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            let _ = stream.read(&mut [0; 1024])?;
            stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")?;
            if wait.try_recv().is_ok() {
                break;
            }
        }
        std::io::Result::Ok(())
    });
    let world = World::unsettled(&[&target], |_| {});
    let mut client = world.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text(), answer.header("connection")), (413, "no", Some("close")));
    drop(over);
}

#[test]
fn an_upgraded_connection_is_a_pipe_both_ways() {
    let target = Server::start("a", |request, stream| {
        assert_eq!(request.header("connection"), Some("upgrade"));
        assert_eq!(request.header("upgrade"), Some("echo"));
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhello")?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        stream.write_all(&all)?;
        Ok(false)
    });
    let world = World::with(&[&target]);
    let mut client = world.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("echo")));
    client.send(b"late");
    client.stream.shutdown(Shutdown::Write).expect("the connection is open");
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).expect("the target closes");
    let whole = [client.rest(), &rest].concat();
    assert_eq!(String::from_utf8_lossy(&whole), "helloearly late");
}

#[test]
fn a_client_that_goes_away_takes_its_request_along() {
    let target = echo();
    let world = World::with(&[&target]);
    let mut client = world.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    client.stream.shutdown(Shutdown::Both).expect("the connection is open");
    wait_for("its connections are gone", || match world.metrics().active_connections {
        0 => Ok(()),
        left => Err(format!("{left} left")),
    });
    assert!(target.requests().is_empty());
}
