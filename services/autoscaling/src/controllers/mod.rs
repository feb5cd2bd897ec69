//! What is driven: groups towards their capacity, instances through their lives, group metrics and schedules by the clock.

pub mod groups;
pub mod instances;
pub mod metrics;
pub mod schedules;
