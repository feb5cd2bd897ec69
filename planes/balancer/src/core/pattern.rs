//! The wildcards of rule conditions: `*` for any run of characters, `?` for exactly one.
//!
//! Most patterns have one wildcard at an end, or none. A request is held against each rule's, so what kind a pattern is, is found
//! out once.

/// Whether upper and lower case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// They differ.
    Sensitive,
    /// They are the same.
    Insensitive,
}

/// A pattern, ready to be held against many texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    kind: Kind,
    case: Case,
    /// A plain pattern's first, in lower case, or a suffix's last: what does not match, mostly differs in it already.
    telling: u8,
    /// Without the wildcard that its kind stands for.
    text: Box<[u8]>,
}

/// The end of a text that a few of its bytes are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Its first bytes.
    Start,
    /// Its last.
    End,
}

impl Anchor {
    /// The sixteen bytes of a text at this end, or all of it beside zeros, and a mask of those that it has.
    pub fn bytes(self, text: &[u8]) -> (u128, u128) {
        let (mut bytes, mut mask) = ([0; 16], [0; 16]);
        let count = text.len().min(16);
        let (there, text) = match self {
            Self::Start => (0..count, &text[..count]),
            Self::End => (16 - count..16, &text[text.len() - count..]),
        };
        bytes[there.clone()].copy_from_slice(text);
        mask[there].fill(0xff);
        (u128::from_ne_bytes(bytes), u128::from_ne_bytes(mask))
    }
}

/// The wildcards of [`Kind::Escaped`]: bytes that are in no UTF-8.
const RUN: u8 = 0xff;
const ONE: u8 = 0xfe;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    Suffix,
    Wild,
    /// Wild, with [`RUN`] and [`ONE`] for the wildcards, since its text may have both as ordinary characters.
    Escaped,
}

impl Pattern {
    /// Of its text.
    pub fn new(text: &str, case: Case) -> Self {
        let plain = |part: &[u8]| !part.iter().any(|byte| matches!(byte, b'*' | b'?'));
        let (kind, text) = match text.as_bytes() {
            whole if plain(whole) => (Kind::Exact, whole),
            [start @ .., b'*'] if plain(start) => (Kind::Prefix, start),
            [b'*', end @ ..] if plain(end) => (Kind::Suffix, end),
            whole => (Kind::Wild, whole),
        };
        let telling = if kind == Kind::Suffix { text.last() } else { text.first() };
        Self { kind, case, telling: telling.map_or(0, u8::to_ascii_lowercase), text: text.into() }
    }

    /// Of its text, in which `\*` and `\?` stand for these characters themselves.
    pub fn with_escapes(text: &str, case: Case) -> Self {
        let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
        if !rest.contains(&b'\\') {
            return Self::new(text, case);
        }
        while let [first, more @ ..] = rest {
            rest = more;
            bytes.push(match (first, more) {
                (b'\\', [wildcard @ (b'*' | b'?'), after @ ..]) => {
                    rest = after;
                    *wildcard
                }
                (b'*', _) => RUN,
                (b'?', _) => ONE,
                (other, _) => *other,
            });
        }
        let kind = if bytes.iter().any(|byte| matches!(*byte, RUN | ONE)) { Kind::Escaped } else { Kind::Exact };
        let telling = bytes.first().map_or(0, u8::to_ascii_lowercase);
        Self { kind, case, telling, text: bytes.into() }
    }

    /// The laxity of a pattern that says next to nothing: `*`, or `/*` of paths.
    pub const LAXEST: usize = 128;

    /// How much it lets through, from 0 to [`Self::LAXEST`]: the longer what it spells out, the less.
    pub fn laxity(&self) -> usize {
        let spelt = self.text.iter().filter(|byte| !matches!(byte, b'*' | b'?')).count();
        Self::LAXEST - if spelt < 2 { 0 } else { spelt.min(Self::LAXEST - 2) }
    }

