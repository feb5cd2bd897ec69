//! Stacks over the real services and a virtual world, as a client sees them.

mod certificates;
mod change_sets;
mod drifts;
mod failures;
mod hidden;
mod lifecycle;
mod phases;
mod recovery;
mod refusals;
mod rules;
mod signals;
mod transforms;
mod triggers;
mod types;
mod waits;
mod yard;
