//! A request that brings a template: the text found and checked, the parameters settled and looked up.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use zonal_cloud::Tx;

use crate::errors::Error;
use crate::model::{Deployment, Stack, TemplateText, values};
use crate::shapes;
use crate::template::parameters::{self, Existing, Given, split_list};
use crate::template::transforms::Values;
use crate::template::{ParameterType, Template, parse, validate};
use crate::types::Types;

/// What the requests that bring a template have in common.
pub struct Request<'a> {
    /// `TemplateBody`.
    pub body: Option<&'a str>,
    /// `TemplateURL`.
    pub url: Option<&'a str>,
    /// `UsePreviousTemplate`.
    pub previous: bool,
    /// `Parameters`.
    pub parameters: &'a [shapes::Parameter],
    /// `Capabilities`.
    pub capabilities: &'a [shapes::Capability],
    /// `Tags`; those of before where an update gives none.
    pub tags: &'a [shapes::Tag],
    /// `NotificationARNs`.
    pub notification_arns: &'a [String],
    /// `RoleARN`.
    pub role: Option<&'a str>,
    /// `ResourceTypes`: the only types that the template may have, all where there are none.
    pub resource_types: &'a [String],
}

/// A template with all that it takes to deploy it. Its text is not stored yet.
pub struct Prepared {
    /// The text.
    pub text: String,
    /// The template.
    pub template: Template,
    /// What it is deployed with; its text's number is not set yet.
    pub deployment: Deployment,
}

/// A template's text as a request gives it.
pub fn inline(body: Option<&str>, url: Option<&str>) -> Result<Option<String>, Error> {
    match (body, url) {
        (Some(_), Some(_)) => {
            Err(Error::validation("Either Template URL or Template Body must be specified, but not both."))
        }
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(Error::validation("TemplateURL must reference a valid S3 object to which you have access."))
        }
        (Some(body), None) if body.len() > parse::MAX_INLINE_BYTES => Err(Error::validation(format!(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {}",
            parse::MAX_INLINE_BYTES
        ))),
        (Some(body), None) => Ok(Some(body.to_owned())),
    }
}

/// Reads and checks a template; `values` are what its transforms see.
pub fn checked(text: &str, values: &Values) -> Result<Template, Error> {
    let template = Template::parse(text, values)?;
    validate(&template, &Types)?;
    Ok(template)
}

/// Prepares a request's deployment on a stack, or on a new one.
pub fn prepare(tx: &mut Tx<'_>, stack: Option<&Stack>, request: &Request<'_>) -> Result<Prepared, Error> {
    let current = stack.and_then(|stack| Some((stack, stack.current.as_ref()?)));
    let text = match (inline(request.body, request.url)?, current, request.previous) {
        (Some(text), _, false) => text,
        (None, Some((stack, current)), true) => {
            let stored = tx.get::<TemplateText>(&TemplateText::key_of(&stack.id, current.text));
            stored.map(|stored| stored.text.clone()).ok_or_else(|| Error::validation("the stack's template is gone"))?
        }
        (Some(_), _, true) => {
            return Err(Error::validation(
                "You cannot specify both usePreviousTemplate and Template Body/Template URL.",
            ));
        }
        _ => return Err(Error::validation("Either Template URL or Template Body must be specified.")),
    };
    // What a transform makes of it depends on the parameters; without one, the template is wrong before they are.
    let head = Template::head(&text)?;
    let transformed = !head.transforms.is_empty();
    let early = if transformed { None } else { Some(checked(&text, &Values::new())?) };
    let none = BTreeMap::new();
    let previous = current.map_or(&none, |(_, current)| &current.given);
    let given = parameters::resolve(&head.parameters, &given(request.parameters)?, previous)?;
    let resolved = look_up(tx, &head, &given)?;
    let template = match early {
        Some(template) => template,
        None => checked(&text, &values(&resolved, &tx.scope))?,
    };
    must_be_allowed(&template, request.resource_types)?;
    let secret =
        template.parameters.iter().filter(|(_, parameter)| parameter.no_echo).map(|(name, _)| name.clone()).collect();
    let tags = match current {
        Some((_, current)) if request.tags.is_empty() => current.tags.clone(),
        _ => super::tag_map(request.tags),
    };
    if let Some(key) = tags.keys().find(|key| key.starts_with("aws:")) {
        return Err(Error::validation(format!("Tags with the prefix 'aws:' are reserved: {key}")));
    }
    let deployment = Deployment {
        text: 0,
        description: template.description.clone(),
        given,
        resolved,
        secret,
        tags,
        capabilities: request.capabilities.iter().map(|capability| capability.as_str().to_owned()).collect(),
        notification_arns: request.notification_arns.to_vec(),
        role: request.role.map(str::to_owned),
    };
    Ok(Prepared { text, template, deployment })
}

