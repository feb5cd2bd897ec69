//! The service as its users see it, above a world that keeps the zones it is asked for.

mod alarms;
mod answers;
mod bench;
mod checks;
mod cidrs;
mod delegations;
mod properties;
mod records;
mod served;
mod zones;
