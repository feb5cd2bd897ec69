//! GetTemplate, GetTemplateSummary, ValidateTemplate.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use zonal_cloud::View;
use zonal_wire::AwsError;

use super::deployments::{checked, inline};
use super::{change_sets, find};
use crate::errors::Error;
use crate::model::{Deployment, TemplateText, values};
use crate::shapes;
use crate::template::parameters::split_list;
use crate::template::transforms::{self, Values};
use crate::template::{Template, parse};
use crate::types;

/// GetTemplate: a stack's, or a change set's.
pub fn get(view: &View<'_>, input: &shapes::GetTemplateInput) -> Result<shapes::GetTemplateOutput, AwsError> {
    let (stack, deployment) = match (&input.change_set_name, &input.stack_name) {
        (Some(name), stack) => {
            let change_set = change_sets::find(view, name, stack.as_deref())?;
            (change_set.stack.as_str(), Some(&change_set.target))
        }
        (None, Some(name)) => {
            let stack = find(view, name)?;
            (stack.id.as_str(), stack.current.as_ref())
        }
        (None, None) => return Err(Error::validation("Either StackName or ChangeSetName must be specified").into()),
    };
    let text = deployment.and_then(|deployment| text_of(view, stack, deployment));
    // Who names no stage is given what was made of the template.
    let original = input.template_stage == Some(shapes::TemplateStage::Original);
    let template_body = match (text, deployment) {
        (Some(text), Some(deployment)) if !original => Some(processed(&text, &deployment.values(view.scope))?),
        (text, _) => text,
    };
    Ok(shapes::GetTemplateOutput {
        template_body,
        stages_available: vec![shapes::TemplateStage::Original, shapes::TemplateStage::Processed],
    })
}

/// A text with its transforms done, as JSON; a text without any as it is.
fn processed(text: &str, values: &Values) -> Result<String, Error> {
    if Template::head(text)?.transforms.is_empty() {
        return Ok(text.to_owned());
    }
    let mut root = transforms::apply(parse::parse(text)?, values)?.to_json();
    if let Some(sections) = root.as_object_mut() {
        sections.remove("Transform");
    }
    Ok(root.to_string())
}

fn text_of(view: &View<'_>, stack: &str, deployment: &Deployment) -> Option<String> {
    view.get::<TemplateText>(&TemplateText::key_of(stack, deployment.text)).map(|text| text.text.clone())
}

/// A template of which no parameters are given: read whole with its defaults, or as far as can be where a transform needs one that has
/// none.
fn with_defaults(view: &View<'_>, text: &str) -> Result<Template, Error> {
    let head = Template::head(text)?;
    if head.transforms.is_empty() {
        return checked(text, &Values::new());
    }
    let defaults: Option<BTreeMap<String, Value>> = head
        .parameters
        .iter()
        .map(|(name, parameter)| {
            let value = parameter.default.clone()?;
            Some((name.clone(), if parameter.kind.is_list() { json!(split_list(&value)) } else { json!(value) }))
        })
        .collect();
    match defaults {
        Some(defaults) => checked(text, &values(&defaults, view.scope)),
        None => Ok(head),
    }
}

/// What a template's transforms need to be acknowledged by, and why.
fn capabilities(template: &Template) -> (Vec<shapes::Capability>, Option<String>) {
    if template.transforms.is_empty() {
        return (Vec::new(), None);
    }
    let reason = format!("The template declares transforms: [{}]", template.transforms.join(", "));
    (vec![shapes::Capability::CapabilityAutoExpand], Some(reason))
}

