//! A client's HTTP/2 frames before the h2 crate sees them: however bytes come, the same is said of them.
#![no_main]

use std::time::Duration;

use zonal_balancer::core::frames::Frames;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first() else { return };
    let whole = Frames::default().receive(bytes, &|| Duration::ZERO);
    let mut frames = Frames::default();
    let mut parts = bytes.chunks(usize::from(*cut).max(1));
    let by_part = parts.find_map(|part| frames.receive(part, &|| Duration::ZERO).err());
    match whole {
        Ok(()) => assert_eq!(by_part, None),
        Err((fault, good)) => {
            assert!(good <= bytes.len());
            assert_eq!(by_part.map(|(fault, _)| fault), Some(fault));
        }
    }
});
