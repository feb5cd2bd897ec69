//! Whether the names in a template lead anywhere: references, conditions, attributes, types, properties.

use std::collections::BTreeSet;

use super::dynamic;
use super::error::TemplateError;
use super::expr::{Expr, ExprKind};
use super::graph;
use super::model::{Resource, Template};

/// The pseudo parameters ("Pseudo parameters reference").
pub const PSEUDO_PARAMETERS: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NotificationARNs",
    "AWS::NoValue",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// What resource types there are: the part of the type table that a template is checked against.
pub trait Catalog {
    /// Whether the type can be made.
    fn knows(&self, type_name: &str) -> bool;
    /// The types that can be made, as far as they are a list.
    fn names(&self) -> Vec<&'static str>;
    /// Whether `Fn::GetAtt` gives that attribute of the type.
    fn has_attribute(&self, type_name: &str, attribute: &str) -> bool;
    /// Whether the properties are ones that the type takes, inside nested ones too.
    ///
    /// # Errors
    /// The first property that it does not take, or that is missing.
    fn check_properties(&self, logical_id: &str, resource: &Resource) -> Result<(), TemplateError>;
}

/// Checks a whole template.
///
/// # Errors
/// The first name that leads nowhere, in CloudFormation's words.
pub fn validate(template: &Template, catalog: &dyn Catalog) -> Result<(), TemplateError> {
    check_types(template, catalog)?;
    check_conditions(template)?;
    for rule in template.rules.values() {
        super::rules::beyond_parameters(rule, &|name| is_parameter(template, name)).map_or(Ok(()), Err)?;
    }
    for (id, resource) in &template.resources {
        check_condition(template, resource.condition.as_ref())?;
        for (name, at) in &resource.depends_on {
            if !template.resources.contains_key(name) {
                return Err(unresolved(name, *at, "Resources"));
            }
        }
        check_secure(resource)?;
        let mut result = Ok(());
        resource.walk(&mut |value| {
            if result.is_ok() {
                result = check_value(template, catalog, value, "Resources");
            }
        });
        result?;
        catalog.check_properties(id, resource)?;
    }
    for output in template.outputs.values() {
        check_condition(template, output.condition.as_ref())?;
        let mut result = Ok(());
        let mut check = |value: &Expr| {
            if result.is_ok() {
                result = check_value(template, catalog, value, "Outputs");
            }
        };
        output.value.walk(&mut check);
        output.export.iter().for_each(|export| export.walk(&mut check));
        result?;
    }
    if template.conditions.is_empty() {
        graph::dependencies(template, None)?.order()?;
    }
    Ok(())
}

/// Refuses references to secure strings, by the properties that have them.
fn check_secure(resource: &Resource) -> Result<(), TemplateError> {
    let mut found = Vec::new();
    for (name, _, value) in &resource.properties {
        value.walk(&mut |value| {
            if matches!(&value.kind, ExprKind::Literal(serde_json::Value::String(text)) if dynamic::is_secure(text)) {
                found.push(format!("{}/Properties/{name}", resource.type_name));
            }
        });
    }
    if found.is_empty() {
        return Ok(());
    }
    let message = format!("SSM Secure reference is not supported in: [{}]", found.join(","));
    Err(TemplateError::at(resource.at, message))
}

fn check_types(template: &Template, catalog: &dyn Catalog) -> Result<(), TemplateError> {
    let unknown: Vec<&Resource> =
        template.resources.values().filter(|resource| !catalog.knows(&resource.type_name)).collect();
    super::unknown::refusal(&unknown, &catalog.names()).map_or(Ok(()), Err)
}

