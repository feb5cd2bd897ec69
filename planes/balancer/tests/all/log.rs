//! Access logs: one record for each request, whatever became of it.

use std::net::Shutdown;
use std::sync::mpsc::Receiver;

use zonal_balancer::LogEntry;
use zonal_balancer::config::*;

use crate::support::*;
use crate::tls::{Kind, ask, certificate, connect, listener_tls};

fn logged(target: &Server) -> (World, Receiver<LogEntry>) {
    let world = World::unsettled(&[target], |config| config.http.access_log = true);
    world.wait_health(&target.id, HealthState::Healthy);
    let log = world.balancer.access_log().expect("nobody has asked before");
    assert!(world.balancer.access_log().is_none());
    (world, log)
}

/// The next record, its fields apart.
fn next(log: &Receiver<LogEntry>) -> Vec<String> {
    let entry = log.recv_timeout(DEADLINE).expect("a record comes");
    assert_eq!(entry.balancer, "lb");
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for character in entry.line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().expect("there is one").push(character),
        }
    }
    assert_eq!(fields.len(), 30, "{}", entry.line);
    fields
}

#[test]
fn a_forwarded_request_is_logged_with_target_times_statuses_and_sizes() {
    let target = Server::plain("a");
    let (world, log) = logged(&target);
    let mut client = world.client();
    let request = "POST /x?y HTTP/1.1\r\nHost: example.com\r\nUser-Agent: t\"est\r\nContent-Length: 3\r\n\r\nabc";
    client.send(request.as_bytes());
    let answer = client.answer();
    let record = next(&log);
    let address = format!("127.0.0.1:{}", target.port);
    assert_eq!((record[0].as_str(), record[2].as_str()), ("http", "lb"));
    assert_eq!(record[3], client.stream.local_addr().expect("it is connected").to_string());
    assert_eq!(record[4], address);
    assert!(record[5..8].iter().all(|time| time.parse::<f64>().is_ok_and(|time| (0.0..10.0).contains(&time))));
    assert_eq!(record[8..10], ["200", "200"]);
    assert_eq!(record[10], request.len().to_string());
    assert_eq!(record[11], (answer.head.len() + 2 + answer.body.len()).to_string());
    assert_eq!(record[12..14], ["POST http://example.com:80/x?y HTTP/1.1", "t\\x22est"]);
    assert_eq!(record[16], "group");
    assert_eq!(Some(record[17].as_str()), target.requests()[0].header("x-amzn-trace-id"));
    assert_eq!((record[20].as_str(), record[22].as_str()), ("0", "forward"));
    assert_eq!(record[25..29], [address.as_str(), "200", "-", "-"]);
}

