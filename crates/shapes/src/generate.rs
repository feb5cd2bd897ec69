//! Writes the Rust of a service's interface: plain structs and enums, their views and slots, and the static tables that
//! `zonal-wire` walks.

use crate::names::{field, type_name, variants};
use crate::parse::{Attributes, Declared, File, Kind, Limits, Member};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The whole text of the generated module.
pub fn generate(file: &File) -> String {
    let generator = Generator { file, ec2: head(file, "protocols") == "ec2" };
    let mut out = String::from("use ::zonal_wire as wire;\n");
    for (name, declared) in &file.declared {
        match declared {
            Declared::Structure(members) => generator.structure(&mut out, name, members),
            Declared::Enum(values) => enumeration(&mut out, name, values),
            Declared::List { .. } | Declared::Map { .. } => {}
        }
    }
    let mut tables = String::new();
    for (name, declared) in &file.declared {
        generator.table(&mut tables, name, declared);
    }
    generator.operations(&mut out, &mut tables);
    write!(
        out,
        "\n/// The static tables.\n#[allow(non_upper_case_globals, unused_imports)]\nmod tables {{\n    \
         use ::zonal_wire::facts::{{ElementName, EnumFacts, ErrorFacts, FREE, Kind, ListFacts, Location, MapFacts, MemberFacts, OperationFacts, \
         StructureFacts, TimeFormat, limits}};\n{tables}}}\n"
    )
    .unwrap_or_default();
    out
}

fn head<'a>(file: &'a File, key: &str) -> &'a str {
    file.head.get(key).map_or("", String::as_str)
}

struct Generator<'a> {
    file: &'a File,
    ec2: bool,
}

