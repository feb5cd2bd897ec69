//! The facts of an interface as static tables. Build scripts generate them (see `zonal-shapes`); every reader and
//! writer of this crate walks them, so that no code is generated per shape and protocol.

use crate::{Structure, UnknownValue};

/// The protocols that AWS's clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Form parameters in, XML out.
    Query,
    /// EC2's own dialect of query.
    Ec2,
    /// JSON with the operation in `X-Amz-Target`, media type `application/x-amz-json-1.0`.
    Json10,
    /// The same with 1.1.
    Json11,
    /// JSON bodies, with members in path, query string and headers.
    RestJson,
    /// XML bodies, with members in path, query string and headers.
    RestXml,
    /// Smithy RPC v2: CBOR, with service and operation in the path.
    RpcV2Cbor,
}

/// A service's whole interface.
pub struct Api {
    /// The name of the service in the aws CLI and here: `elbv2`.
    pub service: &'static str,
    /// The service id of the SDKs: `Elastic Load Balancing v2`.
    pub id: &'static str,
    /// The service in a signature's credential scope: `elasticloadbalancing`.
    pub signing: &'static str,
    /// The first label of the host name: `elasticloadbalancing`.
    pub endpoint: &'static str,
    /// The version of the interface: `2015-12-01`.
    pub version: &'static str,
    /// The protocols that it may be spoken to in, the preferred first.
    pub protocols: &'static [Protocol],
    /// The XML namespace of its answers.
    pub namespace: &'static str,
    /// What precedes the dot in `X-Amz-Target`.
    pub target: &'static str,
    /// Whether errors also say their code of the query protocol, in `x-amzn-query-error`.
    pub query_compatible: bool,
    /// Whether there is one for all regions (Route 53, IAM).
    pub global: bool,
    /// Its operations that we know.
    pub operations: &'static [OperationFacts],
    /// Its errors that are part of the interface.
    pub errors: &'static [ErrorFacts],
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Api {
    /// The operation of that name.
    pub fn operation(&self, name: &str) -> Option<&'static OperationFacts> {
        self.operations.iter().find(|operation| operation.name == name)
    }

    /// The modelled error with this code; where several have it, the one that the operation may answer.
    pub fn error(&self, code: &str, operation: Option<&OperationFacts>) -> Option<&'static ErrorFacts> {
        let listed = |error: &ErrorFacts| operation.is_some_and(|operation| operation.errors.contains(&error.name));
        let with_code = || self.errors.iter().filter(|error| error.code == code);
        with_code().find(|error| listed(error)).or_else(|| with_code().next())
    }
}

/// One operation.
pub struct OperationFacts {
    /// Its name: `RunInstances`.
    pub name: &'static str,
    /// The HTTP method of the REST protocols.
    pub method: &'static str,
    /// The path of the REST protocols, with `{Member}` placeholders.
    pub uri: &'static str,
    /// The HTTP status of success.
    pub status: u16,
    /// What it takes.
    pub input: &'static StructureFacts,
    /// What it answers.
    pub output: &'static StructureFacts,
    /// Makes an empty input.
    pub new_input: fn() -> Box<dyn Structure>,
    /// Makes an empty output.
    pub new_output: fn() -> Box<dyn Structure>,
    /// The root element of a REST XML request.
    pub root: &'static str,
    /// The element around a query answer's members; empty if there is none.
    pub wrapper: &'static str,
    /// The names of its modelled errors.
    pub errors: &'static [&'static str],
}

impl std::fmt::Debug for OperationFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperationFacts").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One modelled error.
#[derive(Debug)]
pub struct ErrorFacts {
    /// The name of its shape: `LoadBalancerNotFoundException`; the JSON protocols send it.
    pub name: &'static str,
    /// Its code: `LoadBalancerNotFound`.
    pub code: &'static str,
    /// The HTTP status, 0 if the model does not say.
    pub status: u16,
    /// Whether the caller is at fault.
    pub sender: bool,
}

/// One structure: its name and its members, in the order of `Structure::view`.
#[derive(Debug)]
pub struct StructureFacts {
    /// The name of the shape.
    pub name: &'static str,
    /// Its members.
    pub members: &'static [MemberFacts],
}

impl StructureFacts {
    /// The index of the member of that name.
    pub fn index(&self, member: &str) -> Option<usize> {
        self.members.iter().position(|facts| facts.name == member)
    }
}

