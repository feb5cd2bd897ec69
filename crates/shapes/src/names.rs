//! From AWS's names to Rust's.

use std::collections::BTreeSet;

const KEYWORDS: [&str; 52] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "union",
];

/// A field's name: `VPCZoneIdentifier` to `vpc_zone_identifier`, `LoadBalancerARNs` to `load_balancer_arns`, `Type` to
/// `type_`.
pub fn field(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            if !out.ends_with('_') {
                out.push('_');
            }
            continue;
        }
        if c.is_ascii_uppercase() && i > 0 && !out.ends_with('_') {
            let before = chars[i - 1];
            let starts_word = !before.is_ascii_uppercase();
            // The last capital of an acronym starts the next word (DNSName), unless what follows is its plural (ARNs).
            let ends_acronym = before.is_ascii_uppercase()
                && chars.get(i + 1).is_some_and(|n| n.is_ascii_lowercase())
                && !(chars[i + 1] == 's' && chars.get(i + 2).is_none_or(char::is_ascii_uppercase));
            if starts_word || ends_acronym {
                out.push('_');
            }
        }
        out.push(c.to_ascii_lowercase());
    }
    if KEYWORDS.contains(&out.as_str()) {
        out.push('_');
    }
    out
}

/// A type's name: the shape's, with a capital first.
pub fn type_name(name: &str) -> String {
    capital(name)
}

/// The variants' names for an enum's values, in order: `shutting-down` to `ShuttingDown`, `UPDATE_COMPLETE` to
/// `UpdateComplete`, `t2.micro` to `T2Micro`.
pub fn variants(values: &[String]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    values
        .iter()
        .map(|value| {
            let base = variant(value);
            let mut name = base.clone();
            let mut count = 2;
            while !taken.insert(name.clone()) {
                name = format!("{base}{count}");
                count += 1;
            }
            name
        })
        .collect()
}

fn variant(value: &str) -> String {
    let mut out = String::new();
    for piece in value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|piece| !piece.is_empty()) {
        if piece.len() > 1 && !piece.contains(|c: char| c.is_ascii_lowercase()) {
            out.push_str(&capital(&piece.to_ascii_lowercase()));
        } else {
            out.push_str(&capital(piece));
        }
    }
    match out.chars().next() {
        None => "Other".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("V{out}"),
        _ if out == "Self" => "Self_".to_owned(),
        _ => out,
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_snake_case() {
        for (name, expected) in [
            ("VpcId", "vpc_id"),
            ("DNSName", "dns_name"),
            ("LoadBalancerARNs", "load_balancer_arns"),
            ("VPCZoneIdentifier", "vpc_zone_identifier"),
            ("VPCs", "vpcs"),
            ("EC2InstanceId", "ec2_instance_id"),
            ("Ipv6CidrBlock", "ipv6_cidr_block"),
            ("TTL", "ttl"),
            ("Type", "type_"),
            ("AutoScalingGroupARN", "auto_scaling_group_arn"),
            ("IPAddress", "ip_address"),
            ("dryRun", "dry_run"),
            ("CallerReference", "caller_reference"),
            ("SSLPolicies", "ssl_policies"),
        ] {
            assert_eq!(field(name), expected);
        }
    }

    #[test]
    fn variants_are_camel_case_and_distinct() {
        let values = [
            "shutting-down",
            "UPDATE_COMPLETE",
            "t2.micro",
            "InService",
            "self",
            "80",
            "*",
            "Pending:Wait",
            "pending-wait",
        ];
        let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        let expected = [
            "ShuttingDown",
            "UpdateComplete",
            "T2Micro",
            "InService",
            "Self_",
            "V80",
            "Other",
            "PendingWait",
            "PendingWait2",
        ];
        assert_eq!(variants(&values), expected);
    }
}
