//! What a client's HTTP/2 frames may be, and how many of those that ask for nothing.
//!
//! The frames themselves are read by the h2 crate. This looks at their heads before it, for what the
//! crate answers with another error code than RFC 9113's, and for floods: frames that cost us more
//! than their sender (CVE-2019-9512 to -9518, CVE-2023-44487). The crate bounds what they can make us
//! remember; here is how many it may make us look at.

use std::time::Duration;

/// What a connection ends with. Each is an error code of RFC 9113, section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `FLOW_CONTROL_ERROR`: a window that cannot be.
    FlowControl,
    /// `STREAM_CLOSED`: more on a stream that the client itself has ended.
    StreamClosed,
    /// `FRAME_SIZE_ERROR`: a frame of a length that its kind does not have.
    FrameSize,
    /// `ENHANCE_YOUR_CALM`: a flood.
    Flood,
}

/// Whoever resets more streams than this, and more per second, is hung up on (rapid reset). The
/// figures are nghttp2's.
const RESETS: Allowance = Allowance { most: 1000, per_second: 33 };
/// The same for frames that carry nothing: SETTINGS, PING, PRIORITY, WINDOW_UPDATE and unknown ones.
/// Requests and bytes allow more of them, since honest clients send them with these.
const ASIDES: Allowance = Allowance { most: 1000, per_second: 33 };
/// Asides that come with a request.
const PER_REQUEST: u64 = 4;
/// Bytes of either side that come with an aside: a client may open a window for each small frame,
/// and ask for the round trip's time as often.
const BYTES_PER_ASIDE: u64 = 64;
/// SETTINGS and unknown frames cost one more for each so many bytes.
const BYTES_PER_COST: u32 = 256;

/// The client's part of how a connection begins.
const PREFACE: u32 = 24;
const HEAD: usize = 9;
/// The last streams whose end is remembered; of older ones nothing is said.
const REMEMBERED: u32 = 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// END_STREAM or ACK, by the kind of frame.
const FIRST_FLAG: u8 = 1;
const INITIAL_WINDOW_SIZE: u16 = 4;
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// A connection's frames from its client, as far as they have come.
#[derive(Debug)]
pub struct Frames {
    part: Part,
    /// The newest stream that the client has opened.
    newest: u32,
    /// Which of the last streams the client has ended, a bit each.
    ended: [u64; REMEMBERED as usize / 64],
    resets: Bucket,
    asides: Bucket,
    /// Bytes that have not made an aside yet.
    bytes: u64,
    /// Bytes of ours that are mere acknowledgements of asides.
    owed: u64,
}

/// Where in the client's bytes we are.
#[derive(Debug)]
enum Part {
    /// In a frame's head.
    Head { bytes: [u8; HEAD], have: usize },
    /// In what is not looked at: so many bytes more.
    Skip(u32),
    /// In settings: so many bytes more, and the setting that is being read.
    Settings { left: u32, bytes: [u8; 6], have: usize },
}

impl Part {
    const HEAD: Self = Self::Head { bytes: [0; HEAD], have: 0 };

    fn skip(length: u32) -> Self {
        if length == 0 { Self::HEAD } else { Self::Skip(length) }
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            part: Part::Skip(PREFACE),
            newest: 0,
            ended: [0; REMEMBERED as usize / 64],
            resets: Bucket::full(RESETS),
            asides: Bucket::full(ASIDES),
            bytes: 0,
            owed: 0,
        }
    }
}

