//! Rules of groups and entries of access lists let through what they say, and nothing more.

use crate::yard::{Yard, text};
use serde_json::{Value, json};
use zonal_substrate::{AclEntry, Ask, PortRange, Protocol, Rule};

/// What the world was told last that a group lets in.
fn ingress(yard: &Yard, group: &str) -> Vec<Rule> {
    let asks = yard.world.asks.lock().unwrap();
    let mut own = asks.iter().rev().filter_map(|ask| match ask {
        Ask::PutGroup(facts) if facts.id == group => Some(facts.ingress.clone()),
        _ => None,
    });
    own.next().unwrap()
}

/// What the world was told last that a subnet's access list says of what comes in.
fn entries(yard: &Yard, subnet: &str) -> Vec<AclEntry> {
    let asks = yard.world.asks.lock().unwrap();
    let mut own = asks.iter().rev().filter_map(|ask| match ask {
        Ask::PutSubnet(facts) if facts.id == subnet => Some(facts.ingress.clone()),
        _ => None,
    });
    own.next().unwrap()
}

#[test]
fn a_rule_for_no_icmp_type_no_port_or_no_protocol_is_refused() {
    let yard = Yard::new();
    let group = text(&yard.ok("CreateSecurityGroup", json!({ "GroupName": "web", "Description": "d" }))["GroupId"]);
    let rule = |protocol: &str, from: i32, to: i32| {
        json!({ "GroupId": group, "IpPermissions": [{
            "IpProtocol": protocol, "FromPort": from, "ToPort": to, "IpRanges": [{ "CidrIp": "10.0.0.0/8" }] }] })
    };
    for (protocol, from, to, words) in [
        ("icmp", 300, -1, "ICMP type (300) out of range"),
        ("icmp", -2, -1, "ICMP type (-2) out of range"),
        ("1", 8, 256, "ICMP code (256) out of range"),
        ("icmpv6", 128, 65535, "ICMP code (65535) out of range"),
        ("tcp", 70_000, 70_000, "Invalid TCP/UDP port range (70000:70000)"),
        ("06", 22, 65_536, "Invalid TCP/UDP port range (22:65536)"),
        ("tcp", -1, 80, "Invalid TCP/UDP port range (-1:80)"),
        ("+6", 22, 22, "Invalid value '+6' for IP protocol. Unknown protocol."),
        ("256", 22, 22, "Invalid value '256' for IP protocol. Unknown protocol."),
    ] {
        let said = yard.refused("AuthorizeSecurityGroupIngress", rule(protocol, from, to), "InvalidParameterValue");
        assert_eq!(said, words, "{protocol} {from} {to}");
    }
    yard.refused("AuthorizeSecurityGroupIngress", rule("icmp", -1, 3), "InvalidParameterValue");
}

#[test]
fn a_protocol_is_the_same_however_its_number_is_written() {
    let yard = Yard::new();
    let group = text(&yard.ok("CreateSecurityGroup", json!({ "GroupName": "web", "Description": "d" }))["GroupId"]);
    let rule = |protocol: &str, from: i32, to: i32| {
        json!({ "GroupId": group, "IpPermissions": [{
            "IpProtocol": protocol, "FromPort": from, "ToPort": to, "IpRanges": [{ "CidrIp": "10.0.0.0/8" }] }] })
    };
    let made = yard.ok("AuthorizeSecurityGroupIngress", rule("06", 22, 22));
    assert_eq!(made["SecurityGroupRules"][0]["IpProtocol"], "tcp");
    yard.refused("AuthorizeSecurityGroupIngress", rule("tcp", 22, 22), "InvalidPermission.Duplicate");
    yard.ok("AuthorizeSecurityGroupIngress", rule("01", 8, 0));
    yard.settle();
    let told: Vec<_> = ingress(&yard, &group).into_iter().map(|rule| (rule.protocol, rule.ports)).collect();
    let echo = Protocol::Icmp { kind: Some(8), code: Some(0) };
    assert_eq!(told, [(Protocol::Tcp, PortRange { from: 22, to: 22 }), (echo, PortRange::ALL)]);
}

