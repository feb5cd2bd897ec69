//! Where clients are: a table of prefixes that the configuration may extend, and how far places are from each other.
//!
//! What is built in is public: which of the five registries each block of addresses belongs to (IANA's IPv4 and IPv6 address space
//! registries), which says a continent; and where AWS's regions are. Countries and their parts need a table of one's own
//! ([`crate::config::Place`]). Who cannot be placed is taken to be near us-east-1 where distances count, and nowhere where
//! locations do.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::config::{self, Point};

/// Some of the leading bits of an address; IPv4's are those of `::ffff:0:0/96`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Prefix {
    bits: u128,
    len: u8,
}

impl Prefix {
    /// Reads `ADDRESS/LENGTH`.
    pub(crate) fn parse(text: &str) -> Option<Prefix> {
        let (address, len) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let len: u8 = len.parse().ok()?;
        let len = if address.is_ipv4() { len.checked_add(96)? } else { len };
        (len <= 128).then(|| Prefix { bits: bits(address) & mask(len), len })
    }

    /// Whether an address begins with it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        bits(address) & mask(self.len) == self.bits
    }

    /// How many bits it has.
    pub(crate) fn len(self) -> u8 {
        self.len
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn mask(len: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
}

/// Where a client is, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whereabouts<'a> {
    pub(crate) continent: &'a str,
    pub(crate) country: Option<&'a str>,
    pub(crate) subdivision: Option<&'a str>,
    pub(crate) point: Point,
}

/// The configured places, by prefix. The order never shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    by_prefix: HashMap<Prefix, config::Place>,
    /// The lengths that there are, the longest first.
    lengths: Vec<u8>,
}

impl Places {
    /// Reads a table; says which prefix is none.
    pub(crate) fn new(places: &[config::Place]) -> Result<Places, String> {
        let mut by_prefix = HashMap::with_capacity(places.len());
        for place in places {
            let prefix = Prefix::parse(&place.prefix).ok_or_else(|| place.prefix.clone())?;
            by_prefix.insert(prefix, place.clone());
        }
        let mut lengths: Vec<u8> = by_prefix.keys().map(|prefix| prefix.len).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        Ok(Places { by_prefix, lengths })
    }

    /// Where an address is, by the longest prefix of it that is known.
    pub(crate) fn find(&self, address: IpAddr) -> Option<Whereabouts<'_>> {
        let bits = bits(address);
        let known = self.lengths.iter().find_map(|&len| self.by_prefix.get(&Prefix { bits: bits & mask(len), len }));
        match known {
            Some(place) => Some(Whereabouts {
                continent: &place.continent,
                country: place.country.as_deref(),
                subdivision: place.subdivision.as_deref(),
                point: place.point,
            }),
            None => registry(address).map(|(continent, point)| Whereabouts {
                continent,
                country: None,
                subdivision: None,
                point,
            }),
        }
    }
}

const fn at(latitude: i32, longitude: i32) -> Point {
    Point { latitude, longitude }
}

/// The middles of where the five registries' members are, by population.
const AFRINIC: (&str, Point) = ("AF", at(640, 2000));
const APNIC: (&str, Point) = ("AS", at(2500, 10500));
const ARIN: (&str, Point) = ("NA", at(3900, -9300));
const LACNIC: (&str, Point) = ("SA", at(-1500, -5500));
const RIPE: (&str, Point) = ("EU", at(5000, 1200));

/// Blocks of the IPv4 space by their first octet. All others are ARIN's, were given out before there were registries, or to nobody.
const APNIC_BLOCKS: [u8; 51] = [
    1, 14, 27, 36, 39, 42, 43, 49, 58, 59, 60, 61, 101, 103, 106, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119,
    120, 121, 122, 123, 124, 125, 126, 133, 150, 153, 163, 171, 175, 180, 182, 183, 202, 203, 210, 211, 218, 219, 220,
    221, 222, 223,
];

