//! The way in and out, without sockets: which operation a request asks for and in which protocol, its input, and the
//! bytes of the answer.

use crate::bounds::{Bounds, Unreadable};
use crate::facts::{Api, OperationFacts, Protocol};
use crate::form::Tree;
use crate::identify::Hints;
use crate::sigv4::Scope;
use crate::{AwsError, Structure, decode as decoding, encode as encoding};

/// A request without its body.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// The method.
    pub method: http::Method,
    /// Path and query string, perhaps an authority.
    pub uri: http::Uri,
    /// The headers.
    pub headers: http::HeaderMap,
}

impl From<http::request::Parts> for RequestHead {
    fn from(parts: http::request::Parts) -> Self {
        RequestHead { method: parts.method, uri: parts.uri, headers: parts.headers }
    }
}

impl RequestHead {
    /// A header's first value, if it is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// The path, still encoded.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The query string, still encoded; empty if there is none.
    pub fn query(&self) -> &str {
        self.uri.query().unwrap_or("")
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a request asks for.
#[derive(Debug)]
pub struct Identified {
    /// The service.
    pub api: &'static Api,
    /// The operation.
    pub operation: &'static OperationFacts,
    /// The protocol, in which the answer goes too.
    pub protocol: Protocol,
    /// Who claims to have signed it, for which region.
    pub scope: Option<Scope>,
    /// What decoding may cost.
    pub bounds: Bounds,
    pub(crate) parsed: Parsed,
}

/// What identifying had to read anyway.
#[derive(Debug)]
pub(crate) enum Parsed {
    Nothing,
    Form(Tree),
    Labels(Vec<(String, String)>),
}

impl Identified {
    /// As if a request had asked for that operation; for answers to requests that came another way.
    pub fn of(api: &'static Api, operation: &'static OperationFacts, protocol: Protocol) -> Identified {
        Identified { api, operation, protocol, scope: None, bounds: Bounds::default(), parsed: Parsed::Nothing }
    }
}

/// A request that is refused before its operation is known.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// Why.
    pub error: AwsError,
    /// The service, if that is known.
    pub api: Option<&'static Api>,
    /// The protocol that it seems to speak.
    pub protocol: Protocol,
}

impl Rejection {
    /// The answer.
    pub fn respond(&self, request_id: &str) -> Response {
        encoding::error(self.api, None, self.protocol, &self.error, request_id)
    }
}

/// Finds service, protocol and operation, within the usual bounds.
///
/// # Errors
/// A request that is too large, is no request of its protocol, or asks for what no service here has; with AWS's code.
pub fn identify(head: &RequestHead, body: &[u8], apis: &[&'static Api]) -> Result<Identified, Rejection> {
    identify_within(head, body, apis, &Bounds::default())
}

/// The same within other bounds.
///
/// # Errors
/// As [`identify`].
pub fn identify_within(
    head: &RequestHead,
    body: &[u8],
    apis: &[&'static Api],
    bounds: &Bounds,
) -> Result<Identified, Rejection> {
    let hints = Hints::of(head);
    if let Err(unreadable) = check_sizes(head, body, bounds) {
        return Err(Rejection { error: unreadable.render("MalformedInput"), api: None, protocol: hints.protocol() });
    }
    hints.identify(body, apis, bounds)
}

fn check_sizes(head: &RequestHead, body: &[u8], bounds: &Bounds) -> Result<(), Unreadable> {
    let headers: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let uri = head.path().len() + head.query().len();
    for (what, size, most) in
        [("body", body.len(), bounds.body), ("path", uri, bounds.uri), ("header section", headers, bounds.headers)]
    {
        if size > most {
            return Err(Unreadable::TooLong { what, most });
        }
    }
    Ok(())
}

/// The answer to an operation that the wire knows, and nobody here implements.
#[must_use]
pub fn not_implemented(identified: &Identified) -> AwsError {
    crate::identify::unknown(identified.protocol, Some(identified.api), identified.operation.name, "")
}

/// The input, complete: with all that is required and nothing out of its limits.
///
/// # Errors
/// What the service answers to an input that is not so.
pub fn decode(identified: &Identified, head: &RequestHead, body: &[u8]) -> Result<Box<dyn Structure>, AwsError> {
    decoding::input(identified, head, body)
}

/// The answer of success.
pub fn encode_output(identified: &Identified, output: &dyn Structure, request_id: &str) -> Response {
    encoding::output(identified, output, request_id)
}

/// The answer of failure; without a known operation, as the query protocol writes it.
pub fn encode_error(identified: Option<&Identified>, error: &AwsError, request_id: &str) -> Response {
    match identified {
        Some(known) => encoding::error(Some(known.api), Some(known.operation), known.protocol, error, request_id),
        None => encoding::error(None, None, Protocol::Query, error, request_id),
    }
}
