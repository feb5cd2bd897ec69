//! Plans: what an update would do, before anything is done. Values of resources that do not exist yet are not known, and
//! what depends on them may or may not change.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use zonal_cloud::Tx;

use super::{Interrupt, StackScope, outputs, run};
use crate::model::{
    Deployment, Output, PlannedAction, PlannedChange, PlannedProperty, PlannedReplacement, Stack, StackResource,
    TemplateText, Thing,
};
use crate::secrets::Secrets;
use crate::template::eval::KNOWN_AFTER_APPLY;
use crate::template::expr::ExprKind;
use crate::template::transforms::{self, Values};
use crate::template::{Resource, Template, TemplateError, graph, parse};
use crate::types::{self, schema};

/// A resource of which nothing changes but what it tells.
const MODIFIED_METADATA: PlannedAction =
    PlannedAction::Modify { replacement: PlannedReplacement::Never, properties: Vec::new(), metadata: true };

/// What bringing a stack to a deployment does.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The resources that are made, changed or removed, by logical id.
    pub changes: Vec<PlannedChange>,
    /// Whether anything changes at all: resources, outputs, policies, metadata or tags.
    pub changes_anything: bool,
}

/// Plans a stack's way to a deployment with a checked template.
///
/// # Errors
/// The template can't be evaluated, has a circle, or changes a resource's type.
pub fn plan(
    tx: &mut Tx<'_>,
    stack: &Stack,
    (template, text): (&Template, &str),
    target: &Deployment,
    interrupt: &Interrupt,
) -> Result<Plan, TemplateError> {
    let resources = run::resources_of(tx, &stack.id);
    let resources: BTreeMap<String, StackResource> =
        resources.into_iter().filter(|(_, resource)| resource.thing.is_some()).collect();
    retyped(template, &resources)?;
    let mut unknown = BTreeSet::new();
    let secrets = Secrets::of(stack, Some(target));
    let none = BTreeSet::new();
    let conditions = StackScope::new(tx, (stack, target), &resources, &none, interrupt).conditions(template)?;
    let dependencies = graph::dependencies(template, Some(&conditions))?;
    graph::check_outputs(template, &conditions)?;
    let mut changes = BTreeMap::new();
    for id in dependencies.order()? {
        let known = unknown.clone();
        let scope = StackScope::new(tx, (stack, target), &resources, &known, interrupt);
        let properties = scope.properties(template, &conditions, &id)?;
        let metadata = scope.metadata(template, &conditions, &id)?;
        let declared = &template.resources[&id];
        let thing = resources.get(&id).and_then(|resource| resource.thing.as_ref());
        let action = match thing {
            None => Some(PlannedAction::Add),
            Some(thing) => {
                let told = resources.get(&id).is_some_and(|resource| resource.metadata != metadata);
                let mut action = modification(thing, &properties, &target.tags, &secrets);
                match &mut action {
                    Some(PlannedAction::Modify { metadata, .. }) => *metadata = told,
                    _ if told => action = Some(MODIFIED_METADATA),
                    _ => {}
                }
                if let Some(PlannedAction::Modify { properties, .. }) = &mut action {
                    let differs = |name: &str| differs(stack, target, name);
                    properties
                        .iter_mut()
                        .for_each(|property| property.cause = cause(declared, property, &known, &differs));
                }
                action
            }
        };
        let replaced = |action: &PlannedAction| match action {
            PlannedAction::Add => true,
            PlannedAction::Modify { replacement, .. } => *replacement != PlannedReplacement::Never,
            PlannedAction::Remove { .. } => false,
        };
        if action.as_ref().is_some_and(replaced) {
            unknown.insert(id.clone());
        }
        if let Some(action) = action {
            let physical_id = thing.map(|thing| thing.id.clone());
            changes.insert(
                id.clone(),
                PlannedChange { logical_id: id, physical_id, type_name: declared.type_name.clone(), action },
            );
        }
    }
    for (id, resource) in resources.iter().filter(|(id, _)| !dependencies.needs.contains_key(*id)) {
        let retain = resource.thing.as_ref().is_some_and(|thing| thing.retain.on_delete);
        changes.insert(
            id.clone(),
            PlannedChange {
                logical_id: id.clone(),
                physical_id: resource.physical_id().map(str::to_owned),
                type_name: resource.type_name.clone(),
                action: PlannedAction::Remove { retain },
            },
        );
    }
    let scope = StackScope::new(tx, (stack, target), &resources, &unknown, interrupt);
    let outputs = outputs::evaluate(template, &conditions, &scope)?;
    drop(scope);
    let changes_anything = !changes.is_empty() || beyond_resources(tx, stack, text, target, &outputs);
    Ok(Plan { changes: changes.into_values().collect(), changes_anything })
}

