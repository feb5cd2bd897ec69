//! Any signature: what is not signed with the secret never verifies.
#![no_main]

use zonal_wire::{Time, sigv4};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let uri = lines.next().unwrap_or("");
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let Some(head) = zonal_fuzz::head("GET", uri, &headers) else { return };
    let verdict = sigv4::verify(&head, &sigv4::body_sha(b""), "a secret", Time::from_secs(1_440_938_160));
    assert!(verdict.is_err());
});
