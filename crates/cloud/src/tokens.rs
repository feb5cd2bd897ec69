//! Client tokens: a call repeated with its token gives the first call's answer. The answer is stored in the same transaction as what
//! the call made, so that neither is ever there without the other.

use crate::state::Record;
use crate::transaction::Tx;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;
use zonal_wire::{AwsError, OperationFacts, Structure, Time, value};

/// How long a token is remembered. EC2 promises 24 hours at least.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// A call made with a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClientToken {
    key: String,
    fingerprint: String,
    output: String,
    made: Time,
}

impl Record for ClientToken {
    const TABLE: &'static str = "cloud.client_token";

    fn key(&self) -> &str {
        &self.key
    }
}

/// What is done once: an operation's handler.
type Act<'a> = dyn Fn(&mut Tx<'_>, &dyn Structure) -> Result<Box<dyn Structure>, AwsError> + 'a;

pub(crate) fn once(
    tx: &mut Tx<'_>,
    service: &str,
    facts: &'static OperationFacts,
    token: &str,
    mismatch: &'static str,
    input: &dyn Structure,
    handler: &Act<'_>,
) -> Result<Box<dyn Structure>, AwsError> {
    let key = format!("{service}.{}.{token}", facts.name);
    let fingerprint: String =
        Sha256::digest(value::to_json(input).to_string()).iter().map(|b| format!("{b:02x}")).collect();
    if let Some(earlier) = tx.get::<ClientToken>(&key).filter(|earlier| tx.now < earlier.made + REMEMBERED) {
        if earlier.fingerprint != fingerprint {
            return Err(AwsError::client(
                mismatch,
                format!(
                    "Arguments on this idempotent request are inconsistent with arguments used in previous request(s) with the same token {token}."
                ),
            ));
        }
        let stored = serde_json::from_str(&earlier.output).map_err(|error| {
            AwsError::internal(format!("the answer kept for token {token} does not decode: {error}"))
        })?;
        let mut output = (facts.new_output)();
        value::from_json(&stored, &mut *output)
            .map_err(|error| AwsError::internal(format!("the answer kept for token {token} does not fit: {error}")))?;
        return Ok(output);
    }
    let output = handler(tx, input)?;
    let made = tx.now;
    tx.put(ClientToken { key, fingerprint, output: value::to_json(&*output).to_string(), made });
    Ok(output)
}

/// Forgets tokens past their time.
pub(crate) fn sweep(tx: &mut Tx<'_>) {
    let old: Vec<_> = tx
        .view()
        .everywhere::<ClientToken>()
        .filter(|(_, token)| token.made + REMEMBERED <= tx.now)
        .map(|(scope, token)| (scope.clone(), token.key.clone()))
        .collect();
    for (scope, key) in old {
        tx.within(&scope, |tx| tx.remove::<ClientToken>(&key));
    }
}
