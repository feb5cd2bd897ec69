//! Wait condition handles: the URLs that programs tell a stack by how their work went, and what they told.
//!
//! On AWS a handle is a presigned URL of S3's, and CloudFormation looks at what was put there. Here the daemon passes what is put
//! to [`receive`], which keeps it in the handle's record; whoever shows the URL's signature may tell, for as long as it is valid.
//!
//! Reference: "Create wait conditions in a CloudFormation template" (the URL, the JSON body and its members).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use zonal_cloud::{Record, Scope, Tx, ids};
use zonal_wire::Time;

/// How long a handle's URL is valid: a second less than a day, as AWS's say in `X-Amz-Expires`.
const VALID: Duration = Duration::from_secs(86_399);
/// The largest body that is taken.
const LARGEST: usize = 16 << 10;
/// How many senders one handle remembers: a hundred times what a template waits for, and a bound on what its URL's holder can store.
const MOST: usize = 1000;
/// What the paths of handles' URLs begin with.
const PATH: &str = "arn:aws:cloudformation:";

/// A handle that stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitHandle {
    key: String,
    /// What the URL proves itself by.
    signature: String,
    /// Until when it is valid.
    expires: Time,
    /// What was told, in the order it came; of each sender the first.
    pub told: Vec<Told>,
}

/// What a handle was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// How something went.
    Signal {
        /// `UniqueId`: who tells.
        id: String,
        /// Whether `Status` is `SUCCESS`.
        success: bool,
        /// `Reason`.
        reason: String,
        /// `Data`.
        data: String,
    },
    /// Something that is no signal.
    Unparsable,
}

/// Why a signal is not taken, as S3 says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The URL is none that was given out, or is used with another method.
    Signature,
    /// The URL is no longer valid.
    Expired,
    /// The body is too large.
    Size,
}

impl Refusal {
    /// The HTTP status, S3's code, and its sentence.
    pub fn words(self) -> (u16, &'static str, &'static str) {
        match self {
            Refusal::Signature => (
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            ),
            Refusal::Expired => (403, "AccessDenied", "Request has expired"),
            Refusal::Size => {
                (400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size (16384 bytes here)")
            }
        }
    }
}

impl Record for WaitHandle {
    const TABLE: &'static str = "cloudformation.wait_handle";

    fn key(&self) -> &str {
        &self.key
    }
}

impl WaitHandle {
    /// A new handle, named by the stack's id and its logical id.
    ///
    /// # Returns
    /// It and its URL.
    pub fn new(tx: &mut Tx<'_>, stack: &str, logical_id: &str) -> (Self, String) {
        let key = format!("{stack}/{logical_id}");
        let region = tx.scope.region.to_string();
        let signature = ids::hex(64, tx.chance());
        let signer = format!("AKIA{}", ids::alphanumeric(16, tx.chance()).to_ascii_uppercase());
        let basic: String = tx.now.iso8601().chars().filter(|letter| !['-', ':'].contains(letter)).collect();
        let day = basic.split('T').next().unwrap_or_default();
        let url = format!(
            "https://cloudformation-waitcondition-{region}.s3.amazonaws.com/{}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={basic}&X-Amz-SignedHeaders=host&X-Amz-Expires={}&X-Amz-Credential={signer}%2F{day}%2F{region}%2Fs3%2Faws4_request&X-Amz-Signature={signature}",
            key.replace(':', "%3A"),
            VALID.as_secs(),
        );
        (WaitHandle { key, signature, expires: tx.now + VALID, told: Vec::new() }, url)
    }

    /// The key of the handle that a URL is of; `None` where it is of none.
    pub fn key_of(url: &str) -> Option<String> {
        let (_, rest) = url.split_once("://")?;
        let (_, path) = rest.split_once('/')?;
        name_in(path.split('?').next()?)
    }

    /// The data of the first successes, so many of them, as `Fn::GetAtt` gives them: an object's text.
    pub fn data(&self, count: usize) -> Value {
        let successes = self.told.iter().filter_map(|told| match told {
            Told::Signal { id, success: true, data, .. } => Some((id.clone(), json!(data))),
            Told::Signal { .. } | Told::Unparsable => None,
        });
        json!(Value::Object(successes.take(count).collect()).to_string())
    }

