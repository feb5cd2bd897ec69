//! The parts of the world that record sets can be for, with their names.
//!
//! Source: Route 53 API reference, `GeoLocation`, `ListGeoLocations`; Developer Guide, "Values specific for geolocation records", which
//! names four countries of which no addresses are known. Codes are those of ISO 3166.

use std::sync::LazyLock;

/// Continents, by their codes.
const CONTINENTS: [(&str, &str); 7] = [
    ("AF", "Africa"),
    ("AN", "Antarctica"),
    ("AS", "Asia"),
    ("EU", "Europe"),
    ("NA", "North America"),
    ("OC", "Oceania"),
    ("SA", "South America"),
];

/// Everywhere that no other record set is for.
pub const DEFAULT: &str = "*";

/// A part of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A continent: code and name.
    Continent(&'static str, &'static str),
    /// A country: code and name; [`DEFAULT`] for the rest of the world.
    Country(&'static str, &'static str),
    /// A part of a country: the country's code and name, the part's.
    Subdivision((&'static str, &'static str), (&'static str, &'static str)),
}

/// All parts: the default, countries each with what they are divided into, continents.
static PARTS: LazyLock<Vec<Part>> = LazyLock::new(|| {
    let mut parts = vec![Part::Country(DEFAULT, "Default")];
    let mut country = ("", "");
    for line in include_str!("countries").lines().filter(|line| !line.starts_with('#')) {
        let Some((code, name)) = line.split_once(' ') else { continue };
        parts.push(match code.split_once('-') {
            Some((_, part)) => Part::Subdivision(country, (part, name)),
            None => {
                country = (code, name);
                Part::Country(code, name)
            }
        });
    }
    parts.extend(CONTINENTS.map(|(code, name)| Part::Continent(code, name)));
    parts
});

/// All parts, in the order in which they are listed.
#[must_use]
pub fn parts() -> &'static [Part] {
    &PARTS
}

/// The codes of a part: continent, country, subdivision.
pub type Codes<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

impl Part {
    /// Its codes.
    #[must_use]
    pub fn codes(self) -> Codes<'static> {
        match self {
            Self::Continent(code, _) => (Some(code), None, None),
            Self::Country(code, _) => (None, Some(code), None),
            Self::Subdivision((country, _), (code, _)) => (None, Some(country), Some(code)),
        }
    }
}

/// The place in the list of the part that has these codes.
#[must_use]
pub fn position(codes: Codes<'_>) -> Option<usize> {
    parts().iter().position(|part| part.codes() == codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_come_first_with_their_parts_behind_them_and_continents_last() {
        let codes: Vec<_> = parts().iter().map(|part| part.codes()).collect();
        assert_eq!(codes[..2], [(None, Some("*"), None), (None, Some("AD"), None)]);
        assert_eq!(codes.last(), Some(&(Some("SA"), None, None)));
        let texas = position((None, Some("US"), Some("TX"))).unwrap();
        assert!(parts()[texas] == Part::Subdivision(("US", "United States"), ("TX", "Texas")));
        assert_eq!(codes.iter().filter(|codes| codes.1 == Some("US")).count(), 52, "it, its states and its capital");
        // Nobody is known to be there.
        assert!(["BV", "CX", "EH", "HM", "XX"].iter().all(|code| position((None, Some(code), None)).is_none()));
        let mut once = codes.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), codes.len());
    }
}
