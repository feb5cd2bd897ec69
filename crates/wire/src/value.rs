//! Structures as JSON values keyed by member names, for those who call operations without knowing their types:
//! CloudFormation's resources, Auto Scaling's policies.

use crate::Structure;
use crate::json::{Json, Names, write};
use crate::node::{Manner, Reading};
use crate::violations::Violations;
use serde_json::Value;

/// The members that are present, by member names. Times are ISO 8601, blobs base64.
pub fn to_json(structure: &dyn Structure) -> Value {
    write(structure, Names::Member)
}

/// Fills a structure from member names, case-sensitive. Text stands for numbers and booleans ("80", "true") and the other
/// way round, as in templates; `null` is absent.
///
/// # Errors
/// All that is wrong: unknown keys, missing ones, values that are none of their type's.
pub fn from_json(value: &Value, into: &mut dyn Structure) -> Result<(), Violations> {
    let mut reading = Reading::new(Manner::Lenient);
    reading.root(&Json { value, names: Names::Member }, into);
    reading.finish()
}
