//! One file per noun, one handler per operation.

pub mod certificates;
pub mod limits;
pub mod listeners;
pub mod load_balancers;
pub mod policies;
pub mod rules;
pub mod tags;
pub mod target_groups;
pub mod targets;

use crate::errors::{Error, invalid};
use crate::model::{Listener, LoadBalancer, Rule, TargetGroup};
use crate::shapes::Tag;
use zonal_cloud::tags::{TagError, Tags};
use zonal_cloud::{Tx, View, pages};

/// The load balancer of that ARN, if its user still has it.
pub(crate) fn balancer<'a>(view: &View<'a>, arn: &str) -> Result<&'a LoadBalancer, Error> {
    if !arn.contains(":loadbalancer/") {
        return Err(invalid(format!("'{arn}' is not a valid load balancer ARN")));
    }
    let found = view.get::<LoadBalancer>(arn).filter(|balancer| balancer.lives());
    found.ok_or_else(|| Error::LoadBalancerNotFound(format!("Load balancer '{arn}' not found")))
}

/// The target group of that ARN.
pub(crate) fn group<'a>(view: &View<'a>, arn: &str) -> Result<&'a TargetGroup, Error> {
    if !arn.contains(":targetgroup/") {
        return Err(invalid(format!("'{arn}' is not a valid target group ARN")));
    }
    view.get::<TargetGroup>(arn).ok_or(Error::TargetGroupNotFound)
}

/// The listener of that ARN.
pub(crate) fn listener<'a>(view: &View<'a>, arn: &str) -> Result<&'a Listener, Error> {
    if !arn.contains(":listener/") {
        return Err(invalid(format!("'{arn}' is not a valid listener ARN")));
    }
    let found = view.get::<Listener>(arn).filter(|found| balancer(view, &found.balancer).is_ok());
    found.ok_or(Error::ListenerNotFound)
}

/// The rule of that ARN: none for a listener's default rule, which is no record of its own.
pub(crate) fn rule<'a>(view: &View<'a>, arn: &str) -> Result<&'a Rule, Error> {
    if !arn.contains(":listener-rule/") {
        return Err(invalid(format!("'{arn}' is not a valid listener rule ARN")));
    }
    view.get::<Rule>(arn).ok_or(Error::RuleNotFound)
}

/// The load balancer that a target group serves, by the listeners and rules that forward to it.
pub(crate) fn balancer_of_group<'a>(view: &View<'a>, group: &str) -> Option<&'a str> {
    let by_default = view.owned_by::<Listener>(group).next();
    let by_rule = || view.owned_by::<Rule>(group).find_map(|rule| view.get::<Listener>(&rule.listener));
    by_default.or_else(by_rule).map(|listener| listener.balancer.as_str())
}

/// Cuts a page of a Describe.
pub(crate) fn page<T>(
    items: impl IntoIterator<Item = (String, T)>,
    marker: Option<&str>,
    size: Option<i32>,
) -> Result<(Vec<T>, Option<String>), Error> {
    let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(400);
    pages::page(items, marker, Some(size)).map_err(|_| invalid("Invalid marker"))
}

/// Adds tags.
pub(crate) fn merge_tags(tags: &mut Tags, new: &[Tag], by_service: bool) -> Result<(), Error> {
    let pairs = new.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
    zonal_cloud::tags::merge(tags, pairs, by_service).map_err(|error| match error {
        TagError::Duplicate(key) => Error::DuplicateTagKeys(format!("Duplicate tag key '{key}' specified")),
        TagError::TooMany => {
            Error::TooMany { what: "TooManyTags", text: "The maximum number of tags per resource is '50'".into() }
        }
        other => invalid(other.to_string()),
    })
}

/// A resource's id: 16 hexadecimal digits.
pub(crate) fn new_id(tx: &mut Tx<'_>) -> String {
    zonal_cloud::ids::hex(16, tx.chance())
}

/// Checks a name: letters, digits and inner hyphens, 32 at most. `what` begins the texts.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(invalid(format!("{what} cannot be empty")));
    }
    if name.len() > 32 {
        return Err(invalid(format!("{what} '{name}' cannot be longer than '32' characters")));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(invalid(format!(
            "{what} '{name}' can only contain characters that are alphanumeric characters and hyphens(-)"
        )));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(invalid(format!("{what} '{name}' cannot begin or end with a hyphen(-)")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_letters_digits_and_inner_hyphens() {
        for (name, fits) in [("a", true), ("a-b-1", true), ("-a", false), ("a-", false), ("a_b", false), ("", false)] {
            assert_eq!(check_name("The load balancer name", name).is_ok(), fits, "{name}");
        }
        assert!(check_name("x", &"a".repeat(32)).is_ok() && check_name("x", &"a".repeat(33)).is_err());
    }
}
