//! Values with intrinsic functions in them: nodes checked and turned into one enum, so that evaluation has no shapes
//! left to doubt.
//!
//! The two contexts of AWS's reference ("Intrinsic function reference", "Condition functions") are two readers: a value
//! may use the value functions and `Fn::If`; a condition the boolean ones over a few value functions.

use super::error::TemplateError;
use super::node::{Entry, Kind, Node, Position};

/// The functions that have a short tag and a long form `Fn::…` (`Ref` and `Condition` are named without it).
pub(super) const FUNCTIONS: [&str; 15] = [
    "Base64",
    "GetAtt",
    "GetAZs",
    "ImportValue",
    "Join",
    "Split",
    "FindInMap",
    "Select",
    "Equals",
    "If",
    "Not",
    "And",
    "Or",
    "Sub",
    "Cidr",
];

/// A value of a template before evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// Where it is written.
    pub at: Position,
    /// What it is.
    pub kind: ExprKind,
}

/// What a value is. Where AWS wants a name written out, the name is here; where it takes a value, an [`Expr`].
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A scalar as written.
    Literal(serde_json::Value),
    /// A sequence.
    List(Vec<Expr>),
    /// A mapping, in the order written.
    Object(Vec<(String, Expr)>),
    /// `Ref`: a parameter, a pseudo parameter or a resource.
    Ref(String),
    /// `Fn::GetAtt`: a resource and one of its attributes.
    GetAtt(String, String),
    /// `Fn::Sub`: text with holes.
    Sub(Vec<SubPart>),
    /// `Fn::Join`: a delimiter and a list.
    Join(String, Box<Expr>),
    /// `Fn::Select`: an index and a list.
    Select(Box<Expr>, Box<Expr>),
    /// `Fn::Split`: a delimiter and a text.
    Split(String, Box<Expr>),
    /// `Fn::FindInMap`: a map's name and the two keys; with the language extensions what it gives where they lead nowhere.
    FindInMap(Box<[Expr; 3]>, Option<Box<Expr>>),
    /// `Fn::Length` of a list.
    Length(Box<Expr>),
    /// `Fn::ToJsonString`.
    ToJsonString(Box<Expr>),
    /// `Fn::If`: a condition's name and the two values.
    If(String, Box<Expr>, Box<Expr>),
    /// `Fn::Base64`.
    Base64(Box<Expr>),
    /// `Fn::Cidr`: a block, how many, and how many host bits (8 when absent).
    Cidr(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    /// `Fn::GetAZs`: a region; the stack's own where empty.
    GetAzs(Box<Expr>),
    /// `Fn::ImportValue`: an export's name.
    ImportValue(Box<Expr>),
}

/// A piece of a `Fn::Sub` text.
#[derive(Debug, Clone, PartialEq)]
pub enum SubPart {
    /// Text taken as it stands (`${!x}` is already `${x}` here).
    Text(String),
    /// A hole: the value that fills it.
    Hole(Expr),
}

/// A condition: what it takes to be true.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// `Fn::Equals`.
    Equals(Expr, Expr),
    /// `Fn::And`, two to ten tests.
    And(Vec<Test>),
    /// `Fn::Or`, two to ten tests.
    Or(Vec<Test>),
    /// `Fn::Not`.
    Not(Box<Test>),
    /// `Condition`: another condition by name.
    Named(String, Position),
}

/// What a lookup needs.
pub(super) const FIND_IN_MAP: &str =
    "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value";

/// The sentence for a function that CloudFormation does not know.
pub(super) fn unsupported_function(name: &str) -> String {
    let known: Vec<_> = FUNCTIONS.iter().map(|name| format!("Fn::{name}")).collect();
    format!(
        "Template error: Encountered unsupported function: {name} Supported functions are: [Ref, Condition, {}]",
        known.join(", ")
    )
}

