//! Health checks: the world probes the endpoints of those that look at one; alarms are looked at as their users do.

use crate::model::{Endpoint, HealthCheck, Insufficient, Seen, Subject};
use crate::operations::alarms;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_cloudwatch::shapes::StateValue;
use zonal_dns::config::{Check, Probe, Tls};
use zonal_substrate::{Ask, Report};
use zonal_wire::AwsError;

/// CloudWatch's alarms: no service touches another's tables, but a change in one can be seen.
const ALARMS: &str = "cloudwatch.alarm";

/// Drives what the world probes. The key is the health check's id.
pub struct Checks;

impl Controller for Checks {
    fn name(&self) -> &'static str {
        "route53.checks"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<HealthCheck>() {
            wake(&change.scope, &change.key);
        } else if change.table == ALARMS {
            let scope = change.scope.global();
            let is_on = |check: &&HealthCheck| match &check.subject {
                Subject::Alarm(alarm) => (&*change.scope.region, &change.key) == (alarm.region.as_str(), &alarm.name),
                _ => false,
            };
            for check in view.at(&scope).list::<HealthCheck>().filter(is_on) {
                wake(&scope, &check.id);
            }
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, check) in view.everywhere::<HealthCheck>() {
            wake(scope, &check.id);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let probe = tx.get::<HealthCheck>(key).filter(|check| !check.disabled).and_then(|check| match &check.subject {
            Subject::Endpoint(endpoint) => probe(key, endpoint),
            Subject::Calculated { .. } | Subject::Alarm(_) => None,
        });
        look(tx, key);
        tx.ask(match probe {
            Some(probe) => Ask::PutProbe(Box::new(probe)),
            None => Ask::RemoveProbe(key.to_owned()),
        });
        Ok(Wake::OnChange)
    }
}

/// Looks at a check's alarm, if it is on one.
fn look(tx: &mut Tx<'_>, key: &str) {
    let Some(check) = tx.get::<HealthCheck>(key).filter(|check| !check.disabled).cloned() else { return };
    let Subject::Alarm(alarm) = &check.subject else { return };
    let (healthy, outcome) = match alarms::state(tx, &alarm.region, &alarm.name) {
        Some(StateValue::Ok) => (true, "Success: the alarm is in the OK state"),
        Some(StateValue::Alarm) => (false, "Failure: the alarm is in the ALARM state"),
        Some(StateValue::InsufficientData) | None => {
            let before = check.seen.as_ref().is_none_or(|seen| seen.healthy);
            let healthy = match alarm.insufficient {
                Insufficient::Healthy => true,
                Insufficient::Unhealthy => false,
                Insufficient::LastKnownStatus => before,
            };
            (healthy, "Unknown: the alarm has insufficient data")
        }
    };
    let is_news = check.seen.as_ref().is_none_or(|seen| (seen.healthy, seen.outcome.as_str()) != (healthy, outcome));
    if is_news {
        let seen = Some(Seen { healthy, address: None, outcome: outcome.to_owned(), at: tx.now });
        tx.put(HealthCheck { seen, ..check });
    }
}

/// What the world is to do about an endpoint. One without address and name there is none.
fn probe(id: &str, endpoint: &Endpoint) -> Option<Probe> {
    let check = match endpoint.kind.as_str() {
        "TCP" => Check::Tcp,
        _ => Check::Http {
            path: endpoint.path.clone().unwrap_or_else(|| "/".to_owned()),
            host: endpoint.name.clone(),
            search: endpoint.search.clone(),
            tls: endpoint
                .kind
                .starts_with("HTTPS")
                .then(|| Tls { server_name: endpoint.name.clone().filter(|_| endpoint.enable_sni) }),
        },
    };
    Some(Probe {
        id: id.to_owned(),
        host: endpoint.address.clone().or_else(|| endpoint.name.clone())?,
        port: endpoint.port,
        check,
        interval: endpoint.interval,
        threshold: endpoint.threshold,
    })
}

/// Takes in what the world says of an endpoint.
pub(crate) fn heard(tx: &mut Tx<'_>, report: &Report) {
    let Report::Probed { id, healthy, address, outcome } = report else { return };
    let found = tx.find::<HealthCheck>(id).map(|(scope, check)| (scope.clone(), check.clone()));
    if let Some((scope, check)) = found {
        let address = address.map(|address| address.to_string());
        // A plane that has just begun has too little to say: what was known before still holds.
        let healthy = healthy.unwrap_or_else(|| check.seen.as_ref().is_none_or(|seen| seen.healthy));
        let seen = Seen { healthy, address, outcome: outcome.clone(), at: tx.now };
        tx.within(&scope, |tx| tx.put(HealthCheck { seen: Some(seen), ..check }));
    }
}
