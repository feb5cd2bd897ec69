//! Bodies: where they end, and their bytes framed anew.
//!
//! Chunks are always written by us, never passed on as they came, so that extensions and odd sizes
//! end here. Trailers do too, unless both sides speak HTTP/2.

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes; 0 for no body.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
    /// A response's, until the connection closes.
    UntilClose,
}

/// A body that breaks its own framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a body that breaks its framing")]
pub struct BrokenBody;

/// Bytes of a chunk's size line or of all trailers, at most.
const MAX_LINE: u32 = 4096;

/// A body on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    state: State,
    /// Trailer lines as they came, where they are wanted.
    trailers: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are still to come.
    Length(u64),
    UntilClose,
    /// In a size line: the size so far and the characters seen.
    Size {
        size: u64,
        digits: u32,
    },
    /// After the size: an extension, to be skipped.
    Extension {
        size: u64,
        seen: u32,
    },
    /// The size line's LF must follow.
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    /// The chunk's CR, then its LF must follow.
    DataCr,
    DataLf,
    /// At the start of a trailer line; the characters of all trailers so far.
    TrailerStart {
        seen: u32,
    },
    Trailer {
        seen: u32,
    },
    TrailerLf {
        seen: u32,
    },
    /// The last LF must follow.
    LastLf,
    Done,
}

impl Body {
    /// A body that has not begun.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { size: 0, digits: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, trailers: None }
    }

    /// As [`Body::new`], keeping what comes as trailers.
    pub fn with_trailers(framing: Framing) -> Self {
        Self { trailers: Some(Vec::new()), ..Self::new(framing) }
    }

    /// The trailers, a line each; nothing unless they are kept.
    pub fn trailers(&self) -> &[u8] {
        self.trailers.as_deref().unwrap_or_default()
    }

    /// Whether all of it has been read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the end of the connection is the end of the body.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilClose | State::Done)
    }

    /// The bytes at the start of `input` that are plain data, if the body's bytes need no decoding.
    pub fn plain(&mut self, input: usize) -> Option<usize> {
        match &mut self.state {
            State::Length(left) => {
                let take = usize::try_from(*left).map_or(input, |left| left.min(input));
                *left -= take as u64;
                if *left == 0 {
                    self.state = State::Done;
                }
                Some(take)
            }
            State::UntilClose => Some(input),
            _ => None,
        }
    }

    /// Finds the next run of data in `input` from `*at` on; moves `*at` behind it. An empty run
    /// means that `input` is used up or the body done.
    pub fn next<'b>(&mut self, input: &'b [u8], at: &mut usize) -> Result<&'b [u8], BrokenBody> {
        while *at < input.len() && self.state != State::Done {
            let rest = &input[*at..];
            if let Some(take) = self.plain(rest.len()) {
                *at += take;
                return Ok(&rest[..take]);
            }
            if let State::Data { left } = &mut self.state {
                let take = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                *left -= take as u64;
                if *left == 0 {
                    self.state = State::DataCr;
                }
                *at += take;
                return Ok(&rest[..take]);
            }
            let next = self.step(rest[0])?;
            if let Some(trailers) = &mut self.trailers
                && (matches!(next, State::Trailer { .. } | State::TrailerLf { .. })
                    || matches!(self.state, State::TrailerLf { .. }))
            {
                trailers.push(rest[0]);
            }
            self.state = next;
            *at += 1;
        }
        Ok(&[])
    }

    /// One byte of chunked framing.
    fn step(&self, byte: u8) -> Result<State, BrokenBody> {
        Ok(match (&self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                // 15 digits always fit.
                if *digits == 15 {
                    return Err(BrokenBody);
                }
                let digit = char::from(byte).to_digit(16).ok_or(BrokenBody)?;
                State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(BrokenBody),
            (State::Size { size, .. }, b'\r') => State::SizeEnd { size: *size },
            (State::Size { size, .. }, b';') => State::Extension { size: *size, seen: 0 },
            (State::Extension { size, .. }, b'\r') => State::SizeEnd { size: *size },
            (State::Extension { size, seen }, _) if printable(byte) && *seen < MAX_LINE => {
                State::Extension { size: *size, seen: seen + 1 }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::TrailerStart { seen: 0 },
            (State::SizeEnd { size }, b'\n') => State::Data { left: *size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::TrailerStart { .. }, b'\r') => State::LastLf,
            // A trailer's name; what it is does not matter, since none is passed on.
            (State::TrailerStart { seen }, _) if byte.is_ascii_graphic() && byte != b':' && *seen < MAX_LINE => {
                State::Trailer { seen: seen + 1 }
            }
            (State::Trailer { seen }, b'\r') => State::TrailerLf { seen: *seen },
            (State::Trailer { seen }, _) if printable(byte) && *seen < MAX_LINE => State::Trailer { seen: seen + 1 },
            (State::TrailerLf { seen }, b'\n') => State::TrailerStart { seen: *seen },
            (State::LastLf, b'\n') => State::Done,
            _ => return Err(BrokenBody),
        })
    }
}

