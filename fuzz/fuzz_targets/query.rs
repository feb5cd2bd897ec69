//! Any form parameters, read as Query.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zonal_fuzz::form(zonal_wire::Protocol::Query, data));
