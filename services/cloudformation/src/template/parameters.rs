//! Parameters: what types there are, and whether a value fits.
//!
//! Reference: "CloudFormation template Parameters syntax" and its pages on AWS-specific and SSM parameter types.

use std::collections::BTreeMap;

use super::error::TemplateError;
use super::node::{Node, Position};

/// A parameter as declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Where it is declared.
    pub at: Position,
    /// Its type as written, for answers.
    pub type_name: String,
    /// Its type.
    pub kind: ParameterType,
    /// Its default.
    pub default: Option<String>,
    /// The values it may take, if listed.
    pub allowed_values: Vec<String>,
    /// The pattern that a value (each item, for lists) must match whole.
    pub allowed_pattern: Option<String>,
    /// The least and the greatest number.
    pub value_range: (Option<f64>, Option<f64>),
    /// The least and the greatest length in characters.
    pub length_range: (Option<usize>, Option<usize>),
    /// Whether answers show `****` in place of the value.
    pub no_echo: bool,
    /// What it is for.
    pub description: Option<String>,
    /// The sentence that replaces the constraint in an error.
    pub constraint_description: Option<String>,
}

/// The type of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterType {
    /// Text.
    String,
    /// A number, kept as it was written.
    Number,
    /// `List<Number>`.
    NumberList,
    /// `CommaDelimitedList`, `List<String>`.
    StringList,
    /// The name of an SSM parameter whose value is used, of the type inside.
    Ssm(Box<ParameterType>),
    /// `AWS::SSM::Parameter::Name`: the name itself, which must exist.
    SsmName,
    /// The id of something that must exist.
    Existing(Existing),
    /// `List<AWS::…>`.
    ExistingList(Existing),
}

/// What an AWS-specific parameter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is named as its type")]
pub enum Existing {
    AvailabilityZone,
    Image,
    Instance,
    KeyPair,
    SecurityGroupName,
    SecurityGroupId,
    Subnet,
    Volume,
    Vpc,
    HostedZone,
}

impl Existing {
    const NAMES: [(&'static str, Existing); 10] = [
        ("AWS::EC2::AvailabilityZone::Name", Existing::AvailabilityZone),
        ("AWS::EC2::Image::Id", Existing::Image),
        ("AWS::EC2::Instance::Id", Existing::Instance),
        ("AWS::EC2::KeyPair::KeyName", Existing::KeyPair),
        ("AWS::EC2::SecurityGroup::GroupName", Existing::SecurityGroupName),
        ("AWS::EC2::SecurityGroup::Id", Existing::SecurityGroupId),
        ("AWS::EC2::Subnet::Id", Existing::Subnet),
        ("AWS::EC2::Volume::Id", Existing::Volume),
        ("AWS::EC2::VPC::Id", Existing::Vpc),
        ("AWS::Route53::HostedZone::Id", Existing::HostedZone),
    ];

    fn named(name: &str) -> Option<Existing> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, existing)| *existing)
    }
}

impl ParameterType {
    /// The type of that name.
    pub fn named(name: &str) -> Option<ParameterType> {
        if let Some(inner) = name.strip_prefix("AWS::SSM::Parameter::Value<").and_then(|rest| rest.strip_suffix('>')) {
            let inner = ParameterType::named(inner)?;
            return (!matches!(inner, ParameterType::Ssm(_) | ParameterType::SsmName))
                .then(|| ParameterType::Ssm(Box::new(inner)));
        }
        if let Some(inner) = name.strip_prefix("List<").and_then(|rest| rest.strip_suffix('>')) {
            return match inner {
                "Number" => Some(ParameterType::NumberList),
                "String" => Some(ParameterType::StringList),
                other => Existing::named(other).map(ParameterType::ExistingList),
            };
        }
        match name {
            "String" => Some(ParameterType::String),
            "Number" => Some(ParameterType::Number),
            "CommaDelimitedList" => Some(ParameterType::StringList),
            "AWS::SSM::Parameter::Name" => Some(ParameterType::SsmName),
            other => Existing::named(other).map(ParameterType::Existing),
        }
    }

