//! `CreationPolicy` and `UpdatePolicy`: which types take them, and what they say once evaluated.
//!
//! Reference: "CreationPolicy attribute", "UpdatePolicy attribute" of the template reference.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::template::expr::Expr;
use crate::template::{Resource, TemplateError};
use crate::types::schema::{self, Kind, Property, Update::InPlace, boolean, number, text};

/// What a resource's two policies come to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policies {
    /// What its creation waits for.
    pub creation: Option<Creation>,
    /// How a group's instances are replaced by an update.
    pub rolling: Option<Rolling>,
    /// Whether an update that changes instances replaces the group instead.
    pub replaces: bool,
    /// Whether an update leaves sizes alone that the template does not change.
    pub keeps_sizes: bool,
}

/// `CreationPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Creation {
    /// How many signals of success it takes.
    pub count: u32,
    /// How long it waits for them, in seconds.
    pub seconds: u64,
    /// How many of a hundred must be of success, for a group.
    pub percent: u32,
}

/// `AutoScalingRollingUpdate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// How many instances are replaced at a time.
    pub batch: u32,
    /// How many serve all the while.
    pub serving: u32,
    /// How many of a hundred new instances must signal success.
    pub percent: u32,
    /// How long it rests after a batch, or waits for its signals, in seconds.
    pub seconds: u64,
    /// The processes that are suspended meanwhile.
    pub suspended: Vec<String>,
    /// Whether new instances must signal.
    pub signals: bool,
}

const GROUP: &str = "AWS::AutoScaling::AutoScalingGroup";
const SIGNALLED: [&str; 3] = [GROUP, "AWS::EC2::Instance", "AWS::CloudFormation::WaitCondition"];

const CREATION: Kind = Kind::Object(&[
    InPlace.object("ResourceSignal", &[number("Count"), text("Timeout")]),
    InPlace.object("AutoScalingCreationPolicy", &[number("MinSuccessfulInstancesPercent")]),
]);

const ROLLING: &[Property] = &[
    number("MaxBatchSize"),
    number("MinInstancesInService"),
    number("MinSuccessfulInstancesPercent"),
    text("PauseTime"),
    InPlace.texts("SuspendProcesses"),
    boolean("WaitOnResourceSignals"),
];

const UPDATE: Kind = Kind::Object(&[
    InPlace.object("AutoScalingRollingUpdate", ROLLING),
    InPlace.object("AutoScalingReplacingUpdate", &[boolean("WillReplace")]),
    InPlace.object("AutoScalingScheduledAction", &[boolean("IgnoreUnmodifiedGroupSizeProperties")]),
]);

/// Checks a resource's policies as written.
///
/// # Errors
/// Its type takes none, or not these.
pub fn check(resource: &Resource) -> Result<(), TemplateError> {
    let taken = |policy: &Option<Expr>, name: &str, kind: &Kind, types: &[&str]| match policy {
        None => Ok(()),
        Some(policy) if types.contains(&resource.type_name.as_str()) => schema::check_value(kind, name, policy),
        Some(policy) => Err(TemplateError::at(
            policy.at,
            format!("Template error: resource type {} does not support {name}", resource.type_name),
        )),
    };
    taken(&resource.creation_policy, "CreationPolicy", &CREATION, &SIGNALLED)?;
    taken(&resource.update_policy, "UpdatePolicy", &UPDATE, &[GROUP])
}

impl Policies {
    /// Reads the evaluated policies of a resource.
    ///
    /// # Errors
    /// A value that is none of its kind, or out of its range.
    pub fn read(creation: Option<&Value>, update: Option<&Value>) -> Result<Policies, String> {
        let mut policies = Policies::default();
        if let Some(written) = creation {
            let written = schema::form(&CREATION, "CreationPolicy", written)?;
            let signal = &written["ResourceSignal"];
            policies.creation = Some(Creation {
                count: whole(signal, "Count", 1)?,
                seconds: duration(signal, "Timeout", "PT5M", 12)?,
                percent: percent(&written["AutoScalingCreationPolicy"])?,
            })
            .filter(|creation| creation.count > 0);
        }
        if let Some(written) = update {
            let written = schema::form(&UPDATE, "UpdatePolicy", written)?;
            let yes = |group: &str, member: &str| written[group][member].as_bool().unwrap_or(false);
            policies.replaces = yes("AutoScalingReplacingUpdate", "WillReplace");
            policies.keeps_sizes = yes("AutoScalingScheduledAction", "IgnoreUnmodifiedGroupSizeProperties");
            policies.rolling = written.get("AutoScalingRollingUpdate").map(rolling).transpose()?;
        }
        Ok(policies)
    }
}

