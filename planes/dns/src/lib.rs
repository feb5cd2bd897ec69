//! The DNS plane: authoritative answers for hosted zones, and the resolver of a VPC.
//!
//! It knows names, record sets and views; it knows no AWS API. The control plane hands it a [`config::DnsConfig`] (or
//! [`config::Change`]s of it), it answers queries from one immutable snapshot behind one pointer:
//!
//! 1. [`config`]: what the control plane says, as plain structs, and [`table`]: a zone by its names, and what
//!    of it changed (the only parts that the control plane compiles);
//! 2. `name`, `rdata`, `svcb`, `records`: Route 53's presentation text to wire form, once, when the configuration arrives;
//! 3. `snapshot`, `names`: zones and their names, in views (`public`, and one per VPC);
//! 4. `lookup`: a name and a type to record sets: wildcards, CNAME chains, aliases (`reserved`: what stays here);
//! 5. `policy`, `geo`: which of several record sets, by chance, health and where the client is;
//! 6. `request`, `answer`: a query's bytes to an answer's bytes (`place` says where names stand); draws are handed in;
//! 7. `cache`: answers fetched from outside the world, for as long as they may be kept;
//! 8. `probe`: what health checks from outside make of what they hear;
//! 9. [`ask`]: the other end, a query and what its answer says;
//! 10. `shell`: the sockets.
//!
//! A resolver looks in its VPC's view first, then in the public one, then asks upstream, where it has one.

#![forbid(unsafe_code)]

pub mod config;
pub mod table;

#[cfg(feature = "core")]
pub mod answer;
#[cfg(feature = "core")]
pub mod ask;
#[cfg(feature = "core")]
pub mod cache;
#[cfg(feature = "core")]
mod error;
#[cfg(feature = "core")]
mod geo;
#[cfg(feature = "core")]
mod lookup;
#[cfg(feature = "core")]
pub mod name;
#[cfg(feature = "core")]
mod names;
#[cfg(feature = "core")]
mod place;
#[cfg(feature = "core")]
mod policy;
#[cfg(feature = "core")]
pub mod probe;
#[cfg(feature = "core")]
mod rdata;
#[cfg(feature = "core")]
mod records;
#[cfg(feature = "core")]
mod request;
#[cfg(feature = "core")]
mod reserved;
#[cfg(feature = "core")]
mod snapshot;
#[cfg(feature = "core")]
mod svcb;

#[cfg(feature = "shell")]
pub mod shell;

#[cfg(feature = "core")]
pub use error::Error;
#[cfg(feature = "core")]
pub use snapshot::Snapshot;

/// Reads a value of a type as it would be served; an error says what is wrong with it, in a few words.
#[cfg(feature = "core")]
pub fn check_value(type_: &str, text: &str) -> Result<(), &'static str> {
    rdata::parse(rdata::record_type(type_).ok_or("a type that is not served")?, text).map(drop)
}

/// Whether it is known where a region is.
#[cfg(feature = "core")]
pub fn is_region(name: &str) -> bool {
    geo::region(name).is_some()
}
