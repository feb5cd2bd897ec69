//! Tags of alarms.

use crate::errors::Error;
use crate::model::{Alarm, Composite};
use crate::shapes::{
    ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResourceInput, TagResourceOutput, UntagResourceInput,
    UntagResourceOutput,
};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Scope, Tx, View};
use zonal_wire::AwsError;

/// Adds tags to those there are.
pub fn merge(tags: &mut Tags, new: &[Tag], by_service: bool) -> Result<(), Error> {
    let pairs = new.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
    zonal_cloud::tags::merge(tags, pairs, by_service).map_err(|error| Error::Value(error.to_string()))
}

fn name_of(scope: &Scope, arn: &str) -> Result<String, Error> {
    let prefix = super::alarms::arn(scope, "");
    arn.strip_prefix(&prefix).map(ToOwned::to_owned).ok_or_else(|| Error::TagTargetNotFound(arn.to_owned()))
}

/// TagResource.
pub fn tag(tx: &mut Tx<'_>, input: &TagResourceInput) -> Result<TagResourceOutput, AwsError> {
    let name = name_of(&tx.scope, &input.resource_arn)?;
    let by_service = tx.caller.is_service();
    let merged = tx
        .update::<Alarm, _>(&name, |alarm| merge(&mut alarm.tags, &input.tags, by_service))
        .or_else(|| tx.update::<Composite, _>(&name, |alarm| merge(&mut alarm.tags, &input.tags, by_service)));
    merged.ok_or_else(|| Error::TagTargetNotFound(input.resource_arn.clone()))??;
    Ok(TagResourceOutput::default())
}

/// UntagResource.
pub fn untag(tx: &mut Tx<'_>, input: &UntagResourceInput) -> Result<UntagResourceOutput, AwsError> {
    let name = name_of(&tx.scope, &input.resource_arn)?;
    let keep = |tags: &mut Tags| tags.retain(|key, _| !input.tag_keys.contains(key));
    tx.update::<Alarm, _>(&name, |alarm| keep(&mut alarm.tags))
        .or_else(|| tx.update::<Composite, _>(&name, |alarm| keep(&mut alarm.tags)))
        .ok_or_else(|| Error::TagTargetNotFound(input.resource_arn.clone()))?;
    Ok(UntagResourceOutput::default())
}

/// ListTagsForResource.
pub fn list(view: &View<'_>, input: &ListTagsForResourceInput) -> Result<ListTagsForResourceOutput, AwsError> {
    let name = name_of(view.scope, &input.resource_arn)?;
    let tags = view.get::<Alarm>(&name).map(|alarm| &alarm.tags);
    let tags = tags.or_else(|| view.get::<Composite>(&name).map(|alarm| &alarm.tags));
    let tags = tags.ok_or_else(|| Error::TagTargetNotFound(input.resource_arn.clone()))?;
    let tags = tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect();
    Ok(ListTagsForResourceOutput { tags })
}
