//! Tags of certificates. Source: AWS Certificate Manager API reference, `AddTagsToCertificate`, `RemoveTagsFromCertificate`,
//! `ListTagsForCertificate`.

use super::{Found, found};
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
    let by_service = tx.caller.is_service();
    change(tx, &input.certificate_arn, |tags| merge(tags, &input.tags, by_service))?;
    Ok(AddTagsToCertificateOutput {})
}

/// `RemoveTagsFromCertificate`: a tag that is given with a value goes only if it has that value.
pub fn remove(
    tx: &mut Tx<'_>,
    input: &RemoveTagsFromCertificateRequest,
) -> Result<RemoveTagsFromCertificateOutput, AwsError> {
    change(tx, &input.certificate_arn, |tags| {
        tags.retain(|key, value| {
            !input.tags.iter().any(|tag| tag.key == *key && tag.value.as_ref().is_none_or(|given| given == value))
        });
        Ok(())
    })?;
    Ok(RemoveTagsFromCertificateOutput {})
}

/// `ListTagsForCertificate`
pub fn list(
    view: &View<'_>,
    input: &ListTagsForCertificateRequest,
) -> Result<ListTagsForCertificateResponse, AwsError> {
    let found = found(view, &input.certificate_arn)?;
    // A requested certificate's are its request's.
    let tags = found.request.map(|request| &request.tags).or(found.certificate.map(|certificate| &certificate.tags));
    let tags = tags.into_iter().flatten();
    let tags = tags.map(|(key, value)| Tag { key: key.clone(), value: Some(value.clone()) });
    Ok(ListTagsForCertificateResponse { tags: tags.collect() })
}

/// Changes the tags of what has that ARN.
fn change(tx: &mut Tx<'_>, arn: &str, act: impl FnOnce(&mut Tags) -> Result<(), Error>) -> Result<(), Error> {
    let view = tx.view();
    let Found { certificate, request } = found(&view, arn)?;
    match (request.cloned(), certificate.cloned()) {
        (Some(mut request), _) => {
            act(&mut request.tags)?;
            tx.put(request);
        }
        (None, Some(mut certificate)) => {
            act(&mut certificate.tags)?;
            tx.put(certificate);
        }
        (None, None) => {}
    }
    Ok(())
}

/// Adds tags.
pub(crate) fn merge(tags: &mut Tags, new: &[Tag], by_service: bool) -> Result<(), Error> {
    let pairs = new.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
    zonal_cloud::tags::merge(tags, pairs, by_service).map_err(|error| match error {
        TagError::TooMany => Error::TooManyTags,
        other => Error::InvalidTag(other.to_string()),
    })
}
