//! CIDR collections: blocks of addresses under names.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zonal_cloud::Record;

/// A CIDR collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CidrCollection {
    /// A UUID: the key.
    pub id: String,
    /// Unique in the account.
    pub name: String,
    /// What the caller told it apart by.
    pub caller_reference: String,
    /// Counts its changes, from 1.
    pub version: i64,
    /// The blocks of each location. None is empty, and no block is in two.
    pub locations: BTreeMap<String, BTreeSet<String>>,
}

impl CidrCollection {
    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:route53:::cidrcollection/{}", self.id)
    }
}

impl Record for CidrCollection {
    const TABLE: &'static str = "route53.cidr_collection";
    fn key(&self) -> &str {
        &self.id
    }
}
