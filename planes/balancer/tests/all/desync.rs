//! Desync mitigation: what each mode lets pass, and that what passes is one request for its target.

use zonal_balancer::config::*;

use crate::support::*;

/// What would be the second request of whoever reads the first one as shorter than it is.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Requests with one meaning that not everybody sees; and their tier.
const ODD: &[(&str, u8)] = &[
    // Acceptable.
    ("GET /first HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 1),
    ("GET /first HTTP/1.1\r\nHost: a\r\nX: caf\u{e9}\r\n\r\n", 1),
    // Ambiguous.
    ("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 2),
    ("POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 2),
    ("POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", 2),
    ("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 2),
    ("GET /first HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 2),
    ("GET /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 2),
    ("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent_Length: 30\r\n\r\nabc", 2),
    ("GET /first HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n", 2),
    // Severe.
    ("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer_Encoding: chunked\r\n\r\nabc", 3),
    ("POST /first HTTP/1.1\r\nHost: a\r\nContent_Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 3),
];

fn in_mode(mode: DesyncMode, target: &Server) -> World {
    let world = World::unsettled(&[target], |config| config.http.desync = mode);
    world.wait_health(&target.id, HealthState::Healthy);
    world
}

/// Sends each with a smuggled one behind it; tells which tiers are refused, and after which ones the
/// second request is answered too.
fn check(mode: DesyncMode, refuses_from: u8, closes_from: u8) {
    let target = Server::plain("a");
    let world = in_mode(mode, &target);
    let mut passed = 0;
    for (request, tier) in ODD {
        let before = target.requests().len();
        let mut client = world.client();
        client.send(format!("{request}{SMUGGLED}").as_bytes());
        let shown = request.escape_debug();
        let answer = client.answer();
        let expected = if *tier >= refuses_from { 400 } else { 200 };
        assert_eq!(answer.status, expected, "{mode:?} {shown}");
        let follows = *tier < closes_from.min(refuses_from);
        assert_eq!(answer.header("connection"), Some(if follows { "keep-alive" } else { "close" }), "{shown}");
        if follows {
            // It was a request of its own all along, and is seen as such.
            assert_eq!(client.answer().status, 200, "{shown}");
        } else {
            assert!(client.is_closed(), "{mode:?} {shown}");
        }
        let seen: Vec<_> = target.requests().into_iter().skip(before).collect();
        let lines: Vec<_> = seen.iter().map(|seen| seen.line().split(' ').nth(1).unwrap_or("").to_owned()).collect();
        let expected: &[&str] = match (expected, follows) {
            (200, true) => &["/first", "/smuggled"],
            (200, false) => &["/first"],
            _ => &[],
        };
        assert_eq!(lines, expected, "{mode:?} {shown}");
        passed += u64::from(expected.len() == 1 || follows);
        for request in seen {
            let head = request.head.to_ascii_lowercase();
            let said = head.matches("\ncontent-length:").count() + head.matches("\ntransfer-encoding:").count();
            assert!(said <= 1, "{mode:?} {shown}: {head}");
        }
    }
    let counted = world.metrics().nodes[ZONE].non_compliant_requests;
    assert_eq!(counted, ODD.len() as u64, "{mode:?}: {passed} passed");
}

#[test]
fn monitor_counts_and_lets_pass() {
    check(DesyncMode::Monitor, 4, 4);
}

#[test]
fn defensive_refuses_severe_requests_and_ends_both_connections_after_ambiguous_ones() {
    check(DesyncMode::Defensive, 3, 2);
}

#[test]
fn strictest_lets_only_compliant_requests_pass() {
    check(DesyncMode::Strictest, 1, 1);
}

#[test]
fn a_targets_connection_is_not_used_again_after_an_ambiguous_request() {
    let target = Server::plain("a");
    let world = World::on_cores(1, &[&target], |_| {});
    world.wait_health(&target.id, HealthState::Healthy);
    for _ in 0..2 {
        world.client().get("/");
    }
    assert_eq!(target.connections(), 1);
    let mut client = world.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(client.answer().status, 200);
    world.client().get("/");
    assert_eq!(target.connections(), 2);
}
