//! RFC 7540, sections 3 to 5: how a connection begins, how frames are laid out, and which frames a
//! stream takes in which state.

use super::Sight::*;
use super::wire::*;
use super::*;

/// Streams that the balancer lets a client have open, as its settings say.
const STREAMS: u32 = 128;
const CLOSED_OR_PROTOCOL: &[u32] = &[STREAM_CLOSED, PROTOCOL_ERROR];

pub fn cases() -> Vec<Case> {
    let mut all = beginnings();
    all.extend(sizes());
    all.extend(idle_and_half_closed());
    all.extend(closed());
    all.extend(identifiers());
    all.extend(errors());
    all
}

fn beginnings() -> Vec<Case> {
    let unknown = || frame(0x16, 0, 0, &[0; 8]);
    vec![
        case(
            "http2/3.5/1",
            "the balancer's first frame is its SETTINGS",
            [Step::Send([PREFACE, &settings(&[(INITIAL_WINDOW_SIZE, 65_535)])].concat()), Step::See(Preface)],
        ),
        after("http2/3.5/2", "no preface", &[b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec()], Closed),
        after("http2/4.1/1", "a frame of an unknown kind", &[unknown(), ping()], Pong),
        after("http2/4.1/2", "flags that mean nothing", &[frame(PING, 0x16, 0, b"pingpong")], Pong),
        after("http2/4.1/3", "the reserved bit", &[frame(PING, 0x16, 1 << 31, b"pingpong")], Pong),
    ]
}

fn sizes() -> Vec<Case> {
    let open = || headers(1, 0, &request("GET"));
    vec![
        after("http2/4.2/1", "DATA of 2^14 bytes", &[post(1), data(1, END_STREAM, &[b'x'; FRAME_SIZE])], Answer(1)),
        after(
            "http2/4.2/2",
            "DATA of one more",
            &[post(1), data(1, END_STREAM, &[b'x'; FRAME_SIZE + 1])],
            StreamError(&[FRAME_SIZE_ERROR]),
        ),
        after(
            "http2/4.2/3",
            "HEADERS that are too large",
            &[headers(1, WHOLE, &[request("GET"), long_field().repeat(5)].concat())],
            ConnectionError(&[FRAME_SIZE_ERROR]),
        ),
        after(
            "http2/4.3/1",
            "a header block that ends within a field",
            &[headers(1, WHOLE, &[0x40])],
            ConnectionError(UNDECODABLE),
        ),
        after(
            "http2/4.3/2",
            "PRIORITY within a header block",
            &[open(), priority(1, 0, false, 255), continuation(1, END_HEADERS, &long_field())],
            ConnectionError(&[PROTOCOL_ERROR]),
        ),
        after(
            "http2/4.3/3",
            "another stream's HEADERS within a header block",
            &[open(), get(3), continuation(1, END_HEADERS, &long_field())],
            ConnectionError(&[PROTOCOL_ERROR]),
        ),
    ]
}

fn idle_and_half_closed() -> Vec<Case> {
    vec![
        after("http2/5.1/1", "idle: DATA", &[data(1, END_STREAM, b"test")], ConnectionError(&[PROTOCOL_ERROR])),
        after("http2/5.1/2", "idle: RST_STREAM", &[rst_stream(1, CANCEL)], ConnectionError(&[PROTOCOL_ERROR])),
        after("http2/5.1/3", "idle: WINDOW_UPDATE", &[window_update(1, 100)], ConnectionError(&[PROTOCOL_ERROR])),
        after(
            "http2/5.1/4",
            "idle: CONTINUATION",
            &[continuation(1, END_HEADERS, &request("GET"))],
            ConnectionError(&[PROTOCOL_ERROR]),
        ),
        after(
            "http2/5.1/5",
            "half-closed: DATA",
            &[get(1), data(1, END_STREAM, b"test")],
            StreamError(&[STREAM_CLOSED]),
        ),
        after("http2/5.1/6", "half-closed: HEADERS", &[get(1), get(1)], StreamError(&[STREAM_CLOSED])),
        after(
            "http2/5.1/7",
            "half-closed: CONTINUATION",
            &[get(1), continuation(1, END_HEADERS, &request("GET"))],
            StreamError(CLOSED_OR_PROTOCOL),
        ),
    ]
}

fn closed() -> Vec<Case> {
    let reset = || [post(1), rst_stream(1, CANCEL)].concat();
    let ended = |id, what, bytes, sight| {
        case(id, what, [Step::Send(get(1)), Step::See(End(1)), Step::Send(bytes), Step::See(sight)])
    };
    vec![
        after("http2/5.1/8", "reset: DATA", &[reset(), data(1, END_STREAM, b"test")], StreamError(&[STREAM_CLOSED])),
        after("http2/5.1/9", "reset: HEADERS", &[reset(), get(1)], StreamError(&[STREAM_CLOSED])),
        after(
            "http2/5.1/10",
            "reset: CONTINUATION",
            &[reset(), continuation(1, END_HEADERS, &long_field())],
            StreamError(CLOSED_OR_PROTOCOL),
        ),
        ended("http2/5.1/11", "closed: DATA", data(1, END_STREAM, b"test"), ConnectionError(&[STREAM_CLOSED])),
        ended("http2/5.1/12", "closed: HEADERS", get(1), ConnectionError(&[STREAM_CLOSED])),
        ended(
            "http2/5.1/13",
            "closed: CONTINUATION",
            continuation(1, END_HEADERS, &long_field()),
            ConnectionError(CLOSED_OR_PROTOCOL),
        ),
    ]
}

fn identifiers() -> Vec<Case> {
    let many: Vec<u8> = (0..=STREAMS).flat_map(|at| get(2 * at + 1)).collect();
    vec![
        after("http2/5.1.1/1", "a stream of an even number", &[get(2)], ConnectionError(&[PROTOCOL_ERROR])),
        after("http2/5.1.1/2", "a stream before the last one", &[get(5), get(3)], ConnectionError(&[PROTOCOL_ERROR])),
        after(
            "http2/5.1.2/1",
            "a stream more than may be open",
            &[settings(&[(INITIAL_WINDOW_SIZE, 0)]), many],
            StreamError(&[PROTOCOL_ERROR, REFUSED_STREAM]),
        ),
        after(
            "http2/5.3.1/1",
            "HEADERS that depend on themselves",
            &[headers(1, WHOLE | WEIGHED, &[priority_of(1, false, 255), request("GET")].concat())],
            StreamError(&[PROTOCOL_ERROR]),
        ),
        after(
            "http2/5.3.1/2",
            "PRIORITY that depends on itself",
            &[priority(2, 2, false, 255)],
            StreamError(&[PROTOCOL_ERROR]),
        ),
    ]
}

fn errors() -> Vec<Case> {
    let bad_ping = || frame(PING, 0, 3, &[0; 8]);
    let unknown = || frame(0x16, 0, 0, &[0; 8]);
    vec![
        after("http2/5.4.1/1", "an error of the connection closes it", &[bad_ping()], Closed),
        after("http2/5.4.1/2", "GOAWAY is said before", &[bad_ping()], ConnectionError(&[PROTOCOL_ERROR])),
        after("http2/5.5/1", "an extension's frame", &[unknown(), ping()], Pong),
        after(
            "http2/5.5/2",
            "an extension's frame within a header block",
            &[headers(1, END_STREAM, &request("GET")), unknown()],
            ConnectionError(&[PROTOCOL_ERROR]),
        ),
    ]
}
