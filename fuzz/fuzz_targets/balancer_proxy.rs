//! PROXY protocol headers: what is read is written again to the same bytes, as far as they say it.
#![no_main]

use zonal_balancer::core::flow::proxy::{LENGTH, header, parse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((transport, source, destination, length)) = parse(data) else { return };
    assert!((LENGTH..=data.len()).contains(&length));
    let again = header(transport, source, destination);
    // All but the length, which counts what follows the addresses too.
    assert_eq!(again[..14], data[..14]);
    assert_eq!(again[16..], data[16..LENGTH]);
    assert_eq!(parse(&again), Some((transport, source, destination, LENGTH)));
});
