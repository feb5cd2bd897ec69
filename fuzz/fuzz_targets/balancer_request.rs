//! A request's head, in two pieces: what is accepted leaves in a form that reads back as the same one request.
#![no_main]

use zonal_balancer::config::{HttpSettings, XffMode};
use zonal_balancer::core::body::Framing;
use zonal_balancer::core::head::{Refusal, RequestHead, find_head_end, header_space, parse_request};
use zonal_balancer::core::rewrite::{self, Hop};
use zonal_balancer::core::route::Scheme;
use zonal_balancer::core::trace::TraceIds;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, input)) = data.split_first() else { return };
    let mut scanned = 0;
    let cut = usize::from(*choice).min(input.len());
    let whole = find_head_end(input, &mut 0);
    if let Ok(None) = find_head_end(&input[..cut], &mut scanned) {
        let pieces = find_head_end(input, &mut scanned);
        assert_eq!(pieces, whole, "a head ends where it ends, however it comes");
    }
    let Ok(Some(length)) = whole else { return };
    let mut space = header_space();
    let Ok(head) = parse_request(&input[..length], &mut space) else { return };
    let http = HttpSettings {
        preserve_host_header: choice & 1 != 0,
        xff_client_port: choice & 2 != 0,
        xff_mode: [XffMode::Append, XffMode::Preserve, XffMode::Remove][usize::from(choice >> 2) % 3],
        drop_invalid_header_fields: choice & 64 != 0,
        ..HttpSettings::default()
    };
    let hop =
        Hop::new(([192, 0, 2, 1], 50_000).into(), "10.0.0.1", if choice & 128 != 0 { 80 } else { 8080 }, Scheme::Http);
    let mut out = Vec::new();
    rewrite::request(&head, &hop, &http, &mut TraceIds::new(1), 0, &mut out);
    check(&head, &out);
});

fn check(head: &RequestHead<'_, '_>, out: &[u8]) {
    let shown = out.escape_ascii();
    assert!(out.iter().all(|byte| *byte != 0), "{shown}");
    for (at, byte) in out.iter().enumerate() {
        match byte {
            b'\n' => assert!(at > 0 && out[at - 1] == b'\r', "a bare LF in {shown}"),
            b'\r' => assert_eq!(out.get(at + 1), Some(&b'\n'), "a bare CR in {shown}"),
            _ => {}
        }
    }
    let mut space = header_space();
    assert_eq!(find_head_end(out, &mut 0).ok().flatten(), Some(out.len()), "{shown}");
    let again = match parse_request(out, &mut space) {
        Ok(again) => again,
        // One address is added to the most that a client may send.
        Err(Refusal::ForwardedFor) => return,
        // Only what the rewriting added can break a limit.
        Err(_) => return assert!(out.len() > 15_000 || head.headers.len() > 100, "{shown}"),
    };
    assert_eq!((again.method, again.target, again.framing), (head.method, head.target, head.framing), "{shown}");
    let named = |name: &str| again.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).count();
    assert_eq!(named("host"), 1, "{shown}");
    let lengths = named("content-length") + named("transfer-encoding");
    assert!(lengths <= 1 && (lengths == 1 || head.framing == Framing::Length(0)), "{shown}");
}
