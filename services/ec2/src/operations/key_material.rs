//! Making key pairs: the private half in the form that its user gets once, the public half as OpenSSH has it, and AWS's fingerprints.
//!
//! Sources: PKCS #1 (RFC 8017, appendix A.1.2), PKCS #8 (RFC 5958), OpenSSH's PROTOCOL.key, and "Verify the fingerprint of your key pair" in
//! the EC2 User Guide.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use num_bigint::BigUint;
use rand::RngCore;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The bits of each of an RSA key's two primes: AWS's keys have 2048.
const PRIME_BITS: u64 = 1024;
/// Rounds of Miller and Rabin's test: for random numbers of this size, fewer than one in 2^100 that pass are no primes (FIPS 186-5, table B.1,
/// asks for five).
const ROUNDS: usize = 8;

/// A new key pair.
#[derive(Debug)]
pub(super) struct Material {
    /// The private half, PEM.
    pub pem: String,
    /// The private half as PuTTY has it.
    pub putty: Vec<u8>,
    /// The public half: OpenSSH's blob.
    pub blob: Vec<u8>,
    pub fingerprint: String,
}

/// AWS's fingerprint of an Ed25519 key: OpenSSH's, padded and without `SHA256:` in front.
pub(super) fn sha256(blob: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(blob))
}

/// AWS's fingerprint of an RSA key that was imported: MD5 of its public half as DER (SubjectPublicKeyInfo). `None` if the blob is none of an
/// RSA key.
pub(super) fn imported_rsa(blob: &[u8]) -> Option<String> {
    let mut rest = blob;
    let mut next = || {
        let (length, after) = rest.split_at_checked(4)?;
        let (value, after) = after.split_at_checked(u32::from_be_bytes(length.try_into().ok()?) as usize)?;
        rest = after;
        Some(value)
    };
    let (name, exponent, modulus) = (next()?, next()?, next()?);
    if name != b"ssh-rsa" {
        return None;
    }
    let key =
        der(0x30, &[integer(&BigUint::from_bytes_be(modulus)), integer(&BigUint::from_bytes_be(exponent))].concat());
    let key = der(0x30, &[algorithm(), der(0x03, &[&[0], &key[..]].concat())].concat());
    Some(colons(&md5::Md5::digest(key)))
}

/// A new RSA key of 2048 bits. Its fingerprint is SHA-1 of the private half as DER (PKCS #8), as AWS forms it for keys that it makes.
pub(super) fn rsa(chance: &mut impl RngCore) -> Material {
    let one = BigUint::from(1_u8);
    let exponent = BigUint::from(65_537_u32);
    let (p, q, private) = loop {
        let (p, q) = (prime(chance), prime(chance));
        let totient = (&p - &one) * (&q - &one);
        // Not for a prime that is one more than a multiple of the exponent.
        if let (true, Some(private)) = (p != q, exponent.modinv(&totient)) {
            // The larger one first, as OpenSSL and PuTTY have them.
            break if p > q { (p, q, private) } else { (q, p, private) };
        }
    };
    let modulus = &p * &q;
    // Two different primes always have it.
    let inverse = q.modinv(&p).unwrap_or_default();
    let (first, second) = (&private % (&p - &one), &private % (&q - &one));
    let numbers = [&BigUint::ZERO, &modulus, &exponent, &private, &p, &q, &first, &second, &inverse];
    let pkcs1 = der(0x30, &numbers.map(integer).concat());
    let pkcs8 = der(0x30, &[integer(&BigUint::ZERO), algorithm(), der(0x04, &pkcs1)].concat());
    let blob = [text(b"ssh-rsa"), multiple(&exponent), multiple(&modulus)].concat();
    let fingerprint = colons(&sha1::Sha1::digest(pkcs8));
    let putty = [&private, &p, &q, &inverse].map(multiple).concat();
    Material { pem: pem("RSA PRIVATE KEY", &pkcs1, 64), putty, blob, fingerprint }
}

