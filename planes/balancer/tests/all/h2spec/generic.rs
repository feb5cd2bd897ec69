//! What any server must take: every kind of frame, every form of a header field.

use super::Sight::*;
use super::wire::*;
use super::*;

pub fn cases() -> Vec<Case> {
    let mut all = streams();
    all.extend(kinds());
    all.extend(messages());
    all.extend(header_fields());
    all
}

fn streams() -> Vec<Case> {
    vec![
        case(
            "generic/1/1",
            "the preface is answered by the server's own",
            [Step::Send([PREFACE, &settings(&[])].concat()), Step::See(Preface)],
        ),
        after("generic/2/1", "PRIORITY on an idle stream", &[priority(1, 0, false, 255), ping()], Pong),
        after(
            "generic/2/2",
            "WINDOW_UPDATE on a half-closed stream",
            &[settings(&[(INITIAL_WINDOW_SIZE, 0)]), get(1), window_update(1, 1)],
            Data(1),
        ),
        after(
            "generic/2/3",
            "PRIORITY on a half-closed stream",
            &[settings(&[(INITIAL_WINDOW_SIZE, 0)]), get(1), priority(1, 0, false, 255), window_update(1, 1)],
            Data(1),
        ),
        after("generic/2/4", "RST_STREAM on a half-closed stream", &[get(1), rst_stream(1, CANCEL), ping()], Pong),
        case(
            "generic/2/5",
            "PRIORITY on a closed stream",
            [
                Step::Send(get(1)),
                Step::See(End(1)),
                Step::Send([priority(1, 0, false, 255), ping()].concat()),
                Step::See(Pong),
            ],
        ),
    ]
}

fn kinds() -> Vec<Case> {
    let padded = |kind, flags, payload: &[u8]| frame(kind, flags | PADDED, 1, &[&[4], payload, &[0; 4]].concat());
    let weighed = |stream| headers(stream, WHOLE | WEIGHED, &[priority_of(0, true, 255), request("GET")].concat());
    vec![
        after("generic/3.1/1", "a DATA frame", &[post(1), data(1, END_STREAM, b"test")], Answer(1)),
        after(
            "generic/3.1/2",
            "several DATA frames",
            &[post(1), data(1, 0, b"test"), data(1, 0, b"test"), data(1, END_STREAM, b"test")],
            Answer(1),
        ),
        after("generic/3.1/3", "a DATA frame with padding", &[post(1), padded(DATA, END_STREAM, b"test")], Answer(1)),
        after("generic/3.2/1", "a HEADERS frame", &[get(1)], Answer(1)),
        after("generic/3.2/2", "a HEADERS frame with padding", &[padded(HEADERS, WHOLE, &request("GET"))], Answer(1)),
        after("generic/3.2/3", "a HEADERS frame with a priority", &[weighed(1)], Answer(1)),
        after("generic/3.3/1", "PRIORITY of the least weight", &[priority(1, 0, false, 0), get(1)], Answer(1)),
        after("generic/3.3/2", "PRIORITY of the most weight", &[priority(1, 0, false, 255), get(1)], Answer(1)),
        after("generic/3.3/3", "PRIORITY that depends on a stream", &[priority(3, 1, false, 0), get(1)], Answer(1)),
        after("generic/3.3/4", "PRIORITY that is exclusive", &[priority(1, 0, true, 0), get(1)], Answer(1)),
        after(
            "generic/3.3/5",
            "PRIORITY of a later stream uses up no earlier one",
            &[priority(3, 0, false, 255), get(1)],
            Answer(1),
        ),
        after("generic/3.4/1", "RST_STREAM", &[post(1), rst_stream(1, CANCEL), ping()], Pong),
        after("generic/3.5/1", "SETTINGS", &[settings(&[(ENABLE_PUSH, 0)])], SettingsAck),
        after("generic/3.7/1", "PING", &[ping()], Pong),
        after("generic/3.8/1", "GOAWAY", &[go_away(NO_ERROR)], Closed),
        after("generic/3.9/1", "WINDOW_UPDATE of the connection", &[window_update(0, 1), get(1)], Answer(1)),
        after(
            "generic/3.9/2",
            "WINDOW_UPDATE of a stream",
            &[settings(&[(INITIAL_WINDOW_SIZE, 0)]), get(1), window_update(1, 2)],
            Data(2),
        ),
        after(
            "generic/3.10/1",
            "CONTINUATION",
            &[headers(1, END_STREAM, &request("GET")), continuation(1, END_HEADERS, &long_field())],
            Answer(1),
        ),
        after(
            "generic/3.10/2",
            "several CONTINUATION frames",
            &[
                headers(1, END_STREAM, &request("GET")),
                continuation(1, 0, &long_field()),
                continuation(1, END_HEADERS, &long_field()),
            ],
            Answer(1),
        ),
    ]
}

