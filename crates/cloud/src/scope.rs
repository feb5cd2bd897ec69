//! Where a resource lives, and who calls.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The account that every key belongs to which does not name one itself.
pub const DEFAULT_ACCOUNT: &str = "000000000000";

/// An account and a region. A global service keeps its resources in the region [`Scope::GLOBAL`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Twelve digits.
    pub account: Arc<str>,
    /// Such as `us-east-1`.
    pub region: Arc<str>,
}

impl Scope {
    /// The region of global services' records.
    pub const GLOBAL: &'static str = "aws-global";

    /// A scope.
    #[must_use]
    pub fn new(account: &str, region: &str) -> Self {
        Self { account: account.into(), region: region.into() }
    }

    /// The same account's global scope.
    #[must_use]
    pub fn global(&self) -> Self {
        Self { account: self.account.clone(), region: Self::GLOBAL.into() }
    }

    /// The ARN of a resource here: `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    #[must_use]
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let region = if &*self.region == Self::GLOBAL { "" } else { &self.region };
        format!("arn:aws:{service}:{region}:{}:{resource}", self.account)
    }
}

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A client, by its access key id.
    User {
        /// The access key id, as sent.
        access_key: String,
    },
    /// A service of ours, by name (`autoscaling`, `cloudformation`, …): it may write what users may not, such as the
    /// metrics of `AWS/` namespaces and tags whose keys begin with `aws:`.
    Service(&'static str),
}

impl Caller {
    /// The account that an access key names: a key of twelve digits is the account, a temporary one that was issued here has it
    /// inside, any other stands for [`DEFAULT_ACCOUNT`].
    #[must_use]
    pub fn account_of(access_key: &str) -> &str {
        let named = if Self::is_issued(access_key) { &access_key[4..16] } else { access_key };
        if named.len() == 12 && named.bytes().all(|b| b.is_ascii_digit()) { named } else { DEFAULT_ACCOUNT }
    }

    /// Whether a key has the form of those that are issued here: `ASIA`, an account, four characters. AWS's own have no such digits.
    #[must_use]
    pub fn is_issued(access_key: &str) -> bool {
        let bytes = access_key.as_bytes();
        bytes.len() == 20 && bytes.starts_with(b"ASIA") && bytes[4..16].iter().all(u8::is_ascii_digit)
    }

    /// Whether a service of ours calls.
    #[must_use]
    pub fn is_service(&self) -> bool {
        matches!(self, Self::Service(_))
    }
}
