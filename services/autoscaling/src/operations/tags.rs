//! Tags of groups.

use crate::errors::Error;
use crate::model::{Group, GroupTag};
use crate::operations::groups::shown_tag;
use crate::operations::{group, paged};
use crate::shapes::{
    CreateOrUpdateTagsOutput, CreateOrUpdateTagsType, DeleteTagsOutput, DeleteTagsType, DescribeTagsType, Tag, TagsType,
};
use zonal_cloud::filters::{self, Filter};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// Adds a tag, or changes it.
pub fn add(group: &mut Group, tag: &Tag, by_service: bool) -> Result<(), Error> {
    let mut all: Tags = group.tags.iter().map(|(key, tag)| (key.clone(), tag.value.clone())).collect();
    let value = tag.value.clone().unwrap_or_default();
    zonal_cloud::tags::merge(&mut all, [(tag.key.clone(), value.clone())], by_service)
        .map_err(|error| Error::Validation(error.to_string()))?;
    // Whether instances get it is not said by clients that do not care; then they do not.
    group.tags.insert(tag.key.clone(), GroupTag { value, propagate: tag.propagate_at_launch.unwrap_or(false) });
    Ok(())
}

fn resource(view: &View<'_>, tag: &Tag) -> Result<Group, Error> {
    if tag.resource_type.as_deref().is_some_and(|kind| kind != "auto-scaling-group") {
        return Err(Error::Validation("Invalid resource type: auto-scaling-group is the only one.".to_owned()));
    }
    group(view, tag.resource_id.as_deref().unwrap_or_default())
}

/// CreateOrUpdateTags.
pub fn create_or_update(tx: &mut Tx<'_>, input: &CreateOrUpdateTagsType) -> Result<CreateOrUpdateTagsOutput, AwsError> {
    let by_service = tx.caller.is_service();
    for tag in &input.tags {
        let mut group = resource(&tx.view(), tag)?;
        add(&mut group, tag, by_service)?;
        tx.put(group);
    }
    Ok(CreateOrUpdateTagsOutput::default())
}

/// DeleteTags.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteTagsType) -> Result<DeleteTagsOutput, AwsError> {
    for tag in &input.tags {
        let mut group = resource(&tx.view(), tag)?;
        if tag.value.as_ref().is_none_or(|value| group.tags.get(&tag.key).is_some_and(|own| own.value == *value)) {
            group.tags.remove(&tag.key);
        }
        tx.put(group);
    }
    Ok(DeleteTagsOutput::default())
}

/// DescribeTags.
pub fn describe(view: &View<'_>, input: &DescribeTagsType) -> Result<TagsType, AwsError> {
    let filters: Vec<Filter> = input
        .filters
        .iter()
        .map(|filter| Filter { name: filter.name.clone().unwrap_or_default(), values: filter.values.clone() })
        .collect();
    let mut items = Vec::new();
    for group in view.list::<Group>() {
        for (key, tag) in &group.tags {
            let passes = filters::pass(&filters, |name| {
                Some(vec![match name {
                    "auto-scaling-group" => group.name.clone(),
                    "key" => key.clone(),
                    "value" => tag.value.clone(),
                    "propagate-at-launch" => tag.propagate.to_string(),
                    _ => return None,
                }])
            });
            if passes.map_err(|name| Error::Validation(format!("Invalid filter: {name}")))? {
                items.push((crate::model::pair(&group.name, key), shown_tag(&group.name, key, tag)));
            }
        }
    }
    let (tags, next_token) = paged(items, input.next_token.as_deref(), input.max_records)?;
    Ok(TagsType { tags, next_token })
}
