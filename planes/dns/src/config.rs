//! What the control plane tells the DNS plane: views of zones of record sets, as plain structs.
//!
//! Values are Route 53's presentation text (`"10 mail.example.com"`, `"\"v=spf1 -all\""`); names are absolute with or
//! without the final dot, and may hold Route 53's octal escapes (`\052.example.com` is the wildcard).

use serde::{Deserialize, Serialize};

/// The view that everybody sees.
pub const PUBLIC: &str = "public";

/// All that a DNS plane serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsConfig {
    /// The commit this configuration is of; an older one than that applied is refused.
    pub revision: u64,
    /// The public view, and one for each VPC that has names of its own.
    pub views: Vec<View>,
}

/// A set of zones that are seen together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// [`PUBLIC`], or the id of a VPC.
    pub name: String,
    /// Its zones. Of two with one name the later wins: it is the control plane that says which zone a name is delegated to.
    pub zones: Vec<Zone>,
}

/// A hosted zone, or one that the control plane makes up (`ec2.internal`, `us-east-1.elb.amazonaws.com`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The apex.
    pub name: String,
    /// Whether names that this zone lacks are looked for in shorter zones and in the public view. A private hosted zone hides
    /// the whole of its domain, so it is no overlay; the private side of split-horizon names is.
    #[serde(default)]
    pub overlay: bool,
    /// The record sets, in any order.
    pub records: Vec<RecordSet>,
}

/// A resource record set of Route 53: one name and type, and, where a routing policy makes several of them, one
/// identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSet {
    /// The owner.
    pub name: String,
    /// `A`, `AAAA`, `CAA`, `CNAME`, `MX`, `NS`, `PTR`, `SOA`, `SPF`, `SRV` or `TXT`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Seconds, as served. An alias takes its target's.
    #[serde(default)]
    pub ttl: u32,
    /// One text per record. Empty for an alias.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Where the values are to be taken from at the time of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Alias>,
    /// How this set is chosen among those of its name and type.
    #[serde(default)]
    pub policy: Policy,
    /// What tells apart sets of one name and type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_identifier: Option<String>,
    /// What health checks say of it. Without a health check: healthy.
    #[serde(default)]
    pub health: Health,
}

/// An alias: the answer is the target's record set of the type asked for, under the alias's own name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// A name in the same view or in the public one.
    pub target_name: String,
}

/// The routing policies of Route 53 that a lone machine can mean: where a client sits in the world is none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// All values, in an order that changes.
    #[default]
    Simple,
    /// Up to eight of the healthy sets.
    Multivalue,
    /// One set, with a chance of its weight among all weights.
    Weighted {
        /// 0 to 255. All zero means all alike.
        weight: u8,
    },
    /// This set as long as it is healthy.
    FailoverPrimary,
    /// This set when the primary is not healthy.
    FailoverSecondary,
}

/// Whether a record set may be handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It may.
    #[default]
    Healthy,
    /// Only when no other is healthy either.
    Unhealthy,
}

/// A step from one configuration to the next, so that a change costs the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Adds a zone, or replaces the whole of it. The view is made where there is none.
    PutZone {
        /// The view.
        view: String,
        /// The zone.
        zone: Zone,
    },
    /// Removes a zone. That it was not there is no error.
    RemoveZone {
        /// The view.
        view: String,
        /// The zone's apex.
        zone: String,
    },
    /// Says all record sets of one name in a zone; none removes the name.
    PutName {
        /// The view.
        view: String,
        /// The zone's apex.
        zone: String,
        /// The owner that all of `records` have.
        name: String,
        /// Its record sets.
        records: Vec<RecordSet>,
    },
    /// Removes a view with all its zones, as when a VPC is deleted.
    RemoveView {
        /// The view.
        view: String,
    },
}
