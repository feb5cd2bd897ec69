//! The DNS plane from outside: tables of queries and answers, properties, and real sockets.

#![allow(clippy::disallowed_methods, reason = "tests own their sockets and their clients")]

mod asking;
mod cache;
mod edns;
mod forwarding;
mod message;
mod probing;
mod properties;
mod sockets;
mod storm;
mod tables;
