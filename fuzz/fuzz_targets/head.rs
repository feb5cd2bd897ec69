//! Any path and headers: the service that a request is for is found, or not, and never by a panic.
#![no_main]

use zonal_contract::APIS;
use zonal_wire::door;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let (method, uri) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let Some(head) = zonal_fuzz::head(method, uri, &headers) else { return };
    match door::identify(&head, b"Action=DescribeVpcs", &APIS) {
        Ok(identified) => _ = door::decode(&identified, &head, b""),
        Err(rejection) => _ = rejection.respond("id"),
    }
});
