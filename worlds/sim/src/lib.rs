//! The virtual world: nothing runs, everything takes as long as it would.
//!
//! Time is handed in. [`Sim::due`] says when something happens next, [`Sim::advance`] lets it happen and gives the reports that come
//! of it; between the two nothing happens, so that a day is as many steps as it has events. Health checks and balancing are the
//! balancer plane's own core, names the DNS plane's; only sandboxes and packets are modelled.
#![forbid(unsafe_code)]

mod authority;
mod balancers;
mod events;
mod flows;
mod network;
mod probes;
mod requests;
mod world;

pub use events::{Costs, Micros};
pub use requests::{Ending, Visit};
pub use world::Sim;
