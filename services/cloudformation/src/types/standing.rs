//! What stands of a thing, read back in the form of its type's properties: what drift is found by. A type without a row here can't be
//! checked. Properties that no service shows, as passwords, are in no row.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, text};

/// What is there of a thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Its type can't be read.
    Unread,
    /// Nothing any more.
    Gone,
    /// These of its properties; null for what it has not.
    Has(Value),
}

/// Adds what takes more than the item: by the thing's id and the item.
type More = fn(&mut Context<'_, '_>, &str, &Value, &mut Map<String, Value>) -> Result<(), Failure>;

/// How the things of a type are read.
struct Reader {
    type_name: &'static str,
    /// The call, by the thing's id.
    call: (&'static str, &'static str, fn(&str) -> Value),
    /// Where in the answer it is.
    item: &'static str,
    /// Properties, and where in the item they are.
    fields: &'static [(&'static str, &'static str)],
    /// Properties that take more than that.
    more: More,
}

/// Reads a thing.
///
/// # Errors
/// What its service says, but for its absence.
pub fn read(cx: &mut Context<'_, '_>, type_name: &str, id: &str) -> Result<Standing, Failure> {
    let Some(reader) = READERS.iter().find(|reader| reader.type_name == type_name) else { return Ok(Standing::Unread) };
    let (service, operation, input) = reader.call;
    let answer = match cx.call(service, operation, input(id)) {
        Ok(answer) => answer,
        Err(failure) if failure.is_absence() => return Ok(Standing::Gone),
        Err(failure) => return Err(failure),
    };
    let Some(item) = answer.pointer(reader.item).filter(|item| text(&item["State"], "Name") != "terminated") else {
        return Ok(Standing::Gone);
    };
    let mut found = Map::new();
    for (property, at) in reader.fields {
        found.insert((*property).to_owned(), item.pointer(at).cloned().unwrap_or_default());
    }
    (reader.more)(cx, id, item, &mut found)?;
    Ok(Standing::Has(found.into()))
}

/// Whether things of a type can be read.
pub fn is_read(type_name: &str) -> bool {
    READERS.iter().any(|reader| reader.type_name == type_name)
}

const TAGS: (&str, &str) = ("Tags", "/Tags");

