//! Tags of load balancers, target groups, listeners and rules. Source: Elastic Load Balancing API reference, `AddTags`,
//! `RemoveTags`, `DescribeTags`.

use super::{balancer, group, listener, merge_tags, rule};
use crate::errors::{Error, invalid};
use crate::model::{Listener, LoadBalancer, Rule, TargetGroup};
use crate::shapes::{
    AddTagsInput, AddTagsOutput, DescribeTagsInput, DescribeTagsOutput, RemoveTagsInput, RemoveTagsOutput, Tag,
    TagDescription,
};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// `AddTags`: all resources or none.
pub fn add(tx: &mut Tx<'_>, input: &AddTagsInput) -> Result<AddTagsOutput, AwsError> {
    let by_service = tx.caller.is_service();
    for arn in &input.resource_arns {
        let mut tags = tags_of(&tx.view(), arn)?.clone();
        merge_tags(&mut tags, &input.tags, by_service)?;
        set(tx, arn, tags);
    }
    Ok(AddTagsOutput {})
}

/// `RemoveTags`
pub fn remove(tx: &mut Tx<'_>, input: &RemoveTagsInput) -> Result<RemoveTagsOutput, AwsError> {
    for arn in &input.resource_arns {
        let mut tags = tags_of(&tx.view(), arn)?.clone();
        tags.retain(|key, _| !input.tag_keys.contains(key));
        set(tx, arn, tags);
    }
    Ok(RemoveTagsOutput {})
}

/// `DescribeTags`
pub fn describe(view: &View<'_>, input: &DescribeTagsInput) -> Result<DescribeTagsOutput, AwsError> {
    if input.resource_arns.len() > 20 {
        return Err(invalid("The number of resources cannot be greater than '20'").into());
    }
    let described = |arn: &String| {
        let tags = tags_of(view, arn)?.iter();
        let tags = tags.map(|(key, value)| Tag { key: key.clone(), value: Some(value.clone()) }).collect();
        Ok(TagDescription { resource_arn: Some(arn.clone()), tags })
    };
    let tag_descriptions = input.resource_arns.iter().map(described).collect::<Result<_, Error>>()?;
    Ok(DescribeTagsOutput { tag_descriptions })
}

fn tags_of<'a>(view: &View<'a>, arn: &str) -> Result<&'a Tags, Error> {
    Ok(if arn.contains(":loadbalancer/") {
        &balancer(view, arn)?.tags
    } else if arn.contains(":targetgroup/") {
        &group(view, arn)?.tags
    } else if arn.contains(":listener/") {
        &listener(view, arn)?.tags
    } else if arn.contains(":listener-rule/") {
        &rule(view, arn)?.tags
    } else {
        return Err(invalid(format!("'{arn}' is not a valid ARN of a taggable resource")));
    })
}

/// Sets the tags of whichever resource has that ARN: an ARN is in one table only.
fn set(tx: &mut Tx<'_>, arn: &str, tags: Tags) {
    tx.update(arn, |found: &mut LoadBalancer| found.tags.clone_from(&tags));
    tx.update(arn, |found: &mut TargetGroup| found.tags.clone_from(&tags));
    tx.update(arn, |found: &mut Listener| found.tags.clone_from(&tags));
    tx.update(arn, |found: &mut Rule| found.tags.clone_from(&tags));
}
