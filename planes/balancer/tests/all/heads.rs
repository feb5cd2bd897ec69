//! Heads without sockets: whatever is accepted leaves in one form that can be read in one way.

use proptest::prelude::*;
use zonal_balancer::config::HttpSettings;
use zonal_balancer::core::answer::After;
use zonal_balancer::core::body::Framing;
use zonal_balancer::core::head::{RequestHead, find_head_end, header_space, parse_request, parse_response};
use zonal_balancer::core::rewrite::{self, Dressing, Hop, Onward};
use zonal_balancer::core::route::Scheme;
use zonal_balancer::core::trace::TraceIds;

/// A request as it would be sent on; `None` if it is refused or not whole.
fn rewritten(input: &[u8]) -> Option<(Framing, Vec<u8>)> {
    with_head(input, |head| {
        let mut out = Vec::new();
        let hop = Hop::new(([192, 0, 2, 1], 50_000).into(), "10.0.0.1", 80, Scheme::Http);
        rewrite::request(head, &hop, &HttpSettings::default(), &mut TraceIds::new(1), 0, &mut out);
        (head.framing, out)
    })
}

fn with_head<T>(input: &[u8], act: impl FnOnce(&RequestHead<'_, '_>) -> T) -> Option<T> {
    let length = find_head_end(input, &mut 0).ok()??;
    let mut space = header_space();
    parse_request(&input[..length], &mut space).ok().map(|head| act(&head))
}

/// A reader as strict and as plain as can be, written apart from ours.
fn read_plainly(head: &[u8]) -> Result<Vec<(String, String)>, String> {
    let text = String::from_utf8_lossy(head).into_owned();
    let lines = text.strip_suffix("\r\n\r\n").ok_or("no end")?.split("\r\n").collect::<Vec<_>>();
    if text.matches(['\r', '\n']).count() != 2 * (lines.len() + 1) || text.contains('\0') {
        return Err("a stray control character".to_owned());
    }
    if lines[0].split(' ').count() != 3 || !lines[0].ends_with(" HTTP/1.1") {
        return Err(format!("request line {}", lines[0]));
    }
    let field = |line: &&str| {
        let (name, value) = line.split_once(": ").ok_or(format!("field {line}"))?;
        if name.is_empty() || name.contains([' ', '\t', ':']) {
            return Err(format!("name {name}"));
        }
        Ok((name.to_ascii_lowercase(), value.to_owned()))
    };
    lines[1..].iter().map(field).collect()
}

fn check_sound(input: &[u8]) -> Result<(), TestCaseError> {
    let Some((framing, out)) = rewritten(input) else { return Ok(()) };
    let shown = out.escape_ascii().to_string();
    let fields = read_plainly(&out).map_err(|why| TestCaseError::fail(format!("{why} in {shown}")))?;
    let values = |name: &str| fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect::<Vec<_>>();
    prop_assert_eq!(values("host").len(), 1, "{}", shown);
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    match framing {
        Framing::Chunked => prop_assert_eq!((lengths.len(), codings), (0, vec!["chunked".to_owned()])),
        Framing::Length(0) => prop_assert!(codings.is_empty() && lengths.iter().all(|length| length == "0")),
        Framing::Length(length) => prop_assert_eq!((lengths, codings.len()), (vec![length.to_string()], 0)),
        Framing::UntilClose => prop_assert!(false, "a request has a length"),
    }
    for ours in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id"] {
        prop_assert_eq!(values(ours).len(), 1, "{}", shown);
    }
    for hop in ["keep-alive", "proxy-connection", "te", "trailer"] {
        prop_assert!(values(hop).is_empty(), "{}", shown);
    }
    Ok(())
}

