//! The hosted zones that load balancers' names live in, by region: what an alias record names as its target's zone.
//!
//! Source: AWS General Reference, "Elastic Load Balancing endpoints and quotas", column "Route 53 Hosted Zone ID" for Application
//! Load Balancers.

use crate::model::Kind;

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

/// As `ZONES`, of the column for Network Load Balancers.
const NETWORK_ZONES: [(&str, &str); 17] = [
    ("ap-northeast-1", "Z31USIVHYNEOWT"),
    ("ap-northeast-2", "ZIBE1TIR4HY56"),
    ("ap-northeast-3", "Z1GWIQ4HH19I5X"),
    ("ap-south-1", "ZVDDRBQ08TROA"),
    ("ap-southeast-1", "ZKVM4W9LS7TM"),
    ("ap-southeast-2", "ZCT6FZBF4DROD"),
    ("ca-central-1", "Z2EPGBW3API2WT"),
    ("eu-central-1", "Z3F0SRJ5LGBH90"),
    ("eu-north-1", "Z1UDT6IFJ4EJM"),
    ("eu-west-1", "Z2IFOLAFXWLO4F"),
    ("eu-west-2", "ZD4D7Y8KGAS4G"),
    ("eu-west-3", "Z1CMS0P5QUZ6D5"),
    ("sa-east-1", "ZTK26PT1VY4CU"),
    ("us-east-1", "Z26RNL4JYFTOTI"),
    ("us-east-2", "ZLMOA37VPKANP"),
    ("us-west-1", "Z24FKFUX50B4VW"),
    ("us-west-2", "Z18D5FSROUN65G"),
];

/// The hosted zone of a region's load balancers of a kind.
#[must_use]
pub fn canonical_hosted_zone(kind: Kind, region: &str) -> Option<&'static str> {
    let zones = match kind {
        Kind::Application => &ZONES,
        Kind::Network => &NETWORK_ZONES,
    };
    zones.iter().find(|(name, _)| *name == region).map(|(_, zone)| *zone)
}

/// The name of the zone in DNS that a region's load balancers of a kind have their names in.
#[must_use]
pub fn name_of_zone(kind: Kind, region: &str) -> String {
    match kind {
        Kind::Application => format!("{region}.elb.amazonaws.com"),
        Kind::Network => format!("elb.{region}.amazonaws.com"),
    }
}

/// The name of the zone in DNS that a hosted zone of load balancers stands for.
#[must_use]
pub fn domain_of_hosted_zone(zone: &str) -> Option<String> {
    [(Kind::Application, &ZONES), (Kind::Network, &NETWORK_ZONES)].into_iter().find_map(|(kind, zones)| {
        zones.iter().find(|(_, id)| *id == zone).map(|(region, _)| name_of_zone(kind, region))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_a_zone_of_its_own() {
        for region in zonal_cloud::regions::REGIONS {
            for kind in [Kind::Application, Kind::Network] {
                let zone =
                    canonical_hosted_zone(kind, region.name).unwrap_or_else(|| panic!("{} has none", region.name));
                assert_eq!(domain_of_hosted_zone(zone), Some(name_of_zone(kind, region.name)));
            }
        }
    }
}
