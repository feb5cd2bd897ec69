//! Stacks as a lab sees them: changes asked for through CloudFormation, and what happens to them as events.

use crate::daemon::admin::Break;
use crate::lab::backend::{Backend, Origin};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use zonal_lab::spec::Victim;
use zonal_lab::world::Breakage;
use zonal_lab::{At, Event, EventKind, StackChange, StackState, WorldError};
use zonal_wire::Time;

/// The stacks of a lab, over a control plane.
pub struct Stacks<B> {
    /// The control plane.
    pub backend: B,
    /// Where moments count from.
    pub origin: Origin,
    asked: BTreeMap<String, At>,
    seen: BTreeSet<String>,
    health: BTreeMap<String, String>,
    in_service: BTreeMap<String, u32>,
}

type Found<T> = Result<T, WorldError>;

impl<B: Backend> Stacks<B> {
    /// No stacks yet.
    pub fn new(backend: B) -> Self {
        let origin = Origin(backend.time());
        Self {
            backend,
            origin,
            asked: BTreeMap::new(),
            seen: BTreeSet::new(),
            health: BTreeMap::new(),
            in_service: BTreeMap::new(),
        }
    }

    /// The moment.
    pub fn now(&self) -> At {
        self.origin.at(self.backend.time())
    }

    fn call(&mut self, service: &str, operation: &str, input: Value) -> Found<Value> {
        self.backend
            .call(service, operation, input)
            .map_err(|error| WorldError::new(format!("{service} {operation}"), error))
    }

    /// Asks for a change.
    pub fn submit(&mut self, change: &StackChange) -> Found<()> {
        let (name, operation, input) = match change {
            StackChange::Create { stack, template, parameters } => {
                // What happened to an earlier stack of that name is over.
                let given = |(key, value): (&String, &String)| json!({ "ParameterKey": key, "ParameterValue": value });
                let input = json!({
                    "StackName": stack,
                    "TemplateBody": body(template)?,
                    "Parameters": parameters.iter().map(given).collect::<Vec<_>>(),
                    "Capabilities": ["CAPABILITY_IAM"],
                });
                (stack, "CreateStack", input)
            }
            StackChange::Update { stack, template, parameters } => {
                let body = body(template)?;
                let kept = self
                    .parameters(stack)?
                    .into_iter()
                    .filter(|key| !parameters.contains_key(key) && body.contains(key.as_str()));
                let mut list: Vec<Value> =
                    kept.map(|key| json!({ "ParameterKey": key, "UsePreviousValue": true })).collect();
                list.extend(
                    parameters.iter().map(|(key, value)| json!({ "ParameterKey": key, "ParameterValue": value })),
                );
                (stack, "UpdateStack", json!({ "StackName": stack, "TemplateBody": body, "Parameters": list }))
            }
            StackChange::Delete { stack } => (stack, "DeleteStack", json!({ "StackName": stack })),
        };
        self.asked.insert(name.clone(), self.now());
        self.call("cloudformation", operation, input).map(drop)
    }

    fn parameters(&mut self, stack: &str) -> Found<Vec<String>> {
        let described = self.call("cloudformation", "DescribeStacks", json!({ "StackName": stack }))?;
        let parameters = list(&described["Stacks"][0], "Parameters");
        Ok(parameters.iter().map(|parameter| text(parameter, "ParameterKey")).collect())
    }

