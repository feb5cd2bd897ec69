//! Stack policies: which updates of which resources a stack allows.
//!
//! Reference: "Prevent updates to stack resources" in the CloudFormation user guide. Without a policy every update is
//! allowed; with one, what no statement allows is denied, and a `Deny` outweighs any `Allow`.

use serde_json::Value;

/// What an update does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is changed in place.
    Modify,
    /// Another takes its place.
    Replace,
    /// It goes.
    Delete,
}

impl Act {
    fn name(self) -> &'static str {
        match self {
            Act::Modify => "Update:Modify",
            Act::Replace => "Update:Replace",
            Act::Delete => "Update:Delete",
        }
    }
}

/// Whether a text is a policy.
pub fn is_valid(text: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(text) else { return false };
    let statements = statements(&policy);
    !statements.is_empty()
        && statements.iter().all(|statement| {
            let effect = ["Allow", "Deny"].iter().any(|effect| statement["Effect"] == *effect);
            let actions = texts(&statement["Action"]);
            let known = ["Update:Modify", "Update:Replace", "Update:Delete", "Update:*"];
            let actions_known = !actions.is_empty() && actions.iter().all(|action| known.contains(action));
            let resources = texts(&statement["Resource"]).len() + texts(&statement["NotResource"]).len();
            effect && actions_known && resources > 0
        })
}

/// Why a policy denies an act on a resource; `None` where it does not.
pub fn denial(text: &str, act: Act, logical_id: &str, type_name: &str) -> Option<String> {
    let policy: Value = serde_json::from_str(text).ok()?;
    let applies = |statement: &&Value| {
        let action = texts(&statement["Action"]).iter().any(|action| matches(action, act.name()));
        action && names(statement, logical_id) && holds(&statement["Condition"], type_name)
    };
    let all = statements(&policy);
    let denied = all.iter().any(|statement| statement["Effect"] == "Deny" && applies(statement));
    let allowed = all.iter().any(|statement| statement["Effect"] == "Allow" && applies(statement));
    (denied || !allowed).then(|| {
        format!(
            "Action denied by stack policy: {} is not allowed for resource [LogicalResourceId/{logical_id}]",
            act.name()
        )
    })
}

fn statements(policy: &Value) -> Vec<&Value> {
    match &policy["Statement"] {
        Value::Array(all) => all.iter().collect(),
        Value::Object(_) => vec![&policy["Statement"]],
        _ => Vec::new(),
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one],
        _ => Vec::new(),
    }
}

fn names(statement: &Value, logical_id: &str) -> bool {
    let is = |pattern: &&str| {
        **pattern == *"*"
            || pattern.strip_prefix("LogicalResourceId/").is_some_and(|pattern| matches(pattern, logical_id))
    };
    match statement.get("NotResource") {
        Some(others) => !texts(others).iter().any(is),
        None => texts(&statement["Resource"]).iter().any(is),
    }
}

fn holds(condition: &Value, type_name: &str) -> bool {
    let wanted = |operator: &str| condition[operator].get("ResourceType").map(texts);
    let equals = wanted("StringEquals").is_none_or(|types| types.contains(&type_name));
    let like = wanted("StringLike").is_none_or(|types| types.iter().any(|pattern| matches(pattern, type_name)));
    equals && like
}

/// Whether a text is what a pattern with `*` describes.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_statement_allows_is_denied_and_a_denial_outweighs() {
        let policy = r#"{"Statement": [
            {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": ["Update:Replace", "Update:Delete"], "Principal": "*", "Resource": "LogicalResourceId/Db*"},
            {"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "*",
             "Condition": {"StringLike": {"ResourceType": ["AWS::Route53::*"]}}}]}"#;
        assert!(is_valid(policy));
        let denied = |act, id, kind| denial(policy, act, id, kind).is_some();
        assert!(!denied(Act::Modify, "Db1", "AWS::EC2::VPC"));
        assert!(denied(Act::Replace, "Db1", "AWS::EC2::VPC"));
        assert!(!denied(Act::Delete, "ADb", "AWS::EC2::VPC"));
        assert!(denied(Act::Modify, "Zone", "AWS::Route53::HostedZone"));
        let only = r#"{"Statement": {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "NotResource": "LogicalResourceId/A"}}"#;
        assert!(denial(only, Act::Modify, "A", "T").is_some() && denial(only, Act::Modify, "B", "T").is_none());
    }

    #[test]
    fn a_policy_has_statements_with_known_effects_and_actions() {
        for wrong in [
            "",
            "{}",
            r#"{"Statement": []}"#,
            r#"{"Statement": [{"Effect": "Allow", "Action": "Update:All", "Resource": "*"}]}"#,
        ] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }
}
