//! Answers that need no target, and what the access log says of them.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::stream::{linger, unix_time};
use crate::core::access::Record;
use crate::core::answer::{self, After, Occasion};
use crate::core::count::NodeCounts;
use crate::core::route::{Decision, Facts};

/// Writes an answer that needs no target; what happens to the connection after it.
pub fn write_own(
    decision: Decision<'_>,
    facts: &Facts<'_>,
    at: Occasion<'_>,
    counts: &NodeCounts,
    out: &mut Vec<u8>,
) -> After {
    match decision {
        Decision::Fixed { status, content_type, body } => {
            counts.fixed_responses.add(1);
            answer::fixed(status, content_type, body, at, out);
        }
        Decision::Redirect(redirect) => {
            if answer::redirect(redirect, facts, at, out) {
                counts.redirects.add(1);
                counts.elb_3xx.add(1);
            } else {
                counts.redirects_too_long.add(1);
                counts.elb_error(500);
            }
        }
        Decision::NoTarget | Decision::Forward(_) => {
            counts.elb_error(503);
            answer::error(503, at, out);
        }
        Decision::Closed => {
            counts.elb_error(503);
            answer::error(503, Occasion { after: After::Close, ..at }, out);
            return After::Close;
        }
    }
    at.after
}

/// Answers a client that speaks HTTP where it should speak TLS.
pub async fn decline_http(mut stream: TcpStream) {
    let mut page = Vec::new();
    answer::plain_http(unix_time(), &mut page);
    if stream.write_all(&page).await.is_ok() {
        linger(&mut stream).await;
    }
}

/// What the log says of an answer that needs no target.
pub fn describe(decision: &Decision<'_>, facts: &Facts<'_>, record: &mut Record) {
    (record.action, record.elb_status) = match decision {
        Decision::Fixed { status, .. } => (Some("fixed-response"), Some(*status)),
        Decision::Redirect(redirect) => (Some("redirect"), Some(if redirect.permanent { 301 } else { 302 })),
        Decision::NoTarget | Decision::Forward(_) => (Some("forward"), Some(503)),
        Decision::Closed => (None, Some(503)),
    };
    if let Decision::Redirect(redirect) = decision {
        let location = answer::location(redirect, facts);
        if location.len() > answer::MAX_LOCATION {
            record.elb_status = Some(500);
        } else {
            record.redirect = Some(location);
        }
    }
}

/// The trace id in a head as it was written.
pub fn trace_in(head: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"X-Amzn-Trace-Id: ";
    let value = &head[memchr::memmem::find(head, NAME)? + NAME.len()..];
    Some(String::from_utf8_lossy(&value[..memchr::memchr(b'\r', value)?]).into_owned())
}
