//! Conditions of rules: as stored, from and to the wire.
//!
//! Source: Elastic Load Balancing API reference, `RuleCondition` and what it is made of; User Guide for Application Load Balancers,
//! "Condition types for listener rules" and "Quotas for your Application Load Balancers".

use crate::errors::{Error, invalid};
use crate::shapes::{
    HostHeaderConditionConfig, HttpHeaderConditionConfig, HttpRequestMethodConditionConfig, PathPatternConditionConfig,
    QueryStringConditionConfig, QueryStringKeyValuePair, RuleCondition, SourceIpConditionConfig,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Values in all conditions of a rule.
const VALUES: usize = 5;
/// Wildcards in all conditions of a rule.
const WILDCARDS: usize = 6;
/// What a path pattern is made of beside letters and digits.
const PATH: &[u8] = b"_-.$/~\"'@:+&*?";

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// `host-header`.
    HostHeader(Vec<String>),
    /// `path-pattern`.
    PathPattern(Vec<String>),
    /// `http-request-method`.
    Method(Vec<String>),
    /// `http-header`.
    Header {
        /// The header.
        name: String,
        /// Patterns.
        values: Vec<String>,
    },
    /// `query-string`: keys (or any) with values.
    Query(Vec<(Option<String>, String)>),
    /// `source-ip`: network and prefix length.
    SourceIp(Vec<(IpAddr, u8)>),
}

/// Reads a rule's conditions.
///
/// # Errors
/// A condition that the reference forbids, or too many values.
pub fn conditions_of(wire: &[RuleCondition]) -> Result<Vec<Condition>, Error> {
    if wire.is_empty() {
        return Err(invalid("A condition must be specified"));
    }
    let conditions = wire.iter().map(condition_of).collect::<Result<Vec<_>, _>>()?;
    let once = |is: fn(&Condition) -> bool| conditions.iter().filter(|c| is(c)).count() > 1;
    for (field, is) in [
        ("host-header", (|c: &Condition| matches!(c, Condition::HostHeader(_))) as fn(&Condition) -> bool),
        ("path-pattern", |c| matches!(c, Condition::PathPattern(_))),
        ("http-request-method", |c| matches!(c, Condition::Method(_))),
        ("source-ip", |c| matches!(c, Condition::SourceIp(_))),
    ] {
        if once(is) {
            return Err(invalid(format!("A rule can only have one '{field}' condition")));
        }
    }
    if conditions.iter().map(Condition::size).sum::<usize>() > VALUES {
        return Err(invalid(format!("A rule can only have '{VALUES}' condition values")));
    }
    if conditions.iter().map(Condition::wildcards).sum::<usize>() > WILDCARDS {
        return Err(invalid(format!("A rule can only have '{WILDCARDS}' condition wildcards")));
    }
    Ok(conditions)
}

