//! Actions of listeners and rules: as stored, from and to the wire. Source: Elastic Load Balancing API reference, `Action`.

use crate::errors::{Error, invalid};
use crate::shapes::{
    Action as WireAction, ActionTypeEnum, FixedResponseActionConfig, ForwardActionConfig, RedirectActionConfig,
    RedirectActionStatusCodeEnum, TargetGroupStickinessConfig, TargetGroupTuple,
};
use serde::{Deserialize, Serialize};

/// What is done with a request, and its place among its fellows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// `Order`, where it was given.
    pub order: Option<i32>,
    /// What is done.
    pub act: Act,
}

/// What is done with a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Act {
    /// To one of these groups.
    Forward {
        /// Target groups' ARNs with their weights, 0 to 999.
        groups: Vec<(String, u32)>,
        /// Seconds that a client stays with its group, where that is enabled.
        sticky: Option<i32>,
    },
    /// To another address.
    Redirect(Redirect),
    /// An answer of the balancer's own.
    Fixed {
        /// 2xx, 4xx or 5xx.
        status: u16,
        /// One of five.
        content_type: Option<String>,
        /// At most 1,024 characters.
        body: Option<String>,
    },
}

/// The parts of the address redirected to, with their placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// `HTTP`, `HTTPS` or `#{protocol}`.
    pub protocol: String,
    /// Host name.
    pub host: String,
    /// Number or `#{port}`.
    pub port: String,
    /// With its leading slash.
    pub path: String,
    /// Without its question mark.
    pub query: String,
    /// 301 rather than 302.
    pub permanent: bool,
}

const CONTENT_TYPES: [&str; 5] = ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];

/// Reads the actions of a listener or rule: exactly one that ends the request, as there is no plane for authentication.
///
/// # Errors
/// An action that the reference forbids, or that Zonal has no plane for.
pub fn action_of(wire: &[WireAction]) -> Result<Action, Error> {
    match wire {
        [] => Err(invalid("You must specify at least one action")),
        [one] => Ok(Action { order: one.order, act: act_of(one)? }),
        _ => {
            // What needs authentication is refused by its own name first.
            wire.iter().try_for_each(|action| act_of(action).map(drop))?;
            Err(Error::InvalidAction(
                "You can specify only one of the following action types: forward, redirect, fixed-response".into(),
            ))
        }
    }
}

fn act_of(wire: &WireAction) -> Result<Act, Error> {
    match wire.type_ {
        ActionTypeEnum::Forward => forward_of(wire),
        ActionTypeEnum::Redirect => {
            let config = wire.redirect_config.as_ref();
            redirect_of(
                config.ok_or_else(|| {
                    invalid("A redirect configuration must be specified for actions of type 'redirect'")
                })?,
            )
        }
        ActionTypeEnum::FixedResponse => {
            let config = wire.fixed_response_config.as_ref();
            fixed_of(config.ok_or_else(|| {
                invalid("A fixed response configuration must be specified for actions of type 'fixed-response'")
            })?)
        }
        other => Err(Error::Unsupported(format!("actions of type '{other}'"))),
    }
}

fn forward_of(wire: &WireAction) -> Result<Act, Error> {
    let config = wire.forward_config.clone().unwrap_or_default();
    let mut groups: Vec<(String, u32)> = Vec::new();
    for tuple in &config.target_groups {
        let arn = tuple.target_group_arn.clone().ok_or_else(|| invalid("A target group ARN must be specified"))?;
        let weight = tuple.weight.unwrap_or(1);
        let weight = u32::try_from(weight).ok().filter(|weight| *weight <= 999);
        groups.push((arn, weight.ok_or_else(|| invalid("Weights must be between 0 and 999"))?));
    }
    match (&wire.target_group_arn, groups.as_slice()) {
        (Some(arn), []) => groups.push((arn.clone(), 1)),
        (Some(arn), [(only, _)]) if only == arn => {}
        (Some(_), _) => {
            return Err(Error::InvalidAction(
                "You cannot specify both a target group ARN and a list of target groups unless they are the same"
                    .into(),
            ));
        }
        (None, []) => return Err(invalid("A target group ARN must be specified for actions of type 'forward'")),
        (None, _) => {}
    }
    if groups.len() > 5 {
        return Err(Error::TooMany {
            what: "TooManyTargetGroups",
            text: "The maximum number of target groups per action is '5'".into(),
        });
    }
    let sticky = match &config.target_group_stickiness_config {
        Some(TargetGroupStickinessConfig { enabled: Some(true), duration_seconds }) => {
            let seconds = duration_seconds.filter(|seconds| (1..=604_800).contains(seconds));
            Some(
                seconds
                    .ok_or_else(|| invalid("Target group stickiness duration must be between 1 and 604800 seconds"))?,
            )
        }
        _ => None,
    };
    Ok(Act::Forward { groups, sticky })
}

