//! What a thing of each type would be imported by: the properties that name it. Source: the resource types' schemas (`primaryIdentifier`),
//! as cfn-lint 1.53 brings them.

/// The properties that name a thing of a type; none for types that can't be imported.
pub fn of(type_name: &str) -> &'static [&'static str] {
    IDENTIFIERS.iter().find(|(name, _)| *name == type_name).map_or(&[], |(_, properties)| properties)
}

const IDENTIFIERS: &[(&str, &[&str])] = &[
    ("AWS::AutoScaling::AutoScalingGroup", &["AutoScalingGroupName"]),
    ("AWS::AutoScaling::LifecycleHook", &["AutoScalingGroupName", "LifecycleHookName"]),
    ("AWS::AutoScaling::ScalingPolicy", &["Arn"]),
    ("AWS::AutoScaling::ScheduledAction", &["ScheduledActionName", "AutoScalingGroupName"]),
    ("AWS::CertificateManager::Certificate", &["Id"]),
    ("AWS::CloudWatch::Alarm", &["AlarmName"]),
    ("AWS::CloudWatch::CompositeAlarm", &["AlarmName"]),
    ("AWS::CloudWatch::Dashboard", &["DashboardName"]),
    ("AWS::EC2::EIP", &["PublicIp", "AllocationId"]),
    ("AWS::EC2::EIPAssociation", &["Id"]),
    ("AWS::EC2::Instance", &["InstanceId"]),
    ("AWS::EC2::InternetGateway", &["InternetGatewayId"]),
    ("AWS::EC2::KeyPair", &["KeyName"]),
    ("AWS::EC2::LaunchTemplate", &["LaunchTemplateId"]),
    ("AWS::EC2::NetworkAcl", &["Id"]),
    ("AWS::EC2::NetworkAclEntry", &["Id"]),
    ("AWS::EC2::NetworkInterface", &["Id"]),
    ("AWS::EC2::NetworkInterfaceAttachment", &["AttachmentId"]),
    ("AWS::EC2::Route", &["RouteTableId", "CidrBlock"]),
    ("AWS::EC2::RouteTable", &["RouteTableId"]),
    ("AWS::EC2::SecurityGroup", &["Id"]),
    ("AWS::EC2::SecurityGroupEgress", &["Id"]),
    ("AWS::EC2::SecurityGroupIngress", &["Id"]),
    ("AWS::EC2::Subnet", &["SubnetId"]),
    ("AWS::EC2::SubnetNetworkAclAssociation", &["AssociationId"]),
    ("AWS::EC2::SubnetRouteTableAssociation", &["Id"]),
    ("AWS::EC2::VPC", &["VpcId"]),
    ("AWS::EC2::VPCGatewayAttachment", &["AttachmentType", "VpcId"]),
    ("AWS::ElasticLoadBalancingV2::Listener", &["ListenerArn"]),
    ("AWS::ElasticLoadBalancingV2::ListenerCertificate", &["Id"]),
    ("AWS::ElasticLoadBalancingV2::ListenerRule", &["RuleArn"]),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", &["LoadBalancerArn"]),
    ("AWS::ElasticLoadBalancingV2::TargetGroup", &["TargetGroupArn"]),
    ("AWS::Route53::CidrCollection", &["Id"]),
    ("AWS::Route53::HealthCheck", &["HealthCheckId"]),
    ("AWS::Route53::HostedZone", &["Id"]),
    ("AWS::Route53::RecordSet", &["Id"]),
    ("AWS::Route53::RecordSetGroup", &["Id"]),
    ("AWS::SSM::Parameter", &["Name"]),
];
