//! Tags of any resource, by its id.

use super::filters::{self, Filters};
use super::{Answer, add_tags, at_least_five, cut, one, text};
use crate::errors::Error;
use crate::model::{
    Acl, ElasticAddress, Image, Instance, Interface, InternetGateway, KeyPair, LaunchTemplate, RouteTable,
    SecurityGroup, Snapshot, Subnet, Volume, Vpc,
};
use crate::shapes::{self, *};
use zonal_cloud::tags::{TagError, Tags};
use zonal_cloud::{Record, Tx, View};

/// A change of tags.
type Change<'a> = &'a dyn Fn(&Tx<'_>, &mut Tags) -> Answer<()>;

/// A tagged resource: its id, what tags call its kind, its tags.
type Tagged<'a> = (&'a str, &'static str, &'a Tags);
/// Makes a change to the tags of the resource of an id; `None` where there is none.
type Changer = dyn Fn(&mut Tx<'_>, &str, Change<'_>) -> Option<Answer<()>>;
/// All of a kind.
type Lister = dyn for<'a> Fn(&View<'a>) -> Vec<Tagged<'a>>;

/// A kind of resource, behind functions of its type.
struct Kind {
    /// The prefix of its ids.
    prefix: &'static str,
    change: Box<Changer>,
    list: Box<Lister>,
}

/// A kind whose records have their ids as keys. `name` is what tags call it.
fn kind<T: Record>(
    prefix: &'static str,
    name: &'static str,
    tags: fn(&T) -> &Tags,
    change: fn(&mut T) -> &mut Tags,
) -> Kind {
    Kind {
        prefix,
        change: Box::new(move |tx, id, act| {
            let mut resource = tx.get::<T>(id)?.clone();
            let changed = act(tx, change(&mut resource));
            tx.put(resource);
            Some(changed)
        }),
        list: Box::new(move |view| view.list::<T>().map(|resource| (resource.key(), name, tags(resource))).collect()),
    }
}

/// Key pairs are kept by their names.
fn key_pairs() -> Kind {
    Kind {
        prefix: "key-",
        change: Box::new(|tx, id, act| {
            let mut pair = tx.list::<KeyPair>().find(|pair| pair.id == id)?.clone();
            let changed = act(tx, &mut pair.tags);
            tx.put(pair);
            Some(changed)
        }),
        list: Box::new(|view| view.list::<KeyPair>().map(|pair| (pair.id.as_str(), "key-pair", &pair.tags)).collect()),
    }
}

/// Rules are kept in their groups.
fn group_rules() -> Kind {
    Kind {
        prefix: "sgr-",
        change: Box::new(|tx, id, act| {
            let holds = |group: &&SecurityGroup| group.rules.iter().any(|rule| rule.id == id);
            let mut group = tx.list::<SecurityGroup>().find(holds)?.clone();
            let rule = group.rules.iter_mut().find(|rule| rule.id == id)?;
            let changed = act(tx, &mut rule.tags);
            tx.put(group);
            Some(changed)
        }),
        list: Box::new(|view| {
            let rules = view.list::<SecurityGroup>().flat_map(|group| &group.rules);
            rules.map(|rule| (rule.id.as_str(), "security-group-rule", &rule.tags)).collect()
        }),
    }
}

fn kinds() -> Vec<Kind> {
    vec![
        kind::<Vpc>("vpc-", "vpc", |own| &own.tags, |own| &mut own.tags),
        kind::<Subnet>("subnet-", "subnet", |own| &own.tags, |own| &mut own.tags),
        kind::<InternetGateway>("igw-", "internet-gateway", |own| &own.tags, |own| &mut own.tags),
        kind::<RouteTable>("rtb-", "route-table", |own| &own.tags, |own| &mut own.tags),
        kind::<SecurityGroup>("sg-", "security-group", |own| &own.tags, |own| &mut own.tags),
        group_rules(),
        kind::<Acl>("acl-", "network-acl", |own| &own.tags, |own| &mut own.tags),
        kind::<Interface>("eni-", "network-interface", |own| &own.tags, |own| &mut own.tags),
        kind::<ElasticAddress>("eipalloc-", "elastic-ip", |own| &own.tags, |own| &mut own.tags),
        kind::<Instance>("i-", "instance", |own| &own.tags, |own| &mut own.tags),
        kind::<Volume>("vol-", "volume", |own| &own.tags, |own| &mut own.tags),
        kind::<Snapshot>("snap-", "snapshot", |own| &own.tags, |own| &mut own.tags),
        kind::<Image>("ami-", "image", |own| &own.tags, |own| &mut own.tags),
        kind::<LaunchTemplate>("lt-", "launch-template", |own| &own.tags, |own| &mut own.tags),
        key_pairs(),
    ]
}

