//! Temporary keys. Source: AWS Security Token Service API reference, `GetSessionToken`.

use crate::model::Session;
use crate::shapes::{Credentials, GetSessionTokenRequest, GetSessionTokenResponse};
use std::time::Duration;
use zonal_cloud::{Tx, ids};
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
    // One that is over for long is refused as an unknown one is.
    let month = Duration::from_secs(30 * 86_400);
    let now = tx.now;
    let old = |session: &&Session| session.expiration + month < now;
    let over: Vec<String> = tx.list::<Session>().filter(old).map(|session| session.access_key_id.clone()).collect();
    for key in over {
        tx.remove::<Session>(&key);
    }
    let expiration = tx.now + Duration::from_secs(u64::from(asked.min(LONGEST)));
    // Keys are told apart in all regions at once.
    let account = tx.scope.account.clone();
    let access_key_id = loop {
        let drawn = format!("ASIA{account}{}", ids::alphanumeric(4, tx.chance()));
        if tx.find::<Session>(&drawn).is_none() {
            break drawn;
        }
    };
    let session = Session {
        access_key_id,
        secret_access_key: ids::alphanumeric(40, tx.chance()),
        session_token: ids::alphanumeric(356, tx.chance()),
        expiration,
    };
    tx.put(session.clone());
    Ok(GetSessionTokenResponse {
        credentials: Some(Credentials {
            access_key_id: session.access_key_id,
            secret_access_key: session.secret_access_key,
            session_token: session.session_token,
            expiration,
        }),
    })
}
