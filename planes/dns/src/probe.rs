//! Health checks from outside: what a request to an endpoint looks like, what its answer says, and when that counts.
//!
//! Source: Route 53 Developer Guide, "How Amazon Route 53 determines whether a health check is healthy": the time for a connection
//! (4 s for HTTP and HTTPS, TLS included, 10 s for TCP), for the status after it (2 s) and for the body after that (2 s); 2xx and 3xx are healthy; the
//! text is looked for in the first 5,120 octets of the body. A check counts as healthy until there is enough to say otherwise.

use std::time::Duration;

use crate::config::{Check, Probe};

/// How much of a body is searched.
const SEARCHED: usize = 5_120;

/// A head that is longer is none.
const LONGEST_HEAD: usize = 16 * 1024;

/// For how long a check waits for the status and for the body, each.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What one connection came to, in the words that a status report has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Success(String),
    /// It did not.
    Failure(String),
}

impl Outcome {
    /// Whether it did what it should.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Success(_))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Success(text) => write!(f, "Success: {text}"),
            Outcome::Failure(text) => write!(f, "Failure: {text}"),
        }
    }
}

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streak {
    healthy: Option<bool>,
    /// Whether the last outcomes were successes, and how many in a row.
    last: (bool, u32),
}

impl Streak {
    /// Takes an outcome in; whether the endpoint counts as healthy after it, or nothing while there are too few to say: then it
    /// counts as it did before.
    pub fn note(&mut self, success: bool, threshold: u32) -> Option<bool> {
        let before = if self.last.0 == success { self.last.1 } else { 0 };
        self.last = (success, before.saturating_add(1));
        if self.last.1 >= threshold {
            self.healthy = Some(success);
        }
        self.healthy
    }
}

/// How long a connection may take.
pub fn connect_timeout(check: &Check) -> Duration {
    match check {
        Check::Tcp => Duration::from_secs(10),
        Check::Http { .. } => Duration::from_secs(4),
    }
}

/// The request that is sent; nothing where a connection is enough.
pub fn request(probe: &Probe) -> Option<Vec<u8>> {
    let Check::Http { path, host, tls, .. } = &probe.check else { return None };
    let host = host.as_deref().unwrap_or(&probe.host);
    let usual = if tls.is_some() { 443 } else { 80 };
    let port = if probe.port == usual { String::new() } else { format!(":{}", probe.port) };
    // What would end a line would begin another header.
    let clean = |text: &str| text.chars().filter(|c| !c.is_control() && *c != ' ').collect::<String>();
    Some(
        format!(
            "GET {} HTTP/1.1\r\nHost: {}{port}\r\nConnection: close\r\nUser-Agent: Amazon-Route53-Health-Check-Service (ref {})\r\n\
             Accept: */*\r\n\r\n",
            clean(path),
            clean(host),
            clean(&probe.id)
        )
        .into_bytes(),
    )
}

/// What has come back so far says; nothing while it says nothing. `ended`: no more will come.
pub fn judge(check: &Check, answer: &[u8], ended: bool) -> Option<Outcome> {
    let Check::Http { search, .. } = check else {
        return Some(Outcome::Success("TCP connection established".to_owned()));
    };
    let Some(status) = status(answer) else {
        let is_none = ended || answer.len() > LONGEST_HEAD || !b"HTTP/1.".starts_with(&answer[..answer.len().min(7)]);
        return is_none.then(|| Outcome::Failure("The endpoint did not answer with HTTP".to_owned()));
    };
    let Ok((code, text)) = status else {
        return Some(Outcome::Failure("The endpoint did not answer with HTTP".to_owned()));
    };
    let text = format!("HTTP Status Code {code}, {text}");
    if !(200..400).contains(&code) {
        return Some(Outcome::Failure(text));
    }
    let Some(search) = search else { return Some(Outcome::Success(text)) };
    let body = answer.windows(4).position(|octets| octets == b"\r\n\r\n").map_or(&[][..], |at| &answer[at + 4..]);
    let searched = &body[..body.len().min(SEARCHED)];
    if search.is_empty() || searched.windows(search.len()).any(|octets| octets == search.as_bytes()) {
        return Some(Outcome::Success(text));
    }
    let is_over = ended || body.len() >= SEARCHED || answer.len() > LONGEST_HEAD + SEARCHED;
    is_over.then(|| Outcome::Failure(format!("{text}, but the string was not found in the body")))
}