const READERS: [Reader; 14] = [
    Reader {
        type_name: "AWS::EC2::VPC",
        call: ("ec2", "DescribeVpcs", |id| json!({"VpcIds": [id]})),
        item: "/Vpcs/0",
        fields: &[("CidrBlock", "/CidrBlock"), ("InstanceTenancy", "/InstanceTenancy"), TAGS],
        more: vpc_attributes,
    },
    Reader {
        type_name: "AWS::EC2::InternetGateway",
        call: ("ec2", "DescribeInternetGateways", |id| json!({"InternetGatewayIds": [id]})),
        item: "/InternetGateways/0",
        fields: &[TAGS],
        more: nothing,
    },
    Reader {
        type_name: "AWS::EC2::RouteTable",
        call: ("ec2", "DescribeRouteTables", |id| json!({"RouteTableIds": [id]})),
        item: "/RouteTables/0",
        fields: &[("VpcId", "/VpcId"), TAGS],
        more: nothing,
    },
    Reader {
        type_name: "AWS::EC2::Subnet",
        call: ("ec2", "DescribeSubnets", |id| json!({"SubnetIds": [id]})),
        item: "/Subnets/0",
        fields: &[
            ("VpcId", "/VpcId"),
            ("CidrBlock", "/CidrBlock"),
            ("AvailabilityZone", "/AvailabilityZone"),
            ("AvailabilityZoneId", "/AvailabilityZoneId"),
            ("MapPublicIpOnLaunch", "/MapPublicIpOnLaunch"),
            TAGS,
        ],
        more: nothing,
    },
    Reader {
        type_name: "AWS::EC2::SecurityGroup",
        call: ("ec2", "DescribeSecurityGroups", |id| json!({"GroupIds": [id]})),
        item: "/SecurityGroups/0",
        fields: &[("GroupDescription", "/Description"), ("GroupName", "/GroupName"), ("VpcId", "/VpcId"), TAGS],
        more: group_rules,
    },
    Reader {
        type_name: "AWS::EC2::EIP",
        call: ("ec2", "DescribeAddresses", |id| json!({"PublicIps": [id]})),
        item: "/Addresses/0",
        fields: &[("Domain", "/Domain"), ("InstanceId", "/InstanceId"), ("PublicIpv4Pool", "/PublicIpv4Pool"), TAGS],
        more: nothing,
    },
    Reader {
        type_name: "AWS::EC2::Instance",
        call: ("ec2", "DescribeInstances", |id| json!({"InstanceIds": [id]})),
        item: "/Reservations/0/Instances/0",
        fields: &[
            ("ImageId", "/ImageId"),
            ("InstanceType", "/InstanceType"),
            ("KeyName", "/KeyName"),
            ("SubnetId", "/SubnetId"),
            ("PrivateIpAddress", "/PrivateIpAddress"),
            ("AvailabilityZone", "/Placement/AvailabilityZone"),
            ("Tenancy", "/Placement/Tenancy"),
            ("SourceDestCheck", "/SourceDestCheck"),
            ("EbsOptimized", "/EbsOptimized"),
            TAGS,
        ],
        more: instance_lists,
    },
    Reader {
        type_name: "AWS::ElasticLoadBalancingV2::LoadBalancer",
        call: ("elbv2", "DescribeLoadBalancers", |id| json!({"LoadBalancerArns": [id]})),
        item: "/LoadBalancers/0",
        fields: &[
            ("Name", "/LoadBalancerName"),
            ("Scheme", "/Scheme"),
            ("Type", "/Type"),
            ("IpAddressType", "/IpAddressType"),
            ("SecurityGroups", "/SecurityGroups"),
        ],
        more: balancer_lists,
    },
    Reader {
        type_name: "AWS::ElasticLoadBalancingV2::TargetGroup",
        call: ("elbv2", "DescribeTargetGroups", |id| json!({"TargetGroupArns": [id]})),
        item: "/TargetGroups/0",
        fields: &[
            ("Name", "/TargetGroupName"),
            ("VpcId", "/VpcId"),
            ("TargetType", "/TargetType"),
            ("Protocol", "/Protocol"),
            ("ProtocolVersion", "/ProtocolVersion"),
            ("Port", "/Port"),
            ("IpAddressType", "/IpAddressType"),
            ("HealthCheckProtocol", "/HealthCheckProtocol"),
            ("HealthCheckPort", "/HealthCheckPort"),
            ("HealthCheckPath", "/HealthCheckPath"),
            ("HealthCheckEnabled", "/HealthCheckEnabled"),
            ("HealthCheckIntervalSeconds", "/HealthCheckIntervalSeconds"),
            ("HealthCheckTimeoutSeconds", "/HealthCheckTimeoutSeconds"),
            ("HealthyThresholdCount", "/HealthyThresholdCount"),
            ("UnhealthyThresholdCount", "/UnhealthyThresholdCount"),
            ("Matcher", "/Matcher"),
        ],
        more: target_group_lists,
    },
    Reader {
        type_name: "AWS::ElasticLoadBalancingV2::Listener",
        call: ("elbv2", "DescribeListeners", |id| json!({"ListenerArns": [id]})),
        item: "/Listeners/0",
        fields: &[
            ("LoadBalancerArn", "/LoadBalancerArn"),
            ("Port", "/Port"),
            ("Protocol", "/Protocol"),
            ("SslPolicy", "/SslPolicy"),
            ("AlpnPolicy", "/AlpnPolicy"),
            ("DefaultActions", "/DefaultActions"),
        ],
        more: nothing,
    },
    Reader {
        type_name: "AWS::ElasticLoadBalancingV2::ListenerRule",
        call: ("elbv2", "DescribeRules", |id| json!({"RuleArns": [id]})),
        item: "/Rules/0",
        fields: &[("Priority", "/Priority"), ("Actions", "/Actions"), ("Conditions", "/Conditions")],
        more: nothing,
    },
    Reader {
        type_name: "AWS::AutoScaling::AutoScalingGroup",
        call: ("autoscaling", "DescribeAutoScalingGroups", |id| json!({"AutoScalingGroupNames": [id]})),
        item: "/AutoScalingGroups/0",
        fields: &[
            ("AutoScalingGroupName", "/AutoScalingGroupName"),
            ("MinSize", "/MinSize"),
            ("MaxSize", "/MaxSize"),
            ("DesiredCapacity", "/DesiredCapacity"),
            ("AvailabilityZones", "/AvailabilityZones"),
            ("LaunchTemplate", "/LaunchTemplate"),
            ("TargetGroupARNs", "/TargetGroupARNs"),
            ("HealthCheckType", "/HealthCheckType"),
            ("HealthCheckGracePeriod", "/HealthCheckGracePeriod"),
            ("DefaultInstanceWarmup", "/DefaultInstanceWarmup"),
            ("Cooldown", "/DefaultCooldown"),
            ("TerminationPolicies", "/TerminationPolicies"),
            ("NewInstancesProtectedFromScaleIn", "/NewInstancesProtectedFromScaleIn"),
            ("CapacityRebalance", "/CapacityRebalance"),
            ("MaxInstanceLifetime", "/MaxInstanceLifetime"),
            TAGS,
        ],
        more: |_, _, item, found| {
            let subnets: Vec<&str> = text(item, "VPCZoneIdentifier").split(',').filter(|one| !one.is_empty()).collect();
            found.insert("VPCZoneIdentifier".to_owned(), json!(subnets));
            Ok(())
        },
    },
    Reader {
        type_name: "AWS::CloudWatch::Alarm",
        call: ("cloudwatch", "DescribeAlarms", |id| json!({"AlarmNames": [id]})),
        item: "/MetricAlarms/0",
        fields: &[
            ("AlarmName", "/AlarmName"),
            ("AlarmDescription", "/AlarmDescription"),
            ("ActionsEnabled", "/ActionsEnabled"),
            ("AlarmActions", "/AlarmActions"),
            ("OKActions", "/OKActions"),
            ("InsufficientDataActions", "/InsufficientDataActions"),
            ("Namespace", "/Namespace"),
            ("MetricName", "/MetricName"),
            ("Dimensions", "/Dimensions"),
            ("Statistic", "/Statistic"),
            ("ExtendedStatistic", "/ExtendedStatistic"),
            ("Period", "/Period"),
            ("Unit", "/Unit"),
            ("EvaluationPeriods", "/EvaluationPeriods"),
            ("DatapointsToAlarm", "/DatapointsToAlarm"),
            ("Threshold", "/Threshold"),
            ("ComparisonOperator", "/ComparisonOperator"),
            ("TreatMissingData", "/TreatMissingData"),
            ("Metrics", "/Metrics"),
        ],
        more: nothing,
    },
    Reader {
        type_name: "AWS::SSM::Parameter",
        call: ("ssm", "GetParameter", |id| json!({"Name": id})),
        item: "/Parameter",
        fields: &[("Name", "/Name"), ("Type", "/Type"), ("Value", "/Value"), ("DataType", "/DataType")],
        more: nothing,
    },
];

