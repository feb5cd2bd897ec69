//! What a handler works with: the transaction, the stack it works for, and helpers over the dynamic calls.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use zonal_cloud::{Tx, ids};
use zonal_wire::AwsError;

/// A step for one resource of one stack.
pub struct Context<'a, 't> {
    /// The transaction that the step's calls and its mark in the stack share.
    pub tx: &'a mut Tx<'t>,
    /// The stack's name.
    pub stack_name: &'a str,
    /// The stack's id.
    pub stack_id: &'a str,
    /// The resource's logical id.
    pub logical_id: &'a str,
    /// The stack's own tags.
    pub stack_tags: &'a BTreeMap<String, String>,
    /// Made for this resource and this change of it: calls that take a client token get it.
    pub token: String,
    /// Says of a call that it fails, in tests of what a failure leaves.
    pub interrupt: &'a crate::engine::Interrupt,
}

/// Why a resource could not be made, changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A service said no.
    Service {
        /// The service, as AWS's messages name it.
        service: &'static str,
        /// What it said.
        error: AwsError,
    },
    /// It can't be what was asked for.
    Unfit(String),
    /// What CloudFormation itself says of it.
    Said(String),
}

impl Failure {
    /// It took too long.
    pub fn overdue() -> Self {
        Failure::Unfit("Exceeded attempts to wait".to_owned())
    }

    /// Whether the thing is not there.
    pub fn is_absence(&self) -> bool {
        match self {
            Failure::Service { error, .. } => {
                ["NotFound", "NoSuch", "Unknown"].iter().any(|part| error.code.contains(part))
                    || error.status == 404
                    || (error.code == "ValidationError" && error.message.contains("not found"))
            }
            Failure::Unfit(_) | Failure::Said(_) => false,
        }
    }

    /// Whether something else still uses the thing, which may end.
    pub fn is_in_use(&self) -> bool {
        match self {
            Failure::Service { error, .. } => {
                ["DependencyViolation", "InUse", "InProgress"].iter().any(|part| error.code.contains(part))
            }
            Failure::Unfit(_) | Failure::Said(_) => false,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Failure::Service { error, .. }
                if error.code.contains("AlreadyExists") || error.code.contains("Duplicate") =>
            {
                "AlreadyExists"
            }
            Failure::Service { error, .. } if error.status >= 500 => "ServiceInternalError",
            Failure::Service { error, .. } if error.code.contains("LimitExceeded") => "ServiceLimitExceeded",
            Failure::Service { .. } if self.is_absence() => "NotFound",
            Failure::Service { .. } => "InvalidRequest",
            Failure::Unfit(_) | Failure::Said(_) => "NotStabilized",
        }
    }

    /// The reason that the resource's event gives. `request` and `token` are ids.
    pub fn reason(&self, request: &str, token: &str) -> String {
        let code = self.code();
        let said = match self {
            Failure::Service { service, error } => {
                format!("{} (Service: {service}, Status Code: {}, Request ID: {request})", error.message, error.status)
            }
            Failure::Unfit(what) => what.clone(),
            Failure::Said(what) => return what.clone(),
        };
        format!("Resource handler returned message: \"{said}\" (RequestToken: {token}, HandlerErrorCode: {code})")
    }
}

/// Our services' names as AWS's messages write them.
const DISPLAY: [(&str, &str); 7] = [
    ("acm", "AWSCertificateManager"),
    ("ec2", "Ec2"),
    ("elbv2", "ElasticLoadBalancingV2"),
    ("autoscaling", "AutoScaling"),
    ("route53", "Route53"),
    ("cloudwatch", "CloudWatch"),
    ("ssm", "Ssm"),
];

impl Context<'_, '_> {
    /// Calls an operation.
    ///
    /// # Errors
    /// What the service says; the call has done nothing then.
    pub fn call(&mut self, service: &str, operation: &str, input: Value) -> Result<Value, Failure> {
        let display =
            DISPLAY.iter().find(|(name, _)| *name == service).map_or("CloudFormation", |(_, display)| display);
        let fail = |error| Failure::Service { service: display, error };
        if let Some(error) = (self.interrupt)(operation) {
            return Err(fail(error));
        }
        self.tx.call_json(service, operation, &input).map_err(fail)
    }

