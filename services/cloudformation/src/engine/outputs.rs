//! Outputs and exports.

use std::collections::{BTreeMap, BTreeSet};

use zonal_cloud::{Tx, View};

use super::Run;
use super::scope::StackScope;
use crate::model::{Deployment, Export, Operation, Output, Stack, StackStatus, TemplateText};
use crate::template::eval::{Evaluator, scalar};
use crate::template::{Template, TemplateError};

/// What the outputs of a template come to.
///
/// # Errors
/// A function in one fails, or one is no string.
pub fn evaluate(
    template: &Template,
    conditions: &BTreeMap<String, bool>,
    scope: &StackScope<'_, '_>,
) -> Result<Vec<Output>, TemplateError> {
    let evaluator = Evaluator { template, conditions, scope };
    let mut outputs = Vec::new();
    for (key, declared) in &template.outputs {
        if declared.condition.as_ref().is_some_and(|(name, _)| conditions.get(name) == Some(&false)) {
            continue;
        }
        let Some(value) = evaluator.value(&declared.value)? else { continue };
        let value = scalar(&value).ok_or_else(|| {
            TemplateError::at(
                declared.at,
                "Template format error: The Value field of every Outputs member must evaluate to a String.",
            )
        })?;
        let export = declared.export.as_ref().map(|export| evaluator.text(export, "Export")).transpose()?;
        outputs.push(Output { key: key.clone(), value, description: declared.description.clone(), export });
    }
    Ok(outputs)
}

/// The names of the stacks that use an export.
pub fn importers(view: &View<'_>, export: &str) -> Vec<String> {
    let uses = |stack: &&Stack| {
        let coming = view.get::<Operation>(&stack.id).is_some_and(|operation| operation.imports.contains(export));
        stack.status != StackStatus::DeleteComplete && (coming || stack.imports.contains(export))
    };
    view.list::<Stack>().filter(uses).map(|stack| stack.name.clone()).collect()
}

/// An export of the stack that others use, with their names.
pub fn export_in_use(tx: &Tx<'_>, stack: &str) -> Option<(String, Vec<String>)> {
    let own: Vec<&Export> = tx.list::<Export>().filter(|export| export.stack == stack).collect();
    own.into_iter().find_map(|export| {
        let users = importers(&tx.view(), &export.name);
        (!users.is_empty()).then(|| (export.name.clone(), users))
    })
}

impl Run<'_, '_> {
    /// The stack's outputs, once its resources are as wanted.
    pub(super) fn outputs(
        &mut self,
        template: &Template,
        deployment: &Deployment,
        conditions: &BTreeMap<String, bool>,
    ) -> Result<Vec<Output>, TemplateError> {
        let outputs = self.evaluate(deployment, |scope| evaluate(template, conditions, scope))?;
        let mut names = BTreeSet::new();
        for output in &outputs {
            let Some(name) = &output.export else { continue };
            if !names.insert(name.as_str()) {
                return Err(TemplateError::new(format!("Duplicate Export names: [{name}]")));
            }
            if let Some(other) = self.tx.get::<Export>(name).filter(|export| export.stack != self.stack.id) {
                let owner =
                    self.tx.get::<Stack>(&other.stack).map_or(other.stack.as_str(), |stack| stack.name.as_str());
                return Err(TemplateError::new(format!(
                    "Export with name {name} is already exported by stack {owner}"
                )));
            }
        }
        for export in self.tx.list::<Export>().filter(|export| export.stack == self.stack.id) {
            let kept = outputs.iter().find(|output| output.export.as_ref() == Some(&export.name));
            if kept.is_some_and(|output| output.value == export.value) {
                continue;
            }
            let users = importers(&self.tx.view(), &export.name);
            if !users.is_empty() {
                let what = if kept.is_some() { "updated" } else { "deleted" };
                return Err(TemplateError::new(format!(
                    "Export {} cannot be {what} as it is in use by {}",
                    export.name,
                    users.join(" and ")
                )));
            }
        }
        Ok(outputs)
    }

    /// Stores outputs and exports.
    pub(super) fn publish(&mut self, outputs: Vec<Output>) {
        self.unpublish();
        for output in &outputs {
            if let Some(name) = &output.export {
                self.tx.put(Export { name: name.clone(), value: output.value.clone(), stack: self.stack.id.clone() });
            }
        }
        self.stack.outputs = outputs;
    }

    /// Takes the stack's exports back.
    pub(super) fn unpublish(&mut self) {
        let own: Vec<String> = self
            .tx
            .list::<Export>()
            .filter(|export| export.stack == self.stack.id)
            .map(|export| export.name.clone())
            .collect();
        own.iter().for_each(|name| self.tx.remove::<Export>(name));
    }

    /// Drops a template text that nothing needs any more.
    pub(super) fn forget_text(&mut self, text: Option<u32>) {
        if let Some(number) = text {
            self.tx.remove::<TemplateText>(&TemplateText::key_of(&self.stack.id, number));
        }
    }
}
