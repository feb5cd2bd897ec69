//! Ids as AWS forms them.

use rand::Rng;
use rand::rngs::StdRng;

/// A resource id: the prefix and seventeen hexadecimal digits, as EC2's long ids (`i-0123456789abcdef0`; the first digit is
/// always 0 there).
pub fn resource(prefix: &str, chance: &mut StdRng) -> String {
    format!("{prefix}0{}", hex(16, chance))
}

/// `digits` hexadecimal digits.
pub fn hex(digits: usize, chance: &mut StdRng) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    (0..digits).map(|_| char::from(DIGITS[chance.random_range(0..16)])).collect()
}

/// `length` capital letters and digits, as in Route 53's ids and the suffixes of CloudFormation's physical names.
pub fn alphanumeric(length: usize, chance: &mut StdRng) -> String {
    const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    (0..length).map(|_| char::from(LETTERS[chance.random_range(0..36)])).collect()
}

/// A random (version 4) UUID.
pub fn uuid(chance: &mut StdRng) -> String {
    let mut bytes: [u8; 16] = chance.random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn ids_have_the_forms_that_aws_gives_them() {
        let mut chance = StdRng::seed_from_u64(1);
        let id = resource("i-", &mut chance);
        assert!(id.len() == 19 && id.starts_with("i-0"), "{id}");
        let uuid = uuid(&mut chance);
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'), "{uuid}");
        assert_eq!(alphanumeric(13, &mut chance).len(), 13);
    }
}
