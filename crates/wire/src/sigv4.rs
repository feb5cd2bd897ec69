//! AWS Signature Version 4, the verifying side ("Create a signed AWS API request" in AWS's General Reference): in the
//! `Authorization` header or, presigned, in the query string.

use crate::door::RequestHead;
use crate::form::pairs;
use crate::{AwsError, Time};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// How far the clocks of caller and service may be apart.
const SKEW: Duration = Duration::from_secs(15 * 60);
/// The longest that a presigned request may live.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Who signed, for where: the credential scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The access key's id.
    pub access_key: String,
    /// `20261124`
    pub date: String,
    /// `us-east-1`
    pub region: String,
    /// The service's signing name: `elasticloadbalancing`.
    pub service: String,
}

impl Scope {
    /// Reads `AKIA…/20261124/us-east-1/ec2/aws4_request`.
    pub fn parse(text: &str) -> Option<Scope> {
        let mut parts = text.rsplitn(5, '/');
        let terminator = parts.next()?;
        let (service, region, date, access_key) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let whole = terminator == "aws4_request" && [service, region, date, access_key].iter().all(|part| !part.is_empty());
        whole.then(|| Scope {
            access_key: access_key.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }

    /// The scope that a request claims, verified or not.
    pub fn of(head: &RequestHead) -> Option<Scope> {
        Claim::of(head).ok()?.map(|claim| claim.scope)
    }

    fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// What a request says about its signature.
struct Claim {
    scope: Scope,
    signed_headers: Vec<String>,
    signature: String,
    date: Option<String>,
    /// Of a presigned request: how long it lives.
    expires: Option<Duration>,
}

impl Claim {
    /// `None` if the request is not signed.
    fn of(head: &RequestHead) -> Result<Option<Claim>, AwsError> {
        if let Some(value) = head.header("authorization") {
            let Some(rest) = value.strip_prefix(ALGORITHM) else {
                return Err(incomplete(format!("Unsupported AWS 'algorithm': '{}'", value.split(' ').next().unwrap_or(""))));
            };
            let field = |name: &str| rest.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            let needed = |name: &str| {
                field(name).ok_or_else(|| incomplete(format!("Authorization header requires '{name}' parameter. Authorization={value}")))
            };
            let date = head.header("x-amz-date").or_else(|| head.header("date"));
            return Claim::from(needed("Credential")?, needed("SignedHeaders")?, needed("Signature")?, date, None).map(Some);
        }
        let query = pairs(head.query()).map_err(|error| incomplete(error.to_string()))?;
        let field = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if field("X-Amz-Algorithm") != Some(ALGORITHM) {
            return Ok(None);
        }
        let needed = |name: &str| {
            field(name).ok_or_else(|| incomplete(format!("AWS query-string parameters must include '{name}'")))
        };
        let seconds = needed("X-Amz-Expires")?.parse().map(Duration::from_secs).map_err(|_| incomplete("X-Amz-Expires should be a number"))?;
        let (credential, headers) = (needed("X-Amz-Credential")?, needed("X-Amz-SignedHeaders")?);
        Claim::from(credential, headers, needed("X-Amz-Signature")?, Some(needed("X-Amz-Date")?), Some(seconds)).map(Some)
    }

    fn from(
        credential: &str,
        headers: &str,
        signature: &str,
        date: Option<&str>,
        expires: Option<Duration>,
    ) -> Result<Claim, AwsError> {
        let scope = Scope::parse(credential)
            .ok_or_else(|| incomplete(format!("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'")))?;
        Ok(Claim {
            scope,
            signed_headers: headers.split(';').map(str::to_ascii_lowercase).collect(),
            signature: signature.to_owned(),
            date: date.map(str::to_owned),
            expires,
        })
    }
}

fn incomplete(message: impl Into<String>) -> AwsError {
    AwsError::client("IncompleteSignature", message)
}

fn mismatch(message: impl Into<String>) -> AwsError {
    AwsError::client("SignatureDoesNotMatch", message).status(403)
}

/// Whether the request was signed with `secret`, recently. `body_sha` is the body's SHA-256 in hexadecimal.
///
/// # Errors
/// `MissingAuthenticationToken`, `IncompleteSignature`, `SignatureDoesNotMatch`, as AWS answers them.
pub fn verify(head: &RequestHead, body_sha: &str, secret: &str, now: Time) -> Result<Scope, AwsError> {
    let missing = || AwsError::client("MissingAuthenticationToken", "Request is missing Authentication Token").status(403);
    let claim = Claim::of(head)?.ok_or_else(missing)?;
    let stamp = claim.date.as_deref().and_then(Time::parse);
    let at = stamp.ok_or_else(|| incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."))?;
    fresh(&claim, at, now)?;
    if !claim.signed_headers.iter().any(|name| name == "host") {
        return Err(mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."));
    }
    let payload = payload(head, &claim, body_sha)?;
    let request = canonical(head, &claim, &payload);
    let to_sign = format!("{ALGORITHM}\n{}\n{}\n{}", at.basic(), claim.scope.text(), hex(&Sha256::digest(request.as_bytes())));
    let expected = sign(secret, &claim.scope, &to_sign);
    if bool::from(expected.as_bytes().ct_eq(claim.signature.as_bytes())) {
        Ok(claim.scope)
    } else {
        Err(mismatch(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
             and signing method. Consult the service documentation for details.",
        ))
    }
}

fn fresh(claim: &Claim, at: Time, now: Time) -> Result<(), AwsError> {
    if at.basic()[..8] != claim.scope.date {
        return Err(mismatch(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from '{}'.",
            claim.scope.date,
            &at.basic()[..8],
            at.basic()
        )));
    }
    let lives = claim.expires.map_or(SKEW, |expires| expires.min(LONGEST));
    if at + lives < now {
        let (at, limit) = (at.basic(), (now - lives).basic());
        return Err(mismatch(format!("Signature expired: {at} is now earlier than {limit} ({} - {} min.)", now.basic(), lives.as_secs() / 60)));
    }
    if at > now + SKEW {
        let (at, limit) = (at.basic(), (now + SKEW).basic());
        return Err(mismatch(format!("Signature not yet current: {at} is still later than {limit} ({} + 15 min.)", now.basic())));
    }
    Ok(())
}

/// The payload's hash as signed. What a header claims must be true of the body, unless it claims nothing.
fn payload(head: &RequestHead, claim: &Claim, body_sha: &str) -> Result<String, AwsError> {
    match head.header("x-amz-content-sha256") {
        Some(claimed) if claimed == UNSIGNED || claimed.starts_with("STREAMING-") => Ok(claimed.to_owned()),
        Some(claimed) if claimed.eq_ignore_ascii_case(body_sha) => Ok(claimed.to_owned()),
        Some(_) => Err(AwsError::client(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )),
        None if claim.expires.is_some() && claim.scope.service == "s3" => Ok(UNSIGNED.to_owned()),
        None => Ok(body_sha.to_owned()),
    }
}

fn canonical(head: &RequestHead, claim: &Claim, payload: &str) -> String {
    let mut out = format!("{}\n{}\n{}\n", head.method, path(head.path(), &claim.scope.service), query(head.query()));
    for name in &claim.signed_headers {
        let values: Vec<String> = head
            .headers
            .get_all(name.as_str())
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).split_ascii_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        // HTTP/2 sends the host as `:authority`.
        let value = match (name.as_str(), values.is_empty(), head.uri.authority()) {
            ("host", true, Some(authority)) => authority.as_str().to_owned(),
            _ => values.join(","),
        };
        out.push_str(&format!("{name}:{value}\n"));
    }
    out + "\n" + &claim.signed_headers.join(";") + "\n" + payload
}

/// S3 signs the path as sent; all others normalize it and encode it once more.
fn path(raw: &str, service: &str) -> String {
    if service == "s3" {
        return raw.to_owned();
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = kept.pop(),
            other => kept.push(other),
        }
    }
    let slash = if raw.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    let mut out = String::from("/");
    out.extend(kept.join("/").bytes().map(|byte| encoded(byte, b"/")));
    out + slash
}

fn encoded(byte: u8, safe: &[u8]) -> String {
    let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || safe.contains(&byte);
    if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

/// The query string, sorted, without the signature itself.
fn query(raw: &str) -> String {
    let mut sorted: Vec<(String, String)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| *name != "X-Amz-Signature")
        .map(|(name, value)| (recode(name), recode(value)))
        .collect();
    sorted.sort();
    sorted.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Encoded exactly as signatures want it, however it was sent.
fn recode(text: &str) -> String {
    match crate::form::decode(text.as_bytes(), false) {
        Ok(plain) => plain.bytes().map(|byte| encoded(byte, b"")).collect(),
        Err(_) => text.to_owned(),
    }
}

fn sign(secret: &str, scope: &Scope, to_sign: &str) -> String {
    let key = mac(format!("AWS4{secret}").as_bytes(), &scope.date);
    let key = mac(&key, &scope.region);
    let key = mac(&key, &scope.service);
    hex(&mac(&mac(&key, "aws4_request"), to_sign))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The SHA-256 of a body, as [`verify`] takes it.
pub fn body_sha(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
