//! Answers that are kept: who asks the same again, while nothing that the answer was made of has changed, gets the bytes of the last time
//! under a new request id. So ask programs that wait for something and pages that show it; making 400 kB anew takes three times as long as sending
//! them. That an answer still stands is known by what the operation looked at (`zonal_cloud::Seen`), not guessed.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use zonal_cloud::{Prepared, Scope, Seen};
use zonal_wire::Protocol;
use zonal_wire::door::{Identified, RequestHead, Response};

/// The most bytes that are kept, of all answers together. One that would not fit is not kept.
const MOST: usize = 8 << 20;
/// A request longer than this is no one's that asks again.
const LONGEST_REQUEST: usize = 4 << 10;
/// What nobody has asked for in so long is forgotten, so that an idle daemon keeps nothing.
pub const IDLE: Duration = Duration::from_secs(10);

/// All that an answer depends on beside the state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    service: &'static str,
    operation: &'static str,
    protocol: Protocol,
    scope: Scope,
    access_key: String,
    uri: String,
    body: Vec<u8>,
}

impl Key {
    /// A request's, where all of its input is in its body and its URI.
    pub fn of(identified: &Identified, prepared: &Prepared, head: &RequestHead, body: &[u8]) -> Option<Self> {
        let elsewhere = matches!(identified.protocol, Protocol::RestJson | Protocol::RestXml);
        let uri = head.uri.path_and_query().map_or("", |uri| uri.as_str());
        (!elsewhere && uri.len() + body.len() <= LONGEST_REQUEST).then(|| Self {
            service: prepared.service,
            operation: prepared.operation,
            protocol: identified.protocol,
            scope: prepared.scope.clone(),
            access_key: identified.scope.as_ref().map(|scope| scope.access_key.clone()).unwrap_or_default(),
            uri: uri.to_owned(),
            body: body.to_vec(),
        })
    }
}

/// An answer, and what stands in it before and after its request's id.
#[derive(Debug)]
struct Answer {
    seen: Seen,
    status: u16,
    headers: Vec<(String, String)>,
    before: Bytes,
    after: Bytes,
    id: String,
    /// Since idle answers were forgotten last.
    asked_for: AtomicBool,
}

impl Answer {
    fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    fn again(&self, request_id: &str) -> Reply {
        self.asked_for.store(true, Ordering::Relaxed);
        let renewed = |value: &String| if *value == self.id { request_id.to_owned() } else { value.clone() };
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), renewed(value))).collect();
        // An answer without an id in it is one piece.
        let id = if self.after.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(request_id.as_bytes()) };
        Reply { status: self.status, headers, body: Pieces::of([self.before.clone(), id, self.after.clone()]) }
    }
}

/// The answers that are kept.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    answers: BTreeMap<Key, Arc<Answer>>,
    /// Somebody forgets idle ones.
    tended: bool,
}

impl Kept {
    /// The answer to that request, where one is kept and `stands`.
    pub fn answer(&self, key: &Key, request_id: &str, stands: impl FnOnce(&Seen) -> bool) -> Option<Reply> {
        let answer = self.lock().answers.get(key).cloned()?;
        // One that does not is about to be replaced.
        stands(&answer.seen).then(|| answer.again(request_id))
    }

    /// Keeps an answer that has just been made. Says whether somebody must begin to forget idle ones.
    pub fn keep(&self, key: Key, seen: Seen, response: Response, request_id: &str) -> (Reply, bool) {
        let (status, headers, body) = (response.status, response.headers, Bytes::from(response.body));
        let reply = Reply { status, headers: headers.clone(), body: body.clone().into() };
        let split = match key.protocol {
            Protocol::Query | Protocol::Ec2 => place(&body, request_id),
            _ => Some((body, Bytes::new())),
        };
        let Some((before, after)) = split else { return (reply, false) };
        let (id, asked_for) = (request_id.to_owned(), AtomicBool::new(true));
        let answer = Answer { seen, status, headers, before, after, id, asked_for };
        let mut shelf = self.lock();
        shelf.answers.remove(&key);
        if shelf.answers.values().map(|answer| answer.len()).sum::<usize>() + answer.len() > MOST {
            return (reply, false);
        }
        shelf.answers.insert(key, Arc::new(answer));
        (reply, !std::mem::replace(&mut shelf.tended, true))
    }