/// Refuses resources of types that a request does not list; a `*` at the end of a listed name stands for any.
fn must_be_allowed(template: &Template, allowed: &[String]) -> Result<(), Error> {
    let fits = |type_name: &str| {
        allowed
            .iter()
            .any(|one| one == type_name || one.strip_suffix('*').is_some_and(|start| type_name.starts_with(start)))
    };
    match template.resources.values().find(|resource| !allowed.is_empty() && !fits(&resource.type_name)) {
        None => Ok(()),
        Some(resource) => Err(Error::validation(format!(
            "Resource type {} is not among the ResourceTypes of the request (at {})",
            resource.type_name, resource.type_at
        ))),
    }
}

/// Refuses a template with transforms that the caller has not acknowledged. Change sets need not: what comes of them is seen.
pub fn must_be_acknowledged(prepared: &Prepared, given: &[shapes::Capability]) -> Result<(), Error> {
    if prepared.template.transforms.is_empty() || given.contains(&shapes::Capability::CapabilityAutoExpand) {
        return Ok(());
    }
    Err(Error::Capabilities("Requires capabilities : [CAPABILITY_AUTO_EXPAND]".to_owned()))
}

/// Stores a prepared text as the stack's next one.
pub fn keep_text(tx: &mut Tx<'_>, stack: &mut Stack, prepared: &mut Prepared) {
    let number = stack.texts;
    stack.texts += 1;
    prepared.deployment.text = number;
    tx.put(TemplateText::new(&stack.id, number, prepared.text.clone()));
}

fn given(parameters: &[shapes::Parameter]) -> Result<BTreeMap<String, Given>, Error> {
    let mut given = BTreeMap::new();
    for parameter in parameters {
        let Some(key) = parameter.parameter_key.clone() else {
            return Err(Error::validation("Parameter values must have a ParameterKey"));
        };
        let value = match (&parameter.parameter_value, parameter.use_previous_value) {
            (Some(_), Some(true)) => {
                return Err(Error::validation(format!(
                    "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true and non empty value for a parameter"
                )));
            }
            (None, Some(true)) => Given::Previous,
            (Some(value), _) => Given::Value(value.clone()),
            (None, _) => {
                return Err(Error::validation(format!(
                    "Invalid input for parameter key {key}. Either UsePreviousValue or ParameterValue must be specified"
                )));
            }
        };
        if given.insert(key.clone(), value).is_some() {
            return Err(Error::validation(format!("Duplicate parameter key: {key}")));
        }
    }
    Ok(given)
}

