//! Evaluation: a value, the world it sees, and what it comes to.

use std::collections::BTreeMap;

use base64::Engine as _;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::Value;

use super::error::TemplateError;
use super::expr::{Expr, ExprKind, SubPart, Test};
use super::model::Template;
use super::node::Position;

/// What stands for a value that is only known once its resource exists, as change sets show it.
pub const KNOWN_AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// What a value can refer to.
pub trait Scope {
    /// The value of a parameter or pseudo parameter: a string, or a list of strings. `None` for any other name.
    fn parameter(&self, name: &str) -> Option<Value>;
    /// What `Ref` of a resource gives.
    ///
    /// # Errors
    /// The resource does not exist (yet).
    fn reference(&self, logical_id: &str) -> Result<Value, TemplateError>;
    /// What `Fn::GetAtt` gives.
    ///
    /// # Errors
    /// The resource does not exist (yet), or has no such attribute.
    fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, TemplateError>;
    /// The value exported under a name in this account and region.
    ///
    /// # Errors
    /// `No export named … found.`
    fn import(&self, name: &str) -> Result<String, TemplateError>;
    /// The Availability Zones of a region that have a default subnet, in order; of the stack's own when empty.
    ///
    /// # Errors
    /// The region is unknown.
    fn zones(&self, region: &str) -> Result<Vec<String>, TemplateError>;
}

/// The truth of each of a template's conditions.
///
/// # Errors
/// A function in one of them fails; a circle among them.
pub fn conditions(template: &Template, scope: &dyn Scope) -> Result<BTreeMap<String, bool>, TemplateError> {
    let mut known = BTreeMap::new();
    while known.len() < template.conditions.len() {
        let before = known.len();
        for (name, test) in &template.conditions {
            if !known.contains_key(name) && test.named().iter().all(|(used, _)| known.contains_key(*used)) {
                let truth = Evaluator { template, conditions: &known, scope }.test(test)?;
                known.insert(name.clone(), truth);
            }
        }
        if known.len() == before {
            return Err(TemplateError::new("Template format error: Circular dependency between conditions"));
        }
    }
    Ok(known)
}

/// Evaluates the values of one template in one scope.
pub struct Evaluator<'a> {
    /// The template, for its mappings.
    pub template: &'a Template,
    /// Its conditions, from [`conditions`].
    pub conditions: &'a BTreeMap<String, bool>,
    /// What values see.
    pub scope: &'a dyn Scope,
}

