//! Network interfaces and Elastic IP addresses.

use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;
use zonal_wire::Time;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// `eni-…`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
    /// Its Availability Zone's name.
    pub zone: String,
    /// What it is for.
    pub description: String,
    /// Its private addresses, the primary one first.
    pub private: Vec<Ipv4Addr>,
    /// Its hardware address.
    pub mac: String,
    /// The groups it belongs to.
    pub groups: Vec<String>,
    /// `SourceDestCheck`.
    pub source_dest_check: bool,
    /// The public address that its primary private one has.
    pub public: Option<PublicAddress>,
    /// What it is attached to.
    pub attachment: Option<InterfaceAttachment>,
    /// The service that made it for itself (`amazon-elb`), if one did.
    pub requester: Option<String>,
    /// How far it is.
    pub phase: InterfacePhase,
    /// How often it was attached or detached: the world says which of them it speaks of.
    #[serde(default)]
    pub generation: u64,
    /// Tags.
    pub tags: Tags,
}

impl Interface {
    /// Whether it is a network load balancer's node: its description says so, and a service made it.
    #[must_use]
    pub fn is_flow_node(&self) -> bool {
        self.requester.is_some() && self.description.starts_with("ELB net/")
    }

    /// Another place begins: it is being attached, or detached, until the world says that it is where it should be.
    pub fn moves_to(&mut self, attachment: Option<InterfaceAttachment>) {
        self.attachment = attachment;
        self.phase = InterfacePhase::Pending;
        self.generation += 1;
    }

    /// Its primary private address.
    #[must_use]
    pub fn primary(&self) -> Ipv4Addr {
        // An interface is made with one address at least, and none is ever taken away from it.
        self.private[0]
    }
}

impl Record for Interface {
    const TABLE: &'static str = "ec2.network_interface";
    // Found by the groups that it is in.
    const OWNERS: Option<fn(&Self) -> Vec<&str>> = Some(|own| own.groups.iter().map(String::as_str).collect());
    fn key(&self) -> &str {
        &self.id
    }
}

/// How far an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InterfacePhase {
    /// Asked for.
    Pending,
    /// It passes packets.
    Ready,
    /// Deleted; the world has not said that it is gone.
    Deleting,
}

/// A public address that stands for an interface outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublicAddress {
    /// Of the world's public range.
    pub ip: Ipv4Addr,
    /// The Elastic IP it is; an address given at launch has none, and goes when the instance stops.
    pub allocation: Option<String>,
}

/// What an interface is attached to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InterfaceAttachment {
    /// `eni-attach-…`.
    pub id: String,
    /// The instance; none where a service's own machine is behind it.
    pub instance: Option<String>,
    /// Its place on the instance.
    pub index: i32,
    /// Goes with the instance.
    pub delete_on_termination: bool,
    /// Since when.
    pub at: Time,
}

/// An Elastic IP address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ElasticAddress {
    /// `eipalloc-…`.
    pub id: String,
    /// Of the world's public range.
    pub ip: Ipv4Addr,
    /// (`eipassoc-…`, interface) where it is associated.
    pub association: Option<(String, String)>,
    /// Tags.
    pub tags: Tags,
}

impl ElasticAddress {
    /// Whether a load balancer allocated it for itself: the tag that only a service can give says so.
    #[must_use]
    pub fn is_balancers(&self) -> bool {
        self.tags.keys().any(|key| key.starts_with("aws:elasticloadbalancing:"))
    }
}

impl Record for ElasticAddress {
    const TABLE: &'static str = "ec2.address";
    fn key(&self) -> &str {
        &self.id
    }
}
