//! The operations, a file per noun.

pub mod absent;
pub mod account;
pub mod acls;
pub mod addresses;
pub mod attachments;
pub mod attributes;
pub(crate) mod beyond;
mod filters;
pub mod gateways;
pub mod groups;
pub mod images;
pub mod instances;
pub mod interfaces;
mod key_material;
pub mod keys;
pub mod profiles;
mod protocols;
mod putty;
pub mod routes;
pub mod rule_changes;
pub mod rules;
pub mod run;
pub mod snapshots;
pub mod status;
pub mod subnets;
pub mod tags;
pub mod templates;
pub mod types;
pub mod volumes;
pub mod vpcs;

use crate::errors::Error;
use crate::shapes;
use filters::Filters;
use serde_json::Value;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, pages};
use zonal_wire::{AwsError, Structure};

/// What an operation answers.
pub(crate) type Answer<T> = Result<T, AwsError>;

/// What a resource's tags have under a filter's name: `tag:KEY`, `tag-key`, `tag-value`.
fn tag_values(tags: &Tags, filter: &str) -> Option<Vec<String>> {
    match filter {
        "tag-key" => Some(tags.keys().cloned().collect()),
        "tag-value" => Some(tags.values().cloned().collect()),
        filter => filter.strip_prefix("tag:").map(|key| tags.get(key).cloned().into_iter().collect()),
    }
}

/// Those of `all` that are named (or all, where none is) and pass the filters, cut to a page.
struct Selection<'a> {
    ids: &'a [String],
    filters: &'a [shapes::Filter],
    /// The filters that the operation has.
    names: filters::Names,
    token: Option<&'a str>,
    limit: Option<i32>,
    /// The kind's words in "does not exist": (code, kind).
    unknown: (&'static str, &'static str),
}

impl Selection<'_> {
    /// `values` gives what a resource has under a filter's name where the answer, which `answer` makes, need not be looked at; tags are
    /// looked up before either.
    fn of<'r, R: 'r>(
        &self,
        all: impl Iterator<Item = &'r R>,
        id: impl Fn(&R) -> &str,
        tags: impl Fn(&R) -> &Tags,
        values: impl Fn(&R, &str) -> Option<Vec<String>>,
        answer: impl Fn(&R) -> Value,
    ) -> Answer<(Vec<&'r R>, Option<String>)> {
        let filters = Filters::of(self.filters, self.names)?;
        let mut found = Vec::new();
        let mut seen = Vec::new();
        for resource in all {
            let own = id(resource);
            if !self.ids.is_empty() {
                if !self.ids.iter().any(|id| id == own) {
                    continue;
                }
                seen.push(own.to_owned());
            }
            if filters.pass(tags(resource), |name| values(resource, name), || answer(resource)) {
                found.push((own.to_owned(), resource));
            }
        }
        let missing: Vec<String> = self.ids.iter().filter(|id| !seen.contains(id)).cloned().collect();
        if !missing.is_empty() {
            return Err(Error::NotFound(self.unknown.0, self.unknown.1, missing).into());
        }
        cut(found, self.token, self.limit)
    }
}

/// Checks the limit of an operation that gives pages of five at least, and none where its ids are given (as `ids_are`, in the words of
/// the query protocol).
fn at_least_five(limit: Option<i32>, ids: &[String], ids_are: &str) -> Result<(), Error> {
    match limit {
        Some(limit) if limit < 5 => Err(Error::InvalidParameterValue(format!(
            "Value ( {limit} ) for parameter maxResults is invalid. Expecting a value greater than 5."
        ))),
        Some(_) if !ids.is_empty() => Err(Error::InvalidParameterCombination(format!(
            "The parameter {ids_are} cannot be used with the parameter maxResults"
        ))),
        _ => Ok(()),
    }
}

/// Cuts a page of at most `limit` (1 to 1000) out of keyed items.
fn cut<T>(items: Vec<(String, T)>, token: Option<&str>, limit: Option<i32>) -> Answer<(Vec<T>, Option<String>)> {
    let limit = match limit {
        None => None,
        // AWS clamps what is over 1000.
        Some(limit) if limit >= 1 => Some(usize::try_from(limit.min(1000)).unwrap_or(1000)),
        Some(limit) => {
            return Err(Error::InvalidParameterValue(format!(
                "Value ( {limit} ) for parameter maxResults is invalid. Expecting a value greater than 0."
            ))
            .into());
        }
    };
    pages::page(items, token, limit)
        .map_err(|_| Error::Coded("InvalidParameterValue", "Unable to parse pagination token".to_owned()).into())
}

/// An answer by its members' names, as filters look at it.
fn json(answer: &dyn Structure) -> Value {
    zonal_wire::value::to_json(answer)
}

/// Tags in the wire's form.
fn tag_list(tags: &Tags) -> Vec<shapes::Tag> {
    tags.iter().map(|(key, value)| shapes::Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

/// The tags that a creating call gives a kind of resource. `allowed` are the kinds that this call makes.
fn specified(tx: &Tx<'_>, specifications: &[shapes::TagSpecification], kind: &str, allowed: &[&str]) -> Answer<Tags> {
    let mut tags = Tags::new();
    for specification in specifications {
        let given = specification.resource_type.as_ref().map_or("", |kind| kind.as_str());
        if !allowed.contains(&given) {
            return Err(Error::InvalidParameterValue(format!(
                "'{given}' is not a valid taggable resource type for this operation."
            ))
            .into());
        }
        if given == kind {
            add_tags(tx, &mut tags, &specification.tags)?;
        }
    }
    Ok(tags)
}

/// Adds tags to a resource's.
fn add_tags(tx: &Tx<'_>, tags: &mut Tags, new: &[shapes::Tag]) -> Answer<()> {
    let new = new.iter().map(|tag| (tag.key.clone().unwrap_or_default(), tag.value.clone().unwrap_or_default()));
    zonal_cloud::tags::merge(tags, new, tx.caller.is_service()).map_err(|error| {
        let code =
            if error == zonal_cloud::tags::TagError::TooMany { "TagLimitExceeded" } else { "InvalidParameterValue" };
        Error::Coded(code, error.to_string()).into()
    })
}

/// An IPv4 range as EC2 takes it: canonical, with a prefix.
fn cidr(text: &str, parameter: &str) -> Answer<ipnet::Ipv4Net> {
    let net: ipnet::Ipv4Net = text.parse().map_err(|_| {
        Error::InvalidParameterValue(format!(
            "Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block."
        ))
    })?;
    Ok(net.trunc())
}

/// Text that is there, even where it is empty.
fn text(value: impl Into<String>) -> Option<String> {
    Some(value.into())
}

/// What is no text, as it is written.
fn shown(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// A filter's single value.
fn one(value: impl ToString) -> Option<Vec<String>> {
    Some(vec![value.to_string()])
}
