//! One controller per thing that is driven towards what is stored.

pub mod balancers;
pub mod names;
pub mod targets;
pub mod verdicts;

use crate::albs;
use crate::model::{Listener, LoadBalancer, Rule, Target, TargetGroup};
use crate::operations::balancer_of_group;
use zonal_cloud::{Change, View};

/// EC2's table of instances: their changes may change targets. Read only through EC2's operations.
pub(crate) const EC2_INSTANCES: &str = "ec2.instance";

/// EC2's table of zones that are cut off.
pub(crate) const EC2_OUTAGES: &str = "ec2.zone_outage";

/// The load balancers whose configuration a change may touch.
pub(crate) fn balancers_of(change: &Change, view: &View<'_>) -> Vec<String> {
    if change.is::<LoadBalancer>() {
        let mut all = albs::in_front_of(view, &change.key);
        all.push(change.key.clone());
        return all;
    }
    if change.is::<Listener>() || change.is::<Rule>() {
        // The record may be gone; its ARN still begins as its load balancer's does.
        return balancer_in(&change.key).into_iter().collect();
    }
    let users = zonal_acm::users_of(change, view);
    if !users.is_empty() {
        return users;
    }
    let group = if change.is::<TargetGroup>() {
        change.key.as_str()
    } else if change.is::<Target>() {
        change.key.split('|').next().unwrap_or_default()
    } else {
        return Vec::new();
    };
    balancer_of_group(view, group).map(ToOwned::to_owned).into_iter().collect()
}

/// The load balancer's ARN in a listener's or rule's.
fn balancer_in(arn: &str) -> Option<String> {
    let (head, tail) = arn.split_once(":listener")?;
    let mut parts = tail.strip_prefix("-rule").unwrap_or(tail).strip_prefix('/')?.split('/');
    Some(format!("{head}:loadbalancer/{}/{}/{}", parts.next()?, parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listeners_and_a_rules_arn_name_their_load_balancer() {
        let expected = Some("arn:aws:elasticloadbalancing:r:1:loadbalancer/app/a/1".to_owned());
        assert_eq!(balancer_in("arn:aws:elasticloadbalancing:r:1:listener/app/a/1/2"), expected);
        assert_eq!(balancer_in("arn:aws:elasticloadbalancing:r:1:listener-rule/app/a/1/2/3"), expected);
        let network = Some("arn:aws:elasticloadbalancing:r:1:loadbalancer/net/a/1".to_owned());
        assert_eq!(balancer_in("arn:aws:elasticloadbalancing:r:1:listener/net/a/1/2"), network);
    }
}
