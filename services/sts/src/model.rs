//! What is stored: the temporary keys that were issued.

use serde::{Deserialize, Serialize};
use zonal_cloud::Record;
use zonal_wire::Time;

/// A temporary key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// `ASIA…`, with its account's id inside.
    pub access_key_id: String,
    /// What requests are signed with.
    pub secret_access_key: String,
    /// What they carry beside the signature.
    pub session_token: String,
    /// Until when.
    pub expiration: Time,
}

impl Record for Session {
    const TABLE: &'static str = "sts.session";
    fn key(&self) -> &str {
        &self.access_key_id
    }
}
