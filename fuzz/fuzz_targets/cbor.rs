//! Any body, read as RpcV2Cbor.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zonal_fuzz::document(zonal_wire::Protocol::RpcV2Cbor, data));
