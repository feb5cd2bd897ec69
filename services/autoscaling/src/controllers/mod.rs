//! What is driven: groups towards their capacity, instances through their lives, refreshes step by step, group metrics and schedules by the clock.

pub mod groups;
pub mod instances;
pub mod metrics;
pub mod refreshes;
pub mod schedules;
