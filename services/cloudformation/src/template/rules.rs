//! `Rules`: what parameters must be to each other, told before anything is made.
//!
//! Reference: "CloudFormation template Rules syntax", "Rule-specific intrinsic functions".

use serde_json::Value;

use super::Evaluator;
use super::error::TemplateError;
use super::expr::{self, Expr, ExprKind};
use super::model::Template;
use super::node::{Entry, Node};

/// A rule: assertions, and when they are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The condition under which its assertions must hold.
    pub condition: Option<Check>,
    /// What must hold, and what is said where it does not.
    pub assertions: Vec<(Check, Option<String>)>,
}

/// What a rule tests.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// `Fn::Equals`.
    Equals(Operand, Operand),
    /// `Fn::And`.
    And(Vec<Check>),
    /// `Fn::Or`.
    Or(Vec<Check>),
    /// `Fn::Not`.
    Not(Box<Check>),
    /// `Fn::Contains`: a list has a value.
    Contains(Operand, Operand),
    /// `Fn::EachMemberEquals`: every value of a list is one value.
    EachEquals(Operand, Operand),
    /// `Fn::EachMemberIn`: every value of a list is in another.
    EachIn(Operand, Operand),
}

/// What a check compares.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A value, as anywhere in a template.
    Value(Expr),
    /// `Fn::RefAll`: the values of all parameters of a type.
    RefAll(String),
}

impl Rule {
    /// Reads a rule.
    pub(super) fn read(entry: &Entry) -> Result<Rule, TemplateError> {
        let wrong = |node: &Node, what: &str| {
            TemplateError::at(node.at, format!("Template format error: Rule {}: {what}", entry.key))
        };
        let node = &entry.value;
        let members = node.map().ok_or_else(|| wrong(node, "must be an object"))?;
        if let Some(unknown) = members.iter().find(|member| !["RuleCondition", "Assertions"].contains(&&*member.key)) {
            return Err(TemplateError::at(unknown.at, format!("Invalid template rule property '{}'", unknown.key)));
        }
        let assertions = node.get("Assertions").ok_or_else(|| wrong(node, "Assertions must be defined"))?;
        let assertions = assertions.list().ok_or_else(|| wrong(assertions, "Assertions must be a list"))?;
        let assertions = assertions.iter().map(|assertion| {
            let test =
                assertion.get("Assert").ok_or_else(|| wrong(assertion, "every assertion must have an Assert"))?;
            let description = assertion.get("AssertDescription").and_then(Node::scalar);
            Ok((check(test)?, description))
        });
        Ok(Rule {
            condition: node.get("RuleCondition").map(check).transpose()?,
            assertions: assertions.collect::<Result<_, TemplateError>>()?,
        })
    }

    /// Calls `visit` with every value compared anywhere inside.
    pub fn walk(&self, visit: &mut dyn FnMut(&Expr)) {
        self.condition.iter().chain(self.assertions.iter().map(|(check, _)| check)).for_each(|check| check.walk(visit));
    }
}

fn check(node: &Node) -> Result<Check, TemplateError> {
    let wrong = |what: &str| TemplateError::at(node.at, format!("Template format error: Rules: {what}"));
    let [Entry { key, value: argument, .. }] = node.map().ok_or_else(|| wrong("a function must be used"))? else {
        return Err(wrong("one function must be used"));
    };
    let several = || -> Result<Vec<Check>, TemplateError> {
        argument.list().ok_or_else(|| wrong("a list of conditions must be given"))?.iter().map(check).collect()
    };
    let pair = || match argument.list() {
        Some([left, right]) => Ok((operand(left)?, operand(right)?)),
        _ => Err(wrong(&format!("{key} requires a list of two arguments"))),
    };
    match key.as_str() {
        "Fn::And" => Ok(Check::And(several()?)),
        "Fn::Or" => Ok(Check::Or(several()?)),
        "Fn::Not" => match several()?.pop() {
            Some(inner) => Ok(Check::Not(Box::new(inner))),
            None => Err(wrong("Fn::Not requires one condition")),
        },
        "Fn::Equals" => pair().map(|(left, right)| Check::Equals(left, right)),
        "Fn::Contains" => pair().map(|(list, value)| Check::Contains(list, value)),
        "Fn::EachMemberEquals" => pair().map(|(list, value)| Check::EachEquals(list, value)),
        "Fn::EachMemberIn" => pair().map(|(list, other)| Check::EachIn(list, other)),
        other => Err(wrong(&format!("{other} is not supported in Rules"))),
    }
}

