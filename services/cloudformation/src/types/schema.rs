//! What properties a resource type takes, what each is, and what changing it means: the table that templates are checked
//! against, values are brought into form by, and updates are planned from.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::template::eval::KNOWN_AFTER_APPLY;
use crate::template::expr::{Expr, ExprKind};
use crate::template::{Resource, TemplateError};

/// What a property's value is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A string; numbers and booleans are printed.
    Text,
    /// A number, also as a string.
    Number,
    /// A boolean, also as a string.
    Boolean,
    /// Anything: a policy document, a map.
    Json,
    /// A list.
    List(&'static Kind),
    /// An object with these members.
    Object(&'static [Property]),
}

/// What changing a property means (the "Update requires" line of the reference).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Update {
    /// "No interruption", "Some interruptions".
    InPlace,
    /// "Replacement".
    Replace,
}

/// A property of a resource type, or a member of an object.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What changing it means; of no matter in an object, whose own property decides.
    pub update: Update,
    /// Whether it must be there.
    pub required: bool,
}

impl Update {
    /// A property that is a string.
    pub const fn text(self, name: &'static str) -> Property {
        self.of(name, Kind::Text)
    }

    /// A property that is a number.
    pub const fn number(self, name: &'static str) -> Property {
        self.of(name, Kind::Number)
    }

    /// A property that is a boolean.
    pub const fn boolean(self, name: &'static str) -> Property {
        self.of(name, Kind::Boolean)
    }

    /// A property that is a list of strings.
    pub const fn texts(self, name: &'static str) -> Property {
        self.of(name, Kind::List(&Kind::Text))
    }

    /// A property that is an object.
    pub const fn object(self, name: &'static str, members: &'static [Property]) -> Property {
        self.of(name, Kind::Object(members))
    }

    /// A property of any kind.
    pub const fn of(self, name: &'static str, kind: Kind) -> Property {
        Property { name, kind, update: self, required: false }
    }
}

impl Property {
    /// The same property, required.
    pub const fn required(self) -> Property {
        Property { required: true, ..self }
    }
}

/// An object's member, for tables of objects.
pub const fn text(name: &'static str) -> Property {
    Update::InPlace.text(name)
}

/// A numeric member.
pub const fn number(name: &'static str) -> Property {
    Update::InPlace.number(name)
}

/// A boolean member.
pub const fn boolean(name: &'static str) -> Property {
    Update::InPlace.boolean(name)
}

/// `Tags`, as most types have them.
pub const TAGS: Property =
    Update::InPlace.of("Tags", Kind::List(&Kind::Object(&[text("Key").required(), text("Value").required()])));

/// Checks a resource's properties as written: that each is one of the table's, and, where it is written out, of its kind.
///
/// # Errors
/// The first property that is not.
pub fn check(table: &[Property], resource: &Resource) -> Result<(), TemplateError> {
    for (name, at, value) in &resource.properties {
        match table.iter().find(|property| property.name == name) {
            Some(property) => check_value(&property.kind, name, value)?,
            None => return Err(TemplateError::at(*at, format!("Encountered unsupported property {name}"))),
        }
    }
    match table
        .iter()
        .find(|property| property.required && !resource.properties.iter().any(|(name, ..)| name == property.name))
    {
        None => Ok(()),
        Some(missing) => Err(TemplateError::at(resource.at, missing_key("", missing.name))),
    }
}

/// Checks a value as written, as far as it is written out.
///
/// # Errors
/// It is not of that kind.
pub fn check_value(kind: &Kind, path: &str, value: &Expr) -> Result<(), TemplateError> {
    match (&value.kind, kind) {
        (ExprKind::If(_, yes, no), _) => {
            check_value(kind, path, yes)?;
            check_value(kind, path, no)
        }
        (ExprKind::Literal(literal), _) => {
            form(kind, path, literal).map(drop).map_err(|wrong| TemplateError::at(value.at, wrong))
        }
        (ExprKind::List(items), Kind::List(item)) => items.iter().try_for_each(|value| check_value(item, path, value)),
        (ExprKind::Object(members), Kind::Object(table)) => {
            for (name, inner) in members {
                match table.iter().find(|property| property.name == name) {
                    Some(property) => check_value(&property.kind, &format!("{path}/{name}"), inner)?,
                    None => {
                        return Err(TemplateError::at(inner.at, format!("Encountered unsupported property {name}")));
                    }
                }
            }
            match table
                .iter()
                .find(|property| property.required && !members.iter().any(|(name, _)| name == property.name))
            {
                None => Ok(()),
                Some(missing) => Err(TemplateError::at(value.at, missing_key(path, missing.name))),
            }
        }
        (ExprKind::List(_) | ExprKind::Object(_), Kind::Json) => Ok(()),
        (ExprKind::List(_) | ExprKind::Object(_), _) => Err(TemplateError::at(value.at, wrong_kind(kind, path))),
        // What a function gives is only known when it is evaluated.
        _ => Ok(()),
    }
}

