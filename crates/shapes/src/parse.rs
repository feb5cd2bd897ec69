//! Reads a `shapes` file. One fact a line; what is indented belongs to the line above it.
//!
//! ```text
//! service NAME | id TEXT | signing NAME | endpoint NAME | version TEXT | protocols NAME... | namespace URI
//! target NAME | json VERSION | query-compatible | global
//! operation NAME METHOD URI [status=N] [input=S] [root=NAME] [output=S] [wrapper=NAME] [errors=E,E...]
//! structure NAME
//!   MEMBER KIND [name=WIRE] [query=NAME] [in=uri|querystring|header|headers|statusCode] [payload] [attribute] [required] [token]
//! enum NAME
//!   VALUE
//! list NAME KIND [min=N] [max=N] [item=NAME] [flat]
//! map NAME KIND KIND [min=N] [max=N] [key=NAME] [value=NAME] [flat]
//! error NAME code=CODE [status=N] [sender]
//! ```
//!
//! A KIND is a scalar (string integer long float double boolean blob, each with limits `(min,max)` where it has some;
//! timestamp, timestamp/FORMAT) or the name of a structure, enum, list or map.

use std::collections::BTreeMap;

/// Limits of a value or a length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// The least.
    pub min: Option<i64>,
    /// The most.
    pub max: Option<i64>,
}

/// A type with its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// A scalar or a declared name.
    pub name: String,
    /// Its limits.
    pub limits: Limits,
}

/// An operation.
#[derive(Debug, Default)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// The HTTP method.
    pub method: String,
    /// The path template.
    pub uri: String,
    /// What else the line says.
    pub attributes: Attributes,
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// What else the line says.
    pub attributes: Attributes,
}

/// `key=value` and bare words at the end of a line.
#[derive(Debug, Default)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// The value of `key=value`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The limits `min=` and `max=`.
    pub fn limits(&self) -> Result<Limits, String> {
        let one = |key| self.get(key).map_or(Ok(None), bound);
        Ok(Limits { min: one("min")?, max: one("max")? })
    }

    /// Whether the bare word is there.
    pub fn has(&self, word: &str) -> bool {
        self.0.contains_key(word)
    }
}

/// A declared type.
#[derive(Debug)]
pub enum Declared {
    /// A structure.
    Structure(Vec<Member>),
    /// An enum.
    Enum(Vec<String>),
    /// A list.
    List {
        /// What its items are.
        item: Kind,
        /// What else the line says.
        attributes: Attributes,
    },
    /// A map.
    Map {
        /// What its keys are.
        key: Kind,
        /// What its values are.
        value: Kind,
        /// What else the line says.
        attributes: Attributes,
    },
}

/// A whole file.
#[derive(Debug, Default)]
pub struct File {
    /// The lines at its head: `service`, `version` and so on.
    pub head: BTreeMap<String, String>,
    /// Its operations, in the file's order.
    pub operations: Vec<Operation>,
    /// Its types by name.
    pub declared: BTreeMap<String, Declared>,
    /// Its errors.
    pub errors: Vec<(String, Attributes)>,
}

/// A line that is none of the grammar's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Malformed {}

