//! What must exist before what.

use std::collections::{BTreeMap, BTreeSet};

use super::error::TemplateError;
use super::expr::{Expr, ExprKind, SubPart};
use super::model::{Resource, Template};

/// For each resource that exists, the resources it needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dependencies {
    /// Logical id to the logical ids needed first.
    pub needs: BTreeMap<String, BTreeSet<String>>,
}

/// The dependencies among a template's resources: `Ref`, `Fn::GetAtt`, `Fn::Sub` and `DependsOn`.
///
/// With `conditions`, resources whose condition is false are left out and only the chosen side of `Fn::If` counts; a
/// `DependsOn` a resource left out is void. Without, every side counts.
///
/// # Errors
/// A value that refers to a resource left out.
pub fn dependencies(
    template: &Template,
    conditions: Option<&BTreeMap<String, bool>>,
) -> Result<Dependencies, TemplateError> {
    let exists = |id: &str| template.resources.get(id).is_some_and(|resource| holds(resource, conditions));
    let mut needs = BTreeMap::new();
    for (id, resource) in template.resources.iter().filter(|(id, _)| exists(id)) {
        let mut needed: BTreeSet<String> =
            resource.depends_on.iter().map(|(name, _)| name.clone()).filter(|name| exists(name)).collect();
        for value in resource.values() {
            collect(value, conditions, &mut |name, value| {
                if !template.resources.contains_key(name) {
                    return Ok(());
                }
                if !exists(name) {
                    return Err(TemplateError::at(
                        value.at,
                        format!(
                            "Template format error: Unresolved resource dependencies [{name}] in the Resources block of the template"
                        ),
                    ));
                }
                needed.insert(name.to_owned());
                Ok(())
            })?;
        }
        needs.insert(id.clone(), needed);
    }
    Ok(Dependencies { needs })
}

/// Checks that the outputs that exist refer to resources that exist.
///
/// # Errors
/// A value that refers to a resource left out.
pub fn check_outputs(template: &Template, conditions: &BTreeMap<String, bool>) -> Result<(), TemplateError> {
    let left_out = |id: &str| template.resources.get(id).is_some_and(|resource| !holds(resource, Some(conditions)));
    for output in template.outputs.values() {
        if output.condition.as_ref().is_some_and(|(name, _)| conditions.get(name) == Some(&false)) {
            continue;
        }
        for value in std::iter::once(&output.value).chain(&output.export) {
            collect(value, Some(conditions), &mut |name, value| match left_out(name) {
                false => Ok(()),
                true => Err(TemplateError::at(
                    value.at,
                    format!(
                        "Template format error: Unresolved resource dependencies [{name}] in the Outputs block of the template"
                    ),
                )),
            })?;
        }
    }
    Ok(())
}

fn holds(resource: &Resource, conditions: Option<&BTreeMap<String, bool>>) -> bool {
    match (&resource.condition, conditions) {
        (Some((name, _)), Some(conditions)) => conditions.get(name).copied().unwrap_or(false),
        _ => true,
    }
}

type Found<'f> = dyn FnMut(&str, &Expr) -> Result<(), TemplateError> + 'f;

/// Calls `found` with every resource name that the value uses, given the conditions.
fn collect(
    value: &Expr,
    conditions: Option<&BTreeMap<String, bool>>,
    found: &mut Found<'_>,
) -> Result<(), TemplateError> {
    let mut each = |inner: &Expr| collect(inner, conditions, found);
    match &value.kind {
        ExprKind::Literal(_) => Ok(()),
        ExprKind::Ref(name) | ExprKind::GetAtt(name, _) => found(name, value),
        ExprKind::List(items) => items.iter().try_for_each(each),
        ExprKind::Object(entries) => entries.iter().try_for_each(|(_, inner)| each(inner)),
        ExprKind::Sub(parts) => parts.iter().try_for_each(|part| match part {
            SubPart::Text(_) => Ok(()),
            SubPart::Hole(inner) => each(inner),
        }),
        ExprKind::If(name, yes, no) => match conditions.and_then(|conditions| conditions.get(name)) {
            Some(true) => each(yes),
            Some(false) => each(no),
            None => each(yes).and_then(|()| each(no)),
        },
        ExprKind::Join(_, inner)
        | ExprKind::Split(_, inner)
        | ExprKind::Base64(inner)
        | ExprKind::GetAzs(inner)
        | ExprKind::Length(inner)
        | ExprKind::ToJsonString(inner)
        | ExprKind::ImportValue(inner) => each(inner),
        ExprKind::Select(first, second) => each(first).and_then(|()| each(second)),
        ExprKind::FindInMap(names, default) => names.iter().chain(default.as_deref()).try_for_each(each),
        ExprKind::Cidr(block, count, bits) => {
            each(block)?;
            each(count)?;
            bits.iter().try_for_each(|bits| each(bits))
        }
    }
}

impl Dependencies {
    /// The resources, each after all that it needs; among those free to go, by name.
    ///
    /// # Errors
    /// `Circular dependency between resources: […]`, naming those in or behind a circle.
    pub fn order(&self) -> Result<Vec<String>, TemplateError> {
        let mut order = Vec::with_capacity(self.needs.len());
        let mut done = BTreeSet::new();
        while order.len() < self.needs.len() {
            let ready: Vec<&String> = self
                .needs
                .iter()
                .filter(|(id, needs)| !done.contains(*id) && needs.iter().all(|need| done.contains(need)))
                .map(|(id, _)| id)
                .collect();
            if ready.is_empty() {
                return Err(self.circle(&done));
            }
            done.extend(ready.iter().copied());
            order.extend(ready.into_iter().cloned());
        }
        Ok(order)
    }

    /// Who needs `id` directly.
    pub fn dependents<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a String> {
        self.needs.iter().filter(move |(_, needs)| needs.contains(id)).map(|(other, _)| other)
    }

    fn circle(&self, done: &BTreeSet<&String>) -> TemplateError {
        // What nothing stuck needs is only behind the circle; peel it off from that side too.
        let mut stuck: BTreeSet<&String> = self.needs.keys().filter(|id| !done.contains(*id)).collect();
        loop {
            let needed: BTreeSet<&String> = stuck.iter().flat_map(|id| &self.needs[*id]).collect();
            let before = stuck.len();
            stuck.retain(|id| needed.contains(*id));
            if stuck.len() == before {
                break;
            }
        }
        let names: Vec<&str> = stuck.into_iter().map(String::as_str).collect();
        TemplateError::new(format!("Circular dependency between resources: [{}]", names.join(", ")))
    }
}
