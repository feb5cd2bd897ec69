//! Tags of hosted zones. Source: Route 53 API reference, `ChangeTagsForResource`, `ListTagsForResource`, `ListTagsForResources`.

use super::{globally, seen_globally, zone};
use crate::errors::{Error, invalid};
use crate::shapes::{
    ChangeTagsForResourceRequest, ChangeTagsForResourceResponse, ListTagsForResourceRequest,
    ListTagsForResourceResponse, ListTagsForResourcesRequest, ListTagsForResourcesResponse, ResourceTagSet, Tag,
    TagResourceType,
};
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

fn check(kind: TagResourceType, id: &str) -> Result<(), Error> {
    match kind {
        TagResourceType::Hostedzone => Ok(()),
        TagResourceType::Healthcheck => Err(Error::NoSuchHealthCheck(id.to_owned())),
    }
}

/// `ChangeTagsForResource`
pub fn change(
    tx: &mut Tx<'_>,
    input: &ChangeTagsForResourceRequest,
) -> Result<ChangeTagsForResourceResponse, AwsError> {
    check(input.resource_type, &input.resource_id)?;
    let by_service = tx.caller.is_service();
    globally(tx, |tx| {
        let mut changed = zone(&tx.view(), &input.resource_id)?.clone();
        changed.tags.retain(|key, _| !input.remove_tag_keys.contains(key));
        let pairs = input
            .add_tags
            .iter()
            .map(|tag| (tag.key.clone().unwrap_or_default(), tag.value.clone().unwrap_or_default()));
        zonal_cloud::tags::merge(&mut changed.tags, pairs, by_service).map_err(|error| invalid(error.to_string()))?;
        tx.put(changed);
        Ok(ChangeTagsForResourceResponse {})
    })
}

/// `ListTagsForResource`
pub fn list(view: &View<'_>, input: &ListTagsForResourceRequest) -> Result<ListTagsForResourceResponse, AwsError> {
    Ok(ListTagsForResourceResponse { resource_tag_set: set(view, input.resource_type, &input.resource_id)? })
}

/// `ListTagsForResources`
pub fn list_several(
    view: &View<'_>,
    input: &ListTagsForResourcesRequest,
) -> Result<ListTagsForResourcesResponse, AwsError> {
    let sets = input.resource_ids.iter().map(|id| set(view, input.resource_type, id));
    Ok(ListTagsForResourcesResponse { resource_tag_sets: sets.collect::<Result<_, _>>()? })
}

fn set(view: &View<'_>, kind: TagResourceType, id: &str) -> Result<ResourceTagSet, Error> {
    check(kind, id)?;
    seen_globally(view, |view| {
        let tags = zone(view, id)?.tags.iter();
        Ok(ResourceTagSet {
            resource_type: Some(kind),
            resource_id: Some(id.to_owned()),
            tags: tags.map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect(),
        })
    })
}