/// Reads a whole file.
pub fn parse(text: &str) -> Result<File, Malformed> {
    let mut file = File::default();
    let mut open: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let fail = |what: String| Malformed { line: index + 1, what };
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(inner) = line.strip_prefix("  ") {
            let name = open.as_ref().ok_or_else(|| fail("indented below nothing".into()))?;
            match file.declared.get_mut(name) {
                Some(Declared::Structure(members)) => members.push(member(inner).map_err(fail)?),
                Some(Declared::Enum(values)) => values.push(inner.to_owned()),
                _ => return Err(fail(format!("{name} has no members"))),
            }
            continue;
        }
        open = None;
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split(' ');
        let mut next =
            || words.next().filter(|w| !w.is_empty()).ok_or_else(|| fail(format!("{keyword} says too little")));
        let (name, declared) = match keyword {
            "operation" => {
                let (name, method, uri) = (next()?, next()?, next()?);
                let attributes = attributes(words);
                let (name, method, uri) = (name.to_owned(), method.to_owned(), uri.to_owned());
                file.operations.push(Operation { name, method, uri, attributes });
                continue;
            }
            "error" => {
                let name = next()?.to_owned();
                file.errors.push((name, attributes(words)));
                continue;
            }
            "structure" => (next()?, Declared::Structure(Vec::new())),
            "enum" => (next()?, Declared::Enum(Vec::new())),
            "list" => {
                let (name, item) = (next()?, kind(next()?).map_err(fail)?);
                (name, Declared::List { item, attributes: attributes(words) })
            }
            "map" => {
                let (name, key, value) = (next()?, kind(next()?).map_err(fail)?, kind(next()?).map_err(fail)?);
                (name, Declared::Map { key, value, attributes: attributes(words) })
            }
            _ => {
                file.head.insert(keyword.to_owned(), rest.to_owned());
                continue;
            }
        };
        open = Some(name.to_owned());
        if file.declared.insert(name.to_owned(), declared).is_some() {
            return Err(fail(format!("{name} is declared twice")));
        }
    }
    Ok(file)
}

fn member(text: &str) -> Result<Member, String> {
    let mut words = text.split(' ');
    let name = words.next().filter(|w| !w.is_empty()).ok_or("a member without a name")?.to_owned();
    let kind = kind(words.next().ok_or("a member without a type")?)?;
    Ok(Member { name, kind, attributes: attributes(words) })
}

fn kind(text: &str) -> Result<Kind, String> {
    let Some((name, inner)) = text.split_once('(') else {
        return Ok(Kind { name: text.to_owned(), limits: Limits::default() });
    };
    let (min, max) =
        inner.strip_suffix(')').and_then(|i| i.split_once(',')).ok_or_else(|| format!("limits in {text}"))?;
    Ok(Kind { name: name.to_owned(), limits: Limits { min: bound(min)?, max: bound(max)? } })
}

/// Models also write limits as fractions (a double of at least 0.0).
fn bound(text: &str) -> Result<Option<i64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|value| value as i64));
    number.map(Some).ok_or_else(|| format!("{text} is no limit"))
}

fn attributes<'a>(words: impl Iterator<Item = &'a str>) -> Attributes {
    Attributes(
        words
            .map(|word| word.split_once('=').unwrap_or((word, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_as_its_facts() {
        let file = parse(
            "# comment\nservice x\nglobal\noperation Get GET /{Id} input=In errors=A,B\nstructure In\n  Id string(1,32) in=uri required\n\
             list L In max=5 item=item\nenum E\n  with space\nerror A code=a.b sender\n",
        )
        .expect("reads");
        assert_eq!(file.head["service"], "x");
        assert!(file.head.contains_key("global"));
        assert_eq!(file.operations[0].attributes.get("errors"), Some("A,B"));
        let Declared::Structure(members) = &file.declared["In"] else { panic!("In is a structure") };
        assert_eq!(members[0].kind.limits, Limits { min: Some(1), max: Some(32) });
        assert!(members[0].attributes.has("required"));
        let Declared::Enum(values) = &file.declared["E"] else { panic!("E is an enum") };
        assert_eq!(values, &["with space"]);
        assert!(file.errors[0].1.has("sender"));
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number() {
        assert_eq!(parse("service x\n  Lost string").expect_err("refused").line, 2);
        assert_eq!(parse("operation OnlyAName").expect_err("refused").line, 1);
        assert_eq!(parse("enum A\nenum A").expect_err("refused").line, 2);
        assert_eq!(parse("structure A\n  B").expect_err("refused").line, 2);
        assert_eq!(parse("structure A\n  B string(1,2)(3,4)").expect_err("refused").line, 2);
    }
}
