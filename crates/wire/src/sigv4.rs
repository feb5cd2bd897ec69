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
        let whole =
            terminator == "aws4_request" && [service, region, date, access_key].iter().all(|part| !part.is_empty());
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
                return Err(incomplete(format!(
                    "Unsupported AWS 'algorithm': '{}'",
                    value.split(' ').next().unwrap_or("")
                )));
            };
            let field = |name: &str| rest.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            let needed = |name: &str| {
                field(name).ok_or_else(|| {
                    incomplete(format!("Authorization header requires '{name}' parameter. Authorization={value}"))
                })
            };
            let date = head.header("x-amz-date").or_else(|| head.header("date"));
            return Claim::from(needed("Credential")?, needed("SignedHeaders")?, needed("Signature")?, date, None)
                .map(Some);
        }
        let query = pairs(head.query()).map_err(|error| incomplete(error.to_string()))?;
        let field = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if field("X-Amz-Algorithm") != Some(ALGORITHM) {
            return Ok(None);
        }
        let needed = |name: &str| {
            field(name).ok_or_else(|| incomplete(format!("AWS query-string parameters must include '{name}'")))
        };
        let seconds = needed("X-Amz-Expires")?
            .parse()
            .map(Duration::from_secs)
            .map_err(|_| incomplete("X-Amz-Expires should be a number"))?;
        let (credential, headers) = (needed("X-Amz-Credential")?, needed("X-Amz-SignedHeaders")?);
        Claim::from(credential, headers, needed("X-Amz-Signature")?, Some(needed("X-Amz-Date")?), Some(seconds))
            .map(Some)
    }

    fn from(
        credential: &str,
        headers: &str,
        signature: &str,
        date: Option<&str>,
        expires: Option<Duration>,
    ) -> Result<Claim, AwsError> {
        let scope = Scope::parse(credential).ok_or_else(|| {
            incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
                 '{credential}'"
            ))
        })?;
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

/// The session token that a request of a temporary key carries.
#[must_use]
pub fn session_token(head: &RequestHead) -> Option<String> {
    let header = head.header("x-amz-security-token").map(str::to_owned);
    header.or_else(|| {
        pairs(head.query()).ok()?.into_iter().find(|(name, _)| name == "X-Amz-Security-Token").map(|(_, t)| t)
    })
}

