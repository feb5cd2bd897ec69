//! DetectStackDrift, DetectStackResourceDrift, DescribeStackDriftDetectionStatus, DescribeStackResourceDrifts.
//!
//! Everything is looked at while the caller waits: what AWS shows in progress first is complete here.

use serde_json::Value;
use zonal_cloud::{Tx, View, ids, pages};
use zonal_wire::AwsError;

use super::find;
use super::lifecycle::never;
use crate::drift::{self, Detection, Difference, Drift};
use crate::errors::Error;
use crate::model::{DriftFound, Stack, StackResource, StackStatus, Thing};
use crate::secrets::Secrets;
use crate::shapes::{self, StackDriftStatus, StackResourceDriftStatus};
use crate::types::{self, Context, standing};

/// Detections of a stack's that can be asked about.
const DETECTIONS: usize = 100;

/// DetectStackDrift.
pub fn detect(
    tx: &mut Tx<'_>,
    input: &shapes::DetectStackDriftInput,
) -> Result<shapes::DetectStackDriftOutput, AwsError> {
    let stack = checkable(tx, &input.stack_name)?;
    let all: Vec<StackResource> =
        tx.view().starting::<StackResource>(StackResource::key_of(&stack.id, "")).cloned().collect();
    if let Some(unknown) =
        input.logical_resource_ids.iter().find(|id| !all.iter().any(|resource| resource.logical_id == **id))
    {
        return Err(missing(unknown, &stack).into());
    }
    let wanted = |id: &String| input.logical_resource_ids.is_empty() || input.logical_resource_ids.contains(id);
    let mut failures = Vec::new();
    let mut drifted = 0;
    let mut checked = 0;
    for resource in all.into_iter().filter(|resource| wanted(&resource.logical_id)) {
        let id = resource.logical_id.clone();
        match check(tx, &stack, resource) {
            Ok(Some(drift)) => {
                checked += 1;
                drifted += i32::from(drift.status != StackResourceDriftStatus::InSync);
            }
            Ok(None) => {}
            Err(failure) => failures.push(format!("{id}: {failure}")),
        }
    }
    let status = match (drifted, checked) {
        (0, 0) => StackDriftStatus::NotChecked,
        (0, _) => StackDriftStatus::InSync,
        _ => StackDriftStatus::Drifted,
    };
    forget_old(tx, &stack.id);
    let id = ids::uuid(tx.chance());
    let failure =
        (!failures.is_empty()).then(|| format!("Failed to detect drift on resources [{}]", failures.join(", ")));
    tx.put(Detection { id: id.clone(), stack: stack.id.clone(), at: tx.now, status, drifted, failure });
    let now = tx.now;
    tx.update::<Stack, _>(&stack.id, |stack| stack.drift = Some(DriftFound { status, at: now }));
    Ok(shapes::DetectStackDriftOutput { stack_drift_detection_id: id })
}

/// Makes room for one more detection of a stack's.
fn forget_old(tx: &mut Tx<'_>, stack: &str) {
    let of_stack = tx.list::<Detection>().filter(|detection| detection.stack == stack);
    let mut known: Vec<_> = of_stack.map(|detection| (detection.at, detection.id.clone())).collect();
    known.sort();
    let many = (known.len() + 1).saturating_sub(DETECTIONS);
    for (_, id) in known.into_iter().take(many) {
        tx.remove::<Detection>(&id);
    }
}

/// DetectStackResourceDrift.
pub fn detect_one(
    tx: &mut Tx<'_>,
    input: &shapes::DetectStackResourceDriftInput,
) -> Result<shapes::DetectStackResourceDriftOutput, AwsError> {
    let stack = checkable(tx, &input.stack_name)?;
    let key = StackResource::key_of(&stack.id, &input.logical_resource_id);
    let resource = tx.get::<StackResource>(&key).cloned().ok_or_else(|| missing(&input.logical_resource_id, &stack))?;
    if !standing::is_read(&resource.type_name) {
        return Err(Error::validation(format!(
            "Drift detection is not supported for resource type {} of resource {}",
            resource.type_name, resource.logical_id
        ))
        .into());
    }
    check(tx, &stack, resource).map_err(|failure| Error::validation(failure.to_string()))?;
    let checked = tx.get::<StackResource>(&key).and_then(shape);
    let none = || Error::validation(format!("Resource {} has nothing to check", input.logical_resource_id));
    Ok(shapes::DetectStackResourceDriftOutput { stack_resource_drift: checked.ok_or_else(none)? })
}