/// What `Ref` of each parameter gives: SSM names looked up, ids seen to exist, lists split.
fn look_up(
    tx: &mut Tx<'_>,
    template: &Template,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, Error> {
    let names = |wanted: fn(&ParameterType) -> bool| -> Vec<&String> {
        given
            .iter()
            .filter(|(name, _)| template.parameters.get(*name).is_some_and(|parameter| wanted(&parameter.kind)))
            .map(|(_, value)| value)
            .collect()
    };
    let read = names(|kind| matches!(kind, ParameterType::Ssm(_)));
    let stored = fetch(tx, &names(|kind| matches!(kind, ParameterType::Ssm(_) | ParameterType::SsmName)))?;
    let sealed: Vec<&str> =
        read.iter().filter(|name| stored.get(**name).is_some_and(Option::is_none)).map(|name| name.as_str()).collect();
    if !sealed.is_empty() {
        return Err(Error::validation(format!(
            "Parameters [{}] referenced by template have types not supported by CloudFormation.",
            sealed.join(",")
        )));
    }
    let mut resolved = BTreeMap::new();
    for (name, value) in given {
        let kind = template.parameters.get(name).map_or(&ParameterType::String, |parameter| &parameter.kind);
        let (kind, value) = match kind {
            // `fetch` has answered for every name or failed.
            ParameterType::Ssm(inner) => (&**inner, stored.get(value).cloned().flatten().unwrap_or_default()),
            other => (other, value.clone()),
        };
        let items = if kind.is_list() { split_list(&value) } else { vec![value.clone()] };
        if let ParameterType::Existing(existing) | ParameterType::ExistingList(existing) = kind {
            items.iter().try_for_each(|item| must_exist(tx, *existing, name, item))?;
        }
        resolved.insert(name.clone(), if kind.is_list() { json!(items) } else { json!(value) });
    }
    Ok(resolved)
}

/// The values of parameters in Parameter Store; none of a secure one.
fn fetch(tx: &mut Tx<'_>, names: &[&String]) -> Result<BTreeMap<String, Option<String>>, Error> {
    let mut found = BTreeMap::new();
    let missing = |names: &[&str]| {
        Error::validation(format!(
            "Unable to fetch parameters [{}] from parameter store for this account.",
            names.join(",")
        ))
    };
    for chunk in names.chunks(10) {
        let all: Vec<&str> = chunk.iter().map(|name| name.as_str()).collect();
        let answer = tx.call_json("ssm", "GetParameters", &json!({"Names": all})).map_err(|_| missing(&all))?;
        for parameter in answer["Parameters"].as_array().into_iter().flatten() {
            if let (Some(name), Some(value)) = (parameter["Name"].as_str(), parameter["Value"].as_str()) {
                let open = parameter["Type"] != "SecureString";
                found.insert(name.to_owned(), open.then(|| value.to_owned()));
            }
        }
    }
    let unknown: Vec<&str> = names.iter().map(|name| name.as_str()).filter(|name| !found.contains_key(*name)).collect();
    if unknown.is_empty() { Ok(found) } else { Err(missing(&unknown)) }
}

fn must_exist(tx: &mut Tx<'_>, existing: Existing, name: &str, value: &str) -> Result<(), Error> {
    let (service, operation, input) = match existing {
        Existing::AvailabilityZone => ("ec2", "DescribeAvailabilityZones", json!({"ZoneNames": [value]})),
        Existing::Image => ("ec2", "DescribeImages", json!({"ImageIds": [value]})),
        Existing::Instance => ("ec2", "DescribeInstances", json!({"InstanceIds": [value]})),
        Existing::KeyPair => ("ec2", "DescribeKeyPairs", json!({"KeyNames": [value]})),
        Existing::SecurityGroupName => ("ec2", "DescribeSecurityGroups", json!({"GroupNames": [value]})),
        Existing::SecurityGroupId => ("ec2", "DescribeSecurityGroups", json!({"GroupIds": [value]})),
        Existing::Subnet => ("ec2", "DescribeSubnets", json!({"SubnetIds": [value]})),
        Existing::Volume => ("ec2", "DescribeVolumes", json!({"VolumeIds": [value]})),
        Existing::Vpc => ("ec2", "DescribeVpcs", json!({"VpcIds": [value]})),
        Existing::HostedZone => ("route53", "GetHostedZone", json!({"Id": value})),
    };
    tx.call_json(service, operation, &input).map(drop).map_err(|_| {
        Error::validation(format!(
            "Parameter validation failed: parameter value {value} for parameter name {name} does not exist"
        ))
    })
}