fn operand(node: &Node) -> Result<Operand, TemplateError> {
    match node.map() {
        Some([Entry { key, value, .. }]) if key == "Fn::RefAll" => {
            let name = value.text().ok_or_else(|| {
                TemplateError::at(value.at, "Template format error: Rules: Fn::RefAll requires a parameter type")
            })?;
            Ok(Operand::RefAll(name.to_owned()))
        }
        Some([Entry { key, .. }]) if key == "Fn::ValueOf" || key == "Fn::ValueOfAll" => {
            Err(TemplateError::at(node.at, format!("Template format error: Rules: {key} is not supported")))
        }
        _ => expr::value(node).map(Operand::Value),
    }
}

impl Check {
    fn walk(&self, visit: &mut dyn FnMut(&Expr)) {
        let mut operand = |operand: &Operand| {
            if let Operand::Value(value) = operand {
                value.walk(visit);
            }
        };
        match self {
            Check::And(checks) | Check::Or(checks) => checks.iter().for_each(|check| check.walk(visit)),
            Check::Not(inner) => inner.walk(visit),
            Check::Equals(left, right)
            | Check::Contains(left, right)
            | Check::EachEquals(left, right)
            | Check::EachIn(left, right) => {
                operand(left);
                operand(right);
            }
        }
    }

    fn holds(&self, evaluator: &Evaluator<'_>) -> Result<bool, TemplateError> {
        let values = |operand: &Operand| values(operand, evaluator);
        Ok(match self {
            Check::And(checks) => {
                checks.iter().try_fold(true, |all, check| Ok::<_, TemplateError>(check.holds(evaluator)? && all))?
            }
            Check::Or(checks) => {
                checks.iter().try_fold(false, |any, check| Ok::<_, TemplateError>(check.holds(evaluator)? || any))?
            }
            Check::Not(inner) => !inner.holds(evaluator)?,
            Check::Equals(left, right) => values(left)? == values(right)?,
            Check::Contains(list, value) => {
                let list = values(list)?;
                values(value)?.iter().all(|value| list.contains(value))
            }
            Check::EachEquals(list, value) => {
                let value = values(value)?;
                values(list)?.iter().all(|member| value.first() == Some(member))
            }
            Check::EachIn(list, other) => {
                let other = values(other)?;
                values(list)?.iter().all(|member| other.contains(member))
            }
        })
    }
}

/// An operand as a list of texts; one value is a list of one.
fn values(operand: &Operand, evaluator: &Evaluator<'_>) -> Result<Vec<String>, TemplateError> {
    let flat = |value: Option<Value>| match value {
        Some(Value::Array(items)) => items.iter().filter_map(super::eval::scalar).collect::<Vec<String>>(),
        Some(value) => super::eval::scalar(&value).into_iter().collect(),
        None => Vec::new(),
    };
    match operand {
        Operand::Value(value) => evaluator.value(value).map(flat),
        Operand::RefAll(kind) => {
            let declared = evaluator.template.parameters.iter().filter(|(_, parameter)| parameter.type_name == *kind);
            Ok(declared.flat_map(|(name, _)| flat(evaluator.scope.parameter(name))).collect())
        }
    }
}

/// Checks a template's rules against the parameters.
///
/// # Errors
/// The first assertion that does not hold, in its own words.
pub fn hold(template: &Template, evaluator: &Evaluator<'_>) -> Result<(), TemplateError> {
    for (name, rule) in &template.rules {
        let applies = rule.condition.as_ref().map_or(Ok(true), |condition| condition.holds(evaluator))?;
        for (assertion, description) in rule.assertions.iter().filter(|_| applies) {
            if !assertion.holds(evaluator)? {
                let words = description.clone().unwrap_or_else(|| format!("an assertion of rule {name} does not hold"));
                return Err(TemplateError::new(format!("Template validation error: {words}")));
            }
        }
    }
    Ok(())
}

/// The first value of a rule that is none of a parameter's or written out: rules see nothing else.
pub(super) fn beyond_parameters(rule: &Rule, is_parameter: &dyn Fn(&str) -> bool) -> Option<TemplateError> {
    let mut found = None;
    rule.walk(&mut |value: &Expr| {
        let name = match &value.kind {
            ExprKind::Ref(name) if !is_parameter(name) => name,
            ExprKind::GetAtt(name, _) => name,
            _ => return,
        };
        found.get_or_insert_with(|| {
            TemplateError::at(
                value.at,
                format!("Template format error: Unresolved dependencies [{name}]. Cannot reference resources in the Rules block of the template"),
            )
        });
    });
    found
}
