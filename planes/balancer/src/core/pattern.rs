//! The wildcards of rule conditions: `*` for any run of characters, `?` for exactly one.

/// Whether upper and lower case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// They differ.
    Sensitive,
    /// They are the same.
    Insensitive,
}

/// Whether `text` is what `pattern` describes. Linear in practice and never worse than the product
/// of the lengths: only the last `*` is ever taken back.
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    let same = |a: u8, b: u8| match case {
        Case::Sensitive => a == b,
        Case::Insensitive => a.eq_ignore_ascii_case(&b),
    };
    let (mut at, mut in_text) = (0, 0);
    // Where to go on from if what follows the last `*` turns out not to match here.
    let mut retry: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, in_text));
                at += 1;
            }
            Some(expected) if *expected == b'?' || same(*expected, text[in_text]) => {
                at += 1;
                in_text += 1;
            }
            _ => match &mut retry {
                Some((after_star, from)) => {
                    *from += 1;
                    (at, in_text) = (*after_star, *from);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, without regard to cost.
    fn plainly(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| plainly(rest, &text[skip..])),
            ([b'?', rest @ ..], [_, more @ ..]) => plainly(rest, more),
            ([expected, rest @ ..], [byte, more @ ..]) => expected == byte && plainly(rest, more),
            _ => false,
        }
    }

    #[test]
    fn wildcards_stand_for_runs_and_single_characters() {
        assert!(matches(b"*.example.com", b"WWW.example.com", Case::Insensitive));
        assert!(!matches(b"*.example.com", b"example.com", Case::Insensitive));
        assert!(matches(b"/img/*", b"/img/", Case::Sensitive));
        assert!(!matches(b"/img/?", b"/img/", Case::Sensitive));
        assert!(!matches(b"/IMG/*", b"/img/a", Case::Sensitive));
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let expected = plainly(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive), expected);
        }
    }
}
