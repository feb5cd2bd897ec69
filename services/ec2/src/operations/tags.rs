//! Tags of any resource, by its id.

use super::{Answer, add_tags, cut, filters_of, one, tag_values, text};
use crate::errors::Error;
use crate::model::{
    Acl, ElasticAddress, Image, Instance, Interface, InternetGateway, KeyPair, LaunchTemplate, RouteTable,
    SecurityGroup, Subnet, Volume, Vpc,
};
use crate::shapes::{self, *};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Record, Tx, View, filters};

/// A record that has tags.
trait Tagged: Record {
    /// The prefix of its ids.
    const PREFIX: &'static str;
    /// Its kind, as tags name it.
    const KIND: &'static str;
    /// Its id.
    fn id(&self) -> &str {
        self.key()
    }
    /// Its tags.
    fn tags(&self) -> &Tags;
    /// Its tags, to change.
    fn tags_mut(&mut self) -> &mut Tags;
}

impl Tagged for Vpc {
    const PREFIX: &'static str = "vpc-";
    const KIND: &'static str = "vpc";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for Subnet {
    const PREFIX: &'static str = "subnet-";
    const KIND: &'static str = "subnet";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for InternetGateway {
    const PREFIX: &'static str = "igw-";
    const KIND: &'static str = "internet-gateway";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for RouteTable {
    const PREFIX: &'static str = "rtb-";
    const KIND: &'static str = "route-table";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for SecurityGroup {
    const PREFIX: &'static str = "sg-";
    const KIND: &'static str = "security-group";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for Acl {
    const PREFIX: &'static str = "acl-";
    const KIND: &'static str = "network-acl";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for Interface {
    const PREFIX: &'static str = "eni-";
    const KIND: &'static str = "network-interface";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for ElasticAddress {
    const PREFIX: &'static str = "eipalloc-";
    const KIND: &'static str = "elastic-ip";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for Instance {
    const PREFIX: &'static str = "i-";
    const KIND: &'static str = "instance";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for Volume {
    const PREFIX: &'static str = "vol-";
    const KIND: &'static str = "volume";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for Image {
    const PREFIX: &'static str = "ami-";
    const KIND: &'static str = "image";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for LaunchTemplate {
    const PREFIX: &'static str = "lt-";
    const KIND: &'static str = "launch-template";
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for KeyPair {
    const PREFIX: &'static str = "key-";
    const KIND: &'static str = "key-pair";
    fn id(&self) -> &str {
        &self.id
    }
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

/// Changes the tags of the resource of that id.
type Change = fn(&mut Tx<'_>, &str, &dyn Fn(&Tx<'_>, &mut Tags) -> Answer<()>) -> Option<Answer<()>>;
/// Lists a kind's (id, kind, tags).
type List = for<'a> fn(&View<'a>) -> Vec<(&'a str, &'static str, &'a Tags)>;

/// A kind of resource, behind functions of its type.
struct Kind {
    prefix: &'static str,
    change: Change,
    list: List,
}

fn kind<T: Tagged>() -> Kind {
    Kind {
        prefix: T::PREFIX,
        change: |tx, id, change| {
            let mut resource = tx.list::<T>().find(|resource| resource.id() == id)?.clone();
            let changed = change(tx, resource.tags_mut());
            tx.put(resource);
            Some(changed)
        },
        list: |view| view.list::<T>().map(|resource| (resource.id(), T::KIND, resource.tags())).collect(),
    }
}

fn kinds() -> Vec<Kind> {
    vec![
        kind::<Vpc>(),
        kind::<Subnet>(),
        kind::<InternetGateway>(),
        kind::<RouteTable>(),
        kind::<SecurityGroup>(),
        kind::<Acl>(),
        kind::<Interface>(),
        kind::<ElasticAddress>(),
        kind::<Instance>(),
        kind::<Volume>(),
        kind::<Image>(),
        kind::<LaunchTemplate>(),
        kind::<KeyPair>(),
    ]
}

fn change(tx: &mut Tx<'_>, ids: &[String], act: &dyn Fn(&Tx<'_>, &mut Tags) -> Answer<()>) -> Answer<()> {
    let kinds = kinds();
    for id in ids {
        // `i-` begins no other prefix, and the longer ones are told apart by their dash.
        let own = kinds.iter().find(|kind| id.starts_with(kind.prefix));
        match own.and_then(|kind| (kind.change)(tx, id, act)) {
            Some(changed) => changed?,
            None => return Err(unknown(id).into()),
        }
    }
    Ok(())
}

fn unknown(id: &str) -> Error {
    let prefix = id.split('-').next().unwrap_or_default();
    match prefix {
        "i" => Error::not_found("InvalidInstanceID.NotFound", "instance", id),
        "vpc" => Error::not_found("InvalidVpcID.NotFound", "vpc", id),
        "subnet" => Error::not_found("InvalidSubnetID.NotFound", "subnet", id),
        _ => Error::Coded("InvalidID", format!("The ID '{id}' is not valid")),
    }
}

pub fn create(tx: &mut Tx<'_>, input: &CreateTagsRequest) -> Answer<CreateTagsOutput> {
    change(tx, &input.resources, &|tx, tags| add_tags(tx, tags, &input.tags))?;
    Ok(CreateTagsOutput::default())
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteTagsRequest) -> Answer<DeleteTagsOutput> {
    change(tx, &input.resources, &|_, tags| {
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
    let filters = filters_of(&input.filters);
    let mut found = Vec::new();
    for (id, kind, tags) in kinds().iter().flat_map(|kind| (kind.list)(view)) {
        for (key, value) in tags {
            let single = Tags::from([(key.clone(), value.clone())]);
            let pass = filters::pass(&filters, |name| match name {
                "key" => one(key),
                "value" => one(value),
                "resource-id" => one(id),
                "resource-type" => one(kind),
                name => tag_values(&single, name),
            });
            if pass.map_err(|name| Error::InvalidFilter(name.to_owned()))? {
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
