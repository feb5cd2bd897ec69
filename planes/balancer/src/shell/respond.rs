//! A target's answer, from its first byte to its last, on to the client.

use std::cell::Cell;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};

use super::buffer::Buffer;
use super::client::Wants;
use super::exchange::{Done, Failure, Relayed, Upload};
use super::journal::Traffic;
use super::patience::{Idle, Patience};
use super::stream::{frame, send};
use crate::core::answer::After;
use crate::core::body::{Body, LAST_CHUNK};
use crate::core::count::{GroupCounts, NodeCounts};
use crate::core::head;
use crate::core::rewrite::{self, Dressing, Onward};

/// The answer's side of an exchange.
pub struct Answering<'a> {
    /// What the target has sent.
    pub reply: &'a mut Buffer,
    /// What goes to the client.
    pub output: &'a mut Vec<u8>,
    /// Of the client's connection.
    pub patience: &'a mut Patience,
    /// Counters.
    pub node: &'a NodeCounts,
    /// Counters.
    pub group: &'a GroupCounts,
    /// What the client understands and asks for.
    pub wants: Wants,
    /// What the answer has that the target did not say.
    pub dressing: &'a Dressing,
    /// Set while the balancer is being removed: the client must not ask again.
    pub dismissed: &'a Cell<bool>,
    /// What the request has come to.
    pub traffic: &'a Traffic,
    /// Whether something of the answer has been written.
    pub begun: &'a Cell<bool>,
}

/// What a head leads to.
struct Relay {
    body: Body,
    onward: Onward,
    after: After,
    keeps_target: bool,
}

/// Waits for the answer and relays it.
pub async fn respond(
    answering: &mut Answering<'_>,
    idle: &Idle,
    client: &mut (impl AsyncWrite + Unpin),
    target: &mut (impl AsyncRead + Unpin),
    upload: &Cell<Upload>,
    began: Instant,
) -> Result<Relayed, Failure> {
    let relay = loop {
        match answering.read_head(upload.get())? {
            Progress::Final(relay) => break relay,
            Progress::Upgraded => {
                answering.flush(client, idle).await?;
                return Ok(Relayed::Upgraded);
            }
            Progress::Incomplete => {
                let read = answering.patience.wait(idle, answering.reply.read_from(target)).await;
                match read {
                    Ok(Ok(1..)) => {}
                    Ok(Ok(0) | Err(_)) => return Err(upload.get().failure(502)),
                    // Whoever holds up the request's body is to blame, and the upload knows who that is: its
                    // own timer fires within this millisecond.
                    Err(_) if upload.get() == Upload::Running => tokio::task::yield_now().await,
                    Err(_) => return Err(upload.get().failure(504)),
                }
            }
        }
    };
    let now = Instant::now();
    idle.touch(now);
    answering.traffic.heard.set(Some(now));
    answering.group.response_time.record(now.duration_since(began));
    answering.relay_body(relay, idle, client, target, upload).await
}

enum Progress {
    Incomplete,
    Final(Relay),
    Upgraded,
}

impl Answering<'_> {
    /// Reads a head if it is all there; its rewritten form and what is there of its body are then
    /// in the output.
    fn read_head(&mut self, upload: Upload) -> Result<Progress, Failure> {
        loop {
            let mut space = head::header_space();
            let parsed = head::parse_response(self.reply.bytes(), &mut space, self.wants.head_only);
            let (head, length) = match parsed {
                Ok(Some(parsed)) => parsed,
                Ok(None) => return Ok(Progress::Incomplete),
                Err(_) => return Err(upload.failure(502)),
            };
            if head.status == 101 {
                if !self.wants.upgrade || upload != Upload::Done {
                    return Err(upload.failure(502));
                }
                self.traffic.status.set(head.status);
                self.output.clear();
                rewrite::response(&head, Onward::Plain, After::KeepAlive, self.dressing, self.output);
                self.reply.consume(length);
                return Ok(Progress::Upgraded);
            }
            if head.status < 200 {
                // We said 100 ourselves; other interim answers are hints that may be lost.
                self.reply.consume(length);
                continue;
            }
            self.group.target_status(head.status);
            self.traffic.status.set(head.status);
            let onward = Onward::of(head.framing, self.wants.version);
            let keeps = self.wants.keep_alive
                && upload == Upload::Done
                && onward != Onward::UntilClose
                && !self.dismissed.get();
            let relay = Relay {
                body: if self.wants.trailers { Body::with_trailers(head.framing) } else { Body::new(head.framing) },
                onward,
                after: if keeps { After::KeepAlive } else { After::Close },
                keeps_target: head.keep_alive && !self.wants.isolated,
            };
            self.output.clear();
            rewrite::response(&head, onward, relay.after, self.dressing, self.output);
            self.reply.consume(length);
            return Ok(Progress::Final(relay));
        }
    }

    async fn relay_body(
        &mut self,
        mut relay: Relay,
        idle: &Idle,
        client: &mut (impl AsyncWrite + Unpin),
        target: &mut (impl AsyncRead + Unpin),
        upload: &Cell<Upload>,
    ) -> Result<Relayed, Failure> {
        let chunked = relay.onward == Onward::Chunked;
        loop {
            if self.output.is_empty()
                && !chunked
                && let Some(plain) = relay.body.plain(self.reply.bytes().len())
            {
                self.pass(plain, client, idle).await?;
            } else {
                let framed = frame(&mut relay.body, self.reply, chunked, self.output);
                // What came before the break is the client's; the break itself must show.
                self.flush(client, idle).await?;
                framed.map_err(|_| Failure::Broken)?;
            }
            if relay.body.is_done() {
                break;
            }
            if !self.reply.is_empty() {
                continue;
            }
            match self.patience.wait(idle, self.reply.read_long(target)).await {
                Ok(Ok(1..)) => idle.touch(Instant::now()),
                Ok(Ok(0)) if relay.body.ends_with_connection() => {
                    if chunked {
                        self.output.extend_from_slice(LAST_CHUNK);
                        self.flush(client, idle).await?;
                    }
                    relay.keeps_target = false;
                    break;
                }
                // Cut short: the client sees it from the missing end.
                Ok(Ok(0) | Err(_)) | Err(_) => return Err(Failure::Broken),
            }
        }
        let whole = upload.get() == Upload::Done;
        Ok(Relayed::Whole(Done {
            after: relay.after,
            // Bytes after the end were nobody's: such a target's connection is not to be trusted.
            target_reusable: relay.keeps_target && whole && self.reply.is_empty(),
            unread: !whole,
        }))
    }

    /// Sends so many bytes of the body as they are.
    async fn pass(&mut self, count: usize, client: &mut (impl AsyncWrite + Unpin), idle: &Idle) -> Result<(), Failure> {
        self.node.processed_bytes.add(count as u64);
        self.traffic.send(count);
        let sent = send(client, &self.reply.bytes()[..count], idle, self.patience).await;
        self.reply.consume(count);
        sent.map_err(|_| Failure::Broken)
    }

    async fn flush(&mut self, client: &mut (impl AsyncWrite + Unpin), idle: &Idle) -> Result<(), Failure> {
        if self.output.is_empty() {
            return Ok(());
        }
        let first = !self.begun.replace(true);
        self.node.processed_bytes.add(self.output.len() as u64);
        self.traffic.send(self.output.len());
        let sent = send(client, self.output, idle, self.patience).await;
        self.output.clear();
        sent.map_err(|_| if first { Failure::ClientGone } else { Failure::Broken })
    }
}