fn printable(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Writes `data` as one chunk; nothing for no data, which would end the body.
pub fn write_chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    let digits = (u64::BITS - (data.len() as u64).leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[data.len() >> (4 * place) & 0xf]);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// The end of a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The end of a chunked body that has these trailer lines.
pub fn write_end(trailers: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailers);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn trailers_are_kept_where_they_are_wanted() {
        let input = b"3\r\nabc\r\n0\r\ngrpc-status: 0\r\nx: y\r\n\r\n";
        let (mut body, mut at) = (Body::with_trailers(Framing::Chunked), 0);
        assert_eq!(body.next(input, &mut at), Ok(&b"abc"[..]));
        assert_eq!(body.next(input, &mut at), Ok(&b""[..]));
        assert!(body.is_done());
        assert_eq!(body.trailers(), b"grpc-status: 0\r\nx: y\r\n");
    }

    fn decode(input: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, bool, usize), BrokenBody> {
        let mut body = Body::new(Framing::Chunked);
        let (mut data, mut from, mut used) = (Vec::new(), 0, 0);
        for end in cuts.iter().copied().chain([input.len()]) {
            let end = end.clamp(from, input.len());
            let mut at = 0;
            loop {
                let run = body.next(&input[from..end], &mut at)?;
                if run.is_empty() {
                    break;
                }
                data.extend_from_slice(run);
            }
            used += at;
            from = end;
        }
        Ok((data, body.is_done(), used))
    }

    #[test]
    fn extensions_and_trailers_are_read_and_dropped() {
        let input = b"3;a=\"b\"\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\nGET";
        assert_eq!(decode(input, &[]), Ok((b"abc".to_vec(), true, input.len() - 3)));
    }

    #[test]
    fn chunk_framing_that_readers_could_take_differently_is_refused() {
        for input in [
            &b"3\nabc\r\n0\r\n\r\n"[..],
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"3\r\nabc\n0\r\n\r\n",
            b"0x3\r\nabc\r\n",
            b"+3\r\nabc\r\n",
            b" 3\r\nabc\r\n",
            b"3 \r\nabc\r\n",
            b"-1\r\n",
            b"\r\n",
            b";\r\n",
            b"10000000000000000\r\n",
            b"3;a\nb\r\nabc\r\n",
            b"3\r\r\nabc\r\n",
            b"0\r\n\n",
            b"0\r\n: x\r\n\r\n",
            b"0\r\n fold\r\n\r\n",
            b"3;\0\r\nabc\r\n",
        ] {
            assert_eq!(decode(input, &[]), Err(BrokenBody), "{}", input.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn what_is_chunked_reads_back_however_it_is_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            mut cuts in prop::collection::vec(0usize..2000, 0..8),
        ) {
            let mut wire = Vec::new();
            chunks.iter().for_each(|chunk| write_chunk(chunk, &mut wire));
            wire.extend_from_slice(LAST_CHUNK);
            let body = wire.len();
            wire.extend_from_slice(b"next");
            cuts.sort_unstable();
            prop_assert_eq!(decode(&wire, &cuts), Ok((chunks.concat(), true, body)));
        }

        #[test]
        fn no_input_makes_the_decoder_panic_or_read_past_the_end(
            input in prop::collection::vec(prop::sample::select(b"0123456789abcdef;\r\n \t:x\0".to_vec()), 0..60),
        ) {
            let whole = decode(&input, &[]);
            let bytewise = decode(&input, &(0..input.len()).collect::<Vec<_>>());
            prop_assert_eq!(whole, bytewise);
        }
    }
}
