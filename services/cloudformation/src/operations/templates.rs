//! GetTemplate, GetTemplateSummary, ValidateTemplate.

use std::collections::BTreeSet;

use zonal_cloud::View;
use zonal_wire::AwsError;

use super::deployments::{checked, inline};
use super::{change_sets, find};
use crate::errors::Error;
use crate::model::TemplateText;
use crate::shapes;
use crate::template::Template;

/// GetTemplate: a stack's, or a change set's.
pub fn get(view: &View<'_>, input: &shapes::GetTemplateInput) -> Result<shapes::GetTemplateOutput, AwsError> {
    let text = match (&input.change_set_name, &input.stack_name) {
        (Some(name), stack) => {
            let change_set = change_sets::find(view, name, stack.as_deref())?;
            view.get::<TemplateText>(&TemplateText::key_of(&change_set.stack, change_set.target.text))
        }
        (None, Some(name)) => stack_text(view, name)?,
        (None, None) => return Err(Error::validation("Either StackName or ChangeSetName must be specified").into()),
    };
    Ok(shapes::GetTemplateOutput {
        template_body: text.map(|text| text.text.clone()),
        stages_available: vec![shapes::TemplateStage::Original, shapes::TemplateStage::Processed],
    })
}

fn stack_text<'v>(view: &View<'v>, name: &str) -> Result<Option<&'v TemplateText>, Error> {
    let stack = find(view, name)?;
    let number = stack.current.as_ref().map(|deployment| deployment.text);
    Ok(number.and_then(|number| view.get::<TemplateText>(&TemplateText::key_of(&stack.id, number))))
}

/// ValidateTemplate.
pub fn validate(
    _: &View<'_>,
    input: &shapes::ValidateTemplateInput,
) -> Result<shapes::ValidateTemplateOutput, AwsError> {
    let text = inline(input.template_body.as_deref(), input.template_url.as_deref())?;
    let template =
        checked(&text.ok_or_else(|| Error::validation("Either Template URL or Template Body must be specified."))?)?;
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
    Ok(shapes::ValidateTemplateOutput { parameters, description: template.description, ..Default::default() })
}

/// GetTemplateSummary: of a text, or of a stack's template.
pub fn summary(
    view: &View<'_>,
    input: &shapes::GetTemplateSummaryInput,
) -> Result<shapes::GetTemplateSummaryOutput, AwsError> {
    let text = match (inline(input.template_body.as_deref(), input.template_url.as_deref())?, &input.stack_name) {
        (Some(text), None) => text,
        (None, Some(name)) => stack_text(view, name)?.map(|text| text.text.clone()).unwrap_or_default(),
        _ => {
            return Err(
                Error::validation("Exactly one of StackName, TemplateBody and TemplateURL must be specified").into()
            );
        }
    };
    let template: Template = checked(&text)?;
    let types: BTreeSet<&String> = template.resources.values().map(|resource| &resource.type_name).collect();
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
    Ok(shapes::GetTemplateSummaryOutput {
        parameters,
        description: template.description.clone(),
        resource_types: types.into_iter().cloned().collect(),
        version: Some("2010-09-09".to_owned()),
        metadata: template.metadata.as_ref().map(ToString::to_string),
        ..Default::default()
    })
}