/// ValidateTemplate.
pub fn validate(
    view: &View<'_>,
    input: &shapes::ValidateTemplateInput,
) -> Result<shapes::ValidateTemplateOutput, AwsError> {
    let text = inline(input.template_body.as_deref(), input.template_url.as_deref())?;
    let text = text.ok_or_else(|| Error::validation("Either Template URL or Template Body must be specified."))?;
    let template = with_defaults(view, &text)?;
    let parameters = template
        .parameters
        .iter()
        .map(|(name, parameter)| shapes::TemplateParameter {
            parameter_key: Some(name.clone()),
            default_value: parameter.default.clone(),
            no_echo: Some(parameter.no_echo),
            description: parameter.description.clone(),
        })
        .collect();
    let (capabilities, capabilities_reason) = capabilities(&template);
    Ok(shapes::ValidateTemplateOutput {
        parameters,
        description: template.description,
        capabilities,
        capabilities_reason,
        declared_transforms: template.transforms,
    })
}

/// GetTemplateSummary: of a text, or of a stack's template.
pub fn summary(
    view: &View<'_>,
    input: &shapes::GetTemplateSummaryInput,
) -> Result<shapes::GetTemplateSummaryOutput, AwsError> {
    if input.stack_set_name.is_some() {
        return Err(Error::validation("StackSetName is not supported: there are no stack sets here").into());
    }
    let lenient = input.template_summary_config.as_ref();
    let lenient = lenient.and_then(|config| config.treat_unrecognized_resource_types_as_warnings).unwrap_or(false);
    let template = match (inline(input.template_body.as_deref(), input.template_url.as_deref())?, &input.stack_name) {
        (Some(text), None) if lenient => Template::parse(&text, &Values::new()).map_err(Error::from)?,
        (Some(text), None) => with_defaults(view, &text)?,
        (None, Some(name)) => {
            let stack = find(view, name)?;
            let current = stack.current.as_ref();
            let text = current.and_then(|current| text_of(view, &stack.id, current)).unwrap_or_default();
            let values = current.map(|current| current.values(view.scope)).unwrap_or_default();
            checked(&text, &values)?
        }
        _ => {
            return Err(
                Error::validation("Exactly one of StackName, TemplateBody and TemplateURL must be specified").into()
            );
        }
    };
    let parameters = template
        .parameters
        .iter()
        .map(|(name, parameter)| shapes::ParameterDeclaration {
            parameter_key: Some(name.clone()),
            default_value: parameter.default.clone(),
            parameter_type: Some(parameter.type_name.clone()),
            no_echo: Some(parameter.no_echo),
            description: parameter.description.clone(),
            parameter_constraints: Some(shapes::ParameterConstraints {
                allowed_values: parameter.allowed_values.clone(),
            }),
        })
        .collect();
    let (known, unknown): (BTreeSet<&String>, BTreeSet<&String>) = template
        .resources
        .values()
        .map(|resource| &resource.type_name)
        .partition(|type_name| types::named(type_name).is_some());
    let unrecognized: Vec<String> = unknown.into_iter().cloned().collect();
    let (capabilities, capabilities_reason) = capabilities(&template);
    Ok(shapes::GetTemplateSummaryOutput {
        parameters,
        description: template.description.clone(),
        capabilities,
        capabilities_reason,
        resource_identifier_summaries: known.iter().filter_map(|type_name| identifiers(&template, type_name)).collect(),
        resource_types: known.into_iter().cloned().collect(),
        version: Some("2010-09-09".to_owned()),
        metadata: template.metadata.as_ref().map(ToString::to_string),
        declared_transforms: template.transforms.clone(),
        warnings: (!unrecognized.is_empty()).then_some(shapes::Warnings { unrecognized_resource_types: unrecognized }),
    })
}

/// What the resources of a type would be imported by.
fn identifiers(template: &Template, type_name: &str) -> Option<shapes::ResourceIdentifierSummary> {
    let identifiers = types::identifiers::of(type_name);
    let own = template.resources.iter().filter(|(_, resource)| resource.type_name == type_name);
    (!identifiers.is_empty()).then(|| shapes::ResourceIdentifierSummary {
        resource_type: Some(type_name.to_owned()),
        logical_resource_ids: own.map(|(id, _)| id.clone()).collect(),
        resource_identifiers: identifiers.iter().map(|name| (*name).to_owned()).collect(),
    })
}
