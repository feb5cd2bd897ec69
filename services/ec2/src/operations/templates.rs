//! Launch templates and their versions.

use super::filters::Filters;
use super::{Answer, Selection, cut, filters, json, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{LaunchTemplate, TemplateVersion};
use crate::shapes::{self, *};
use serde_json::Value;
use std::collections::BTreeMap;
use zonal_cloud::{Tx, View};
use zonal_wire::{Structure, value};

pub(crate) fn unknown_id(id: &str) -> Error {
    let text = format!("The specified launch template, with template ID {id}, does not exist.");
    Error::Coded("InvalidLaunchTemplateId.NotFound", text)
}

/// The template that a call names by id or by name.
pub(crate) fn named<'a>(
    view: &View<'a>,
    id: Option<&String>,
    name: Option<&String>,
) -> Result<&'a LaunchTemplate, Error> {
    match (id, name) {
        (Some(_), Some(_)) => {
            let text =
                "Provide either the launch template ID or the launch template name to use in the request, not both.";
            Err(Error::InvalidParameterCombination(text.to_owned()))
        }
        (Some(id), None) => {
            Error::check_form(id, "lt-", "InvalidLaunchTemplateId.Malformed")?;
            view.get::<LaunchTemplate>(id).ok_or_else(|| unknown_id(id))
        }
        (None, Some(name)) => view.list::<LaunchTemplate>().find(|template| template.name == *name).ok_or_else(|| {
            let text = format!("The specified launch template, with template name {name}, does not exist.");
            Error::Coded("InvalidLaunchTemplateName.NotFoundException", text)
        }),
        (None, None) => Err(Error::MissingParameter("LaunchTemplateId".to_owned())),
    }
}

/// A version by `$Latest`, `$Default` or number.
pub(crate) fn version<'a>(template: &'a LaunchTemplate, version: &str) -> Result<&'a TemplateVersion, Error> {
    let number = template.version_number(version);
    number.and_then(|number| template.versions.get(&number)).ok_or_else(|| {
        let text = format!("Could not find launch template version {version} for launch template {}.", template.id);
        Error::Coded("InvalidLaunchTemplateId.VersionNotFound", text)
    })
}

fn data(input: &RequestLaunchTemplateData) -> Answer<Value> {
    super::run::user_data(input.user_data.as_ref())?;
    Ok(value::to_json(input))
}

fn creator(tx: &Tx<'_>) -> String {
    tx.scope.global().arn("iam", "root")
}

pub fn create(tx: &mut Tx<'_>, input: &CreateLaunchTemplateRequest) -> Answer<CreateLaunchTemplateResult> {
    let name = &input.launch_template_name;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-()./_".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
        let text = "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.";
        return Err(Error::Coded("InvalidLaunchTemplateName.MalformedException", text.to_owned()).into());
    }
    if tx.list::<LaunchTemplate>().any(|template| template.name == *name) {
        let text = format!("Launch template name already in use: {name}.");
        return Err(Error::Coded("InvalidLaunchTemplateName.AlreadyExistsException", text).into());
    }
    let tags = specified(tx, &input.tag_specifications, "launch-template", &["launch-template"])?;
    let first = TemplateVersion {
        description: input.version_description.clone(),
        created: tx.now,
        data: data(&input.launch_template_data)?,
    };
    let template = LaunchTemplate {
        id: tx.id("lt-"),
        name: name.clone(),
        versions: BTreeMap::from([(1, first)]),
        default_version: 1,
        next_version: 2,
        created: tx.now,
        created_by: creator(tx),
        tags,
    };
    tx.put(template.clone());
    Ok(CreateLaunchTemplateResult { launch_template: Some(shape(&template)), ..Default::default() })
}