/// Whether the request was signed with `secret`, recently. `body_sha` is the body's SHA-256 in hexadecimal.
///
/// # Errors
/// `MissingAuthenticationToken`, `IncompleteSignature`, `SignatureDoesNotMatch`, as AWS answers them.
pub fn verify(head: &RequestHead, body_sha: &str, secret: &str, now: Time) -> Result<Scope, AwsError> {
    let missing =
        || AwsError::client("MissingAuthenticationToken", "Request is missing Authentication Token").status(403);
    let claim = Claim::of(head)?.ok_or_else(missing)?;
    let stamp = claim.date.as_deref().and_then(Time::parse);
    let at = stamp.ok_or_else(|| {
        incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    })?;
    fresh(&claim, at, now)?;
    if !claim.signed_headers.iter().any(|name| name == "host") {
        return Err(mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."));
    }
    let payload = payload(head, &claim, body_sha)?;
    let request = canonical(head, &claim, &payload);
    let to_sign =
        format!("{ALGORITHM}\n{}\n{}\n{}", at.basic(), claim.scope.text(), hex(&Sha256::digest(request.as_bytes())));
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
        return Err(mismatch(format!(
            "Signature expired: {at} is now earlier than {limit} ({} - {} min.)",
            now.basic(),
            lives.as_secs() / 60
        )));
    }
    if at > now + SKEW {
        let (at, limit) = (at.basic(), (now + SKEW).basic());
        return Err(mismatch(format!(
            "Signature not yet current: {at} is still later than {limit} ({} + 15 min.)",
            now.basic()
        )));
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
            .map(|value| {
                String::from_utf8_lossy(value.as_bytes()).split_ascii_whitespace().collect::<Vec<_>>().join(" ")
            })
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const S3_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> RequestHead {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        RequestHead::from(request.body(()).expect("a request").into_parts().0)
    }

    fn at(stamp: &str) -> Time {
        Time::parse(stamp).expect("a stamp")
    }

    fn example(method: &str, uri: &str, extra: &[(&str, &str)], signed: &str, signature: &str) -> RequestHead {
        let authorization = format!(
            "{ALGORITHM} Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={signed}, Signature={signature}"
        );
        let mut headers = vec![("Host", "example.amazonaws.com"), ("X-Amz-Date", "20150830T123600Z")];
        headers.extend_from_slice(extra);
        headers.push(("Authorization", &authorization));
        head(method, uri, &headers)
    }

    const VANILLA: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

    #[test]
    fn the_published_test_suite_verifies() {
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        for (request, body) in [
            (example("GET", "/", &[], "host;x-amz-date", VANILLA), ""),
            (example("GET", "/example/..", &[], "host;x-amz-date", VANILLA), ""),
            (example("GET", "//./", &[], "host;x-amz-date", VANILLA), ""),
            (
                example(
                    "GET",
                    "/?Param2=value2&Param1=value1",
                    &[],
                    "host;x-amz-date",
                    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
                ),
                "",
            ),
            (
                example(
                    "POST",
                    "/",
                    &[],
                    "host;x-amz-date",
                    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
                ),
                "",
            ),
            (
                example(
                    "POST",
                    "/",
                    &[form],
                    "content-type;host;x-amz-date",
                    "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
                ),
                "Param1=value1",
            ),
        ] {
            let verdict = verify(&request, &body_sha(body.as_bytes()), SECRET, at("20150830T123600Z"));
            assert_eq!(
                verdict.map(|scope| scope.access_key),
                Ok("AKIDEXAMPLE".to_owned()),
                "{} {}",
                request.method,
                request.uri
            );
        }
    }

    #[test]
    fn the_published_example_of_iam_verifies() {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                             SignedHeaders=content-type;host;x-amz-date, \
                             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        let request = head(
            "GET",
            "/?Action=ListUsers&Version=2010-05-08",
            &[
                ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
                ("Host", "iam.amazonaws.com"),
                ("X-Amz-Date", "20150830T123600Z"),
                ("Authorization", authorization),
            ],
        );
        assert!(verify(&request, &body_sha(b""), SECRET, at("20150830T124000Z")).is_ok());
    }

    #[test]
    fn the_published_examples_of_s3_verify() {
        let presigned = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
            &X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
            &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        let request = head("GET", presigned, &[("Host", "examplebucket.s3.amazonaws.com")]);
        assert!(verify(&request, &body_sha(b""), S3_SECRET, at("20130524T230000Z")).is_ok());
        let late = verify(&request, &body_sha(b""), S3_SECRET, at("20130525T000001Z")).expect_err("expired");
        assert!(late.message.starts_with("Signature expired"), "{late}");

        let empty = body_sha(b"");
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
            SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
            Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        let request = head(
            "GET",
            "/test.txt",
            &[
                ("Host", "examplebucket.s3.amazonaws.com"),
                ("Range", "bytes=0-9"),
                ("x-amz-content-sha256", &empty),
                ("x-amz-date", "20130524T000000Z"),
                ("Authorization", authorization),
            ],
        );
        assert!(verify(&request, &empty, S3_SECRET, at("20130524T000000Z")).is_ok());
        let other = verify(&request, &body_sha(b"other"), S3_SECRET, at("20130524T000000Z"));
        assert_eq!(other.expect_err("refused").code, "XAmzContentSHA256Mismatch");
    }

    #[test]
    fn what_differs_from_what_was_signed_is_refused() {
        let now = at("20150830T123600Z");
        let good = example("GET", "/", &[], "host;x-amz-date", VANILLA);
        let refused = |request: &RequestHead, body: &[u8], secret: &str, now: Time| {
            verify(request, &body_sha(body), secret, now).expect_err("refused").code
        };
        assert_eq!(refused(&good, b"", "another", now), "SignatureDoesNotMatch");
        assert_eq!(refused(&good, b"x", SECRET, now), "SignatureDoesNotMatch");
        assert_eq!(refused(&good, b"", SECRET, now + Duration::from_secs(16 * 60)), "SignatureDoesNotMatch");
        assert_eq!(refused(&good, b"", SECRET, now - Duration::from_secs(16 * 60)), "SignatureDoesNotMatch");
        let path = example("GET", "/other", &[], "host;x-amz-date", VANILLA);
        assert_eq!(refused(&path, b"", SECRET, now), "SignatureDoesNotMatch");
        let hostless = example("GET", "/", &[], "x-amz-date", VANILLA);
        assert_eq!(refused(&hostless, b"", SECRET, now), "SignatureDoesNotMatch");
        assert_eq!(refused(&head("GET", "/", &[]), b"", SECRET, now), "MissingAuthenticationToken");
        for header in
            ["AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0", "Basic eDp5"]
        {
            assert_eq!(
                refused(&head("GET", "/", &[("Authorization", header)]), b"", SECRET, now),
                "IncompleteSignature",
                "{header}"
            );
        }
    }
}