/// Reads a value.
///
/// # Errors
/// A function that is unknown or whose arguments have the wrong form; a null.
pub fn value(node: &Node) -> Result<Expr, TemplateError> {
    let kind = match &node.kind {
        Kind::Null => return Err(TemplateError::at(node.at, "'null' values are not allowed in templates")),
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => ExprKind::Literal(node.to_json()),
        Kind::List(items) => ExprKind::List(items.iter().map(value).collect::<Result<_, _>>()?),
        Kind::Map(entries) => match function(node.at, entries)? {
            Some((name, argument)) => call(name, argument)?,
            None => ExprKind::Object(
                entries
                    .iter()
                    .map(|entry| Ok((entry.key.clone(), value(&entry.value)?)))
                    .collect::<Result<_, TemplateError>>()?,
            ),
        },
    };
    Ok(Expr { at: node.at, kind })
}

/// Reads a condition.
///
/// # Errors
/// Anything but a condition function with arguments of the right form.
pub fn test(node: &Node) -> Result<Test, TemplateError> {
    let wrong = || {
        TemplateError::at(
            node.at,
            "Template format error: Conditions can only be boolean operations on parameters and other conditions",
        )
    };
    let [Entry { key, value: argument, .. }] = node.map().ok_or_else(wrong)? else { return Err(wrong()) };
    let tests = |least: usize, most: usize, what: &str| -> Result<Vec<Test>, TemplateError> {
        let items = argument.list().filter(|items| (least..=most).contains(&items.len()));
        items
            .ok_or_else(|| {
                TemplateError::at(argument.at, format!("Template error: every {key} object requires {what}"))
            })?
            .iter()
            .map(test)
            .collect()
    };
    let several = "a list of at least 2 and at most 10 boolean parameters.";
    match key.as_str() {
        "Condition" => {
            let name = argument.text().ok_or_else(|| {
                TemplateError::at(argument.at, "Template format error: Every Condition member must be a string.")
            })?;
            Ok(Test::Named(name.to_owned(), argument.at))
        }
        "Fn::And" => Ok(Test::And(tests(2, 10, several)?)),
        "Fn::Or" => Ok(Test::Or(tests(2, 10, several)?)),
        "Fn::Not" => {
            let mut inner = tests(1, 1, "one boolean parameter.")?;
            inner.pop().map(|inner| Test::Not(Box::new(inner))).ok_or_else(wrong)
        }
        "Fn::Equals" => match argument.list() {
            Some([left, right]) => Ok(Test::Equals(value(left)?, value(right)?)),
            _ => Err(TemplateError::at(
                argument.at,
                "Template error: every Fn::Equals object requires a list of 2 string parameters.",
            )),
        },
        other if other.starts_with("Fn::") && !FUNCTIONS.iter().any(|name| *name == &other[4..]) => {
            Err(TemplateError::at(node.at, unsupported_function(other)))
        }
        _ => Err(wrong()),
    }
}

/// The function that a mapping calls, if it calls one.
fn function(at: Position, entries: &[Entry]) -> Result<Option<(&str, &Node)>, TemplateError> {
    let called = entries.iter().find(|entry| entry.key == "Ref" || entry.key.starts_with("Fn::"));
    match (called, entries) {
        (None, _) => Ok(None),
        (Some(entry), [_]) => Ok(Some((&entry.key, &entry.value))),
        (Some(entry), _) => {
            Err(TemplateError::at(at, format!("Template error: {} must be the only key of its object", entry.key)))
        }
    }
}

