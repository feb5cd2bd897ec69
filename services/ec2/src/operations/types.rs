//! Instance types, and where they are offered.

use super::filters::{self, Filters};
use super::{Answer, cut, text};
use crate::errors::Error;
use crate::instance_types::{INSTANCE_TYPES, InstanceType};
use crate::shapes::*;
use zonal_cloud::View;
use zonal_cloud::regions::Region;

pub fn describe(_: &View<'_>, input: &DescribeInstanceTypesRequest) -> Answer<DescribeInstanceTypesResult> {
    let unknown = |name: &&String| InstanceType::named(name).is_err();
    let unknown: Vec<&str> = input.instance_types.iter().filter(unknown).map(String::as_str).collect();
    if !unknown.is_empty() {
        let text = format!("The following supplied instance types do not exist: [{}]", unknown.join(", "));
        return Err(Error::Coded("InvalidInstanceType", text).into());
    }
    let filters = Filters::of(&input.filters, filters::INSTANCE_TYPES)?;
    let mut found = Vec::new();
    for kind in INSTANCE_TYPES {
        if !input.instance_types.is_empty() && !input.instance_types.iter().any(|name| name == kind.name) {
            continue;
        }
        let shape = shape(kind);
        if filters.pass_answer(&shape) {
            found.push((kind.name.to_owned(), shape));
        }
    }
    let (instance_types, next_token) = cut(found, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeInstanceTypesResult { instance_types, next_token, ..Default::default() })
}

fn is_free(kind: &InstanceType) -> bool {
    matches!(kind.name, "t2.micro" | "t3.micro")
}

fn hypervisor(kind: &InstanceType) -> InstanceTypeHypervisor {
    if kind.is_nitro() { InstanceTypeHypervisor::Nitro } else { InstanceTypeHypervisor::Xen }
}

fn shape(kind: &InstanceType) -> InstanceTypeInfo {
    let vcpus = i32::try_from(kind.vcpus).unwrap_or(i32::MAX);
    let threads = i32::try_from(kind.threads_per_core()).unwrap_or(1);
    let (interfaces, addresses) = kind.interfaces;
    InstanceTypeInfo {
        instance_type: text(kind.name),
        current_generation: Some(kind.is_current()),
        free_tier_eligible: Some(is_free(kind)),
        supported_usage_classes: vec![UsageClassType::OnDemand],
        supported_root_device_types: vec![RootDeviceType::Ebs],
        supported_virtualization_types: vec![VirtualizationType::Hvm],
        bare_metal: Some(false),
        hypervisor: Some(hypervisor(kind)),
        processor_info: Some(ProcessorInfo {
            supported_architectures: kind.architecture.parse().into_iter().collect(),
            sustained_clock_speed_in_ghz: kind.clock_ghz(),
            ..Default::default()
        }),
        v_cpu_info: Some(VCpuInfo {
            default_v_cpus: Some(vcpus),
            default_cores: Some((vcpus / threads).max(1)),
            default_threads_per_core: Some(threads),
            valid_threads_per_core: (1..=threads).collect(),
            ..Default::default()
        }),
        memory_info: Some(MemoryInfo { size_in_mi_b: Some(kind.memory_mib.into()), ..Default::default() }),
        instance_storage_supported: Some(false),
        ebs_info: Some(EbsInfo {
            ebs_optimized_support: Some(match kind.family() {
                "t2" | "m1" => EbsOptimizedSupport::Unsupported,
                _ => EbsOptimizedSupport::Default,
            }),
            encryption_support: Some(EbsEncryptionSupport::Supported),
            nvme_support: Some(if kind.is_nitro() { EbsNvmeSupport::Required } else { EbsNvmeSupport::Unsupported }),
            ..Default::default()
        }),
        placement_group_info: Some(PlacementGroupInfo {
            supported_strategies: if kind.burstable {
                vec![PlacementGroupStrategy::Partition, PlacementGroupStrategy::Spread]
            } else {
                vec![PlacementGroupStrategy::Cluster, PlacementGroupStrategy::Partition, PlacementGroupStrategy::Spread]
            },
            ..Default::default()
        }),
        network_info: Some(NetworkInfo {
            network_performance: text(kind.network),
            maximum_network_interfaces: Some(interfaces),
            maximum_network_cards: Some(1),
            default_network_card_index: Some(0),
            ipv4_addresses_per_interface: Some(addresses),
            ipv6_addresses_per_interface: Some(0),
            ipv6_supported: Some(false),
            efa_supported: Some(false),
            ena_support: Some(if kind.is_nitro() { EnaSupport::Required } else { EnaSupport::Unsupported }),
            ..Default::default()
        }),
        hibernation_supported: Some(false),
        burstable_performance_supported: Some(kind.burstable),
        dedicated_hosts_supported: Some(false),
        auto_recovery_supported: Some(true),
        ..Default::default()
    }
}

pub fn offerings(
    view: &View<'_>,
    input: &DescribeInstanceTypeOfferingsRequest,
) -> Answer<DescribeInstanceTypeOfferingsResult> {
    let Some(region) = Region::named(&view.scope.region) else {
        return Ok(DescribeInstanceTypeOfferingsResult::default());
    };
    let kind = input.location_type.unwrap_or(LocationType::Region);
    let locations: Vec<String> = match kind {
        LocationType::Region => vec![region.name.to_owned()],
        LocationType::AvailabilityZone => region.zones().map(|(name, _)| name).collect(),
        LocationType::AvailabilityZoneId => region.zones().map(|(_, id)| id).collect(),
        _ => Vec::new(),
    };
    let filters = Filters::of(&input.filters, filters::OFFERINGS)?;
    let mut found = Vec::new();
    for location in &locations {
        for own in INSTANCE_TYPES {
            let offering = InstanceTypeOffering {
                instance_type: text(own.name),
                location_type: Some(kind),
                location: text(location),
                ..Default::default()
            };
            if filters.pass_answer(&offering) {
                found.push((format!("{}/{location}", own.name), offering));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let (instance_type_offerings, next_token) = cut(found, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeInstanceTypeOfferingsResult { instance_type_offerings, next_token, ..Default::default() })
}