fn messages() -> Vec<Case> {
    vec![
        after("generic/4/1", "GET", &[get(1)], Answer(1)),
        after("generic/4/2", "HEAD", &[headers(1, WHOLE, &request("HEAD"))], Answer(1)),
        after("generic/4/3", "POST", &[post(1), data(1, END_STREAM, b"test")], Answer(1)),
        after(
            "generic/4/4",
            "POST with trailers",
            &[
                headers(1, END_HEADERS, &request_with("POST", &[("trailer", "x-test")])),
                data(1, 0, b"test"),
                headers(1, WHOLE, &field("x-test", "ok")),
            ],
            Answer(1),
        ),
    ]
}

/// `user-agent` is entry 58 of the static table: it does not fit into a prefix of 4 bits.
const AGENT_OF_4: [u8; 2] = [15, 58 - 15];
const PLAIN: &[u8] = b"\x06h2spec";
/// The same in Huffman's code (RFC 7541, appendix B), and the name `x-test`.
const HUFFMAN: &[u8] = b"\x84\x9c\x48\xac\xa4";
const NAME: &[u8] = b"\x06x-test";
const HUFFMAN_NAME: &[u8] = b"\x85\xf2\xb2\x4a\x84\xff";

fn header_fields() -> Vec<Case> {
    let with = |first: u8, name: &[u8], value: &[u8]| {
        let field = [&[first], name, value].concat();
        [headers(1, WHOLE, &[request("GET"), field].concat())]
    };
    let indexed = |first: u8, value| with(first | AGENT_OF_4[0], &AGENT_OF_4[1..], value);
    let resized = |updates: &[u8]| [headers(1, WHOLE, &[updates, &request("GET")].concat())];
    vec![
        after("generic/5/1", "a field of the table", &with(0x80 | 58, &[], &[]), Answer(1)),
        after("generic/5/2", "to be indexed, its name in the table", &with(0x40 | 58, &[], PLAIN), Answer(1)),
        after("generic/5/3", "the same in Huffman's code", &with(0x40 | 58, &[], HUFFMAN), Answer(1)),
        after("generic/5/4", "to be indexed, with a new name", &with(0x40, NAME, PLAIN), Answer(1)),
        after("generic/5/5", "the same in Huffman's code", &with(0x40, HUFFMAN_NAME, HUFFMAN), Answer(1)),
        after("generic/5/6", "not to be indexed, its name in the table", &indexed(0, PLAIN), Answer(1)),
        after("generic/5/7", "the same in Huffman's code", &indexed(0, HUFFMAN), Answer(1)),
        after("generic/5/8", "not to be indexed, with a new name", &with(0, NAME, PLAIN), Answer(1)),
        after("generic/5/9", "the same in Huffman's code", &with(0, HUFFMAN_NAME, HUFFMAN), Answer(1)),
        after("generic/5/10", "never to be indexed, its name in the table", &indexed(0x10, PLAIN), Answer(1)),
        after("generic/5/11", "the same in Huffman's code", &indexed(0x10, HUFFMAN), Answer(1)),
        after("generic/5/12", "never to be indexed, with a new name", &with(0x10, NAME, PLAIN), Answer(1)),
        after("generic/5/13", "the same in Huffman's code", &with(0x10, HUFFMAN_NAME, HUFFMAN), Answer(1)),
        after("generic/5/14", "a new size of the table", &resized(b"\x20"), Answer(1)),
        after("generic/5/15", "two new sizes, 0 and 4,096", &resized(b"\x20\x3f\xe1\x1f"), Answer(1)),
    ]
}
