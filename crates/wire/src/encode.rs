//! From an operation's output, or an error, to an answer's bytes, for each protocol.

use crate::door::{Identified, Response};
use crate::facts::{Api, Kind, Location, OperationFacts, Protocol};
use crate::json::{self, Names};
use crate::{AwsError, Structure, View, cbor, rest, xml};
use serde_json::{Map, Value};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The answer of success.
pub(crate) fn output(identified: &Identified, output: &dyn Structure, request_id: &str) -> Response {
    let operation = identified.operation;
    let protocol = identified.protocol;
    let members = output.facts().members;
    let body = match protocol {
        Protocol::Query => query_output(identified, output, request_id),
        Protocol::Ec2 => ec2_output(identified, output, request_id),
        Protocol::Json10 | Protocol::Json11 => json::write(output, Names::Wire).to_string().into_bytes(),
        Protocol::RpcV2Cbor => {
            let mut body = Vec::new();
            cbor::write(&mut body, output);
            body
        }
        Protocol::RestJson | Protocol::RestXml => match payload(output) {
            Some(body) => body,
            None if members.is_empty() => Vec::new(),
            None if protocol == Protocol::RestJson => payload_structure(output)
                .map_or_else(|| json::write(output, Names::Wire), |inner| json::write(inner, Names::Wire))
                .to_string()
                .into_bytes(),
            None => rest_xml_output(identified, output),
        },
    };
    let mut response = respond(operation.status, protocol, body, request_id);
    if matches!(protocol, Protocol::RestJson | Protocol::RestXml) {
        let (status, headers) = rest::head(output, operation.status);
        response.status = status;
        response.headers.extend(headers);
    }
    response
}

fn respond(status: u16, protocol: Protocol, body: Vec<u8>, request_id: &str) -> Response {
    let media = match protocol {
        Protocol::Query | Protocol::RestXml => "text/xml",
        Protocol::Ec2 => "text/xml;charset=UTF-8",
        Protocol::Json10 => "application/x-amz-json-1.0",
        Protocol::Json11 => "application/x-amz-json-1.1",
        Protocol::RestJson => "application/json",
        Protocol::RpcV2Cbor => "application/cbor",
    };
    let mut headers =
        vec![("x-amzn-RequestId".to_owned(), request_id.to_owned()), ("Content-Type".to_owned(), media.to_owned())];
    match protocol {
        Protocol::RpcV2Cbor => headers.push(("smithy-protocol".to_owned(), "rpc-v2-cbor".to_owned())),
        Protocol::RestXml => headers.push(("x-amz-request-id".to_owned(), request_id.to_owned())),
        _ => {}
    }
    Response { status, headers, body }
}

fn open(out: &mut Vec<u8>, name: &str, namespace: &str) {
    // What is no service's has none.
    if namespace.is_empty() {
        out.extend_from_slice(format!("<{name}>").as_bytes());
        return;
    }
    out.extend_from_slice(format!("<{name} xmlns=\"").as_bytes());
    xml::escape(out, namespace);
    out.extend_from_slice(b"\">");
}

fn close(mut out: Vec<u8>, name: &str) -> Vec<u8> {
    out.extend_from_slice(format!("</{name}>").as_bytes());
    out
}

fn query_output(identified: &Identified, output: &dyn Structure, request_id: &str) -> Vec<u8> {
    let operation = identified.operation;
    let root = format!("{}Response", operation.name);
    let mut out = Vec::new();
    open(&mut out, &root, identified.api.namespace);
    if operation.wrapper.is_empty() {
        xml::write(&mut out, output);
    } else {
        xml::wrap(&mut out, operation.wrapper, |out| xml::write(out, output));
    }
    xml::wrap(&mut out, "ResponseMetadata", |out| xml::text(out, "RequestId", request_id));
    close(out, &root)
}

fn ec2_output(identified: &Identified, output: &dyn Structure, request_id: &str) -> Vec<u8> {
    let root = format!("{}Response", identified.operation.name);
    let mut out = DECLARATION.as_bytes().to_vec();
    // EC2's own namespaces end in a slash, which the model leaves out.
    open(&mut out, &root, &format!("{}/", identified.api.namespace.trim_end_matches('/')));
    xml::text(&mut out, "requestId", request_id);
    if output.facts().members.is_empty() {
        xml::text(&mut out, "return", "true");
    }
    xml::write(&mut out, output);
    close(out, &root)
}

fn rest_xml_output(identified: &Identified, output: &dyn Structure) -> Vec<u8> {
    let (root, inner) = match payload_structure(output) {
        Some(inner) => (inner.facts().name, inner),
        None => (output.facts().name, output),
    };
    let mut out = DECLARATION.as_bytes().to_vec();
    open(&mut out, root, identified.api.namespace);
    xml::write(&mut out, inner);
    close(out, root)
}

