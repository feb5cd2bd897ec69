//! Requests: names are looked up as anybody would, and once all are found the world's own authority signs.

use crate::model::{Certificate, Method, Request, Stage, TERM};
use crate::reading;
use std::time::Duration;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_dns::ask;
use zonal_substrate::{Ask, Report};
use zonal_wire::AwsError;

/// How often names are looked up that were not found, at first; later a tenth of the time that they have been missing. A change in
/// Route 53 is noticed at once.
const EVERY: Duration = Duration::from_secs(10);
/// Days that a certificate holds. Source: ACM User Guide, "Certificate characteristics" (13 months).
const VALID: i64 = 395;
const DAY: i64 = 86_400;
/// Changes of Route 53's zones: no service touches another's tables, but a change in one can be seen.
const ZONE_CHANGES: &str = "route53.change";

/// Drives requests. The key is the ARN.
pub struct Requests;

impl Controller for Requests {
    fn name(&self) -> &'static str {
        "acm.requests"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Request>() {
            wake(&change.scope, &change.key);
        } else if change.table == ZONE_CHANGES {
            for (scope, request) in view.everywhere::<Request>().filter(|(_, request)| request.issued.is_none()) {
                wake(scope, &request.arn);
            }
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, request) in view.everywhere::<Request>() {
            wake(scope, &request.arn);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(request) = tx.get::<Request>(key).cloned() else { return Ok(Wake::OnChange) };
        if request.stage(tx.now) == Stage::Validating && request.method == Method::Dns {
            for (at, validation) in request.validations.iter().enumerate().filter(|(_, validation)| !validation.done) {
                if let Ok(query) = ask::query(&validation.name, "CNAME", None) {
                    tx.ask(Ask::LookUp { id: format!("{key} {at}"), query });
                }
            }
        }
        Ok(match request.stage(tx.now) {
            Stage::Validating => {
                let age = Duration::from_micros((tx.now.0 - request.created.0).unsigned_abs());
                // At the end of the term it is seen that it has passed.
                Wake::At((tx.now + EVERY.max(age / 10)).min(request.created + TERM + EVERY))
            }
            Stage::Issuing => {
                let today = tx.now.0.div_euclid(1_000_000 * DAY);
                tx.ask(Ask::IssueCertificate {
                    id: request.arn.clone(),
                    names: request.names.clone(),
                    days: (today, today + VALID),
                });
                Wake::OnChange
            }
            Stage::TimedOut | Stage::Issued => Wake::OnChange,
        })
    }
}

/// The world has looked names up, or its authority has signed.
pub fn heard(tx: &mut Tx<'_>, report: &Report) {
    if let Report::LookedUp { id, answer: Some(answer) } = report {
        looked_up(tx, id, answer);
    }
    let Report::CertificateIssued { id, certificate, chain, private_key } = report else { return };
    let Some((scope, request)) = tx.find::<Request>(id).map(|(scope, request)| (scope.clone(), request.clone())) else {
        return;
    };
    if request.issued.is_some() {
        return;
    }
    let facts = match reading::read(certificate, private_key, Some(chain), tx.now) {
        Ok(facts) => facts,
        // It is asked for again at the next full pass.
        Err(_) => return,
    };
    let (arn, now) = (request.arn.clone(), tx.now);
    let certificate = Certificate {
        arn,
        body: certificate.clone(),
        chain: Some(chain.clone()),
        private_key: private_key.clone(),
        facts,
        created: request.created,
        imported: now,
        users: std::collections::BTreeSet::new(),
        tags: zonal_cloud::tags::Tags::new(),
    };
    tx.within(&scope, |tx| {
        tx.put(certificate);
        tx.put(Request { issued: Some(now), ..request });
    });
}

/// Notes a name of a request that was found. The id is the request's ARN and the name's place.
fn looked_up(tx: &mut Tx<'_>, id: &str, answer: &[u8]) {
    let Some((arn, at)) = id.split_once(' ').and_then(|(arn, at)| Some((arn, at.parse::<usize>().ok()?))) else {
        return;
    };
    let Some((scope, request)) = tx.find::<Request>(arn).map(|(scope, request)| (scope.clone(), request.clone()))
    else {
        return;
    };
    let mut request = request;
    let said = ask::read(answer, "CNAME").unwrap_or_default();
    if request.stage(tx.now) != Stage::Validating {
        return;
    }
    let Some(validation) = request.validations.get_mut(at).filter(|validation| !validation.done) else { return };
    validation.done = said.values.iter().any(|value| value.eq_ignore_ascii_case(&validation.value));
    if validation.done {
        tx.within(&scope, |tx| tx.put(request));
    }
}
