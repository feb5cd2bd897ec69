//! A request to a response.
//!
//! Statuses are those of the User Guide ("Use the Instance Metadata Service to access instance metadata"): 400 for a token
//! request that is not valid, 401 for a token that is not valid or missing where one is required, 403 for a service that
//! is turned off and for token requests that came through a proxy, 404 for what is not there.

use std::time::Duration;

use crate::config::InstanceMetadata;
use crate::token::{Secret, TTL_SECONDS};
use crate::tree::{self, Entry};

const TOKEN_TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "X-aws-ec2-metadata-token";
const FORWARDED_FOR: &str = "X-Forwarded-For";

/// A request's head.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// The target, as sent.
    pub target: &'a str,
    /// The headers, as sent.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl Request<'_> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    fn text_header(&self, name: &str) -> Option<Option<&str>> {
        self.header(name).map(|value| std::str::from_utf8(value).ok().map(str::trim))
    }
}

/// The statuses that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200.
    Ok,
    /// 400.
    BadRequest,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 405.
    NotAllowed,
}

impl Status {
    /// The number and the words of the status line.
    pub fn line(self) -> (u16, &'static str) {
        match self {
            Status::Ok => (200, "OK"),
            Status::BadRequest => (400, "Bad Request"),
            Status::Unauthorized => (401, "Unauthorized"),
            Status::Forbidden => (403, "Forbidden"),
            Status::NotFound => (404, "Not Found"),
            Status::NotAllowed => (405, "Not Allowed"),
        }
    }
}

/// A response, before it is framed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: Status,
    /// The body's type.
    pub content_type: &'static str,
    /// Headers beside those of every response.
    pub headers: Vec<(&'static str, String)>,
    /// The body, which belongs to the length even where the request was a HEAD.
    pub body: Vec<u8>,
    /// How many hops it may travel, where that is limited.
    pub hop_limit: Option<u8>,
}

/// Answers a request about an instance. `now` is a time since the instant that tokens are counted from.
pub fn respond(document: &InstanceMetadata, secret: &Secret, now: Duration, request: &Request<'_>) -> Response {
    if !document.enabled {
        return Response::error(Status::Forbidden);
    }
    let path = request.target.split(['?', '#']).next().unwrap_or_default();
    if is_token_path(path) {
        return token(document, secret, now, request);
    }
    if !matches!(request.method, "GET" | "HEAD") {
        return Response::not_allowed("GET, HEAD");
    }
    let left = match request.text_header(TOKEN) {
        None if document.token_required => return Response::error(Status::Unauthorized),
        None => None,
        Some(token) => match token.and_then(|token| secret.check(&document.instance_id, now, token)) {
            None => return Response::error(Status::Unauthorized),
            left => left,
        },
    };
    let mut response = match tree::find(document, path) {
        Entry::Text(text) => Response::ok("text/plain", text.into_bytes()),
        Entry::Octets(octets) => Response::ok("application/octet-stream", octets),
        Entry::Absent => Response::error(Status::NotFound),
    };
    if let Some(left) = left {
        response.headers.push((TOKEN_TTL, left.as_secs().to_string()));
    }
    response
}

/// `/latest/api/token`, under any version, as every other path.
fn is_token_path(path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.next().is_some_and(|version| tree::VERSIONS.contains(&version)) && segments.eq(["api", "token"])
}

fn token(document: &InstanceMetadata, secret: &Secret, now: Duration, request: &Request<'_>) -> Response {
    if request.method != "PUT" {
        return Response::not_allowed("OPTIONS, PUT");
    }
    if request.header(FORWARDED_FOR).is_some() {
        return Response::error(Status::Forbidden);
    }
    let ttl = request.text_header(TOKEN_TTL).flatten().and_then(|text| text.parse().ok());
    let Some(ttl) = ttl.filter(|ttl| TTL_SECONDS.contains(ttl)) else {
        return Response::error(Status::BadRequest);
    };
    let mut response = Response::ok("text/plain", secret.issue(&document.instance_id, now, ttl).into_bytes());
    response.headers.push((TOKEN_TTL, ttl.to_string()));
    response.hop_limit = Some(document.hop_limit.max(1));
    response
}

impl Response {
    /// What becomes of a request that can't be read.
    pub fn bad_request() -> Response {
        Response::error(Status::BadRequest)
    }

    fn ok(content_type: &'static str, body: Vec<u8>) -> Response {
        Response { status: Status::Ok, content_type, headers: Vec::new(), body, hop_limit: None }
    }

    fn not_allowed(allowed: &str) -> Response {
        let headers = vec![("Allow", allowed.to_owned())];
        Response { status: Status::NotAllowed, headers, ..Response::ok("text/plain", Vec::new()) }
    }

    fn error(status: Status) -> Response {
        let (number, words) = status.line();
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n\
             <!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"\n\
             \t\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n\
             <html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n \
             <head>\n  <title>{number} - {words}</title>\n </head>\n \
             <body>\n  <h1>{number} - {words}</h1>\n </body>\n</html>\n"
        );
        Response { status, ..Response::ok("text/html", body.into_bytes()) }
    }

    /// The whole response as it goes over the wire; a HEAD gets no body.
    pub fn to_bytes(&self, method: &str) -> Vec<u8> {
        let (number, words) = self.status.line();
        let mut bytes = format!("HTTP/1.1 {number} {words}\r\nContent-Type: {}\r\n", self.content_type).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let end = format!(
            "Accept-Ranges: none\r\nContent-Length: {}\r\nServer: EC2ws\r\nConnection: close\r\n\r\n",
            self.body.len()
        );
        bytes.extend_from_slice(end.as_bytes());
        if method != "HEAD" {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}
