//! Reading parameters. Source: AWS Systems Manager API reference, `GetParameter`, `GetParameters`, `GetParametersByPath`,
//! `GetParameterHistory`.

use super::{arn, parameter, plain_name};
use crate::errors::{Error, invalid};
use crate::model::{Kind, Parameter, Version};
use crate::public;
use crate::shapes::{
    GetParameterHistoryRequest, GetParameterHistoryResult, GetParameterRequest, GetParameterResult,
    GetParametersByPathRequest, GetParametersByPathResult, GetParametersRequest, GetParametersResult,
    Parameter as WireParameter, ParameterHistory, ParameterStringFilter,
};
use crate::vault::Vault;
use zonal_cloud::{Scope, Tx, View, pages};
use zonal_wire::AwsError;

/// `GetParameter`
pub(crate) fn one(tx: &mut Tx<'_>, vault: &Vault, input: &GetParameterRequest) -> Result<GetParameterResult, AwsError> {
    let with = Opening { vault, asked: input.with_decryption == Some(true) };
    Ok(GetParameterResult { parameter: Some(find(tx, &with, &input.name)?) })
}

/// `GetParameters`: those that are not there are listed, and no error.
pub(crate) fn several(
    tx: &mut Tx<'_>,
    vault: &Vault,
    input: &GetParametersRequest,
) -> Result<GetParametersResult, AwsError> {
    if let Some(twice) =
        input.names.iter().enumerate().find_map(|(at, name)| input.names[..at].contains(name).then_some(name))
    {
        return Err(invalid(format!("Duplicate parameter name: {twice}")).into());
    }
    let with = Opening { vault, asked: input.with_decryption == Some(true) };
    let mut output = GetParametersResult::default();
    for name in &input.names {
        match find(tx, &with, name) {
            Ok(parameter) => output.parameters.push(parameter),
            Err(error) if error.code.starts_with("Parameter") => output.invalid_parameters.push(name.clone()),
            Err(error) => return Err(error),
        }
    }
    Ok(output)
}

/// Finds what a name with its selector (`:version`, `:label`) means.
fn find(tx: &mut Tx<'_>, with: &Opening<'_>, given: &str) -> Result<WireParameter, AwsError> {
    let (head, given_name) = match given.rfind('/') {
        // The selector's colon comes after the last slash; an ARN has others before it.
        Some(slash) if given.starts_with("arn:") => given.split_at(slash),
        _ => ("", given),
    };
    let (tail, selector) = match given_name.split_once(':') {
        Some((tail, selector)) => (tail, Some(selector)),
        None => (given_name, None),
    };
    let full = format!("{head}{tail}");
    let name = plain_name(&tx.scope, &full).ok_or_else(|| Error::NotFound(given.to_owned()))?;
    if name.starts_with(public::PREFIX) {
        let found = public::named(tx, name)?.ok_or_else(|| Error::NotFound(given.to_owned()))?;
        return match selector {
            None | Some("1") => Ok(found),
            Some(other) => Err(missing_version(name, other).into()),
        };
    }
    let found = tx.get::<Parameter>(Parameter::key_of(name)).ok_or_else(|| Error::NotFound(given.to_owned()))?;
    let version = match selector {
        None => found.latest(),
        Some(selector) => found.version(selector).ok_or_else(|| missing_version(name, selector))?,
    };
    let selector = selector.map(|selector| format!(":{selector}"));
    Ok(WireParameter { selector, ..shown(&tx.scope, with, found, version)? })
}

fn missing_version(name: &str, version: &str) -> Error {
    Error::VersionNotFound { name: name.to_owned(), version: version.to_owned() }
}

/// Whether sealed values are to be opened, and by what.
struct Opening<'a> {
    vault: &'a Vault,
    asked: bool,
}

impl Opening<'_> {
    /// A version's value: what is sealed is shown sealed to those who do not ask for more.
    fn value(&self, scope: &Scope, parameter: &Parameter, version: &Version) -> Result<String, Error> {
        if parameter.kind != Kind::SecureString || !self.asked {
            return Ok(version.value.clone());
        }
        let opened = self.vault.open(&arn(scope, &parameter.name), &version.value);
        // As where the key that sealed it was deleted: its file was taken from the world.
        opened
            .ok_or_else(|| Error::KeyId(format!("The key that {} is sealed with is not this world's.", parameter.name)))
    }
}

fn shown(scope: &Scope, with: &Opening<'_>, parameter: &Parameter, version: &Version) -> Result<WireParameter, Error> {
    Ok(WireParameter {
        name: Some(parameter.name.clone()),
        type_: Some(parameter.kind.wire()),
        value: Some(with.value(scope, parameter, version)?),
        version: Some(version.number),
        last_modified_date: Some(version.at),
        arn: Some(arn(scope, &parameter.name)),
        data_type: Some(version.data_type.clone()),
        ..WireParameter::default()
    })
}

