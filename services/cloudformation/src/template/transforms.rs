//! `Transform`: what changes a template before it is read. `AWS::LanguageExtensions` is done here, on the tree of the text, so that every
//! node that comes of it still knows its place; all others are refused by name.
//!
//! Reference: "AWS::LanguageExtensions transform", "Fn::ForEach", and the attributes that it lets functions be in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::TemplateError;
use super::eval::{self, Evaluator, Scope, scalar};
use super::expr;
use super::model::Template;
use super::node::{Entry, Kind, Node, Position};

/// The one transform that there is here.
pub const LANGUAGE_EXTENSIONS: &str = "AWS::LanguageExtensions";
/// What a template's parameters and pseudo parameters come to, as far as is known.
pub type Values = BTreeMap<String, Value>;

/// How many nodes loops may make: far more than 500 resources need.
const MOST: usize = 200_000;
/// Bytes of texts and keys that they may make: what a template may have when all is done.
const MOST_TEXT: usize = 1024 * 1024;
const LOOP: &str = "Fn::ForEach::";

/// The transforms that a template declares.
///
/// # Errors
/// The first that is not done here.
pub fn declared(root: &Node) -> Result<Vec<String>, TemplateError> {
    let Some(node) = root.get("Transform") else { return Ok(Vec::new()) };
    let items = node.list().unwrap_or(std::slice::from_ref(node));
    items
        .iter()
        .map(|item| {
            let name = item.text().or_else(|| item.get("Name").and_then(Node::text)).ok_or_else(|| {
                TemplateError::at(
                    item.at,
                    "Template format error: Every Transform member must be the name of a transform.",
                )
            })?;
            refusal(name).map_or(Ok(name.to_owned()), |words| Err(TemplateError::at(item.at, words)))
        })
        .collect()
}

/// Why a transform is not done; `None` for the one that is.
pub fn refusal(name: &str) -> Option<String> {
    match name {
        LANGUAGE_EXTENSIONS => None,
        name if name.starts_with("AWS::") => Some(format!("Transform {name} is not supported: Zonal does not have it")),
        name => Some(format!("No transform named {name} found.")),
    }
}

/// A template's tree with its transforms done.
///
/// # Errors
/// A transform that is not done here, a function of the language extensions where they are not declared, or one of wrong form.
pub fn apply(root: Node, values: &Values) -> Result<Node, TemplateError> {
    if declared(&root)?.is_empty() {
        refuse_extensions(&root)?;
        return Ok(root);
    }
    let sections = root.map().into_iter().flatten();
    for section in sections.filter(|section| !["Conditions", "Outputs", "Resources"].contains(&section.key.as_str())) {
        refuse_loops(section)?;
    }
    let known = Template::without_resources(&root, false)?;
    let mut expansion = Expansion { template: known, values, made: 0, text: 0, names: BTreeSet::new() };
    let mut root = expansion.node(&root, &[])?;
    let resources = root.get("Resources").and_then(Node::map).unwrap_or_default();
    if let Some(twice) = resources.iter().find(|resource| expansion.names.contains(&resource.key)) {
        let words = format!("Template error: {LOOP}{}: a loop's name is the logical ID of a resource", twice.key);
        return Err(TemplateError::at(twice.at, words));
    }
    settle_policies(&mut root, values)?;
    Ok(root)
}

/// Refuses loops where none can be.
fn refuse_loops(entry: &Entry) -> Result<(), TemplateError> {
    if entry.key.starts_with(LOOP) {
        let words = "Template error: Fn::ForEach can only be used in Conditions, Outputs and Resources";
        return Err(TemplateError::at(entry.at, words));
    }
    let refuse_in = |node: &Node| node.map().into_iter().flatten().try_for_each(refuse_loops);
    refuse_in(&entry.value)?;
    entry.value.list().into_iter().flatten().try_for_each(refuse_in)
}

/// Refuses the functions that only the language extensions have.
fn refuse_extensions(node: &Node) -> Result<(), TemplateError> {
    match &node.kind {
        Kind::List(items) => items.iter().try_for_each(refuse_extensions),
        Kind::Map(entries) => entries.iter().try_for_each(|entry| {
            let name = entry.key.as_str();
            if name == "Fn::Length" || name == "Fn::ToJsonString" || name.starts_with(LOOP) {
                return Err(TemplateError::at(entry.at, expr::unsupported_function(name)));
            }
            let [.., last] = entry.value.list().filter(|_| name == "Fn::FindInMap").unwrap_or_default() else {
                return refuse_extensions(&entry.value);
            };
            if last.get("DefaultValue").is_some() {
                return Err(TemplateError::at(entry.value.at, format!("Template error: {}", expr::FIND_IN_MAP)));
            }
            refuse_extensions(&entry.value)
        }),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => Ok(()),
    }
}