fn nothing(_: &mut Context<'_, '_>, _: &str, _: &Value, _: &mut Map<String, Value>) -> Result<(), Failure> {
    Ok(())
}

fn vpc_attributes(
    cx: &mut Context<'_, '_>,
    id: &str,
    _: &Value,
    found: &mut Map<String, Value>,
) -> Result<(), Failure> {
    for (property, attribute) in
        [("EnableDnsSupport", "enableDnsSupport"), ("EnableDnsHostnames", "enableDnsHostnames")]
    {
        let answer = cx.ec2("DescribeVpcAttribute", json!({"VpcId": id, "Attribute": attribute}))?;
        found.insert(property.to_owned(), answer[property]["Value"].clone());
    }
    Ok(())
}

/// A list's items, each by one member.
fn each(list: &Value, member: &str) -> Value {
    list.as_array().into_iter().flatten().map(|item| item[member].clone()).collect()
}

fn instance_lists(
    _: &mut Context<'_, '_>,
    _: &str,
    item: &Value,
    found: &mut Map<String, Value>,
) -> Result<(), Failure> {
    found.insert("SecurityGroupIds".to_owned(), each(&item["SecurityGroups"], "GroupId"));
    found.insert("SecurityGroups".to_owned(), each(&item["SecurityGroups"], "GroupName"));
    found.insert("Monitoring".to_owned(), json!(text(&item["Monitoring"], "State") == "enabled"));
    Ok(())
}

