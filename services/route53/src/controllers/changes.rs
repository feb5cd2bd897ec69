//! Changes: forgotten when they are old, whether or not their zone still is.

use crate::model::Change;
use std::time::Duration;
use zonal_cloud::{self as cloud, Controller, Scope, Tx, View, Wake};
use zonal_wire::AwsError;

/// How long a change can be asked for.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Forgets changes. The key is a change's id.
pub struct Changes;

impl Controller for Changes {
    fn name(&self) -> &'static str {
        "route53.changes"
    }

    fn wakes_on(&self, change: &cloud::Change, _: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Change>() {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, change) in view.everywhere::<Change>() {
            wake(scope, &change.id);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(until) = tx.get::<Change>(key).map(|change| change.submitted + REMEMBERED) else {
            return Ok(Wake::OnChange);
        };
        if tx.now < until {
            return Ok(Wake::At(until));
        }
        tx.remove::<Change>(key);
        Ok(Wake::OnChange)
    }
}
