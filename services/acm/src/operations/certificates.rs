//! Certificates. Source: AWS Certificate Manager API reference, `DescribeCertificate`, `ListCertificates`, `GetCertificate`,
//! `UpdateCertificateOptions`, `DeleteCertificate`.

use super::{Found, found, request};
use crate::errors::{Error, invalid};
use crate::model::{Algorithm, Certificate, Request, Stage};
use crate::shapes::{
    CertificateDetail, CertificateOptions, CertificateStatus, CertificateSummary,
    CertificateTransparencyLoggingPreference, CertificateType, DeleteCertificateOutput, DeleteCertificateRequest,
    DescribeCertificateRequest, DescribeCertificateResponse, Filters, GetCertificateRequest, GetCertificateResponse,
    KeyAlgorithm, ListCertificatesRequest, ListCertificatesResponse, RenewalEligibility, SortOrder,
    UpdateCertificateOptionsOutput, UpdateCertificateOptionsRequest,
};
use zonal_cloud::{Tx, View, pages};
use zonal_wire::{AwsError, Time};

/// Names that a summary shows.
const NAMES: usize = 100;

/// `DescribeCertificate`
pub fn describe(view: &View<'_>, input: &DescribeCertificateRequest) -> Result<DescribeCertificateResponse, AwsError> {
    let found = found(view, &input.certificate_arn)?;
    let mut detail = CertificateDetail {
        certificate_arn: Some(input.certificate_arn.clone()),
        domain_name: found.names().first().cloned(),
        subject_alternative_names: found.names().to_vec(),
        created_at: Some(found.created()),
        status: Some(found.status(view.now)),
        key_algorithm: found.algorithm().map(Algorithm::wire),
        type_: Some(found.kind()),
        renewal_eligibility: Some(RenewalEligibility::Ineligible),
        ..CertificateDetail::default()
    };
    if let Some(certificate) = found.certificate {
        let facts = &certificate.facts;
        detail.serial = Some(facts.serial.clone());
        detail.subject = Some(facts.subject.clone());
        detail.issuer = Some(facts.issuer.clone());
        detail.not_before = Some(facts.not_before);
        detail.not_after = Some(facts.not_after);
        detail.signature_algorithm = Some(facts.signature.clone());
        detail.in_use_by = certificate.users.iter().cloned().collect();
        detail.imported_at = found.request.is_none().then_some(certificate.imported);
    }
    if let Some(request) = found.request {
        detail.issued_at = request.issued;
        detail.domain_validation_options = request::shown(request, view.now);
        detail.options = Some(CertificateOptions {
            certificate_transparency_logging_preference: Some(match request.logged {
                true => CertificateTransparencyLoggingPreference::Enabled,
                false => CertificateTransparencyLoggingPreference::Disabled,
            }),
            ..CertificateOptions::default()
        });
    }
    Ok(DescribeCertificateResponse { certificate: Some(detail) })
}

impl Found<'_> {
    fn names(&self) -> &[String] {
        match (self.request, self.certificate) {
            (Some(request), _) => &request.names,
            (None, Some(certificate)) => &certificate.facts.names,
            (None, None) => &[],
        }
    }

    fn arn(&self) -> &str {
        self.request.map(|request| &request.arn).or(self.certificate.map(|own| &own.arn)).map_or("", String::as_str)
    }

    fn created(&self) -> Time {
        self.request.map(|request| request.created).or(self.certificate.map(|own| own.created)).unwrap_or(Time(0))
    }

    /// What was asked for, else what it is.
    fn algorithm(&self) -> Option<Algorithm> {
        self.request.map(|request| request.algorithm).or(self.certificate.map(|own| own.facts.algorithm))
    }

    fn kind(&self) -> CertificateType {
        if self.request.is_some() { CertificateType::AmazonIssued } else { CertificateType::Imported }
    }

    fn status(&self, now: Time) -> CertificateStatus {
        match (self.certificate, self.request.map(|request| request.stage(now))) {
            (Some(own), _) if now > own.facts.not_after => CertificateStatus::Expired,
            (Some(_), _) => CertificateStatus::Issued,
            (None, Some(Stage::TimedOut)) => CertificateStatus::ValidationTimedOut,
            (None, _) => CertificateStatus::PendingValidation,
        }
    }
}

