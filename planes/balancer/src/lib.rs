//! The application load balancer: HTTP/1.1 from clients to targets as AWS's ALB does it.
//!
//! A network load balancer is the same with flows in place of requests: [`core::flow`], `shell::flow`.
//!
//! - [`config`]: what the control plane sends, and what it hears back.
//! - [`core`]: all that is decided (parsing, routing, choosing, rewriting, framing, health): pure,
//!   inputs in, outputs out, time passed in.
//! - [`shell`] (feature `shell`, on by default): threads, sockets and timers around it.
//!
//! A request's journey, as `shell::client` walks it: read a head, refuse it if it is ambiguous
//! ([`core::head`]); pick the action by the listener's rules and a target by the group's turn
//! ([`core::route`]); take a kept connection to the target or make one; write the rewritten head
//! ([`core::rewrite`]) and as much of the body as is there in one go; read the answer's head, write
//! it back; relay the rest of either body, reframed by us ([`core::body`]).

#![forbid(unsafe_code)]

pub mod config;
pub mod core;
#[cfg(feature = "shell")]
pub mod shell;

#[cfg(feature = "shell")]
pub use shell::{Balancer, BalancerError, Coming, HostSockets, LogEntry, Sockets, Supply};