fn check_conditions(template: &Template) -> Result<(), TemplateError> {
    for test in template.conditions.values() {
        let mut result = Ok(());
        test.walk(&mut |value| {
            if result.is_err() {
                return;
            }
            result = match &value.kind {
                ExprKind::Ref(name) if !is_parameter(template, name) => Err(TemplateError::at(
                    value.at,
                    format!("Template format error: Unresolved dependencies [{name}]. Cannot reference resources in the Conditions block of the template"),
                )),
                ExprKind::GetAtt(..) | ExprKind::ImportValue(_) => {
                    Err(TemplateError::at(value.at, "Template error: Fn::GetAtt and Fn::ImportValue are not allowed in the Conditions block of the template"))
                }
                _ => Ok(()),
            };
        });
        result?;
        for (name, at) in test.named() {
            if !template.conditions.contains_key(name) {
                return Err(TemplateError::at(
                    at,
                    format!(
                        "Template format error: Unresolved condition dependency {name} in the Conditions block of the template"
                    ),
                ));
            }
        }
    }
    check_condition_cycles(template)
}

fn check_condition_cycles(template: &Template) -> Result<(), TemplateError> {
    let mut open: BTreeSet<&str> = template.conditions.keys().map(String::as_str).collect();
    loop {
        let settled: Vec<&str> = open
            .iter()
            .copied()
            .filter(|name| template.conditions[*name].named().iter().all(|(used, _)| !open.contains(used)))
            .collect();
        if settled.is_empty() {
            break;
        }
        settled.iter().for_each(|name| {
            open.remove(name);
        });
    }
    if open.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = open.into_iter().collect();
    Err(TemplateError::new(format!(
        "Template format error: Circular dependency between conditions: [{}]",
        names.join(", ")
    )))
}

fn check_condition(
    template: &Template,
    condition: Option<&(String, super::node::Position)>,
) -> Result<(), TemplateError> {
    match condition {
        Some((name, at)) if !template.conditions.contains_key(name) => Err(TemplateError::at(
            *at,
            format!("Template format error: Condition {name} is not defined in the Conditions block of the template"),
        )),
        _ => Ok(()),
    }
}

fn check_value(template: &Template, catalog: &dyn Catalog, value: &Expr, block: &str) -> Result<(), TemplateError> {
    match &value.kind {
        ExprKind::Ref(name) if !is_parameter(template, name) && !template.resources.contains_key(name) => {
            Err(unresolved(name, value.at, block))
        }
        ExprKind::GetAtt(id, attribute) => match template.resources.get(id) {
            None => Err(TemplateError::at(
                value.at,
                format!("Template error: instance of Fn::GetAtt references undefined resource {id}"),
            )),
            Some(resource) if !catalog.has_attribute(&resource.type_name, attribute) => Err(TemplateError::at(
                value.at,
                format!("Template error: resource {id} does not support attribute type {attribute} in Fn::GetAtt"),
            )),
            Some(_) => Ok(()),
        },
        ExprKind::If(name, ..) if !template.conditions.contains_key(name) => Err(TemplateError::at(
            value.at,
            format!("Template error: unresolved condition dependency {name} in Fn::If"),
        )),
        ExprKind::FindInMap(names, default) => match &names[0].kind {
            ExprKind::Literal(serde_json::Value::String(name))
                if default.is_none() && !template.mappings.contains_key(name) =>
            {
                Err(TemplateError::at(
                    value.at,
                    format!(
                        "Template error: Mapping named '{name}' is not present in the 'Mappings' section of template."
                    ),
                ))
            }
            _ => Ok(()),
        },
        ExprKind::Literal(serde_json::Value::String(text)) => match dynamic::refused(text) {
            Some(what) if block == "Resources" => Err(TemplateError::at(value.at, what)),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn is_parameter(template: &Template, name: &str) -> bool {
    template.parameters.contains_key(name) || PSEUDO_PARAMETERS.contains(&name)
}

fn unresolved(name: &str, at: super::node::Position, block: &str) -> TemplateError {
    TemplateError::at(
        at,
        format!(
            "Template format error: Unresolved resource dependencies [{name}] in the {block} block of the template"
        ),
    )
}
