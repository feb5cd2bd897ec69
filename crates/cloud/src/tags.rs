//! Tags: limits and checks that most services share.

use std::collections::BTreeMap;

/// A resource's tags, by key.
pub type Tags = BTreeMap<String, String>;

/// Why tags are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// A key of AWS's own.
    #[error("Tag keys starting with 'aws:' are reserved for internal use")]
    Reserved(String),
    /// A key that is empty or longer than 128 characters.
    #[error("Tag key exceeds the maximum length of 128 characters or is empty")]
    KeyLength(String),
    /// A value longer than 256 characters.
    #[error("Tag value exceeds the maximum length of 256 characters")]
    ValueLength(String),
    /// More than 50 tags of the user's.
    #[error("The maximum of 50 tags per resource was exceeded")]
    TooMany,
    /// A key given twice in one call.
    #[error("Duplicate tag key '{0}' specified")]
    Duplicate(String),
}

/// Adds tags to those that a resource has. A service may set keys that begin with `aws:`.
///
/// # Errors
/// The first that is refused; nothing is added then.
pub fn merge(
    tags: &mut Tags,
    new: impl IntoIterator<Item = (String, String)>,
    by_service: bool,
) -> Result<(), TagError> {
    let mut merged = tags.clone();
    let mut seen = std::collections::BTreeSet::new();
    for (key, value) in new {
        if !by_service && key.to_ascii_lowercase().starts_with("aws:") {
            return Err(TagError::Reserved(key));
        }
        if key.is_empty() || key.chars().count() > 128 {
            return Err(TagError::KeyLength(key));
        }
        if value.chars().count() > 256 {
            return Err(TagError::ValueLength(key));
        }
        if !seen.insert(key.clone()) {
            return Err(TagError::Duplicate(key));
        }
        merged.insert(key, value);
    }
    if merged.keys().filter(|key| !key.starts_with("aws:")).count() > 50 {
        return Err(TagError::TooMany);
    }
    *tags = merged;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str) -> (String, String) {
        (key.to_owned(), "v".to_owned())
    }

    #[test]
    fn reserved_keys_are_for_services_only() {
        let mut tags = Tags::new();
        assert_eq!(merge(&mut tags, [pair("aws:x")], false), Err(TagError::Reserved("aws:x".into())));
        assert_eq!(merge(&mut tags, [pair("aws:x")], true), Ok(()));
    }

    #[test]
    fn a_refused_call_adds_nothing() {
        let mut tags = Tags::new();
        assert!(merge(&mut tags, [pair("a"), pair("a")], false).is_err());
        assert!(merge(&mut tags, (0..51).map(|i| pair(&i.to_string())), false).is_err());
        assert!(tags.is_empty());
    }
}