fn balancer_lists(
    cx: &mut Context<'_, '_>,
    id: &str,
    item: &Value,
    found: &mut Map<String, Value>,
) -> Result<(), Failure> {
    found.insert("Subnets".to_owned(), each(&item["AvailabilityZones"], "SubnetId"));
    let mut answer = cx.call("elbv2", "DescribeLoadBalancerAttributes", json!({"LoadBalancerArn": id}))?;
    found.insert("LoadBalancerAttributes".to_owned(), answer["Attributes"].take());
    balancing_tags(cx, id, found)
}

fn target_group_lists(
    cx: &mut Context<'_, '_>,
    id: &str,
    _: &Value,
    found: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let mut answer = cx.call("elbv2", "DescribeTargetGroupAttributes", json!({"TargetGroupArn": id}))?;
    found.insert("TargetGroupAttributes".to_owned(), answer["Attributes"].take());
    balancing_tags(cx, id, found)
}

fn balancing_tags(cx: &mut Context<'_, '_>, id: &str, found: &mut Map<String, Value>) -> Result<(), Failure> {
    let mut answer = cx.call("elbv2", "DescribeTags", json!({"ResourceArns": [id]}))?;
    found.insert("Tags".to_owned(), answer["TagDescriptions"][0]["Tags"].take());
    Ok(())
}

/// A group's rules, one for each peer, as templates write them.
fn group_rules(_: &mut Context<'_, '_>, _: &str, item: &Value, found: &mut Map<String, Value>) -> Result<(), Failure> {
    for (property, permissions, side) in [
        ("SecurityGroupIngress", "IpPermissions", "Source"),
        ("SecurityGroupEgress", "IpPermissionsEgress", "Destination"),
    ] {
        let group = format!("{side}SecurityGroupId");
        let prefix = format!("{side}PrefixListId");
        let peers = [
            ("IpRanges", "CidrIp", "CidrIp"),
            ("Ipv6Ranges", "CidrIpv6", "CidrIpv6"),
            ("UserIdGroupPairs", "GroupId", &*group),
            ("PrefixListIds", "PrefixListId", &*prefix),
        ];
        let mut rules = Vec::new();
        for permission in item[permissions].as_array().into_iter().flatten() {
            for (list, member, name) in peers {
                for peer in permission[list].as_array().into_iter().flatten() {
                    let mut rule = super::context::pick(permission, &["IpProtocol", "FromPort", "ToPort"]);
                    rule.insert(name.to_owned(), peer[member].clone());
                    rule.extend(super::context::pick(peer, &["Description"]));
                    rules.push(Value::from(rule));
                }
            }
        }
        found.insert(property.to_owned(), rules.into());
    }
    Ok(())
}
