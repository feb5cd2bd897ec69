//! Any form parameters, read as Ec2.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zonal_fuzz::form(zonal_wire::Protocol::Ec2, data));
