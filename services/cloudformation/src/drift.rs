//! Drift: where what stands is no longer what the template says.
//!
//! Only what a template says is looked at, as on AWS: a member that it leaves out may be anything. Lists are compared as sets.
//!
//! Reference: "Detect unmanaged configuration changes to stacks and resources with drift detection", PropertyDifference.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zonal_cloud::Record;
use zonal_wire::Time;

use crate::model::text;
use crate::shapes::{DifferenceType, StackDriftStatus, StackResourceDriftStatus};
use crate::types::schema::{self, Property};

/// What a resource's last check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// How it is.
    #[serde(with = "text")]
    pub status: StackResourceDriftStatus,
    /// When that was.
    pub at: Time,
    /// The properties that the template says, as shown.
    pub expected: Value,
    /// The same of what stands.
    pub actual: Value,
    /// Where they differ.
    pub differences: Vec<Difference>,
}

/// Where a property differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// `/Tags/0/Value`, say.
    pub path: String,
    /// The template's value; null for what it does not have.
    pub expected: Value,
    /// The value that stands; null for what is gone.
    pub actual: Value,
}

impl Difference {
    /// What kind it is.
    pub fn kind(&self) -> DifferenceType {
        match (&self.expected, &self.actual) {
            (Value::Null, _) => DifferenceType::Add,
            (_, Value::Null) => DifferenceType::Remove,
            _ => DifferenceType::NotEqual,
        }
    }
}

/// A check of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Its id.
    pub id: String,
    /// The stack's id.
    pub stack: String,
    /// When it was.
    pub at: Time,
    /// What it found; none where it failed.
    #[serde(with = "text")]
    pub status: StackDriftStatus,
    /// How many resources have drifted.
    pub drifted: i32,
    /// Why some could not be checked.
    pub failure: Option<String>,
}

impl Record for Detection {
    const TABLE: &'static str = "cloudformation.drift_detection";

    fn key(&self) -> &str {
        &self.id
    }
}

/// Compares a thing's properties with what stands, both brought into the form of the type's table.
///
/// # Returns
/// Those of what stands that the template has too, and the differences.
pub fn compare(table: &'static [Property], expected: &Value, standing: &Value) -> (Value, Vec<Difference>) {
    let mut differences = Vec::new();
    let mut actual = Map::new();
    for property in table {
        let (Some(want), Some(has)) = (expected.get(property.name), standing.get(property.name)) else { continue };
        let has = only_known(&property.kind, has);
        let has = schema::form(&property.kind, property.name, &has).unwrap_or(has);
        let (want, has) = (plain(property.name, want), chosen(want, plain(property.name, &has)));
        differ(&format!("/{}", property.name), &want, &has, &mut differences);
        if !has.is_null() {
            actual.insert(property.name.to_owned(), has);
        }
    }
    (actual.into(), differences)
}

/// A value without members that its kind does not have.
fn only_known(kind: &schema::Kind, value: &Value) -> Value {
    match (kind, value) {
        (schema::Kind::List(item), Value::Array(items)) => items.iter().map(|value| only_known(item, value)).collect(),
        (schema::Kind::Object(table), Value::Object(members)) => {
            let known = members.iter().filter_map(|(name, value)| {
                let property = table.iter().find(|property| property.name == name)?;
                (!value.is_null()).then(|| (name.clone(), only_known(&property.kind, value)))
            });
            Value::Object(known.collect())
        }
        _ => value.clone(),
    }
}

/// Rules of security groups as they are compared: protocol -1 has no ports, and whose a group is says nothing more than its id.
fn plain(property: &str, value: &Value) -> Value {
    let (true, Value::Array(rules)) = (property.starts_with("SecurityGroup") && property.ends_with("gress"), value)
    else {
        return value.clone();
    };
    let plain = rules.iter().map(|rule| {
        let mut rule = rule.as_object().cloned().unwrap_or_default();
        let all = rule.get("IpProtocol").is_some_and(|protocol| protocol == "-1");
        rule.retain(|name, _| !(name.ends_with("OwnerId") || all && name.ends_with("Port")));
        Value::from(rule)
    });
    plain.collect()
}

/// Of lists of keyed values that a service always shows whole (attributes), those that the template has.
fn chosen(expected: &Value, actual: Value) -> Value {
    let keys = |value: &Value| -> Option<Vec<String>> {
        let items = value.as_array().filter(|items| !items.is_empty())?;
        items.iter().map(|item| item.get("Key").and_then(Value::as_str).map(str::to_owned)).collect()
    };
    let dotted = |keys: &[String]| keys.iter().all(|key| key.contains('.') && !key.starts_with("aws:"));
    match (keys(expected), keys(&actual)) {
        (Some(wanted), Some(found)) if dotted(&wanted) && dotted(&found) => {
            let items = actual.as_array().cloned().unwrap_or_default();
            items.into_iter().filter(|item| wanted.iter().any(|key| item["Key"] == key.as_str())).collect()
        }
        _ => actual,
    }
}

/// Whether a value that stands is all that the template's says.
pub fn meets(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            expected.iter().all(|(name, want)| actual.get(name).is_some_and(|has| meets(want, has)))
        }
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len() && pairs(expected, actual).iter().flatten().count() == expected.len()
        }
        (Value::Number(expected), Value::Number(actual)) => expected.as_f64() == actual.as_f64(),
        _ => expected == actual,
    }
}

