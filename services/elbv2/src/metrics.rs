//! Metrics: what balancers count becomes data of the namespaces `AWS/ApplicationELB` and `AWS/NetworkELB`. Source: User Guide for Application Load
//! Balancers, "CloudWatch metrics for your Application Load Balancer".

use crate::ec2::SERVICE;
use crate::model::{Kind, LoadBalancer, TargetGroup, TargetType, Version, path_of_group};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zonal_balancer::config::{Distribution, GroupMetrics, MetricsReport};
use zonal_cloud::Tx;
use zonal_wire::Time;

mod flows;

/// As many data as one `PutMetricData` takes.
const PER_CALL: usize = 1000;
/// As many distinct values as one datum takes.
const VALUES_PER_DATUM: usize = 150;

/// Puts what a balancer counted until a time.
pub fn put(tx: &mut Tx<'_>, at: Time, report: &MetricsReport) {
    let found = tx
        .find::<LoadBalancer>(&report.balancer)
        .map(|(scope, balancer)| (scope.clone(), balancer.path().to_owned(), balancer.kind));
    let Some((scope, path, kind)) = found else { return };
    let (namespace, mut data) = match kind {
        Kind::Application => {
            let speaks_grpc =
                |arn: &str| tx.find::<TargetGroup>(arn).is_some_and(|(_, group)| group.version == Version::Grpc);
            ("AWS/ApplicationELB", data(&path, report, speaks_grpc))
        }
        Kind::Network => {
            let is_counted =
                |arn: &str| tx.find::<TargetGroup>(arn).is_none_or(|(_, group)| group.target_type != TargetType::Alb);
            let mut report = report.clone();
            // Load balancers as targets are no hosts (NLB guide, CloudWatch metrics).
            report.hosts.retain(|group, _| is_counted(group));
            ("AWS/NetworkELB", flows::data(&path, &report))
        }
    };
    stamp(&mut data, at);
    tx.within(&scope, |tx| {
        tx.as_service(SERVICE, |tx| {
            for chunk in data.chunks(PER_CALL) {
                let input = json!({ "Namespace": namespace, "MetricData": chunk });
                if let Err(error) = tx.call_json("cloudwatch", "PutMetricData", &input) {
                    tracing::warn!("metrics of {path} were lost: {error}");
                }
            }
        });
    });
}

/// Says of what time they are. They may come in later, in another minute.
fn stamp(data: &mut [Value], at: Time) {
    let stamp = Value::from(at.iso8601_millis());
    data.iter_mut().for_each(|datum| datum["Timestamp"] = stamp.clone());
}

/// The dimensions of a datum: those that are there.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    balancer: Option<&'a str>,
    group: Option<&'a str>,
    zone: Option<&'a str>,
}

#[derive(Default)]
struct Data(Vec<Value>);

impl Data {
    fn datum(&mut self, name: &str, unit: &str, place: Place<'_>, value: Value) {
        let dimensions: Vec<Value> =
            [("AvailabilityZone", place.zone), ("LoadBalancer", place.balancer), ("TargetGroup", place.group)]
                .into_iter()
                .filter_map(|(name, value)| Some(json!({ "Name": name, "Value": value? })))
                .collect();
        let mut datum = json!({ "MetricName": name, "Dimensions": dimensions, "Unit": unit });
        if let (Value::Object(datum), Value::Object(value)) = (&mut datum, value) {
            datum.extend(value);
        }
        self.0.push(datum);
    }

    /// So many events, each of value 1; nothing where there were none, as AWS reports these only when they happen.
    fn count(&mut self, name: &str, place: Place<'_>, count: u64) {
        if count > 0 {
            let statistics = json!({ "SampleCount": count, "Sum": count, "Minimum": 1, "Maximum": 1 });
            self.datum(name, "Count", place, json!({ "StatisticValues": statistics }));
        }
    }

    /// One sample.
    fn sample(&mut self, name: &str, unit: &str, place: Place<'_>, value: f64) {
        self.datum(name, unit, place, json!({ "Value": value }));
    }

    /// Many samples, by value and number.
    fn distribution(&mut self, name: &str, place: Place<'_>, of: &Distribution) {
        for buckets in of.buckets.chunks(VALUES_PER_DATUM) {
            #[allow(clippy::cast_precision_loss)] // microseconds of an answer's time are far below 2^52
            let values: Vec<f64> = buckets.iter().map(|(micros, _)| *micros as f64 / 1e6).collect();
            let counts: Vec<u64> = buckets.iter().map(|(_, count)| *count).collect();
            self.datum(name, "Seconds", place, json!({ "Values": values, "Counts": counts }));
        }
    }
}