fn call(name: &str, argument: &Node) -> Result<ExprKind, TemplateError> {
    let fail = |message: &str| TemplateError::at(argument.at, format!("Template error: {message}"));
    let boxed = |node: &Node| value(node).map(Box::new);
    match name {
        "Ref" => match argument.text() {
            Some(name) if !name.is_empty() => Ok(ExprKind::Ref(name.to_owned())),
            _ => Err(fail("every Ref object must have a single String value.")),
        },
        "Fn::GetAtt" => get_att(argument),
        "Fn::Sub" => sub(argument),
        "Fn::Join" => match argument.list() {
            Some([delimiter, list]) if delimiter.scalar().is_some() => {
                Ok(ExprKind::Join(delimiter.scalar().unwrap_or_default(), boxed(list)?))
            }
            _ => Err(fail(
                "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.",
            )),
        },
        "Fn::Split" => match argument.list() {
            Some([delimiter, text]) if delimiter.scalar().is_some_and(|text| !text.is_empty()) => {
                Ok(ExprKind::Split(delimiter.scalar().unwrap_or_default(), boxed(text)?))
            }
            _ => Err(fail(
                "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.",
            )),
        },
        "Fn::Select" => match argument.list() {
            Some([index, list]) => Ok(ExprKind::Select(boxed(index)?, boxed(list)?)),
            _ => Err(fail("Fn::Select requires a list argument with two elements: an integer index and a list")),
        },
        "Fn::FindInMap" => match argument.list() {
            Some([map, first, second]) => {
                Ok(ExprKind::FindInMap(Box::new([value(map)?, value(first)?, value(second)?]), None))
            }
            Some([map, first, second, last]) if last.get("DefaultValue").is_some() => {
                let default = last.get("DefaultValue").map(boxed).transpose()?;
                Ok(ExprKind::FindInMap(Box::new([value(map)?, value(first)?, value(second)?]), default))
            }
            _ => Err(fail(FIND_IN_MAP)),
        },
        "Fn::If" => match argument.list() {
            Some([condition, yes, no]) => match condition.text() {
                Some(name) => Ok(ExprKind::If(name.to_owned(), boxed(yes)?, boxed(no)?)),
                None => Err(fail("Fn::If requires a list argument with the first element being a condition")),
            },
            _ => Err(fail("Fn::If requires a list argument with three elements")),
        },
        "Fn::Base64" => Ok(ExprKind::Base64(boxed(argument)?)),
        "Fn::Cidr" => match argument.list() {
            Some([block, count]) => Ok(ExprKind::Cidr(boxed(block)?, boxed(count)?, None)),
            Some([block, count, bits]) => Ok(ExprKind::Cidr(boxed(block)?, boxed(count)?, Some(boxed(bits)?))),
            _ => Err(fail(
                "every Fn::Cidr object requires two or three parameters, (1) an ip block, (2) a count and (3) the number of subnet bits",
            )),
        },
        // Where the language extensions are not declared, these two are refused before ([`super::transforms`]).
        "Fn::Length" => Ok(ExprKind::Length(boxed(argument)?)),
        "Fn::ToJsonString" if argument.list().is_some() || argument.map().is_some() => {
            Ok(ExprKind::ToJsonString(boxed(argument)?))
        }
        "Fn::ToJsonString" => Err(fail("every Fn::ToJsonString object requires an object or a list")),
        "Fn::GetAZs" => Ok(ExprKind::GetAzs(boxed(argument)?)),
        "Fn::ImportValue" => Ok(ExprKind::ImportValue(boxed(argument)?)),
        "Fn::Transform" => {
            let named = argument.get("Name").and_then(Node::text).unwrap_or_default();
            Err(fail(&format!(
                "Fn::Transform is not supported: {}",
                super::transforms::refusal(named).unwrap_or_default()
            )))
        }
        "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
            Err(fail(&format!("{name} is only allowed in the Conditions block of the template")))
        }
        other => Err(TemplateError::at(argument.at, unsupported_function(other))),
    }
}

fn get_att(argument: &Node) -> Result<ExprKind, TemplateError> {
    match (&argument.kind, argument.list()) {
        (Kind::Text(text), _) => match text.split_once('.') {
            Some((resource, attribute)) if !resource.is_empty() && !attribute.is_empty() => {
                Ok(ExprKind::GetAtt(resource.to_owned(), attribute.to_owned()))
            }
            _ => Err(TemplateError::at(
                argument.at,
                "Template error: if specifying one argument to Fn::GetAtt, that argument must be a non-empty string in format <LogicalId>.<Attribute>",
            )),
        },
        (_, Some([resource, attribute])) => match (resource.text(), attribute.text()) {
            (Some(resource), Some(attribute)) if !resource.is_empty() && !attribute.is_empty() => {
                Ok(ExprKind::GetAtt(resource.to_owned(), attribute.to_owned()))
            }
            _ => Err(get_att_form(argument.at)),
        },
        _ => Err(get_att_form(argument.at)),
    }
}

