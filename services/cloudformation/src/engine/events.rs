//! Events: what happened to a stack, in AWS's words and order.

use serde_json::Value;
use zonal_cloud::{Tx, ids};

use crate::model::{ResourceStatus, Stack, StackEvent, StackStatus};

/// The type that a stack has in its own events.
const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// A resource as an event names it.
pub struct Subject<'a> {
    /// Its logical id.
    pub logical_id: &'a str,
    /// Its physical id, once it has one.
    pub physical_id: Option<&'a str>,
    /// Its type.
    pub type_name: &'a str,
    /// Its properties.
    pub properties: Option<&'a Value>,
}

/// Records an event of a resource.
pub fn of_resource(
    tx: &mut Tx<'_>,
    stack: &mut Stack,
    token: Option<&str>,
    subject: &Subject<'_>,
    status: ResourceStatus,
    reason: Option<&str>,
) {
    let id = format!("{}-{status}-{}", subject.logical_id, tx.now.iso8601_millis());
    put(tx, stack, token, subject, id, status, reason);
}

/// Sets a stack's status, and records that as an event.
pub fn record(tx: &mut Tx<'_>, stack: &mut Stack, token: Option<&str>, status: StackStatus, reason: Option<&str>) {
    stack.status = status;
    stack.reason = reason.map(str::to_owned);
    let (stack_id, name) = (stack.id.clone(), stack.name.clone());
    let subject = Subject { logical_id: &name, physical_id: Some(&stack_id), type_name: STACK_TYPE, properties: None };
    let id = ids::uuid(tx.chance());
    // Every status of a stack is one of a resource's too, but for the review, which the shapes have as well.
    if let Ok(status) = status.as_str().parse() {
        put(tx, stack, token, &subject, id, status, reason);
    }
}

fn put(
    tx: &mut Tx<'_>,
    stack: &mut Stack,
    token: Option<&str>,
    subject: &Subject<'_>,
    id: String,
    status: ResourceStatus,
    reason: Option<&str>,
) {
    let number = stack.events;
    stack.events += 1;
    let at = tx.now;
    tx.put(StackEvent {
        key: StackEvent::key_of(&stack.id, number),
        stack: stack.id.clone(),
        id,
        logical_id: subject.logical_id.to_owned(),
        physical_id: subject.physical_id.map(str::to_owned),
        type_name: subject.type_name.to_owned(),
        at,
        status,
        reason: reason.map(str::to_owned),
        properties: subject.properties.map(Value::to_string),
        token: token.map(str::to_owned),
    });
}