fn rolling(written: &Value) -> Result<Rolling, String> {
    let signals = written["WaitOnResourceSignals"].as_bool().unwrap_or(false);
    let suspended = written["SuspendProcesses"].as_array().into_iter().flatten();
    Ok(Rolling {
        batch: whole(written, "MaxBatchSize", 1)?.max(1),
        serving: whole(written, "MinInstancesInService", 0)?,
        percent: percent(written)?,
        seconds: duration(written, "PauseTime", if signals { "PT5M" } else { "PT0S" }, 1)?,
        suspended: suspended.filter_map(Value::as_str).map(str::to_owned).collect(),
        signals,
    })
}

fn whole(written: &Value, name: &str, default: u32) -> Result<u32, String> {
    match written.get(name) {
        None => Ok(default),
        Some(value) => {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| format!("Value of property {name} must be a whole number that is not negative"))
        }
    }
}

fn percent(written: &Value) -> Result<u32, String> {
    match whole(written, "MinSuccessfulInstancesPercent", 100)? {
        percent @ 0..=100 => Ok(percent),
        _ => Err("Value of property MinSuccessfulInstancesPercent must be between 0 and 100".to_owned()),
    }
}

/// `PT1H30M5S` in seconds; so many hours at most: 12 for signals, 1 for a pause, as the two attributes' pages say.
fn duration(written: &Value, name: &str, default: &str, hours: u64) -> Result<u64, String> {
    let text = written.get(name).and_then(Value::as_str).unwrap_or(default);
    let wrong =
        || format!("Value of property {name} must be a duration of at most PT{hours}H in the form PT#H#M#S: {text}");
    let mut rest = text.strip_prefix("PT").filter(|rest| !rest.is_empty()).ok_or_else(wrong)?;
    let mut seconds = 0_u64;
    for (unit, length) in [('H', 3600), ('M', 60), ('S', 1)] {
        if let Some((digits, after)) = rest.split_once(unit) {
            let number: u64 = digits.parse().map_err(|_| wrong())?;
            seconds = number.checked_mul(length).and_then(|all| all.checked_add(seconds)).ok_or_else(wrong)?;
            rest = after;
        }
    }
    if rest.is_empty() && seconds <= hours * 3600 { Ok(seconds) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_are_iso_8601_up_to_twelve_hours() {
        let of = |text: &str| duration(&json!({"Timeout": text}), "Timeout", "PT5M", 12).ok();
        assert_eq!(of("PT1H30M5S"), Some(5405));
        assert_eq!((of("PT15M"), of("PT0S"), of("PT12H")), (Some(900), Some(0), Some(43_200)));
        for wrong in ["", "PT", "15M", "PT12H1S", "PT5", "P1D", "PTM", "PT-5M"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(duration(&Value::Null, "Timeout", "PT5M", 12), Ok(300));
    }

    #[test]
    fn a_rolling_update_that_waits_for_signals_waits_five_minutes_unless_told_otherwise() {
        let of = |written: Value| {
            let update = json!({"AutoScalingRollingUpdate": written});
            Policies::read(None, Some(&update)).map(|policies| policies.rolling.map(|rolling| rolling.seconds))
        };
        assert_eq!(of(json!({"WaitOnResourceSignals": "true"})), Ok(Some(300)));
        assert_eq!(of(json!({"MaxBatchSize": "2"})), Ok(Some(0)));
        assert!(of(json!({"MinSuccessfulInstancesPercent": 101})).is_err());
        assert_eq!(of(json!({"PauseTime": "PT1H"})), Ok(Some(3600)));
        assert!(of(json!({"PauseTime": "PT1H1S"})).is_err_and(|error| error.contains("at most PT1H")));
    }
}
