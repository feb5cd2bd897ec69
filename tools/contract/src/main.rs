//! The wire's side of the contract check (`clients/contract`): reads a line of JSON, decodes a request or encodes an
//! answer, writes a line of JSON. The other side is botocore.
#![forbid(unsafe_code)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead as _, Write as _};
use zonal_contract::APIS;
use zonal_wire::door::{self, Identified, RequestHead, Response};
use zonal_wire::{AwsError, Protocol, Time, sigv4, value};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(asked) => answer(&asked).unwrap_or_else(|problem| json!({ "problem": problem })),
            Err(error) => json!({ "problem": error.to_string() }),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(asked: &Value) -> Result<Value, String> {
    match asked["do"].as_str() {
        Some("decode") => decode(asked),
        Some("encode") => encode(asked),
        Some("fail") => fail(asked),
        _ => Err("do: decode, encode or fail".to_owned()),
    }
}

fn text<'a>(asked: &'a Value, key: &str) -> Result<&'a str, String> {
    asked[key].as_str().ok_or_else(|| format!("{key} is missing"))
}

fn decode(asked: &Value) -> Result<Value, String> {
    let mut request = http::Request::builder().method(text(asked, "method")?).uri(text(asked, "uri")?);
    for (name, value) in asked["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    let (parts, ()) = request.body(()).map_err(|error| error.to_string())?.into_parts();
    let head = RequestHead::from(parts);
    let body = STANDARD.decode(text(asked, "body")?).map_err(|error| error.to_string())?;
    let now = head.header("x-amz-date").and_then(Time::parse).unwrap_or_default();
    if let Err(error) = sigv4::verify(&head, &sigv4::body_sha(&body), text(asked, "secret")?, now) {
        return Ok(json!({ "error": error.to_string() }));
    }
    let identified = match door::identify(&head, &body, &APIS) {
        Ok(identified) => identified,
        Err(rejection) => {
            return Ok(json!({ "error": rejection.error.to_string(), "answer": shown(rejection.respond("id")) }));
        }
    };
    let named = json!({
        "service": identified.api.service,
        "operation": identified.operation.name,
        "protocol": format!("{:?}", identified.protocol),
    });
    match door::decode(&identified, &head, &body) {
        Ok(input) => Ok(json!({ "identified": named, "input": value::to_json(&*input) })),
        Err(error) => {
            let answer = shown(door::encode_error(Some(&identified), &error, "id"));
            Ok(json!({ "identified": named, "error": error.to_string(), "answer": answer }))
        }
    }
}

fn identified(asked: &Value) -> Result<Identified, String> {
    let service = text(asked, "service")?;
    let api = APIS.iter().find(|api| api.service == service).ok_or_else(|| format!("no service {service}"))?;
    let operation = api.operation(text(asked, "operation")?).ok_or("no such operation")?;
    let protocol = match text(asked, "protocol")? {
        "query" => Protocol::Query,
        "ec2" => Protocol::Ec2,
        "json" => *api
            .protocols
            .iter()
            .find(|protocol| matches!(protocol, Protocol::Json10 | Protocol::Json11))
            .ok_or("the service speaks no JSON")?,
        "rest-json" => Protocol::RestJson,
        "rest-xml" => Protocol::RestXml,
        "smithy-rpc-v2-cbor" => Protocol::RpcV2Cbor,
        other => return Err(format!("no protocol {other}")),
    };
    Ok(Identified::of(api, operation, protocol))
}

fn encode(asked: &Value) -> Result<Value, String> {
    let identified = identified(asked)?;
    let mut output = (identified.operation.new_output)();
    value::from_json(&asked["output"], &mut *output).map_err(|violations| violations.to_string())?;
    Ok(shown(door::encode_output(&identified, &*output, "the-request-id")))
}

fn fail(asked: &Value) -> Result<Value, String> {
    let identified = identified(asked)?;
    let error = AwsError::client(text(asked, "code")?.to_owned(), text(asked, "message")?).status(409);
    Ok(shown(door::encode_error(Some(&identified), &error, "the-request-id")))
}

fn shown(response: Response) -> Value {
    let headers: serde_json::Map<_, _> =
        response.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), Value::String(value))).collect();
    json!({ "status": response.status, "headers": headers, "body": STANDARD.encode(response.body) })
}
