//! A target's answer: what is accepted leaves in a form that reads back as the same one answer.
#![no_main]

use zonal_balancer::core::answer::After;
use zonal_balancer::core::body::Framing;
use zonal_balancer::core::head::{Version, header_space, parse_response};
use zonal_balancer::core::rewrite::{self, Dressing, Onward};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, input)) = data.split_first() else { return };
    let (head_only, old) = (choice & 1 != 0, choice & 2 != 0);
    let mut space = header_space();
    let Ok(Some((head, length))) = parse_response(input, &mut space, head_only) else { return };
    assert!(length <= input.len());
    let onward = Onward::of(head.framing, if old { Version::Http10 } else { Version::Http11 });
    let mut out = Vec::new();
    rewrite::response(&head, onward, After::KeepAlive, &Dressing::default(), &mut out);
    let shown = out.escape_ascii();
    let mut space = header_space();
    let Ok(Some((again, end))) = parse_response(&out, &mut space, head_only) else {
        assert!(out.len() > 30_000 || head.headers.len() > 120, "{shown}");
        return;
    };
    assert_eq!((end, again.status), (out.len(), head.status), "{shown}");
    let named = |name: &str| again.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).count();
    assert!(named("content-length") + named("transfer-encoding") <= 1, "{shown}");
    let expected = match onward {
        Onward::Plain => head.framing,
        Onward::Chunked => Framing::Chunked,
        Onward::UntilClose => Framing::UntilClose,
    };
    assert_eq!(again.framing, expected, "{shown}");
});
