//! How much a request may be. What is beyond is refused before it costs memory or stack.

use crate::AwsError;
use flate2::read::GzDecoder;
use std::borrow::Cow;
use std::io::Read as _;

/// The most that is read of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the body.
    pub body: usize,
    /// Bytes of the path with its query string.
    pub uri: usize,
    /// Bytes of all headers.
    pub headers: usize,
    /// Levels of structures, lists and maps.
    pub depth: usize,
    /// Form parameters, or values in a document. The largest that AWS takes is a PutMetricData of 1,000 metrics with 30
    /// dimensions each.
    pub parameters: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { body: 16 << 20, uri: 64 << 10, headers: 64 << 10, depth: 32, parameters: 100_000 }
    }
}

/// The body is no document of its protocol, or exceeds a bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not of the protocol's syntax.
    #[error("the body is not well-formed: {0}")]
    Syntax(String),
    /// Deeper than allowed.
    #[error("the body is nested deeper than {0} levels")]
    TooDeep(usize),
    /// More values than allowed.
    #[error("the request has more than {0} parameters")]
    TooMany(usize),
    /// Longer than allowed.
    #[error("the {what} is longer than {most} bytes")]
    TooLong {
        /// What is: body, headers, path.
        what: &'static str,
        /// The most.
        most: usize,
    },
}

impl Unreadable {
    /// The error that the caller gets, with the code that the protocol has for it.
    pub fn render(&self, malformed: &'static str) -> AwsError {
        match self {
            Unreadable::TooLong { .. } => AwsError::client("RequestEntityTooLarge", self.to_string()).status(413),
            _ => AwsError::client(malformed, self.to_string()),
        }
    }
}

/// The body as it was before the client compressed it; SDKs do so with large metrics.
pub(crate) fn plain<'a>(body: &'a [u8], encoding: Option<&str>, bounds: &Bounds) -> Result<Cow<'a, [u8]>, Unreadable> {
    match encoding {
        Some(name) if name.eq_ignore_ascii_case("gzip") => {}
        _ => return Ok(Cow::Borrowed(body)),
    }
    let mut out = Vec::new();
    // One byte more than may be tells a bomb from a body that just fits.
    let most = u64::try_from(bounds.body).unwrap_or(u64::MAX).saturating_add(1);
    let read = GzDecoder::new(body).take(most).read_to_end(&mut out);
    read.map_err(|error| Unreadable::Syntax(error.to_string()))?;
    if out.len() > bounds.body {
        return Err(Unreadable::TooLong { what: "body", most: bounds.body });
    }
    Ok(Cow::Owned(out))
}

/// Counts values and levels while a document is read.
#[derive(Debug)]
pub(crate) struct Meter {
    left: usize,
    bounds: Bounds,
}

impl Meter {
    pub fn new(bounds: &Bounds) -> Meter {
        Meter { left: bounds.parameters, bounds: *bounds }
    }

    /// One more value, at that depth.
    pub fn count(&mut self, depth: usize) -> Result<(), Unreadable> {
        if depth > self.bounds.depth {
            return Err(Unreadable::TooDeep(self.bounds.depth));
        }
        self.left = self.left.checked_sub(1).ok_or(Unreadable::TooMany(self.bounds.parameters))?;
        Ok(())
    }
}
