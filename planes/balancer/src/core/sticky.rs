//! Stickiness: cookies that lead a client back to its target, or to its group.
//!
//! As the ALB guide has it (Sticky sessions; Weighted target groups): `AWSALB` and `AWSALBAPP-0` name
//! a target, `AWSALBTG` a group, each with a twin for requests across origins (`…CORS`) where there is
//! one. Browsers are told to keep them for a week; how long they are good for is inside, sealed, and
//! begins anew with every answer. A cookie that is forged, stale, or of a target that takes no
//! requests is as good as none.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::answer::http_date;
use super::route::Facts;
use super::trace::mix;

/// Cookies are kept by browsers for so long, whatever the duration of the stickiness.
const KEPT: u64 = 7 * 86_400;
/// Places that `AWSALBAPP-` has; what we say fits into the first.
const PLACES: usize = 4;
/// The value of a place that holds nothing.
const REMOVED: &str = "_remove_";

/// A short name for something, for use in cookies.
pub fn token(parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// What a cookie is for. One kind's cookie is no other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `AWSALB`
    Target,
    /// `AWSALBAPP`
    Application,
    /// `AWSALBTG`
    Group,
}

impl Kind {
    /// The names that it may come under, the first one preferred.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Target => &["AWSALB", "AWSALBCORS"],
            Self::Application => &["AWSALBAPP-0"],
            Self::Group => &["AWSALBTG", "AWSALBTGCORS"],
        }
    }
}

/// What is in a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// [`token`] of a target or a group.
    pub token: u64,
    /// Seconds since 1970 until which it is good.
    pub until: u64,
}

/// Nonce, contents, and so much of the authentication code.
const NONCE: usize = 8;
const CONTENTS: usize = 16;
const CODE: usize = 16;
/// A sealed cookie's bytes, before they are made text.
const LENGTH: usize = NONCE + CONTENTS + CODE;

/// Seals cookies and opens them. Whoever has not the secret can neither read one nor make one.
#[derive(Clone)]
pub struct Seal {
    stream: Hmac<Sha256>,
    code: Hmac<Sha256>,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seal")
    }
}

impl Seal {
    /// With a secret.
    pub fn new(secret: &str) -> Self {
        let keyed = |purpose: &[u8]| {
            let key = Sha256::new().chain_update(purpose).chain_update(secret.as_bytes()).finalize();
            let mut block = [0; 64];
            block[..32].copy_from_slice(&key);
            Hmac::<Sha256>::new(&block.into())
        };
        Self { stream: keyed(b"stream"), code: keyed(b"code") }
    }

    /// A cookie's value. The same `nonce` must not come twice with different contents.
    pub fn close(&self, kind: Kind, sealed: Sealed, nonce: u64) -> String {
        let mut bytes = [0; LENGTH];
        bytes[..NONCE].copy_from_slice(&nonce.to_be_bytes());
        bytes[NONCE..NONCE + 8].copy_from_slice(&sealed.token.to_be_bytes());
        bytes[NONCE + 8..NONCE + CONTENTS].copy_from_slice(&sealed.until.to_be_bytes());
        self.cipher(&mut bytes);
        let code = self.code(kind, &bytes);
        bytes[NONCE + CONTENTS..].copy_from_slice(&code);
        STANDARD.encode(bytes)
    }

    /// What is in a value, if it was closed with this secret for this kind.
    pub fn open(&self, kind: Kind, value: &[u8]) -> Option<Sealed> {
        let mut bytes = [0; LENGTH + 2];
        let length = STANDARD.decode_slice(value, &mut bytes).ok()?;
        let bytes: &mut [u8; LENGTH] = bytes.get_mut(..length)?.try_into().ok()?;
        let mut check = self.code.clone();
        check.update(&[kind as u8]);
        check.update(&bytes[..NONCE + CONTENTS]);
        check.verify_truncated_left(&bytes[NONCE + CONTENTS..]).ok()?;
        self.cipher(bytes);
        let number = |from: usize| bytes[from..from + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Some(Sealed { token: number(NONCE), until: number(NONCE + 8) })
    }

    /// What a request's cookie of that kind names, if it is still good.
    pub fn read(&self, kind: Kind, facts: &Facts<'_>) -> Option<u64> {
        let mut found = kind.names().iter().filter_map(|name| self.open(kind, cookie(facts, name.as_bytes())?));
        found.find(|sealed| sealed.until > facts.now).map(|sealed| sealed.token)
    }

    /// Hides the contents, or shows them again.
    fn cipher(&self, bytes: &mut [u8; LENGTH]) {
        let (nonce, rest) = bytes.split_at_mut(NONCE);
        let mut stream = self.stream.clone();
        stream.update(nonce);
        let stream = stream.finalize().into_bytes();
        rest.iter_mut().take(CONTENTS).zip(stream).for_each(|(byte, key)| *byte ^= key);
    }

    fn code(&self, kind: Kind, bytes: &[u8; LENGTH]) -> [u8; CODE] {
        let mut code = self.code.clone();
        code.update(&[kind as u8]);
        code.update(&bytes[..NONCE + CONTENTS]);
        let mut short = [0; CODE];
        short.copy_from_slice(&code.finalize().into_bytes()[..CODE]);
        short
    }
}

/// The value of a request's first cookie of that name.
pub fn cookie<'a>(facts: &Facts<'a>, name: &[u8]) -> Option<&'a [u8]> {
    let lines = facts.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("cookie"));
    lines.flat_map(|line| line.value.split(|byte| *byte == b';')).find_map(|pair| {
        let pair = pair.trim_ascii();
        pair.strip_prefix(name)?.strip_prefix(b"=")
    })
}

