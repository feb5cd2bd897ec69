//! The operations, one file per noun.

pub mod alarm_history;
pub mod alarms;
pub mod composites;
pub mod dashboards;
pub mod metric_data;
pub mod metrics;
pub mod put_metric_alarm;
pub mod put_metric_data;
pub mod tags;
