//! `X-Amzn-Trace-Id`: made where a request has none, joined where it has one.
//!
//! As the ELB guide has it (Request tracing for your Application Load Balancer): a request without
//! the header, or without a Root in it, gets a Root; one with a Root keeps it and gets a Self of
//! ours, in place of an earlier balancer's.

/// Makes trace ids. Deterministic from its seed; one per core.
#[derive(Clone, Debug)]
pub struct TraceIds(u64);

/// `1-` time `-` 96 bits, in hexadecimal.
const ID: usize = 2 + 8 + 1 + 24;

impl TraceIds {
    /// From a seed that no other core has.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Writes the header's value for a request that came with `existing`, at `seconds` since 1970.
    pub fn write(&mut self, existing: Option<&[u8]>, seconds: u32, out: &mut Vec<u8>) {
        let existing = existing.unwrap_or_default();
        let fields = || existing.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|field| !field.is_empty());
        let has_root = fields().any(|field| starts_with(field, b"Root="));
        out.extend_from_slice(if has_root { b"Self=" } else { b"Root=" });
        out.extend_from_slice(&self.next(seconds));
        for field in fields().filter(|field| !starts_with(field, b"Self=")) {
            out.push(b';');
            out.extend_from_slice(field);
        }
    }

    /// An id of a client's connection, as access logs have it.
    pub fn connection(&mut self) -> String {
        format!("TID_{:016x}{:016x}", self.mix(), self.mix())
    }

    fn next(&mut self, seconds: u32) -> [u8; ID] {
        let mut id = *b"1-00000000-000000000000000000000000";
        hex(u64::from(seconds), &mut id[2..10]);
        hex(self.mix() >> 32, &mut id[11..19]);
        hex(self.mix(), &mut id[19..35]);
        id
    }

    /// SplitMix64.
    fn mix(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }
}

/// A number that looks random, the same for the same input.
pub(super) fn mix(seed: u64) -> u64 {
    scramble(seed.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

fn scramble(mut mixed: u64) -> u64 {
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn starts_with(field: &[u8], prefix: &[u8]) -> bool {
    field.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn hex(mut value: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 0xf) as usize];
        value >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(existing: Option<&str>) -> String {
        let mut out = Vec::new();
        TraceIds::new(7).write(existing.map(str::as_bytes), 0x6789_1234, &mut out);
        String::from_utf8(out).expect("ids are text")
    }

    #[test]
    fn a_request_without_a_root_gets_one() {
        let made = header(None);
        assert!(made.starts_with("Root=1-67891234-"), "{made}");
        assert_eq!(made.len(), "Root=".len() + ID);
        assert!(header(Some("CalledFrom=app")).starts_with("Root=1-67891234-"));
        assert!(header(Some("CalledFrom=app")).ends_with(";CalledFrom=app"));
    }

    #[test]
    fn a_root_stays_and_self_is_replaced() {
        let made = header(Some("Self=1-00000000-a;Root=1-67891233-abcdef012345678912345678;Lineage=x"));
        assert!(made.starts_with("Self=1-67891234-"), "{made}");
        assert!(made.ends_with(";Root=1-67891233-abcdef012345678912345678;Lineage=x"), "{made}");
        assert_eq!(made.matches("Self=").count(), 1);
    }

    #[test]
    fn no_two_ids_are_alike() {
        let mut ids = TraceIds::new(1);
        let made: std::collections::BTreeSet<_> = (0..1000).map(|_| ids.next(1)).collect();
        assert_eq!(made.len(), 1000);
    }
}
