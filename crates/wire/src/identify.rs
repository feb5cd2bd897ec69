//! Finds service, protocol and operation of a request. The service by the credential scope of the signature, then the
//! target header, the host, the path; the protocol by what only it sends.

use crate::AwsError;
use crate::bounds::{Bounds, plain};
use crate::door::{Identified, Parsed, Rejection, RequestHead};
use crate::facts::{Api, OperationFacts, Protocol};
use crate::form::Tree;
use crate::rest::route;
use crate::sigv4::Scope;

/// What the head says, before any service is asked.
pub(crate) struct Hints<'a> {
    head: &'a RequestHead,
    scope: Option<Scope>,
    /// Prefix and operation of `X-Amz-Target`.
    target: Option<(&'a str, &'a str)>,
    /// Service and operation of a path of RPC v2.
    rpc: Option<(&'a str, &'a str)>,
    media: &'a str,
}

impl<'a> Hints<'a> {
    pub fn of(head: &'a RequestHead) -> Hints<'a> {
        let target = head.header("x-amz-target").map(|target| target.rsplit_once('.').unwrap_or(("", target)));
        let smithy = head.header("smithy-protocol") == Some("rpc-v2-cbor");
        let rpc = || {
            let (service, operation) = head.path().split_once("/service/")?.1.split_once("/operation/")?;
            Some((service.rsplit(['.', '#']).next().unwrap_or(service), operation))
        };
        let rpc = if smithy { rpc() } else { None };
        let media = head.header("content-type").unwrap_or("");
        Hints { head, scope: Scope::of(head), target, rpc, media }
    }

    fn is_form(&self) -> bool {
        self.media.starts_with("application/x-www-form-urlencoded")
    }

    /// The protocol that the request seems to speak, whoever is asked.
    pub fn protocol(&self) -> Protocol {
        if self.rpc.is_some() || self.media.starts_with("application/cbor") {
            Protocol::RpcV2Cbor
        } else if self.target.is_some() {
            if self.media.contains("json-1.0") { Protocol::Json10 } else { Protocol::Json11 }
        } else if self.media.contains("json") {
            Protocol::RestJson
        } else {
            Protocol::Query
        }
    }

    /// The protocol of a service that is not here: what speaks neither forms nor JSON documents is one of the REST protocols, and
    /// which of them the service's name tells.
    fn protocol_of_strangers(&self, form: &Tree) -> Protocol {
        let signed_for = self.scope.as_ref().map(|scope| scope.service.as_str());
        match (self.protocol(), signed_for) {
            (Protocol::Query, Some(service)) if !self.is_form() && form.get("Action").is_none() => {
                if REST_XML.contains(&service) { Protocol::RestXml } else { Protocol::RestJson }
            }
            (protocol, _) => protocol,
        }
    }

    fn reject(&self, error: AwsError, api: Option<&'static Api>, protocol: Protocol) -> Rejection {
        Rejection { error, api, protocol }
    }

    pub fn identify(self, body: &[u8], apis: &[&'static Api], bounds: &Bounds) -> Result<Identified, Rejection> {
        let mut form = Tree::default();
        if self.is_form() || self.head.query().contains("Action=") {
            let body = if self.is_form() { body } else { b"" };
            let read = form.read(self.head.query().as_bytes(), bounds).and_then(|()| {
                let body = plain(body, self.head.header("content-encoding"), bounds)?;
                form.read(&body, bounds)
            });
            read.map_err(|error| self.reject(error.render("MalformedQueryString"), None, Protocol::Query))?;
        }
        let candidates = self.candidates(apis, &form);
        let Some(api) = self.choose(&candidates, &form) else {
            let named = self.scope.as_ref().map_or_else(String::new, |scope| format!(" '{}'", scope.service));
            let name = self.operation_name(&form).unwrap_or("");
            let protocol = self.protocol_of_strangers(&form);
            let text = match name {
                "" => format!("The service{named} is not implemented by Zonal: COVERAGE.md lists what is."),
                name => format!("{name} of the service{named} is not implemented by Zonal: COVERAGE.md lists what is."),
            };
            let error = unknown(protocol, None, name, &text);
            return Err(self.reject(error, None, protocol));
        };
        self.operation(api, form, bounds)
    }

    /// The services that the request may mean: by the first hint that any service fits.
    fn candidates(&self, apis: &[&'static Api], form: &Tree) -> Vec<&'static Api> {
        let fitting = |fits: &dyn Fn(&Api) -> bool| -> Vec<&'static Api> {
            apis.iter().copied().filter(|api| fits(api)).collect()
        };
        if let Some(scope) = &self.scope {
            // A signature for a service that is not here is not for another one.
            return fitting(&|api| api.signing == scope.service);
        }
        if let Some((prefix, _)) = self.target.or(self.rpc) {
            return fitting(&|api| api.target == prefix);
        }
        let host = self.head.header("host").or_else(|| self.head.uri.host()).unwrap_or("");
        let labels: Vec<&str> = host.split(['.', ':']).collect();
        let found = fitting(&|api| labels.contains(&api.endpoint));
        if !found.is_empty() {
            return found;
        }
        if form.get("Action").is_some() {
            return fitting(&|api| form.get("Version") == Some(api.version));
        }
        apis.iter().copied().filter(|api| self.route(api).is_some()).collect()
    }

    fn route(&self, api: &'static Api) -> Option<crate::rest::Route> {
        let rest = api.protocols.iter().any(|p| matches!(p, Protocol::RestXml | Protocol::RestJson));
        let found = || route(api, self.head.method.as_str(), self.head.path(), self.head.query()).ok()?;
        if rest { found() } else { None }
    }

    /// Of several with the same signing name, the one of that version or that knows the operation.
    fn choose(&self, candidates: &[&'static Api], form: &Tree) -> Option<&'static Api> {
        let version = form.get("Version");
        let name = self.operation_name(form);
        let by = |fits: &dyn Fn(&Api) -> bool| candidates.iter().copied().find(|api| fits(api));
        by(&|api| version == Some(api.version) && name.is_some_and(|name| api.operation(name).is_some()))
            .or_else(|| by(&|api| name.is_some_and(|name| api.operation(name).is_some())))
            .or_else(|| by(&|api| version == Some(api.version)))
            .or_else(|| candidates.first().copied())
    }

    fn operation_name<'b>(&'b self, form: &'b Tree) -> Option<&'b str> {
        self.rpc.or(self.target).map(|(_, name)| name).or_else(|| form.get("Action"))
    }

    fn operation(self, api: &'static Api, form: Tree, bounds: &Bounds) -> Result<Identified, Rejection> {
        let speaks = |wanted: &[Protocol]| api.protocols.iter().copied().find(|protocol| wanted.contains(protocol));
        let json = [self.protocol(), Protocol::Json11, Protocol::Json10];
        let form_like = form.get("Action").is_some() || self.is_form();
        let protocol = if self.rpc.is_some() {
            speaks(&[Protocol::RpcV2Cbor])
        } else if self.target.is_some() {
            speaks(&json[1..]).map(|protocol| if json[0] == Protocol::Json10 { Protocol::Json10 } else { protocol })
        } else {
            let by_form = if form_like { speaks(&[Protocol::Query, Protocol::Ec2]) } else { None };
            by_form.or_else(|| speaks(&[Protocol::RestXml, Protocol::RestJson]))
        };
        let Some(protocol) = protocol.or_else(|| speaks(&[Protocol::Query, Protocol::Ec2])) else {
            let protocol = self.protocol();
            let name = self.operation_name(&form).unwrap_or("");
            return Err(self.reject(unknown(protocol, Some(api), name, ""), Some(api), protocol));
        };
        let (found, parsed) = match protocol {
            Protocol::RestXml | Protocol::RestJson => match self.route(api) {
                Some(route) => (Some(route.operation), Parsed::Labels(route.labels)),
                None => (None, Parsed::Nothing),
            },
            Protocol::Query | Protocol::Ec2 => {
                let Some(name) = form.get("Action") else {
                    let error = AwsError::client("MissingAction", "The request must contain the parameter Action");
                    return Err(self.reject(error, Some(api), protocol));
                };
                (api.operation(name), Parsed::Form(form))
            }
            _ => (self.rpc.or(self.target).and_then(|(_, name)| api.operation(name)), Parsed::Nothing),
        };
        match found {
            Some(operation) => Ok(self.finish(api, operation, protocol, bounds, parsed)),
            None => {
                let name = match &parsed {
                    Parsed::Form(form) => form.get("Action").unwrap_or(""),
                    _ => self.rpc.or(self.target).map_or("", |(_, name)| name),
                };
                Err(self.reject(unknown(protocol, Some(api), name, ""), Some(api), protocol))
            }
        }
    }

    fn finish(
        self,
        api: &'static Api,
        operation: &'static OperationFacts,
        protocol: Protocol,
        bounds: &Bounds,
        parsed: Parsed,
    ) -> Identified {
        Identified { api, operation, protocol, scope: self.scope, bounds: *bounds, parsed }
    }
}

/// The signing names of AWS's services that speak rest-xml.
const REST_XML: &[&str] = &["cloudfront", "route53", "s3", "s3-object-lambda", "s3-outposts", "s3express"];

/// AWS's own answer to an operation that a service does not have, and that it is Zonal which lacks it; `message` says all of it
/// where no service is known.
pub(crate) fn unknown(protocol: Protocol, api: Option<&Api>, name: &str, message: &str) -> AwsError {
    let lacks = "(not implemented by Zonal: COVERAGE.md lists what is)";
    match (protocol, api) {
        (Protocol::Query, Some(api)) => {
            let text = format!("Could not find operation {name} for version {} {lacks}", api.version);
            AwsError::client("InvalidAction", text)
        }
        (Protocol::Ec2, _) => {
            let text = format!("The action {name} is not valid for this web service. {lacks}");
            AwsError::client("InvalidAction", text)
        }
        (Protocol::Query, None) => AwsError::client("InvalidAction", message),
        (Protocol::RestXml, None) => AwsError::client("NotImplemented", message).status(501),
        (protocol, _) => {
            let text = match (message, name) {
                ("", "") => format!("There is no such operation {lacks}"),
                ("", name) => format!("There is no operation {name} {lacks}"),
                (message, _) => message.to_owned(),
            };
            let error = AwsError::client("UnknownOperationException", text);
            if matches!(protocol, Protocol::Json10 | Protocol::Json11) { error } else { error.status(404) }
        }
    }
}
