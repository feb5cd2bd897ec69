//! What an instance is told, under the paths where it looks for it (User Guide: "Instance metadata categories").
//!
//! Only what this world has is there: an instance that looks for more gets the 404 that AWS gives where a category does not
//! apply.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;

use crate::config::InstanceMetadata;

/// The versions of the service, oldest first, as `/` lists them.
pub(crate) const VERSIONS: [&str; 30] = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "2011-01-01",
    "2011-05-01",
    "2012-01-12",
    "2014-02-25",
    "2014-11-05",
    "2015-10-20",
    "2016-04-19",
    "2016-06-30",
    "2016-09-02",
    "2018-03-28",
    "2018-08-17",
    "2018-09-24",
    "2019-10-01",
    "2020-10-27",
    "2021-01-03",
    "2021-03-23",
    "2021-07-15",
    "2022-07-09",
    "2022-09-24",
    "2024-04-11",
    "latest",
];

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A text, a listing included.
    Text(String),
    /// User data, as it was given.
    Octets(Vec<u8>),
    /// Nothing.
    Absent,
}

/// Looks a path up. Empty segments count for nothing, so a final slash makes no difference.
pub(crate) fn find(document: &InstanceMetadata, path: &str) -> Entry {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let [version, rest @ ..] = &segments[..] else { return Entry::Text(VERSIONS.join("\n")) };
    if !VERSIONS.contains(version) {
        return Entry::Absent;
    }
    match rest {
        [] => {
            let user_data = document.user_data.as_ref().map(|_| "user-data");
            Entry::Text(["dynamic", "meta-data"].into_iter().chain(user_data).collect::<Vec<_>>().join("\n"))
        }
        ["user-data"] => document.user_data.clone().map_or(Entry::Absent, Entry::Octets),
        ["dynamic"] => Entry::Text("instance-identity/".to_owned()),
        ["dynamic", "instance-identity"] => Entry::Text("document".to_owned()),
        ["dynamic", "instance-identity", "document"] => Entry::Text(identity_document(document)),
        ["meta-data", "public-keys"] => match &document.public_key {
            Some((name, _)) => Entry::Text(format!("0={name}")),
            None => Entry::Absent,
        },
        ["meta-data", path @ ..] => value_or_listing(&categories(document), &path.join("/")),
        _ => Entry::Absent,
    }
}

