//! A template as a whole: its sections read into structs, every member known or refused by name.
//!
//! Reference: "CloudFormation template sections", "Resource attribute reference".

use std::collections::{BTreeMap, BTreeSet};

use super::error::TemplateError;
use super::expr::{self, Expr, Test};
use super::node::{Entry, Kind, Node, Position};
use super::parameters::Parameter;
use super::rules::Rule;
use super::transforms::{self, Values};

/// A template that has the right form. Whether its names lead anywhere, [`super::validate`] tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// `Description`.
    pub description: Option<String>,
    /// `Metadata`, as written.
    pub metadata: Option<serde_json::Value>,
    /// `Transform`: what was done to the text first.
    pub transforms: Vec<String>,
    /// `Parameters` by name.
    pub parameters: BTreeMap<String, Parameter>,
    /// `Mappings`: map, first key, second key.
    pub mappings: BTreeMap<String, BTreeMap<String, BTreeMap<String, serde_json::Value>>>,
    /// `Conditions` by name.
    pub conditions: BTreeMap<String, Test>,
    /// `Rules` by name.
    pub rules: BTreeMap<String, Rule>,
    /// `Resources` by logical id.
    pub resources: BTreeMap<String, Resource>,
    /// The logical ids in the order written.
    pub written_order: Vec<String>,
    /// `Outputs` by name.
    pub outputs: BTreeMap<String, Output>,
}

/// A resource as declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Where it is declared.
    pub at: Position,
    /// `AWS::Service::Thing`.
    pub type_name: String,
    /// Where its type is written.
    pub type_at: Position,
    /// `Properties` by name, in the order written, each with the place of its key.
    pub properties: Vec<(String, Position, Expr)>,
    /// `DependsOn`, each with its place.
    pub depends_on: Vec<(String, Position)>,
    /// The condition under which it exists.
    pub condition: Option<(String, Position)>,
    /// What deleting the stack does to it.
    pub deletion_policy: Policy,
    /// What a replacement does to the old one.
    pub update_replace_policy: Policy,
    /// `Metadata`.
    pub metadata: Option<Expr>,
    /// `CreationPolicy`.
    pub creation_policy: Option<Expr>,
    /// `UpdatePolicy`.
    pub update_policy: Option<Expr>,
}

/// `DeletionPolicy`, `UpdateReplacePolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Delete it.
    #[default]
    Delete,
    /// Leave it be.
    Retain,
    /// Leave it be, unless the operation that created it rolls back.
    RetainExceptOnCreate,
}

/// An output as declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Where it is declared.
    pub at: Position,
    /// Its value.
    pub value: Expr,
    /// What it is.
    pub description: Option<String>,
    /// The name under which other stacks import it.
    pub export: Option<Expr>,
    /// The condition under which it exists.
    pub condition: Option<(String, Position)>,
}

/// CloudFormation quotas: how many members a section may have.
const LIMITS: [(&str, usize); 4] = [("Parameters", 200), ("Mappings", 200), ("Resources", 500), ("Outputs", 200)];

impl Template {
    /// Parses a template's text, does its transforms with the values that parameters have, and reads its sections.
    ///
    /// # Errors
    /// What [`super::parse::parse`] and [`transforms::apply`] refuse; a section, member or function of the wrong form.
    pub fn parse(text: &str, values: &Values) -> Result<Template, TemplateError> {
        Template::read(&transforms::apply(super::parse::parse(text)?, values)?)
    }

    /// What can be read of a text before its transforms are done: parameters, mappings, description, metadata, transforms.
    ///
    /// # Errors
    /// What [`super::parse::parse`] refuses; one of these of the wrong form, or a transform that there is not.
    pub fn head(text: &str) -> Result<Template, TemplateError> {
        let root = super::parse::parse(text)?;
        let mut template = Template::without_resources(&root, false)?;
        template.transforms = transforms::declared(&root)?;
        Ok(template)
    }

