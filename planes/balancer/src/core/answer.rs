//! The answers that are the balancer's own, byte for byte as an ALB gives them.

use super::rewrite::add;
use super::route::Facts;
use crate::config::{Redirect, ResponseHeaders};

/// Whether a client may send more on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// `Connection: keep-alive`
    KeepAlive,
    /// `Connection: close`
    Close,
}

impl After {
    /// The header, whole.
    pub fn header(self) -> &'static [u8] {
        match self {
            Self::KeepAlive => b"Connection: keep-alive\r\n",
            Self::Close => b"Connection: close\r\n",
        }
    }
}

/// What every answer of ours depends on.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// Seconds since 1970.
    pub now: u64,
    /// What happens to the connection.
    pub after: After,
    /// The request was HEAD: no body.
    pub head_only: bool,
    /// What the listener changes of it.
    pub headers: Option<&'a ResponseHeaders>,
}

/// Bytes of a redirect's Location, at most (ALB guide, CloudWatch metrics, HTTP_Redirect_Url_Limit_Exceeded_Count).
pub const MAX_LOCATION: usize = 8 * 1024;

/// `100 Continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// An error page.
pub fn error(status: u16, occasion: Occasion<'_>, out: &mut Vec<u8>) {
    page(status, &[], occasion, out);
}

/// The answer to HTTP where TLS was to come: the client has made no request that could be read.
pub fn plain_http(now: u64, out: &mut Vec<u8>) {
    let occasion = Occasion { now, after: After::Close, head_only: false, headers: None };
    let body = html(
        "400 The plain HTTP request was sent to HTTPS port",
        "<center><h1>400 Bad Request</h1></center>\r\n<center>The plain HTTP request was sent to HTTPS port</center>",
    );
    start(400, occasion, out);
    field("Content-Type", b"text/html", out);
    finish(body.as_bytes(), &[], occasion, out);
}

/// A redirect to the address that `redirect` makes of the request; whether there is such an address. If it would be
/// longer than an ALB's may be, the client is told of an error instead.
pub fn redirect(redirect: &Redirect, facts: &Facts<'_>, occasion: Occasion<'_>, out: &mut Vec<u8>) -> bool {
    let location = location(redirect, facts);
    let fits = location.len() <= MAX_LOCATION;
    match (fits, redirect.permanent) {
        (true, true) => page(301, location.as_bytes(), occasion, out),
        (true, false) => page(302, location.as_bytes(), occasion, out),
        (false, _) => error(500, occasion, out),
    }
    fits
}

/// A fixed response.
pub fn fixed(status: u16, content_type: Option<&str>, body: &str, occasion: Occasion<'_>, out: &mut Vec<u8>) {
    start(status, occasion, out);
    // Neither has a body (RFC 9110, 15.3.5 and 15.3.6): what followed would be taken for the next answer.
    let bodiless = matches!(status, 204 | 205);
    if let Some(content_type) = content_type.filter(|_| !bodiless) {
        field("Content-Type", content_type.as_bytes(), out);
    }
    match status {
        204 => end(&[], occasion, out),
        _ => finish(if bodiless { &[] } else { body.as_bytes() }, &[], occasion, out),
    }
}

fn page(status: u16, location: &[u8], occasion: Occasion<'_>, out: &mut Vec<u8>) {
    let title = format!("{status} {}", reason(status));
    let body = html(&title, &format!("<center><h1>{title}</h1></center>"));
    start(status, occasion, out);
    field("Content-Type", b"text/html", out);
    finish(body.as_bytes(), location, occasion, out);
}

fn html(title: &str, words: &str) -> String {
    format!("<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n{words}\r\n</body>\r\n</html>\r\n")
}

fn start(status: u16, occasion: Occasion<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    if occasion.headers.is_none_or(|headers| headers.server) {
        out.extend_from_slice(b"Server: awselb/2.0\r\n");
    }
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(http_date(occasion.now).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn finish(body: &[u8], location: &[u8], occasion: Occasion<'_>, out: &mut Vec<u8>) {
    field("Content-Length", body.len().to_string().as_bytes(), out);
    end(location, occasion, out);
    if !occasion.head_only {
        out.extend_from_slice(body);
    }
}

/// The head's rest.
fn end(location: &[u8], occasion: Occasion<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(occasion.after.header());
    if let Some(headers) = occasion.headers {
        add(headers, out);
    }
    if !location.is_empty() {
        field("Location", location, out);
    }
    out.extend_from_slice(b"\r\n");
}

fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The reason phrases of an ALB, some of which are not the registry's.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        408 => "Request Time-out",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        // The class is what is left to say.
        status => match status / 100 {
            2 => "Success",
            4 => "Client Error",
            _ => "Server Error",
        },
    }
}

