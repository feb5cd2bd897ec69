//! What `zonal lab` does: loads an architecture, breaks it, measures what its
//! clients see, and says what the figures show.
//!
//! The crate is a core without clock, chance or sockets. [`run`] leads the phases
//! of a [`LabSpec`] through a [`LabWorld`], which is the real world or the
//! virtual one; the clients are a core too ([`Load`]), so that both worlds see the
//! same load. Only the `shell` feature touches sockets, to drive that core over
//! them. The crate knows no AWS API: a world makes the calls.
//!
//! A phase's way: [`spec`] says what to do, [`runner`] does it, [`measure`] turns
//! what the clients saw into figures, [`verdict`] into a sentence, and [`report`]
//! and [`table`] show them.
#![forbid(unsafe_code)]

pub mod arrivals;
pub mod clients;
pub mod compare;
mod error;
mod histogram;
pub mod measure;
mod phase;
pub mod report;
mod rng;
pub mod runner;
#[cfg(feature = "shell")]
pub mod shell;
pub mod spec;
mod spec_file;
mod svg;
pub mod table;
mod time;
pub mod timeline;
pub mod verdict;
pub mod virtual_load;
mod watch;
pub mod world;

pub use clients::{Answer, Connection, Input, Load, LoadPlan, Outcome, Output, Request, Sample};
pub use error::LabError;
pub use histogram::Histogram;
pub use runner::{LabResult, Notice, PhaseResult, Progress, RunOptions, run};
pub use spec::{Expectation, Fault, Figure, LabSpec, LoadSpec, PhaseSpec};
pub use time::{At, human, parse_span};
pub use verdict::{Figures, Verdict};
pub use virtual_load::{Network, Reply, VirtualLoad};
pub use world::{Event, EventKind, LabWorld, Observation, StackChange, StackState, WorldError};
