//! Reading parameters. Source: AWS Systems Manager API reference, `GetParameter`, `GetParameters`, `GetParametersByPath`,
//! `GetParameterHistory`.

use super::{arn, plain_name};
use crate::errors::{Error, invalid};
use crate::model::{Parameter, Version};
use crate::public;
use crate::shapes::{
    GetParameterHistoryRequest, GetParameterHistoryResult, GetParameterRequest, GetParameterResult,
    GetParametersByPathRequest, GetParametersByPathResult, GetParametersRequest, GetParametersResult,
    Parameter as WireParameter, ParameterHistory,
};
use zonal_cloud::{Scope, Tx, View, pages};
use zonal_wire::AwsError;

/// `GetParameter`
pub fn one(tx: &mut Tx<'_>, input: &GetParameterRequest) -> Result<GetParameterResult, AwsError> {
    Ok(GetParameterResult { parameter: Some(find(tx, &input.name)?) })
}

/// `GetParameters`: those that are not there are listed, and no error.
pub fn several(tx: &mut Tx<'_>, input: &GetParametersRequest) -> Result<GetParametersResult, AwsError> {
    if let Some(twice) =
        input.names.iter().enumerate().find_map(|(at, name)| input.names[..at].contains(name).then_some(name))
    {
        return Err(invalid(format!("Duplicate parameter name: {twice}")).into());
    }
    let mut output = GetParametersResult::default();
    for name in &input.names {
        match find(tx, name) {
            Ok(parameter) => output.parameters.push(parameter),
            Err(error) if error.code.starts_with("Parameter") => output.invalid_parameters.push(name.clone()),
            Err(error) => return Err(error),
        }
    }
    Ok(output)
}

/// Finds what a name with its selector (`:version`) means.
fn find(tx: &mut Tx<'_>, given: &str) -> Result<WireParameter, AwsError> {
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
    let name = plain_name(&full);
    if name.starts_with(public::PREFIX) {
        let found = public::named(tx, name)?.ok_or_else(|| Error::NotFound(given.to_owned()))?;
        return match selector {
            None | Some("1") => Ok(found),
            Some(other) => Err(missing_version(name, other).into()),
        };
    }
    let found = tx.get::<Parameter>(name).ok_or_else(|| Error::NotFound(given.to_owned()))?;
    let version = match selector {
        None => found.latest(),
        Some(number) => found
            .versions
            .iter()
            .find(|version| version.number.to_string() == number)
            .ok_or_else(|| missing_version(name, number))?,
    };
    let selector = selector.map(|selector| format!(":{selector}"));
    Ok(WireParameter { selector, ..shown(&tx.scope, found, version) })
}

fn missing_version(name: &str, version: &str) -> Error {
    Error::VersionNotFound { name: name.to_owned(), version: version.to_owned() }
}

fn shown(scope: &Scope, parameter: &Parameter, version: &Version) -> WireParameter {
    WireParameter {
        name: Some(parameter.name.clone()),
        type_: Some(parameter.kind.wire()),
        value: Some(version.value.clone()),
        version: Some(version.number),
        last_modified_date: Some(version.at),
        arn: Some(arn(scope, &parameter.name)),
        data_type: Some(version.data_type.clone()),
        ..WireParameter::default()
    }
}

/// `GetParametersByPath`
pub fn by_path(tx: &mut Tx<'_>, input: &GetParametersByPathRequest) -> Result<GetParametersByPathResult, AwsError> {
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
    let mut found = if path.starts_with(public::PREFIX) { public::below(tx, &path, recursive)? } else { Vec::new() };
    let own = tx
        .list::<Parameter>()
        .filter(|parameter| parameter.name.strip_prefix(&path).is_some_and(|rest| recursive || !rest.contains('/')));
    found.extend(own.map(|parameter| shown(&tx.scope, parameter, parameter.latest())));
    found.retain(|parameter| {
        input.parameter_filters.iter().all(|filter| {
            let own = match filter.key.as_str() {
                "Type" => parameter.type_.map(|kind| kind.to_string()),
                "DataType" => parameter.data_type.clone(),
                // There are no keys and no labels.
                _ => None,
            };
            let begins = filter.option.as_deref() == Some("BeginsWith");
            let fits =
                |own: String| filter.values.iter().any(|value| own == *value || begins && own.starts_with(value));
            own.is_some_and(fits)
        })
    });
    let items = found.into_iter().map(|parameter| (parameter.name.clone().unwrap_or_default(), parameter));
    let limit = input.max_results.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10);
    let (parameters, next_token) =
        pages::page(items, input.next_token.as_deref(), Some(limit)).map_err(|_| Error::NextToken)?;
    Ok(GetParametersByPathResult { parameters, next_token })
}

/// `GetParameterHistory`
pub fn history(view: &View<'_>, input: &GetParameterHistoryRequest) -> Result<GetParameterHistoryResult, AwsError> {
    let name = plain_name(&input.name);
    let found = view.get::<Parameter>(name).ok_or_else(|| Error::NotFound(input.name.clone()))?;
    let versions = found.versions.iter().map(|version| {
        let shown = ParameterHistory {
            name: Some(found.name.clone()),
            type_: Some(found.kind.wire()),
            last_modified_date: Some(version.at),
            last_modified_user: Some(version.by.clone()),
            description: version.description.clone(),
            value: Some(version.value.clone()),
            allowed_pattern: version.allowed_pattern.clone(),
            version: Some(version.number),
            tier: Some(version.tier.wire()),
            data_type: Some(version.data_type.clone()),
            ..ParameterHistory::default()
        };
        (format!("{:020}", version.number), shown)
    });
    let limit = input.max_results.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(50);
    let (parameters, next_token) =
        pages::page(versions, input.next_token.as_deref(), Some(limit)).map_err(|_| Error::NextToken)?;
    Ok(GetParameterHistoryResult { parameters, next_token })
}
