//! RFC 7540, section 6: each kind of frame with what is wrong of it.

use super::Sight::*;
use super::wire::*;
use super::*;

const PROTOCOL: Sight = ConnectionError(&[PROTOCOL_ERROR]);
const SIZE: Sight = ConnectionError(&[FRAME_SIZE_ERROR]);
const FLOW: Sight = ConnectionError(&[FLOW_CONTROL_ERROR]);
/// What no window may be beyond.
const MOST: u32 = (1 << 31) - 1;

pub fn cases() -> Vec<Case> {
    let mut all = data_and_headers();
    all.extend(small_frames());
    all.extend(settings_frames());
    all.extend(windows());
    all.extend(initial_windows());
    all.extend(continuations());
    all
}

fn data_and_headers() -> Vec<Case> {
    let open = || headers(1, 0, &request("GET"));
    let block = request("GET");
    let beyond = u8::try_from(block.len() + 2).expect("the block is short");
    let counted = request_with("POST", &[("content-length", "4")]);
    vec![
        after("http2/6.1/1", "DATA on stream 0", &[data(0, END_STREAM, b"test")], PROTOCOL),
        after(
            "http2/6.1/2",
            "DATA on a stream that is not open",
            &[headers(1, WHOLE, &request("POST")), data(1, END_STREAM, b"test")],
            StreamError(&[STREAM_CLOSED]),
        ),
        after(
            "http2/6.1/3",
            "DATA with more padding than frame",
            &[headers(1, END_HEADERS, &counted), data(1, END_STREAM | PADDED, b"\x06Test")],
            PROTOCOL,
        ),
        after(
            "http2/6.2/1",
            "HEADERS without their end, then PRIORITY",
            &[open(), priority(1, 0, false, 255), continuation(1, END_HEADERS, &long_field())],
            PROTOCOL,
        ),
        after(
            "http2/6.2/2",
            "HEADERS without their end, then those of another stream",
            &[open(), get(3), continuation(1, END_HEADERS, &long_field())],
            PROTOCOL,
        ),
        after("http2/6.2/3", "HEADERS on stream 0", &[get(0)], PROTOCOL),
        after(
            "http2/6.2/4",
            "HEADERS with more padding than frame",
            &[headers(1, WHOLE | PADDED, &[&[beyond], &block[..]].concat())],
            StreamError(&[PROTOCOL_ERROR]),
        ),
    ]
}

fn small_frames() -> Vec<Case> {
    let other_ping = |flags| frame(PING, flags, 0, b"unasked.");
    vec![
        after("http2/6.3/1", "PRIORITY on stream 0", &[priority(0, 1, false, 255)], PROTOCOL),
        after(
            "http2/6.3/2",
            "PRIORITY of 4 bytes",
            &[post(1), frame(PRIORITY, 0, 1, &[0x80, 0, 0, 1])],
            StreamError(&[FRAME_SIZE_ERROR]),
        ),
        after("http2/6.4/1", "RST_STREAM on stream 0", &[rst_stream(0, CANCEL)], PROTOCOL),
        after("http2/6.4/2", "RST_STREAM on an idle stream", &[rst_stream(1, CANCEL)], PROTOCOL),
        after("http2/6.4/3", "RST_STREAM of 3 bytes", &[post(1), frame(RST_STREAM, 0, 1, &[0; 3])], SIZE),
        after("http2/6.7/1", "PING", &[ping()], Pong),
        after("http2/6.7/2", "PING that is an answer", &[other_ping(ACK), ping()], Pong),
        after("http2/6.7/3", "PING on a stream", &[frame(PING, 0, 1, &[0; 8])], PROTOCOL),
        after("http2/6.7/4", "PING of 6 bytes", &[frame(PING, 0, 0, &[0; 6])], SIZE),
        after("http2/6.8/1", "GOAWAY on a stream", &[frame(GOAWAY, 0, 1, &[0; 8])], PROTOCOL),
    ]
}