    /// Whether `Ref` gives a list.
    pub fn is_list(&self) -> bool {
        match self {
            ParameterType::NumberList | ParameterType::StringList | ParameterType::ExistingList(_) => true,
            ParameterType::Ssm(inner) => inner.is_list(),
            ParameterType::String | ParameterType::Number | ParameterType::SsmName | ParameterType::Existing(_) => {
                false
            }
        }
    }
}

/// The items of a list parameter's value: split at commas, space around them dropped.
pub fn split_list(value: &str) -> Vec<String> {
    value.split(',').map(|item| item.trim().to_owned()).collect()
}

impl Parameter {
    /// Reads the declaration of parameter `name`.
    pub(super) fn read(name: &str, node: &Node) -> Result<Parameter, TemplateError> {
        let at = node.at;
        let entries = node
            .map()
            .ok_or_else(|| TemplateError::at(at, "Template format error: Any Parameters member must be an object."))?;
        let text = |key: &str| node.get(key).map(|value| scalar(key, value)).transpose();
        let number = |key: &str| -> Result<Option<f64>, TemplateError> {
            text(key)?
                .map(|value| {
                    value.parse().map_err(|_| {
                        TemplateError::at(
                            at,
                            format!("Template format error: {key} of parameter {name} must be a number."),
                        )
                    })
                })
                .transpose()
        };
        let length = |key: &str| -> Result<Option<usize>, TemplateError> {
            text(key)?
                .map(|value| {
                    value.parse().map_err(|_| {
                        TemplateError::at(
                            at,
                            format!("Template format error: {key} of parameter {name} must be a number."),
                        )
                    })
                })
                .transpose()
        };
        for entry in entries {
            if !MEMBERS.contains(&entry.key.as_str()) {
                return Err(TemplateError::at(
                    entry.at,
                    format!("Invalid template parameter property '{}'", entry.key),
                ));
            }
        }
        let type_name = text("Type")?.ok_or_else(|| {
            TemplateError::at(at, "Template format error: Every Parameters object must contain a Type member.")
        })?;
        let kind = ParameterType::named(&type_name).ok_or_else(|| {
            TemplateError::at(at, format!("Template format error: Unrecognized parameter type: {type_name}"))
        })?;
        let allowed_values = match node.get("AllowedValues").map(|values| (values.at, values.list())) {
            None => Vec::new(),
            Some((_, Some(values))) => {
                values.iter().map(|value| scalar("AllowedValues", value)).collect::<Result<_, _>>()?
            }
            Some((at, None)) => {
                return Err(TemplateError::at(at, "Template format error: AllowedValues must be a list."));
            }
        };
        let parameter = Parameter {
            at,
            kind,
            default: text("Default")?,
            allowed_values,
            allowed_pattern: text("AllowedPattern")?,
            value_range: (number("MinValue")?, number("MaxValue")?),
            length_range: (length("MinLength")?, length("MaxLength")?),
            no_echo: text("NoEcho")?.is_some_and(|value| value.eq_ignore_ascii_case("true")),
            description: text("Description")?,
            constraint_description: text("ConstraintDescription")?,
            type_name,
        };
        if let Some(pattern) = &parameter.allowed_pattern {
            compile(pattern).map_err(|reason| {
                TemplateError::at(
                    at,
                    format!("Template format error: AllowedPattern of parameter {name} is not supported: {reason}"),
                )
            })?;
        }
        if let Some(default) = &parameter.default {
            parameter.check(name, default).map_err(|error| TemplateError::at(at, error.message))?;
        }
        Ok(parameter)
    }