fn condition_of(wire: &RuleCondition) -> Result<Condition, Error> {
    let field = wire.field.as_deref().filter(|field| !field.is_empty());
    let field = field.ok_or_else(|| invalid("A condition field must be specified"))?;
    let regex = !wire.regex_values.is_empty()
        || wire.host_header_config.as_ref().is_some_and(|c| !c.regex_values.is_empty())
        || wire.path_pattern_config.as_ref().is_some_and(|c| !c.regex_values.is_empty())
        || wire.http_header_config.as_ref().is_some_and(|c| !c.regex_values.is_empty());
    if regex {
        return Err(Error::Unsupported("regular expressions in rule conditions".into()));
    }
    Ok(match field {
        "host-header" => {
            let values = values(wire, field, wire.host_header_config.as_ref().map(|c| &c.values))?;
            check(field, &values, 128, |byte| byte.is_ascii_alphanumeric() || b"-.*?".contains(&byte))?;
            let whole = |host: &str| {
                let last = host.rsplit_once('.').map(|(_, last)| last);
                last.is_some_and(|last| !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_alphabetic()))
            };
            if let Some(bad) = values.iter().find(|value| !whole(value)) {
                return Err(invalid(format!(
                    "Condition value '{bad}' must have a '.' with nothing but letters after the last one"
                )));
            }
            Condition::HostHeader(values)
        }
        "path-pattern" => {
            let values = values(wire, field, wire.path_pattern_config.as_ref().map(|c| &c.values))?;
            check(field, &values, 128, |byte| byte.is_ascii_alphanumeric() || PATH.contains(&byte))?;
            if let Some(bad) = values.iter().find(|value| !value.starts_with(['/', '*'])) {
                return Err(invalid(format!("Path pattern '{bad}' must begin with '/'")));
            }
            Condition::PathPattern(values)
        }
        "http-request-method" => {
            let values = values(wire, field, wire.http_request_method_config.as_ref().map(|c| &c.values))?;
            check(field, &values, 40, |byte| byte.is_ascii_uppercase() || b"-_".contains(&byte))?;
            Condition::Method(values)
        }
        "http-header" => {
            let config = wire.http_header_config.as_ref();
            let name = config.and_then(|c| c.http_header_name.clone()).filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| invalid("A header name must be specified for the field 'http-header'"))?;
            check("http-header", std::slice::from_ref(&name), 40, |byte| {
                byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte)
            })?;
            if name.eq_ignore_ascii_case("host") {
                return Err(invalid("The header 'Host' must be specified by a condition of the field 'host-header'"));
            }
            let values = values(wire, field, config.map(|c| &c.values))?;
            check(field, &values, 128, |byte| (0x20..0x7f).contains(&byte))?;
            Condition::Header { name, values }
        }
        "query-string" => {
            let pairs = wire.query_string_config.as_ref().map(|c| c.values.as_slice()).unwrap_or_default();
            let pairs: Vec<_> = pairs.iter().map(|p| (p.key.clone(), p.value.clone().unwrap_or_default())).collect();
            if pairs.is_empty() {
                return Err(invalid("A condition value must be specified for the field 'query-string'"));
            }
            let texts: Vec<String> = pairs.iter().flat_map(|(key, value)| key.iter().chain([value])).cloned().collect();
            check(field, &texts, 128, |byte| (0x20..0x7f).contains(&byte))?;
            Condition::Query(pairs)
        }
        "source-ip" => {
            let values = values(wire, field, wire.source_ip_config.as_ref().map(|c| &c.values))?;
            Condition::SourceIp(values.iter().map(|value| network(value)).collect::<Result<_, _>>()?)
        }
        other => {
            return Err(invalid(format!(
                "Condition field '{other}' must be one of '[path-pattern, http-header, http-request-method, host-header, \
                 query-string, source-ip]'"
            )));
        }
    })
}

/// The values of a condition, from its own member or the older one that all share.
fn values(wire: &RuleCondition, field: &str, own: Option<&Vec<String>>) -> Result<Vec<String>, Error> {
    let own = own.filter(|own| !own.is_empty());
    if own.is_some_and(|own| !wire.values.is_empty() && wire.values != *own) {
        return Err(invalid(format!("Condition values of the field '{field}' were specified twice, and differ")));
    }
    let values = own.unwrap_or(&wire.values).clone();
    if values.is_empty() {
        return Err(invalid(format!("A condition value must be specified for the field '{field}'")));
    }
    Ok(values)
}

fn check(field: &str, values: &[String], longest: usize, is_allowed: impl Fn(u8) -> bool) -> Result<(), Error> {
    for value in values {
        if value.is_empty() {
            return Err(invalid(format!("Condition values of the field '{field}' cannot be empty")));
        }
        if value.len() > longest {
            return Err(invalid(format!("Condition value '{value}' cannot be longer than '{longest}' characters")));
        }
        if !value.bytes().all(&is_allowed) {
            return Err(invalid(format!(
                "Condition value '{value}' contains a character that is not valid for '{field}'"
            )));
        }
    }
    Ok(())
}