fn retyped(template: &Template, resources: &BTreeMap<String, StackResource>) -> Result<(), TemplateError> {
    let retyped: Vec<&str> = resources
        .values()
        .filter(|resource| {
            template
                .resources
                .get(&resource.logical_id)
                .is_some_and(|declared| declared.type_name != resource.type_name)
        })
        .map(|resource| resource.logical_id.as_str())
        .collect();
    match retyped.first().and_then(|id| template.resources.get(*id)) {
        None => Ok(()),
        Some(first) => Err(TemplateError::at(
            first.type_at,
            format!(
                "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{}]",
                retyped.join(", ")
            ),
        )),
    }
}

/// What a thing's change does. Values are kept as they may be shown.
fn modification(
    thing: &Thing,
    properties: &Value,
    tags: &BTreeMap<String, String>,
    secrets: &Secrets<'_>,
) -> Option<PlannedAction> {
    let known = types::named(&thing.type_name)?;
    let was = known.with_stack_tags(&thing.properties, &thing.stack_tags);
    let properties = &known.with_stack_tags(properties, tags);
    let changed = schema::changed(known.properties, &was, properties);
    if changed.is_empty() {
        return None;
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let shown = |value: Option<&Value>| value.map(|value| text(&secrets.masked(value.clone())));
    let planned: Vec<PlannedProperty> = changed
        .iter()
        .map(|property| {
            let (before, after) = (was.get(property.name), properties.get(property.name));
            let is_known = after.is_none_or(|after| !text(after).contains(KNOWN_AFTER_APPLY));
            let (before, after) = (shown(before), shown(after));
            let replacement = match (property.update, is_known) {
                (schema::Update::InPlace, _) => PlannedReplacement::Never,
                (schema::Update::Replace, true) => PlannedReplacement::Always,
                (schema::Update::Replace, false) => PlannedReplacement::Conditionally,
            };
            PlannedProperty { name: property.name.to_owned(), replacement, before, after, known: is_known, cause: None }
        })
        .collect();
    let mut replacement = planned.iter().map(|property| property.replacement).max()?;
    if known.handler.replaces(&thing.properties, properties) {
        replacement = PlannedReplacement::Always;
    }
    Some(PlannedAction::Modify { replacement, properties: planned, metadata: false })
}

/// Whether a parameter has another value than before.
fn differs(stack: &Stack, target: &Deployment, parameter: &str) -> bool {
    let now = target.resolved.get(parameter);
    now.is_some() && stack.current.as_ref().is_some_and(|current| current.resolved.get(parameter) != now)
}

/// What a property changes with, other than the template itself: a parameter that has another value, or a resource that is made or
/// replaced, as its own name or that of its attribute.
fn cause(
    declared: &Resource,
    property: &PlannedProperty,
    unknown: &BTreeSet<String>,
    differs: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let (.., value) = declared.properties.iter().find(|(name, ..)| *name == property.name)?;
    let mut found = None;
    value.walk(&mut |value| {
        let cause = match &value.kind {
            ExprKind::Ref(name) if !property.known && unknown.contains(name) => Some(name.clone()),
            ExprKind::Ref(name) if property.known && differs(name) => Some(name.clone()),
            ExprKind::GetAtt(id, attribute) if !property.known && unknown.contains(id) => {
                Some(format!("{id}.{attribute}"))
            }
            _ => None,
        };
        if found.is_none() {
            found = cause;
        }
    });
    found
}

/// Whether something other than resources' properties changes.
fn beyond_resources(tx: &Tx<'_>, stack: &Stack, text: &str, target: &Deployment, outputs: &[Output]) -> bool {
    let Some(current) = &stack.current else { return true };
    let old = tx.get::<TemplateText>(&TemplateText::key_of(&stack.id, current.text));
    let (before, now) = (current.values(&tx.scope), target.values(&tx.scope));
    let old = old.and_then(|old| apart_from_properties(&old.text, &before));
    let new = apart_from_properties(text, &now);
    old != new || current.tags != target.tags || stack.outputs != outputs
}

/// A template without its resources' properties: the parts whose change is an update although no resource changes.
fn apart_from_properties(text: &str, values: &Values) -> Option<Value> {
    let mut template = transforms::apply(parse::parse(text).ok()?, values).ok()?.to_json();
    for resource in template.get_mut("Resources")?.as_object_mut()?.values_mut() {
        let members = resource.as_object_mut()?;
        for ignored in ["Properties", "DependsOn", "Condition"] {
            members.remove(ignored);
        }
    }
    let sections = template.as_object_mut()?;
    sections.retain(|name, _| ["Resources", "Outputs", "Metadata"].contains(&name.as_str()));
    Some(template)
}