fn settings_frames() -> Vec<Case> {
    vec![
        after("http2/6.5/1", "SETTINGS that acknowledge and set", &[frame(SETTINGS, ACK, 0, &[0])], SIZE),
        after("http2/6.5/2", "SETTINGS on a stream", &[frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 100])], PROTOCOL),
        after("http2/6.5/3", "SETTINGS of 3 bytes", &[frame(SETTINGS, 0, 0, &[0, 3, 0])], SIZE),
        after("http2/6.5.2/1", "ENABLE_PUSH of 2", &[settings(&[(ENABLE_PUSH, 2)])], PROTOCOL),
        after("http2/6.5.2/2", "INITIAL_WINDOW_SIZE of 2^31", &[settings(&[(INITIAL_WINDOW_SIZE, MOST + 1)])], FLOW),
        after("http2/6.5.2/3", "MAX_FRAME_SIZE below 2^14", &[settings(&[(MAX_FRAME_SIZE, 16_383)])], PROTOCOL),
        after("http2/6.5.2/4", "MAX_FRAME_SIZE of 2^24", &[settings(&[(MAX_FRAME_SIZE, 1 << 24)])], PROTOCOL),
        after("http2/6.5.2/5", "a setting that is unknown", &[settings(&[(0xff, 1)]), ping()], Pong),
        case(
            "http2/6.5.3/1",
            "of two values the last one is in force",
            [
                Step::Send(settings(&[(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)])),
                Step::See(SettingsAck),
                Step::Send(get(1)),
                Step::See(Data(1)),
            ],
        ),
        after("http2/6.5.3/2", "SETTINGS are acknowledged", &[settings(&[(ENABLE_PUSH, 0)])], SettingsAck),
    ]
}

fn windows() -> Vec<Case> {
    vec![
        after("http2/6.9/1", "WINDOW_UPDATE by 0", &[window_update(0, 0)], PROTOCOL),
        after(
            "http2/6.9/2",
            "WINDOW_UPDATE of a stream by 0",
            &[post(1), window_update(1, 0)],
            StreamError(&[PROTOCOL_ERROR]),
        ),
        after("http2/6.9/3", "WINDOW_UPDATE of 3 bytes", &[frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1])], SIZE),
        case(
            "http2/6.9.1/1",
            "no more is sent than the window takes",
            [
                Step::Send(settings(&[(INITIAL_WINDOW_SIZE, 1)])),
                Step::See(SettingsAck),
                Step::Send(get(1)),
                Step::See(Data(1)),
            ],
        ),
        after("http2/6.9.1/2", "a window beyond 2^31-1", &[window_update(0, MOST), window_update(0, MOST)], FLOW),
        after(
            "http2/6.9.1/3",
            "a stream's window beyond 2^31-1",
            &[post(1), window_update(1, MOST), window_update(1, MOST)],
            Reset(FLOW_CONTROL_ERROR),
        ),
    ]
}

fn initial_windows() -> Vec<Case> {
    let window = |size| settings(&[(INITIAL_WINDOW_SIZE, size)]);
    vec![
        case(
            "http2/6.9.2/1",
            "a window is as the newest SETTINGS say",
            [
                Step::Send(window(0)),
                Step::See(SettingsAck),
                Step::Send([get(1), window(1)].concat()),
                Step::See(SettingsAck),
                Step::See(Data(1)),
            ],
        ),
        case(
            "http2/6.9.2/2",
            "a window may become negative",
            [
                Step::Send(window(3)),
                Step::See(SettingsAck),
                Step::Send(get(1)),
                Step::See(Data(3)),
                Step::Send(window(2)),
                Step::See(SettingsAck),
                Step::Send(window_update(1, 2)),
                Step::See(Data(1)),
            ],
        ),
        after("http2/6.9.2/3", "a window of 2^31", &[window(MOST + 1)], FLOW),
    ]
}

fn continuations() -> Vec<Case> {
    let open = || headers(1, END_STREAM, &request("GET"));
    let posting = || headers(1, 0, &request("POST"));
    let more = |flags| continuation(1, flags, &field("x-dummy", "x"));
    vec![
        after("http2/6.10/1", "several CONTINUATION frames", &[open(), more(0), more(END_HEADERS)], Answer(1)),
        after(
            "http2/6.10/2",
            "CONTINUATION without its end, then DATA",
            &[posting(), more(0), data(1, END_STREAM, b"test")],
            PROTOCOL,
        ),
        after(
            "http2/6.10/3",
            "CONTINUATION on stream 0",
            &[open(), continuation(0, END_HEADERS, &field("x-dummy", "x"))],
            PROTOCOL,
        ),
        after("http2/6.10/4", "CONTINUATION after a whole block", &[get(1), more(END_HEADERS)], PROTOCOL),
        after(
            "http2/6.10/5",
            "CONTINUATION after the last one",
            &[open(), more(END_HEADERS), more(END_HEADERS)],
            PROTOCOL,
        ),
        after(
            "http2/6.10/6",
            "CONTINUATION after DATA",
            &[posting(), data(1, END_STREAM, b"test"), more(END_HEADERS)],
            PROTOCOL,
        ),
    ]
}