    /// A template's sections without its resources, rules and outputs, and also without its conditions unless they are wanted.
    pub(super) fn without_resources(root: &Node, conditions: bool) -> Result<Template, TemplateError> {
        let mut template = Template {
            description: description(root.get("Description"))?,
            metadata: root.get("Metadata").map(Node::to_json),
            transforms: Vec::new(),
            parameters: BTreeMap::new(),
            mappings: BTreeMap::new(),
            conditions: BTreeMap::new(),
            rules: BTreeMap::new(),
            resources: BTreeMap::new(),
            written_order: Vec::new(),
            outputs: BTreeMap::new(),
        };
        for entry in section(root, "Parameters")? {
            alphanumeric("Parameter", entry)?;
            template.parameters.insert(entry.key.clone(), Parameter::read(&entry.key, &entry.value)?);
        }
        for entry in section(root, "Mappings")? {
            template.mappings.insert(entry.key.clone(), mapping(entry)?);
        }
        for entry in section(root, "Conditions")?.iter().filter(|_| conditions) {
            alphanumeric("Condition", entry)?;
            template.conditions.insert(entry.key.clone(), expr::test(&entry.value)?);
        }
        Ok(template)
    }

    fn read(root: &Node) -> Result<Template, TemplateError> {
        let entries =
            root.map().ok_or_else(|| TemplateError::at(root.at, "Template format error: unsupported structure."))?;
        check_sections(entries)?;
        check_nulls(root, &mut Vec::new())?;
        let mut template = Template::without_resources(root, true)?;
        template.transforms = transforms::declared(root)?;
        for entry in section(root, "Rules")? {
            alphanumeric("Rule", entry)?;
            template.rules.insert(entry.key.clone(), Rule::read(entry)?);
        }
        for entry in section(root, "Resources")? {
            alphanumeric("Resource", entry)?;
            if template.parameters.contains_key(&entry.key) {
                return Err(TemplateError::at(
                    entry.at,
                    format!("Template format error: Duplicate name [{}] among Parameters and Resources", entry.key),
                ));
            }
            template.written_order.push(entry.key.clone());
            template.resources.insert(entry.key.clone(), Resource::read(entry)?);
        }
        for entry in section(root, "Outputs")? {
            alphanumeric("Output", entry)?;
            template.outputs.insert(entry.key.clone(), Output::read(entry)?);
        }
        if template.resources.is_empty() {
            return Err(TemplateError::new("Template format error: At least one Resources member must be defined."));
        }
        Ok(template)
    }
}

fn check_sections(entries: &[Entry]) -> Result<(), TemplateError> {
    let mut unknown = Vec::new();
    for entry in entries {
        match entry.key.as_str() {
            "Description" | "Metadata" | "Parameters" | "Mappings" | "Conditions" | "Rules" | "Resources"
            | "Outputs" | "Transform" => {}
            "AWSTemplateFormatVersion" => {
                if entry.value.scalar().as_deref() != Some("2010-09-09") {
                    return Err(TemplateError::at(
                        entry.value.at,
                        "Template format error: unsupported value for AWSTemplateFormatVersion; the only one is 2010-09-09.",
                    ));
                }
            }
            // What would change the template's meaning is refused, never skipped.
            "Hooks" => {
                return Err(TemplateError::at(entry.at, "Template format error: the Hooks section is not supported"));
            }
            _ => unknown.push(entry),
        }
    }
    match unknown.first() {
        None => Ok(()),
        Some(first) => {
            let names: Vec<_> = unknown.iter().map(|entry| entry.key.as_str()).collect();
            Err(TemplateError::at(first.at, format!("Invalid template property or properties [{}]", names.join(", "))))
        }
    }
}

/// CloudFormation names the path of a null, inside properties with `Type` where `Properties` is written.
fn check_nulls<'a>(node: &'a Node, path: &mut Vec<String>) -> Result<(), TemplateError> {
    match &node.kind {
        Kind::Null => {
            Err(TemplateError::at(node.at, format!("[/{}] 'null' values are not allowed in templates", path.join("/"))))
        }
        Kind::List(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            path.push(index.to_string());
            check_nulls(item, path)?;
            path.pop();
            Ok(())
        }),
        Kind::Map(entries) => entries.iter().try_for_each(|entry: &'a Entry| {
            let inside = path.len() == 2 && path[0] == "Resources" && entry.key == "Properties";
            path.push(if inside && entry.value.kind != Kind::Null { "Type".to_owned() } else { entry.key.clone() });
            check_nulls(&entry.value, path)?;
            path.pop();
            Ok(())
        }),
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => Ok(()),
    }
}