/// DescribeStackDriftDetectionStatus.
pub fn status(
    view: &View<'_>,
    input: &shapes::DescribeStackDriftDetectionStatusInput,
) -> Result<shapes::DescribeStackDriftDetectionStatusOutput, AwsError> {
    let id = &input.stack_drift_detection_id;
    let detection = view
        .get::<Detection>(id)
        .ok_or_else(|| Error::validation(format!("Stack drift detection with id {id} does not exist")))?;
    let failed = detection.failure.is_some();
    Ok(shapes::DescribeStackDriftDetectionStatusOutput {
        stack_id: detection.stack.clone(),
        stack_drift_detection_id: id.clone(),
        stack_drift_status: Some(detection.status),
        detection_status: if failed {
            shapes::StackDriftDetectionStatus::DetectionFailed
        } else {
            shapes::StackDriftDetectionStatus::DetectionComplete
        },
        detection_status_reason: detection.failure.clone(),
        drifted_stack_resource_count: Some(detection.drifted),
        timestamp: detection.at,
    })
}

/// DescribeStackResourceDrifts: of the resources that were checked.
pub fn describe(
    view: &View<'_>,
    input: &shapes::DescribeStackResourceDriftsInput,
) -> Result<shapes::DescribeStackResourceDriftsOutput, AwsError> {
    let stack = find(view, &input.stack_name)?;
    let filters = &input.stack_resource_drift_status_filters;
    let all = view
        .starting::<StackResource>(StackResource::key_of(&stack.id, ""))
        .filter_map(|resource| Some((resource.logical_id.clone(), shape(resource)?)))
        .filter(|(_, drift)| filters.is_empty() || filters.contains(&drift.stack_resource_drift_status));
    let size = input.max_results.and_then(|size| usize::try_from(size).ok()).unwrap_or(100);
    let (stack_resource_drifts, next_token) = pages::page(all, input.next_token.as_deref(), Some(size))
        .map_err(|_| Error::validation("Invalid NextToken"))?;
    Ok(shapes::DescribeStackResourceDriftsOutput { stack_resource_drifts, next_token })
}

/// The stack, where nothing is under way that it could drift by.
fn checkable(tx: &Tx<'_>, name: &str) -> Result<Stack, Error> {
    use StackStatus::{CreateComplete, UpdateComplete, UpdateRollbackComplete, UpdateRollbackFailed};
    let stack = find(&tx.view(), name)?.clone();
    match stack.status {
        CreateComplete | UpdateComplete | UpdateRollbackComplete | UpdateRollbackFailed => Ok(stack),
        status => Err(Error::validation(format!(
            "Drift detection cannot be performed on stack {} in {status} state.",
            stack.id
        ))),
    }
}

fn missing(id: &str, stack: &Stack) -> Error {
    Error::validation(format!("Resource {id} does not exist for stack {}", stack.name))
}

/// Checks a resource and keeps what was found; none of a type that can't be read, or that has nothing.
fn check(tx: &mut Tx<'_>, stack: &Stack, resource: StackResource) -> Result<Option<Drift>, types::Failure> {
    let Some(thing) = resource.thing.as_ref() else { return Ok(None) };
    let mut cx = Context {
        tx,
        stack_name: &stack.name,
        stack_id: &stack.id,
        logical_id: &resource.logical_id,
        stack_tags: &thing.stack_tags,
        token: String::new(),
        interrupt: &never,
    };
    let found = match standing::read(&mut cx, &thing.type_name, &thing.id)? {
        standing::Standing::Unread => return Ok(None),
        standing::Standing::Gone => None,
        standing::Standing::Has(properties) => Some(properties),
    };
    let found = found.map(|found| without_rules_of_others(&cx.tx.view(), stack, thing, found));
    let drift = compared(stack, thing, found, tx.now);
    tx.update::<StackResource, _>(&StackResource::key_of(&stack.id, &resource.logical_id), |resource| {
        resource.drift = Some(drift.clone());
    });
    Ok(Some(drift))
}