/// `GetParametersByPath`
pub(crate) fn by_path(
    tx: &mut Tx<'_>,
    vault: &Vault,
    input: &GetParametersByPathRequest,
) -> Result<GetParametersByPathResult, AwsError> {
    let with = Opening { vault, asked: input.with_decryption == Some(true) };
    if !input.path.starts_with('/') {
        return Err(invalid(
            "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\".",
        )
        .into());
    }
    for filter in &input.parameter_filters {
        if !matches!(filter.key.as_str(), "Type" | "KeyId" | "Label" | "DataType") {
            return Err(Error::FilterKey(filter.key.clone()).into());
        }
        if let Some(option) = filter.option.as_deref().filter(|option| !matches!(*option, "Equals" | "BeginsWith")) {
            return Err(Error::FilterOption(option.to_owned()).into());
        }
    }
    let recursive = input.recursive == Some(true);
    let path = format!("{}/", input.path.trim_end_matches('/'));
    // With filters by label it is the version that has all of those labels that is looked for; public ones have none.
    let (labels, others): (Vec<_>, Vec<_>) = input.parameter_filters.iter().partition(|filter| filter.key == "Label");
    let mut found = Vec::new();
    if labels.is_empty() && path.starts_with(public::PREFIX) {
        found.extend(public::below(tx, &path, recursive)?.into_iter().map(|parameter| (parameter, None)));
    }
    let own = tx
        .list::<Parameter>()
        .filter(|parameter| parameter.name.strip_prefix(&path).is_some_and(|rest| recursive || !rest.contains('/')));
    for parameter in own {
        let labelled =
            |version: &&Version| labels.iter().all(|filter| version.labels.iter().any(|label| passes(filter, label)));
        let version =
            if labels.is_empty() { Some(parameter.latest()) } else { parameter.versions.iter().find(labelled) };
        if let Some(version) = version {
            found.push((shown(&tx.scope, &with, parameter, version)?, version.key_id.clone()));
        }
    }
    found.retain(|(parameter, key)| {
        others.iter().all(|filter| {
            let own = match filter.key.as_str() {
                "Type" => parameter.type_.map(|kind| kind.to_string()),
                "DataType" => parameter.data_type.clone(),
                // The only one left.
                _ => key.clone(),
            };
            own.is_some_and(|own| passes(filter, &own))
        })
    });
    let found = found.into_iter().map(|(parameter, _)| parameter);
    let items = found.map(|parameter| (parameter.name.clone().unwrap_or_default(), parameter));
    let limit = input.max_results.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10);
    let (parameters, next_token) =
        pages::page(items, input.next_token.as_deref(), Some(limit)).map_err(|_| Error::NextToken)?;
    Ok(GetParametersByPathResult { parameters, next_token })
}

/// Whether what a parameter has under a filter's key is one of its values.
fn passes(filter: &ParameterStringFilter, own: &str) -> bool {
    let begins = filter.option.as_deref() == Some("BeginsWith");
    filter.values.iter().any(|value| own == value || begins && own.starts_with(value.as_str()))
}

/// `GetParameterHistory`
pub(crate) fn history(
    view: &View<'_>,
    vault: &Vault,
    input: &GetParameterHistoryRequest,
) -> Result<GetParameterHistoryResult, AwsError> {
    let with = Opening { vault, asked: input.with_decryption == Some(true) };
    let found = parameter(view, &input.name).ok_or_else(|| Error::NotFound(input.name.clone()))?;
    let mut versions = Vec::new();
    for version in &found.versions {
        let shown = ParameterHistory {
            name: Some(found.name.clone()),
            type_: Some(found.kind.wire()),
            last_modified_date: Some(version.at),
            last_modified_user: Some(version.by.clone()),
            description: version.description.clone(),
            value: Some(with.value(view.scope, found, version)?),
            key_id: version.key_id.clone(),
            allowed_pattern: version.allowed_pattern.clone(),
            version: Some(version.number),
            tier: Some(version.tier.wire()),
            data_type: Some(version.data_type.clone()),
            labels: version.labels.iter().cloned().collect(),
            ..ParameterHistory::default()
        };
        versions.push((format!("{:020}", version.number), shown));
    }
    let limit = input.max_results.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(50);
    let (parameters, next_token) =
        pages::page(versions, input.next_token.as_deref(), Some(limit)).map_err(|_| Error::NextToken)?;
    Ok(GetParameterHistoryResult { parameters, next_token })
}