fn redirect_of(wire: &RedirectActionConfig) -> Result<Act, Error> {
    let part = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
    let redirect = Redirect {
        protocol: part(&wire.protocol, "#{protocol}"),
        host: part(&wire.host, "#{host}"),
        port: part(&wire.port, "#{port}"),
        path: part(&wire.path, "/#{path}"),
        query: part(&wire.query, "#{query}"),
        permanent: wire.status_code == RedirectActionStatusCodeEnum::Http301,
    };
    if !["HTTP", "HTTPS", "#{protocol}"].contains(&redirect.protocol.as_str()) {
        return Err(invalid(format!("The redirect protocol '{}' is not valid", redirect.protocol)));
    }
    if redirect.port != "#{port}" && !redirect.port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(invalid(format!("The redirect port '{}' is not valid", redirect.port)));
    }
    for (part, text, allowed) in [
        ("host", &redirect.host, &["host"][..]),
        ("path", &redirect.path, &["host", "port", "path"]),
        ("query", &redirect.query, &["protocol", "host", "port", "path", "query"]),
    ] {
        if let Some(keyword) = text.split("#{").skip(1).find(|rest| !allowed.iter().any(|word| is_keyword(rest, word)))
        {
            let keyword = keyword.split_inclusive('}').next().unwrap_or_default();
            return Err(Error::InvalidAction(format!("The redirect {part} cannot contain '#{{{keyword}'")));
        }
    }
    if !redirect.path.starts_with('/') {
        return Err(invalid("The redirect path must start with '/'"));
    }
    let unchanged = redirect.protocol == "#{protocol}"
        && redirect.host == "#{host}"
        && redirect.port == "#{port}"
        && redirect.path == "/#{path}";
    if unchanged {
        return Err(Error::InvalidAction("The redirect configuration is not valid because it creates a loop.".into()));
    }
    Ok(Act::Redirect(redirect))
}

/// Whether what follows `#{` is this keyword, whole.
fn is_keyword(rest: &str, word: &str) -> bool {
    rest.strip_prefix(word).is_some_and(|rest| rest.starts_with('}'))
}

fn fixed_of(wire: &FixedResponseActionConfig) -> Result<Act, Error> {
    let status = wire.status_code.parse::<u16>().ok().filter(|status| matches!(status / 100, 2 | 4 | 5));
    let status =
        status.ok_or_else(|| invalid(format!("The fixed response status code '{}' is not valid", wire.status_code)))?;
    if let Some(given) = wire.content_type.as_deref().filter(|given| !CONTENT_TYPES.contains(given)) {
        return Err(invalid(format!("The fixed response content type '{given}' is not valid")));
    }
    if wire.message_body.as_ref().is_some_and(|body| body.len() > 1024) {
        return Err(invalid("The fixed response message body cannot be longer than 1024 characters"));
    }
    Ok(Act::Fixed { status, content_type: wire.content_type.clone(), body: wire.message_body.clone() })
}