    /// Takes in what was put.
    fn tell(&mut self, body: &[u8]) {
        let told = Told::read(body);
        let again = self.told.iter().any(|before| match (before, &told) {
            (Told::Signal { id: before, .. }, Told::Signal { id, .. }) => before == id,
            (Told::Unparsable, Told::Unparsable) => true,
            _ => false,
        });
        if !again && self.told.len() < MOST {
            self.told.push(told);
        }
    }
}

impl Told {
    /// Reads a body.
    fn read(body: &[u8]) -> Told {
        let members = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let text = |name: &str| match &members[name] {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(members[name].to_string()),
            _ => None,
        };
        let success = match text("Status").as_deref() {
            Some("SUCCESS") => true,
            Some("FAILURE") => false,
            _ => return Told::Unparsable,
        };
        match text("UniqueId").filter(|id| !id.is_empty()) {
            Some(id) => Told::Signal {
                id,
                success,
                reason: text("Reason").unwrap_or_default(),
                data: text("Data").unwrap_or_default(),
            },
            None => Told::Unparsable,
        }
    }
}

/// Whose stack the handle is of that a request's path names; `None` where it names none.
pub fn scope_of(path: &str) -> Option<Scope> {
    let key = name_in(path.strip_prefix('/')?)?;
    let mut parts = key.strip_prefix(PATH)?.split(':');
    let (region, account) = (parts.next()?, parts.next()?);
    Some(Scope::new(account, region))
}

/// A signal that was put to a handle's URL.
///
/// # Errors
/// The URL is not one that is valid now, or the body is too large: nothing is kept then.
pub fn receive(tx: &mut Tx<'_>, (path, query): (&str, &str), body: &[u8]) -> Result<(), Refusal> {
    let key = path.strip_prefix('/').and_then(name_in).ok_or(Refusal::Signature)?;
    let signature =
        query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Signature=")).ok_or(Refusal::Signature)?;
    let now = tx.now;
    let handle = tx.get::<WaitHandle>(&key).filter(|handle| {
        // As long for each wrong one.
        handle.signature.as_bytes().ct_eq(signature.as_bytes()).into()
    });
    let expires = handle.map(|handle| handle.expires).ok_or(Refusal::Signature)?;
    if now >= expires {
        return Err(Refusal::Expired);
    }
    if body.len() > LARGEST {
        return Err(Refusal::Size);
    }
    tx.update::<WaitHandle, _>(&key, |handle| handle.tell(body));
    Ok(())
}

/// The handle's name in a path without its first slash. Nothing else in it is ever encoded.
fn name_in(path: &str) -> Option<String> {
    let name = ["%3A", "%3a"].iter().fold(path.to_owned(), |name, colon| name.replace(colon, ":"));
    let name = name.replace("%2F", "/").replace("%2f", "/");
    (name.starts_with(PATH) && name.split(':').nth(5)?.starts_with("stack/")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(id: &str, success: bool, reason: &str, data: &str) -> Told {
        Told::Signal { id: id.into(), success, reason: reason.into(), data: data.into() }
    }

    #[test]
    fn a_body_is_a_signal_if_it_says_how_it_went_and_who_it_is() {
        let all = br#"{"Status": "SUCCESS", "Reason": "done", "UniqueId": "one", "Data": "d"}"#;
        assert_eq!(Told::read(all), signal("one", true, "done", "d"));
        assert_eq!(Told::read(br#"{"Status": "FAILURE", "UniqueId": 7}"#), signal("7", false, "", ""));
        for wrong in ["", "{", "[]", "null", r#"{"Status": "SUCCESS"}"#, r#"{"Status": "success", "UniqueId": "a"}"#] {
            assert_eq!(Told::read(wrong.as_bytes()), Told::Unparsable, "{wrong}");
        }
    }

    #[test]
    fn a_handle_keeps_the_first_word_of_each_sender_and_no_more_than_its_bound() {
        let mut handle = WaitHandle { key: "k".into(), signature: "s".into(), expires: Time(0), told: Vec::new() };
        for data in ["first", "again"] {
            handle.tell(format!(r#"{{"Status": "SUCCESS", "UniqueId": "a", "Data": "{data}"}}"#).as_bytes());
        }
        assert_eq!(handle.told, [signal("a", true, "", "first")]);
        (0..2 * MOST).for_each(|id| handle.tell(format!(r#"{{"Status": "SUCCESS", "UniqueId": {id}}}"#).as_bytes()));
        assert_eq!(handle.told.len(), MOST);
        assert_eq!(handle.data(2), json!(r#"{"0":"","a":"first"}"#));
    }

    #[test]
    fn a_urls_path_names_the_handle_however_it_is_encoded() {
        let name = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/u/Handle";
        for path in [name.to_owned(), name.replace(':', "%3A"), name.replace(':', "%3a").replace('/', "%2F")] {
            let found = WaitHandle::key_of(&format!("https://b.s3.amazonaws.com/{path}?X-Amz-Signature=1"));
            assert_eq!(found.as_deref(), Some(name));
            assert_eq!(scope_of(&format!("/{path}")), Some(Scope::new("111122223333", "eu-west-1")));
        }
        for other in ["/", "/bucket/key", "/arn:aws:s3:::b", "/arn:aws:cloudformation:eu-west-1:1:changeSet/s/u"] {
            assert_eq!(scope_of(other), None, "{other}");
        }
    }
}