pub fn create_version(
    tx: &mut Tx<'_>,
    input: &CreateLaunchTemplateVersionRequest,
) -> Answer<CreateLaunchTemplateVersionResult> {
    let template = named(&tx.view(), input.launch_template_id.as_ref(), input.launch_template_name.as_ref())?.clone();
    let mut merged = match &input.source_version {
        Some(source) => version(&template, source)?.data.clone(),
        None => Value::Object(serde_json::Map::new()),
    };
    if let (Value::Object(merged), Value::Object(new)) = (&mut merged, data(&input.launch_template_data)?) {
        // What the call gives replaces the source's member whole; an empty list is one not given.
        merged.extend(new.into_iter().filter(|(_, given)| given.as_array().is_none_or(|list| !list.is_empty())));
    }
    let number = template.next_version;
    let new = TemplateVersion { description: input.version_description.clone(), created: tx.now, data: merged };
    tx.update::<LaunchTemplate, _>(&template.id, |template| {
        template.versions.insert(number, new);
        template.next_version += 1;
    });
    let template = named(&tx.view(), Some(&template.id), None)?.clone();
    let launch_template_version =
        template.versions.get(&number).map(|version| version_shape(&template, number, version));
    Ok(CreateLaunchTemplateVersionResult { launch_template_version, ..Default::default() })
}

pub fn describe(view: &View<'_>, input: &DescribeLaunchTemplatesRequest) -> Answer<DescribeLaunchTemplatesResult> {
    for id in &input.launch_template_ids {
        named(view, Some(id), None)?;
    }
    if input.launch_template_names.iter().any(|name| named(view, None, Some(name)).is_err()) {
        let text = "At least one of the launch templates specified in the request does not exist.";
        return Err(Error::Coded("InvalidLaunchTemplateName.NotFoundException", text.to_owned()).into());
    }
    let wanted = |template: &LaunchTemplate| {
        input.launch_template_names.is_empty() || input.launch_template_names.contains(&template.name)
    };
    let selection = Selection {
        ids: &input.launch_template_ids,
        filters: &input.filters,
        names: filters::LAUNCH_TEMPLATES,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: ("InvalidLaunchTemplateId.NotFound", "launch template"),
    };
    let (templates, next_token) = selection.of(
        view.among::<LaunchTemplate>(&input.launch_template_ids).filter(|template| wanted(template)),
        |template| &template.id,
        |template| &template.tags,
        |_, _| None,
        |template| json(&shape(template)),
    )?;
    let launch_templates = templates.into_iter().map(shape).collect();
    Ok(DescribeLaunchTemplatesResult { launch_templates, next_token, ..Default::default() })
}

fn shape(template: &LaunchTemplate) -> shapes::LaunchTemplate {
    shapes::LaunchTemplate {
        launch_template_id: text(&template.id),
        launch_template_name: text(&template.name),
        create_time: Some(template.created),
        created_by: text(&template.created_by),
        default_version_number: Some(template.default_version),
        latest_version_number: Some(template.latest_version()),
        tags: tag_list(&template.tags),
        ..Default::default()
    }
}

fn version_shape(template: &LaunchTemplate, number: i64, version: &TemplateVersion) -> LaunchTemplateVersion {
    let mut data = ResponseLaunchTemplateData::default();
    // What is answered has the members of what was given, bar those that only a request has.
    let known: Vec<&str> = data.facts().members.iter().map(|member| member.name).collect();
    let shared = version.data.as_object().into_iter().flatten().filter(|(name, _)| known.contains(&name.as_str()));
    for (name, given) in shared {
        let one = Value::Object(serde_json::Map::from_iter([(name.clone(), given.clone())]));
        if let Err(error) = value::from_json(&one, &mut data) {
            tracing::warn!("{} version {number}: {name} is not shown: {error}", template.id);
        }
    }
    LaunchTemplateVersion {
        launch_template_id: text(&template.id),
        launch_template_name: text(&template.name),
        version_number: Some(number),
        version_description: version.description.clone(),
        create_time: Some(version.created),
        created_by: text(&template.created_by),
        default_version: Some(number == template.default_version),
        launch_template_data: Some(data),
        ..Default::default()
    }
}

