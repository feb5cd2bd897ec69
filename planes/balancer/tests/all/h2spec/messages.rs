//! RFC 7540, sections 7 and 8: error codes, and which messages are malformed.

use super::Sight::*;
use super::wire::*;
use super::*;

const MALFORMED: Sight = StreamError(&[PROTOCOL_ERROR]);
/// A code that nobody has given a meaning.
const UNKNOWN: u32 = 0xff;

pub fn cases() -> Vec<Case> {
    let mut all = codes_and_fields();
    all.extend(pseudo_fields());
    all.extend(lengths_and_pushes());
    all
}

fn codes_and_fields() -> Vec<Case> {
    let with = |name, value| [headers(1, WHOLE, &request_with("GET", &[(name, value)]))];
    vec![
        after("http2/7/1", "GOAWAY with an unknown code", &[go_away(UNKNOWN)], Closed),
        after("http2/7/2", "RST_STREAM with an unknown code", &[post(1), rst_stream(1, UNKNOWN), ping()], Pong),
        after(
            "http2/8.1/1",
            "trailers that do not end the stream",
            &[post(1), data(1, 0, b"test"), headers(1, END_HEADERS, &field("x-test", "ok"))],
            MALFORMED,
        ),
        after("http2/8.1.2/1", "a field's name in capitals", &with("X-TEST", "ok"), MALFORMED),
        after("http2/8.1.2.2/1", "a field of HTTP/1.1's connections", &with("connection", "keep-alive"), MALFORMED),
        after("http2/8.1.2.2/2", "TE with more than trailers", &with("te", "trailers, deflate"), MALFORMED),
    ]
}

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "https");
const PATH: (&str, &str) = (":path", "/");
const AUTHORITY: (&str, &str) = (":authority", "www.example.com");

fn pseudo_fields() -> Vec<Case> {
    let of = |all: &[(&str, &str)]| [headers(1, WHOLE, &fields(all))];
    let with = |more| of(&[METHOD, SCHEME, PATH, AUTHORITY, more]);
    let no_path = of(&[METHOD, SCHEME, AUTHORITY]);
    vec![
        after("http2/8.1.2.1/1", "a pseudo-header field nobody knows", &with((":test", "ok")), MALFORMED),
        after("http2/8.1.2.1/2", "a pseudo-header field of answers", &with((":status", "200")), MALFORMED),
        after(
            "http2/8.1.2.1/3",
            "a pseudo-header field in trailers",
            // As in h2spec's list, they do not end the stream either. If they did, the h2 crate would drop
            // the field and go on, and no target would see it.
            &[post(1), data(1, 0, b"test"), headers(1, END_HEADERS, &field(":method", "POST"))],
            MALFORMED,
        ),
        after(
            "http2/8.1.2.1/4",
            "a pseudo-header field after another one",
            &of(&[METHOD, SCHEME, PATH, ("x-test", "ok"), AUTHORITY]),
            MALFORMED,
        ),
        after("http2/8.1.2.3/1", "an empty :path", &of(&[METHOD, SCHEME, (":path", ""), AUTHORITY]), MALFORMED),
        after("http2/8.1.2.3/2", "no :method", &of(&[SCHEME, PATH, AUTHORITY]), MALFORMED),
        after("http2/8.1.2.3/3", "no :scheme", &of(&[METHOD, PATH, AUTHORITY]), MALFORMED),
        after("http2/8.1.2.3/4", "no :path", &no_path, MALFORMED),
        after("http2/8.1.2.3/5", "two of :method", &with(METHOD), MALFORMED),
        after("http2/8.1.2.3/6", "two of :scheme", &with(SCHEME), MALFORMED),
        after("http2/8.1.2.3/7", "two of :path", &with(PATH), MALFORMED),
    ]
}

fn lengths_and_pushes() -> Vec<Case> {
    let counted = || headers(1, END_HEADERS, &request_with("POST", &[("content-length", "1")]));
    vec![
        after("http2/8.1.2.6/1", "more DATA than its length", &[counted(), data(1, END_STREAM, b"test")], MALFORMED),
        after(
            "http2/8.1.2.6/2",
            "more DATA than its length, in two frames",
            &[counted(), data(1, 0, b"test"), data(1, END_STREAM, b"test")],
            MALFORMED,
        ),
        after(
            "http2/8.2/1",
            "PUSH_PROMISE from a client",
            &[frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 3], &request("GET")[..]].concat())],
            ConnectionError(&[PROTOCOL_ERROR]),
        ),
    ]
}
