//! Data of the namespace `AWS/NetworkELB`. Source: User Guide for Network Load Balancers, "CloudWatch metrics for your Network Load
//! Balancer".

use super::{Data, Place, hosts};
use serde_json::Value;
use std::collections::BTreeMap;
use zonal_balancer::config::{FlowMetrics, FlowTotals, MetricsReport};

/// What a network load balancer counted. Active flows are always reported, as their reporting criteria say; counts when they
/// are not 0.
pub(super) fn data(path: &str, report: &MetricsReport) -> Vec<Value> {
    let mut data = Data::default();
    let balancer = Place { balancer: Some(path), ..Place::default() };
    for (zone, flows) in &report.flows {
        zonal(&mut data, Place { zone: Some(zone), ..balancer }, flows);
    }
    if !report.flows.is_empty() {
        zonal(&mut data, balancer, &whole(&report.flows));
    }
    hosts(&mut data, balancer, report);
    data.0
}

/// All zones together: one value, since CloudWatch would take several as samples of one.
fn whole(zones: &BTreeMap<String, FlowMetrics>) -> FlowMetrics {
    let mut sum = FlowMetrics::default();
    for flows in zones.values() {
        for (sum, more) in [(&mut sum.tcp, flows.tcp), (&mut sum.udp, flows.udp), (&mut sum.tls, flows.tls)] {
            sum.active += more.active;
            sum.new += more.new;
            sum.bytes += more.bytes;
        }
        sum.client_resets += flows.client_resets;
        sum.target_resets += flows.target_resets;
        sum.elb_resets += flows.elb_resets;
        sum.client_tls_errors += flows.client_tls_errors;
        sum.target_tls_errors += flows.target_tls_errors;
        sum.rejected += flows.rejected;
        sum.unhealthy_routing += flows.unhealthy_routing;
        sum.port_allocation_errors += flows.port_allocation_errors;
    }
    sum
}

#[allow(clippy::cast_precision_loss)] // counts of one report's time are far below 2^52
fn zonal(data: &mut Data, place: Place<'_>, flows: &FlowMetrics) {
    let protocols = [("_TCP", flows.tcp), ("_TLS", flows.tls), ("_UDP", flows.udp)];
    let all = protocols.iter().fold(FlowTotals::default(), |sum, (_, more)| FlowTotals {
        active: sum.active + more.active,
        new: sum.new + more.new,
        bytes: sum.bytes + more.bytes,
    });
    for (suffix, totals) in [("", all)].into_iter().chain(protocols) {
        if suffix.is_empty() || totals.active > 0 {
            data.sample(&format!("ActiveFlowCount{suffix}"), "Count", place, totals.active as f64);
        }
        data.count(&format!("NewFlowCount{suffix}"), place, totals.new);
        if totals.bytes > 0 {
            data.sample(&format!("ProcessedBytes{suffix}"), "Bytes", place, totals.bytes as f64);
        }
    }
    for (name, count) in [
        ("TCP_Client_Reset_Count", flows.client_resets),
        ("TCP_Target_Reset_Count", flows.target_resets),
        ("TCP_ELB_Reset_Count", flows.elb_resets),
        ("ClientTLSNegotiationErrorCount", flows.client_tls_errors),
        ("TargetTLSNegotiationErrorCount", flows.target_tls_errors),
        ("RejectedFlowCount", flows.rejected),
        ("UnhealthyRoutingFlowCount", flows.unhealthy_routing),
        ("PortAllocationErrorCount", flows.port_allocation_errors),
    ] {
        data.count(name, place, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flows_are_counted_by_protocol_and_together_by_zone_and_over_all() {
        let flows = FlowMetrics {
            tcp: FlowTotals { active: 2, new: 3, bytes: 100 },
            udp: FlowTotals { active: 1, new: 1, bytes: 10 },
            target_resets: 1,
            unhealthy_routing: 3,
            ..FlowMetrics::default()
        };
        let zones = [("a".to_owned(), flows), ("b".to_owned(), flows)];
        let data = data("net/l/1", &MetricsReport { flows: zones.into(), ..MetricsReport::default() });
        let value = |name: &str, dimensions: usize, member: &str| {
            let found = data.iter().find(|datum| {
                datum["MetricName"] == name && datum["Dimensions"].as_array().is_some_and(|all| all.len() == dimensions)
            });
            found
                .map(|datum| if member.is_empty() { &datum["Value"] } else { &datum["StatisticValues"][member] })
                .cloned()
        };
        assert_eq!(value("ActiveFlowCount", 1, ""), Some(json!(6.0)));
        assert_eq!(value("ActiveFlowCount_UDP", 2, ""), Some(json!(1.0)));
        assert_eq!(value("NewFlowCount_TCP", 1, "Sum"), Some(json!(6)));
        assert_eq!(value("ProcessedBytes", 2, ""), Some(json!(110.0)));
        assert_eq!(value("TCP_Target_Reset_Count", 1, "Sum"), Some(json!(2)));
        assert_eq!(value("UnhealthyRoutingFlowCount", 1, "Sum"), Some(json!(6)));
        assert_eq!(value("NewFlowCount_TLS", 1, "Sum"), None);
    }
}
