//! Tags of parameters. Source: AWS Systems Manager API reference, `AddTagsToResource`, `RemoveTagsFromResource`,
//! `ListTagsForResource`.

use crate::errors::{Error, invalid};
use crate::model::Parameter;
use crate::shapes::{
    AddTagsToResourceRequest, AddTagsToResourceResult, ListTagsForResourceRequest, ListTagsForResourceResult,
    RemoveTagsFromResourceRequest, RemoveTagsFromResourceResult, ResourceTypeForTagging, Tag,
};
use zonal_cloud::tags::{TagError, Tags};
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// `AddTagsToResource`
pub fn add(tx: &mut Tx<'_>, input: &AddTagsToResourceRequest) -> Result<AddTagsToResourceResult, AwsError> {
    let mut changed = parameter(&tx.view(), input.resource_type, &input.resource_id)?.clone();
    merge(&mut changed.tags, &input.tags, tx.caller.is_service())?;
    tx.put(changed);
    Ok(AddTagsToResourceResult {})
}

/// `RemoveTagsFromResource`
pub fn remove(
    tx: &mut Tx<'_>,
    input: &RemoveTagsFromResourceRequest,
) -> Result<RemoveTagsFromResourceResult, AwsError> {
    let mut changed = parameter(&tx.view(), input.resource_type, &input.resource_id)?.clone();
    changed.tags.retain(|key, _| !input.tag_keys.contains(key));
    tx.put(changed);
    Ok(RemoveTagsFromResourceResult {})
}

/// `ListTagsForResource`
pub fn list(view: &View<'_>, input: &ListTagsForResourceRequest) -> Result<ListTagsForResourceResult, AwsError> {
    let tags = parameter(view, input.resource_type, &input.resource_id)?.tags.iter();
    Ok(ListTagsForResourceResult {
        tag_list: tags.map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect(),
    })
}

fn parameter<'a>(view: &View<'a>, kind: ResourceTypeForTagging, id: &str) -> Result<&'a Parameter, Error> {
    if kind != ResourceTypeForTagging::Parameter {
        return Err(Error::ResourceType(kind.to_string()));
    }
    super::parameter(view, id).ok_or_else(|| Error::ResourceId(id.to_owned()))
}

/// Adds tags.
pub(crate) fn merge(tags: &mut Tags, new: &[Tag], by_service: bool) -> Result<(), Error> {
    let pairs = new.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
    zonal_cloud::tags::merge(tags, pairs, by_service).map_err(|error| match error {
        TagError::TooMany => Error::TooManyTags,
        other => invalid(other.to_string()),
    })
}
