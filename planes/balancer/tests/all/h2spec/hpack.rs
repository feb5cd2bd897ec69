//! RFC 7541: header blocks that cannot be decoded, each an error of the connection.

use super::Sight::*;
use super::wire::*;
use super::*;

pub fn cases() -> Vec<Case> {
    let of = |id, what, blocks: [&[u8]; 2]| {
        after(id, what, &[headers(1, WHOLE, &blocks.concat())], ConnectionError(UNDECODABLE))
    };
    let with = |id, what, field: &[u8]| of(id, what, [&request("GET"), field]);
    vec![
        // The static table ends with 61, and nothing is in the dynamic one.
        with("hpack/2.3.3/1", "a field that the table does not have", &[0x80 | 70]),
        with("hpack/2.3.3/2", "a name that the table does not have", b"\x7f\x07\x04test"),
        with("hpack/4.2/1", "a new size of the table behind a field", b"\x21"),
        // `x-test: test`.
        with("hpack/5.2/1", "padding of more than 7 bits", b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"),
        with("hpack/5.2/2", "padding of zeros", b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"),
        with(
            "hpack/5.2/3",
            "the end of a string within it",
            b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\xff\xff\xff\xfd\x25\x42\x7f",
        ),
        with("hpack/6.1/1", "field 0", &[0x80]),
        // 4,097: a byte more than the balancer's settings give.
        of("hpack/6.3/1", "a table larger than allowed", [b"\x3f\xe2\x1f", &request("GET")]),
    ]
}
