//! Any body, read as Json11.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zonal_fuzz::document(zonal_wire::Protocol::Json11, data));