#[test]
fn an_entry_of_an_access_list_has_a_protocol_ports_and_icmp_types_that_are_some() {
    let yard = Yard::new();
    let acl = text(&yard.ok("CreateNetworkAcl", json!({ "VpcId": yard.default_vpc() }))["NetworkAcl"]["NetworkAclId"]);
    let entry = |protocol: &str, more: Value| {
        let mut input = json!({ "NetworkAclId": acl, "RuleNumber": 100, "Protocol": protocol, "Egress": false,
            "RuleAction": "allow", "CidrBlock": "10.0.0.0/8" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let ports = |from: i32, to: i32| json!({ "PortRange": { "From": from, "To": to } });
    let icmp = |kind: i32, code: i32| json!({ "IcmpTypeCode": { "Type": kind, "Code": code } });
    let both = json!({ "Ipv6CidrBlock": "::/0" });
    for (protocol, more, code) in [
        ("tcp", ports(70_000, 70_000), "InvalidParameterValue"),
        ("6", ports(-1, 80), "InvalidParameterValue"),
        ("udp", ports(53, 52), "InvalidParameterValue"),
        ("06", json!({}), "MissingParameter"),
        ("bogus", json!({}), "InvalidParameterValue"),
        ("+6", ports(22, 22), "InvalidParameterValue"),
        ("", json!({}), "InvalidParameterValue"),
        ("icmp", json!({}), "MissingParameter"),
        ("icmp", icmp(300, -1), "InvalidParameterValue"),
        ("1", icmp(8, 256), "InvalidParameterValue"),
        ("1", icmp(-1, 0), "InvalidParameterValue"),
        ("-1", both, "InvalidParameterCombination"),
        ("-1", json!({ "CidrBlock": null }), "MissingParameter"),
        ("-1", json!({ "CidrBlock": null, "Ipv6CidrBlock": "any" }), "InvalidParameterValue"),
    ] {
        yard.refused("CreateNetworkAclEntry", entry(protocol, more), code);
    }
}

#[test]
fn an_entry_of_an_access_list_keeps_shows_and_applies_its_icmp_type_and_its_ipv6_range() {
    let yard = Yard::new();
    let acl = yard.ok("DescribeNetworkAcls", json!({}))["NetworkAcls"][0].clone();
    let (id, subnet) = (text(&acl["NetworkAclId"]), text(&acl["Associations"][0]["SubnetId"]));
    let entry = |number: i32, more: Value| {
        let mut input = json!({ "NetworkAclId": id, "RuleNumber": number, "Egress": false, "RuleAction": "deny" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let echo = json!({ "Protocol": "icmp", "CidrBlock": "10.0.0.0/8", "IcmpTypeCode": { "Type": 8, "Code": -1 } });
    yard.ok("CreateNetworkAclEntry", entry(10, echo));
    let sixth =
        json!({ "Protocol": "58", "Ipv6CidrBlock": "2001:db8::1/32", "IcmpTypeCode": { "Type": 128, "Code": 0 } });
    yard.ok("CreateNetworkAclEntry", entry(20, sixth));
    yard.ok(
        "CreateNetworkAclEntry",
        entry(
            30,
            json!({ "Protocol": "06", "CidrBlock": "10.0.0.0/8",
        "PortRange": { "From": 22, "To": 23 } }),
        ),
    );
    yard.settle();
    let shown = yard.ok("DescribeNetworkAcls", json!({ "NetworkAclIds": [id] }))["NetworkAcls"][0]["Entries"].clone();
    let of = |number: i32| {
        let all = shown.as_array().unwrap();
        all.iter().find(|entry| entry["RuleNumber"] == json!(number)).unwrap().clone()
    };
    assert_eq!(of(10)["IcmpTypeCode"], json!({ "Type": 8, "Code": -1 }));
    assert_eq!(of(20)["IcmpTypeCode"], json!({ "Type": 128, "Code": 0 }));
    assert_eq!((&of(20)["Ipv6CidrBlock"], &of(20)["CidrBlock"]), (&json!("2001:db8::/32"), &Value::Null));
    assert_eq!(of(30)["Protocol"], "6");
    // An IPv6 range is in no packet here; the rest is told as it is.
    let told: Vec<_> = entries(&yard, &subnet).into_iter().map(|entry| (entry.protocol, entry.ports)).collect();
    let echo = Protocol::Icmp { kind: Some(8), code: None };
    let all = (Protocol::All, PortRange::ALL);
    assert_eq!(told, [(echo, PortRange::ALL), (Protocol::Tcp, PortRange { from: 22, to: 23 }), all]);
}