fn get_att_form(at: Position) -> TemplateError {
    TemplateError::at(
        at,
        "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute",
    )
}

fn sub(argument: &Node) -> Result<ExprKind, TemplateError> {
    let form = || {
        TemplateError::at(
            argument.at,
            "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string",
        )
    };
    let (text, own) = match argument.list() {
        None => (argument, &[][..]),
        Some([text, own]) => (text, own.map().ok_or_else(form)?),
        Some(_) => return Err(form()),
    };
    let (at, text) = (text.at, text.text().ok_or_else(form)?);
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        literal.push_str(&rest[..start]);
        rest = &rest[start + 2..];
        let Some(end) = rest.find('}') else {
            // An unclosed brace is text, as in a shell script that is cut short.
            literal.push_str("${");
            continue;
        };
        let name = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(kept) = name.strip_prefix('!') {
            literal.push_str(&format!("${{{kept}}}"));
            continue;
        }
        if !literal.is_empty() {
            parts.push(SubPart::Text(std::mem::take(&mut literal)));
        }
        parts.push(SubPart::Hole(hole(at, name.trim(), own)?));
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(SubPart::Text(literal));
    }
    Ok(ExprKind::Sub(parts))
}

fn hole(at: Position, name: &str, own: &[Entry]) -> Result<Expr, TemplateError> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':')) {
        return Err(TemplateError::at(
            at,
            "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons",
        ));
    }
    if let Some(entry) = own.iter().find(|entry| entry.key == name) {
        return value(&entry.value);
    }
    let kind = match name.split_once('.') {
        Some((resource, attribute)) => ExprKind::GetAtt(resource.to_owned(), attribute.to_owned()),
        None => ExprKind::Ref(name.to_owned()),
    };
    Ok(Expr { at, kind })
}

impl Expr {
    /// Calls `visit` with this value and every value inside it.
    pub fn walk(&self, visit: &mut dyn FnMut(&Expr)) {
        visit(self);
        let mut each = |inner: &Expr| inner.walk(visit);
        match &self.kind {
            ExprKind::Literal(_) | ExprKind::Ref(_) | ExprKind::GetAtt(..) => {}
            ExprKind::List(items) => items.iter().for_each(each),
            ExprKind::Object(entries) => entries.iter().for_each(|(_, value)| each(value)),
            ExprKind::Sub(parts) => {
                for part in parts {
                    if let SubPart::Hole(value) = part {
                        each(value);
                    }
                }
            }
            ExprKind::Join(_, inner)
            | ExprKind::Split(_, inner)
            | ExprKind::Base64(inner)
            | ExprKind::GetAzs(inner)
            | ExprKind::Length(inner)
            | ExprKind::ToJsonString(inner)
            | ExprKind::ImportValue(inner) => each(inner),
            ExprKind::Select(first, second) | ExprKind::If(_, first, second) => {
                each(first);
                each(second);
            }
            ExprKind::FindInMap(names, default) => names.iter().chain(default.as_deref()).for_each(each),
            ExprKind::Cidr(block, count, bits) => {
                each(block);
                each(count);
                if let Some(bits) = bits {
                    each(bits);
                }
            }
        }
    }
}

impl Test {
    /// Calls `visit` with every value compared anywhere inside.
    pub fn walk(&self, visit: &mut dyn FnMut(&Expr)) {
        match self {
            Test::Equals(left, right) => {
                left.walk(visit);
                right.walk(visit);
            }
            Test::And(tests) | Test::Or(tests) => tests.iter().for_each(|inner| inner.walk(visit)),
            Test::Not(inner) => inner.walk(visit),
            Test::Named(..) => {}
        }
    }

    /// The names of the conditions it uses, with their places.
    pub fn named(&self) -> Vec<(&str, Position)> {
        match self {
            Test::Equals(..) => Vec::new(),
            Test::And(tests) | Test::Or(tests) => tests.iter().flat_map(Test::named).collect(),
            Test::Not(inner) => inner.named(),
            Test::Named(name, at) => vec![(name, *at)],
        }
    }
}
