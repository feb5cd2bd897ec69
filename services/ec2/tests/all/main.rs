//! EC2 over a virtual world: whole lives of networks and instances, and what the state promises.

mod attachments;
mod filters;
mod images;
mod instances;
mod managed;
mod metrics;
mod narrow;
mod networks;
mod parameters;
mod refusals;
mod state;
mod yard;