impl Frames {
    /// Looks at what has come. `now` is asked only where it matters; it gives a time since any beginning.
    ///
    /// # Errors
    /// What the connection must end with, and how many of the bytes came before it.
    pub fn receive(&mut self, bytes: &[u8], now: &dyn Fn() -> Duration) -> Result<(), (Fault, usize)> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.part {
                Part::Skip(left) => {
                    let taken = rest.len().min(*left as usize);
                    // `taken` is at most `left`.
                    self.part = Part::skip(*left - taken as u32);
                    at += taken;
                }
                Part::Head { bytes: head, have } => {
                    let taken = fill(head, have, rest);
                    if *have == HEAD {
                        let head = Head::of(*head);
                        self.part = self.begin(&head, now).map_err(|fault| (fault, at))?;
                    }
                    at += taken;
                }
                Part::Settings { left, bytes: setting, have } => {
                    let taken = fill(setting, have, rest);
                    // Settings are whole: their length is a multiple of six.
                    *left -= taken as u32;
                    if *have == setting.len() {
                        *have = 0;
                        let [id @ .., _, _, _, _] = *setting;
                        let [_, _, value @ ..] = *setting;
                        if u16::from_be_bytes(id) == INITIAL_WINDOW_SIZE && u32::from_be_bytes(value) > LARGEST_WINDOW {
                            return Err((Fault::FlowControl, at));
                        }
                    }
                    if *left == 0 {
                        self.part = Part::HEAD;
                    }
                    at += taken;
                }
            }
        }
        Ok(())
    }

    /// So many bytes have gone to the client.
    pub fn send(&mut self, count: usize) {
        let owed = self.owed.min(count as u64);
        self.owed -= owed;
        self.allow(count as u64 - owed);
    }

    fn begin(&mut self, head: &Head, now: &dyn Fn() -> Duration) -> Result<Part, Fault> {
        let Head { kind, length, flags, stream } = *head;
        let fits = match kind {
            PING => length == 8,
            RST_STREAM | WINDOW_UPDATE => length == 4,
            PRIORITY => length == 5,
            SETTINGS if flags & FIRST_FLAG != 0 => length == 0,
            SETTINGS => length % 6 == 0,
            _ => true,
        };
        if !fits {
            return Err(Fault::FrameSize);
        }
        match kind {
            DATA | HEADERS if self.has_ended(stream) => return Err(Fault::StreamClosed),
            DATA => self.allow(u64::from(length)),
            HEADERS if stream > self.newest => {
                self.open(stream);
                self.asides.refund(PER_REQUEST);
            }
            RST_STREAM => self.resets.spend(1, now)?,
            // The crate bounds them by itself.
            HEADERS | CONTINUATION | PUSH_PROMISE | GOAWAY => {}
            PING | SETTINGS => {
                if flags & FIRST_FLAG == 0 {
                    // What we say to it is no sign of work.
                    self.owed += HEAD as u64 + if kind == PING { 8 } else { 0 };
                }
                self.asides.spend(1 + u64::from(length / BYTES_PER_COST), now)?;
            }
            _ => self.asides.spend(1 + u64::from(length / BYTES_PER_COST), now)?,
        }
        if kind == RST_STREAM || (matches!(kind, DATA | HEADERS) && flags & FIRST_FLAG != 0) {
            self.end(stream);
        }
        Ok(match kind {
            SETTINGS if length > 0 => Part::Settings { left: length, bytes: [0; 6], have: 0 },
            _ => Part::skip(length),
        })
    }

    fn allow(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.asides.refund(self.bytes / BYTES_PER_ASIDE);
        self.bytes %= BYTES_PER_ASIDE;
    }

    /// A stream that is newer than all before, if its number is a client's.
    fn open(&mut self, stream: u32) {
        if stream % 2 == 1 {
            let from = (self.newest / 2 + 1).max((stream / 2).saturating_sub(REMEMBERED - 1));
            for at in from..=stream / 2 {
                let (word, bit) = place(at);
                self.ended[word] &= !bit;
            }
            self.newest = stream;
        }
    }

    fn end(&mut self, stream: u32) {
        if self.is_remembered(stream) {
            let (word, bit) = place(stream / 2);
            self.ended[word] |= bit;
        }
    }

    fn has_ended(&self, stream: u32) -> bool {
        let (word, bit) = place(stream / 2);
        self.is_remembered(stream) && self.ended[word] & bit != 0
    }

    fn is_remembered(&self, stream: u32) -> bool {
        stream % 2 == 1 && stream <= self.newest && self.newest / 2 - stream / 2 < REMEMBERED
    }
}

/// Where the bit of the n-th stream is.
fn place(at: u32) -> (usize, u64) {
    let at = at % REMEMBERED;
    ((at / 64) as usize, 1 << (at % 64))
}

fn fill(space: &mut [u8], have: &mut usize, bytes: &[u8]) -> usize {
    let taken = bytes.len().min(space.len() - *have);
    space[*have..*have + taken].copy_from_slice(&bytes[..taken]);
    *have += taken;
    taken
}

/// A frame's head.
#[derive(Clone, Copy, Debug)]
struct Head {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Head {
    fn of([a, b, c, kind, flags, stream @ ..]: [u8; HEAD]) -> Self {
        let length = u32::from_be_bytes([0, a, b, c]);
        Self { length, kind, flags, stream: u32::from_be_bytes(stream) & LARGEST_WINDOW }
    }
}

/// How much of something there may be.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    most: u64,
    per_second: u64,
}

/// What is left of it.
#[derive(Debug)]
struct Bucket {
    allowance: Allowance,
    left: u64,
    /// When it was last filled; `None` if it never was.
    filled: Option<Duration>,
}

impl Bucket {
    fn full(allowance: Allowance) -> Self {
        Self { allowance, left: allowance.most, filled: None }
    }

    fn refund(&mut self, count: u64) {
        self.left = self.left.saturating_add(count).min(self.allowance.most);
    }