fn section<'a>(root: &'a Node, name: &str) -> Result<&'a [Entry], TemplateError> {
    let Some(node) = root.get(name) else { return Ok(&[]) };
    let entries = node
        .map()
        .ok_or_else(|| TemplateError::at(node.at, format!("Template format error: {name} must be an object.")))?;
    match LIMITS.iter().find(|(limited, most)| *limited == name && entries.len() > *most) {
        None => Ok(entries),
        Some((_, most)) => Err(TemplateError::at(
            entries[*most].at,
            format!(
                "Template format error: Number of {}, {}, is greater than maximum allowed, {most}",
                name.to_lowercase(),
                entries.len()
            ),
        )),
    }
}

fn alphanumeric(what: &str, entry: &Entry) -> Result<(), TemplateError> {
    if entry.key.is_empty() || entry.key.len() > 255 || !entry.key.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(TemplateError::at(
            entry.at,
            format!("Template format error: {what} name {} is non alphanumeric.", entry.key),
        ));
    }
    Ok(())
}

fn description(node: Option<&Node>) -> Result<Option<String>, TemplateError> {
    let Some(node) = node else { return Ok(None) };
    match node.scalar() {
        Some(text) if text.len() <= 1024 => Ok(Some(text)),
        Some(_) => Err(TemplateError::at(node.at, "Template format error: Description may not exceed 1024 bytes.")),
        None => Err(TemplateError::at(node.at, "Template format error: Every Description member must be a string.")),
    }
}

fn mapping(entry: &Entry) -> Result<BTreeMap<String, BTreeMap<String, serde_json::Value>>, TemplateError> {
    let object = |node: &Node| {
        TemplateError::at(node.at, "Template format error: Every Mappings attribute must be a String or a List.")
    };
    let mut firsts = BTreeMap::new();
    for first in entry.value.map().ok_or_else(|| object(&entry.value))? {
        let mut seconds = BTreeMap::new();
        for second in first.value.map().ok_or_else(|| object(&first.value))? {
            let plain = match &second.value.kind {
                Kind::List(items) => items.iter().all(|item| item.scalar().is_some()),
                _ => second.value.scalar().is_some(),
            };
            if !plain {
                return Err(object(&second.value));
            }
            seconds.insert(second.key.clone(), second.value.to_json());
        }
        firsts.insert(first.key.clone(), seconds);
    }
    Ok(firsts)
}

impl Resource {
    fn read(entry: &Entry) -> Result<Resource, TemplateError> {
        let node = &entry.value;
        let id = &entry.key;
        let members = node.map().ok_or_else(|| {
            TemplateError::at(node.at, "Template format error: Any Resources member must be an object.")
        })?;
        let kind = node.get("Type").ok_or_else(|| {
            TemplateError::at(
                entry.at,
                format!("Template format error: [/Resources/{id}] Every Resources object must contain a Type member."),
            )
        })?;
        let mut resource = Resource {
            at: entry.at,
            type_name: kind
                .text()
                .ok_or_else(|| {
                    TemplateError::at(
                        kind.at,
                        format!("Template format error: [/Resources/{id}] Every Type member must be a string."),
                    )
                })?
                .to_owned(),
            type_at: kind.at,
            properties: Vec::new(),
            depends_on: Vec::new(),
            condition: condition(node)?,
            deletion_policy: Policy::Delete,
            update_replace_policy: Policy::Delete,
            metadata: node.get("Metadata").map(expr::value).transpose()?,
            creation_policy: node.get("CreationPolicy").map(expr::value).transpose()?,
            update_policy: node.get("UpdatePolicy").map(expr::value).transpose()?,
        };
        for member in members {
            match member.key.as_str() {
                "Type" | "Condition" | "Metadata" | "Description" | "CreationPolicy" | "UpdatePolicy" => {}
                "Properties" => resource.properties = properties(&member.value)?,
                "DependsOn" => resource.depends_on = depends_on(&member.value)?,
                "DeletionPolicy" => resource.deletion_policy = policy(member, &resource.type_name)?,
                "UpdateReplacePolicy" => resource.update_replace_policy = policy(member, &resource.type_name)?,
                other => {
                    return Err(TemplateError::at(member.at, format!("Invalid template resource property '{other}'")));
                }
            }
        }
        Ok(resource)
    }

