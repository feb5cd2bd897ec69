//! One file per noun, one handler per operation.

pub mod describe;
pub mod get;
pub mod labels;
pub mod put;
pub mod tags;

use crate::errors::{Error, invalid};
use crate::model::Parameter;
use crate::public::PREFIX;
use zonal_cloud::{Scope, View};

/// The name in a name or in an ARN of one's own account and region; nothing in any other's.
pub(crate) fn plain_name<'a>(scope: &Scope, given: &'a str) -> Option<&'a str> {
    if !given.starts_with("arn:") {
        return Some(given);
    }
    let name = given.strip_prefix(&scope.arn("ssm", "parameter/")).or_else(|| {
        // AWS's own are everybody's: no account has them.
        let public = format!("arn:aws:ssm:{}::parameter/", scope.region);
        given.strip_prefix(&public).filter(|name| name.starts_with(&PREFIX[1..]))
    })?;
    // A hierarchy's leading slash is the one that ends the ARN's fixed part.
    Some(if name.contains('/') { &given[given.len() - name.len() - 1..] } else { name })
}

/// The parameter of that name or ARN.
pub(crate) fn parameter<'a>(view: &View<'a>, given: &str) -> Option<&'a Parameter> {
    view.get(Parameter::key_of(plain_name(view.scope, given)?))
}

/// A parameter's ARN.
pub(crate) fn arn(scope: &Scope, name: &str) -> String {
    scope.arn("ssm", &format!("parameter/{}", name.strip_prefix('/').unwrap_or(name)))
}

/// Checks the name of a parameter to be made.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let inner = name.strip_prefix('/').unwrap_or(name);
    let lower = inner.to_ascii_lowercase();
    if lower.starts_with("aws") {
        return Err(Error::Reserved(name.to_owned()));
    }
    let characters =
        inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/'));
    if lower.starts_with("ssm") || inner.is_empty() || !characters {
        return Err(invalid(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of sub-paths \
             divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_",
        ));
    }
    if inner.contains('/') && !name.starts_with('/') {
        return Err(invalid("Parameter name must be a fully qualified name."));
    }
    if inner.split('/').any(str::is_empty) {
        return Err(invalid("Parameter name: sub-paths must not be empty."));
    }
    if inner.split('/').count() > 15 {
        return Err(Error::TooDeep);
    }
    if name.len() > 1011 {
        return Err(invalid("Parameter name: it can be at most 1011 characters long."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_of_plain_letters_that_are_not_awss() {
        let deep = "/a".repeat(16);
        for (name, fits) in [
            ("a", true),
            ("/a/b.c-d_e", true),
            ("a/b", false),
            ("/aws/x", false),
            ("AwsThing", false),
            ("ssm-x", false),
            ("/a//b", false),
            ("/a/", false),
            ("a b", false),
            ("", false),
            (deep.as_str(), false),
        ] {
            assert_eq!(check_name(name).is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn an_arn_names_its_parameter() {
        let scope = Scope::new("000000000000", "us-east-1");
        for name in ["plain", "/a/b"] {
            assert_eq!(plain_name(&scope, &arn(&scope, name)), Some(name));
            assert_eq!(plain_name(&scope, name), Some(name));
        }
    }
}
