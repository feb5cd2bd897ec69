//! What is stored, all in the account's global scope: hosted zones, their record sets, and changes.

mod checks;
mod cidrs;
mod delegations;

pub use checks::{Alarm, Endpoint, HealthCheck, Insufficient, Metric, Seen, Subject, Verdicts};
pub use cidrs::CidrCollection;
pub use delegations::DelegationSet;

use crate::names;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;
use zonal_dns::config::{Location, Origin};
use zonal_wire::Time;

/// A hosted zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostedZone {
    /// `Z…`, without `/hostedzone/`: the key.
    pub id: String,
    /// In normal form: `example.com.`
    pub name: String,
    /// What the caller told it apart by.
    pub caller_reference: String,
    /// A comment.
    pub comment: Option<String>,
    /// When it was made.
    pub created: Time,
    /// Who sees it.
    pub audience: Audience,
    /// Its four name servers.
    pub name_servers: Vec<String>,
    /// The reusable delegation set that they are of.
    #[serde(default)]
    pub delegation_set: Option<String>,
    /// Whether its user still has it.
    pub state: ZoneState,
    /// The views that are told of it, until they confirm that it is gone.
    pub served: BTreeSet<String>,
    /// Tags.
    pub tags: Tags,
}

/// Who sees a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    /// Everybody.
    Public,
    /// These VPCs.
    Private(Vec<Vpc>),
}

/// A VPC, with its region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vpc {
    /// Such as `us-east-1`.
    pub region: String,
    /// `vpc-…`.
    pub id: String,
}

/// Where a zone is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZoneState {
    /// Its user has it.
    Live,
    /// Its user has deleted it: nobody sees it any more, and the planes are being told.
    Deleting,
}

impl HostedZone {
    /// Whether its user still has it.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.state == ZoneState::Live
    }

    /// Whether only VPCs see it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        matches!(self.audience, Audience::Private(_))
    }

    /// The VPCs that see it.
    #[must_use]
    pub fn vpcs(&self) -> &[Vpc] {
        match &self.audience {
            Audience::Public => &[],
            Audience::Private(vpcs) => vpcs,
        }
    }

    /// Whether a view of the DNS plane is to have it.
    #[must_use]
    pub fn is_seen_in(&self, view: &str) -> bool {
        self.lives()
            && match &self.audience {
                Audience::Public => view == zonal_dns::config::PUBLIC,
                Audience::Private(vpcs) => vpcs.iter().any(|vpc| vpc.id == view),
            }
    }

    /// All views that have it or are to have it.
    pub fn views(&self) -> BTreeSet<&str> {
        let wanted = self.vpcs().iter().map(|vpc| vpc.id.as_str());
        let public = (!self.is_private()).then_some(zonal_dns::config::PUBLIC);
        self.served.iter().map(String::as_str).chain(wanted).chain(public).collect()
    }
}

/// A resource record set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordSet {
    /// See [`RecordSet::key_of`].
    pub key: String,
    /// Its zone's id.
    pub zone: String,
    /// In normal form.
    pub name: String,
    /// One of [`crate::values::TYPES`].
    pub kind: String,
    /// What tells it apart from others of its name and type.
    pub identifier: Option<String>,
    /// How it is chosen among those.
    pub policy: Policy,
    /// The health check that says whether it may be handed out.
    #[serde(default)]
    pub health_check: Option<String>,
    /// What it answers.
    pub content: Content,
}

/// How a record set is chosen among those of its name and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// It is the only one.
    Simple,
    /// By its share of all weights.
    Weighted(u8),
    /// As long as it is healthy.
    FailoverPrimary,
    /// When the primary is not.
    FailoverSecondary,
    /// Together with up to seven others.
    Multivalue,
    /// For clients to which this region is nearest in time.
    Latency(String),
    /// For clients in a part of the world.
    Geolocation(Location),
    /// For clients that are nearest, the distance bent by a bias of -99 to 99.
    Geoproximity(Origin, i8),
    /// For clients in the blocks of a CIDR collection's location; `*` for all others.
    Cidr {
        /// The collection's id.
        collection: String,
        /// The location.
        location: String,
    },
}

/// What a record set answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Values of its own.
    Records {
        /// Seconds.
        ttl: u32,
        /// One text per record.
        values: Vec<String>,
    },
    /// What another name answers.
    Alias {
        /// The hosted zone of that name.
        zone: String,
        /// The name, in normal form.
        name: String,
        /// `EvaluateTargetHealth`
        evaluate: bool,
    },
}

impl RecordSet {
    /// The key of a record set. Keys are in the order in which record sets are listed: by zone, then by the name's labels in reverse,
    /// type and identifier.
    #[must_use]
    pub fn key_of(zone: &str, name: &str, kind: &str, identifier: Option<&str>) -> String {
        // A blank comes before every character that a name in normal form has.
        format!("{}{kind} {}", Self::keys_of_name(zone, name), identifier.unwrap_or_default())
    }

    /// How the keys of a zone's record sets begin.
    #[must_use]
    pub fn keys_of_zone(zone: &str) -> String {
        format!("{zone} ")
    }

    /// How the keys of a name's record sets begin.
    #[must_use]
    pub fn keys_of_name(zone: &str, name: &str) -> String {
        format!("{zone} {} ", names::reversed(name))
    }
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// `C…`, without `/change/`: the key.
    pub id: String,
    /// The zone that it is of.
    pub zone: String,
    /// Whether name servers answer by it.
    pub status: ChangeStatus,
    /// When it was made.
    pub submitted: Time,
    /// The batch's comment.
    pub comment: Option<String>,
    /// The number of the commit that it is of.
    #[serde(default)]
    pub revision: u64,
    /// The names whose record sets it changed, as long as it is pending.
    #[serde(default)]
    pub names: BTreeSet<String>,
    /// The views that do not answer by it yet.
    #[serde(default)]
    pub awaited: BTreeSet<String>,
}

impl Change {
    /// A view answers by all that was committed up to a revision.
    pub fn served(&mut self, view: &str, revision: u64) {
        if self.revision <= revision {
            self.awaited.remove(view);
            if self.awaited.is_empty() {
                self.status = ChangeStatus::InSync;
                self.names.clear();
            }
        }
    }
}

/// Whether name servers answer by a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeStatus {
    /// Not yet.
    Pending,
    /// They do.
    InSync,
}

impl Record for HostedZone {
    const TABLE: &'static str = "route53.hosted_zone";
    fn key(&self) -> &str {
        &self.id
    }
}

impl Record for RecordSet {
    const TABLE: &'static str = "route53.record_set";
    /// Its zone, the health check that it names, and the CIDR collection.
    const OWNERS: Option<fn(&Self) -> Vec<&str>> = Some(|set| {
        let collection = match &set.policy {
            Policy::Cidr { collection, .. } => Some(collection.as_str()),
            _ => None,
        };
        [set.zone.as_str()].into_iter().chain(set.health_check.as_deref()).chain(collection).collect()
    });

    fn key(&self) -> &str {
        &self.key
    }
}

impl Record for Change {
    const TABLE: &'static str = "route53.change";
    /// The zone, as long as it is pending there.
    const OWNERS: Option<fn(&Self) -> Vec<&str>> =
        Some(|change| (change.status == ChangeStatus::Pending).then_some(change.zone.as_str()).into_iter().collect());

    fn key(&self) -> &str {
        &self.id
    }
}
