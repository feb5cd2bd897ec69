//! Every resource type made, changed in place and deleted, by its real service.

use serde_json::{Value, json};

use crate::yard::Yard;

/// All types. Values in `<…>` are what the change changes.
const ALL: &str = r#"
Parameters:
  Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}
Resources:
  Handle: {Type: 'AWS::CloudFormation::WaitConditionHandle'}
  Told: {Type: 'AWS::CloudFormation::WaitCondition', CreationPolicy: {ResourceSignal: {Count: 0}}}
  Note: {Type: 'AWS::CDK::Metadata', Properties: {Analytics: 'v2:deflate64:<H4s|H5s>'}}
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.5.0.0/16, EnableDnsHostnames: <true|false>, Tags: [{Key: k, Value: <a|b>}, {Key: <old|new>, Value: x}]}}
  Gateway: {Type: 'AWS::EC2::InternetGateway', Properties: {Tags: [{Key: k, Value: <a|b>}]}}
  Attachment: {Type: 'AWS::EC2::VPCGatewayAttachment', Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}}
  Table: {Type: 'AWS::EC2::RouteTable', Properties: {VpcId: !Ref Vpc, Tags: [{Key: k, Value: <a|b>}]}}
  Other: {Type: 'AWS::EC2::RouteTable', Properties: {VpcId: !Ref Vpc}}
  Route: {Type: 'AWS::EC2::Route', DependsOn: Attachment, Properties: {RouteTableId: !Ref Table, DestinationCidrBlock: 0.0.0.0/0, GatewayId: !Ref Gateway}}
  A: {Type: 'AWS::EC2::Subnet', Properties: {VpcId: !Ref Vpc, CidrBlock: 10.5.0.0/24, AvailabilityZone: us-east-1a, MapPublicIpOnLaunch: <true|false>, Tags: [{Key: k, Value: <a|b>}]}}
  B: {Type: 'AWS::EC2::Subnet', Properties: {VpcId: !Ref Vpc, CidrBlock: 10.5.1.0/24, AvailabilityZone: us-east-1b}}
  Routes: {Type: 'AWS::EC2::SubnetRouteTableAssociation', Properties: {SubnetId: !Ref A, RouteTableId: !Ref <Table|Other>}}
  Web:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: web
      VpcId: !Ref Vpc
      SecurityGroupIngress: [{IpProtocol: tcp, FromPort: <80|81>, ToPort: 81, CidrIp: 0.0.0.0/0}]
      SecurityGroupEgress: [{IpProtocol: tcp, FromPort: 1, ToPort: <1000|2000>, CidrIp: 0.0.0.0/0}]
  In: {Type: 'AWS::EC2::SecurityGroupIngress', Properties: {GroupId: !Ref Web, IpProtocol: tcp, FromPort: 22, ToPort: 22, SourceSecurityGroupId: !Ref Web}}
  Out: {Type: 'AWS::EC2::SecurityGroupEgress', Properties: {GroupId: !Ref Web, IpProtocol: udp, FromPort: 53, ToPort: 53, CidrIp: 10.0.0.0/8, Description: <one|two>}}
  Key: {Type: 'AWS::EC2::KeyPair', Properties: {KeyName: cfn-key, PublicKeyMaterial: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHrxDg+RdLbfO73YvKZDSPPKI2YtBLKqvu/CDbxrHixK}}
  Instance:
    Type: AWS::EC2::Instance
    Properties:
      ImageId: !Ref Image
      InstanceType: t3.micro
      KeyName: !Ref Key
      SubnetId: !Ref B
      SecurityGroupIds: [!Ref Web]
      SourceDestCheck: <false|true>
      Monitoring: <true|false>
      InstanceInitiatedShutdownBehavior: <stop|terminate>
      IamInstanceProfile: <one|two>
      UserData: !Base64 'echo <one|two>'
      Tags: [{Key: Name, Value: <a|b>}]
  Address: {Type: 'AWS::EC2::EIP', DependsOn: Attachment, Properties: {Domain: vpc, Tags: [{Key: k, Value: <a|b>}]}}
  Held: {Type: 'AWS::EC2::EIPAssociation', Properties: {AllocationId: !GetAtt Address.AllocationId, InstanceId: !Ref Instance}}
  Template: {Type: 'AWS::EC2::LaunchTemplate', Properties: {TagSpecifications: [{ResourceType: launch-template, Tags: [{Key: k, Value: <a|b>}]}], LaunchTemplateData: {ImageId: !Ref Image, InstanceType: <t3.micro|t3.small>, SecurityGroupIds: [!Ref Web]}}}
  Balancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    DependsOn: Route
    Properties: {Subnets: [!Ref A, !Ref B], SecurityGroups: [!Ref Web], LoadBalancerAttributes: [{Key: idle_timeout.timeout_seconds, Value: '<30|40>'}], Tags: [{Key: k, Value: <a|b>}]}
  Targets:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      VpcId: !Ref Vpc
      Protocol: HTTP
      Port: 80
      HealthCheckPath: /<one|two>
      Matcher: {HttpCode: '<200|200-299>'}
      TargetGroupAttributes: [{Key: deregistration_delay.timeout_seconds, Value: '<0|1>'}]
      Targets: [{Id: !Ref Instance, Port: <80|8080>}]
      Tags: [{Key: k, Value: <a|b>}]
  Listener: {Type: 'AWS::ElasticLoadBalancingV2::Listener', Properties: {LoadBalancerArn: !Ref Balancer, Protocol: HTTP, Port: <80|8080>, DefaultActions: [{Type: forward, TargetGroupArn: !Ref Targets}], ListenerAttributes: [{Key: routing.http.response.server.enabled, Value: '<false|true>'}]}}
  Rule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !Ref Listener
      Priority: <5|7>
      Conditions: [{Field: path-pattern, Values: [/<one|two>/*]}, {Field: host-header, HostHeaderConfig: {Values: [a.example]}}]
      Actions: [{Type: fixed-response, FixedResponseConfig: {StatusCode: '<200|503>'}}]
  Acl: {Type: 'AWS::EC2::NetworkAcl', Properties: {VpcId: !Ref Vpc, Tags: [{Key: k, Value: <a|b>}]}}
  AclIn: {Type: 'AWS::EC2::NetworkAclEntry', Properties: {NetworkAclId: !Ref Acl, RuleNumber: 100, Protocol: -1, RuleAction: <allow|deny>, CidrBlock: 0.0.0.0/0}}
  AclOut: {Type: 'AWS::EC2::NetworkAclEntry', Properties: {NetworkAclId: !Ref Acl, RuleNumber: 100, Egress: true, Protocol: 6, RuleAction: allow, CidrBlock: 0.0.0.0/0, PortRange: {From: <1|2>, To: 65535}}}
  AclOfA: {Type: 'AWS::EC2::SubnetNetworkAclAssociation', Properties: {SubnetId: !Ref A, NetworkAclId: !Ref Acl}}
  Interface: {Type: 'AWS::EC2::NetworkInterface', Properties: {SubnetId: !Ref B, Description: <one|two>, GroupSet: [!Ref Web], SecondaryPrivateIpAddressCount: 1, SourceDestCheck: <false|true>, Tags: [{Key: k, Value: <a|b>}]}}
  Attached: {Type: 'AWS::EC2::NetworkInterfaceAttachment', DependsOn: Held, Properties: {InstanceId: !Ref Instance, NetworkInterfaceId: !Ref Interface, DeviceIndex: 1, DeleteOnTermination: <false|true>}}
  Nightly: {Type: 'AWS::AutoScaling::ScheduledAction', Properties: {AutoScalingGroupName: !Ref Group, MinSize: 1, Recurrence: '0 <1|2> * * *', StartTime: '2027-01-01T00:00:00Z'}}
  Hook: {Type: 'AWS::AutoScaling::LifecycleHook', Properties: {AutoScalingGroupName: !Ref Group, LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING', HeartbeatTimeout: <30|60>, DefaultResult: CONTINUE}}
  Ranges: {Type: 'AWS::Route53::CidrCollection', Properties: {Name: ranges, Locations: [{LocationName: here, CidrList: [192.0.2.0/24, 198.51.<100|101>.0/24]}]}}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MinSize: '1'
      MaxSize: '<2|3>'
      VPCZoneIdentifier: [!Ref A, !Ref B]
      LaunchTemplate: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}
      HealthCheckGracePeriod: <10|20>
      MetricsCollection: [{Granularity: 1Minute, Metrics: [<GroupMinSize|GroupMaxSize>]}]
      LifecycleHookSpecificationList: [{LifecycleHookName: <first|second>, LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING', HeartbeatTimeout: 30}]
      Tags: [{Key: Name, Value: <a|b>, PropagateAtLaunch: true}]
  Policy:
    Type: AWS::AutoScaling::ScalingPolicy
    Properties:
      AutoScalingGroupName: !Ref Group
      PolicyType: TargetTrackingScaling
      TargetTrackingConfiguration: {PredefinedMetricSpecification: {PredefinedMetricType: ASGAverageCPUUtilization}, TargetValue: <50|60>}
  Alarm: {Type: 'AWS::CloudWatch::Alarm', Properties: {ComparisonOperator: GreaterThanThreshold, Namespace: AWS/EC2, MetricName: CPUUtilization, Statistic: Average, Period: 60, EvaluationPeriods: 1, Threshold: <90|80>, Tags: [{Key: k, Value: <a|b>}]}}
  Over: {Type: 'AWS::CloudWatch::CompositeAlarm', Properties: {AlarmRule: !Sub '<ALARM|OK>("${Alarm}")', Tags: [{Key: k, Value: <a|b>}]}}
  Board: {Type: 'AWS::CloudWatch::Dashboard', Properties: {DashboardName: board, DashboardBody: !Sub '{"widgets": [{"type": "text", "properties": {"markdown": "<one|two> ${Alarm}"}}]}'}}
  Zone: {Type: 'AWS::Route53::HostedZone', Properties: {Name: types.example, HostedZoneConfig: {Comment: <one|two>}, HostedZoneTags: [{Key: k, Value: <a|b>}]}}
  Record: {Type: 'AWS::Route53::RecordSet', Properties: {HostedZoneId: !Ref Zone, Name: www.types.example, Type: A, TTL: '<60|30>', ResourceRecords: [192.0.2.1]}}
  Records:
    Type: AWS::Route53::RecordSetGroup
    Properties:
      HostedZoneName: types.example.
      RecordSets:
        - {Name: a.types.example, Type: TXT, TTL: 60, ResourceRecords: ['"<one|two>"']}
        - {Name: <b|c>.types.example, Type: A, AliasTarget: {DNSName: !GetAtt Balancer.DNSName, HostedZoneId: !GetAtt Balancer.CanonicalHostedZoneID}}
    DependsOn: Zone
  Owners: {Type: 'AWS::Route53::RecordSetGroup', Properties: {RecordSets: [{HostedZoneId: !Ref Zone, Name: own.types.example, Type: TXT, TTL: 60, ResourceRecords: ['"<one|two>"']}]}}
  Check: {Type: 'AWS::Route53::HealthCheck', Properties: {HealthCheckConfig: {Type: TCP, IPAddress: 203.0.113.9, Port: <80|81>, FailureThreshold: 2}, HealthCheckTags: [{Key: k, Value: <a|b>}]}}
  Near: {Type: 'AWS::Route53::RecordSet', Properties: {HostedZoneId: !Ref Zone, Name: near.types.example, Type: A, TTL: 60, ResourceRecords: [192.0.2.1], SetIdentifier: <eu|other>, GeoLocation: {ContinentCode: <EU|AS>}, HealthCheckId: !Ref Check}}
  Stored: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: <one|two>, Description: <one|two>, Tags: {k: <a|b>}}}
Outputs:
  All: {Value: !Join [' ', [!GetAtt Vpc.DefaultSecurityGroup, !GetAtt A.AvailabilityZone, !GetAtt Instance.PrivateIp, !GetAtt Key.KeyPairId, !GetAtt Balancer.LoadBalancerFullName, !GetAtt Targets.TargetGroupFullName, !GetAtt Policy.PolicyName, !GetAtt Alarm.Arn, !GetAtt Stored.Value, !Select [0, !GetAtt Zone.NameServers], !GetAtt Template.LatestVersionNumber, !Select [0, !GetAtt Interface.SecondaryPrivateIpAddresses], !GetAtt Web.GroupName, !GetAtt Group.MaxSize, !GetAtt Instance.InstanceType]]}
"#;

/// The template with the first or the second of each choice.
fn version(second: bool) -> String {
    let mut out = String::new();
    for (number, part) in ALL.split(['<', '>']).enumerate() {
        match part.split_once('|') {
            Some((first, other)) if number % 2 == 1 => out.push_str(if second { other } else { first }),
            // `Value<AWS::…>` is a type, no choice.
            _ if number % 2 == 1 => out.push_str(&format!("<{part}>")),
            _ => out.push_str(part),
        }
    }
    out
}

fn things(yard: &Yard) -> Vec<(String, String)> {
    let found = yard.stacks("ListStackResources", json!({"StackName": "s"}));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = found["StackResourceSummaries"].as_array().unwrap();
    all.iter().map(|one| (text(&one["LogicalResourceId"]), text(&one["PhysicalResourceId"]))).collect()
}

#[test]
fn every_type_is_made_changed_in_place_and_deleted() {
    let yard = Yard::new();
    yard.call("ec2", "DescribeVpcs", json!({}));
    let nothing = yard.belongings();
    // Certificates are Certificate Manager's, which is tried with clients (`clients/test_https.py`).
    const ELSEWHERE: [&str; 2] =
        ["AWS::ElasticLoadBalancingV2::ListenerCertificate", "AWS::CertificateManager::Certificate"];
    let used = |name: &str| ALL.contains(name) || ELSEWHERE.contains(&name);
    let missing: Vec<&str> =
        zonal_cloudformation::types::all().iter().map(|one| one.name).filter(|name| !used(name)).collect();
    assert!(missing.is_empty(), "types that this test leaves out: {missing:?}");

    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": version(false)}));
    yard.until("s", "CREATE_COMPLETE");
    let first = things(&yard);
    yard.stacks("DetectStackDrift", json!({"StackName": "s"}));
    let drifts = yard.stacks("DescribeStackResourceDrifts", json!({"StackName": "s"}));
    let drifts = drifts["StackResourceDrifts"].as_array().unwrap();
    let drifted: Vec<&Value> = drifts.iter().filter(|one| one["StackResourceDriftStatus"] != "IN_SYNC").collect();
    assert!(drifts.len() > 15 && drifted.is_empty(), "what was just made has not drifted: {drifted:#?}");
    assert_eq!(
        yard.output("s", "All").split(' ').filter(|part| !part.is_empty()).count(),
        15,
        "{}",
        yard.output("s", "All")
    );

    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": version(true)}));
    yard.until("s", "UPDATE_COMPLETE");
    let moved: Vec<String> =
        things(&yard).into_iter().filter(|thing| !first.contains(thing)).map(|(logical, _)| logical).collect();
    // An association with another table is another association, by EC2's own operation.
    assert_eq!(moved, ["Routes"], "{:#?}", yard.events("s"));

    let at = |value: &Value, path: &str| value.pointer(path).cloned().unwrap_or(Value::Null);
    let id = |logical: &str| yard.physical("s", logical);
    let groups = yard.call("ec2", "DescribeSecurityGroups", json!({"GroupIds": [id("Web")]}));
    let ports: Vec<i64> = at(&groups, "/SecurityGroups/0/IpPermissions")
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["FromPort"].as_i64().unwrap())
        .collect();
    assert!(ports.contains(&81) && ports.contains(&22) && !ports.contains(&80), "{groups:#}");
    let data =
        yard.call("ec2", "DescribeInstanceAttribute", json!({"InstanceId": id("Instance"), "Attribute": "userData"}));
    assert_eq!(at(&data, "/UserData/Value"), "ZWNobyB0d28=");
    let group = yard.call("autoscaling", "DescribeAutoScalingGroups", json!({"AutoScalingGroupNames": [id("Group")]}));
    assert_eq!(at(&group, "/AutoScalingGroups/0/MaxSize"), 3);
    assert_eq!(at(&group, "/AutoScalingGroups/0/LaunchTemplate/Version"), "2");
    let target_groups = yard.call("elbv2", "DescribeTargetGroups", json!({"TargetGroupArns": [id("Targets")]}));
    assert_eq!(at(&target_groups, "/TargetGroups/0/HealthCheckPath"), "/two");
    let rules = yard.call("elbv2", "DescribeRules", json!({"RuleArns": [id("Rule")]}));
    assert_eq!(at(&rules, "/Rules/0/Priority"), "7");
    assert_eq!(at(&rules, "/Rules/0/Actions/0/FixedResponseConfig/StatusCode"), "503");
    assert_eq!(at(&rules, "/Rules/0/Conditions/0/Values/0"), "/two/*");
    let acls = yard.call("ec2", "DescribeNetworkAcls", json!({"NetworkAclIds": [id("Acl")]}));
    assert_eq!(at(&acls, "/NetworkAcls/0/Associations/0/SubnetId"), id("A"));
    let entries = at(&acls, "/NetworkAcls/0/Entries");
    let numbered = entries.as_array().unwrap().iter().filter(|entry| entry["RuleNumber"] == 100);
    let numbered: Vec<String> = numbered
        .map(|entry| format!("{} {} {}", entry["Egress"], entry["RuleAction"], entry["PortRange"]["From"]))
        .collect();
    assert!(numbered.contains(&r#"false "deny" null"#.to_owned()), "{numbered:?}");
    assert!(numbered.contains(&r#"true "allow" 2"#.to_owned()), "{numbered:?}");
    let monitored = yard.call("ec2", "DescribeInstances", json!({"InstanceIds": [id("Instance")]}));
    assert_eq!(at(&monitored, "/Reservations/0/Instances/0/Monitoring/State"), "disabled");
    let profile = at(&monitored, "/Reservations/0/Instances/0/IamInstanceProfile/Arn");
    assert!(profile.as_str().is_some_and(|arn| arn.ends_with("/two")), "{profile}");
    assert_eq!(at(&monitored, "/Reservations/0/Instances/0/NetworkInterfaces").as_array().map_or(0, Vec::len), 2);
    let hooks = yard.call("autoscaling", "DescribeLifecycleHooks", json!({"AutoScalingGroupName": id("Group")}));
    let hooks: Vec<String> = at(&hooks, "/LifecycleHooks")
        .as_array()
        .unwrap()
        .iter()
        .map(|hook| hook["LifecycleHookName"].to_string())
        .collect();
    assert!(hooks.contains(&"\"second\"".to_owned()) && !hooks.contains(&"\"first\"".to_owned()), "{hooks:?}");
    let tagged = json!({"ResourceType": "Parameter", "ResourceId": id("Stored")});
    let tags = yard.call("ssm", "ListTagsForResource", tagged);
    assert!(tags["TagList"].as_array().unwrap().contains(&json!({"Key": "k", "Value": "b"})), "{tags:#}");
    let listeners = yard.call("elbv2", "DescribeListeners", json!({"ListenerArns": [id("Listener")]}));
    assert_eq!(at(&listeners, "/Listeners/0/Port"), 8080);
    let records = yard.call("route53", "ListResourceRecordSets", json!({"HostedZoneId": id("Zone")}));
    let names: Vec<String> = records["ResourceRecordSets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| format!("{} {}", record["Name"], record["TTL"]))
        .collect();
    assert!(names.iter().any(|name| name == r#""www.types.example." 30"#), "{names:?}");
    assert!(
        names.iter().any(|name| name.starts_with(r#""c.types"#))
            && !names.iter().any(|name| name.starts_with(r#""b.types"#)),
        "{names:?}"
    );
    let board = yard.call("cloudwatch", "GetDashboard", json!({"DashboardName": "board"}));
    assert!(board["DashboardBody"].as_str().unwrap().contains("two"), "{board:#}");
    let over = json!({"AlarmNames": [id("Over")], "AlarmTypes": ["CompositeAlarm"]});
    let over = yard.call("cloudwatch", "DescribeAlarms", over);
    assert!(at(&over, "/CompositeAlarms/0/AlarmRule").as_str().unwrap().starts_with("OK("), "{over:#}");
    let stored = yard.call("ssm", "GetParameter", json!({"Name": id("Stored")}));
    assert_eq!(at(&stored, "/Parameter/Value"), "two");

    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
    assert_eq!(yard.belongings(), nothing);
    assert_eq!(yard.call("ec2", "DescribeKeyPairs", json!({}))["KeyPairs"].as_array().map_or(0, Vec::len), 0);
    let parameters = yard.call("ssm", "DescribeParameters", json!({}));
    assert_eq!(parameters["Parameters"].as_array().map_or(0, Vec::len), 0, "{parameters:#}");
}