#[test]
fn what_no_target_answers_is_logged_too() {
    let target = Server::plain("a");
    let (mut world, log) = logged(&target);
    let mut client = world.client();
    client.send(b"nonsense\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    let record = next(&log);
    assert_eq!((record[8].as_str(), record[9].as_str(), record[12].as_str()), ("400", "-", "-"));
    let mut client = world.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert_eq!(next(&log)[27..29], ["Ambiguous", "BothTeClPresent"]);
    world.apply(|config| {
        config.listeners[0].default_action = Action::Redirect(Redirect {
            protocol: "HTTPS".to_owned(),
            host: "#{host}".to_owned(),
            port: "443".to_owned(),
            path: "/#{path}".to_owned(),
            query: String::new(),
            permanent: true,
        });
    });
    assert_eq!(world.get("/x").status, 301);
    let record = next(&log);
    assert_eq!((record[8].as_str(), record[22].as_str()), ("301", "redirect"));
    assert_eq!(record[20], "0", "the default rule's");
    assert_eq!(record[23], "https://example.com:443/x");
    assert_eq!(world.get(&format!("/{}", "x".repeat(8 << 10))).status, 500);
    let record = next(&log);
    assert_eq!((record[8].as_str(), record[23].as_str()), ("500", "-"), "no client was redirected");
    world.apply(|config| {
        config.listeners[0].rules = vec![Rule {
            id: "rule".to_owned(),
            priority: 7,
            conditions: vec![Condition::PathPattern(vec!["/fixed".to_owned()])],
            action: Action::FixedResponse { status_code: 200, content_type: None, message_body: String::new() },
        }];
    });
    assert_eq!(world.get("/fixed").status, 200);
    let record = next(&log);
    assert_eq!((record[20].as_str(), record[22].as_str()), ("7", "fixed-response"));
}

#[test]
fn requests_of_one_connection_have_its_id_and_no_others() {
    let (world, log) = logged(&Server::plain("a"));
    let mut client = world.client();
    let ids = [1, 1, 2].map(|number| {
        if number == 2 {
            client = world.client();
        }
        client.get("/");
        next(&log)[29].clone()
    });
    assert!(ids[0].starts_with("TID_") && ids[0].len() == 36, "{ids:?}");
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[test]
fn of_https_the_log_has_the_host_and_its_certificate_or_that_the_default_was_shown() {
    let target = Server::plain("a");
    let (mut world, log) = logged(&target);
    let certificates = ["default.example.com", "*.example.com"].map(|name| certificate(name, &[name]));
    let [default, wild] = certificates;
    world.apply(|config| config.listeners[0].tls = Some(listener_tls(default, vec![wild])));
    let of = |host| {
        let mut stream = connect(&world, &Kind { host, ..Kind::default() }).expect("the handshake succeeds");
        ask(&mut stream, "/");
        let record = next(&log);
        assert_eq!((record[0].as_str(), record[15].as_str()), ("https", "TLSv1.3"));
        [record[18].clone(), record[19].clone()]
    };
    assert_eq!(of(Some("www.example.com")), ["www.example.com", "*.example.com"]);
    assert_eq!(of(Some("www.example.org")), ["-", "default.example.com"]);
    assert_eq!(of(None), ["-", "default.example.com"]);
}

#[test]
fn of_a_target_that_does_not_answer_in_time_the_log_has_when_it_was_asked() {
    let target = Server::raw("a", |stream| {
        let mut stream = stream;
        let mut buffer = Vec::new();
        read_until(&mut stream, &mut buffer, b"\r\n\r\n")?;
        // Until the balancer hangs up.
        while read_more(&mut stream, &mut buffer)? > 0 {}
        Ok(())
    });
    let world = World::unsettled(&[&target], |config| {
        config.http.access_log = true;
        config.idle_timeout = std::time::Duration::from_millis(300);
    });
    let log = world.balancer.access_log().expect("nobody has asked before");
    assert_eq!(world.get("/").status, 504);
    let record = next(&log);
    assert_eq!(record[6..10], ["-1", "-1", "504", "-"]);
    assert!(record[5].parse::<f64>().is_ok_and(|time| time >= 0.0), "{}", record[5]);
}

#[test]
fn a_client_that_is_gone_before_it_was_answered_is_a_460() {
    let target = Server::plain("a");
    let (world, log) = logged(&target);
    let mut client = world.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    client.stream.shutdown(Shutdown::Both).expect("it is connected");
    let record = next(&log);
    assert_eq!(record[8..10], ["460", "-"]);
    assert_eq!(world.metrics().nodes[ZONE].elb_4xx, 1);
    assert!(target.requests().is_empty());
}

#[test]
fn records_that_nobody_takes_are_lost_and_counted_and_hold_up_nobody() {
    let target = Server::plain("a");
    let (mut world, log) = logged(&target);
    world.apply(|config| {
        config.listeners[0].default_action =
            Action::FixedResponse { status_code: 200, content_type: None, message_body: String::new() };
    });
    let mut client = world.client();
    let batch = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    for _ in 0..90 {
        client.send(batch.as_bytes());
        (0..100).for_each(|_| assert_eq!(client.answer().status, 200));
    }
    wait_for("the last record is written or lost", || match world.balancer.log_entries_lost() {
        808 => Ok(()),
        lost => Err(format!("{lost} lost")),
    });
    assert_eq!(log.try_iter().count(), 8192);
}