fn registry(address: IpAddr) -> Option<(&'static str, Point)> {
    match address {
        IpAddr::V4(address) => match address.octets() {
            // What stands for nobody in particular: private, shared, loopback, link-local, documentation, multicast, reserved.
            [0 | 10 | 127 | 224.., ..] | [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..] => None,
            [192, 168, ..] | [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => None,
            [41 | 102 | 105 | 154 | 196 | 197, ..] => Some(AFRINIC),
            [177 | 179 | 181 | 186 | 187 | 189..=191 | 200 | 201, ..] => Some(LACNIC),
            [2 | 5 | 25 | 31 | 37 | 46 | 51 | 53 | 57 | 62 | 77..=95 | 109 | 141 | 145 | 151, ..]
            | [176 | 178 | 185 | 188 | 193..=195 | 212 | 213 | 217, ..] => Some(RIPE),
            [block, ..] if APNIC_BLOCKS.contains(&block) => Some(APNIC),
            _ => Some(ARIN),
        },
        IpAddr::V6(address) => match address.segments() {
            [0x2001, 0x0db8, ..] => None,
            [0x2400..=0x240f, ..] => Some(APNIC),
            [0x2600..=0x260f | 0x2610 | 0x2620 | 0x2630..=0x263f, ..] => Some(ARIN),
            [0x2800..=0x280f, ..] => Some(LACNIC),
            [0x2a00..=0x2a1f, ..] => Some(RIPE),
            [0x2c00..=0x2c0f, ..] => Some(AFRINIC),
            _ => None,
        },
    }
}

/// AWS's regions: where they are (AWS, "Global infrastructure": the cities; their coordinates).
const REGIONS: [(&str, &str, &str, Option<&str>, Point); 39] = [
    ("af-south-1", "AF", "ZA", None, at(-3393, 1842)),
    ("ap-east-1", "AS", "HK", None, at(2228, 11416)),
    ("ap-east-2", "AS", "TW", None, at(2503, 12157)),
    ("ap-northeast-1", "AS", "JP", None, at(3569, 13969)),
    ("ap-northeast-2", "AS", "KR", None, at(3757, 12698)),
    ("ap-northeast-3", "AS", "JP", None, at(3469, 13550)),
    ("ap-south-1", "AS", "IN", None, at(1908, 7288)),
    ("ap-south-2", "AS", "IN", None, at(1739, 7849)),
    ("ap-southeast-1", "AS", "SG", None, at(135, 10382)),
    ("ap-southeast-2", "OC", "AU", None, at(-3387, 15121)),
    ("ap-southeast-3", "AS", "ID", None, at(-621, 10685)),
    ("ap-southeast-4", "OC", "AU", None, at(-3781, 14496)),
    ("ap-southeast-5", "AS", "MY", None, at(314, 10169)),
    ("ap-southeast-6", "OC", "NZ", None, at(-3685, 17476)),
    ("ap-southeast-7", "AS", "TH", None, at(1376, 10050)),
    ("ca-central-1", "NA", "CA", None, at(4550, -7357)),
    ("ca-west-1", "NA", "CA", None, at(5105, -11407)),
    ("cn-north-1", "AS", "CN", None, at(3990, 11641)),
    ("cn-northwest-1", "AS", "CN", None, at(3750, 10519)),
    ("eu-central-1", "EU", "DE", None, at(5011, 868)),
    ("eu-central-2", "EU", "CH", None, at(4738, 854)),
    ("eu-north-1", "EU", "SE", None, at(5933, 1806)),
    ("eu-south-1", "EU", "IT", None, at(4546, 919)),
    ("eu-south-2", "EU", "ES", None, at(4165, -89)),
    ("eu-west-1", "EU", "IE", None, at(5335, -626)),
    ("eu-west-2", "EU", "GB", None, at(5151, -13)),
    ("eu-west-3", "EU", "FR", None, at(4886, 235)),
    ("eusc-de-east-1", "EU", "DE", None, at(5241, 1253)),
    ("il-central-1", "AS", "IL", None, at(3209, 3478)),
    ("me-central-1", "AS", "AE", None, at(2445, 5438)),
    ("me-south-1", "AS", "BH", None, at(2607, 5055)),
    ("mx-central-1", "NA", "MX", None, at(2059, -10039)),
    ("sa-east-1", "SA", "BR", None, at(-2355, -4664)),
    ("us-east-1", "NA", "US", Some("VA"), at(3895, -7745)),
    ("us-east-2", "NA", "US", Some("OH"), at(3996, -8300)),
    ("us-gov-east-1", "NA", "US", Some("OH"), at(3996, -8300)),
    ("us-gov-west-1", "NA", "US", Some("OR"), at(4584, -11970)),
    ("us-west-1", "NA", "US", Some("CA"), at(3735, -12196)),
    ("us-west-2", "NA", "US", Some("OR"), at(4584, -11970)),
];

/// Where whoever cannot be placed is taken to be: near us-east-1.
pub(crate) const NOWHERE: Point = at(3895, -7745);

/// Where a region is.
pub(crate) fn region(name: &str) -> Option<Whereabouts<'static>> {
    let found = REGIONS.iter().find(|(region, ..)| *region == name);
    found.map(|(_, continent, country, subdivision, point)| Whereabouts {
        continent,
        country: Some(country),
        subdivision: *subdivision,
        point: *point,
    })
}