    /// Bytes that every text that matches has at an end, with their mask: in lower case where case does not matter.
    /// Nothing if wildcards are at both ends.
    pub fn glance(&self) -> Option<(Anchor, u128, u128)> {
        let anchor = match self.kind {
            Kind::Exact | Kind::Prefix => Anchor::Start,
            Kind::Suffix => Anchor::End,
            Kind::Wild | Kind::Escaped => return None,
        };
        let (bytes, mask) = match self.case {
            Case::Sensitive => anchor.bytes(&self.text),
            Case::Insensitive => anchor.bytes(&self.text.to_ascii_lowercase()),
        };
        Some((anchor, bytes, mask))
    }

    /// Whether `text` is what it describes.
    pub fn matches(&self, text: &[u8]) -> bool {
        let length = self.text.len();
        let part = match self.kind {
            Kind::Exact => (text.len() == length).then_some(text),
            Kind::Prefix => text.get(..length),
            Kind::Suffix => text.len().checked_sub(length).map(|at| &text[at..]),
            Kind::Wild => return matches::<b'*', b'?'>(&self.text, text, self.case),
            Kind::Escaped => return matches::<RUN, ONE>(&self.text, text, self.case),
        };
        let Some(part) = part else { return false };
        let told = if self.kind == Kind::Suffix { part.last() } else { part.first() };
        told.is_none_or(|byte| byte.to_ascii_lowercase() == self.telling)
            && match self.case {
                Case::Sensitive => *part == *self.text,
                Case::Insensitive => part.eq_ignore_ascii_case(&self.text),
            }
    }
}

/// Whether `text` is what `pattern` describes. Linear in practice and never worse than the product
/// of the lengths: only the last `*` is ever taken back.
fn matches<const RUN: u8, const ONE: u8>(pattern: &[u8], text: &[u8], case: Case) -> bool {
    let same = |a: u8, b: u8| match case {
        Case::Sensitive => a == b,
        Case::Insensitive => a.eq_ignore_ascii_case(&b),
    };
    let (mut at, mut in_text) = (0, 0);
    // Where to go on from if what follows the last `*` turns out not to match here.
    let mut retry: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some(byte) if *byte == RUN => {
                retry = Some((at + 1, in_text));
                at += 1;
            }
            Some(expected) if *expected == ONE || same(*expected, text[in_text]) => {
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
    pattern[at..].iter().all(|rest| *rest == RUN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wild(pattern: &[u8], text: &[u8], case: Case) -> bool {
        matches::<b'*', b'?'>(pattern, text, case)
    }

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
        assert!(wild(b"*.example.com", b"WWW.example.com", Case::Insensitive));
        assert!(!wild(b"*.example.com", b"example.com", Case::Insensitive));
        assert!(wild(b"/img/*", b"/img/", Case::Sensitive));
        assert!(!wild(b"/img/?", b"/img/", Case::Sensitive));
        assert!(!wild(b"/IMG/*", b"/img/a", Case::Sensitive));
    }

    #[test]
    fn a_wildcard_after_a_backslash_is_an_ordinary_character() {
        for (pattern, text, expected) in [
            (r"a\*b", "A*b", true),
            (r"a\*b", "axb", false),
            (r"\?", "?", true),
            (r"\?", "x", false),
            (r"*\**", "is*in", true),
            (r"*\**", "isin", false),
            (r"?\?", "a?", true),
            (r"?\?", "ab", false),
            (r"a\b", r"a\b", true),
            (r"a*", "ab", true),
        ] {
            let matched = Pattern::with_escapes(pattern, Case::Insensitive).matches(text.as_bytes());
            assert_eq!(matched, expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let expected = plainly(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(wild(pattern.as_bytes(), text.as_bytes(), Case::Sensitive), expected);
            prop_assert_eq!(Pattern::new(&pattern, Case::Sensitive).matches(text.as_bytes()), expected);
            let loud = text.to_uppercase();
            prop_assert_eq!(Pattern::new(&pattern, Case::Insensitive).matches(loud.as_bytes()), expected);
        }
    }
}
