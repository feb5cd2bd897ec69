//! What `SecureString` values are kept in: AES-256-GCM under a key of the world's own, which stands where AWS has the account's key
//! `alias/aws/ssm` of its key management service.
//!
//! A value is bound to its parameter by the parameter's ARN, as AWS binds it by the encryption context `PARAMETER_ARN`: sealed text
//! that is moved to another parameter does not open. The nonce follows from what is sealed, so that no two values ever share one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{aead, hmac};

/// The one key that there is. Source: AWS Systems Manager User Guide, "AWS KMS encryption for SecureString parameters".
pub(crate) const KEY_ALIAS: &str = "alias/aws/ssm";

/// Seals and opens values.
pub(crate) struct Vault {
    sealing: aead::LessSafeKey,
    naming: hmac::Key,
}

impl Vault {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        // A key for each of the two uses.
        let world = hmac::Key::new(hmac::HMAC_SHA256, key);
        let own = |label: &str| hmac::sign(&world, label.as_bytes());
        let sealing = aead::UnboundKey::new(&aead::AES_256_GCM, own("ssm seal").as_ref());
        Self {
            // An HMAC by SHA-256 has the 32 bytes that such a key takes.
            sealing: aead::LessSafeKey::new(sealing.expect("the key has its algorithm's length")),
            naming: hmac::Key::new(hmac::HMAC_SHA256, own("ssm nonce").as_ref()),
        }
    }

    /// Seals the value of the parameter of that ARN: base64 of nonce and sealed text.
    pub(crate) fn seal(&self, arn: &str, value: &str) -> String {
        let digest = hmac::sign(&self.naming, format!("{arn}\0{value}").as_bytes());
        let mut nonce = [0; aead::NONCE_LEN];
        nonce.copy_from_slice(&digest.as_ref()[..aead::NONCE_LEN]);
        let mut sealed = value.as_bytes().to_vec();
        let context = aead::Aad::from(arn.as_bytes());
        self.sealing
            .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), context, &mut sealed)
            // A value has 8 KiB at most, the algorithm's limit is 64 GiB.
            .expect("a value is far below the algorithm's limit");
        STANDARD.encode([&nonce[..], &sealed].concat())
    }

    /// Opens it; `None` if it was not sealed by this world for that ARN.
    pub(crate) fn open(&self, arn: &str, sealed: &str) -> Option<String> {
        let mut sealed = STANDARD.decode(sealed).ok()?;
        let mut text = sealed.split_off(aead::NONCE_LEN.min(sealed.len()));
        let nonce = aead::Nonce::try_assume_unique_for_key(&sealed).ok()?;
        let plain = self.sealing.open_in_place(nonce, aead::Aad::from(arn.as_bytes()), &mut text).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_for_its_own_parameter_and_world_only() {
        let (vault, other) = (Vault::new(&[1; 32]), Vault::new(&[2; 32]));
        let sealed = vault.seal("arn:a", "secret");
        assert!(!sealed.contains("secret"));
        assert_eq!(vault.open("arn:a", &sealed).as_deref(), Some("secret"));
        assert_eq!(vault.open("arn:b", &sealed), None);
        assert_eq!(other.open("arn:a", &sealed), None);
        assert_eq!(vault.open("arn:a", "c2hvcnQ="), None);
    }

    #[test]
    fn two_values_share_no_nonce() {
        let vault = Vault::new(&[1; 32]);
        assert_ne!(vault.seal("arn:a", "one")[..16], vault.seal("arn:a", "two")[..16]);
    }
}