impl Action {
    /// The target groups that it forwards to.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        match &self.act {
            Act::Forward { groups, .. } => groups.as_slice(),
            _ => &[],
        }
        .iter()
        .map(|(arn, _)| arn.as_str())
    }

    /// As the wire shows it.
    #[must_use]
    pub fn wire(&self) -> WireAction {
        let base = WireAction { order: self.order, ..WireAction::default() };
        match &self.act {
            Act::Forward { groups, sticky } => WireAction {
                type_: ActionTypeEnum::Forward,
                target_group_arn: match groups.as_slice() {
                    [(only, _)] => Some(only.clone()),
                    _ => None,
                },
                forward_config: Some(ForwardActionConfig {
                    target_groups: groups
                        .iter()
                        .map(|(arn, weight)| TargetGroupTuple {
                            target_group_arn: Some(arn.clone()),
                            // At most 999.
                            weight: i32::try_from(*weight).ok(),
                        })
                        .collect(),
                    target_group_stickiness_config: Some(TargetGroupStickinessConfig {
                        enabled: Some(sticky.is_some()),
                        duration_seconds: *sticky,
                    }),
                }),
                ..base
            },
            Act::Redirect(redirect) => WireAction {
                type_: ActionTypeEnum::Redirect,
                redirect_config: Some(RedirectActionConfig {
                    protocol: Some(redirect.protocol.clone()),
                    host: Some(redirect.host.clone()),
                    port: Some(redirect.port.clone()),
                    path: Some(redirect.path.clone()),
                    query: Some(redirect.query.clone()),
                    status_code: if redirect.permanent {
                        RedirectActionStatusCodeEnum::Http301
                    } else {
                        RedirectActionStatusCodeEnum::Http302
                    },
                }),
                ..base
            },
            Act::Fixed { status, content_type, body } => WireAction {
                type_: ActionTypeEnum::FixedResponse,
                fixed_response_config: Some(FixedResponseActionConfig {
                    message_body: body.clone(),
                    status_code: status.to_string(),
                    content_type: content_type.clone(),
                }),
                ..base
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(arn: &str) -> WireAction {
        WireAction { type_: ActionTypeEnum::Forward, target_group_arn: Some(arn.into()), ..Default::default() }
    }

    #[test]
    fn a_forward_to_one_group_is_shown_both_ways() {
        let action = action_of(&[forward("a")]).unwrap().wire();
        assert_eq!(action.target_group_arn.as_deref(), Some("a"));
        let tuple = &action.forward_config.unwrap().target_groups[0];
        assert_eq!((tuple.target_group_arn.as_deref(), tuple.weight), (Some("a"), Some(1)));
    }

    #[test]
    fn a_redirect_that_changes_nothing_is_a_loop() {
        let wire = WireAction {
            type_: ActionTypeEnum::Redirect,
            redirect_config: Some(RedirectActionConfig { query: Some("a=b".into()), ..Default::default() }),
            ..Default::default()
        };
        assert!(matches!(action_of(&[wire]), Err(Error::InvalidAction(text)) if text.contains("loop")));
    }

    #[test]
    fn each_part_of_a_redirect_has_its_own_keywords() {
        let config = |part: &str, text: &str| {
            let mut config = RedirectActionConfig { protocol: Some("HTTPS".into()), ..Default::default() };
            match part {
                "host" => config.host = Some(text.into()),
                "path" => config.path = Some(text.into()),
                _ => config.query = Some(text.into()),
            }
            redirect_of(&config)
        };
        for (part, text) in [
            ("host", "new.#{host}"),
            ("path", "/#{host}/#{port}/#{path}"),
            ("query", "#{query}&a=#{protocol}#{host}#{port}#{path}"),
            ("query", "a=#b"),
        ] {
            assert!(config(part, text).is_ok(), "{part} {text}");
        }
        for (part, text) in [
            ("host", "#{path}"),
            ("path", "/#{query}"),
            ("path", "/#{protocol}"),
            ("path", "/#{paths}"),
            ("path", "/#{path"),
            ("query", "#{foo}"),
        ] {
            assert!(matches!(config(part, text), Err(Error::InvalidAction(_))), "{part} {text}");
        }
        let error = config("host", "a.#{path}.b").unwrap_err();
        assert_eq!(error.to_string(), "The redirect host cannot contain '#{path}'");
    }

    #[test]
    fn authentication_is_refused_by_name() {
        let wire = WireAction { type_: ActionTypeEnum::AuthenticateOidc, ..Default::default() };
        let error = action_of(&[wire, forward("a")]).unwrap_err();
        assert!(error.to_string().contains("authenticate-oidc"), "{error}");
    }
}