#[allow(clippy::cast_precision_loss)] // counts of one report's time are far below 2^52
fn data(path: &str, report: &MetricsReport, speaks_grpc: impl Fn(&str) -> bool) -> Vec<Value> {
    let mut data = Data::default();
    let balancer = Place { balancer: Some(path), ..Place::default() };
    if report.active_connections > 0 {
        data.sample("ActiveConnectionCount", "Count", balancer, report.active_connections as f64);
    }
    for (zone, node) in &report.nodes {
        let zonal = Place { zone: Some(zone), ..balancer };
        let counts = [
            ("NewConnectionCount", node.new_connections),
            ("RejectedConnectionCount", node.rejected_connections),
            ("HTTPCode_ELB_3XX_Count", node.elb_3xx),
            ("HTTPCode_ELB_4XX_Count", node.elb_4xx),
            ("HTTPCode_ELB_5XX_Count", node.elb_5xx),
            ("HTTPCode_ELB_500_Count", node.elb_500),
            ("HTTPCode_ELB_502_Count", node.elb_502),
            ("HTTPCode_ELB_503_Count", node.elb_503),
            ("HTTPCode_ELB_504_Count", node.elb_504),
            ("HTTP_Redirect_Count", node.redirects),
            ("HTTP_Redirect_Url_Limit_Exceeded_Count", node.redirects_too_long),
            ("HTTP_Fixed_Response_Count", node.fixed_responses),
            ("ClientTLSNegotiationErrorCount", node.client_tls_errors),
            ("RuleEvaluations", node.rule_evaluations),
            ("DesyncMitigationMode_NonCompliant_Request_Count", node.non_compliant_requests),
            ("DroppedInvalidHeaderRequestCount", node.dropped_invalid_header_requests),
        ];
        for (name, count) in counts {
            data.count(name, balancer, count);
            data.count(name, zonal, count);
        }
        if node.processed_bytes > 0 {
            data.sample("ProcessedBytes", "Bytes", balancer, node.processed_bytes as f64);
            data.sample("ProcessedBytes", "Bytes", zonal, node.processed_bytes as f64);
        }
    }
    for (arn, zones) in &report.groups {
        let (group, is_grpc) = (path_of_group(arn), speaks_grpc(arn));
        for (zone, metrics) in zones {
            for zone in [None, Some(zone.as_str())] {
                for group in [None, Some(group)] {
                    let place = Place { zone, group, ..balancer };
                    count_group(&mut data, place, metrics);
                    if is_grpc {
                        data.count("GrpcRequestCount", place, metrics.requests);
                    }
                }
            }
        }
        per_target(&mut data, balancer, group, zones, &report.hosts.get(arn).cloned().unwrap_or_default());
    }
    hosts(&mut data, balancer, report);
    data.0
}

/// `HealthyHostCount` and `UnHealthyHostCount`, over all zones and by zone.
#[allow(clippy::cast_precision_loss)] // as above
fn hosts(data: &mut Data, balancer: Place<'_>, report: &MetricsReport) {
    for (arn, zones) in &report.hosts {
        let group = Place { group: Some(path_of_group(arn)), ..balancer };
        let healthy = zones.values().map(|hosts| hosts.healthy).sum::<u64>();
        let unhealthy = zones.values().map(|hosts| hosts.unhealthy).sum::<u64>();
        data.sample("HealthyHostCount", "Count", group, healthy as f64);
        data.sample("UnHealthyHostCount", "Count", group, unhealthy as f64);
        for (zone, hosts) in zones {
            let zonal = Place { zone: Some(zone), ..group };
            data.sample("HealthyHostCount", "Count", zonal, hosts.healthy as f64);
            data.sample("UnHealthyHostCount", "Count", zonal, hosts.unhealthy as f64);
        }
    }
}

fn count_group(data: &mut Data, place: Place<'_>, metrics: &GroupMetrics) {
    data.count("RequestCount", place, metrics.requests);
    data.count("NonStickyRequestCount", place, metrics.non_sticky_requests);
    data.count("UnhealthyRoutingRequestCount", place, metrics.unhealthy_routing_requests);
    data.count("HTTPCode_Target_2XX_Count", place, metrics.target_2xx);
    data.count("HTTPCode_Target_3XX_Count", place, metrics.target_3xx);
    data.count("HTTPCode_Target_4XX_Count", place, metrics.target_4xx);
    data.count("HTTPCode_Target_5XX_Count", place, metrics.target_5xx);
    data.count("TargetConnectionErrorCount", place, metrics.connection_errors);
    data.count("TargetTLSNegotiationErrorCount", place, metrics.tls_errors);
    data.distribution("TargetResponseTime", place, &metrics.response_time);
}

