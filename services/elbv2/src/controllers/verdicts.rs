//! Whether aliases may lead to a load balancer, and its name to which of its zones: kept for each, so that a target's health makes its
//! region's zone anew only where that changes what names answer.

use super::balancers_of;
use crate::health;
use crate::model::{LoadBalancer, TargetHealth};
use crate::operations::balancer_of_group;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use zonal_cloud::{Change, Controller, Record, Scope, Tx, View, Wake};
use zonal_wire::AwsError;

/// What is known of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Its ARN.
    pub balancer: String,
    /// Whether each target group that it forwards to has a healthy target.
    pub healthy: bool,
    /// Zones where a target group has too few healthy targets.
    #[serde(default)]
    pub failing: BTreeSet<String>,
}

impl Record for Verdict {
    const TABLE: &'static str = "elbv2.verdict";
    fn key(&self) -> &str {
        &self.balancer
    }
}

impl Verdict {
    /// Of what is so now.
    #[must_use]
    pub fn of(view: &View<'_>, balancer: &LoadBalancer) -> Self {
        Self {
            balancer: balancer.arn.clone(),
            healthy: health::of_balancer(view, balancer),
            failing: health::failing_zones(view, balancer),
        }
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
        match found.map(|balancer| Verdict::of(&tx.view(), balancer)) {
            Some(verdict) => tx.put(verdict),
            None => tx.remove::<Verdict>(key),
        }
        Ok(Wake::OnChange)
    }
}
