//! Listeners and their rules.

use super::{Attributes, Protocol};
use crate::conditions::Condition;
use crate::rules::Action;
use serde::{Deserialize, Serialize};
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;

/// A listener's side of TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerTls {
    /// The security policy's name.
    pub policy: String,
    /// `AlpnPolicy`, of network load balancers only.
    pub alpn: Option<String>,
    /// The default certificate's ARN.
    pub default_certificate: String,
    /// ARNs of those that are chosen by name.
    pub certificates: Vec<String>,
}

/// A port that a load balancer listens on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// `arn:…:listener/app/NAME/ID/ID`: the key.
    pub arn: String,
    /// Its load balancer's ARN.
    pub balancer: String,
    /// The protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
    /// How it ends TLS, if it does.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    /// What happens to a request that no rule matches.
    pub default_action: Action,
    /// Attributes that were set.
    pub attributes: Attributes,
    /// Tags.
    pub tags: Tags,
}

impl Listener {
    /// How the ARNs of its rules begin.
    #[must_use]
    pub fn keys_of_rules(arn: &str) -> String {
        format!("{}/", arn.replacen(":listener/", ":listener-rule/", 1))
    }

    /// The ARN of its default rule: the same id for the listener's life.
    #[must_use]
    pub fn default_rule(&self) -> String {
        let id = self.arn.rsplit('/').next().unwrap_or_default();
        // A default rule has an id of its own on AWS; reversing the listener's makes one without storing it.
        let reversed: String = id.chars().rev().collect();
        format!("{}/{reversed}", self.arn.replacen(":listener/", ":listener-rule/", 1))
    }
}

/// A listener's rule. Its default rule is the listener's own default actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// `arn:…:listener-rule/app/NAME/ID/ID/ID`: the key.
    pub arn: String,
    /// Its listener's ARN.
    pub listener: String,
    /// 1 to 50,000; the smallest is tried first.
    pub priority: u32,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// What happens then.
    pub action: Action,
    /// Tags.
    pub tags: Tags,
}

impl Record for Listener {
    const TABLE: &'static str = "elbv2.listener";
    /// The target groups that it forwards to.
    const OWNERS: Option<fn(&Self) -> Vec<&str>> = Some(|listener| listener.default_action.groups().collect());
    fn key(&self) -> &str {
        &self.arn
    }
}

impl Record for Rule {
    const TABLE: &'static str = "elbv2.rule";
    /// The target groups that it forwards to.
    const OWNERS: Option<fn(&Self) -> Vec<&str>> = Some(|rule| rule.action.groups().collect());
    fn key(&self) -> &str {
        &self.arn
    }
}
