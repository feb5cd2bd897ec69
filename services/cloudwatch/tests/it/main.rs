//! CloudWatch through its operations, with virtual time.

mod alarms;
mod metrics;
mod yard;
