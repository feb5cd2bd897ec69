//! Private keys as PuTTY has them: a `.ppk` file of version 2, without a passphrase, which every PuTTY reads (AWS does not say which
//! version it writes).
//!
//! Source: "PPK file format" and "Version 2" in appendix C of PuTTY's manual.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use std::fmt::Write as _;

/// What the key of the sum at the end is made from, before the passphrase, of which there is none.
const SUM_KEY: &[u8] = b"putty-private-key-file-mac-key";

/// The file of a key: its algorithm's name, a comment, and both halves as PuTTY has them.
pub(super) fn file(algorithm: &str, comment: &str, public: &[u8], private: &[u8]) -> String {
    let mut whole = format!("PuTTY-User-Key-File-2: {algorithm}\nEncryption: none\nComment: {comment}\n");
    for (name, half) in [("Public", public), ("Private", private)] {
        let encoded = STANDARD.encode(half);
        let lines = encoded.as_bytes().chunks(64);
        // Writing to a string never fails.
        let _ = writeln!(whole, "{name}-Lines: {}", lines.len());
        for line in lines {
            // Base64 is ASCII: any place to cut is one.
            let _ = writeln!(whole, "{}", String::from_utf8_lossy(line));
        }
    }
    let summed = [algorithm.as_bytes(), b"none", comment.as_bytes(), public, private];
    let _ = write!(whole, "Private-MAC: {}", sum(&summed));
    whole
}

/// The sum over all that the file says, each with its length before it.
fn sum(said: &[&[u8]]) -> String {
    let mut sum = Hmac::<Sha1>::new_from_slice(&Sha1::digest(SUM_KEY))
        .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
    for bytes in said {
        sum.update(&(bytes.len() as u32).to_be_bytes());
        sum.update(bytes);
    }
    sum.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
