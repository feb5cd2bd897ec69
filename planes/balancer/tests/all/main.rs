//! The balancer with real sockets on 127.0.0.1: each test owns its balancer, targets and ports.

#![allow(clippy::disallowed_methods, reason = "tests own their sockets, threads and clocks")]

mod algorithms;
mod answers;
mod attributes;
mod bodies;
mod change;
mod choice;
mod client;
mod desync;
mod flow_storm;
mod flow_tls;
mod flows;
mod h2spec;
mod heads;
mod health;
mod hostile;
mod http2;
mod log;
mod refuse;
mod sharing;
mod simulation;
mod sockets;
mod sticky;
mod storm;
mod support;
mod tls;
mod websocket;
