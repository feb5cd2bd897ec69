//! Certificates. Source: AWS Certificate Manager API reference, `DescribeCertificate`, `ListCertificates`, `GetCertificate`,
//! `DeleteCertificate`.

use super::certificate;
use crate::errors::{Error, invalid};
use crate::model::Certificate;
use crate::shapes::{
    CertificateDetail, CertificateStatus, CertificateSummary, CertificateType, DeleteCertificateOutput,
    DeleteCertificateRequest, DescribeCertificateRequest, DescribeCertificateResponse, Filters, GetCertificateRequest,
    GetCertificateResponse, KeyAlgorithm, ListCertificatesRequest, ListCertificatesResponse, RenewalEligibility,
    SortOrder,
};
use zonal_cloud::{Tx, View, pages};
use zonal_wire::{AwsError, Time};

/// Names that a summary shows.
const NAMES: usize = 100;

/// `DescribeCertificate`
pub fn describe(view: &View<'_>, input: &DescribeCertificateRequest) -> Result<DescribeCertificateResponse, AwsError> {
    let found = certificate(view, &input.certificate_arn)?;
    let facts = &found.facts;
    let detail = CertificateDetail {
        certificate_arn: Some(found.arn.clone()),
        domain_name: Some(facts.domain.clone()),
        subject_alternative_names: facts.names.clone(),
        serial: Some(facts.serial.clone()),
        subject: Some(facts.subject.clone()),
        issuer: Some(facts.issuer.clone()),
        created_at: Some(found.created),
        imported_at: Some(found.imported),
        status: Some(status(found, view.now)),
        not_before: Some(facts.not_before),
        not_after: Some(facts.not_after),
        key_algorithm: Some(facts.algorithm.wire()),
        signature_algorithm: Some(facts.signature.clone()),
        in_use_by: found.users.iter().cloned().collect(),
        type_: Some(CertificateType::Imported),
        renewal_eligibility: Some(RenewalEligibility::Ineligible),
        ..CertificateDetail::default()
    };
    Ok(DescribeCertificateResponse { certificate: Some(detail) })
}

fn status(certificate: &Certificate, now: Time) -> CertificateStatus {
    if now > certificate.facts.not_after { CertificateStatus::Expired } else { CertificateStatus::Issued }
}

/// `ListCertificates`
pub fn list(view: &View<'_>, input: &ListCertificatesRequest) -> Result<ListCertificatesResponse, AwsError> {
    let wanted = |found: &&Certificate| {
        (input.certificate_statuses.is_empty() || input.certificate_statuses.contains(&status(found, view.now)))
            && has_key(found, input.includes.as_ref())
    };
    if input.sort_by.is_some() != input.sort_order.is_some() {
        return Err(invalid("SortBy and SortOrder must be specified together.").into());
    }
    let descends = input.sort_order == Some(SortOrder::Descending);
    // Pages are cut by what they are sorted by, so that those that come and go between two move no others.
    let key = |found: &Certificate| {
        let created = if descends { i64::MAX - found.created.0 } else { found.created.0 };
        format!("{created:020} {}", found.arn)
    };
    let mut certificates: Vec<_> = view.list::<Certificate>().filter(wanted).map(|found| (key(found), found)).collect();
    certificates.sort_by(|(one, _), (other, _)| one.cmp(other));
    let items = certificates.into_iter().map(|(key, found)| (key, summary(found, view.now)));
    let size = input.max_items.and_then(|size| usize::try_from(size).ok()).unwrap_or(1000);
    let page = pages::page(items, input.next_token.as_deref(), Some(size));
    let (list, next_token) = page.map_err(|_| invalid("The NextToken is not valid."))?;
    Ok(ListCertificatesResponse { certificate_summary_list: list, next_token })
}

/// Without a filter of key types, RSA keys of up to 2048 bits are listed, as AWS does it.
fn has_key(found: &Certificate, filters: Option<&Filters>) -> bool {
    let algorithm = found.facts.algorithm.wire();
    let filters = filters.filter(|filters| !filters.key_types.is_empty());
    filters.map_or(algorithm == KeyAlgorithm::Rsa2048, |filters| filters.key_types.contains(&algorithm))
}

fn summary(found: &Certificate, now: Time) -> CertificateSummary {
    let facts = &found.facts;
    CertificateSummary {
        certificate_arn: Some(found.arn.clone()),
        domain_name: Some(facts.domain.clone()),
        subject_alternative_name_summaries: facts.names.iter().take(NAMES).cloned().collect(),
        has_additional_subject_alternative_names: Some(facts.names.len() > NAMES),
        status: Some(status(found, now)),
        type_: Some(CertificateType::Imported),
        key_algorithm: Some(facts.algorithm.wire()),
        in_use: Some(!found.users.is_empty()),
        renewal_eligibility: Some(RenewalEligibility::Ineligible),
        not_before: Some(facts.not_before),
        not_after: Some(facts.not_after),
        created_at: Some(found.created),
        imported_at: Some(found.imported),
        ..CertificateSummary::default()
    }
}

/// `GetCertificate`
pub fn get(view: &View<'_>, input: &GetCertificateRequest) -> Result<GetCertificateResponse, AwsError> {
    let found = certificate(view, &input.certificate_arn)?;
    Ok(GetCertificateResponse { certificate: Some(found.body.clone()), certificate_chain: found.chain.clone() })
}

/// `DeleteCertificate`
pub fn delete(tx: &mut Tx<'_>, input: &DeleteCertificateRequest) -> Result<DeleteCertificateOutput, AwsError> {
    let found = certificate(&tx.view(), &input.certificate_arn)?;
    if !found.users.is_empty() {
        return Err(Error::InUse(found.arn.clone()).into());
    }
    let arn = found.arn.clone();
    tx.remove::<Certificate>(&arn);
    Ok(DeleteCertificateOutput {})
}
