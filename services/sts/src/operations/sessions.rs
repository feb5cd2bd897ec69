//! Temporary keys. Source: AWS Security Token Service API reference, `GetSessionToken`.

use crate::shapes::{Credentials, GetSessionTokenRequest, GetSessionTokenResponse};
use std::time::Duration;
use zonal_cloud::{Caller, Tx, ids};
use zonal_wire::AwsError;

/// The root user's sessions last an hour at most.
const LONGEST: u32 = 3600;

/// `GetSessionToken`. The key's id holds its account's, as AWS's own do.
pub fn session_token(tx: &mut Tx<'_>, input: &GetSessionTokenRequest) -> Result<GetSessionTokenResponse, AwsError> {
    let asked = input.duration_seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(LONGEST);
    if !(900..=129_600).contains(&asked) {
        return Err(AwsError::client(
            "ValidationError",
            format!("The duration '{asked}' must be between 900 and 129600 seconds"),
        ));
    }
    let expiration = tx.now + Duration::from_secs(u64::from(asked.min(LONGEST)));
    let suffix = ids::alphanumeric(4, tx.chance());
    let access_key_id = format!("ASIA{}{suffix}", tx.scope.account);
    if *Caller::account_of(&access_key_id) != *tx.scope.account {
        // A key that stood for another account's resources would be worse than none.
        let text = format!(
            "Zonal issues no temporary keys for the account {}: use the account's id as the key",
            tx.scope.account
        );
        return Err(AwsError::client("AccessDenied", text).status(403));
    }
    Ok(GetSessionTokenResponse {
        credentials: Some(Credentials {
            access_key_id,
            secret_access_key: ids::alphanumeric(40, tx.chance()),
            session_token: ids::alphanumeric(356, tx.chance()),
            expiration,
        }),
    })
}