    /// Whether a value as given (for SSM types: the name given) keeps the declared constraints.
    ///
    /// # Errors
    /// `Parameter 'x' must …`, or the declared constraint description.
    pub fn check(&self, name: &str, value: &str) -> Result<(), TemplateError> {
        let fail = |what: String| match &self.constraint_description {
            Some(description) => {
                TemplateError::new(format!("Parameter '{name}' failed to satisfy constraint: {description}"))
            }
            None => TemplateError::new(format!("Parameter '{name}' {what}")),
        };
        let items = if self.kind.is_list() { split_list(value) } else { vec![value.to_owned()] };
        for item in &items {
            self.check_item(name, item, &fail)?;
        }
        Ok(())
    }

    fn check_item(&self, name: &str, item: &str, fail: &dyn Fn(String) -> TemplateError) -> Result<(), TemplateError> {
        if !self.allowed_values.is_empty() && !self.allowed_values.iter().any(|allowed| allowed == item) {
            return Err(fail(format!("must be one of AllowedValues: [{}]", self.allowed_values.join(", "))));
        }
        if matches!(self.kind, ParameterType::Number | ParameterType::NumberList) {
            let number: f64 =
                item.trim().parse().map_err(|_| TemplateError::new(format!("Parameter '{name}' must be a number")))?;
            if let Some(least) = self.value_range.0.filter(|least| number < *least) {
                return Err(fail(format!("must be a number not less than {least}")));
            }
            if let Some(most) = self.value_range.1.filter(|most| number > *most) {
                return Err(fail(format!("must be a number not greater than {most}")));
            }
        }
        let length = item.chars().count();
        if let Some(least) = self.length_range.0.filter(|least| length < *least) {
            return Err(fail(format!("must contain at least {least} characters")));
        }
        if let Some(most) = self.length_range.1.filter(|most| length > *most) {
            return Err(fail(format!("must contain at most {most} characters")));
        }
        if let Some(pattern) = &self.allowed_pattern
            && !compile(pattern).is_ok_and(|compiled| compiled.is_match(item))
        {
            return Err(fail(format!("must match pattern {pattern}")));
        }
        Ok(())
    }
}

const MEMBERS: [&str; 11] = [
    "Type",
    "Default",
    "AllowedValues",
    "AllowedPattern",
    "MinValue",
    "MaxValue",
    "MinLength",
    "MaxLength",
    "NoEcho",
    "Description",
    "ConstraintDescription",
];

fn scalar(key: &str, node: &Node) -> Result<String, TemplateError> {
    node.scalar().ok_or_else(|| {
        TemplateError::at(node.at, format!("Template format error: Every {key} member must be a string."))
    })
}

/// Matching takes linear time, whatever the pattern; look-around and back-references are refused for it.
fn compile(pattern: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    regex_lite::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(1 << 20).build()
}

/// Where a parameter's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// `ParameterValue`.
    Value(String),
    /// `UsePreviousValue`.
    Previous,
}

/// The values that a request gives the parameters, defaults filled in, all checked.
///
/// # Errors
/// A parameter that the template does not have, one without a value, a value that does not fit.
pub fn resolve(
    declared: &BTreeMap<String, Parameter>,
    given: &BTreeMap<String, Given>,
    previous: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, TemplateError> {
    let unknown: Vec<&str> = given.keys().filter(|name| !declared.contains_key(*name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        return Err(TemplateError::new(format!("Parameters: [{}] do not exist in the template", unknown.join(", "))));
    }
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, parameter) in declared {
        let value = match given.get(name) {
            Some(Given::Value(value)) => Some(value.clone()),
            Some(Given::Previous) => match previous.get(name) {
                Some(value) => Some(value.clone()),
                None => {
                    return Err(TemplateError::new(format!(
                        "Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter key not in the previous template"
                    )));
                }
            },
            None => parameter.default.clone(),
        };
        match value {
            Some(value) => {
                parameter.check(name, &value)?;
                values.insert(name.clone(), value);
            }
            None => missing.push(name.as_str()),
        }
    }
    if missing.is_empty() {
        return Ok(values);
    }
    Err(TemplateError::new(format!("Parameters: [{}] must have values", missing.join(", "))))
}