impl Generator<'_> {
    fn structure(&self, out: &mut String, name: &str, members: &[Member]) {
        let ty = type_name(name);
        let fields: Vec<(String, String)> =
            members.iter().map(|member| (field(&member.name), self.field_type(name, member))).collect();
        let mut body = String::new();
        let (mut views, mut slots) = (String::new(), String::new());
        for (index, (field, kind)) in fields.iter().enumerate() {
            _ = writeln!(body, "    pub {field}: {kind},");
            _ = writeln!(views, "            {index} => wire::Value::view(&self.{field}),");
            _ = writeln!(slots, "            {index} => wire::Value::slot(&mut self.{field}),");
        }
        let (view_index, slot_index) = if fields.is_empty() { ("_index", "_index") } else { ("index", "index") };
        let (views, slots) = if fields.is_empty() {
            ("        wire::View::Absent\n".to_owned(), "        None\n".to_owned())
        } else {
            (
                format!("        match index {{\n{views}            _ => wire::View::Absent,\n        }}\n"),
                format!("        Some(match index {{\n{slots}            _ => return None,\n        }})\n"),
            )
        };
        _ = write!(
            out,
            "\n#[derive(Debug, Clone, Default, PartialEq)]\npub struct {ty} {{\n{body}}}\n\
             impl wire::Structure for {ty} {{\n    \
             fn facts(&self) -> &'static wire::StructureFacts {{\n        &tables::{ty}\n    }}\n    \
             fn view(&self, {view_index}: usize) -> wire::View<'_> {{\n{views}    }}\n    \
             fn slot(&mut self, {slot_index}: usize) -> Option<wire::Slot<'_>> {{\n{slots}    }}\n}}\n\
             impl wire::Value for {ty} {{\n    \
             fn view(&self) -> wire::View<'_> {{\n        wire::View::Structure(self)\n    }}\n    \
             fn slot(&mut self) -> wire::Slot<'_> {{\n        wire::Slot::Structure(self)\n    }}\n}}\n"
        );
    }

    /// The type of a field: plain if required, lists and maps always, else an `Option`.
    fn field_type(&self, owner: &str, member: &Member) -> String {
        let plain = self.rust_type(&member.kind);
        let collection =
            matches!(self.file.declared.get(&member.kind.name), Some(Declared::List { .. } | Declared::Map { .. }));
        if collection || member.attributes.has("required") {
            plain
        } else if self.contains(&member.kind.name, owner, &mut BTreeSet::new()) {
            format!("Option<Box<{plain}>>")
        } else {
            format!("Option<{plain}>")
        }
    }

    /// Whether a value of `name` holds, without a list or map between, one of `owner`.
    fn contains(&self, name: &str, owner: &str, seen: &mut BTreeSet<String>) -> bool {
        let Some(Declared::Structure(members)) = self.file.declared.get(name) else { return false };
        if name == owner {
            return true;
        }
        seen.insert(name.to_owned()) && members.iter().any(|member| self.contains(&member.kind.name, owner, seen))
    }

    fn rust_type(&self, kind: &Kind) -> String {
        match self.file.declared.get(&kind.name) {
            Some(Declared::List { item, .. }) => format!("Vec<{}>", self.rust_type(item)),
            Some(Declared::Map { value, .. }) => {
                format!("::std::collections::BTreeMap<String, {}>", self.rust_type(value))
            }
            Some(_) => type_name(&kind.name),
            None => match kind.name.as_str() {
                "integer" => "i32".to_owned(),
                "long" => "i64".to_owned(),
                "float" | "double" => "f64".to_owned(),
                "boolean" => "bool".to_owned(),
                "blob" => "wire::Blob".to_owned(),
                name if name.starts_with("timestamp") => "wire::Time".to_owned(),
                _ => "String".to_owned(),
            },
        }
    }

    fn kind_facts(&self, kind: &Kind) -> String {
        let table = type_name(&kind.name);
        let limits = limits(kind.limits);
        match self.file.declared.get(&kind.name) {
            Some(Declared::Structure(_)) => format!("Kind::Structure(&{table})"),
            Some(Declared::Enum(_)) => format!("Kind::Enum(&{table})"),
            Some(Declared::List { .. }) => format!("Kind::List(&{table})"),
            Some(Declared::Map { .. }) => format!("Kind::Map(&{table})"),
            None => match kind.name.as_str() {
                "integer" => format!("Kind::Integer({limits})"),
                "long" => format!("Kind::Long({limits})"),
                "float" | "double" => format!("Kind::Double({limits})"),
                "boolean" => "Kind::Boolean".to_owned(),
                "blob" => format!("Kind::Blob({limits})"),
                "timestamp" => "Kind::Time(TimeFormat::Protocol)".to_owned(),
                "timestamp/iso8601" => "Kind::Time(TimeFormat::Iso8601)".to_owned(),
                "timestamp/unixTimestamp" => "Kind::Time(TimeFormat::Epoch)".to_owned(),
                "timestamp/rfc822" => "Kind::Time(TimeFormat::HttpDate)".to_owned(),
                "string" => format!("Kind::String({limits})"),
                other => panic!("{other} is neither a scalar nor declared"),
            },
        }
    }

    fn table(&self, out: &mut String, name: &str, declared: &Declared) {
        let table = type_name(name);
        match declared {
            Declared::Structure(members) => {
                assert!(members.len() <= 256, "{name} has more members than readers keep track of");
                _ = writeln!(
                    out,
                    "    pub static {table}: StructureFacts = StructureFacts {{ name: {name:?}, members: &["
                );
                for member in members {
                    self.member(out, member);
                }
                out.push_str("    ] };\n");
            }
            Declared::Enum(values) => {
                _ = writeln!(
                    out,
                    "    pub static {table}: EnumFacts = EnumFacts {{ name: {name:?}, values: &{values:?} }};"
                );
            }
            Declared::List { item, attributes } => {
                _ = writeln!(
                    out,
                    "    pub static {table}: ListFacts = ListFacts {{ item: {}, item_element: {}, flat: {}, limits: {} }};",
                    self.kind_facts(item),
                    attributes.get("item").map_or("None".to_owned(), |name| format!("Some({})", element(name))),
                    attributes.has("flat"),
                    own_limits(name, attributes),
                );
            }
            Declared::Map { key, value, attributes } => {
                _ = writeln!(
                    out,
                    "    pub static {table}: MapFacts = MapFacts {{ key: {}, value: {}, key_name: {:?}, value_name: {:?}, flat: {}, \
                     limits: {} }};",
                    self.kind_facts(key),
                    self.kind_facts(value),
                    attributes.get("key").unwrap_or("key"),
                    attributes.get("value").unwrap_or("value"),
                    attributes.has("flat"),
                    own_limits(name, attributes),
                );
            }
        }
    }

    fn member(&self, out: &mut String, member: &Member) {
        let wire = member.attributes.get("name").unwrap_or(&member.name);
        _ = writeln!(
            out,
            "        MemberFacts {{ name: {:?}, element: {}, query: {:?}, kind: {}, location: Location::{}, required: {}, token: {} }},",
            member.name,
            element(wire),
            self.query_name(member),
            self.kind_facts(&member.kind),
            location(&member.attributes),
            member.attributes.has("required"),
            member.attributes.has("token"),
        );
    }

    /// EC2 capitalizes the wire name unless the model has a name for form parameters; query uses the wire name, and for
    /// a flat list the name of its items.
    fn query_name(&self, member: &Member) -> String {
        let wire = member.attributes.get("name");
        if self.ec2 {
            return match (member.attributes.get("query"), wire) {
                (Some(given), _) => given.to_owned(),
                (None, Some(wire)) => type_name(wire),
                (None, None) => member.name.clone(),
            };
        }
        if let Some(Declared::List { attributes, .. }) = self.file.declared.get(&member.kind.name)
            && let (true, Some(item)) = (attributes.has("flat"), attributes.get("item"))
        {
            return item.to_owned();
        }
        wire.unwrap_or(&member.name).to_owned()
    }

    fn operations(&self, out: &mut String, tables: &mut String) {
        let mut units = String::new();
        let mut rows = String::new();
        let mut empty = String::new();
        let mut made = BTreeMap::new();
        for (index, operation) in self.file.operations.iter().enumerate() {
            let name = &operation.name;
            let mut side = |key: &str, suffix: &str| -> String {
                operation.attributes.get(key).map(type_name).unwrap_or_else(|| {
                    let own = format!("{name}{suffix}");
                    assert!(!self.file.declared.contains_key(&own), "{own} is taken");
                    if made.insert(own.clone(), ()).is_none() {
                        self.structure(&mut empty, &own, &[]);
                        self.table(tables, &own, &Declared::Structure(Vec::new()));
                    }
                    own
                })
            };
            let (input, output) = (side("input", "Input"), side("output", "Output"));
            let errors: Vec<&str> =
                operation.attributes.get("errors").map_or(Vec::new(), |list| list.split(',').collect());
            _ = writeln!(
                rows,
                "        OperationFacts {{ name: {name:?}, method: {:?}, uri: {:?}, status: {}, input: &{input}, output: &{output}, \
                 new_input: ::zonal_wire::boxed::<super::{input}>, new_output: ::zonal_wire::boxed::<super::{output}>, \
                 root: {:?}, wrapper: {:?}, errors: &{errors:?} }},",
                operation.method,
                operation.uri,
                operation.attributes.get("status").unwrap_or("200"),
                operation.attributes.get("root").unwrap_or(""),
                operation.attributes.get("wrapper").unwrap_or(""),
            );
            _ = write!(
                units,
                "    pub struct {name};\n    impl wire::Operation for {name} {{\n        type Input = super::{input};\n        \
                 type Output = super::{output};\n        fn facts() -> &'static wire::OperationFacts {{\n            \
                 &super::tables::OPERATIONS[{index}]\n        }}\n    }}\n"
            );
        }
        out.push_str(&empty);
        _ = writeln!(
            tables,
            "    pub static OPERATIONS: [OperationFacts; {}] = [\n{rows}    ];",
            self.file.operations.len()
        );
        let mut errors = String::new();
        for (name, facts) in &self.file.errors {
            _ = writeln!(
                errors,
                "        ErrorFacts {{ name: {name:?}, code: {:?}, status: {}, sender: {} }},",
                facts.get("code").unwrap_or(name),
                facts.get("status").unwrap_or("0"),
                facts.has("sender"),
            );
        }
        _ = writeln!(tables, "    pub static ERRORS: [ErrorFacts; {}] = [\n{errors}    ];", self.file.errors.len());
        _ = write!(out, "\n/// One type per operation.\npub mod ops {{\n    use ::zonal_wire as wire;\n{units}}}\n");
        self.api(out);
    }

    fn api(&self, out: &mut String) {
        let file = self.file;
        let protocols: Vec<&str> = head(file, "protocols")
            .split(' ')
            .map(|name| match name {
                "query" => "wire::Protocol::Query",
                "ec2" => "wire::Protocol::Ec2",
                "json" if head(file, "json") == "1.0" => "wire::Protocol::Json10",
                "json" => "wire::Protocol::Json11",
                "rest-json" => "wire::Protocol::RestJson",
                "rest-xml" => "wire::Protocol::RestXml",
                "smithy-rpc-v2-cbor" => "wire::Protocol::RpcV2Cbor",
                other => panic!("{other} is no protocol that zonal-wire speaks"),
            })
            .collect();
        _ = write!(
            out,
            "\n/// The interface's facts.\npub static API: wire::Api = wire::Api {{\n    service: {:?},\n    id: {:?},\n    signing: {:?},\n    \
             endpoint: {:?},\n    version: {:?},\n    protocols: &[{}],\n    namespace: {:?},\n    target: {:?},\n    \
             query_compatible: {},\n    global: {},\n    operations: &tables::OPERATIONS,\n    errors: &tables::ERRORS,\n}};\n",
            head(file, "service"),
            head(file, "id"),
            head(file, "signing"),
            head(file, "endpoint"),
            head(file, "version"),
            protocols.join(", "),
            head(file, "namespace"),
            head(file, "target"),
            file.head.contains_key("query-compatible"),
            file.head.contains_key("global"),
        );
    }
}