/// A security group's rules but for those that other resources of the stack make: theirs are no drift of the group's.
fn without_rules_of_others(view: &View<'_>, stack: &Stack, group: &Thing, mut found: Value) -> Value {
    for property in ["SecurityGroupIngress", "SecurityGroupEgress"] {
        let Some(rules) = found.get_mut(property).and_then(Value::as_array_mut) else { continue };
        let type_name = format!("AWS::EC2::{property}");
        let things = view.starting::<StackResource>(StackResource::key_of(&stack.id, ""));
        for other in things.filter_map(|resource| resource.thing.as_ref()) {
            if other.type_name == type_name && other.properties["GroupId"] == group.id.as_str() {
                let mut rule = other.properties.clone();
                rule.as_object_mut().map(|rule| rule.remove("GroupId"));
                rules.retain(|found| !drift::meets(&rule, found));
            }
        }
    }
    found
}

fn compared(stack: &Stack, thing: &Thing, found: Option<Value>, at: zonal_wire::Time) -> Drift {
    let secrets = Secrets::of(stack, None);
    let expected = secrets.masked(thing.properties.clone());
    let Some(mut found) = found else {
        let status = StackResourceDriftStatus::Deleted;
        return Drift { status, at, expected, actual: Value::Null, differences: Vec::new() };
    };
    if found.get("Tags").is_some() {
        let tags = thing.properties.get("Tags").unwrap_or(&Value::Null);
        found["Tags"] = drift::own_tags(tags, &found["Tags"], &thing.stack_tags);
    }
    let table = types::named(&thing.type_name).map_or(&[][..], |known| known.properties);
    let (actual, differences) = drift::compare(table, &thing.properties, &found);
    let status =
        if differences.is_empty() { StackResourceDriftStatus::InSync } else { StackResourceDriftStatus::Modified };
    let masked = |difference: Difference| Difference {
        expected: secrets.masked(difference.expected),
        actual: secrets.masked(difference.actual),
        ..difference
    };
    let differences = differences.into_iter().map(masked).collect();
    Drift { status, at, expected, actual: secrets.masked(actual), differences }
}

/// What a resource's last check found.
fn shape(resource: &StackResource) -> Option<shapes::StackResourceDrift> {
    let drift = resource.drift.as_ref()?;
    // What is absent is the word `null`; text is without its quotes.
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let differences = drift.differences.iter().map(|difference| shapes::PropertyDifference {
        property_path: difference.path.clone(),
        expected_value: text(&difference.expected),
        actual_value: text(&difference.actual),
        difference_type: difference.kind(),
    });
    let gone = drift.status == StackResourceDriftStatus::Deleted;
    Some(shapes::StackResourceDrift {
        stack_id: resource.stack.clone(),
        logical_resource_id: resource.logical_id.clone(),
        physical_resource_id: resource.physical_id().map(str::to_owned),
        resource_type: resource.type_name.clone(),
        expected_properties: Some(drift.expected.to_string()),
        actual_properties: (!gone).then(|| drift.actual.to_string()),
        property_differences: differences.collect(),
        stack_resource_drift_status: drift.status,
        timestamp: drift.at,
        ..Default::default()
    })
}

/// What answers about a resource say of its drift.
pub fn of_resource(resource: &StackResource) -> shapes::StackResourceDriftInformation {
    let (status, at) = last(resource);
    shapes::StackResourceDriftInformation { stack_resource_drift_status: status, last_check_timestamp: at }
}

/// The same in lists.
pub fn summary_of(resource: &StackResource) -> shapes::StackResourceDriftInformationSummary {
    let (status, at) = last(resource);
    shapes::StackResourceDriftInformationSummary { stack_resource_drift_status: status, last_check_timestamp: at }
}

fn last(resource: &StackResource) -> (StackResourceDriftStatus, Option<zonal_wire::Time>) {
    let drift = resource.drift.as_ref();
    (drift.map_or(StackResourceDriftStatus::NotChecked, |drift| drift.status), drift.map(|drift| drift.at))
}
