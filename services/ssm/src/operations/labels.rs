//! Labels of parameters' versions. Source: AWS Systems Manager API reference, `LabelParameterVersion`, `UnlabelParameterVersion`; user
//! guide, "Working with parameter labels".

use super::{parameter, plain_name};
use crate::errors::Error;
use crate::model::{Parameter, Version};
use crate::shapes::{
    LabelParameterVersionRequest, LabelParameterVersionResult, UnlabelParameterVersionRequest,
    UnlabelParameterVersionResult,
};
use zonal_cloud::Tx;
use zonal_wire::AwsError;

/// As many labels as a version may have.
const MOST: usize = 10;

/// Whether a text can be a label. One that begins with a digit would be taken for a version.
fn is_label(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    (1..=100).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && !lower.starts_with("aws")
        && !lower.starts_with("ssm")
}

/// The parameter that a request names, to be changed, and the number of the version that it means: the latest, where it says none.
fn version_of(tx: &Tx<'_>, given: &str, number: Option<i64>) -> Result<(Parameter, i64), Error> {
    let found = parameter(&tx.view(), given).ok_or_else(|| Error::NotFound(given.to_owned()))?.clone();
    let number = number.unwrap_or(found.latest().number);
    if found.versions.iter().any(|version| version.number == number) {
        return Ok((found, number));
    }
    let name = plain_name(&tx.scope, given).unwrap_or(given).to_owned();
    Err(Error::VersionNotFound { name, version: number.to_string() })
}

/// `LabelParameterVersion`: a label that another version has goes over to this one; what can be none is listed, and no error.
pub fn label(tx: &mut Tx<'_>, input: &LabelParameterVersionRequest) -> Result<LabelParameterVersionResult, AwsError> {
    let (mut found, number) = version_of(tx, &input.name, input.parameter_version)?;
    let (good, invalid_labels): (Vec<String>, Vec<String>) =
        input.labels.iter().cloned().partition(|label| is_label(label));
    for version in &mut found.versions {
        if version.number == number {
            version.labels.extend(good.iter().cloned());
        } else {
            version.labels.retain(|label| !good.contains(label));
        }
    }
    if found.versions.iter().any(|version| version.labels.len() > MOST) {
        return Err(Error::TooManyLabels.into());
    }
    tx.put(found);
    Ok(LabelParameterVersionResult { invalid_labels, parameter_version: Some(number) })
}

/// `UnlabelParameterVersion`: what the version has not is listed, and no error.
pub fn unlabel(
    tx: &mut Tx<'_>,
    input: &UnlabelParameterVersionRequest,
) -> Result<UnlabelParameterVersionResult, AwsError> {
    let (mut found, number) = version_of(tx, &input.name, Some(input.parameter_version))?;
    let mut own = |version: &mut Version| input.labels.iter().cloned().partition(|label| version.labels.remove(label));
    let labelled = found.versions.iter_mut().find(|version| version.number == number);
    let (removed_labels, invalid_labels) = labelled.map(&mut own).unwrap_or_default();
    tx.put(found);
    Ok(UnlabelParameterVersionResult { removed_labels, invalid_labels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_of_plain_letters_and_no_number_and_none_of_awss() {
        for (text, fits) in [
            ("prod", true),
            ("v1.2_a-b", true),
            ("1st", false),
            ("aws-x", false),
            ("SSM", false),
            ("a b", false),
            ("a/b", false),
            ("", false),
        ] {
            assert_eq!(is_label(text), fits, "{text}");
        }
    }
}
