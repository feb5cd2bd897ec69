//! What a client may do wrong in HTTP/2, and what it must be allowed: the list of cases of the
//! conformance tester h2spec, written anew, since no package has its program. Each case keeps
//! h2spec's number (`http2/6.9.1/2`), whose sections are RFC 7540's and, for `hpack`, RFC 7541's;
//! RFC 9113 has moved 3.5 to 3.4, 8.1.2 to 8.2, 8.1.2.1 and 8.1.2.3 to 8.3, 8.1.2.6 to 8.1.1, and 8.2
//! to 8.4.
//!
//! We ask for more than h2spec where it takes a mere close of the connection for an error: the code
//! must have been said.

use zonal_balancer::config::{AlpnPolicy, HealthState};

use crate::support::*;
use crate::tls::{certificate, listener_tls};

mod floods;
mod frames;
mod generic;
mod hpack;
mod messages;
mod states;
pub mod wire;

use wire::*;

pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const STREAM_CLOSED: u32 = 5;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const COMPRESSION_ERROR: u32 = 9;
/// For what HPACK cannot decode the h2 crate says PROTOCOL_ERROR instead, and ends the connection all the
/// same (h2spec takes the end for enough). To say otherwise, each header block would have to be decoded
/// twice.
pub const UNDECODABLE: &[u32] = &[COMPRESSION_ERROR, PROTOCOL_ERROR];
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// What a client does and sees, in order.
pub struct Case {
    /// h2spec's number.
    pub id: &'static str,
    pub what: &'static str,
    pub steps: Vec<Step>,
}

pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Reads until it has seen this.
    See(Sight),
}

/// What may be seen. What is not asked for is passed over, but whoever waits for good news takes
/// none that is bad.
#[derive(Debug)]
pub enum Sight {
    /// The balancer's own preface, before anything else.
    Preface,
    /// Status 200, on this stream.
    Answer(u32),
    /// The end of an answer.
    End(u32),
    /// A DATA frame of just this length.
    Data(usize),
    SettingsAck,
    Pong,
    /// RST_STREAM or, which is harsher, GOAWAY, with one of these codes.
    StreamError(&'static [u32]),
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with one of these codes, then the end of the connection.
    ConnectionError(&'static [u32]),
    /// The end of the connection.
    Closed,
}

pub fn case<const N: usize>(id: &'static str, what: &'static str, steps: [Step; N]) -> Case {
    Case { id, what, steps: steps.into() }
}

/// A case of one sight after some bytes.
pub fn after(id: &'static str, what: &'static str, bytes: &[Vec<u8>], sight: Sight) -> Case {
    case(id, what, [Step::Send(bytes.concat()), Step::See(sight)])
}

/// A balancer that speaks HTTP/2, with a target that answers anything with a few bytes.
pub fn world() -> (World, Server) {
    let target = Server::start("one", |request, stream| {
        let body = if request.line().starts_with("HEAD ") { "" } else { "conformance" };
        std::io::Write::write_all(stream, format!("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{body}").as_bytes())?;
        Ok(true)
    });
    let world = World::unsettled(&[&target], |config| {
        let mut tls = listener_tls(certificate("c", &["www.example.com"]), Vec::new());
        tls.alpn = AlpnPolicy::Http2Preferred;
        config.listeners[0].tls = Some(tls);
    });
    world.wait_health(&target.id, HealthState::Healthy);
    (world, target)
}

/// Reads until what is waited for; else why it will not come.
pub fn see(peer: &mut Peer, sight: &Sight) -> Result<(), String> {
    let mut said = None;
    loop {
        let frame = peer.read().map_err(|error| format!("waiting for {sight:?}: {error}"))?;
        let Some(frame) = frame else {
            return match (sight, said) {
                (Sight::Closed, _) | (Sight::ConnectionError(_), Some(())) => Ok(()),
                _ => Err(format!("closed instead of {sight:?}")),
            };
        };
        let code = frame.code();
        let is_ack = frame.flags & ACK != 0;
        let seen = match sight {
            Sight::Preface if frame.kind == SETTINGS && !is_ack => true,
            Sight::Preface => return Err(format!("{frame:?} before a preface")),
            Sight::Answer(stream) => {
                // :status 200 is entry 8 of the static table.
                frame.kind == HEADERS && frame.stream == *stream && frame.payload.first() == Some(&0x88)
            }
            Sight::End(stream) => frame.stream == *stream && frame.ends_stream(),
            Sight::Data(length) if frame.kind == DATA && frame.payload.len() != *length => {
                return Err(format!("{frame:?} instead of {length} bytes"));
            }
            Sight::Data(_) => frame.kind == DATA,
            Sight::SettingsAck => frame.kind == SETTINGS && is_ack,
            Sight::Pong => frame.kind == PING && is_ack && frame.payload == b"pingpong",
            Sight::StreamError(codes) => code.is_some_and(|code| codes.contains(&code)),
            Sight::Reset(wanted) => frame.kind == RST_STREAM && code == Some(*wanted),
            Sight::ConnectionError(codes) => {
                if frame.kind == GOAWAY && code.is_some_and(|code| codes.contains(&code)) {
                    said = Some(());
                }
                false
            }
            Sight::Closed => false,
        };
        if seen {
            return Ok(());
        }
        let bad = match sight {
            Sight::Closed => false,
            Sight::ConnectionError(_) => frame.kind == GOAWAY && said.is_none() && code != Some(NO_ERROR),
            _ => code.is_some(),
        };
        if bad {
            return Err(format!("{frame:?} instead of {sight:?}"));
        }
    }
}

fn run(case: Case, world: &World) -> Result<(), String> {
    // Who tests how a connection begins begins it.
    let begins =
        matches!(&case.steps[0], Step::Send(bytes) if bytes.starts_with(PREFACE) || bytes.starts_with(b"INVALID"));
    let mut peer = if begins { Peer::bare(world) } else { Peer::greeted(world) };
    for step in case.steps {
        match step {
            Step::Send(bytes) => peer.send(&bytes),
            Step::See(sight) => {
                see(&mut peer, &sight).map_err(|error| format!("{} ({}): {error}", case.id, case.what))?;
            }
        }
    }
    Ok(())
}

/// Runs all of them, each on a connection of its own.
fn check(cases: Vec<Case>) {
    let (world, _target) = world();
    let failed: Vec<_> = cases.into_iter().filter_map(|case| run(case, &world).err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn generic_what_every_server_takes() {
    check(generic::cases());
}

#[test]
fn http2_3_to_5_frames_and_the_states_of_streams() {
    check(states::cases());
}

#[test]
fn http2_6_each_kind_of_frame() {
    check(frames::cases());
}

#[test]
fn http2_7_and_8_error_codes_and_messages() {
    check(messages::cases());
}

#[test]
fn hpack_what_cannot_be_decoded() {
    check(hpack::cases());
}

#[test]
fn the_list_is_as_long_as_h2specs_and_names_nothing_twice() {
    let counts = [
        ("generic/", generic::cases(), 44),
        ("http2/", states::cases(), 33),
        ("http2/", frames::cases(), 42),
        ("http2/", messages::cases(), 20),
        ("hpack/", hpack::cases(), 8),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for (group, cases, count) in counts {
        assert_eq!(cases.len(), count, "{group}");
        for case in cases {
            assert!(case.id.starts_with(group), "{}", case.id);
            assert!(ids.insert(case.id), "{} twice", case.id);
        }
    }
    assert_eq!(ids.len(), 147);
}