/// Which item that stands each of the template's is met by: each by one of its own, and as many as can be. What says little may be met
/// by much, so an item gives its own up where it finds another.
fn pairs(expected: &[Value], actual: &[Value]) -> Vec<Option<usize>> {
    fn seek(at: usize, lists: (&[Value], &[Value]), tried: &mut BTreeSet<usize>, owners: &mut [Option<usize>]) -> bool {
        (0..lists.1.len()).any(|place| {
            let free = meets(&lists.0[at], &lists.1[place]) && tried.insert(place);
            let won = free && owners[place].is_none_or(|owner| seek(owner, lists, tried, owners));
            if won {
                owners[place] = Some(at);
            }
            won
        })
    }
    let mut owners = vec![None; actual.len()];
    for at in 0..expected.len() {
        seek(at, (expected, actual), &mut BTreeSet::new(), &mut owners);
    }
    (0..expected.len()).map(|at| owners.iter().position(|owner| *owner == Some(at))).collect()
}

fn differ(path: &str, expected: &Value, actual: &Value, out: &mut Vec<Difference>) {
    if meets(expected, actual) {
        return;
    }
    let difference = |path: String, expected: &Value, actual: &Value| Difference {
        path,
        expected: expected.clone(),
        actual: actual.clone(),
    };
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, want) in expected {
                differ(&format!("{path}/{name}"), want, actual.get(name).unwrap_or(&Value::Null), out);
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            let pairs = pairs(expected, actual);
            let mut left: Vec<(usize, &Value)> =
                actual.iter().enumerate().filter(|(place, _)| !pairs.contains(&Some(*place))).collect();
            for (at, want) in expected.iter().enumerate().filter(|(at, _)| pairs[*at].is_none()) {
                // What has the same key, or stands in the same place, is another value of the same.
                let same = |(place, has): &(usize, &Value)| match want.get("Key") {
                    Some(key) => has.get("Key") == Some(key),
                    None => *place == at,
                };
                match left.iter().position(same) {
                    Some(found) => differ(&format!("{path}/{at}"), want, left.remove(found).1, out),
                    None => out.push(difference(format!("{path}/{at}"), want, &Value::Null)),
                }
            }
            out.extend(left.into_iter().map(|(at, has)| difference(format!("{path}/{at}"), &Value::Null, has)));
        }
        _ => out.push(difference(path.to_owned(), expected, actual)),
    }
}

/// Tags as they are compared: without AWS's own, and without the stack's that the template does not give itself.
pub fn own_tags(expected: &Value, actual: &Value, stack_tags: &std::collections::BTreeMap<String, String>) -> Value {
    let given = |key: &str| expected.as_array().into_iter().flatten().any(|tag| tag["Key"] == key);
    let kept = actual.as_array().into_iter().flatten().filter(|tag| {
        let key = tag["Key"].as_str().unwrap_or_default();
        !key.starts_with("aws:") && (given(key) || !stack_tags.contains_key(key))
    });
    json!(kept.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: Value, actual: Value, paths: &[&str]) {
        let mut found = Vec::new();
        differ("", &expected, &actual, &mut found);
        let found: Vec<String> =
            found.iter().map(|difference| format!("{} {}", difference.kind(), difference.path)).collect();
        assert_eq!(found, paths, "{expected} {actual}");
    }

    #[test]
    fn what_the_template_leaves_out_may_be_anything() {
        check(json!({"a": 1}), json!({"a": 1, "b": 2}), &[]);
        check(json!({"a": {"b": 1}}), json!({"a": {"b": 2, "c": 3}}), &["NOT_EQUAL /a/b"]);
        check(json!({"a": 1}), json!({}), &["REMOVE /a"]);
        check(json!(5), json!(5.0), &[]);
    }

    #[test]
    fn lists_are_compared_as_sets_and_keyed_items_by_their_keys() {
        check(json!(["a", "b"]), json!(["b", "a"]), &[]);
        check(json!(["a", "b"]), json!(["b", "c"]), &["REMOVE /0", "ADD /1"]);
        check(json!(["a", "a"]), json!(["a", "b"]), &["NOT_EQUAL /1"]);
        check(json!([{"a": 1}, {"a": 1, "b": 2}]), json!([{"a": 1, "b": 2}, {"a": 1}]), &[]);
        check(json!(["a"]), json!(["a", "b"]), &["ADD /1"]);
        check(json!(["a", "b"]), json!(["b"]), &["REMOVE /0"]);
        let tag = |key: &str, value: &str| json!({"Key": key, "Value": value});
        check(json!([tag("a", "1"), tag("b", "2")]), json!([tag("b", "3"), tag("a", "1")]), &["NOT_EQUAL /1/Value"]);
    }

    #[test]
    fn the_stacks_tags_and_awss_are_no_drift() {
        let stack = [("team".to_owned(), "x".to_owned())].into();
        let tag = |key: &str| json!({"Key": key, "Value": "x"});
        let actual = json!([tag("aws:cloudformation:stack-name"), tag("team"), tag("other")]);
        assert_eq!(own_tags(&json!([]), &actual, &stack), json!([tag("other")]));
        assert_eq!(own_tags(&json!([tag("team")]), &actual, &stack), json!([tag("team"), tag("other")]));
    }
}
