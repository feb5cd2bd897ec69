//! CloudWatch through its operations, with virtual time.

mod alarms;
mod composites;
mod metrics;
mod yard;
