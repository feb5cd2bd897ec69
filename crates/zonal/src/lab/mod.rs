//! `zonal lab`: an architecture deployed, loaded, broken and measured, in a world of its own.

mod backend;
mod command;
mod progress;
mod real;
mod stacks;
mod virtual_;

pub use command::{LabArguments, run};