impl Evaluator<'_> {
    /// Evaluates a value; `None` is `AWS::NoValue`, which removes what it is the value of.
    ///
    /// # Errors
    /// What the value refers to is missing, or a function can't take what it is given.
    pub fn value(&self, expr: &Expr) -> Result<Option<Value>, TemplateError> {
        let value = match &expr.kind {
            ExprKind::Literal(value) => value.clone(),
            ExprKind::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?;
                Value::Array(items.into_iter().flatten().collect())
            }
            ExprKind::Object(entries) => {
                let mut object = serde_json::Map::new();
                for (key, value) in entries {
                    if let Some(value) = self.value(value)? {
                        object.insert(key.clone(), value);
                    }
                }
                Value::Object(object)
            }
            ExprKind::Ref(name) if name == "AWS::NoValue" => return Ok(None),
            ExprKind::Ref(name) => match self.scope.parameter(name) {
                Some(value) => value,
                None => self.scope.reference(name)?,
            },
            ExprKind::GetAtt(id, attribute) => self.scope.attribute(id, attribute)?,
            ExprKind::Sub(parts) => Value::String(self.sub(parts)?),
            ExprKind::Join(delimiter, list) => self.join(delimiter, list)?,
            ExprKind::Select(index, list) => self.select(expr.at, index, list)?,
            ExprKind::Split(delimiter, text) => {
                let text = self.text(text, "Fn::Split")?;
                match text.contains(KNOWN_AFTER_APPLY) {
                    true => Value::String(KNOWN_AFTER_APPLY.to_owned()),
                    false => text.split(delimiter.as_str()).map(Value::from).collect(),
                }
            }
            ExprKind::FindInMap(names, default) => match (self.find_in_map(expr.at, names), default) {
                (Err(_), Some(default)) => return self.value(default),
                (found, _) => found?,
            },
            ExprKind::Length(list) => match self.list(list)? {
                Some(items) if items.len() == 1 && items[0] == KNOWN_AFTER_APPLY => items[0].clone(),
                Some(items) => items.len().into(),
                None => return Err(TemplateError::at(list.at, "Template error: Fn::Length requires a list")),
            },
            ExprKind::ToJsonString(inner) => Value::String(self.value(inner)?.unwrap_or_default().to_string()),
            ExprKind::If(condition, yes, no) => {
                let truth = self.conditions.get(condition).copied().ok_or_else(|| {
                    TemplateError::at(
                        expr.at,
                        format!("Template error: unresolved condition dependency {condition} in Fn::If"),
                    )
                })?;
                return self.value(if truth { yes } else { no });
            }
            ExprKind::Base64(text) => {
                let text = self.text(text, "Fn::Base64")?;
                match text.contains(KNOWN_AFTER_APPLY) {
                    true => Value::String(KNOWN_AFTER_APPLY.to_owned()),
                    false => Value::String(base64::engine::general_purpose::STANDARD.encode(text)),
                }
            }
            ExprKind::Cidr(block, count, bits) => self.cidr(expr.at, block, count, bits.as_deref())?,
            ExprKind::GetAzs(region) => {
                let region = self.text(region, "Fn::GetAZs")?;
                self.scope.zones(&region)?.into_iter().map(Value::from).collect()
            }
            ExprKind::ImportValue(name) => Value::String(self.scope.import(&self.text(name, "Fn::ImportValue")?)?),
        };
        Ok(Some(value))
    }

    /// Evaluates a value that must come to one scalar.
    ///
    /// # Errors
    /// As [`Self::value`]; a list, an object or nothing.
    pub fn text(&self, expr: &Expr, function: &str) -> Result<String, TemplateError> {
        self.value(expr)?.as_ref().and_then(scalar).ok_or_else(|| {
            TemplateError::at(
                expr.at,
                format!("Template error: every {function} object must have a String-typed value."),
            )
        })
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// A function in it fails.
    pub fn test(&self, test: &Test) -> Result<bool, TemplateError> {
        match test {
            Test::Equals(left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                Ok(match (left.as_ref().and_then(scalar), right.as_ref().and_then(scalar)) {
                    (Some(left), Some(right)) => left == right,
                    _ => left == right,
                })
            }
            Test::And(tests) => tests.iter().try_fold(true, |all, test| Ok(self.test(test)? && all)),
            Test::Or(tests) => tests.iter().try_fold(false, |any, test| Ok(self.test(test)? || any)),
            Test::Not(test) => Ok(!self.test(test)?),
            Test::Named(name, at) => self.conditions.get(name).copied().ok_or_else(|| {
                TemplateError::at(*at, format!("Template format error: Unresolved condition dependency {name} in the Conditions block of the template"))
            }),
        }
    }

    fn sub(&self, parts: &[SubPart]) -> Result<String, TemplateError> {
        let mut out = String::new();
        for part in parts {
            match part {
                SubPart::Text(text) => out.push_str(text),
                SubPart::Hole(value) => out.push_str(&self.text(value, "Fn::Sub")?),
            }
        }
        Ok(out)
    }

    fn list(&self, expr: &Expr) -> Result<Option<Vec<Value>>, TemplateError> {
        Ok(match self.value(expr)? {
            Some(Value::Array(items)) => Some(items),
            Some(Value::String(text)) if text == KNOWN_AFTER_APPLY => Some(vec![Value::String(text)]),
            _ => None,
        })
    }

    fn join(&self, delimiter: &str, list: &Expr) -> Result<Value, TemplateError> {
        let wrong = || {
            TemplateError::at(
                list.at,
                "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.",
            )
        };
        let items = self.list(list)?.ok_or_else(wrong)?;
        let texts: Vec<String> = items.iter().map(|item| scalar(item).ok_or_else(wrong)).collect::<Result<_, _>>()?;
        Ok(Value::String(texts.join(delimiter)))
    }

    fn select(&self, at: Position, index: &Expr, list: &Expr) -> Result<Value, TemplateError> {
        let index = self.text(index, "Fn::Select")?;
        let items = self.list(list)?.ok_or_else(|| {
            TemplateError::at(
                at,
                "Template error: Fn::Select requires a list argument with two elements: an integer index and a list",
            )
        })?;
        if items.len() == 1 && items[0] == KNOWN_AFTER_APPLY {
            return Ok(items[0].clone());
        }
        let found = index.trim().parse::<usize>().ok().and_then(|index| items.get(index));
        found.cloned().ok_or_else(|| {
            TemplateError::at(
                at,
                format!("Template error: Fn::Select cannot select nonexistent value at index {index}"),
            )
        })
    }

    fn find_in_map(&self, at: Position, [map, first, second]: &[Expr; 3]) -> Result<Value, TemplateError> {
        let map = self.text(map, "Fn::FindInMap")?;
        let (first, second) = (self.text(first, "Fn::FindInMap")?, self.text(second, "Fn::FindInMap")?);
        let known = self.template.mappings.get(&map).ok_or_else(|| {
            TemplateError::at(
                at,
                format!("Template error: Mapping named '{map}' is not present in the 'Mappings' section of template."),
            )
        })?;
        known.get(&first).and_then(|seconds| seconds.get(&second)).cloned().ok_or_else(|| {
            TemplateError::at(at, format!("Template error: Unable to get mapping for {map}::{first}::{second}"))
        })
    }

    fn cidr(&self, at: Position, block: &Expr, count: &Expr, bits: Option<&Expr>) -> Result<Value, TemplateError> {
        let block = self.text(block, "Fn::Cidr")?;
        let count = self.text(count, "Fn::Cidr")?;
        let bits = bits.map_or(Ok("8".to_owned()), |bits| self.text(bits, "Fn::Cidr"))?;
        if block.contains(KNOWN_AFTER_APPLY) {
            return Ok(Value::String(block));
        }
        blocks(&block, &count, &bits).map(|blocks| blocks.into_iter().map(Value::from).collect()).ok_or_else(|| {
            TemplateError::at(at, format!("Template error: every Fn::Cidr object requires an ip block that holds as many blocks as asked for; {block} does not hold {count} with {bits} host bits"))
        })
    }
}

/// A scalar as text; `None` for lists, objects and null.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The first `count` (1 to 256) blocks with `bits` host bits inside `block`.
fn blocks(block: &str, count: &str, bits: &str) -> Option<Vec<String>> {
    let block: IpNet = block.parse().ok()?;
    let count: usize = count.trim().parse().ok().filter(|count| (1..=256).contains(count))?;
    let bits: u8 = bits.trim().parse().ok()?;
    let prefix = block.max_prefix_len().checked_sub(bits).filter(|prefix| *prefix >= block.prefix_len())?;
    let blocks: Vec<String> = match block {
        IpNet::V4(block) => block.subnets(prefix).ok()?.take(count).map(|block: Ipv4Net| block.to_string()).collect(),
        IpNet::V6(block) => block.subnets(prefix).ok()?.take(count).map(|block: Ipv6Net| block.to_string()).collect(),
    };
    (blocks.len() == count).then_some(blocks)
}