/// The distance over ground, in kilometres.
pub(crate) fn distance(a: Point, b: Point) -> f64 {
    let radians = |hundredths: i32| (f64::from(hundredths) / 100.0).to_radians();
    let (lat_a, lat_b) = (radians(a.latitude), radians(b.latitude));
    let half = |d: f64| (d / 2.0).sin().powi(2);
    let longitude = radians(b.longitude.wrapping_sub(a.longitude));
    let h = half(lat_b - lat_a) + lat_a.cos() * lat_b.cos() * half(longitude);
    2.0 * 6371.0 * h.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_says_where_an_address_is() {
        let place = |prefix: &str, country: &str| config::Place {
            prefix: prefix.to_owned(),
            continent: "EU".to_owned(),
            country: Some(country.to_owned()),
            subdivision: None,
            point: at(5000, 1000),
        };
        let places =
            Places::new(&[place("192.0.2.0/24", "DE"), place("192.0.2.128/25", "FR"), place("2001:db8::/32", "IT")]);
        let places = places.expect("prefixes");
        let country = |address: &str| places.find(address.parse().expect("an address")).and_then(|found| found.country);
        assert_eq!(country("192.0.2.1"), Some("DE"));
        assert_eq!(country("192.0.2.200"), Some("FR"));
        assert_eq!(country("2001:db8::1"), Some("IT"));
        assert_eq!(country("192.0.3.1"), None);
        assert_eq!(Places::new(&[place("192.0.2.0/33", "DE")]).err().as_deref(), Some("192.0.2.0/33"));
    }

    #[test]
    fn registries_say_the_continent() {
        let places = Places::default();
        let continent = |address: &str| places.find(address.parse().expect("an address")).map(|found| found.continent);
        for (address, expected) in [
            ("8.8.8.8", Some("NA")),
            ("2.16.0.1", Some("EU")),
            ("1.1.1.1", Some("AS")),
            ("200.1.1.1", Some("SA")),
            ("41.0.0.1", Some("AF")),
            ("2a00::1", Some("EU")),
            ("127.0.0.1", None),
            ("10.0.0.1", None),
            ("198.51.100.7", None),
            ("fe80::1", None),
        ] {
            assert_eq!(continent(address), expected, "{address}");
        }
    }

    #[test]
    fn distances_are_those_over_ground() {
        let between = |a, b| distance(region(a).expect("known").point, region(b).expect("known").point);
        assert!((between("eu-west-1", "us-east-1") - 5450.0).abs() < 100.0, "{}", between("eu-west-1", "us-east-1"));
        assert!(between("eu-west-1", "eu-west-2") < 500.0);
        assert!(between("ap-southeast-2", "us-west-2") < between("ap-southeast-2", "eu-west-1"));
    }
}
