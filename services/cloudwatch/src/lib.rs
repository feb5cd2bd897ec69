//! Amazon CloudWatch: metrics, their statistics, and alarms.
//!
//! Services publish what the world reports (`AWS/EC2`, `AWS/ApplicationELB`) by `PutMetricData`, as users publish their own. Points
//! are kept as statistic sets in small chunks; alarms are evaluated at the end of each period, and act on scaling policies.
#![forbid(unsafe_code)]

mod controllers;
mod errors;
mod evaluation;
mod labels;
mod math;
mod model;
mod operations;
mod query;
mod rule;
mod series;
pub mod shapes;
mod statistics;

pub use errors::Error;

use operations::{
    alarm_history, alarms, composites, dashboards, metric_data, metrics, put_metric_alarm, put_metric_data, tags,
};
use shapes::ops;
use zonal_cloud::{Controller, Coverage, Entry, Registrar, Service, read, write};
use zonal_wire::Api;

/// The service.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloudWatch;

impl Service for CloudWatch {
    fn name(&self) -> &'static str {
        "cloudwatch"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![
            write::<ops::PutMetricData>(put_metric_data::put),
            read::<ops::GetMetricStatistics>(metric_data::statistics),
            read::<ops::GetMetricData>(metric_data::get),
            read::<ops::ListMetrics>(metrics::list),
            write::<ops::PutMetricAlarm>(put_metric_alarm::put),
            write::<ops::PutCompositeAlarm>(composites::put),
            read::<ops::DescribeAlarms>(alarms::describe),
            read::<ops::DescribeAlarmsForMetric>(alarms::for_metric),
            read::<ops::DescribeAlarmHistory>(alarm_history::describe),
            write::<ops::DeleteAlarms>(alarms::delete),
            write::<ops::SetAlarmState>(alarms::set_state),
            write::<ops::EnableAlarmActions>(alarms::enable_actions),
            write::<ops::DisableAlarmActions>(alarms::disable_actions),
            write::<ops::TagResource>(tags::tag),
            write::<ops::UntagResource>(tags::untag),
            read::<ops::ListTagsForResource>(tags::list),
            write::<ops::PutDashboard>(dashboards::put),
            read::<ops::GetDashboard>(dashboards::get),
            read::<ops::ListDashboards>(dashboards::list),
            write::<ops::DeleteDashboards>(dashboards::delete),
        ]
    }

    fn controllers(&self) -> Vec<Box<dyn Controller>> {
        vec![
            Box::new(controllers::alarms::Alarms),
            Box::new(controllers::composites::Composites),
            Box::new(controllers::retention::Retention),
        ]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<model::Metric>();
        registrar.record::<model::Chunk>();
        registrar.record::<model::Alarm>();
        registrar.record::<model::History>();
        registrar.record::<model::Composite>();
        registrar.record::<model::Dashboard>();
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            without_effect: &[
                (
                    "PutMetricData",
                    "(retention)",
                    "points are kept for 3 hours by the minute (and by the second, where the storage \
                    resolution is 1), for 3 days by five minutes, for 15 days by the hour",
                ),
                ("PutMetricData", "EntityMetricData.Entity", "the metrics are taken, the entity is not stored"),
                ("PutMetricData", "StrictEntityValidation", "no effect"),
                (
                    "PutMetricAlarm",
                    "AlarmActions",
                    "actions of Auto Scaling policies and EC2 stop, terminate and reboot are run; any \
                    other is recorded in the history as failed",
                ),
                ("PutCompositeAlarm", "AlarmActions", "every action is recorded in the history as failed"),
                ("PutDashboard", "DashboardBody", "kept and given back; nothing draws it"),
                ("PutMetricAlarm", "EvaluateLowSampleCountPercentile", "shown; percentiles are always evaluated"),
                (
                    "GetMetricData",
                    "LabelOptions, MetricDataQueries.Label",
                    "times in labels (${LAST_TIME} and its kind) are left as they stand; what else is in ${…} is put in",
                ),
                ("GetMetricData", "MetricDataQueries.AccountId", "no effect: there are no linked accounts"),
                ("ListMetrics", "IncludeLinkedAccounts", "no effect: there are no linked accounts"),
                ("ListMetrics", "OwningAccount", "no effect: there are no linked accounts"),
            ],
        }
    }
}
