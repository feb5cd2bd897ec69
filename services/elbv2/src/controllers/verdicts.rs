//! Whether aliases may lead to a load balancer: kept for each, so that a target's health makes its region's zone anew only where that
//! changes what names answer.

use super::balancers_of;
use crate::health;
use crate::model::{LoadBalancer, TargetHealth};
use crate::operations::balancer_of_group;
use serde::{Deserialize, Serialize};
use zonal_cloud::{Change, Controller, Record, Scope, Tx, View, Wake};
use zonal_wire::AwsError;

/// What is known of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Its ARN.
    pub balancer: String,
    /// Whether each target group that it forwards to has a healthy target.
    pub healthy: bool,
}

impl Record for Verdict {
    const TABLE: &'static str = "elbv2.verdict";
    fn key(&self) -> &str {
        &self.balancer
    }
}

/// Judges each load balancer. The key is its ARN.
pub struct Verdicts;

impl Controller for Verdicts {
    fn name(&self) -> &'static str {
        "elbv2.verdicts"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<TargetHealth>() {
            let group = change.key.split('|').next().unwrap_or_default();
            balancer_of_group(view, group).into_iter().for_each(|arn| wake(&change.scope, arn));
        } else {
            balancers_of(change, view).iter().for_each(|arn| wake(&change.scope, arn));
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, balancer) in view.everywhere::<LoadBalancer>() {
            wake(scope, &balancer.arn);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let found = tx.get::<LoadBalancer>(key).filter(|balancer| balancer.lives());
        match found.map(|balancer| health::of_balancer(&tx.view(), balancer)) {
            Some(healthy) => tx.put(Verdict { balancer: key.to_owned(), healthy }),
            None => tx.remove::<Verdict>(key),
        }
        Ok(Wake::OnChange)
    }
}