    /// How a stack's last change stands.
    pub fn stack(&mut self, name: &str) -> Found<StackState> {
        let described = match self.backend.call("cloudformation", "DescribeStacks", json!({ "StackName": name })) {
            Ok(described) => described,
            Err(error) if error.contains("does not exist") => return Ok(StackState::Absent),
            Err(error) => return Err(WorldError::new(format!("describe the stack {name}"), error)),
        };
        let stack = &described["Stacks"][0];
        let status = text(stack, "StackStatus");
        if status == "DELETE_COMPLETE" {
            return Ok(StackState::Absent);
        }
        if status.ends_with("_IN_PROGRESS") {
            return Ok(StackState::Working);
        }
        let events = self.call("cloudformation", "DescribeStackEvents", json!({ "StackName": name }))?;
        let last = list(&events, "StackEvents")
            .iter()
            .find(|event| text(event, "PhysicalResourceId") == text(event, "StackId"))
            .cloned();
        let finished = last.as_ref().and_then(|event| self.moment(event, "Timestamp")).unwrap_or_else(|| self.now());
        let outputs = list(stack, "Outputs").iter().map(|o| (text(o, "OutputKey"), text(o, "OutputValue"))).collect();
        let reason = text(stack, "StackStatusReason");
        let failed = list(&events, "StackEvents")
            .iter()
            .find(|event| text(event, "ResourceStatus").ends_with("_FAILED"))
            .map(|event| {
                format!(
                    "{} {}: {}",
                    text(event, "LogicalResourceId"),
                    text(event, "ResourceStatus"),
                    text(event, "ResourceStatusReason")
                )
            });
        Ok(StackState::Settled {
            ok: matches!(status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE"),
            reason: failed.filter(|_| !status.ends_with("E_COMPLETE") || status.contains("ROLLBACK")).unwrap_or(reason),
            status,
            started: self.asked.get(name).copied().unwrap_or(finished),
            finished,
            outputs,
        })
    }

    fn moment(&self, value: &Value, key: &str) -> Option<At> {
        Time::parse(value[key].as_str()?).map(|time| self.origin.at(time))
    }

    /// Breaks something of a stack; what, in words.
    pub fn inject(&mut self, stack: &str, breakage: &Breakage) -> Found<String> {
        match breakage {
            Breakage::Zone { zone, span } => {
                let what = Break::Zone { zone: zone.clone(), seconds: Some(span.as_secs_f64()) };
                self.backend.break_it(&what).map_err(|error| WorldError::new(format!("cut {zone} off"), error))
            }
            Breakage::Instance(victim) => {
                let (id, named) = self.victim(stack, victim)?;
                let found = self.call("ec2", "DescribeInstances", json!({ "InstanceIds": [id] }))?;
                let zone = text(&found["Reservations"][0]["Instances"][0]["Placement"], "AvailabilityZone");
                self.backend
                    .break_it(&Break::Instance { id: id.clone() })
                    .map_err(|error| WorldError::new(format!("kill {id}"), error))?;
                Ok(format!("{id}{named} in {zone}"))
            }
        }
    }

    fn victim(&mut self, stack: &str, victim: &Victim) -> Found<(String, String)> {
        match victim {
            Victim::Logical(name) => {
                let input = json!({ "StackName": stack, "LogicalResourceId": name });
                let found = self.call("cloudformation", "DescribeStackResource", input)?;
                Ok((text(&found["StackResourceDetail"], "PhysicalResourceId"), format!(" ({name})")))
            }
            Victim::Number(k) => {
                let running = json!({ "Filters": [{ "Name": "instance-state-name", "Values": ["running"] }] });
                let found = self.call("ec2", "DescribeInstances", running)?;
                let mut instances: Vec<(String, String)> = list(&found, "Reservations")
                    .iter()
                    .flat_map(|reservation| list(reservation, "Instances"))
                    .map(|instance| (text(instance, "LaunchTime"), text(instance, "InstanceId")))
                    .collect();
                instances.sort();
                let index = usize::try_from(*k).unwrap_or(usize::MAX).saturating_sub(1);
                let nothing = || {
                    WorldError::new(format!("find the {k}. running instance"), format!("there are {}", instances.len()))
                };
                instances.get(index).map(|(_, id)| (id.clone(), String::new())).ok_or_else(nothing)
            }
        }
    }

    /// What has happened to the stacks since this was asked last.
    pub fn events(&mut self) -> Found<Vec<Event>> {
        let mut events = Vec::new();
        let names: Vec<String> = self.asked.keys().cloned().collect();
        for name in names {
            let described = self.backend.call("cloudformation", "DescribeStackEvents", json!({ "StackName": name }));
            // A stack that is gone tells nothing more.
            let Ok(described) = described else { continue };
            let mut new = Vec::new();
            for event in list(&described, "StackEvents") {
                if !self.seen.insert(text(event, "EventId")) {
                    break;
                }
                new.push(event.clone());
            }
            for event in new.iter().rev() {
                events.push(Event {
                    at: self.moment(event, "Timestamp").unwrap_or_else(|| self.now()),
                    kind: EventKind::Stack,
                    resource: text(event, "LogicalResourceId"),
                    text: [text(event, "ResourceStatus"), text(event, "ResourceStatusReason")]
                        .join(" ")
                        .trim()
                        .to_owned(),
                });
            }
            let resources = self.backend.call("cloudformation", "ListStackResources", json!({ "StackName": name }));
            let resources = resources.unwrap_or_default();
            for resource in list(&resources, "StackResourceSummaries") {
                let id = text(resource, "PhysicalResourceId");
                match text(resource, "ResourceType").as_str() {
                    _ if id.is_empty() => {}
                    "AWS::ElasticLoadBalancingV2::TargetGroup" => self.health(&id, &mut events),
                    "AWS::AutoScaling::AutoScalingGroup" => self.scaling(&id, &mut events),
                    _ => {}
                }
            }
        }
        events.sort_by_key(|event| event.at);
        Ok(events)
    }

    fn health(&mut self, group: &str, events: &mut Vec<Event>) {
        let Ok(described) = self.backend.call("elbv2", "DescribeTargetHealth", json!({ "TargetGroupArn": group }))
        else {
            return;
        };
        let now = self.now();
        for target in list(&described, "TargetHealthDescriptions") {
            let id = text(&target["Target"], "Id");
            let (state, reason) = (text(&target["TargetHealth"], "State"), text(&target["TargetHealth"], "Reason"));
            let said = [state, reason].join(" ").trim().to_owned();
            let key = format!("{group}/{id}");
            if self.health.get(&key) != Some(&said) {
                self.health.insert(key, said.clone());
                events.push(Event { at: now, kind: EventKind::Health, resource: id, text: said });
            }
        }
    }

    fn scaling(&mut self, group: &str, events: &mut Vec<Event>) {
        let input = json!({ "AutoScalingGroupName": group });
        let Ok(described) = self.backend.call("autoscaling", "DescribeScalingActivities", input) else { return };
        for activity in list(&described, "Activities").iter().rev() {
            let done = text(activity, "EndTime");
            let stage = if done.is_empty() { "StartTime" } else { "EndTime" };
            if self.seen.insert(format!("{}/{stage}", text(activity, "ActivityId"))) {
                let verb = if done.is_empty() { "" } else { " (done)" };
                events.push(Event {
                    at: self.moment(activity, stage).unwrap_or_else(|| self.now()),
                    kind: EventKind::Scaling,
                    resource: group.to_owned(),
                    text: format!("{}{verb}", text(activity, "Description")),
                });
            }
        }
        let input = json!({ "AutoScalingGroupNames": [group] });
        let Ok(described) = self.backend.call("autoscaling", "DescribeAutoScalingGroups", input) else { return };
        let instances = list(&described["AutoScalingGroups"][0], "Instances");
        let count = instances.iter().filter(|instance| text(instance, "LifecycleState") == "InService").count();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if self.in_service.insert(group.to_owned(), count) != Some(count) {
            events.push(Event {
                at: self.now(),
                kind: EventKind::InService(count),
                resource: group.to_owned(),
                text: format!("{count} in service"),
            });
        }
    }
}

fn body(template: &std::path::Path) -> Found<String> {
    std::fs::read_to_string(template).map_err(|error| WorldError::new(format!("read {}", template.display()), error))
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}