/// A redirect's Location, placeholders filled in. The port is always said, as an ALB does it.
pub fn location(redirect: &Redirect, facts: &Facts<'_>) -> String {
    let (path, query) = facts.target.split_once('?').unwrap_or((facts.target, ""));
    let port = facts.port.to_string();
    let parts = [
        ("#{protocol}", facts.scheme.as_str()),
        ("#{host}", facts.host_name()),
        ("#{port}", &port),
        ("#{path}", path.strip_prefix('/').unwrap_or(path)),
        ("#{query}", query),
    ];
    let fill = |text: &str| fill(text, &parts);
    let protocol = fill(&redirect.protocol).to_ascii_lowercase();
    let mut location =
        format!("{protocol}://{}:{}{}", fill(&redirect.host), fill(&redirect.port), fill(&redirect.path));
    let query = fill(&redirect.query);
    if !query.is_empty() {
        location.push('?');
        location.push_str(&query);
    }
    location
}

/// A text with its placeholders filled in, from left to right: what a client says is none, whatever it looks like.
fn fill(text: &str, parts: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("#{") {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let (placeholder, part) = parts.iter().find(|(name, _)| rest.starts_with(name)).unwrap_or(&("#{", "#{"));
        filled.push_str(part);
        rest = &rest[placeholder.len()..];
    }
    filled.push_str(rest);
    filled
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
pub fn http_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize - 1],
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month from 1 and day of the month, so many days after 1970-01-01.
pub(super) fn civil(days: u64) -> (u64, u64, u64) {
    // Years counted from March, so that a leap day comes last; 719,468 days lie between 0000-03-01
    // and 1970-01-01.
    let since = days + 719_468;
    let (era, day_of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    (era * 400 + year_of_era + u64::from(month < 2), month + 1, day)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::route::Scheme;
    use super::*;

    const OCCASION: Occasion<'_> =
        Occasion { now: 784_111_777, after: After::KeepAlive, head_only: false, headers: None };

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("answers are text")
    }

    #[test]
    fn dates_are_those_of_the_specification() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(http_date(1_735_689_599), "Tue, 31 Dec 2024 23:59:59 GMT");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn error_pages_have_the_lengths_seen_on_aws() {
        for (status, length) in [(400, 122), (403, 118), (502, 122), (503, 162), (504, 132)] {
            let page = text(|out| error(status, OCCASION, out));
            assert!(page.contains(&format!("\r\nContent-Length: {length}\r\n")), "{page}");
            let (head, body) = page.split_once("\r\n\r\n").expect("a head ends");
            assert_eq!(body.len(), length);
            assert!(head.contains("\r\nServer: awselb/2.0\r\n"), "{head}");
        }
        let head = text(|out| error(503, Occasion { head_only: true, ..OCCASION }, out));
        assert!(head.ends_with("Connection: keep-alive\r\n\r\n"), "{head}");
    }

    #[test]
    fn a_redirect_fills_in_what_the_request_had() {
        let to = |protocol: &str, host: &str, port: &str, path: &str, query: &str| Redirect {
            protocol: protocol.to_owned(),
            host: host.to_owned(),
            port: port.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            permanent: true,
        };
        let facts = Facts {
            method: "GET",
            target: "/a/b?c=d",
            host: "example.com:8080",
            headers: &[],
            client: Ipv4Addr::LOCALHOST,
            port: 80,
            scheme: Scheme::Http,
            now: 0,
        };
        let https = to("HTTPS", "#{host}", "443", "/#{path}", "#{query}");
        assert_eq!(location(&https, &facts), "https://example.com:443/a/b?c=d");
        let moved = to("#{protocol}", "new.#{host}", "#{port}", "/new/#{path}", "");
        assert_eq!(location(&moved, &facts), "http://new.example.com:80/new/a/b");
        let odd = Facts { target: "//a/#{query}?c=#{host}", ..facts };
        assert_eq!(location(&https, &odd), "https://example.com:443//a/#{query}?c=#{host}");
    }

    #[test]
    fn a_fixed_response_of_a_status_without_a_body_has_none() {
        let answer = |status| text(|out| fixed(status, Some("text/plain"), "body", OCCASION, out));
        let none = answer(204);
        assert!(none.ends_with("\r\nConnection: keep-alive\r\n\r\n"), "{none}");
        assert!(!none.contains("Content-"), "{none}");
        let reset = answer(205);
        assert!(reset.ends_with("\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"), "{reset}");
    }
}
