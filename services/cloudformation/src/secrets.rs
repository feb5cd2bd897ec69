//! What `NoEcho` hides: the values of such parameters are shown in no event and no change set.
//!
//! Reference: "Parameters" of the template reference, `NoEcho`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::{Deployment, Stack};

/// What is shown in a secret's stead.
const MASK: &str = "****";

/// The values that are not shown.
pub struct Secrets<'a>(BTreeSet<&'a str>);

impl<'a> Secrets<'a> {
    /// Those of a stack, as it is and as it was before what is under way, and of what it is brought to.
    pub fn of(stack: &'a Stack, target: Option<&'a Deployment>) -> Secrets<'a> {
        let own = stack.hidden.iter().map(String::as_str);
        let deployments = stack.current.iter().chain(&stack.stable).chain(target);
        Secrets(own.chain(deployments.flat_map(of_deployment)).collect())
    }

    /// Properties as they are shown.
    pub fn masked(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) if self.0.iter().any(|secret| text.contains(secret)) => Value::from(MASK),
            // What was given as text may have become one of these.
            Value::Number(_) | Value::Bool(_) if self.0.contains(value.to_string().as_str()) => Value::from(MASK),
            Value::Array(items) => items.into_iter().map(|item| self.masked(item)).collect(),
            Value::Object(members) => members.into_iter().map(|(name, value)| (name, self.masked(value))).collect(),
            other => other,
        }
    }
}

impl Stack {
    /// Hides what a deployment hides, beside what is hidden already.
    pub fn hide(&mut self, deployment: &Deployment) {
        self.hidden.extend(of_deployment(deployment).map(str::to_owned));
    }

    /// Hides what it has now, and nothing that it had before.
    pub fn hide_no_more(&mut self) {
        self.hidden.clear();
        if let Some(current) = self.current.clone() {
            self.hide(&current);
        }
    }
}

/// The values of a deployment's secret parameters, as given and as looked up: a list's items each for itself.
fn of_deployment(deployment: &Deployment) -> impl Iterator<Item = &str> {
    let values = deployment.secret.iter().flat_map(|name| {
        let given = deployment.given.get(name).map(String::as_str);
        let resolved = match deployment.resolved.get(name) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => vec![text.as_str()],
            _ => Vec::new(),
        };
        given.into_iter().chain(resolved)
    });
    values.filter(|secret| !secret.is_empty())
}