fn change(tx: &mut Tx<'_>, ids: &[String], act: Change<'_>) -> Answer<()> {
    let kinds = kinds();
    for id in ids {
        let own = kinds.iter().find(|kind| id.starts_with(kind.prefix));
        match own.and_then(|kind| (kind.change)(tx, id, act)) {
            Some(changed) => changed?,
            None => return Err(unknown(id).into()),
        }
    }
    Ok(())
}

fn unknown(id: &str) -> Error {
    let (code, kind) = match id.split('-').next().unwrap_or_default() {
        "i" => super::instances::UNKNOWN,
        "vpc" => super::vpcs::UNKNOWN,
        "subnet" => super::subnets::UNKNOWN,
        "igw" => super::gateways::UNKNOWN,
        "rtb" => super::routes::UNKNOWN,
        "eni" => super::interfaces::UNKNOWN,
        "vol" => super::volumes::UNKNOWN,
        "snap" => super::snapshots::UNKNOWN,
        "ami" => super::images::UNKNOWN,
        "sg" => return super::groups::unknown(id),
        "sgr" => return super::rules::unknown(id),
        "lt" => return super::templates::unknown_id(id),
        "eipalloc" => return super::addresses::unknown(id),
        "acl" => super::acls::UNKNOWN,
        _ => return Error::Coded("InvalidID", format!("The ID '{id}' is not valid")),
    };
    Error::not_found(code, kind, id)
}

pub fn create(tx: &mut Tx<'_>, input: &CreateTagsRequest) -> Answer<CreateTagsOutput> {
    change(tx, &input.resources, &|tx, tags| add_tags(tx, tags, &input.tags))?;
    Ok(CreateTagsOutput::default())
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteTagsRequest) -> Answer<DeleteTagsOutput> {
    change(tx, &input.resources, &|tx, tags| {
        let reserved = |tag: &&shapes::Tag| tag.key.as_deref().is_some_and(|key| key.starts_with("aws:"));
        if let Some(tag) = input.tags.iter().find(reserved).filter(|_| !tx.caller.is_service()) {
            let error = TagError::Reserved(tag.key.clone().unwrap_or_default());
            return Err(Error::InvalidParameterValue(error.to_string()).into());
        }
        if input.tags.is_empty() {
            tags.retain(|key, _| key.starts_with("aws:"));
        }
        for tag in &input.tags {
            let key = tag.key.as_deref().unwrap_or_default();
            // A tag given with a value goes only where it has that value.
            if tag.value.is_none() || tags.get(key) == tag.value.as_ref() {
                tags.remove(key);
            }
        }
        Ok(())
    })?;
    Ok(DeleteTagsOutput::default())
}

pub fn describe(view: &View<'_>, input: &DescribeTagsRequest) -> Answer<DescribeTagsResult> {
    at_least_five(input.max_results, &[], "")?;
    let filters = Filters::of(&input.filters, filters::TAGS)?;
    let mut found = Vec::new();
    for (id, kind, tags) in kinds().iter().flat_map(|kind| (kind.list)(view)) {
        for (key, value) in tags {
            let single = Tags::from([(key.clone(), value.clone())]);
            let quick = |name: &str| match name {
                "key" => one(key),
                "value" => one(value),
                "resource-id" => one(id),
                "resource-type" => one(kind),
                _ => None,
            };
            if filters.pass(&single, quick, || serde_json::Value::Null) {
                let shape = shapes::TagDescription {
                    key: text(key),
                    value: text(value),
                    resource_id: text(id),
                    resource_type: kind.parse().ok(),
                    ..Default::default()
                };
                found.push((format!("{id}/{key}"), shape));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let (tags, next_token) = cut(found, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeTagsResult { tags, next_token, ..Default::default() })
}
