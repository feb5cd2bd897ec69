//! Instance types: what each has.
//!
//! Source: the instance types' pages in the EC2 User Guide ("Specifications for Amazon EC2 instance types").

use crate::errors::Error;

/// An instance type's facts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceType {
    /// `m5.large`.
    pub name: &'static str,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// `x86_64` or `arm64`.
    pub architecture: &'static str,
    /// Whether it earns and spends CPU credits.
    pub burstable: bool,
    /// Network performance, in AWS's words.
    pub network: &'static str,
    /// How many interfaces it may have, and addresses on each.
    pub interfaces: (i32, i32),
}

const fn t(
    name: &'static str,
    vcpus: u32,
    memory_mib: u32,
    network: &'static str,
    interfaces: (i32, i32),
) -> InstanceType {
    InstanceType { name, vcpus, memory_mib, architecture: "x86_64", burstable: true, network, interfaces }
}

const fn fixed(
    name: &'static str,
    vcpus: u32,
    memory_mib: u32,
    network: &'static str,
    interfaces: (i32, i32),
) -> InstanceType {
    InstanceType { burstable: false, ..t(name, vcpus, memory_mib, network, interfaces) }
}

const fn arm(from: InstanceType) -> InstanceType {
    InstanceType { architecture: "arm64", ..from }
}

const TEN: &str = "Up to 10 Gigabit";
const TWELVE: &str = "Up to 12.5 Gigabit";
const FIVE: &str = "Up to 5 Gigabit";

/// The types, in the order of their names.
pub const INSTANCE_TYPES: &[InstanceType] = &[
    fixed("c5.2xlarge", 8, 16384, TEN, (4, 15)),
    fixed("c5.4xlarge", 16, 32768, TEN, (8, 30)),
    fixed("c5.large", 2, 4096, TEN, (3, 10)),
    fixed("c5.xlarge", 4, 8192, TEN, (4, 15)),
    fixed("c6i.2xlarge", 8, 16384, TWELVE, (4, 15)),
    fixed("c6i.large", 2, 4096, TWELVE, (3, 10)),
    fixed("c6i.xlarge", 4, 8192, TWELVE, (4, 15)),
    fixed("c7i.large", 2, 4096, TWELVE, (3, 10)),
    fixed("c7i.xlarge", 4, 8192, TWELVE, (4, 15)),
    fixed("m1.small", 1, 1740, "Low", (2, 4)),
    fixed("m4.large", 2, 8192, "Moderate", (2, 10)),
    fixed("m4.xlarge", 4, 16384, "High", (4, 15)),
    fixed("m5.12xlarge", 48, 196_608, "12 Gigabit", (8, 30)),
    fixed("m5.16xlarge", 64, 262_144, "20 Gigabit", (15, 50)),
    fixed("m5.24xlarge", 96, 393_216, "25 Gigabit", (15, 50)),
    fixed("m5.2xlarge", 8, 32768, TEN, (4, 15)),
    fixed("m5.4xlarge", 16, 65536, TEN, (8, 30)),
    fixed("m5.8xlarge", 32, 131_072, "10 Gigabit", (8, 30)),
    fixed("m5.large", 2, 8192, TEN, (3, 10)),
    fixed("m5.xlarge", 4, 16384, TEN, (4, 15)),
    fixed("m5a.large", 2, 8192, TEN, (3, 10)),
    fixed("m5a.xlarge", 4, 16384, TEN, (4, 15)),
    fixed("m6a.large", 2, 8192, TWELVE, (3, 10)),
    fixed("m6i.2xlarge", 8, 32768, TWELVE, (4, 15)),
    fixed("m6i.large", 2, 8192, TWELVE, (3, 10)),
    fixed("m6i.xlarge", 4, 16384, TWELVE, (4, 15)),
    fixed("m7i.large", 2, 8192, TWELVE, (3, 10)),
    fixed("m7i.xlarge", 4, 16384, TWELVE, (4, 15)),
    fixed("r5.2xlarge", 8, 65536, TEN, (4, 15)),
    fixed("r5.large", 2, 16384, TEN, (3, 10)),
    fixed("r5.xlarge", 4, 32768, TEN, (4, 15)),
    fixed("r6i.large", 2, 16384, TWELVE, (3, 10)),
    t("t2.2xlarge", 8, 32768, "Moderate", (3, 15)),
    t("t2.large", 2, 8192, "Low to Moderate", (3, 12)),
    t("t2.medium", 2, 4096, "Low to Moderate", (3, 6)),
    t("t2.micro", 1, 1024, "Low to Moderate", (2, 2)),
    t("t2.nano", 1, 512, "Low to Moderate", (2, 2)),
    t("t2.small", 1, 2048, "Low to Moderate", (3, 4)),
    t("t2.xlarge", 4, 16384, "Moderate", (3, 15)),
    t("t3.2xlarge", 8, 32768, FIVE, (4, 15)),
    t("t3.large", 2, 8192, FIVE, (3, 12)),
    t("t3.medium", 2, 4096, FIVE, (3, 6)),
    t("t3.micro", 2, 1024, FIVE, (2, 2)),
    t("t3.nano", 2, 512, FIVE, (2, 2)),
    t("t3.small", 2, 2048, FIVE, (3, 4)),
    t("t3.xlarge", 4, 16384, FIVE, (4, 15)),
    t("t3a.large", 2, 8192, FIVE, (3, 12)),
    t("t3a.medium", 2, 4096, FIVE, (3, 6)),
    t("t3a.micro", 2, 1024, FIVE, (2, 2)),
    t("t3a.nano", 2, 512, FIVE, (2, 2)),
    t("t3a.small", 2, 2048, FIVE, (2, 4)),
    arm(t("t4g.large", 2, 8192, FIVE, (3, 12))),
    arm(t("t4g.medium", 2, 4096, FIVE, (3, 6))),
    arm(t("t4g.micro", 2, 1024, FIVE, (2, 2))),
    arm(t("t4g.nano", 2, 512, FIVE, (2, 2))),
    arm(t("t4g.small", 2, 2048, FIVE, (3, 4))),
];

