//! Parameters of what is not here: they are refused, by name, rather than taken without effect. What has no effect and does no harm is
//! listed in `table::WITHOUT_EFFECT`.

use crate::errors::Error;
use serde_json::Value;
use zonal_wire::Structure;

const IPV6: &str = "addresses here are IPv4's";
const PREFIXES: &str = "prefixes are not delegated to interfaces";
const POOLS: &str = "there are no address pools";

/// (Operation, parameters, why they are refused.)
pub(crate) const REFUSED: &[(&str, &[&str], &str)] = &[
    (
        "RunInstances",
        &[
            "Ipv6AddressCount",
            "Ipv6Addresses",
            "EnablePrimaryIpv6",
            "NetworkInterfaces.Ipv6AddressCount",
            "NetworkInterfaces.Ipv6Addresses",
            "NetworkInterfaces.Ipv6Prefixes",
            "NetworkInterfaces.Ipv6PrefixCount",
            "NetworkInterfaces.PrimaryIpv6",
        ],
        IPV6,
    ),
    ("RunInstances", &["NetworkInterfaces.Ipv4Prefixes", "NetworkInterfaces.Ipv4PrefixCount"], PREFIXES),
    ("RunInstances", &["KernelId", "RamdiskId"], "images bring their own"),
    (
        "RunInstances",
        &[
            "CapacityReservationSpecification.CapacityReservationTarget",
            "Placement.HostId",
            "Placement.HostResourceGroupArn",
        ],
        "there are neither reservations nor dedicated hosts",
    ),
    (
        "RunInstances",
        &["NetworkInterfaces.AssociateCarrierIpAddress", "NetworkInterfaces.NetworkCardIndex", "SecondaryInterfaces"],
        "an instance has one network card, and no wavelength zone",
    ),
    (
        "CreateNetworkInterface",
        &["Ipv6AddressCount", "Ipv6Addresses", "Ipv6Prefixes", "Ipv6PrefixCount", "EnablePrimaryIpv6"],
        IPV6,
    ),
    ("CreateNetworkInterface", &["Ipv4Prefixes", "Ipv4PrefixCount"], PREFIXES),
    ("CreateSubnet", &["Ipv6CidrBlock", "Ipv6Native"], IPV6),
    ("CreateSubnet", &["Ipv4IpamPoolId", "Ipv4NetmaskLength", "Ipv6IpamPoolId", "Ipv6NetmaskLength"], POOLS),
    ("CreateSubnet", &["OutpostArn"], "there are no Outposts"),
    ("ModifyInstanceAttribute", &["Kernel", "Ramdisk"], "images bring their own"),
    (
        "ModifyImageAttribute",
        &["LaunchPermission", "ProductCodes", "UserGroups", "UserIds", "OrganizationArns", "OrganizationalUnitArns"],
        "an image is its account's alone",
    ),
    ("ModifyImageAttribute", &["ImdsSupport"], "how metadata is asked for is each instance's own"),
];

/// Refuses a request that gives any of its operation's parameters of that kind.
pub(super) fn refuse(operation: &str, input: &dyn Structure) -> Result<(), Error> {
    let input = zonal_wire::value::to_json(input);
    for (_, names, why) in REFUSED.iter().filter(|(own, ..)| *own == operation) {
        if let Some(name) = names.iter().find(|name| is_given(&input, name)) {
            let text = format!("The parameter {name} is not supported: {why}.");
            return Err(Error::Coded("UnsupportedOperation", text));
        }
    }
    Ok(())
}

/// Whether a value says anything: none, no and nothing do not.
fn is_given(value: &Value, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    match (value, rest) {
        (Value::Array(all), _) => all.iter().any(|own| is_given(own, path)),
        (Value::Object(members), Some(rest)) => members.get(name).is_some_and(|own| is_given(own, rest)),
        (Value::Object(members), None) => members.get(name).is_some_and(|own| match own {
            Value::Null => false,
            Value::Bool(on) => *on,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(all) => !all.is_empty(),
            Value::Object(members) => !members.is_empty(),
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::*;
    use crate::table::WITHOUT_EFFECT;

    /// A member's name as the code has it.
    fn field(name: &str) -> String {
        let mut out = String::new();
        for (at, letter) in name.char_indices() {
            if letter.is_ascii_uppercase() && at > 0 {
                out.push('_');
            }
            out.push(letter.to_ascii_lowercase());
        }
        out
    }

    #[test]
    fn every_parameter_of_a_launch_and_of_what_it_stands_on_is_read_refused_or_listed() {
        // What the operations' code reads of requests; `dry_run` and tokens are read by the table.
        let code = [
            include_str!("run.rs"),
            include_str!("attachments.rs"),
            include_str!("interfaces.rs"),
            include_str!("subnets.rs"),
            include_str!("attributes.rs"),
            include_str!("../table.rs"),
        ]
        .concat();
        let inputs: [(&str, &str, &dyn Structure); 8] = [
            ("RunInstances", "", &RunInstancesRequest::default()),
            ("RunInstances", "NetworkInterfaces.", &InstanceNetworkInterfaceSpecification::default()),
            ("RunInstances", "Placement.", &Placement::default()),
            ("RunInstances", "MetadataOptions.", &InstanceMetadataOptionsRequest::default()),
            ("RunInstances", "CapacityReservationSpecification.", &CapacityReservationSpecification::default()),
            ("CreateNetworkInterface", "", &CreateNetworkInterfaceRequest::default()),
            ("CreateSubnet", "", &CreateSubnetRequest::default()),
            ("ModifyInstanceAttribute", "", &ModifyInstanceAttributeRequest::default()),
        ];
        let mut silent = Vec::new();
        for (operation, prefix, input) in inputs {
            for member in input.facts().members {
                let path = format!("{prefix}{}", member.name);
                let is_read = [format!(".{}", field(member.name)), format!("|{}|", field(member.name))];
                let is_part = |name: &str| name == path || name.starts_with(&format!("{path}."));
                let refused =
                    REFUSED.iter().any(|(own, names, _)| *own == operation && names.iter().any(|n| is_part(n)));
                let listed =
                    WITHOUT_EFFECT.iter().any(|(own, names, _)| *own == operation && names.split(", ").any(is_part));
                if !refused && !listed && !is_read.iter().any(|read| code.contains(read)) {
                    silent.push(format!("{operation} {path}"));
                }
            }
        }
        assert!(silent.is_empty(), "taken in silence: {silent:#?}");
    }
}