fn element(name: &str) -> String {
    format!("ElementName(\"<{name}></{name}>\")")
}

fn location(attributes: &Attributes) -> &'static str {
    match attributes.get("in") {
        Some("uri") => "Uri",
        Some("querystring") => "Query",
        Some("header") => "Header",
        Some("headers") => "Headers",
        Some("statusCode") => "Status",
        Some(other) => panic!("{other} is no place for a member"),
        None if attributes.has("payload") => "Payload",
        None if attributes.has("attribute") => "Attribute",
        None => "Body",
    }
}

fn limits(limits: Limits) -> String {
    let bound = |value: Option<i64>, none: &str| value.map_or_else(|| none.to_owned(), |v| v.to_string());
    if limits == Limits::default() {
        return "FREE".to_owned();
    }
    format!("limits({}, {})", bound(limits.min, "i64::MIN"), bound(limits.max, "i64::MAX"))
}

fn own_limits(name: &str, attributes: &Attributes) -> String {
    limits(attributes.limits().unwrap_or_else(|problem| panic!("{name}: {problem}")))
}

fn enumeration(out: &mut String, name: &str, values: &[String]) {
    let ty = type_name(name);
    let names = variants(values);
    let mut body = String::new();
    for (index, (name, value)) in names.iter().zip(values).enumerate() {
        let default = if index == 0 { "    #[default]\n" } else { "" };
        _ = write!(body, "    #[doc = {value:?}]\n{default}    {name},\n");
    }
    let all: Vec<String> = names.iter().map(|name| format!("{ty}::{name}")).collect();
    _ = write!(
        out,
        "\n#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]\npub enum {ty} {{\n{body}}}\n\
         impl {ty} {{\n    pub const ALL: &'static [{ty}] = &[{}];\n    \
         pub fn as_str(self) -> &'static str {{\n        tables::{ty}.values[self as usize]\n    }}\n}}\n\
         impl ::std::fmt::Display for {ty} {{\n    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {{\n        \
         f.pad(self.as_str())\n    }}\n}}\n\
         impl ::std::str::FromStr for {ty} {{\n    type Err = wire::UnknownValue;\n    \
         fn from_str(value: &str) -> Result<{ty}, wire::UnknownValue> {{\n        \
         tables::{ty}.find(value).map(|index| {ty}::ALL[index])\n    }}\n}}\n\
         impl wire::Enum for {ty} {{\n    fn set(&mut self, index: usize) -> bool {{\n        \
         {ty}::ALL.get(index).map(|value| *self = *value).is_some()\n    }}\n}}\n\
         impl wire::Value for {ty} {{\n    fn view(&self) -> wire::View<'_> {{\n        wire::View::String(self.as_str())\n    }}\n    \
         fn slot(&mut self) -> wire::Slot<'_> {{\n        wire::Slot::Enum(self)\n    }}\n}}\n",
        all.join(", "),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    const SMALL: &str = "service s\nprotocols query\noperation Get POST / input=In\nstructure In\n  Next In\n  Type Kind required\n  \
                         Tags Tags\nenum Kind\n  a-b\nlist Tags string item=Tag flat\n";

    #[test]
    fn required_members_are_plain_and_recursion_is_boxed() {
        let text = generate(&parse(SMALL).expect("reads"));
        for line in [
            "pub next: Option<Box<In>>,",
            "pub type_: Kind,",
            "pub tags: Vec<String>,",
            "pub struct GetOutput {",
            "AB,",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn form_names_follow_the_protocol() {
        let query = generate(&parse(SMALL).expect("reads"));
        assert!(query.contains(r#"name: "Tags", element: ElementName("<Tags></Tags>"), query: "Tag""#), "{query}");
        let ec2 = generate(
            &parse("protocols ec2\nstructure A\n  X string name=theX\n  Y string name=y query=Q\n").expect("reads"),
        );
        for (wire, query) in [("theX", "TheX"), ("y", "Q")] {
            let member = format!(r#"ElementName("<{wire}></{wire}>"), query: "{query}""#);
            assert!(ec2.contains(&member), "{ec2}");
        }
    }
}