impl InstanceType {
    /// The type of that name.
    ///
    /// # Errors
    /// There is none, or none here.
    pub fn named(name: &str) -> Result<&'static Self, Error> {
        let found = INSTANCE_TYPES.binary_search_by(|own| own.name.cmp(name)).ok().map(|at| &INSTANCE_TYPES[at]);
        found.ok_or_else(|| {
            let family = name.split('.').next().unwrap_or_default();
            let near: Vec<&str> =
                INSTANCE_TYPES.iter().filter(|t| t.name.starts_with(family)).map(|t| t.name).collect();
            let hint = if near.is_empty() {
                String::new()
            } else {
                format!(" Of this family there are: {}.", near.join(", "))
            };
            Error::InvalidParameterValue(format!("Invalid value '{name}' for InstanceType.{hint}"))
        })
    }

    /// The threads of each of its cores: Arm's have one.
    #[must_use]
    pub fn threads_per_core(&self) -> u32 {
        if self.vcpus > 1 && self.architecture == "x86_64" && self.family() != "t2" { 2 } else { 1 }
    }

    /// The part of its name before the dot.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.name.split('.').next().unwrap_or_default()
    }

    /// Whether it is built on the Nitro System.
    #[must_use]
    pub fn is_nitro(&self) -> bool {
        !matches!(self.family(), "t2" | "m1" | "m4")
    }

    /// Its processors' sustained clock speed, GHz; none where AWS gives none.
    #[must_use]
    pub fn clock_ghz(&self) -> Option<f64> {
        Some(match self.family() {
            "c5" => 3.4,
            "c6i" | "m6i" | "r6i" => 3.5,
            "c7i" | "m7i" => 3.2,
            "m4" => 2.4,
            "m5" | "r5" => 3.1,
            "m5a" | "t2" | "t3" | "t3a" | "t4g" => 2.5,
            "m6a" => 3.6,
            _ => return None,
        })
    }

    /// Whether it is of the current generation.
    #[must_use]
    pub fn is_current(&self) -> bool {
        !self.name.starts_with("m1.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_in_order_and_found_by_name() {
        assert!(INSTANCE_TYPES.windows(2).all(|w| w[0].name < w[1].name));
        assert_eq!(InstanceType::named("t2.micro").unwrap().memory_mib, 1024);
        assert!(InstanceType::named("m5.tiny").unwrap_err().to_string().contains("m5.large"));
    }
}