/// Whether a Set-Cookie header sets a cookie of that name.
pub fn sets(value: &[u8], name: &str) -> bool {
    value.trim_ascii_start().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
}

/// The cookies that an answer is to set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Set-Cookie values, whatever the answer is.
    cookies: Vec<String>,
    application: Option<ApplicationMark>,
}

/// Stickiness that waits for the target's own cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ApplicationMark {
    name: String,
    /// The client came with both cookies, and to its own target.
    stuck: bool,
    set: Vec<String>,
    removed: Vec<String>,
}

impl Marks {
    /// Whether there is nothing to set.
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty() && self.application.is_none()
    }

    /// The cookie that answers are looked through for.
    pub fn application_cookie(&self) -> Option<&str> {
        self.application.as_ref().map(|mark| mark.name.as_str())
    }

    /// The Set-Cookie values of an answer in which the target has, or has not, set its own cookie.
    pub fn cookies(&self, target_sets_its_own: bool) -> impl Iterator<Item = &str> {
        let application = self
            .application
            .as_ref()
            .map_or(&[][..], |mark| if mark.stuck || target_sets_its_own { &mark.set } else { &mark.removed });
        self.cookies.iter().chain(application).map(String::as_str)
    }
}

/// Makes the cookies of one answer.
pub struct Marker<'a> {
    /// Seals them.
    pub seal: &'a Seal,
    /// Seconds since 1970.
    pub now: u64,
    /// Turns virtual durations into real ones.
    pub real: &'a dyn Fn(Duration) -> Duration,
    /// Whether the client speaks TLS.
    pub secure: bool,
    /// A number that has not been here in this second.
    pub turn: u64,
}

impl Marker<'_> {
    /// The client stays with a target or a group.
    pub fn stick(&self, kind: Kind, token: u64, duration: Duration, marks: &mut Marks) {
        let value = self.seal(kind, token, duration);
        let expires = http_date(self.now + KEPT);
        let [name, cors] = match kind {
            Kind::Group => ["AWSALBTG", "AWSALBTGCORS"],
            _ => ["AWSALB", "AWSALBCORS"],
        };
        let secure = if self.secure { "; Secure" } else { "" };
        marks.cookies.push(format!("{name}={value}; Expires={expires}; Path=/"));
        marks.cookies.push(format!("{cors}={value}; Expires={expires}; Path=/; SameSite=None{secure}"));
    }

    /// The client stays with a target once that sets its own cookie.
    pub fn stick_by_application(&self, name: &str, stuck: bool, token: u64, duration: Duration, marks: &mut Marks) {
        let (value, expires) = (self.seal(Kind::Application, token, duration), http_date(self.now + KEPT));
        let place = |place: usize, value: &str| format!("AWSALBAPP-{place}={value}; Expires={expires}; Path=/");
        let value_at = |at: usize| if at == 0 { value.as_str() } else { REMOVED };
        marks.application = Some(ApplicationMark {
            name: name.to_owned(),
            stuck,
            set: (0..PLACES).map(|at| place(at, value_at(at))).collect(),
            removed: (0..PLACES).map(|at| place(at, REMOVED)).collect(),
        });
    }

    fn seal(&self, kind: Kind, token: u64, duration: Duration) -> String {
        // A moment of virtual time is a second here at least: cookies count no less.
        let until = self.now + (self.real)(duration).as_secs().max(1);
        self.seal.close(kind, Sealed { token, until }, mix(self.now << 24 ^ self.turn ^ (kind as u64) << 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEALED: Sealed = Sealed { token: 0x0123_4567_89ab_cdef, until: 1_800_000_000 };

    #[test]
    fn a_cookie_is_read_only_by_its_own_secret_and_kind_and_never_after_a_change() {
        let seal = Seal::new("secret");
        let value = seal.close(Kind::Target, SEALED, 7);
        assert_eq!(seal.open(Kind::Target, value.as_bytes()), Some(SEALED));
        assert_eq!(seal.open(Kind::Group, value.as_bytes()), None);
        assert_eq!(Seal::new("other").open(Kind::Target, value.as_bytes()), None);
        for at in 0..value.len() {
            let mut forged = value.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open(Kind::Target, &forged), None, "{at}");
        }
        assert_eq!(seal.open(Kind::Target, &value.as_bytes()[..value.len() - 4]), None);
        assert_eq!(seal.open(Kind::Target, b""), None);
        assert_eq!(seal.open(Kind::Target, [b'A'; 200].as_slice()), None);
    }

    #[test]
    fn two_cookies_for_one_target_have_nothing_in_common() {
        let seal = Seal::new("secret");
        let (one, other) = (seal.close(Kind::Target, SEALED, 1), seal.close(Kind::Target, SEALED, 2));
        let alike = one.bytes().zip(other.bytes()).skip(12).filter(|(a, b)| a == b).count();
        assert!(alike < 10, "{one} {other}");
    }

    #[test]
    fn a_set_cookie_is_told_by_its_whole_name() {
        assert!(sets(b"JSESSIONID=1; Path=/", "JSESSIONID"));
        assert!(!sets(b"JSESSIONID2=1", "JSESSIONID"));
        assert!(!sets(b"jsessionid=1", "JSESSIONID"));
    }
}
