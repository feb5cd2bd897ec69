//! The hosted zones that load balancers' names live in, by region: what an alias record names as its target's zone.
//!
//! Source: AWS General Reference, "Elastic Load Balancing endpoints and quotas", column "Route 53 Hosted Zone ID" for Application
//! Load Balancers.

const ZONES: [(&str, &str); 17] = [
    ("ap-northeast-1", "Z14GRHDCWA56QT"),
    ("ap-northeast-2", "ZWKZPGTI48KDX"),
    ("ap-northeast-3", "Z5LXEXXYW11ES"),
    ("ap-south-1", "ZP97RAFLXTNZK"),
    ("ap-southeast-1", "Z1LMS91P8CMLE5"),
    ("ap-southeast-2", "Z1GM3OXH4ZPM65"),
    ("ca-central-1", "ZQSVJUPU6J1EY"),
    ("eu-central-1", "Z215JYRZR1TBD5"),
    ("eu-north-1", "Z23TAZ6LKFMNIO"),
    ("eu-west-1", "Z32O12XQLNTSW2"),
    ("eu-west-2", "ZHURV8PSTC4K8"),
    ("eu-west-3", "Z3Q77PNBQS71R4"),
    ("sa-east-1", "Z2P70J7HTTTPLU"),
    ("us-east-1", "Z35SXDOTRQ7X7K"),
    ("us-east-2", "Z3AADJGX6KTTL2"),
    ("us-west-1", "Z368ELLRRE2KJ0"),
    ("us-west-2", "Z1H1FL5HABSF5"),
];

/// The hosted zone of a region's load balancers.
#[must_use]
pub fn canonical_hosted_zone(region: &str) -> Option<&'static str> {
    ZONES.iter().find(|(name, _)| *name == region).map(|(_, zone)| *zone)
}

/// The region whose load balancers live in a hosted zone.
#[must_use]
pub fn region_of_hosted_zone(zone: &str) -> Option<&'static str> {
    ZONES.iter().find(|(_, id)| *id == zone).map(|(region, _)| *region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_a_zone_of_its_own() {
        for region in zonal_cloud::regions::REGIONS {
            let zone = canonical_hosted_zone(region.name).unwrap_or_else(|| panic!("{} has none", region.name));
            assert_eq!(region_of_hosted_zone(zone), Some(region.name));
        }
    }
}
