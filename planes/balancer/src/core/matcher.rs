//! The status codes that make a health check succeed: `200`, `200,202`, `200-299,301`.

/// Codes as closed ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher(Vec<(u16, u16)>);

impl Matcher {
    /// Reads the API's `HttpCode`. What cannot be read matches nothing: the control plane has
    /// validated it.
    pub fn parse(text: &str) -> Self {
        let range = |part: &str| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
        };
        Self(text.split(',').filter_map(range).collect())
    }

    /// Whether `status` is one of the codes.
    pub fn matches(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matcher_takes_single_codes_lists_and_ranges() {
        let matcher = Matcher::parse("200-299,301");
        for (status, expected) in [(199, false), (200, true), (299, true), (300, false), (301, true)] {
            assert_eq!(matcher.matches(status), expected, "{status}");
        }
        assert!(Matcher::parse("200, 202").matches(202));
        assert!(!Matcher::parse("").matches(200));
    }
}
