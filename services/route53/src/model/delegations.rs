//! Reusable delegation sets.

use serde::{Deserialize, Serialize};
use zonal_cloud::Record;

/// Four name servers that several zones may have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DelegationSet {
    /// `N…`, without `/delegationset/`: the key.
    pub id: String,
    /// What the caller told it apart by.
    pub caller_reference: String,
    /// The four.
    pub name_servers: Vec<String>,
}

impl Record for DelegationSet {
    const TABLE: &'static str = "route53.delegation_set";

    fn key(&self) -> &str {
        &self.id
    }
}