/// The value at a path, or what lies below it: one name a line, a slash after those that have more below.
fn value_or_listing(values: &BTreeMap<String, String>, path: &str) -> Entry {
    if let Some(value) = values.get(path) {
        return Entry::Text(value.clone());
    }
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let mut names: Vec<&str> = Vec::new();
    for key in values.range(prefix.clone()..).map(|(key, _)| key).take_while(|key| key.starts_with(&prefix)) {
        let below = &key[prefix.len()..];
        let name = below.find('/').map_or(below, |slash| &below[..=slash]);
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { Entry::Absent } else { Entry::Text(names.join("\n")) }
}

/// Every value below `meta-data/`, by path.
fn categories(document: &InstanceMetadata) -> BTreeMap<String, String> {
    let mut values = Values::default();
    values.put("ami-id", &document.ami_id);
    values.put("ami-launch-index", &document.ami_launch_index.to_string());
    values.put("ami-manifest-path", "(unknown)");
    values.put("block-device-mapping/ami", &document.root_device);
    values.put("block-device-mapping/root", &document.root_device);
    values.put("events/maintenance/history", "[]");
    values.put("events/maintenance/scheduled", "[]");
    values.put("hostname", &document.local_hostname);
    values.put("instance-action", "none");
    values.put("instance-id", &document.instance_id);
    values.put("instance-life-cycle", "on-demand");
    values.put("instance-type", &document.instance_type);
    values.put("local-hostname", &document.local_hostname);
    values.put("local-ipv4", &document.local_ipv4.to_string());
    values.put("mac", &document.mac);
    values.put("placement/availability-zone", &document.availability_zone);
    values.put("placement/availability-zone-id", &document.availability_zone_id);
    values.put("placement/region", &document.region);
    values.put("profile", "default-hvm");
    values.put_some("public-hostname", document.public_hostname.as_deref());
    values.put_some("public-ipv4", document.public_ipv4.map(|address| address.to_string()).as_deref());
    values.put_some("public-keys/0/openssh-key", document.public_key.as_ref().map(|(_, key)| key.as_str()));
    values.put("reservation-id", &document.reservation_id);
    values.put("security-groups", &group_names(document));
    values.put("services/domain", &document.services_domain);
    // Types of the generations before Nitro.
    let xen = ["t2.", "m4.", "c4.", "r4."].iter().any(|family| document.instance_type.starts_with(family));
    values.put("system", if xen { "xen" } else { "nitro" });
    values.put("services/partition", partition(&document.region));
    if let Some((arn, id)) = &document.instance_profile {
        values.put("iam/info", &profile_document(arn, id, &document.pending_time));
    }
    for (key, value) in document.tags.iter().flatten() {
        values.put(&format!("tags/instance/{key}"), value);
    }
    put_interface(document, &mut values);
    values.0
}

/// The primary interface; `mac` names it.
fn put_interface(document: &InstanceMetadata, values: &mut Values) {
    let ids: Vec<&str> = document.security_groups.iter().map(|(id, _)| id.as_str()).collect();
    let public_ipv4 = document.public_ipv4.map(|address| address.to_string());
    let mut put = |name: &str, value: Option<&str>| {
        values.put_some(&format!("network/interfaces/macs/{}/{name}", document.mac), value);
    };
    put("device-number", Some("0"));
    put("interface-id", Some(&document.interface_id));
    put("local-hostname", Some(&document.local_hostname));
    put("local-ipv4s", Some(&document.local_ipv4.to_string()));
    put("mac", Some(&document.mac));
    put("owner-id", Some(&document.account_id));
    put("public-hostname", document.public_hostname.as_deref());
    put("public-ipv4s", public_ipv4.as_deref());
    if let Some(public) = &public_ipv4 {
        put(&format!("ipv4-associations/{public}"), Some(&document.local_ipv4.to_string()));
    }
    put("security-group-ids", Some(&ids.join("\n")));
    put("security-groups", Some(&group_names(document)));
    put("subnet-id", Some(&document.subnet_id));
    put("subnet-ipv4-cidr-block", Some(&document.subnet_cidr));
    put("vpc-id", Some(&document.vpc_id));
    put("vpc-ipv4-cidr-block", Some(&document.vpc_cidr));
    put("vpc-ipv4-cidr-blocks", Some(&document.vpc_cidr));
}

#[derive(Default)]
struct Values(BTreeMap<String, String>);

impl Values {
    fn put(&mut self, path: &str, value: &str) {
        self.0.insert(path.to_owned(), value.to_owned());
    }

    fn put_some(&mut self, path: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(path, value);
        }
    }
}

fn group_names(document: &InstanceMetadata) -> String {
    let names: Vec<&str> = document.security_groups.iter().map(|(_, name)| name.as_str()).collect();
    names.join("\n")
}

fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn profile_document(arn: &str, id: &str, updated: &str) -> String {
    json(&[
        ("Code", Some("Success")),
        ("LastUpdated", Some(updated)),
        ("InstanceProfileArn", Some(arn)),
        ("InstanceProfileId", Some(id)),
    ])
}

/// The instance identity document (User Guide: "Instance identity documents").
fn identity_document(document: &InstanceMetadata) -> String {
    let address: Ipv4Addr = document.local_ipv4;
    json(&[
        ("accountId", Some(&document.account_id)),
        ("architecture", Some(&document.architecture)),
        ("availabilityZone", Some(&document.availability_zone)),
        ("billingProducts", None),
        ("devpayProductCodes", None),
        ("marketplaceProductCodes", None),
        ("imageId", Some(&document.ami_id)),
        ("instanceId", Some(&document.instance_id)),
        ("instanceType", Some(&document.instance_type)),
        ("kernelId", None),
        ("pendingTime", Some(&document.pending_time)),
        ("privateIp", Some(&address.to_string())),
        ("ramdiskId", None),
        ("region", Some(&document.region)),
        ("version", Some("2017-09-30")),
    ])
}

/// A JSON object, spaced as AWS spaces it.
fn json(members: &[(&str, Option<&str>)]) -> String {
    let mut text = String::from("{\n");
    for (index, (name, value)) in members.iter().enumerate() {
        let comma = if index + 1 < members.len() { "," } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  \"{name}\" : {}{comma}", serde_json::Value::from(*value));
    }
    text.push('}');
    text
}
