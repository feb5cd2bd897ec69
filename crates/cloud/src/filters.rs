//! Filters as EC2's Describe operations take them: a name and values of which one must match, with `*` for any run of
//! characters and `?` for any one; a backslash before either means the character itself.

/// Whether `text` matches `pattern`.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<Token> = tokens(pattern);
    let text: Vec<char> = text.chars().collect();
    // The classic two-pointer walk: on a mismatch, go back to the last star and let it take one character more.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Token::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(token) if token.takes(text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|token| *token == Token::Any)
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Exactly(char),
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Exactly(own) => *own == c,
        }
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Exactly(chars.next().unwrap_or('\\')),
            c => Token::Exactly(c),
        });
    }
    out
}

/// A filter: a name and its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Such as `vpc-id` or `tag:Name`.
    pub name: String,
    /// Any one of these must match.
    pub values: Vec<String>,
}

/// Whether a resource passes all filters. `values` gives what the resource has under a filter's name: none where it has nothing,
/// `None` where there is no filter of that name.
///
/// # Errors
/// The first name that is no filter of this operation.
pub fn pass(filters: &[Filter], values: impl Fn(&str) -> Option<Vec<String>>) -> Result<bool, &str> {
    for filter in filters {
        let Some(own) = values(&filter.name) else { return Err(&filter.name) };
        if !own.iter().any(|value| filter.values.iter().any(|pattern| matches(pattern, value))) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_matches_any_run_a_question_mark_one_and_a_backslash_takes_their_meaning() {
        for (pattern, text, expected) in [
            ("web*", "webserver", true),
            ("*", "", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("a\\*c", "abc", false),
            ("a\\*c", "a*c", true),
            ("*x*y", "axbxcy", true),
            ("Web", "web", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_matches_itself_escaped(text in ".{0,40}") {
            let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert!(matches(&escaped, &text));
        }
    }
}