    fn spend(&mut self, count: u64, now: &dyn Fn() -> Duration) -> Result<(), Fault> {
        let now = now();
        let since = *self.filled.get_or_insert(now);
        let earned = now.saturating_sub(since).as_secs().saturating_mul(self.allowance.per_second);
        if earned > 0 {
            self.filled = Some(now);
            self.refund(earned);
        }
        self.left = self.left.checked_sub(count).ok_or(Fault::Flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    const START: &dyn Fn() -> Duration = &|| Duration::ZERO;

    fn greeted() -> Frames {
        let mut frames = Frames::default();
        frames.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", START).expect("a preface is no frame");
        frames
    }

    /// Sends one frame `count` times and says how many are taken.
    fn taken(frames: &mut Frames, count: usize, now: &dyn Fn() -> Duration, frame: &[u8]) -> usize {
        (0..count).take_while(|_| frames.receive(frame, now).is_ok()).count()
    }

    #[test]
    fn what_is_said_does_not_depend_on_how_bytes_come() {
        let bytes = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0, 0, 3, 0, 0, 0, 9]),
            frame(HEADERS, 5, 1, b"block"),
            frame(PING, 0, 0, &[0; 8]),
            frame(DATA, 1, 1, b"late"),
            frame(PING, 0, 0, &[0; 8]),
        ]
        .concat();
        let fault = bytes.len() - 17 - 13;
        assert_eq!(Frames::default().receive(&bytes, START), Err((Fault::StreamClosed, fault)));
        let mut frames = Frames::default();
        let by_byte = bytes.iter().position(|byte| frames.receive(&[*byte], START).is_err());
        assert_eq!(by_byte, Some(fault + 8), "the last byte of its head");
    }

    #[test]
    fn frames_have_the_lengths_of_their_kinds() {
        for (kind, flags, length) in [
            (PING, 0, 7),
            (RST_STREAM, 0, 5),
            (WINDOW_UPDATE, 0, 3),
            (PRIORITY, 0, 4),
            (SETTINGS, 0, 5),
            (SETTINGS, 1, 6),
        ] {
            let bytes = frame(kind, flags, 0, &vec![0; length]);
            assert_eq!(greeted().receive(&bytes, START), Err((Fault::FrameSize, 0)), "{kind}");
        }
    }

    #[test]
    fn a_window_beyond_the_largest_is_refused_wherever_it_stands() {
        let bytes = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9, 0, 4, 0x80, 0, 0, 0]);
        assert!(matches!(greeted().receive(&bytes, START), Err((Fault::FlowControl, _))));
    }

    #[test]
    fn only_streams_that_their_client_has_ended_are_closed_to_it() {
        let mut frames = greeted();
        let mut now = |bytes: Vec<u8>| frames.receive(&bytes, START);
        now(frame(HEADERS, 4, 5, b"a")).expect("a new stream");
        now(frame(DATA, 0, 5, b"a")).expect("it is open");
        now(frame(HEADERS, 5, 5, b"a")).expect("its trailers");
        now(frame(HEADERS, 5, 3, b"a")).expect("never opened: the crate's to refuse");
        now(frame(WINDOW_UPDATE, 0, 5, &[0, 0, 0, 1])).expect("the answer still comes");
        assert_eq!(now(frame(DATA, 0, 5, b"a")), Err((Fault::StreamClosed, 0)));
    }

    #[test]
    fn a_stream_is_forgotten_when_its_bit_is_anothers() {
        let mut frames = greeted();
        frames.receive(&frame(HEADERS, 5, 1, b"a"), START).expect("a new stream");
        frames.receive(&frame(HEADERS, 4, 1 + 2 * REMEMBERED, b"a"), START).expect("a new stream");
        frames.receive(&frame(DATA, 0, 1, b"a"), START).expect("nothing is known of it");
        frames.receive(&frame(DATA, 0, 1 + 2 * REMEMBERED, b"a"), START).expect("it is open");
    }

    #[test]
    fn idle_chatter_is_bounded_and_a_second_forgives_some() {
        for bytes in [
            frame(PING, 0, 0, &[0; 8]),
            frame(SETTINGS, 0, 0, &[]),
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
            frame(PRIORITY, 0, 1, &[0; 5]),
            frame(0xf0, 0, 0, &[]),
            frame(RST_STREAM, 0, 1, &[0; 4]),
        ] {
            let mut frames = greeted();
            assert_eq!(taken(&mut frames, 1000, START, &bytes), 1000);
            assert_eq!(taken(&mut frames, 5000, &|| Duration::from_secs(1), &bytes), 33);
        }
    }

    #[test]
    fn a_client_may_ask_for_the_time_of_each_round_trip() {
        let mut frames = greeted();
        let mut stream = 1;
        let exchanges = (0..20_000).all(|_| {
            stream += 2;
            frames.send(60);
            [frame(HEADERS, 5, stream, b"a"), frame(PING, 0, 0, &[0; 8]), frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])]
                .iter()
                .all(|bytes| frames.receive(bytes, START).is_ok())
        });
        assert!(exchanges);
    }

    #[test]
    fn answers_to_pings_allow_no_more_pings() {
        let mut frames = greeted();
        let bytes = frame(PING, 0, 0, &[0; 8]);
        let count = (0..5000)
            .take_while(|_| {
                frames.send(17);
                frames.receive(&bytes, START).is_ok()
            })
            .count();
        assert_eq!(count, 1000);
    }
}
