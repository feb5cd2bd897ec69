//! Filters of the Describe operations: which each has, and what of a resource they look at.
//!
//! Most names are paths into what is answered, written otherwise; so a filter looks at the answer itself, and can never see anything
//! else than the caller does. What is asked for often is given by the operations without making the answer first.

mod machines;
mod networks;

pub(super) use machines::*;
pub(super) use networks::*;

use super::tag_values;
use crate::errors::Error;
use crate::shapes;
use serde_json::Value;
use zonal_cloud::filters::{Filter, matches};
use zonal_cloud::tags::Tags;
use zonal_wire::{Structure, Time, value};

/// The filters that an operation has: a name, and the path in what is answered, lists on the way standing for each of their items. Times
/// have an `@` behind them. A filter without a path is one that the operation itself answers, or that nothing here has anything for.
pub(super) type Names = &'static [(&'static str, &'static str)];

/// The most values that one call's filters may have. Source: the code FilterLimitExceeded in "Error codes for the Amazon EC2 API".
const MAX_VALUES: usize = 200;

/// A request's filters, known to be the operation's.
pub(super) struct Filters {
    given: Vec<Filter>,
    names: Names,
}

impl Filters {
    pub(super) fn of(given: &[shapes::Filter], names: Names) -> Result<Self, Error> {
        let known = |name: &str| names.iter().any(|(own, _)| *own == name);
        let mut own = Vec::new();
        for filter in given {
            let name = filter.name.as_deref().unwrap_or("null");
            if !(known(name) || name.starts_with("tag:") && known("tag-key")) {
                return Err(Error::InvalidFilter(name.to_owned()));
            }
            own.push(Filter { name: name.to_owned(), values: filter.values.clone() });
        }
        if own.iter().map(|filter| filter.values.len()).sum::<usize>() > MAX_VALUES {
            let text = format!("The maximum number of filter values specified on a single call is {MAX_VALUES}");
            return Err(Error::Coded("FilterLimitExceeded", text));
        }
        Ok(Self { given: own, names })
    }

    /// Whether a resource passes them all. `quick` gives what it has under a name; where that gives nothing, `answer` is made and the
    /// name's path looked up in it.
    pub(super) fn pass(
        &self,
        tags: &Tags,
        quick: impl Fn(&str) -> Option<Vec<String>>,
        answer: impl Fn() -> Value,
    ) -> bool {
        let mut made = None;
        self.given.iter().all(|filter| {
            let own = tag_values(tags, &filter.name).or_else(|| quick(&filter.name)).unwrap_or_else(|| {
                let path = self.names.iter().find(|(name, _)| *name == filter.name).map_or("", |(_, path)| path);
                let mut own = Vec::new();
                if !path.is_empty() {
                    gather(made.get_or_insert_with(&answer), path, &mut own);
                }
                own
            });
            own.iter().any(|value| filter.values.iter().any(|pattern| matches(pattern, value)))
        })
    }

    /// The same for what has no tags and nothing that is given quicker.
    pub(super) fn pass_answer(&self, answer: &dyn Structure) -> bool {
        self.pass(&Tags::new(), |_| None, || value::to_json(answer))
    }
}

/// All values at a path, as filters write them.
fn gather(value: &Value, path: &str, into: &mut Vec<String>) {
    if let Value::Array(items) = value {
        items.iter().for_each(|item| gather(item, path, into));
        return;
    }
    if path.is_empty() || path == "@" {
        into.extend(match value {
            Value::String(text) if path == "@" => Time::parse(text).map(|time| time.iso8601_millis()),
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            _ => None,
        });
        return;
    }
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let (first, rest) = first.strip_suffix('@').map_or((first, rest), |first| (first, "@"));
    if let Some(inner) = value.get(first) {
        gather(inner, rest, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(value: &Value, path: &str) -> Vec<String> {
        let mut own = Vec::new();
        gather(value, path, &mut own);
        own
    }

    #[test]
    fn a_path_leads_through_lists_to_texts_numbers_flags_and_times() {
        let answer = json!({ "A": [{ "B": [{ "C": "x" }, { "C": 7 }] }, { "B": [{ "C": true }, {}] }],
            "T": "2026-11-24T16:00:00.123456Z" });
        assert_eq!(at(&answer, "A.B.C"), ["x", "7", "true"]);
        assert_eq!(at(&answer, "T@"), ["2026-11-24T16:00:00.123Z"]);
        assert!(at(&answer, "A.D").is_empty());
    }

    #[test]
    fn tags_filter_what_has_tags_only_and_no_name_is_made_up() {
        let filter = |name: &str| [shapes::Filter { name: Some(name.to_owned()), values: vec!["x".to_owned()] }];
        assert!(Filters::of(&filter("tag:Name"), VPCS).is_ok());
        assert!(Filters::of(&filter("tag:Name"), INSTANCE_TYPES).is_err());
        assert!(Filters::of(&filter("vpc-name"), VPCS).is_err());
    }

    #[test]
    fn more_than_two_hundred_values_are_too_many() {
        let filter = shapes::Filter { name: Some("vpc-id".to_owned()), values: vec!["x".to_owned(); 201] };
        assert_eq!(Filters::of(&[filter], VPCS).err().map(|error| error.code()), Some("FilterLimitExceeded"));
    }
}
