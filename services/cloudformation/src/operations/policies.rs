//! UpdateTerminationProtection, SetStackPolicy, GetStackPolicy.

use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

use super::find;
use crate::errors::Error;
use crate::model::Stack;
use crate::{shapes, stack_policy};

/// UpdateTerminationProtection.
pub fn termination_protection(
    tx: &mut Tx<'_>,
    input: &shapes::UpdateTerminationProtectionInput,
) -> Result<shapes::UpdateTerminationProtectionOutput, AwsError> {
    let id = find(&tx.view(), &input.stack_name)?.id.clone();
    tx.update::<Stack, _>(&id, |stack| stack.termination_protection = input.enable_termination_protection);
    Ok(shapes::UpdateTerminationProtectionOutput { stack_id: Some(id) })
}

/// Refuses a text that is no stack policy.
pub fn valid(body: Option<&str>) -> Result<(), Error> {
    match body {
        Some(body) if !stack_policy::is_valid(body) => {
            Err(Error::validation("Error validating stack policy: Invalid stack policy"))
        }
        _ => Ok(()),
    }
}

/// Refuses a policy that is to be had from S3, by the parameter's name.
pub fn inline(parameter: &str, url: Option<&str>) -> Result<(), Error> {
    match url {
        Some(_) => {
            Err(Error::validation(format!("{parameter} must reference a valid S3 object to which you have access.")))
        }
        None => Ok(()),
    }
}

/// SetStackPolicy.
pub fn set(tx: &mut Tx<'_>, input: &shapes::SetStackPolicyInput) -> Result<shapes::SetStackPolicyOutput, AwsError> {
    let id = find(&tx.view(), &input.stack_name)?.id.clone();
    let body = match (&input.stack_policy_body, &input.stack_policy_url) {
        (Some(body), None) => body.clone(),
        _ => return Err(Error::validation(
            "Exactly one of StackPolicyBody and StackPolicyURL must be specified; a URL must reference an S3 object.",
        )
        .into()),
    };
    valid(Some(&body))?;
    tx.update::<Stack, _>(&id, |stack| stack.policy = Some(body));
    Ok(shapes::SetStackPolicyOutput::default())
}

/// GetStackPolicy.
pub fn get(view: &View<'_>, input: &shapes::GetStackPolicyInput) -> Result<shapes::GetStackPolicyOutput, AwsError> {
    let stack = find(view, &input.stack_name)?;
    Ok(shapes::GetStackPolicyOutput { stack_policy_body: stack.policy.clone() })
}