    /// Its values that functions may be in: those of its properties, its metadata and its two policies.
    pub fn values(&self) -> impl Iterator<Item = &Expr> {
        let attributes = self.metadata.iter().chain(&self.creation_policy).chain(&self.update_policy);
        self.properties.iter().map(|(_, _, value)| value).chain(attributes)
    }

    /// Calls `visit` with every value, inner ones too.
    pub fn walk(&self, visit: &mut dyn FnMut(&Expr)) {
        self.values().for_each(|value| value.walk(visit));
    }
}

fn properties(node: &Node) -> Result<Vec<(String, Position, Expr)>, TemplateError> {
    let entries = node
        .map()
        .ok_or_else(|| TemplateError::at(node.at, "Template format error: Any Properties member must be an object."))?;
    entries.iter().map(|entry| Ok((entry.key.clone(), entry.at, expr::value(&entry.value)?))).collect()
}

fn depends_on(node: &Node) -> Result<Vec<(String, Position)>, TemplateError> {
    let wrong = |at| {
        TemplateError::at(at, "Template format error: Every DependsOn value must be a string or a list of strings.")
    };
    let mut seen = BTreeSet::new();
    let one = |item: &Node| item.text().map(|text| (text.to_owned(), item.at)).ok_or_else(|| wrong(item.at));
    let all = match node.list() {
        Some(items) => items.iter().map(one).collect::<Result<Vec<_>, _>>()?,
        None => vec![one(node)?],
    };
    Ok(all.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect())
}

/// `DeletionPolicy` as a sentence says it.
fn words(key: &str) -> &'static str {
    if key == "DeletionPolicy" { "deletion policy" } else { "update replace policy" }
}

fn policy(member: &Entry, kind: &str) -> Result<Policy, TemplateError> {
    match (member.value.text(), member.key.as_str()) {
        (Some("Delete"), _) => Ok(Policy::Delete),
        (Some("Retain"), _) => Ok(Policy::Retain),
        (Some("RetainExceptOnCreate"), "DeletionPolicy") => Ok(Policy::RetainExceptOnCreate),
        // None of the types here has snapshots yet; keeping a volume silently would be the worse answer.
        (Some("Snapshot"), key) => Err(TemplateError::at(
            member.value.at,
            format!("Template error: resource type {kind} does not support {} Snapshot", words(key)),
        )),
        (_, key) => Err(TemplateError::at(
            member.value.at,
            format!("Template format error: Unrecognized {key} {}", member.value.scalar().unwrap_or_default()),
        )),
    }
}

fn condition(node: &Node) -> Result<Option<(String, Position)>, TemplateError> {
    match node.get("Condition") {
        None => Ok(None),
        Some(name) => match name.text() {
            Some(text) => Ok(Some((text.to_owned(), name.at))),
            None => Err(TemplateError::at(name.at, "Template format error: Every Condition member must be a string.")),
        },
    }
}

impl Output {
    fn read(entry: &Entry) -> Result<Output, TemplateError> {
        let node = &entry.value;
        let members = node.map().ok_or_else(|| {
            TemplateError::at(node.at, "Template format error: Any Outputs member must be an object.")
        })?;
        for member in members {
            if !["Value", "Description", "Export", "Condition"].contains(&member.key.as_str()) {
                return Err(TemplateError::at(member.at, format!("Invalid template output property '{}'", member.key)));
            }
        }
        let value = node.get("Value").ok_or_else(|| {
            TemplateError::at(
                entry.at,
                format!("Template format error: Output {} is malformed. The Value field is required.", entry.key),
            )
        })?;
        let export = match node.get("Export") {
            None => None,
            Some(export) => match export.map() {
                Some([Entry { key, value, .. }]) if key == "Name" => Some(expr::value(value)?),
                _ => {
                    return Err(TemplateError::at(
                        export.at,
                        format!("Template format error: Output {} is malformed. Export takes a Name.", entry.key),
                    ));
                }
            },
        };
        Ok(Output {
            at: entry.at,
            value: expr::value(value)?,
            description: description(node.get("Description"))?,
            export,
            condition: condition(node)?,
        })
    }
}
