//! A chunked body: it means the same however it is cut, and what was read is written and read again.
#![no_main]

use zonal_balancer::core::body::{Body, BrokenBody, Framing, LAST_CHUNK, write_chunk};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let whole = decode(data, data.len());
    assert_eq!(whole, decode(data, 1));
    assert_eq!(whole, decode(data, 7));
    let Ok((body, true, used)) = whole else { return };
    assert!(used <= data.len());
    let mut wire = Vec::new();
    body.chunks(1000).for_each(|chunk| write_chunk(chunk, &mut wire));
    wire.extend_from_slice(LAST_CHUNK);
    let length = wire.len();
    assert_eq!(decode(&wire, 16), Ok((body, true, length)));
});

/// The data, whether the body has ended, and the bytes used up, when they come `step` at a time.
fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, bool, usize), BrokenBody> {
    let mut body = Body::new(Framing::Chunked);
    let (mut data, mut used) = (Vec::new(), 0);
    for piece in input.chunks(step.max(1)) {
        let mut at = 0;
        loop {
            let run = body.next(piece, &mut at)?;
            if run.is_empty() {
                break;
            }
            data.extend_from_slice(run);
        }
        used += at;
    }
    Ok((data, body.is_done(), used))
}