/// Requests made of pieces that have caused harm somewhere.
fn risky() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "content-length:7\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\tchunked\r\n",
        "Transfer-Encoding: chunked \r\n",
        "TE: trailers\r\n",
        "Connection: close, X-Secret\r\n",
        "Connection: Content-Length, Host\r\n",
        "Connection: upgrade\r\n",
        "Upgrade: h2c\r\n",
        "Keep-Alive: 1\r\n",
        "Expect: 100-continue\r\n",
        "X-Forwarded-For: 203.0.113.1\r\n",
        "X-Forwarded-Proto: https\r\n",
        "X-Amzn-Trace-Id: Root=1-2-3;Self=x\r\n",
        "X-Secret: 1\r\n",
        "Host: other\r\n",
        " folded\r\n",
        "bare\n",
        "X: \u{e9}\r\n",
        "X: a\rb\r\n",
    ]);
    let start = prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST /p?q HTTP/1.1\r\nHost: a:80\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.0\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\n",
    ]);
    (start, prop::collection::vec(line, 0..6)).prop_map(|(start, lines)| {
        let mut request = start.as_bytes().to_vec();
        lines.iter().for_each(|line| request.extend_from_slice(line.as_bytes()));
        request.extend_from_slice(b"\r\n");
        request
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_is_accepted_leaves_in_one_unambiguous_form(request in risky()) {
        check_sound(&request)?;
    }

    #[test]
    fn a_sound_request_with_damage_is_refused_or_still_sound(
        request in risky(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut request = request;
        for (at, byte) in damage {
            let at = at.index(request.len());
            request[at] = byte;
        }
        check_sound(&request)?;
    }

    #[test]
    fn a_head_ends_in_the_same_place_however_it_arrives(request in risky(), cuts in prop::collection::vec(0usize..200, 0..6)) {
        let whole = find_head_end(&request, &mut 0);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(request.len())).collect();
        cuts.sort_unstable();
        let mut scanned = 0;
        let mut piecewise = Ok(None);
        for end in cuts.into_iter().chain([request.len()]) {
            piecewise = find_head_end(&request[..end], &mut scanned);
            if piecewise != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(piecewise, whole);
    }

    #[test]
    fn no_answer_makes_the_reader_panic_and_what_it_takes_it_writes_soundly(
        start in prop::sample::select(vec!["HTTP/1.1 200 OK\r\n", "HTTP/1.0 304 \r\n", "HTTP/1.1 204\r\n", "HTTP/1.1 999 X\r\n"]),
        lines in prop::collection::vec(prop::sample::select(vec![
            "Content-Length: 3\r\n", "Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n",
            "Keep-Alive: 1\n", "Upgrade: x\r\n", "Server: y\r\n", "X: \0\r\n", "Set-Cookie: a\r\n", "Connection: Set-Cookie\r\n",
        ]), 0..5),
        head_only in any::<bool>(),
    ) {
        let answer = format!("{start}{}\r\n", lines.concat());
        let mut space = header_space();
        let Ok(Some((head, length))) = parse_response(answer.as_bytes(), &mut space, head_only) else { return Ok(()) };
        prop_assert_eq!(length, answer.len());
        let onward = Onward::of(head.framing, zonal_balancer::core::head::Version::Http11);
        let mut out = Vec::new();
        rewrite::response(&head, onward, After::KeepAlive, &Dressing::default(), &mut out);
        let out = String::from_utf8_lossy(&out).into_owned();
        prop_assert!(out.ends_with("\r\n\r\n") && out.matches("\r\n\r\n").count() == 1, "{}", out);
        prop_assert_eq!(out.matches("Connection: ").count(), 1, "{}", out);
        let lengths = out.matches("Content-Length: ").count() + out.matches("Transfer-Encoding: ").count();
        prop_assert!(lengths <= 1, "{}", out);
    }
}

#[test]
fn an_old_client_without_a_host_gets_the_nodes_address_for_one() {
    let (_, out) = rewritten(b"GET / HTTP/1.0\r\n\r\n").expect("it is sound");
    let fields = read_plainly(&out).expect("it reads plainly");
    assert!(fields.contains(&("host".to_owned(), "10.0.0.1".to_owned())), "{fields:?}");
}

#[test]
fn several_forwarded_for_headers_become_one_in_their_order() {
    let (_, out) = rewritten(
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\n\r\n",
    )
    .expect("it is sound");
    let fields = read_plainly(&out).expect("it reads plainly");
    assert!(
        fields.contains(&("x-forwarded-for".to_owned(), "1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.1".to_owned())),
        "{fields:?}"
    );
}