    /// Calls an EC2 operation.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn ec2(&mut self, operation: &str, input: Value) -> Result<Value, Failure> {
        self.call("ec2", operation, input)
    }

    /// The first item of a list that a Describe answers with; `None` where it finds nothing.
    ///
    /// # Errors
    /// What the service says, but for absence.
    pub fn find(&mut self, service: &str, operation: &str, input: Value, list: &str) -> Result<Option<Value>, Failure> {
        match self.call(service, operation, input) {
            Ok(output) => Ok(output.get(list).and_then(|items| items.get(0)).cloned()),
            Err(failure) if failure.is_absence() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// As [`Self::find`], for what must be there.
    ///
    /// # Errors
    /// What the service says, or that it is gone.
    pub fn get(&mut self, service: &str, operation: &str, input: Value, list: &str) -> Result<Value, Failure> {
        self.find(service, operation, input, list)?
            .ok_or_else(|| Failure::Unfit(format!("{} is gone: {operation} finds nothing", self.logical_id)))
    }

    /// All tags of the resource: the template's, the stack's, and the three that name stack and logical id.
    pub fn tags(&self, properties: &Value) -> BTreeMap<String, String> {
        let mut tags = self.stack_tags.clone();
        tags.extend(tags_of(properties));
        tags.insert("aws:cloudformation:stack-name".to_owned(), self.stack_name.to_owned());
        tags.insert("aws:cloudformation:stack-id".to_owned(), self.stack_id.to_owned());
        tags.insert("aws:cloudformation:logical-id".to_owned(), self.logical_id.to_owned());
        tags
    }

    /// The tags as most services take them: a list of `Key` and `Value`.
    pub fn tag_list(&self, properties: &Value) -> Value {
        list_of(&self.tags(properties))
    }

    /// The tags as EC2's create operations take them.
    pub fn tag_specifications(&self, resource_type: &str, properties: &Value) -> Value {
        json!([{"ResourceType": resource_type, "Tags": self.tag_list(properties)}])
    }

    /// Brings an EC2 resource's tags from the old properties' to the new ones'.
    ///
    /// # Errors
    /// What EC2 says.
    pub fn retag_ec2(&mut self, id: &str, old: &Value, new: &Value) -> Result<(), Failure> {
        let (set, removed) = tag_changes(old, new);
        if !set.is_empty() {
            self.ec2("CreateTags", json!({"Resources": [id], "Tags": list_of(&set)}))?;
        }
        if !removed.is_empty() {
            let keys: Vec<_> = removed.iter().map(|key| json!({"Key": key})).collect();
            self.ec2("DeleteTags", json!({"Resources": [id], "Tags": keys}))?;
        }
        Ok(())
    }

    /// A physical name that no other stack has: `stack-Logical-RANDOM`, of at most `longest` characters.
    pub fn name(&mut self, longest: usize) -> String {
        let random = ids::alphanumeric(12, self.tx.chance());
        let room = longest.saturating_sub(random.len() + 2);
        let (stack, logical) = (self.stack_name, self.logical_id);
        if stack.len() + logical.len() <= room {
            return format!("{stack}-{logical}-{random}");
        }
        // Both are shortened, the stack's name to at most half: names are ASCII by their patterns.
        let stack = &stack[..stack.len().min(room / 2)];
        let logical = &logical[..logical.len().min(room - stack.len())];
        format!("{}-{}-{random}", stack.trim_end_matches('-'), logical)
    }
}

/// The tags in a resource's `Tags` (or `HostedZoneTags`, or `HealthCheckTags`) property.
fn tags_of(properties: &Value) -> BTreeMap<String, String> {
    let list = properties.get("Tags").or_else(|| properties.get("HostedZoneTags"));
    let list = list.or_else(|| properties.get("HealthCheckTags"));
    match list {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|tag| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str()?.to_owned())))
            .collect(),
        Some(Value::Object(map)) => {
            map.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// Tags as a list.
pub fn list_of(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// The tags to set and the keys to remove, from old properties to new ones.
pub fn tag_changes(old: &Value, new: &Value) -> (BTreeMap<String, String>, Vec<String>) {
    let (old, new) = (tags_of(old), tags_of(new));
    let removed = old.keys().filter(|key| !new.contains_key(*key)).cloned().collect();
    (new.into_iter().filter(|(key, value)| old.get(key) != Some(value)).collect(), removed)
}

/// A text property; empty where it is absent.
pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The members of that name, as an object: for passing properties on by the names they have.
pub fn pick(properties: &Value, names: &[&str]) -> Map<String, Value> {
    names.iter().filter_map(|name| Some(((*name).to_owned(), properties.get(*name)?.clone()))).collect()
}

/// Whether the property differs.
pub fn differs(old: &Value, new: &Value, name: &str) -> bool {
    old.get(name) != new.get(name)
}

/// `Done` for deleting what is gone already, `Held` for what is still used.
///
/// # Errors
/// Any other failure.
pub fn deleted(result: Result<Value, Failure>) -> Result<super::Progress, Failure> {
    match result {
        Ok(_) => Ok(super::Progress::Done),
        Err(failure) if failure.is_absence() => Ok(super::Progress::Done),
        Err(failure) if failure.is_in_use() => Ok(super::Progress::Held(failure)),
        Err(failure) => Err(failure),
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Service { error, .. } => f.write_str(&error.message),
            Failure::Unfit(what) | Failure::Said(what) => f.write_str(what),
        }
    }
}
