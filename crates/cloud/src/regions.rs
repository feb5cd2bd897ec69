//! Regions and their Availability Zones, with their ids.
//!
//! Source: the AWS General Reference's table of regions and the user guide's table of zone ids. Zone names are mapped to zone
//! ids in the same order for every account here; AWS shuffles them by account.

use std::borrow::Cow;

/// A region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// `us-east-1`.
    pub name: &'static str,
    /// The prefix of its zone ids: `use1`.
    pub short: &'static str,
    /// Its zones' letters.
    pub letters: &'static str,
}

/// The regions, in the order of their names.
pub const REGIONS: &[Region] = &[
    region("ap-northeast-1", "apne1", "acd"),
    region("ap-northeast-2", "apne2", "abcd"),
    region("ap-northeast-3", "apne3", "abc"),
    region("ap-south-1", "aps1", "abc"),
    region("ap-southeast-1", "apse1", "abc"),
    region("ap-southeast-2", "apse2", "abc"),
    region("ca-central-1", "cac1", "abd"),
    region("eu-central-1", "euc1", "abc"),
    region("eu-north-1", "eun1", "abc"),
    region("eu-west-1", "euw1", "abc"),
    region("eu-west-2", "euw2", "abc"),
    region("eu-west-3", "euw3", "abc"),
    region("sa-east-1", "sae1", "abc"),
    region("us-east-1", "use1", "abcdef"),
    region("us-east-2", "use2", "abc"),
    region("us-west-1", "usw1", "ab"),
    region("us-west-2", "usw2", "abcd"),
];

const fn region(name: &'static str, short: &'static str, letters: &'static str) -> Region {
    Region { name, short, letters }
}

impl Region {
    /// The region of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        REGIONS.binary_search_by(|region| region.name.cmp(name)).ok().map(|at| &REGIONS[at])
    }

    /// Its zones: (name, zone id), in the order of their names.
    pub fn zones(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.letters
            .chars()
            .enumerate()
            .map(|(i, letter)| (format!("{}{letter}", self.name), format!("{}-az{}", self.short, i + 1)))
    }

    /// The zone's name for a zone id, or the name itself where it is one of this region's.
    #[must_use]
    pub fn zone_name(&self, name_or_id: &str) -> Option<String> {
        self.zones().find(|(name, id)| name == name_or_id || id == name_or_id).map(|(name, _)| name)
    }

    /// The zone id of a zone's name.
    #[must_use]
    pub fn zone_id(&self, name: &str) -> Option<String> {
        let letter = name.strip_prefix(self.name).filter(|letter| letter.len() == 1)?;
        self.letters.find(letter).map(|at| format!("{}-az{}", self.short, at + 1))
    }

    /// The private DNS domain of its instances: `ec2.internal` in us-east-1, `REGION.compute.internal` elsewhere.
    #[must_use]
    pub fn internal_domain(&self) -> Cow<'static, str> {
        if self.name == "us-east-1" { "ec2.internal".into() } else { format!("{}.compute.internal", self.name).into() }
    }

    /// The public DNS domain of its instances: `compute-1.amazonaws.com` in us-east-1, `REGION.compute.amazonaws.com` elsewhere.
    #[must_use]
    pub fn public_domain(&self) -> Cow<'static, str> {
        if self.name == "us-east-1" {
            "compute-1.amazonaws.com".into()
        } else {
            format!("{}.compute.amazonaws.com", self.name).into()
        }
    }
}

/// The region that a zone's name belongs to: the name without its letter.
#[must_use]
pub fn of_zone(zone: &str) -> &str {
    zone.strip_suffix(|c: char| c.is_ascii_lowercase()).unwrap_or(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_a_name_and_an_id() {
        let region = Region::named("us-east-1").unwrap();
        assert_eq!(region.zones().nth(1).unwrap(), ("us-east-1b".to_owned(), "use1-az2".to_owned()));
        assert_eq!(region.zone_name("use1-az3").as_deref(), Some("us-east-1c"));
        assert_eq!(of_zone("us-east-1b"), "us-east-1");
    }

    #[test]
    fn region_names_are_in_order_and_unique() {
        assert!(REGIONS.windows(2).all(|w| w[0].name < w[1].name));
    }
}
