//! What is driven by time: alarms, and the age of points.

pub mod alarms;
pub mod composites;
pub mod retention;
