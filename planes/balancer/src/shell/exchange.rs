//! One request at its target: sent, answered, relayed, both bodies at once if they must be.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use super::buffer::Buffer;
use super::patience::Idle;
use super::respond::{Answering, respond};
use super::stream::{SendFailure, frame, send};
use super::transport::{Half, Transport};
use super::tunnel::tunnel;
use super::upload::{UploadEnd, upload};
use crate::core::answer::{self, After};
use crate::core::body::{Body, Framing};

/// A request with all that it touches.
pub struct Exchange<'a> {
    /// The client.
    pub client: &'a mut Transport,
    /// What the client has sent beyond the head.
    pub input: &'a mut Buffer,
    /// The rest of the request's body.
    pub body: Body,
    /// How the request's body is framed.
    pub framing: Framing,
    /// Of the client's connection.
    pub idle: &'a Idle,
    /// The answer's side.
    pub answering: Answering<'a>,
}

/// An exchange that came to its end.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Whether the client may ask again.
    pub after: After,
    /// Whether the target's connection can be kept.
    pub target_reusable: bool,
    /// Whether the client may still be sending what nobody reads.
    pub unread: bool,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug)]
pub enum Relayed {
    /// Whole.
    Whole(Done),
    /// The target speaks another protocol from now on.
    Upgraded,
}

/// An exchange that did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Not a byte of the request has been sent: the connection had been closed.
    Unsent,
    /// The client is to be answered with this error.
    Answer {
        /// 400, 408, 502 or 504.
        status: u16,
        /// Whether all of the request has been read, so that another may follow.
        request_read: bool,
    },
    /// The answer had begun, or the client is gone: nothing more can be said.
    Broken,
    /// The client was gone before it was answered: an ALB logs 460.
    ClientGone,
}

/// How far a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// More is to come.
    Running,
    /// All of it was sent.
    Done,
    /// The target takes no more of it.
    Refused,
}

impl Upload {
    /// The failure that is answered with `status`.
    pub fn failure(self, status: u16) -> Failure {
        Failure::Answer { status, request_read: self == Self::Done }
    }
}

impl Exchange<'_> {
    /// Adds what is here of the request's body to the head that goes out; how far that is.
    ///
    /// # Errors
    /// 400, if what is here breaks the body's framing.
    pub fn load(&mut self) -> Result<Upload, Failure> {
        let used = frame(&mut self.body, self.input, self.framing == Framing::Chunked, self.answering.output);
        let used = used.map_err(|_| Upload::Running.failure(400))?;
        self.answering.node.processed_bytes.add(used as u64);
        self.answering.traffic.receive(used);
        Ok(if self.body.is_done() { Upload::Done } else { Upload::Running })
    }

    /// Sends the request and relays the answer.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(&mut self, target: &mut Transport) -> Result<Done, Failure> {
        if self.answering.wants.expects_continue && !self.body.is_done() {
            // An ALB says so by itself, before the target has seen the request.
            let said = send(self.client, answer::CONTINUE, self.idle, self.answering.patience).await;
            said.map_err(|_| Failure::Broken)?;
            self.answering.wants.expects_continue = false;
        }
        let rest = if self.body.is_done() { Upload::Done } else { Upload::Running };
        let upload = Cell::new(rest);
        match send(target, self.answering.output, self.idle, self.answering.patience).await {
            Ok(()) => {}
            Err(SendFailure::Unsent) => return Err(Failure::Unsent),
            Err(SendFailure::Silent) => return Err(rest.failure(504)),
            // It may have answered before it closed.
            Err(SendFailure::Cut) if rest == Upload::Running => upload.set(Upload::Refused),
            Err(SendFailure::Cut) => {}
        }
        let began = Instant::now();
        self.answering.traffic.asked.set(Some(began));
        self.idle.touch(began);
        let relayed = if upload.get() == Upload::Running {
            self.both_ways(target, &upload, began).await?
        } else {
            respond(&mut self.answering, self.idle, self.client, target, &upload, began).await?
        };
        match relayed {
            Relayed::Whole(done) => Ok(done),
            Relayed::Upgraded => {
                tunnel(self.client, target, self.input, self.answering.reply, self.idle, self.answering.node).await;
                Err(Failure::Broken)
            }
        }
    }

    /// Sends the rest of the request while the answer may already come.
    async fn both_ways(
        &mut self,
        target: &mut Transport,
        state: &Cell<Upload>,
        began: Instant,
    ) -> Result<Relayed, Failure> {
        let (client, target) = (RefCell::new(&mut *self.client), RefCell::new(target));
        let (mut from_client, mut to_client) = (Half(&client), Half(&client));
        let (mut from_target, mut to_target) = (Half(&target), Half(&target));
        let (chunked, node, idle) = (self.framing == Framing::Chunked, self.answering.node, self.idle);
        let (answer_begun, traffic) = (self.answering.begun, self.answering.traffic);
        let mut up =
            pin!(upload(&mut from_client, &mut to_target, self.input, &mut self.body, chunked, idle, node, traffic));
        let mut down = pin!(respond(&mut self.answering, idle, &mut to_client, &mut from_target, state, began));
        poll_fn(|context| {
            if state.get() == Upload::Running
                && let Poll::Ready(end) = up.as_mut().poll(context)
            {
                let fail = |status| {
                    // An error cannot follow an answer that has begun.
                    if answer_begun.get() { Failure::Broken } else { Upload::Running.failure(status) }
                };
                match end {
                    UploadEnd::Whole => state.set(Upload::Done),
                    UploadEnd::TargetGone => state.set(Upload::Refused),
                    UploadEnd::TargetSilent => return Poll::Ready(Err(fail(504))),
                    UploadEnd::ClientSilent => return Poll::Ready(Err(fail(408))),
                    UploadEnd::Malformed => return Poll::Ready(Err(fail(400))),
                    UploadEnd::ClientGone if answer_begun.get() => return Poll::Ready(Err(Failure::Broken)),
                    UploadEnd::ClientGone => return Poll::Ready(Err(Failure::ClientGone)),
                }
            }
            down.as_mut().poll(context)
        })
        .await
    }
}