/// Requests per healthy target. Reports of one minute add up under the statistic Sum, the only one that AWS means for it.
#[allow(clippy::cast_precision_loss)] // as above
fn per_target(
    data: &mut Data,
    balancer: Place<'_>,
    group: &str,
    zones: &BTreeMap<String, GroupMetrics>,
    hosts: &BTreeMap<String, zonal_balancer::config::Hosts>,
) {
    let requests = zones.values().map(|metrics| metrics.requests).sum::<u64>();
    let healthy = hosts.values().map(|hosts| hosts.healthy).sum::<u64>();
    if requests == 0 {
        return;
    }
    // Where none is healthy, requests go to all of them.
    let all = hosts.values().map(|hosts| hosts.healthy + hosts.unhealthy).sum::<u64>();
    let targets = if healthy > 0 { healthy } else { all.max(1) };
    let value = requests as f64 / targets as f64;
    for place in [Place { group: Some(group), ..Place::default() }, Place { group: Some(group), ..balancer }] {
        data.sample("RequestCountPerTarget", "Count", place, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonal_balancer::config::{Hosts, NodeMetrics};

    fn report() -> MetricsReport {
        let arn = "arn:aws:elasticloadbalancing:r:1:targetgroup/t/1".to_owned();
        let metrics = GroupMetrics {
            requests: 30,
            target_2xx: 30,
            response_time: Distribution { count: 30, buckets: vec![(2_000, 30)], ..Default::default() },
            ..Default::default()
        };
        MetricsReport {
            groups: [(arn.clone(), [("a".to_owned(), metrics)].into())].into(),
            hosts: [(
                arn,
                [
                    ("a".to_owned(), Hosts { healthy: 2, unhealthy: 1 }),
                    ("b".to_owned(), Hosts { healthy: 1, unhealthy: 0 }),
                ]
                .into(),
            )]
            .into(),
            ..Default::default()
        }
    }

    fn named<'a>(data: &'a [Value], name: &str) -> Vec<&'a Value> {
        data.iter().filter(|datum| datum["MetricName"] == name).collect()
    }

    #[test]
    fn requests_are_counted_under_four_sets_of_dimensions() {
        let data = data("app/l/1", &report(), |_| false);
        let counts = named(&data, "RequestCount");
        let sizes: Vec<usize> = counts.iter().map(|datum| datum["Dimensions"].as_array().unwrap().len()).collect();
        assert_eq!(sizes, [1, 2, 2, 3]);
        assert!(counts.iter().all(|datum| datum["StatisticValues"]["Sum"] == 30));
    }

    #[test]
    fn requests_per_target_are_over_healthy_targets_and_also_under_the_group_alone() {
        let data = data("app/l/1", &report(), |_| false);
        let per_target = named(&data, "RequestCountPerTarget");
        assert_eq!(per_target.len(), 2);
        assert_eq!(per_target[0]["Dimensions"], json!([{ "Name": "TargetGroup", "Value": "targetgroup/t/1" }]));
        assert_eq!(per_target[0]["Value"], 10.0);
    }

    #[test]
    fn response_times_are_in_seconds_with_their_counts() {
        let data = data("app/l/1", &report(), |_| false);
        let times = named(&data, "TargetResponseTime");
        assert_eq!((&times[0]["Values"], &times[0]["Counts"]), (&json!([0.002]), &json!([30])));
    }

    #[test]
    fn requests_of_groups_that_speak_grpc_are_also_counted_as_such() {
        let all = data("app/l/1", &report(), |arn| arn.ends_with("/t/1"));
        let counts = named(&all, "GrpcRequestCount");
        assert_eq!(counts.len(), 4);
        assert!(counts.iter().all(|datum| datum["StatisticValues"]["Sum"] == 30));
        assert!(named(&data("app/l/1", &report(), |_| false), "GrpcRequestCount").is_empty());
    }

    #[test]
    fn requests_are_counted_by_how_their_target_was_chosen() {
        let mut report = report();
        for metrics in report.groups.values_mut().flat_map(BTreeMap::values_mut) {
            (metrics.non_sticky_requests, metrics.unhealthy_routing_requests) = (4, 5);
        }
        let data = data("app/l/1", &report, |_| false);
        for (name, sum) in [("NonStickyRequestCount", 4), ("UnhealthyRoutingRequestCount", 5)] {
            let counts = named(&data, name);
            assert_eq!(counts.len(), 4, "{name}");
            assert!(counts.iter().all(|datum| datum["StatisticValues"]["Sum"] == sum), "{name}");
        }
    }

    #[test]
    fn handshakes_that_failed_are_counted_on_both_sides() {
        let mut report = report();
        let node = NodeMetrics { client_tls_errors: 3, ..Default::default() };
        report.nodes = [("a".to_owned(), node)].into();
        for metrics in report.groups.values_mut().flat_map(BTreeMap::values_mut) {
            metrics.tls_errors = 2;
        }
        let data = data("app/l/1", &report, |_| false);
        let sums = |name: &str| -> Vec<Value> {
            named(&data, name).iter().map(|datum| datum["StatisticValues"]["Sum"].clone()).collect()
        };
        assert_eq!(sums("ClientTLSNegotiationErrorCount"), [json!(3), json!(3)]);
        assert_eq!(sums("TargetTLSNegotiationErrorCount"), [json!(2), json!(2), json!(2), json!(2)]);
    }

    #[test]
    fn counts_are_of_the_time_when_they_were_taken_not_of_when_they_come_in() {
        let mut data = data("app/l/1", &report(), |_| false);
        // The last instant of a minute.
        stamp(&mut data, Time(1_795_536_059_999_999));
        assert!(data.iter().all(|datum| datum["Timestamp"] == "2026-11-24T16:00:59.999Z"), "{:?}", data[0]);
    }

    #[test]
    fn what_did_not_happen_is_not_reported() {
        let data = data("app/l/1", &report(), |_| false);
        assert!(named(&data, "HTTPCode_Target_5XX_Count").is_empty());
        assert_eq!(named(&data, "HealthyHostCount").len(), 3);
    }
}