/// Loops being worked off.
struct Expansion<'a> {
    /// The template's parameters and mappings.
    template: Template,
    values: &'a Values,
    made: usize,
    /// Bytes of it.
    text: usize,
    names: BTreeSet<String>,
}

/// A loop's identifier and its value in this turn.
type Bound = (String, String);

impl Expansion<'_> {
    fn node(&mut self, node: &Node, bound: &[Bound]) -> Result<Node, TemplateError> {
        if !bound.is_empty() {
            self.made += 1;
            if self.made > MOST {
                return Err(TemplateError::at(
                    node.at,
                    format!("Fn::ForEach makes more than {MOST} nodes of this template"),
                ));
            }
        }
        let kind = match &node.kind {
            Kind::Text(text) => Kind::Text(self.filled(text, bound, node.at)?),
            Kind::List(items) => Kind::List(items.iter().map(|item| self.node(item, bound)).collect::<Result<_, _>>()?),
            Kind::Map(entries) => match bound_reference(entries, bound) {
                Some(value) => Kind::Text(value.to_owned()),
                None => {
                    let mut entries = self.entries(entries, bound)?;
                    self.settle_names(&mut entries)?;
                    Kind::Map(entries)
                }
            },
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => node.kind.clone(),
        };
        Ok(Node { at: node.at, kind })
    }

    fn entries(&mut self, entries: &[Entry], bound: &[Bound]) -> Result<Vec<Entry>, TemplateError> {
        let mut out: Vec<Entry> = Vec::with_capacity(entries.len());
        for entry in entries {
            let made = if entry.key.starts_with(LOOP) {
                self.turns(entry, bound)?
            } else {
                let value = self.node(&entry.value, bound)?;
                vec![Entry { key: self.filled(&entry.key, bound, entry.at)?, at: entry.at, value }]
            };
            out.extend(made);
        }
        let mut keys = BTreeSet::new();
        match out.iter().find(|entry| !keys.insert(entry.key.as_str())) {
            None => Ok(out),
            Some(twice) => Err(TemplateError::at(
                twice.at,
                format!("Template format error: Duplicate key {} after Fn::ForEach", twice.key),
            )),
        }
    }

    /// A text with its identifiers filled in, if there is still room for it.
    fn filled(&mut self, text: &str, bound: &[Bound], at: Position) -> Result<String, TemplateError> {
        let text = filled(text, bound);
        if !bound.is_empty() {
            self.text += text.len();
            if self.text > MOST_TEXT {
                let words = format!("Fn::ForEach makes more than {MOST_TEXT} bytes of this template");
                return Err(TemplateError::at(at, words));
            }
        }
        Ok(text)
    }

    /// Settles functions that say what `Ref` and `Fn::GetAtt` are of.
    fn settle_names(&self, entries: &mut [Entry]) -> Result<(), TemplateError> {
        let [Entry { key, value, .. }] = entries else { return Ok(()) };
        let names = match (key.as_str(), &mut value.kind) {
            ("Ref", Kind::Map(_)) => std::slice::from_mut(value),
            ("Fn::GetAtt", Kind::List(names)) => names.as_mut_slice(),
            _ => return Ok(()),
        };
        for name in names.iter_mut().filter(|name| name.map().is_some()) {
            name.kind = Kind::Text(self.text(name, key)?);
        }
        Ok(())
    }

    /// What a function of parameters and mappings comes to.
    fn text(&self, node: &Node, function: &str) -> Result<String, TemplateError> {
        let conditions = BTreeMap::new();
        let scope = Known(self.values);
        let evaluator = Evaluator { template: &self.template, conditions: &conditions, scope: &scope };
        evaluator.text(&expr::value(node)?, function)
    }

    /// What a loop makes, turn by turn.
    fn turns(&mut self, entry: &Entry, bound: &[Bound]) -> Result<Vec<Entry>, TemplateError> {
        let wrong = |at: Position, what: &str| TemplateError::at(at, format!("Template error: {}: {what}", entry.key));
        let form = "every Fn::ForEach has three parameters, (1) an identifier, (2) a collection and (3) an object whose keys have the identifier";
        let Some([identifier, collection, fragment]) = entry.value.list() else {
            return Err(wrong(entry.value.at, form));
        };
        let (Some(identifier), Some(inside)) = (identifier.text(), fragment.map()) else {
            return Err(wrong(entry.value.at, form));
        };
        let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
        let name = filled(&entry.key[LOOP.len()..], bound);
        let fresh =
            !self.template.parameters.contains_key(identifier) && !bound.iter().any(|(name, _)| name == identifier);
        if !is_word(&name) || !is_word(identifier) || !fresh {
            let what = "loop names and identifiers are alphanumeric, and an identifier is no parameter's name and no outer identifier";
            return Err(wrong(entry.at, what));
        }
        // A loop inside another comes once in each of that one's turns.
        if !self.names.insert(name) && bound.is_empty() {
            return Err(wrong(entry.at, "loop names are unique in a template"));
        }
        let mut out = Vec::new();
        for item in self.collection(collection, bound)? {
            let mut bound = bound.to_vec();
            bound.push((identifier.to_owned(), item));
            for inner in inside {
                let names = |form: char| inner.key.contains(&format!("{form}{{{identifier}}}"));
                if !inner.key.starts_with(LOOP) && !names('$') && !names('&') {
                    return Err(wrong(inner.at, form));
                }
            }
            out.extend(self.entries(inside, &bound)?);
        }
        Ok(out)
    }

    /// The values that a loop runs over.
    fn collection(&mut self, node: &Node, bound: &[Bound]) -> Result<Vec<String>, TemplateError> {
        let node = self.node(node, bound)?;
        let conditions = BTreeMap::new();
        let scope = Known(self.values);
        let evaluator = Evaluator { template: &self.template, conditions: &conditions, scope: &scope };
        let value = evaluator.value(&expr::value(&node)?)?;
        let items: Option<Vec<String>> = match &value {
            Some(Value::Array(items)) => items.iter().map(scalar).collect(),
            _ => None,
        };
        items.ok_or_else(|| {
            TemplateError::at(node.at, "Template error: the collection of an Fn::ForEach must be a list of strings")
        })
    }
}