/// Whether a status line has come, whatever it says.
pub fn has_status(answer: &[u8]) -> bool {
    answer.contains(&b'\n')
}

/// The status line, once it is whole; an error where it is none.
fn status(answer: &[u8]) -> Option<Result<(u16, String), ()>> {
    let end = answer.iter().position(|octet| *octet == b'\n')?;
    let line = std::str::from_utf8(&answer[..end]).map(str::trim_end).unwrap_or_default();
    let mut parts = line.splitn(3, ' ');
    let version = parts.next().filter(|version| version.starts_with("HTTP/1."));
    let code = parts.next().filter(|code| code.len() == 3).and_then(|code| code.parse().ok());
    Some(match (version, code) {
        (Some(_), Some(code)) => Ok((code, parts.next().unwrap_or_default().to_owned())),
        _ => Err(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(search: Option<&str>) -> Check {
        Check::Http { path: "/".to_owned(), host: None, search: search.map(str::to_owned), tls: None }
    }

    #[test]
    fn as_many_in_a_row_as_the_threshold_change_an_endpoints_health() {
        let mut streak = Streak::default();
        let outcomes = [false, false, true, false, false, false, true, true, false, true, true, true];
        let healthy = outcomes.map(|success| streak.note(success, 3));
        let (none, down, up) = (None, Some(false), Some(true));
        assert_eq!(healthy, [none, none, none, none, none, down, down, down, down, down, down, up]);
    }

    #[test]
    fn an_answer_is_judged_by_its_status_and_its_body() {
        for (search, answer, ended, expected) in [
            (None, &b"HTT"[..], false, None),
            (None, b"HTTP/1.1 200 OK\r\n", false, Some("Success: HTTP Status Code 200, OK")),
            (None, b"HTTP/1.1 302 Found\r\n\r\n", false, Some("Success: HTTP Status Code 302, Found")),
            (None, b"HTTP/1.0 500 No\r\n\r\n", false, Some("Failure: HTTP Status Code 500, No")),
            (None, b"SSH-2.0", false, Some("Failure: The endpoint did not answer with HTTP")),
            (None, b"", true, Some("Failure: The endpoint did not answer with HTTP")),
            (None, b"HTTP/1.1 2000 OK\r\n", false, Some("Failure: The endpoint did not answer with HTTP")),
            (Some("well"), b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nall is", false, None),
            (Some("well"), b"HTTP/1.1 200 OK\r\n\r\nall is well", false, Some("Success: HTTP Status Code 200, OK")),
            (
                Some("well"),
                b"HTTP/1.1 200 well\r\nA: well\r\n\r\nbad",
                true,
                Some("Failure: HTTP Status Code 200, well, but the string was not found in the body"),
            ),
        ] {
            let outcome = judge(&http(search), answer, ended).map(|outcome| outcome.to_string());
            assert_eq!(outcome.as_deref(), expected, "{}", String::from_utf8_lossy(answer));
        }
    }

    #[test]
    fn a_request_is_one_whatever_its_path_holds() {
        let probe = Probe {
            id: "check".to_owned(),
            host: "127.100.0.4".to_owned(),
            port: 8080,
            check: Check::Http {
                path: "/a b\r\nX: y".to_owned(),
                host: Some("www.example.com".to_owned()),
                search: None,
                tls: None,
            },
            interval: 30,
            threshold: 3,
        };
        let request = String::from_utf8(request(&probe).expect("HTTP")).expect("text");
        assert!(request.starts_with("GET /abX:y HTTP/1.1\r\nHost: www.example.com:8080\r\n"), "{request}");
        assert_eq!(request.matches("\r\n\r\n").count(), 1);
    }
}
