//! The service as its users see it, above a world that takes notes.

mod albs;
mod fake;
mod load_balancers;
mod names;
mod properties;
mod rules;
mod targets;