fn missing_key(path: &str, name: &str) -> String {
    let path = if path.is_empty() { "#".to_owned() } else { format!("#/{path}") };
    format!("Properties validation failed with message: {path}: required key [{name}] not found")
}

fn wrong_kind(kind: &Kind, path: &str) -> String {
    let what = match kind {
        Kind::Text => "String",
        Kind::Number => "Number",
        Kind::Boolean => "Boolean",
        Kind::Json => "Json",
        Kind::List(Kind::Text) => "List of String",
        Kind::List(_) => "List",
        Kind::Object(_) => "Object",
    };
    format!("Value of property {path} must be of type {what}")
}

/// Brings an evaluated value into the form of its kind, so that `"80"` and `80` are the same value.
///
/// # Errors
/// The value is none of that kind.
pub fn form(kind: &Kind, path: &str, value: &Value) -> Result<Value, String> {
    let wrong = || wrong_kind(kind, path);
    match (kind, value) {
        (_, Value::String(text)) if text.contains(KNOWN_AFTER_APPLY) => Ok(value.clone()),
        (Kind::Json, _) => Ok(value.clone()),
        (Kind::Text, Value::String(_)) => Ok(value.clone()),
        (Kind::Text, Value::Number(number)) => Ok(Value::String(number.to_string())),
        (Kind::Text, Value::Bool(truth)) => Ok(Value::String(truth.to_string())),
        (Kind::Number, Value::Number(_)) => Ok(value.clone()),
        (Kind::Number, Value::String(text)) => text.trim().parse().map(Value::Number).map_err(|_| wrong()),
        (Kind::Boolean, Value::Bool(_)) => Ok(value.clone()),
        (Kind::Boolean, Value::String(text)) => text.to_ascii_lowercase().parse().map(Value::Bool).map_err(|_| wrong()),
        (Kind::List(item), Value::Array(items)) => {
            items.iter().map(|value| form(item, path, value)).collect::<Result<_, _>>().map(Value::Array)
        }
        (Kind::Object(table), Value::Object(members)) => {
            let known: BTreeMap<&str, &Property> = table.iter().map(|property| (property.name, property)).collect();
            let formed = members.iter().map(|(name, value)| {
                let property =
                    known.get(name.as_str()).ok_or_else(|| format!("Encountered unsupported property {name}"))?;
                Ok((name.clone(), form(&property.kind, &format!("{path}/{name}"), value)?))
            });
            let formed: serde_json::Map<_, _> = formed.collect::<Result<_, String>>()?;
            match table.iter().find(|property| property.required && !formed.contains_key(property.name)) {
                None => Ok(Value::Object(formed)),
                Some(missing) => Err(missing_key(path, missing.name)),
            }
        }
        _ => Err(wrong()),
    }
}

/// Brings all of a resource's evaluated properties into form.
///
/// # Errors
/// The first that is none of the table's, or not of its kind.
pub fn form_all(table: &'static [Property], properties: Value) -> Result<Value, String> {
    let Value::Object(members) = properties else { return Err("Any Properties member must be an object.".to_owned()) };
    let mut formed = serde_json::Map::new();
    for (name, value) in members {
        let property = table.iter().find(|property| property.name == name);
        let property = property.ok_or_else(|| format!("Encountered unsupported property {name}"))?;
        formed.insert(name.clone(), form(&property.kind, &name, &value)?);
    }
    match table.iter().find(|property| property.required && !formed.contains_key(property.name)) {
        None => Ok(Value::Object(formed)),
        Some(missing) => Err(missing_key("", missing.name)),
    }
}

/// The properties that differ.
pub fn changed<'t>(table: &'t [Property], old: &Value, new: &Value) -> Vec<&'t Property> {
    table.iter().filter(|property| old.get(property.name) != new.get(property.name)).collect()
}
