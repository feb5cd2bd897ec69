//! What all services share: the state and its transactions, the operations and how they are called, the controllers and
//! their loop, and AWS's common conventions (ids, ARNs, tags, filters, pages, client tokens, regions).
//!
//! A [`Cloud`] is synchronous: a request, a report of the world, or a due controller is one call that runs one transaction and
//! returns. Who calls, from which thread and by which clock, is the shell's affair (`zonal`, or a virtual world).
#![forbid(unsafe_code)]

mod asked;
mod cloud;
mod controller;
mod core;
pub mod filters;
mod gone;
pub mod ids;
mod opening;
pub mod pages;
mod panics;
mod pass;
pub mod regions;
mod scope;
mod service;
mod state;
mod storage;
pub mod tags;
mod tokens;
mod transaction;
mod turns;

pub use cloud::Cloud;
pub use controller::{Controller, Wake};
pub use opening::{Clock, CloudConfig, OpenError};
pub use scope::{Caller, DEFAULT_ACCOUNT, Scope};
pub use service::{Coverage, Entry, Prepared, Registrar, Rest, Service, ask, read, write};
pub use state::{Change, Record, View};
pub use storage::{StorageError, Sync};
pub use transaction::Tx;
