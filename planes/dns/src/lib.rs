//! The DNS plane: authoritative answers for hosted zones, and the resolver of a VPC.
//!
//! It knows names, record sets and views; it knows no AWS API. The control plane hands it a [`config::DnsConfig`] (or
//! [`config::Change`]s of it), it answers queries from one immutable snapshot behind one pointer:
//!
//! 1. [`config`]: what the control plane says, as plain structs (the only part the control plane compiles);
//! 2. `name`, `rdata`: Route 53's presentation text to wire form, once, when the configuration arrives;
//! 3. `snapshot`: zones by name, in views (`public`, and one per VPC);
//! 4. `lookup`: a name and a type to record sets: wildcards, CNAME chains, aliases, routing policies (`reserved`: what stays here);
//! 5. `answer`: a query's bytes to an answer's bytes (`place` says where names stand); draws are handed in;
//! 6. `cache`: answers fetched from outside the world, for as long as they may be kept;
//! 7. `shell`: the sockets.
//!
//! A resolver looks in its VPC's view first, then in the public one, then asks upstream, where it has one.

#![forbid(unsafe_code)]

pub mod config;

#[cfg(feature = "core")]
pub mod answer;
#[cfg(feature = "core")]
pub mod cache;
#[cfg(feature = "core")]
mod error;
#[cfg(feature = "core")]
mod lookup;
#[cfg(feature = "core")]
pub mod name;
#[cfg(feature = "core")]
mod place;
#[cfg(feature = "core")]
mod rdata;
#[cfg(feature = "core")]
mod reserved;
#[cfg(feature = "core")]
mod snapshot;

#[cfg(feature = "shell")]
pub mod shell;

#[cfg(feature = "core")]
pub use error::Error;
#[cfg(feature = "core")]
pub use snapshot::Snapshot;