/// The value of a loop's identifier that a `Ref` names.
fn bound_reference<'b>(entries: &[Entry], bound: &'b [Bound]) -> Option<&'b str> {
    let [Entry { key, value, .. }] = entries else { return None };
    let name = value.text().filter(|_| key == "Ref")?;
    bound.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

/// A text with its identifiers filled in: `${X}` by the value, `&{X}` by its letters and digits.
fn filled(text: &str, bound: &[Bound]) -> String {
    bound.iter().fold(text.to_owned(), |text, (identifier, value)| {
        if !text.contains(identifier.as_str()) {
            return text;
        }
        let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
        text.replace(&format!("${{{identifier}}}"), value).replace(&format!("&{{{identifier}}}"), &plain)
    })
}

/// Settles the functions in `DeletionPolicy` and `UpdateReplacePolicy`.
fn settle_policies(root: &mut Node, values: &Values) -> Result<(), TemplateError> {
    let is_policy = |key: &str| key == "DeletionPolicy" || key == "UpdateReplacePolicy";
    let has_functions = |resource: &Node| {
        resource.map().into_iter().flatten().any(|entry| is_policy(&entry.key) && entry.value.map().is_some())
    };
    let resources = root.get("Resources").and_then(Node::map).unwrap_or_default();
    if !resources.iter().any(|entry| has_functions(&entry.value)) {
        return Ok(());
    }
    let template = Template::without_resources(root, true)?;
    let scope = Known(values);
    let conditions = eval::conditions(&template, &scope)?;
    let evaluator = Evaluator { template: &template, conditions: &conditions, scope: &scope };
    let Kind::Map(sections) = &mut root.kind else { return Ok(()) };
    let resources = sections.iter_mut().filter(|entry| entry.key == "Resources");
    for resource in resources.filter_map(|entry| entry.value.map_mut()).flatten() {
        for member in resource.value.map_mut().into_iter().flatten().filter(|member| is_policy(&member.key)) {
            if member.value.map().is_some() {
                let policy = evaluator.text(&expr::value(&member.value)?, &member.key)?;
                member.value.kind = Kind::Text(policy);
            }
        }
    }
    Ok(())
}

/// What values see before there are resources: parameters alone.
struct Known<'a>(&'a Values);

impl Known<'_> {
    fn too_early<T>(name: &str) -> Result<T, TemplateError> {
        Err(TemplateError::new(format!(
            "Template error: {name} can't be resolved by the {LANGUAGE_EXTENSIONS} transform: only parameters, mappings and conditions can"
        )))
    }
}

impl Scope for Known<'_> {
    fn parameter(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn reference(&self, logical_id: &str) -> Result<Value, TemplateError> {
        Self::too_early(logical_id)
    }

    fn attribute(&self, logical_id: &str, _: &str) -> Result<Value, TemplateError> {
        Self::too_early(logical_id)
    }

    fn import(&self, name: &str) -> Result<String, TemplateError> {
        Self::too_early(name)
    }

    fn zones(&self, region: &str) -> Result<Vec<String>, TemplateError> {
        Self::too_early(region)
    }
}
