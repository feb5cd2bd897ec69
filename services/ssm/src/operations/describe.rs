//! Finding parameters. Source: AWS Systems Manager API reference, `DescribeParameters`, `ParameterStringFilter`.

use super::arn;
use crate::errors::{Error, invalid};
use crate::model::Parameter;
use crate::shapes::{DescribeParametersRequest, DescribeParametersResult, ParameterMetadata, ParameterStringFilter};
use zonal_cloud::{View, pages};
use zonal_wire::AwsError;

/// `DescribeParameters`
pub fn describe(view: &View<'_>, input: &DescribeParametersRequest) -> Result<DescribeParametersResult, AwsError> {
    if !input.filters.is_empty() && !input.parameter_filters.is_empty() {
        return Err(invalid("You can use either Filters or ParameterFilters in a single request.").into());
    }
    let mut filters = input.parameter_filters.clone();
    filters.extend(input.filters.iter().map(|old| ParameterStringFilter {
        key: old.key.to_string(),
        // The older filters compare names by what they hold, and the rest whole.
        option: Some(if old.key.as_str() == "Name" { "Contains".into() } else { "Equals".into() }),
        values: old.values.clone(),
    }));
    filters.iter().try_for_each(check)?;
    let shared = input.shared == Some(true);
    let wanted =
        view.list::<Parameter>().filter(|parameter| !shared && filters.iter().all(|filter| passes(filter, parameter)));
    let items = wanted.map(|parameter| {
        let latest = parameter.latest();
        let shown = ParameterMetadata {
            name: Some(parameter.name.clone()),
            arn: Some(arn(view.scope, &parameter.name)),
            type_: Some(parameter.kind.wire()),
            key_id: latest.key_id.clone(),
            last_modified_date: Some(latest.at),
            last_modified_user: Some(latest.by.clone()),
            description: latest.description.clone(),
            allowed_pattern: latest.allowed_pattern.clone(),
            version: Some(latest.number),
            tier: Some(latest.tier.wire()),
            data_type: Some(latest.data_type.clone()),
            ..ParameterMetadata::default()
        };
        (parameter.name.clone(), shown)
    });
    let limit = input.max_results.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(50);
    let (parameters, next_token) =
        pages::page(items, input.next_token.as_deref(), Some(limit)).map_err(|_| Error::NextToken)?;
    Ok(DescribeParametersResult { parameters, next_token })
}

fn check(filter: &ParameterStringFilter) -> Result<(), Error> {
    let option = filter.option.as_deref().unwrap_or("Equals");
    let options: &[&str] = match filter.key.as_str() {
        "Name" => &["Equals", "BeginsWith", "Contains"],
        "Path" => &["Recursive", "OneLevel", "Equals"],
        "Type" | "Tier" | "DataType" | "KeyId" => &["Equals", "BeginsWith"],
        key if key.starts_with("tag:") => &["Equals"],
        _ => return Err(Error::FilterKey(filter.key.clone())),
    };
    if options.contains(&option) { Ok(()) } else { Err(Error::FilterOption(option.to_owned())) }
}

fn passes(filter: &ParameterStringFilter, parameter: &Parameter) -> bool {
    let option = filter.option.as_deref().unwrap_or("Equals");
    let latest = parameter.latest();
    let own = match filter.key.as_str() {
        "Name" => parameter.name.clone(),
        "Type" => parameter.kind.wire().to_string(),
        "Tier" => latest.tier.wire().to_string(),
        "DataType" => latest.data_type.clone(),
        "KeyId" => latest.key_id.clone().unwrap_or_default(),
        "Path" => {
            let below = |path: &String| {
                let path = format!("{}/", path.trim_end_matches('/'));
                parameter.name.strip_prefix(&path).is_some_and(|rest| option == "Recursive" || !rest.contains('/'))
            };
            return filter.values.iter().any(below);
        }
        key => {
            let Some(value) = key.strip_prefix("tag:").and_then(|key| parameter.tags.get(key)) else { return false };
            if filter.values.is_empty() {
                return true;
            }
            value.clone()
        }
    };
    filter.values.iter().any(|value| match option {
        "BeginsWith" => own.starts_with(value),
        "Contains" => own.contains(value),
        _ => own == *value,
    })
}