/// A body that is a member as it stands.
fn payload(output: &dyn Structure) -> Option<Vec<u8>> {
    let members = output.facts().members.iter().enumerate();
    members.filter(|(_, facts)| facts.location == Location::Payload).find_map(|(index, facts)| {
        match output.view(index) {
            View::Blob(bytes) => Some(bytes.to_vec()),
            View::String(text) => Some(text.as_bytes().to_vec()),
            View::Absent if !matches!(facts.kind, Kind::Structure(_)) => Some(Vec::new()),
            _ => None,
        }
    })
}

fn payload_structure(output: &dyn Structure) -> Option<&dyn Structure> {
    let index = output.facts().members.iter().position(|facts| facts.location == Location::Payload)?;
    if let View::Structure(inner) = output.view(index) { Some(inner) } else { None }
}

/// The answer of failure.
pub(crate) fn error(
    api: Option<&Api>,
    operation: Option<&OperationFacts>,
    protocol: Protocol,
    error: &AwsError,
    request_id: &str,
) -> Response {
    let modelled = api.and_then(|api| api.error(&error.code, operation));
    let name = modelled.map_or(&*error.code, |facts| facts.name);
    let namespace = api.map_or("", |api| api.namespace);
    let body = match protocol {
        Protocol::RestXml if api.is_none() => bare_error(error, request_id),
        Protocol::Query | Protocol::RestXml => query_error(namespace, error, request_id),
        Protocol::Ec2 => ec2_error(error, request_id),
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => json_error(name, error).into_bytes(),
        Protocol::RpcV2Cbor => cbor_error(api, name, error),
    };
    let mut response = respond(error.status, protocol, body, request_id);
    if protocol == Protocol::RestJson {
        response.headers.push(("x-amzn-ErrorType".to_owned(), name.to_owned()));
    }
    let compatible = api.is_some_and(|api| api.query_compatible);
    if compatible && matches!(protocol, Protocol::Json10 | Protocol::Json11 | Protocol::RpcV2Cbor) {
        let value = format!("{};{}", error.code, error.fault.as_str());
        response.headers.push(("x-amzn-query-error".to_owned(), value));
    }
    response
}

fn query_error(namespace: &str, error: &AwsError, request_id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    open(&mut out, "ErrorResponse", namespace);
    xml::wrap(&mut out, "Error", |out| {
        xml::text(out, "Type", error.fault.as_str());
        code_and_message(out, error);
    });
    xml::text(&mut out, "RequestId", request_id);
    close(out, "ErrorResponse")
}

/// As S3 writes it.
fn bare_error(error: &AwsError, request_id: &str) -> Vec<u8> {
    let mut out = DECLARATION.as_bytes().to_vec();
    xml::wrap(&mut out, "Error", |out| {
        code_and_message(out, error);
        xml::text(out, "RequestId", request_id);
    });
    out
}

fn ec2_error(error: &AwsError, request_id: &str) -> Vec<u8> {
    let mut out = DECLARATION.as_bytes().to_vec();
    xml::wrap(&mut out, "Response", |out| {
        xml::wrap(out, "Errors", |out| xml::wrap(out, "Error", |out| code_and_message(out, error)));
        xml::text(out, "RequestID", request_id);
    });
    out
}

fn code_and_message(out: &mut Vec<u8>, error: &AwsError) {
    xml::text(out, "Code", &error.code);
    xml::text(out, "Message", &error.message);
    for (name, value) in &error.extra {
        xml::text(out, name, value);
    }
}

fn json_error(name: &str, error: &AwsError) -> String {
    let mut map = Map::new();
    map.insert("__type".to_owned(), Value::String(name.to_owned()));
    map.insert("message".to_owned(), Value::String(error.message.clone()));
    for (key, value) in &error.extra {
        map.insert(key.clone(), Value::String(value.clone()));
    }
    Value::Object(map).to_string()
}

fn cbor_error(api: Option<&Api>, name: &str, error: &AwsError) -> Vec<u8> {
    // Shape ids are absolute in this protocol.
    let id = format!("com.amazonaws.{}#{name}", api.map_or("zonal", |api| api.service));
    let mut out = Vec::new();
    cbor::write_head(&mut out, 5, 2 + error.extra.len() as u64);
    let pairs = [("__type", id.as_str()), ("message", error.message.as_str())];
    let extra = error.extra.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    for (key, value) in pairs.into_iter().chain(extra) {
        cbor::write_text(&mut out, key);
        cbor::write_text(&mut out, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_service_answers_has_no_namespace() {
        let response = error(None, None, Protocol::Query, &AwsError::client("InvalidAction", "No."), "r-1");
        let body = String::from_utf8(response.body).expect("text");
        assert!(body.starts_with("<ErrorResponse><Error>"), "{body}");
    }
}
