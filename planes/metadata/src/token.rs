//! Session tokens of IMDSv2: when they end, under a MAC that only this service can make, for one instance only.
//!
//! Nothing is kept per token, so that no number of requests fills a table, and tokens outlive a restart that keeps the secret.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The four octets that AWS's tokens begin with too.
const VERSION: [u8; 4] = [1, 0, 0, 0];
const EXPIRY_LEN: usize = 8;
/// So that a token has the 56 characters that AWS's have; the MAC's strength is well above what an instance can try.
const MAC_LEN: usize = 28;
const HEAD_LEN: usize = VERSION.len() + EXPIRY_LEN;
const TOKEN_LEN: usize = HEAD_LEN + MAC_LEN;

/// How long a token may live (User Guide: "Use the Instance Metadata Service to access instance metadata").
pub const TTL_SECONDS: std::ops::RangeInclusive<u32> = 1..=21_600;

/// What tokens are made with.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Secret {
    /// Takes 32 octets that nobody can guess.
    pub fn new(octets: &[u8; 32]) -> Secret {
        // Any length will do for HMAC.
        Hmac::new_from_slice(octets).map_or_else(|_| unreachable!("HMAC takes a key of any length"), Secret)
    }

    /// A token for an instance. `now` is a time since a fixed instant.
    pub fn issue(&self, instance_id: &str, now: Duration, ttl_seconds: u32) -> String {
        let expires = now + Duration::from_secs(ttl_seconds.into());
        let mut token = VERSION.to_vec();
        // Milliseconds fit 64 bits for half a billion years.
        token.extend_from_slice(&(expires.as_millis() as u64).to_be_bytes());
        let mac = self.mac(instance_id, &token).finalize().into_bytes();
        token.extend_from_slice(&mac[..MAC_LEN]);
        URL_SAFE.encode(token)
    }

    /// What is left of a token's life; nothing where it is over, another instance's, or none of ours.
    pub fn check(&self, instance_id: &str, now: Duration, token: &str) -> Option<Duration> {
        let token = URL_SAFE.decode(token).ok().filter(|token| token.len() == TOKEN_LEN)?;
        let (head, mac) = token.split_at(HEAD_LEN);
        self.mac(instance_id, head).verify_truncated_left(mac).ok()?;
        let expiry = head[VERSION.len()..].try_into().ok()?;
        Duration::from_millis(u64::from_be_bytes(expiry)).checked_sub(now).filter(|left| !left.is_zero())
    }

    fn mac(&self, instance_id: &str, head: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(head).chain_update(instance_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn secret(octet: u8) -> Secret {
        Secret::new(&[octet; 32])
    }

    #[test]
    fn a_token_lives_for_its_seconds_and_no_longer() {
        let token = secret(1).issue("i-1", NOW, 60);
        let left = |after| secret(1).check("i-1", NOW + Duration::from_millis(after), &token);
        assert_eq!(left(0), Some(Duration::from_secs(60)));
        assert_eq!(left(59_999), Some(Duration::from_millis(1)));
        assert_eq!(left(60_000), None);
        assert_eq!(left(90_000), None);
    }

    #[test]
    fn a_token_is_good_for_its_instance_and_its_secret_only() {
        let token = secret(1).issue("i-1", NOW, 60);
        assert_eq!(secret(1).check("i-2", NOW, &token), None);
        assert_eq!(secret(2).check("i-1", NOW, &token), None);
    }

    #[test]
    fn a_token_looks_as_those_of_aws_do() {
        let token = secret(1).issue("i-1", NOW, 21_600);
        assert_eq!(token.len(), 56);
        assert!(token.starts_with("AQAAA") && token.ends_with("=="), "{token}");
    }

    proptest::proptest! {
        #[test]
        fn a_token_with_one_octet_changed_is_none(at in 0..TOKEN_LEN, flip in 1..=255_u8) {
            let token = secret(1).issue("i-1", NOW, 60);
            let mut octets = URL_SAFE.decode(token).unwrap();
            octets[at] ^= flip;
            proptest::prop_assert_eq!(secret(1).check("i-1", NOW, &URL_SAFE.encode(octets)), None);
        }

        #[test]
        fn no_text_is_a_token_or_a_panic(text in ".{0,80}") {
            proptest::prop_assert_eq!(secret(1).check("i-1", NOW, &text), None);
        }
    }
}