/// One member of a structure.
#[derive(Debug)]
pub struct MemberFacts {
    /// Its name in the interface: `SecurityGroups`.
    pub name: &'static str,
    /// Its name in XML and JSON, headers and query strings, `groupSet`: [`MemberFacts::wire`].
    pub element: ElementName,
    /// Its name in form parameters: `SecurityGroup`.
    pub query: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Where it travels in the REST protocols.
    pub location: Location,
    /// Whether a request must have it.
    pub required: bool,
    /// Whether it makes the request idempotent; clients fill it when the caller does not.
    pub token: bool,
}

impl MemberFacts {
    /// Its name in XML and JSON, headers and query strings: `groupSet`.
    pub fn wire(&self) -> &'static str {
        self.element.name()
    }
}

/// A name as XML writes an element of it, `<groupSet></groupSet>`, since it is for each element of each answer that one is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElementName(pub &'static str);

impl ElementName {
    /// The name alone.
    pub fn name(self) -> &'static str {
        &self.0[1..self.0.len() / 2 - 1]
    }

    /// What opens it and what closes it.
    pub fn tags(self) -> (&'static [u8], &'static [u8]) {
        // The second is longer by its slash.
        self.0.as_bytes().split_at(self.0.len() / 2)
    }
}

/// Where a member travels in the REST protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In the body, by name.
    Body,
    /// It is the body.
    Payload,
    /// In the path.
    Uri,
    /// In the query string.
    Query,
    /// In a header.
    Header,
    /// In all headers with a prefix.
    Headers,
    /// It is the status.
    Status,
    /// An attribute of the XML element.
    Attribute,
}

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `bool`
    Boolean,
    /// `i32`, within limits
    Integer(Limits),
    /// `i64`, within limits
    Long(Limits),
    /// `f64`, within limits
    Double(Limits),
    /// `String`; limits are of its length
    String(Limits),
    /// A generated enum
    Enum(&'static EnumFacts),
    /// [`crate::Time`]
    Time(TimeFormat),
    /// [`crate::Blob`]; limits are of its length
    Blob(Limits),
    /// A generated struct
    Structure(&'static StructureFacts),
    /// `Vec`
    List(&'static ListFacts),
    /// `BTreeMap<String, _>`
    Map(&'static MapFacts),
}

/// How a time travels, where the model overrides the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// As the protocol does.
    Protocol,
    /// `2026-11-24T16:00:00Z`
    Iso8601,
    /// Seconds since the epoch.
    Epoch,
    /// `Tue, 24 Nov 2026 16:00:00 GMT`
    HttpDate,
}

/// The least and the most allowed, both inclusive: of a number's value, or of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The least.
    pub min: Option<i64>,
    /// The most.
    pub max: Option<i64>,
}

/// No limits.
pub const FREE: Limits = Limits { min: None, max: None };

/// Limits from the least and the most; `i64::MIN` and `i64::MAX` stand for none.
pub const fn limits(min: i64, max: i64) -> Limits {
    Limits { min: if min == i64::MIN { None } else { Some(min) }, max: if max == i64::MAX { None } else { Some(max) } }
}

/// The values of an enum.
#[derive(Debug)]
pub struct EnumFacts {
    /// The name of the shape.
    pub name: &'static str,
    /// The values as on the wire, in the order of the variants.
    pub values: &'static [&'static str],
}

impl EnumFacts {
    /// The index of a value.
    pub fn find(&self, value: &str) -> Result<usize, UnknownValue> {
        let found = self.values.iter().position(|known| *known == value);
        found.ok_or_else(|| UnknownValue { name: self.name, value: value.to_owned() })
    }
}

/// A list.
#[derive(Debug)]
pub struct ListFacts {
    /// What its items are.
    pub item: Kind,
    /// The items' name in XML and query, if the model gives one.
    pub item_element: Option<ElementName>,
    /// Whether the items stand in the structure without an element of their own around them.
    pub flat: bool,
    /// How many items it may have.
    pub limits: Limits,
}

/// A map; its keys are strings.
#[derive(Debug)]
pub struct MapFacts {
    /// What its keys may be.
    pub key: Kind,
    /// What its values are.
    pub value: Kind,
    /// The keys' name in XML and query.
    pub key_name: &'static str,
    /// The values' name in XML and query.
    pub value_name: &'static str,
    /// Whether the entries stand in the structure without an element of their own around them.
    pub flat: bool,
    /// How many entries it may have.
    pub limits: Limits,
}
