//! The clients in virtual time: the shell for a world that jumps from event to
//! event. The world is asked how each lookup and request ends, and after how long;
//! nothing waits.

use crate::clients::{Answer, Input, Load, Outcome, Output, Request, Sample};
use crate::time::At;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a virtual world answers its clients with.
pub trait Network {
    /// The answer to a lookup made at `now`, and how long it takes.
    fn resolve(&mut self, now: At, name: &str) -> (Answer, Duration);

    /// How a request sent at `now` ends. A reply that takes longer than the request's deadline is a timeout there.
    fn send(&mut self, now: At, request: &Request) -> Reply;
}

/// How a request ends in a virtual world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How long it takes.
    pub after: Duration,
    /// How it ends; for silence, say [`Outcome::Timeout`] and any time.
    pub outcome: Outcome,
    /// Whether its connection can carry another.
    pub reusable: bool,
}

/// A load whose clients live in virtual time.
#[derive(Debug)]
pub struct VirtualLoad {
    load: Load,
    /// What will have happened when; the second number keeps the order of what happens at once.
    pending: BTreeMap<(At, u64), Input>,
    order: u64,
}

impl VirtualLoad {
    /// The clients of `load`.
    pub fn new(load: Load) -> VirtualLoad {
        VirtualLoad { load, pending: BTreeMap::new(), order: 0 }
    }

    /// When the clients do something next.
    pub fn due(&self) -> Option<At> {
        let pending = self.pending.keys().next().map(|&(at, _)| at);
        pending.into_iter().chain(self.load.due()).min()
    }

    /// The load, to change its rate or stop it.
    pub fn load_mut(&mut self) -> &mut Load {
        &mut self.load
    }

    /// Whether nothing comes any more, and nothing is under way.
    pub fn is_over(&self) -> bool {
        self.load.is_over()
    }

    /// Does what is due at `now`, the time of [`VirtualLoad::due`].
    pub fn fire(&mut self, now: At, network: &mut dyn Network, done: &mut dyn FnMut(Sample)) {
        let mut out = Vec::new();
        while let Some(entry) = self.pending.first_entry().filter(|entry| entry.key().0 <= now) {
            self.load.handle(now, entry.remove(), &mut out);
        }
        self.load.handle(now, Input::Tick, &mut out);
        for output in out {
            match output {
                Output::Resolve { lookup, name, deadline } => {
                    let (mut answer, after) = network.resolve(now, &name);
                    if now.plus(after) > deadline {
                        answer = Answer::Failed;
                    }
                    self.later(now.plus(after).min(deadline), Input::Resolved { lookup, answer });
                }
                Output::Send(request) => {
                    let mut reply = network.send(now, &request);
                    let end = now.plus(reply.after);
                    if reply.outcome == Outcome::Timeout || end > request.deadline {
                        reply =
                            Reply { after: request.deadline.since(now), outcome: Outcome::Timeout, reusable: false };
                    }
                    let Reply { after, outcome, reusable } = reply;
                    self.later(now.plus(after), Input::Finished { request: request.id, outcome, reusable });
                }
                Output::Done(sample) => done(sample),
                // A virtual connection is nothing but its number.
                Output::Close(_) => {}
            }
        }
    }

    fn later(&mut self, at: At, input: Input) {
        self.order += 1;
        self.pending.insert((at, self.order), input);
    }
}
