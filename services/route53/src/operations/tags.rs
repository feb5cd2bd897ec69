//! Tags of hosted zones and health checks. Source: Route 53 API reference, `ChangeTagsForResource`, `ListTagsForResource`, `ListTagsForResources`.

use super::checks::check;
use super::{globally, seen_globally, zone};
use crate::errors::{Error, invalid};
use crate::model::{HealthCheck, HostedZone};
use crate::shapes::{
    ChangeTagsForResourceRequest, ChangeTagsForResourceResponse, ListTagsForResourceRequest,
    ListTagsForResourceResponse, ListTagsForResourcesRequest, ListTagsForResourcesResponse, ResourceTagSet, Tag,
    TagResourceType,
};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// The tags of what a request names.
fn tags<'a>(view: &View<'a>, kind: TagResourceType, id: &str) -> Result<&'a Tags, Error> {
    Ok(match kind {
        TagResourceType::Hostedzone => &zone(view, id)?.tags,
        TagResourceType::Healthcheck => &check(view, id)?.tags,
    })
}

/// `ChangeTagsForResource`
pub fn change(
    tx: &mut Tx<'_>,
    input: &ChangeTagsForResourceRequest,
) -> Result<ChangeTagsForResourceResponse, AwsError> {
    let by_service = tx.caller.is_service();
    globally(tx, |tx| {
        let id = &input.resource_id;
        let mut changed = tags(&tx.view(), input.resource_type, id)?.clone();
        changed.retain(|key, _| !input.remove_tag_keys.contains(key));
        let pairs = input
            .add_tags
            .iter()
            .map(|tag| (tag.key.clone().unwrap_or_default(), tag.value.clone().unwrap_or_default()));
        zonal_cloud::tags::merge(&mut changed, pairs, by_service).map_err(|error| invalid(error.to_string()))?;
        match input.resource_type {
            TagResourceType::Hostedzone => {
                let owner = zone(&tx.view(), id)?.clone();
                tx.put(HostedZone { tags: changed, ..owner });
            }
            TagResourceType::Healthcheck => {
                let owner = check(&tx.view(), id)?.clone();
                tx.put(HealthCheck { tags: changed, ..owner });
            }
        }
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
    seen_globally(view, |view| {
        let tags = tags(view, kind, id)?.iter();
        Ok(ResourceTagSet {
            resource_type: Some(kind),
            resource_id: Some(id.to_owned()),
            tags: tags.map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect(),
        })
    })
}
