//! `AWS::CloudFormation::WaitConditionHandle`, `AWS::CloudFormation::WaitCondition`: a stack waits for what programs tell it.
//!
//! A condition waits for its handle's URL to be told of so many successes, or, with a `CreationPolicy` in place of a handle, for
//! SignalResource, as any resource with such a policy does.

use std::time::Duration;

use serde_json::{Value, json};

use super::context::{Context, Failure, text};
use super::schema::Update::*;
use super::{Handler, Progress, ResourceType};
use crate::handles::{Told, WaitHandle};
use crate::template::{Resource, TemplateError};

/// A handle. Its physical id is its URL.
pub const HANDLE: ResourceType = ResourceType {
    name: "AWS::CloudFormation::WaitConditionHandle",
    properties: &[],
    attributes: &["Id"],
    handler: &Handle,
};

/// A condition. Its physical id is its handle's name in the stack, or its own where it has none.
pub const CONDITION: ResourceType = ResourceType {
    name: "AWS::CloudFormation::WaitCondition",
    properties: &[InPlace.number("Count"), InPlace.text("Handle"), InPlace.number("Timeout")],
    attributes: &["Data"],
    handler: &Condition,
};

/// The longest that a condition waits, in seconds.
const LONGEST: u64 = 43_200;

/// Checks what a condition needs: a handle and a time-out, or a creation policy and neither.
///
/// # Errors
/// One is missing, or both forms are mixed.
pub fn check(resource: &Resource) -> Result<(), TemplateError> {
    if resource.type_name != CONDITION.name {
        return Ok(());
    }
    let has = |name: &str| resource.properties.iter().find(|(own, ..)| own == name);
    match &resource.creation_policy {
        Some(_) => match CONDITION.properties.iter().find_map(|property| has(property.name)) {
            Some((name, at, _)) => Err(TemplateError::at(
                *at,
                format!("A WaitCondition with a CreationPolicy takes no {name}: the policy says what it waits for"),
            )),
            None => Ok(()),
        },
        None => match ["Handle", "Timeout"].into_iter().find(|name| has(name).is_none()) {
            Some(name) => Err(TemplateError::at(
                resource.at,
                format!("Properties validation failed with message: #: required key [{name}] not found"),
            )),
            None => Ok(()),
        },
    }
}

fn not_supported(known: &ResourceType) -> Failure {
    Failure::Said(format!("Update to resource type {} is not supported.", known.name))
}

struct Handle;

impl Handler for Handle {
    fn create(&self, cx: &mut Context<'_, '_>, _: &Value) -> Result<String, Failure> {
        let (handle, url) = WaitHandle::new(cx.tx, cx.stack_id, cx.logical_id);
        cx.tx.put(handle);
        Ok(url)
    }

    fn update(&self, _: &mut Context<'_, '_>, _: &mut String, _: &Value, _: &Value) -> Result<Progress, Failure> {
        // It has no properties: nothing of it can differ.
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        if let Some(key) = WaitHandle::key_of(id) {
            cx.tx.remove::<WaitHandle>(&key);
        }
        Ok(Progress::Done)
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(json!(WaitHandle::key_of(id)))
    }
}

struct Condition;

impl Condition {
    /// The handle that it waits for; `None` where it has none.
    fn handle<'a>(cx: &'a Context<'_, '_>, properties: &Value) -> Option<&'a WaitHandle> {
        cx.tx.get::<WaitHandle>(&WaitHandle::key_of(text(properties, "Handle"))?)
    }

    fn count(properties: &Value) -> usize {
        properties["Count"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
    }

    fn successes(handle: &WaitHandle) -> usize {
        handle.told.iter().filter(|told| matches!(told, Told::Signal { success: true, .. })).count()
    }
}

impl Handler for Condition {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let Some(url) = properties.get("Handle").and_then(Value::as_str) else {
            return Ok(format!("{}/{}", cx.stack_id, cx.logical_id));
        };
        if properties.get("Count").is_some_and(|count| count.as_u64().is_none_or(|count| count == 0)) {
            return Err(Failure::Said("Value for Count property must be a whole number greater than 0".to_owned()));
        }
        if !properties["Timeout"].as_u64().is_some_and(|seconds| (1..=LONGEST).contains(&seconds)) {
            return Err(Failure::Said(format!(
                "Value for Timeout property must be a whole number from 1 to {LONGEST}"
            )));
        }
        match WaitHandle::key_of(url) {
            Some(key) if cx.tx.get::<WaitHandle>(&key).is_some() => Ok(key),
            _ => Err(Failure::Said(format!("Handle of {} is no wait condition handle's URL", cx.logical_id))),
        }
    }

    fn settle(&self, cx: &mut Context<'_, '_>, _: &str, properties: &Value) -> Result<Progress, Failure> {
        if properties.get("Handle").is_none() {
            return Ok(Progress::Done);
        }
        let gone = || Failure::Said(format!("The handle of {} is gone", cx.logical_id));
        let handle = Self::handle(cx, properties).ok_or_else(gone)?;
        let mut missing = Self::count(properties);
        for told in &handle.told {
            match told {
                Told::Signal { success: true, .. } => missing -= 1,
                Told::Signal { id, reason, .. } => {
                    return Err(Failure::Said(format!(
                        "WaitCondition received failed message: '{reason}' for uniqueId: {id}"
                    )));
                }
                Told::Unparsable => return Err(Failure::Said("Unparsable WaitCondition data".to_owned())),
            }
            if missing == 0 {
                return Ok(Progress::Done);
            }
        }
        Ok(Progress::Waiting)
    }

    fn patience(&self, properties: &Value) -> Option<Duration> {
        properties["Timeout"].as_u64().map(Duration::from_secs)
    }

    fn overdue(&self, cx: &Context<'_, '_>, properties: &Value) -> Failure {
        let received = Self::handle(cx, properties).map_or(0, Self::successes);
        let expected = Self::count(properties);
        Failure::Said(format!("WaitCondition timed out. Received {received} conditions when expecting {expected}"))
    }

    fn update(&self, _: &mut Context<'_, '_>, _: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        // A rollback brings it to what it still is.
        if old == new { Ok(Progress::Done) } else { Err(not_supported(&CONDITION)) }
    }

    fn delete(&self, _: &mut Context<'_, '_>, _: &str, _: &Value) -> Result<Progress, Failure> {
        Ok(Progress::Done)
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, _: &str, properties: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Self::handle(cx, properties).map_or(json!("{}"), |handle| handle.data(Self::count(properties))))
    }
}