/// `ListCertificates`
pub fn list(view: &View<'_>, input: &ListCertificatesRequest) -> Result<ListCertificatesResponse, AwsError> {
    let wanted = |found: &Found<'_>| {
        (input.certificate_statuses.is_empty() || input.certificate_statuses.contains(&found.status(view.now)))
            && has_key(found, input.includes.as_ref())
    };
    if input.sort_by.is_some() != input.sort_order.is_some() {
        return Err(invalid("SortBy and SortOrder must be specified together.").into());
    }
    let descends = input.sort_order == Some(SortOrder::Descending);
    // Pages are cut by what they are sorted by, so that those that come and go between two move no others.
    let key = |found: &Found<'_>| {
        let created = if descends { i64::MAX - found.created().0 } else { found.created().0 };
        format!("{created:020} {}", found.arn())
    };
    let requested = view
        .list::<Request>()
        .map(|request| Found { certificate: view.get::<Certificate>(&request.arn), request: Some(request) });
    let imported = view.list::<Certificate>().filter(|own| view.get::<Request>(&own.arn).is_none());
    let imported = imported.map(|certificate| Found { certificate: Some(certificate), request: None });
    let mut certificates: Vec<_> = requested.chain(imported).filter(wanted).map(|found| (key(&found), found)).collect();
    certificates.sort_by(|(one, _), (other, _)| one.cmp(other));
    let items = certificates.into_iter().map(|(key, found)| (key, summary(&found, view.now)));
    let size = input.max_items.and_then(|size| usize::try_from(size).ok()).unwrap_or(1000);
    let page = pages::page(items, input.next_token.as_deref(), Some(size));
    let (list, next_token) = page.map_err(|_| invalid("The NextToken is not valid."))?;
    Ok(ListCertificatesResponse { certificate_summary_list: list, next_token })
}

/// Without a filter of key types, RSA keys of up to 2048 bits are listed, as AWS does it.
fn has_key(found: &Found<'_>, filters: Option<&Filters>) -> bool {
    let algorithm = found.algorithm().map(Algorithm::wire);
    let filters = filters.filter(|filters| !filters.key_types.is_empty());
    filters.map_or(algorithm == Some(KeyAlgorithm::Rsa2048), |filters| {
        algorithm.is_some_and(|algorithm| filters.key_types.contains(&algorithm))
    })
}

fn summary(found: &Found<'_>, now: Time) -> CertificateSummary {
    let names = found.names();
    CertificateSummary {
        certificate_arn: Some(found.arn().to_owned()),
        domain_name: names.first().cloned(),
        subject_alternative_name_summaries: names.iter().take(NAMES).cloned().collect(),
        has_additional_subject_alternative_names: Some(names.len() > NAMES),
        status: Some(found.status(now)),
        type_: Some(found.kind()),
        key_algorithm: found.algorithm().map(Algorithm::wire),
        in_use: Some(found.certificate.is_some_and(|own| !own.users.is_empty())),
        renewal_eligibility: Some(RenewalEligibility::Ineligible),
        not_before: found.certificate.map(|own| own.facts.not_before),
        not_after: found.certificate.map(|own| own.facts.not_after),
        created_at: Some(found.created()),
        issued_at: found.request.and_then(|request| request.issued),
        imported_at: found.certificate.filter(|_| found.request.is_none()).map(|own| own.imported),
        ..CertificateSummary::default()
    }
}

/// `GetCertificate`
pub fn get(view: &View<'_>, input: &GetCertificateRequest) -> Result<GetCertificateResponse, AwsError> {
    let found = found(view, &input.certificate_arn)?.certificate;
    let found = found.ok_or_else(|| Error::InProgress(input.certificate_arn.clone()))?;
    Ok(GetCertificateResponse { certificate: Some(found.body.clone()), certificate_chain: found.chain.clone() })
}

/// `UpdateCertificateOptions`: of those that were requested; imported ones have none.
pub fn update_options(
    tx: &mut Tx<'_>,
    input: &UpdateCertificateOptionsRequest,
) -> Result<UpdateCertificateOptionsOutput, AwsError> {
    let Some(request) = found(&tx.view(), &input.certificate_arn)?.request.cloned() else {
        return Err(Error::NoOptions(input.certificate_arn.clone()).into());
    };
    if let Some(preference) = input.options.certificate_transparency_logging_preference {
        tx.put(Request { logged: request::is_logged(Some(preference)), ..request });
    }
    Ok(UpdateCertificateOptionsOutput {})
}

/// `DeleteCertificate`
pub fn delete(tx: &mut Tx<'_>, input: &DeleteCertificateRequest) -> Result<DeleteCertificateOutput, AwsError> {
    let found = found(&tx.view(), &input.certificate_arn)?;
    if found.certificate.is_some_and(|own| !own.users.is_empty()) {
        return Err(Error::InUse(input.certificate_arn.clone()).into());
    }
    tx.remove::<Certificate>(&input.certificate_arn);
    tx.remove::<Request>(&input.certificate_arn);
    Ok(DeleteCertificateOutput {})
}
