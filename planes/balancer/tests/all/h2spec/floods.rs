//! Frames that cost their sender next to nothing: each kind has its bound, whoever goes beyond is
//! told to calm down and hung up on, and everybody else is served meanwhile (CVE-2019-9512 to -9518,
//! CVE-2023-44487, CVE-2024-27316 and its like).

use super::Sight::*;
use super::wire::*;
use super::*;

const CALM: Sight = ConnectionError(&[ENHANCE_YOUR_CALM]);
/// More than the bounds of `core::frames` take.
const MANY: usize = 1100;

/// Sends all of it to a balancer that must end the connection, and still answer others.
fn hangs_up_on(bytes: &[u8]) -> Server {
    let (world, target) = world();
    let mut flood = Peer::greeted(&world);
    let mut bystander = Peer::greeted(&world);
    flood.send(bytes);
    see(&mut flood, &CALM).unwrap_or_else(|error| panic!("{error}"));
    bystander.send(&get(1));
    see(&mut bystander, &Answer(1)).unwrap_or_else(|error| panic!("{error}"));
    target
}

#[test]
fn a_client_that_resets_what_it_asks_is_hung_up_on() {
    let bytes = (0..2 * MANY).flat_map(|at| {
        let stream = u32::try_from(2 * at + 1).expect("few streams");
        [get(stream), rst_stream(stream, CANCEL)].concat()
    });
    let target = hangs_up_on(&bytes.collect::<Vec<_>>());
    assert!(target.requests().len() <= MANY, "{} requests reached the target", target.requests().len());
}

#[test]
fn a_client_that_has_us_reset_its_streams_is_hung_up_on() {
    // Without a path each is malformed; the reset is ours (CVE-2025-8671).
    let block = fields(&[(":method", "GET"), (":scheme", "https")]);
    let bytes = (0..MANY).flat_map(|at| headers(u32::try_from(2 * at + 1).expect("few streams"), WHOLE, &block));
    hangs_up_on(&bytes.collect::<Vec<_>>());
}

#[test]
fn settings_pings_and_priorities_without_end_are_a_flood() {
    for frame in [settings(&[(ENABLE_PUSH, 0)]), ping(), priority(1, 0, false, 1), frame(0xee, 0, 0, &[0; 8])] {
        hangs_up_on(&frame.repeat(MANY));
    }
}

#[test]
fn windows_opened_for_nothing_are_a_flood() {
    hangs_up_on(&window_update(0, 1).repeat(MANY));
    hangs_up_on(&[post(1), window_update(1, 1).repeat(MANY)].concat());
}

#[test]
fn data_frames_without_data_are_a_flood() {
    hangs_up_on(&[post(1), data(1, 0, &[]).repeat(20_000)].concat());
}

#[test]
fn data_frames_of_padding_alone_are_a_flood() {
    hangs_up_on(&[post(1), data(1, PADDED, &[0]).repeat(20_000)].concat());
}

#[test]
fn a_header_block_that_never_ends_is_a_flood() {
    for more in [Vec::new(), field("x", "y"), long_field()] {
        hangs_up_on(&[headers(1, 0, &request("GET")), continuation(1, 0, &more).repeat(100)].concat());
    }
}

#[test]
fn a_small_block_that_decodes_to_much_is_a_flood() {
    let mut indexed = long_field();
    indexed[0] = 0x40;
    // Field 62 is the newest of the dynamic table: a byte for four thousand.
    let bomb = [request("GET"), vec![0x80 | 62; 4000]].concat();
    hangs_up_on(&[headers(1, WHOLE, &[request("GET"), indexed].concat()), headers(3, WHOLE, &bomb)].concat());
}

#[test]
fn more_headers_than_the_limit_are_431_and_reach_no_target() {
    let (world, target) = world();
    let mut peer = Peer::greeted(&world);
    let four = long_field().repeat(4);
    let open = [request("GET"), long_field().repeat(3)].concat();
    peer.send(&[headers(1, END_STREAM, &open), continuation(1, 0, &four).repeat(3)].concat());
    peer.send(&continuation(1, END_HEADERS, &four));
    let answer = loop {
        let frame = peer.read().expect("the balancer answers").expect("it stays open");
        if frame.kind == HEADERS {
            break frame;
        }
    };
    // `431` in Huffman's code.
    assert!(find(&answer.payload, b"\x83\x69\x90\xff").is_some(), "{answer:?}");
    assert!(target.requests().is_empty());
}

#[test]
fn a_client_that_reads_what_it_asked_may_say_as_much_as_it_likes() {
    let (world, _target) = world();
    let mut peer = Peer::greeted(&world);
    for at in 0..u32::try_from(MANY).expect("few streams") {
        let stream = 2 * at + 1;
        peer.send(&[get(stream), ping(), window_update(0, 11)].concat());
        see(&mut peer, &End(stream)).unwrap_or_else(|error| panic!("{error}"));
    }
}
