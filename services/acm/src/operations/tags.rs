//! Tags of certificates. Source: AWS Certificate Manager API reference, `AddTagsToCertificate`, `RemoveTagsFromCertificate`,
//! `ListTagsForCertificate`.

use super::certificate;
use crate::errors::Error;
use crate::shapes::{
    AddTagsToCertificateOutput, AddTagsToCertificateRequest, ListTagsForCertificateRequest,
    ListTagsForCertificateResponse, RemoveTagsFromCertificateOutput, RemoveTagsFromCertificateRequest, Tag,
};
use zonal_cloud::tags::{TagError, Tags};
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// `AddTagsToCertificate`
pub fn add(tx: &mut Tx<'_>, input: &AddTagsToCertificateRequest) -> Result<AddTagsToCertificateOutput, AwsError> {
    let mut changed = certificate(&tx.view(), &input.certificate_arn)?.clone();
    merge(&mut changed.tags, &input.tags, tx.caller.is_service())?;
    tx.put(changed);
    Ok(AddTagsToCertificateOutput {})
}

/// `RemoveTagsFromCertificate`: a tag that is given with a value goes only if it has that value.
pub fn remove(
    tx: &mut Tx<'_>,
    input: &RemoveTagsFromCertificateRequest,
) -> Result<RemoveTagsFromCertificateOutput, AwsError> {
    let mut changed = certificate(&tx.view(), &input.certificate_arn)?.clone();
    changed.tags.retain(|key, value| {
        !input.tags.iter().any(|tag| tag.key == *key && tag.value.as_ref().is_none_or(|given| given == value))
    });
    tx.put(changed);
    Ok(RemoveTagsFromCertificateOutput {})
}

/// `ListTagsForCertificate`
pub fn list(
    view: &View<'_>,
    input: &ListTagsForCertificateRequest,
) -> Result<ListTagsForCertificateResponse, AwsError> {
    let tags = certificate(view, &input.certificate_arn)?.tags.iter();
    let tags = tags.map(|(key, value)| Tag { key: key.clone(), value: Some(value.clone()) });
    Ok(ListTagsForCertificateResponse { tags: tags.collect() })
}

/// Adds tags.
pub(crate) fn merge(tags: &mut Tags, new: &[Tag], by_service: bool) -> Result<(), Error> {
    let pairs = new.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
    zonal_cloud::tags::merge(tags, pairs, by_service).map_err(|error| match error {
        TagError::TooMany => Error::TooManyTags,
        other => Error::InvalidTag(other.to_string()),
    })
}