/// A new Ed25519 key.
///
/// # Errors
/// A text, should the library refuse the seed.
pub(super) fn ed25519(chance: &mut impl RngCore, comment: &str) -> Result<Material, String> {
    let mut seed = [0; 32];
    chance.fill_bytes(&mut seed);
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| error.to_string())?;
    let public = pair.public_key().as_ref();
    let blob = [text(b"ssh-ed25519"), text(public)].concat();
    // Twice the same number: who decrypts a private part sees by it whether that went well.
    let check = chance.next_u32().to_be_bytes();
    let secret = [&seed[..], public].concat();
    let mut private = [&check[..], &check[..], &blob, &text(&secret), &text(comment.as_bytes())].concat();
    private.extend((1..=8_u8).take((8 - private.len() % 8) % 8));
    let none = text(b"none");
    let whole =
        [b"openssh-key-v1\0", &none[..], &none, &text(b""), &1_u32.to_be_bytes(), &text(&blob), &text(&private)];
    let fingerprint = sha256(&blob);
    Ok(Material { pem: pem("OPENSSH PRIVATE KEY", &whole.concat(), 70), putty: text(&seed), blob, fingerprint })
}

/// A random prime whose two highest bits are set, so that two of them make a number of twice their length.
fn prime(chance: &mut impl RngCore) -> BigUint {
    let small: Vec<u32> = (3..2000_u32).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).collect();
    let mut bytes = [0; (PRIME_BITS / 8) as usize];
    loop {
        chance.fill_bytes(&mut bytes);
        let mut candidate = BigUint::from_bytes_be(&bytes);
        for bit in [0, PRIME_BITS - 1, PRIME_BITS - 2] {
            candidate.set_bit(bit, true);
        }
        let divided = small.iter().any(|divisor| &candidate % *divisor == BigUint::ZERO);
        if !divided && is_prime(&candidate, chance) {
            return candidate;
        }
    }
}

/// Miller and Rabin's test.
fn is_prime(candidate: &BigUint, chance: &mut impl RngCore) -> bool {
    let one = BigUint::from(1_u8);
    let last = candidate - &one;
    let twos = last.trailing_zeros().unwrap_or_default();
    let odd = &last >> twos;
    let mut bytes = [0; (PRIME_BITS / 8) as usize];
    (0..ROUNDS).all(|_| {
        chance.fill_bytes(&mut bytes);
        let base = BigUint::from_bytes_be(&bytes) % (&last - 2_u8) + 2_u8;
        let mut power = base.modpow(&odd, candidate);
        if power == one || power == last {
            return true;
        }
        (1..twos).any(|_| {
            power = &power * &power % candidate;
            power == last
        })
    })
}

/// A value in DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 128 => value.push(short),
        _ => {
            let length = content.len().to_be_bytes();
            let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
            value.push(0x80 | length.len() as u8);
            value.extend(length);
        }
    }
    value.extend_from_slice(content);
    value
}

/// A number's bytes, without a sign: one that begins with a set bit gets a zero before it.
fn unsigned(number: &BigUint) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    if bytes[0] & 0x80 == 0 { bytes } else { [vec![0], bytes].concat() }
}

fn integer(number: &BigUint) -> Vec<u8> {
    der(0x02, &unsigned(number))
}

/// `rsaEncryption`, with no parameters.
fn algorithm() -> Vec<u8> {
    let identifier = der(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]);
    der(0x30, &[identifier, der(0x05, &[])].concat())
}

/// A string as OpenSSH has it: its length before it.
fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn multiple(number: &BigUint) -> Vec<u8> {
    text(&unsigned(number))
}

fn pem(label: &str, bytes: &[u8], width: usize) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut whole = format!("-----BEGIN {label}-----\n");
    // Base64 is ASCII: any place to cut is one.
    for line in encoded.as_bytes().chunks(width) {
        whole.push_str(&String::from_utf8_lossy(line));
        whole.push('\n');
    }
    let _ = write!(whole, "-----END {label}-----");
    whole
}

fn colons(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn numbers_are_told_prime_or_not() {
        let mut chance = StdRng::seed_from_u64(1);
        // A Mersenne prime, and a product of two large primes that no small one divides.
        let prime = (BigUint::from(1_u8) << 521_u32) - 1_u8;
        assert!(is_prime(&prime, &mut chance));
        let other = (BigUint::from(1_u8) << 607_u32) - 1_u8;
        assert!(!is_prime(&(prime * other), &mut chance));
    }

    #[test]
    fn der_has_short_and_long_lengths_and_numbers_no_sign() {
        assert_eq!(integer(&BigUint::from(128_u8)), [2, 2, 0, 128]);
        assert_eq!(integer(&BigUint::ZERO), [2, 1, 0]);
        assert_eq!(der(4, &[7; 200])[..3], [4, 0x81, 200]);
        assert_eq!(der(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
    }
}
