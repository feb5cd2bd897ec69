//! Dynamic references: `{{resolve:ssm:NAME:VERSION}}` inside a property's text, looked up when the property is evaluated.
//!
//! Reference: "Get values stored in other services using dynamic references". There is no Secrets Manager: what refers to it
//! is refused by name. So is `{{resolve:ssm-secure:…}}`: AWS takes it in a few properties ("Resources that support dynamic
//! parameter patterns for secure strings"), and none of them is of a type that there is here.

use serde_json::Value;

const OPEN: &str = "{{resolve:";
const SECURE: &str = "{{resolve:ssm-secure:";

/// Whether a text refers to a secure string.
pub fn is_secure(text: &str) -> bool {
    text.contains(SECURE)
}

/// What gives a parameter's value, of a version if one is named.
pub type Stored<'s> = dyn FnMut(&str, Option<&str>) -> Result<String, String> + 's;

/// Why a text's dynamic references can't be; `None` where it has none, or only such as can.
pub fn refused(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        rest = &rest[start + OPEN.len()..];
        let service = rest.split([':', '}']).next().unwrap_or_default();
        if service != "ssm" {
            return Some(format!(
                "Template error: dynamic references to {service} ({{{{resolve:{service}:…}}}}) are not supported"
            ));
        }
    }
    None
}

/// Puts in a value's texts what their references name; `stored` gives a parameter's value, of a version if one is named.
///
/// # Errors
/// A reference to another service, of the wrong form, or what `stored` says.
pub fn resolve(value: Value, stored: &mut Stored<'_>) -> Result<Value, String> {
    match value {
        Value::String(text) if text.contains(OPEN) => texts(&text, stored).map(Value::String),
        Value::Array(items) => items.into_iter().map(|item| resolve(item, stored)).collect::<Result<_, _>>(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| Ok((name, resolve(value, stored)?))).collect::<Result<_, _>>()
        }
        other => Ok(other),
    }
}

fn texts(text: &str, stored: &mut Stored<'_>) -> Result<String, String> {
    if let Some(what) = refused(text) {
        return Err(what);
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(OPEN) {
        out.push_str(&rest[..start]);
        let inner = &rest[start + OPEN.len()..];
        let end = inner
            .find("}}")
            .ok_or_else(|| format!("Incorrect format is used in the following SSM reference: [{text}]"))?;
        let mut parts = inner[..end].split(':').skip(1);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), version, None) if !name.is_empty() => out.push_str(&stored(name, version)?),
            _ => {
                let reference = &inner[..end];
                return Err(format!(
                    "Incorrect format is used in the following SSM reference: [{OPEN}{reference}}}}}]"
                ));
            }
        }
        rest = &inner[end + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_replaced_wherever_they_stand_in_a_text() {
        let come =
            |value: Value| resolve(value, &mut |name, version| Ok(format!("<{name}@{}>", version.unwrap_or("latest"))));
        assert_eq!(
            come(json!({"a": ["x{{resolve:ssm:/p/q:3}}y{{resolve:ssm:r}}", 1], "b": "plain"})),
            Ok(json!({"a": ["x</p/q@3>y<r@latest>", 1], "b": "plain"}))
        );
        assert!(come(json!("{{resolve:secretsmanager:x}}")).is_err_and(|error| error.contains("secretsmanager")));
        assert!(come(json!("{{resolve:ssm:}}")).is_err_and(|error| error.starts_with("Incorrect format")));
        assert!(come(json!("{{resolve:ssm:x")).is_err());
    }
}