pub fn describe_versions(
    view: &View<'_>,
    input: &DescribeLaunchTemplateVersionsRequest,
) -> Answer<DescribeLaunchTemplateVersionsResult> {
    let filters = Filters::of(&input.filters, filters::LAUNCH_TEMPLATE_VERSIONS)?;
    let mut found = Vec::new();
    if input.launch_template_id.is_none() && input.launch_template_name.is_none() {
        // Without a template, the latest or the default version of each.
        for template in view.list::<LaunchTemplate>() {
            for wanted in &input.versions {
                let number = template.version_number(wanted).unwrap_or_default();
                found.push((
                    format!("{}/{number:019}", template.id),
                    version_shape(template, number, version(template, wanted)?),
                ));
            }
        }
    } else {
        let template = named(view, input.launch_template_id.as_ref(), input.launch_template_name.as_ref())?;
        let bound = |given: &Option<String>| given.as_ref().and_then(|given| template.version_number(given));
        let (min, max) = (bound(&input.min_version).unwrap_or(1), bound(&input.max_version).unwrap_or(i64::MAX));
        for wanted in &input.versions {
            version(template, wanted)?;
        }
        let named = |number: i64| {
            input.versions.is_empty()
                || input.versions.iter().any(|wanted| template.version_number(wanted) == Some(number))
        };
        for (number, version) in template.versions.range(min..=max.max(min)) {
            if named(*number) {
                // The newest first, as AWS gives them.
                found.push((format!("{:019}", i64::MAX - number), version_shape(template, *number, version)));
            }
        }
    }
    found.retain(|(_, version): &(String, LaunchTemplateVersion)| filters.pass_answer(version));
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let (launch_template_versions, next_token) = cut(found, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeLaunchTemplateVersionsResult { launch_template_versions, next_token, ..Default::default() })
}

pub fn modify(tx: &mut Tx<'_>, input: &ModifyLaunchTemplateRequest) -> Answer<ModifyLaunchTemplateResult> {
    let mut template =
        named(&tx.view(), input.launch_template_id.as_ref(), input.launch_template_name.as_ref())?.clone();
    if let Some(default) = &input.default_version {
        version(&template, default)?;
        template.default_version = template.version_number(default).unwrap_or(template.default_version);
    }
    tx.put(template.clone());
    Ok(ModifyLaunchTemplateResult { launch_template: Some(shape(&template)), ..Default::default() })
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteLaunchTemplateRequest) -> Answer<DeleteLaunchTemplateResult> {
    let template = named(&tx.view(), input.launch_template_id.as_ref(), input.launch_template_name.as_ref())?.clone();
    tx.remove::<LaunchTemplate>(&template.id);
    Ok(DeleteLaunchTemplateResult { launch_template: Some(shape(&template)), ..Default::default() })
}

pub fn delete_versions(
    tx: &mut Tx<'_>,
    input: &DeleteLaunchTemplateVersionsRequest,
) -> Answer<DeleteLaunchTemplateVersionsResult> {
    let mut template =
        named(&tx.view(), input.launch_template_id.as_ref(), input.launch_template_name.as_ref())?.clone();
    let mut output = DeleteLaunchTemplateVersionsResult::default();
    for wanted in &input.versions {
        let number = wanted.parse::<i64>().ok();
        let refusal = match number {
            Some(number) if number == template.default_version => Some((
                LaunchTemplateErrorCode::UnexpectedError,
                "The default version of a launch template cannot be deleted.",
            )),
            Some(number) if template.versions.remove(&number).is_some() => None,
            _ => Some((LaunchTemplateErrorCode::LaunchTemplateVersionDoesNotExist, "The version does not exist.")),
        };
        let (id, name, number) = (text(&template.id), text(&template.name), number);
        match refusal {
            None => output.successfully_deleted_launch_template_versions.push(
                DeleteLaunchTemplateVersionsResponseSuccessItem {
                    launch_template_id: id,
                    launch_template_name: name,
                    version_number: number,
                    ..Default::default()
                },
            ),
            Some((code, message)) => {
                output.unsuccessfully_deleted_launch_template_versions.push(
                    DeleteLaunchTemplateVersionsResponseErrorItem {
                        launch_template_id: id,
                        launch_template_name: name,
                        version_number: number,
                        response_error: Some(ResponseError {
                            code: Some(code),
                            message: text(message),
                            ..Default::default()
                        }),
                        ..Default::default()
                    },
                );
            }
        }
    }
    tx.put(template);
    Ok(output)
}