fn network(text: &str) -> Result<(IpAddr, u8), Error> {
    let parsed = text.split_once('/').and_then(|(address, length)| {
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        Some((address, length.parse().ok().filter(|length| *length <= most)?))
    });
    // Nobody's address, and refused by the guide's "Source IP address conditions".
    let parsed = parsed.filter(|(address, length)| (*address, *length) != (IpAddr::from([255; 4]), 32));
    parsed.ok_or_else(|| invalid(format!("The value '{text}' is not a valid CIDR block")))
}

impl Condition {
    /// How many wildcards it has. In a query string, one behind a `\` is none.
    fn wildcards(&self) -> usize {
        let is_wild = |byte: &u8| b"*?".contains(byte);
        let escapes = matches!(self, Self::Query(_));
        let of = |text: &str| {
            let escaped =
                text.as_bytes().windows(2).filter(|two| escapes && two[0] == b'\\' && is_wild(&two[1])).count();
            text.bytes().filter(is_wild).count() - escaped
        };
        self.patterns().into_iter().map(of).sum()
    }

    /// The texts in which wildcards stand for something.
    fn patterns(&self) -> Vec<&str> {
        match self {
            Self::HostHeader(values) | Self::PathPattern(values) | Self::Header { values, .. } => {
                values.iter().map(String::as_str).collect()
            }
            Self::Query(pairs) => {
                pairs.iter().flat_map(|(key, value)| key.iter().chain([value])).map(String::as_str).collect()
            }
            Self::Method(_) | Self::SourceIp(_) => Vec::new(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::HostHeader(values)
            | Self::PathPattern(values)
            | Self::Method(values)
            | Self::Header { values, .. } => values.len(),
            Self::Query(pairs) => pairs.len(),
            Self::SourceIp(networks) => networks.len(),
        }
    }

    /// As the wire shows it: the two oldest kinds also in the old member `Values`.
    #[must_use]
    pub fn wire(&self) -> RuleCondition {
        let base = RuleCondition::default();
        match self {
            Self::HostHeader(values) => RuleCondition {
                field: Some("host-header".into()),
                values: values.clone(),
                host_header_config: Some(HostHeaderConditionConfig { values: values.clone(), ..Default::default() }),
                ..base
            },
            Self::PathPattern(values) => RuleCondition {
                field: Some("path-pattern".into()),
                values: values.clone(),
                path_pattern_config: Some(PathPatternConditionConfig { values: values.clone(), ..Default::default() }),
                ..base
            },
            Self::Method(values) => RuleCondition {
                field: Some("http-request-method".into()),
                http_request_method_config: Some(HttpRequestMethodConditionConfig { values: values.clone() }),
                ..base
            },
            Self::Header { name, values } => RuleCondition {
                field: Some("http-header".into()),
                http_header_config: Some(HttpHeaderConditionConfig {
                    http_header_name: Some(name.clone()),
                    values: values.clone(),
                    ..Default::default()
                }),
                ..base
            },
            Self::Query(pairs) => RuleCondition {
                field: Some("query-string".into()),
                query_string_config: Some(QueryStringConditionConfig {
                    values: pairs
                        .iter()
                        .map(|(key, value)| QueryStringKeyValuePair { key: key.clone(), value: Some(value.clone()) })
                        .collect(),
                }),
                ..base
            },
            Self::SourceIp(networks) => RuleCondition {
                field: Some("source-ip".into()),
                source_ip_config: Some(SourceIpConditionConfig {
                    values: networks.iter().map(|(address, length)| format!("{address}/{length}")).collect(),
                }),
                ..base
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_survive_the_way_to_the_wire_and_back() {
        for condition in [
            Condition::HostHeader(vec!["*.example.com".into()]),
            Condition::PathPattern(vec!["/img/*".into()]),
            Condition::Method(vec!["GET".into()]),
            Condition::Header { name: "X-A".into(), values: vec!["b".into()] },
            Condition::Query(vec![(None, "v".into()), (Some("k".into()), "v".into())]),
            Condition::SourceIp(vec![([10, 0, 0, 0].into(), 8), ("2001:db8::".parse().unwrap(), 32)]),
        ] {
            assert_eq!(conditions_of(&[condition.wire()]), Ok(vec![condition]));
        }
    }

    #[test]
    fn a_rule_has_one_path_condition_and_five_values() {
        let path = |n: usize| Condition::PathPattern(vec!["/a".to_owned(); n]).wire();
        assert!(conditions_of(&[path(1), path(1)]).is_err());
        assert!(conditions_of(&[path(5)]).is_ok());
        assert!(conditions_of(&[path(6)]).is_err());
    }

    #[test]
    fn each_field_takes_what_its_kind_may_have() {
        let header = |name: &str| Condition::Header { name: name.into(), values: vec!["a".into()] };
        let query = |key: &str| Condition::Query(vec![(Some(key.to_owned()), "v".into())]);
        for bad in [
            Condition::PathPattern(vec!["/a b".into()]),
            Condition::PathPattern(vec![format!("/{}", "a".repeat(128))]),
            Condition::PathPattern(vec!["/*a*b*c*d*e*f?".into()]),
            Condition::PathPattern(vec!["/a;b=c".into()]),
            Condition::PathPattern(vec!["/a%20b".into()]),
            Condition::PathPattern(vec!["/{id}".into()]),
            Condition::HostHeader(vec!["a/b.example".into()]),
            Condition::HostHeader(vec!["a_b.example".into()]),
            Condition::HostHeader(vec!["localhost".into()]),
            Condition::HostHeader(vec!["a.b1".into()]),
            Condition::HostHeader(vec!["a.example.".into()]),
            Condition::HostHeader(vec!["example.*".into()]),
            Condition::Method(vec!["get".into()]),
            Condition::Method(vec![String::new()]),
            Condition::Method(vec!["GE*".into()]),
            Condition::Method(vec!["G".repeat(41)]),
            header(&"x".repeat(41)),
            header("Host"),
            header("x-*"),
            query("ä"),
        ] {
            assert!(conditions_of(&[bad.wire()]).is_err(), "{bad:?}");
        }
        for good in [
            Condition::PathPattern(vec!["/*a*b*c*d*e?".into()]),
            Condition::PathPattern(vec!["/_-.$/~\"'@:+&".into()]),
            Condition::HostHeader(vec!["*.Example.com".into()]),
            Condition::HostHeader(vec!["?-1.b1.example".into()]),
            Condition::Method(vec!["M-SEARCH".into()]),
            header("X-A_b"),
        ] {
            assert!(conditions_of(&[good.wire()]).is_ok(), "{good:?}");
        }
        for bad in ["10.0.0.0", "10.0.0.0/33", "2001:db8::/129", "a/8", "255.255.255.255/32"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wildcard_of_a_query_string_that_is_escaped_is_none() {
        let query = |value: &str| Condition::Query(vec![(None, value.into())]).wire();
        assert!(conditions_of(&[query(r"\*\*\*\*\*\*\*")]).is_ok());
        assert!(conditions_of(&[query("*a*a*a*a*a*a*")]).is_err());
        assert!(conditions_of(&[Condition::PathPattern(vec!["/*a*a*a*a*a*a*".into()]).wire()]).is_err());
    }

    #[test]
    fn values_can_stand_in_one_of_two_members_and_not_differ() {
        let both = |values: &[&str]| RuleCondition {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ..Condition::PathPattern(vec!["/b".into()]).wire()
        };
        assert!(conditions_of(&[both(&["/b"])]).is_ok());
        assert!(conditions_of(&[both(&["/a"])]).is_err());
    }
}
