//! JSON: as a tree to read, and written from a structure. By wire names for the protocols, by member names for
//! [`crate::value`].

use crate::bounds::{Bounds, Meter, Unreadable};
use crate::facts::{Kind, ListFacts, Location, MapFacts, MemberFacts, StructureFacts, TimeFormat};
use crate::node::{Node, Scalar};
use crate::{Structure, Time, View};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};
use std::borrow::Cow;

/// Which names members have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// As the protocol has them; what is unknown is ignored.
    Wire,
    /// As the interface has them; what is unknown is refused.
    Member,
}

impl Names {
    fn of(self, facts: &MemberFacts) -> &'static str {
        match self {
            Names::Wire => facts.wire(),
            Names::Member => facts.name,
        }
    }
}

/// Parses a body; an empty one is an empty object.
pub(crate) fn parse(body: &[u8], bounds: &Bounds) -> Result<Value, Unreadable> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    scan(body, bounds)?;
    serde_json::from_slice(body).map_err(|error| Unreadable::Syntax(error.to_string()))
}

/// Counts values and levels before anything is allocated for them.
fn scan(body: &[u8], bounds: &Bounds) -> Result<(), Unreadable> {
    let mut meter = Meter::new(bounds);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in body {
        if quoted {
            quoted = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => {
                depth += 1;
                meter.count(depth)?;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => meter.count(depth)?,
            _ => {}
        }
    }
    Ok(())
}

/// A node of a JSON document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a> {
    pub value: &'a Value,
    pub names: Names,
}

impl<'a> Json<'a> {
    fn at(&self, value: &'a Value) -> Json<'a> {
        Json { value, names: self.names }
    }
}

impl Node for Json<'_> {
    fn is_structure(&self) -> bool {
        self.value.is_object()
    }

    fn member(&self, facts: &MemberFacts) -> Option<Self> {
        self.value.get(self.names.of(facts)).filter(|value| !value.is_null()).map(|value| self.at(value))
    }

    fn strangers(&self, facts: &StructureFacts) -> Vec<String> {
        match (self.names, self.value) {
            (Names::Member, Value::Object(map)) => {
                map.keys().filter(|key| facts.index(key).is_none()).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    fn items(&self, _: &ListFacts) -> Option<Vec<Self>> {
        let items = self.value.as_array()?;
        Some(items.iter().map(|value| self.at(value)).collect())
    }

    fn entries(&self, _: &MapFacts) -> Option<Vec<(String, Self)>> {
        let map = self.value.as_object()?;
        Some(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), self.at(value)))
                .collect(),
        )
    }

    fn scalar(&self) -> Scalar<'_> {
        match self.value {
            Value::String(text) => Scalar::Text(Cow::Borrowed(text)),
            Value::Bool(value) => Scalar::Boolean(*value),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Scalar::Integer(value),
                (None, Some(value)) => Scalar::Double(value),
                (None, None) => Scalar::Other("a number"),
            },
            Value::Null => Scalar::Other("null"),
            Value::Array(_) => Scalar::Other("[...]"),
            Value::Object(_) => Scalar::Other("{...}"),
        }
    }
}

/// The members of a structure that travel in the body (all of them by member names) as an object.
pub(crate) fn write(structure: &dyn Structure, names: Names) -> Value {
    let mut map = Map::new();
    for (index, facts) in structure.facts().members.iter().enumerate() {
        if names == Names::Wire && facts.location != Location::Body {
            continue;
        }
        let view = structure.view(index);
        // An absent list and an empty one are one to us. AWS answers empty lists; templates have no use for them.
        let empty = match view {
            View::List(list) => names == Names::Member && list.is_empty(),
            View::Map(map) => map.is_empty(),
            View::Absent => true,
            _ => false,
        };
        if !empty {
            map.insert(names.of(facts).to_owned(), write_value(view, &facts.kind, names));
        }
    }
    Value::Object(map)
}

pub(crate) fn write_value(view: View<'_>, kind: &Kind, names: Names) -> Value {
    match view {
        View::Absent => Value::Null,
        View::Boolean(value) => Value::Bool(value),
        View::Integer(value) => Value::Number(value.into()),
        View::Double(value) => number(value),
        View::String(value) => Value::String(value.to_owned()),
        View::Time(value) => match (names, kind) {
            (Names::Member, _) => Value::String(exact(value)),
            (_, Kind::Time(TimeFormat::Iso8601)) => Value::String(value.iso8601_millis()),
            (_, Kind::Time(TimeFormat::HttpDate)) => Value::String(value.http_date()),
            _ if value.0 % 1_000_000 == 0 => Value::Number(value.secs().into()),
            _ => number(value.secs_f64()),
        },
        View::Blob(bytes) => Value::String(STANDARD.encode(bytes)),
        View::Structure(structure) => write(structure, names),
        View::List(list) => {
            let item = if let Kind::List(facts) = kind { &facts.item } else { kind };
            Value::Array((0..list.len()).map(|index| write_value(list.get(index), item, names)).collect())
        }
        View::Map(entries) => {
            let inner = if let Kind::Map(facts) = kind { &facts.value } else { kind };
            let mut map = Map::new();
            entries.each(&mut |key, view| {
                map.insert(key.to_owned(), write_value(view, inner, names));
            });
            Value::Object(map)
        }
    }
}

fn number(value: f64) -> Value {
    let special = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    Number::from_f64(value).map_or_else(|| Value::String(special.to_owned()), Value::Number)
}

/// ISO 8601 with as many digits as it takes to lose nothing.
fn exact(time: Time) -> String {
    match time.0.rem_euclid(1_000) {
        0 => time.iso8601_millis(),
        micros => {
            let millis = time.iso8601_millis();
            format!("{}{micros:03}Z", millis.trim_end_matches('Z'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_number_are_bounded_before_parsing() {
        let bounds = Bounds::default();
        assert_eq!(parse(&b"[".repeat(40), &bounds), Err(Unreadable::TooDeep(32)));
        assert_eq!(
            parse(format!("[{}1]", "1,".repeat(100_001)).as_bytes(), &bounds),
            Err(Unreadable::TooMany(100_000))
        );
        let quoted = format!("{{\"a\": \"{}\\\"{}\"}}", "[".repeat(99), ",".repeat(200_000));
        assert!(parse(quoted.as_bytes(), &bounds).is_ok());
    }

    #[test]
    fn an_empty_body_is_an_empty_object() {
        assert_eq!(parse(b" \r\n", &Bounds::default()), Ok(Value::Object(Map::new())));
        assert!(matches!(parse(b"{", &Bounds::default()), Err(Unreadable::Syntax(_))));
    }
}
