//! What `zonal status` shows: the world, and what there is in it, of all accounts and regions.

use crate::daemon::Daemon;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use zonal_cloud::{Clock, Scope, View};
use zonal_cloudformation::Stack;
use zonal_cloudformation::shapes::StackStatus;
use zonal_ec2::model::{Instance, InstanceState, Interface, Status, ZoneOutage};
use zonal_elbv2::model::{BalancerState, Kind, Listener, LoadBalancer, Protocol, Scheme};
use zonal_route53::model::HostedZone;

/// The port that `NAME.localhost` leads to.
const PAGES: u16 = 80;

/// All of it.
pub fn of(daemon: &Daemon) -> Value {
    // What is modelled listens nowhere.
    let listens = daemon.timed.sim.is_none();
    let mut shown = daemon.cloud.view(&Scope::new("", ""), |view| {
        json!({
            "instances": instances(view),
            "stacks": stacks(view),
            "load_balancers": load_balancers(view, listens.then_some(daemon.config.port)),
            "hosted_zones": hosted_zones(view),
            "zones_cut": zones_cut(view),
        })
    });
    shown["world"] = daemon.world.describe().into();
    shown["speed"] = daemon.clock.speed().into();
    shown["time"] = daemon.clock.now().iso8601_millis().into();
    shown["micros"] = daemon.clock.now().0.into();
    shown["revision"] = daemon.cloud.revision().into();
    shown["directory"] = daemon.config.directory.to_string_lossy().into();
    shown
}

/// The zones that are cut off, each with its outage's end, null where there is none.
fn zones_cut(view: &View<'_>) -> Vec<Value> {
    let all = view.everywhere::<ZoneOutage>();
    all.map(|(_, outage)| json!({ "zone": outage.zone, "until": outage.until.map(|at| at.iso8601()) })).collect()
}

/// How a running instance's status checks stand, in AWS's words; nothing of one that does not run.
fn checks(instance: &Instance) -> &'static str {
    match (instance.state, instance.status) {
        (InstanceState::Running, Status::Ok) => "ok",
        (InstanceState::Running, Status::InstanceImpaired) => "instance impaired",
        (InstanceState::Running, Status::SystemImpaired) => "system impaired",
        _ => "-",
    }
}

/// The public addresses of instances, by instance.
fn addresses(view: &View<'_>) -> BTreeMap<String, Ipv4Addr> {
    let primary = view.everywhere::<Interface>().filter_map(|(_, interface)| {
        let attachment = interface.attachment.as_ref().filter(|attachment| attachment.index == 0)?;
        Some((attachment.instance.clone()?, interface.public.as_ref()?.ip))
    });
    primary.collect()
}

/// What keeps an instance from starting, or kept it.
fn trouble(instance: &Instance) -> Option<&str> {
    let failed = instance.reason.as_ref().filter(|reason| reason.is_failure()).map(|reason| reason.message.as_str());
    instance.trouble.as_ref().map(|trouble| trouble.why.as_str()).or(failed)
}

fn instances(view: &View<'_>) -> Vec<Value> {
    let addresses = addresses(view);
    let all = view.everywhere::<Instance>().map(|(scope, instance)| {
        json!({
            "id": instance.id, "account": &*scope.account, "region": &*scope.region, "zone": instance.zone,
            "type": instance.instance_type, "state": instance.state.name(),
            "name": instance.tags.get("Name"), "status": checks(instance),
            "trouble": trouble(instance), "address": addresses.get(&instance.id),
        })
    });
    all.collect()
}

fn stacks(view: &View<'_>) -> Vec<Value> {
    let all = view.everywhere::<Stack>().filter(|(_, stack)| stack.status != StackStatus::DeleteComplete);
    let shown = all.map(|(scope, stack)| {
        json!({
            "name": stack.name, "account": &*scope.account, "region": &*scope.region,
            "status": stack.status.as_str(), "reason": stack.reason,
        })
    });
    shown.collect()
}

fn load_balancers(view: &View<'_>, port: Option<u16>) -> Vec<Value> {
    let all = view.everywhere::<LoadBalancer>().filter(|(_, balancer)| balancer.lives());
    let shown = all.map(|(scope, balancer)| {
        let pages = view
            .everywhere::<Listener>()
            .any(|(_, listener)| listener.balancer == balancer.arn && serves_pages(listener.protocol, listener.port));
        json!({
            "name": balancer.name, "account": &*scope.account, "region": &*scope.region,
            "type": match balancer.kind {
                Kind::Application => "application",
                Kind::Network => "network",
            },
            "state": match balancer.state {
                BalancerState::Provisioning => "provisioning",
                BalancerState::Active => "active",
                BalancerState::Deleting => "deleting",
            },
            "dns_name": balancer.dns_name,
            "url": port.filter(|_| pages).and_then(|port| url(&balancer.dns_name, balancer.scheme, port)),
        })
    });
    shown.collect()
}

/// Whether a listener answers what a browser sends by `NAME.localhost`.
fn serves_pages(protocol: Protocol, port: u16) -> bool {
    port == PAGES && matches!(protocol, Protocol::Http | Protocol::Tcp | Protocol::TcpUdp)
}

/// What opens a load balancer's pages in a browser on this machine.
fn url(name: &str, scheme: Scheme, port: u16) -> Option<String> {
    (scheme == Scheme::InternetFacing).then(|| format!("http://{name}.localhost:{port}/"))
}

fn hosted_zones(view: &View<'_>) -> Vec<Value> {
    let all = view.everywhere::<HostedZone>().filter(|(_, zone)| zone.lives());
    let shown = all.map(|(scope, zone)| {
        let name = zone.name.strip_suffix('.').unwrap_or(&zone.name);
        json!({ "name": name, "id": zone.id, "account": &*scope.account, "private": zone.is_private() })
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached_from_outside_has_a_url() {
        let name = "web-1.us-east-1.elb.amazonaws.com";
        let expected = "http://web-1.us-east-1.elb.amazonaws.com.localhost:4566/";
        assert_eq!(url(name, Scheme::InternetFacing, 4566).as_deref(), Some(expected));
        assert_eq!(url(name, Scheme::Internal, 4566), None);
    }

    #[test]
    fn pages_are_at_port_80_and_not_over_tls() {
        assert!(serves_pages(Protocol::Http, 80) && serves_pages(Protocol::Tcp, 80));
        assert!(!serves_pages(Protocol::Http, 8080) && !serves_pages(Protocol::Https, 80));
        assert!(!serves_pages(Protocol::Udp, 80));
    }
}
