//! Any body, read as RestJson.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zonal_fuzz::document(zonal_wire::Protocol::RestJson, data));