    /// Forgets what was not asked for since this was called last; whether anything is left.
    pub fn forget_idle(&self) -> bool {
        let mut shelf = self.lock();
        shelf.answers.retain(|_, answer| answer.asked_for.swap(false, Ordering::Relaxed));
        shelf.tended = !shelf.answers.is_empty();
        shelf.tended
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // Each holder leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands before and after the request's id: in the first or the last of a body's elements.
fn place(body: &Bytes, request_id: &str) -> Option<(Bytes, Bytes)> {
    const ENDS: usize = 512;
    let find = |from: usize, part: &[u8]| {
        part.windows(request_id.len()).position(|window| window == request_id.as_bytes()).map(|at| from + at)
    };
    let (first, last) = (ENDS.min(body.len()), body.len().saturating_sub(ENDS));
    let at = find(0, &body[..first]).or_else(|| find(last, &body[last..]))?;
    Some((body.slice(..at), body.slice(at + request_id.len()..)))
}

/// An answer on its way out.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Pieces,
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self { status: response.status, headers: response.headers, body: Bytes::from(response.body).into() }
    }
}

/// A body in pieces, which are sent with one write.
#[derive(Debug, Default)]
pub struct Pieces(VecDeque<Bytes>);

impl Pieces {
    fn of(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self::of([whole])
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(protocol: Protocol, body: &str) -> Key {
        Key {
            service: "ec2",
            operation: "DescribeVpcs",
            protocol,
            scope: Scope::new("000000000000", "us-east-1"),
            access_key: String::new(),
            uri: "/".to_owned(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn response(body: &str, request_id: &str) -> Response {
        let headers = vec![
            ("x-amzn-RequestId".to_owned(), request_id.to_owned()),
            ("Content-Type".to_owned(), "text/xml".to_owned()),
        ];
        Response { status: 200, headers, body: body.as_bytes().to_vec() }
    }

    fn text(reply: &Reply) -> String {
        reply.body.0.iter().map(|piece| std::str::from_utf8(piece).unwrap()).collect()
    }

    #[test]
    fn the_same_answer_goes_out_under_an_id_of_its_own() {
        let long = "x".repeat(5000);
        for (protocol, body) in [
            (Protocol::Ec2, format!("<R><requestId>ID</requestId>{long}</R>")),
            (Protocol::Query, format!("<R>{long}<RequestId>ID</RequestId></R>")),
            (Protocol::Json11, format!("{{{long}}}")),
        ] {
            let (kept, one, two) = (Kept::default(), "a-first-id", "second");
            let first = response(&body.replace("ID", one), one);
            let (reply, untended) = kept.keep(key(protocol, "A=1"), Seen::default(), first, one);
            assert_eq!((text(&reply), untended), (body.replace("ID", one), true));
            let again = kept.answer(&key(protocol, "A=1"), two, |_| true).unwrap();
            assert_eq!(text(&again), body.replace("ID", two));
            assert_eq!(again.headers, response("", two).headers);
            assert_eq!(again.body.size_hint().exact(), Some(body.replace("ID", two).len() as u64));
        }
    }

    #[test]
    fn another_request_or_an_answer_that_fell_is_not_answered() {
        let kept = Kept::default();
        kept.keep(key(Protocol::Json11, "A=1"), Seen::default(), response("{}", "id"), "id");
        assert!(kept.answer(&key(Protocol::Json11, "A=2"), "id", |_| true).is_none());
        assert!(kept.answer(&key(Protocol::Json10, "A=1"), "id", |_| true).is_none());
        assert!(kept.answer(&key(Protocol::Json11, "A=1"), "id", |_| false).is_none());
    }

    #[test]
    fn what_is_kept_is_bounded_and_forgotten_when_nobody_asks() {
        let kept = Kept::default();
        let third = "x".repeat(MOST / 3);
        for body in ["A=1", "A=2", "A=3", "A=4"] {
            kept.keep(key(Protocol::Json11, body), Seen::default(), response(&third, "id"), "id");
        }
        let there = |body: &str| kept.answer(&key(Protocol::Json11, body), "id", |_| true).is_some();
        assert_eq!(["A=1", "A=2", "A=3", "A=4"].map(there), [true, true, true, false]);
        assert!(kept.forget_idle(), "all were asked for");
        assert!(there("A=2") && kept.forget_idle());
        assert_eq!(["A=1", "A=2"].map(there), [false, true]);
        assert!(kept.forget_idle() && !kept.forget_idle());
        let (_, untended) = kept.keep(key(Protocol::Json11, "A=1"), Seen::default(), response("{}", "id"), "id");
        assert!(untended, "who forgot has gone when nothing was left");
    }
}
