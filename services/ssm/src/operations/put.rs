//! Making, changing and deleting parameters. Source: AWS Systems Manager API reference, `PutParameter`, `DeleteParameter`,
//! `DeleteParameters`.

use super::{arn, check_name, tags};
use crate::errors::{Error, invalid};
use crate::model::{Kind, Parameter, Tier, Version};
use crate::shapes::{
    DeleteParameterRequest, DeleteParameterResult, DeleteParametersRequest, DeleteParametersResult, ParameterTier,
    ParameterType, PutParameterRequest, PutParameterResult,
};
use crate::vault::{KEY_ALIAS, Vault};
use regex_lite::Regex;
use std::collections::BTreeSet;
use zonal_cloud::Tx;
use zonal_cloud::tags::Tags;
use zonal_ec2::shapes::{DescribeImagesRequest, ops};
use zonal_wire::AwsError;

/// `PutParameter`
pub(crate) fn put(tx: &mut Tx<'_>, vault: &Vault, input: &PutParameterRequest) -> Result<PutParameterResult, AwsError> {
    // An ARN is no name here, even one's own: it fails by its colons.
    let name = input.name.clone();
    check_name(&name)?;
    if input.policies.is_some() {
        return Err(invalid("Zonal does not support parameter policies.").into());
    }
    let overwrite = input.overwrite == Some(true);
    if overwrite && !input.tags.is_empty() {
        return Err(invalid(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite \
             flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.",
        )
        .into());
    }
    let old = tx.get::<Parameter>(Parameter::key_of(&name)).cloned();
    if old.is_some() && !overwrite {
        return Err(Error::AlreadyExists.into());
    }
    if let Some(oldest) = old.as_ref().and_then(Parameter::labelled_oldest) {
        return Err(Error::TooManyVersions { name, oldest }.into());
    }
    let kind = kind(input.type_, old.as_ref())?;
    let mut version = version(tx, input, old.as_ref())?;
    if kind == Kind::SecureString {
        version.key_id = Some(key(tx, input.key_id.as_deref())?);
        version.value = vault.seal(&arn(&tx.scope, &name), &version.value);
    } else if input.key_id.is_some() {
        return Err(invalid("KeyId is required for SecureString type parameter only.").into());
    }
    let output = PutParameterResult { version: Some(version.number), tier: Some(version.tier.wire()) };
    let mut parameter = old.unwrap_or(Parameter { name, kind, versions: Vec::new(), tags: Tags::new() });
    parameter.kind = kind;
    tags::merge(&mut parameter.tags, &input.tags, tx.caller.is_service())?;
    parameter.add(version);
    tx.put(parameter);
    Ok(output)
}

fn kind(asked: Option<ParameterType>, old: Option<&Parameter>) -> Result<Kind, Error> {
    let asked = match asked {
        Some(ParameterType::String) => Some(Kind::String),
        Some(ParameterType::StringList) => Some(Kind::StringList),
        Some(ParameterType::SecureString) => Some(Kind::SecureString),
        None => None,
    };
    match (asked, old) {
        (None, None) => Err(invalid("A parameter type is required when you create a parameter.")),
        (None, Some(old)) => Ok(old.kind),
        (Some(asked), Some(old)) if asked != old.kind => {
            Err(Error::TypeMismatch { from: old.kind.wire().to_string(), to: asked.wire().to_string() })
        }
        (Some(asked), _) => Ok(asked),
    }
}

/// The key that a value is to be sealed with: the account's own for Parameter Store, however it is named.
fn key(tx: &Tx<'_>, given: Option<&str>) -> Result<String, Error> {
    match given {
        None | Some("") => Ok(KEY_ALIAS.to_owned()),
        Some(own) if own == KEY_ALIAS || own == tx.scope.arn("kms", KEY_ALIAS) => Ok(own.to_owned()),
        Some(other) => Err(Error::KeyId(format!("Invalid keyId: {other}"))),
    }
}

fn version(tx: &mut Tx<'_>, input: &PutParameterRequest, old: Option<&Parameter>) -> Result<Version, AwsError> {
    if input.value.is_empty() {
        return Err(invalid("Parameter value can't be empty.").into());
    }
    let last = old.map(Parameter::latest);
    if input.tier == Some(ParameterTier::Standard) && last.is_some_and(|last| last.tier == Tier::Advanced) {
        return Err(invalid(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the \
             standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter.",
        )
        .into());
    }
    let tier = match input.tier {
        Some(ParameterTier::Advanced) => Tier::Advanced,
        // Intelligent tiering takes the advanced tier when the value needs it.
        Some(ParameterTier::IntelligentTiering) if input.value.len() > 4096 => Tier::Advanced,
        _ => last.map_or(Tier::Standard, |last| last.tier),
    };
    let most = if tier == Tier::Standard { 4096 } else { 8192 };
    if input.value.len() > most {
        return Err(invalid(match tier {
            Tier::Standard => {
                "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, \
                 upgrade the parameter to use the advanced-parameter tier."
            }
            Tier::Advanced => "Advanced tier parameters support a maximum parameter value of 8192 characters.",
        })
        .into());
    }
    if let Some(pattern) = input.allowed_pattern.as_deref().filter(|pattern| !pattern.is_empty()) {
        let regex = Regex::new(pattern).map_err(|_| Error::BadPattern(pattern.to_owned()))?;
        if !regex.is_match(&input.value) {
            return Err(Error::PatternMismatch(pattern.to_owned()).into());
        }
    }
    let data_type = match input.data_type.as_deref() {
        None => last.map_or_else(|| "text".to_owned(), |last| last.data_type.clone()),
        Some(known @ ("text" | "aws:ec2:image")) => known.to_owned(),
        Some(other) => return Err(invalid(format!("The following data type is not supported: {other}")).into()),
    };
    if data_type == "aws:ec2:image" {
        let images = DescribeImagesRequest { image_ids: vec![input.value.clone()], ..Default::default() };
        if tx.call::<ops::DescribeImages>("ec2", &images).is_ok_and(|found| found.images.is_empty()) {
            return Err(invalid(format!("The image '{}' does not exist", input.value)).into());
        }
    }
    Ok(Version {
        number: last.map_or(1, |last| last.number + 1),
        value: input.value.clone(),
        key_id: None,
        description: input.description.clone().or_else(|| last.and_then(|last| last.description.clone())),
        allowed_pattern: input.allowed_pattern.clone(),
        data_type,
        tier,
        at: tx.now,
        labels: BTreeSet::new(),
        by: format!("arn:aws:iam::{}:root", tx.scope.account),
    })
}

/// `DeleteParameter`: by its name; an ARN is none.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteParameterRequest) -> Result<DeleteParameterResult, AwsError> {
    let name = Parameter::key_of(&input.name);
    if tx.get::<Parameter>(name).is_none() {
        return Err(Error::NotFound(input.name.clone()).into());
    }
    tx.remove::<Parameter>(name);
    Ok(DeleteParameterResult {})
}

/// `DeleteParameters`: those that are not there are listed, and no error.
pub fn delete_several(tx: &mut Tx<'_>, input: &DeleteParametersRequest) -> Result<DeleteParametersResult, AwsError> {
    let mut output = DeleteParametersResult::default();
    for given in &input.names {
        let name = Parameter::key_of(given);
        if tx.get::<Parameter>(name).is_some() {
            tx.remove::<Parameter>(name);
            output.deleted_parameters.push(given.clone());
        } else {
            output.invalid_parameters.push(given.clone());
        }
    }
    Ok(output)
}
