//! Resource types that are not known: AWS's sentence, and which of them are missing here rather than there.

use std::collections::BTreeSet;

use super::error::TemplateError;
use super::model::Resource;

/// The services that have resource types, by the middle of their types' names. Source: the resource type schemas that cfn-lint 1.53
/// brings, for us-east-1.
const SERVICES: &str = "ACMPCA AIOps APS ARCRegionSwitch ARCZonalShift AccessAnalyzer AmazonMQ Amplify AmplifyUIBuilder ApiGateway ApiGatewayV2 \
AppConfig AppFlow AppIntegrations AppMesh AppRunner AppStream AppSync AppTest ApplicationAutoScaling ApplicationInsights \
ApplicationSignals Athena AuditManager AutoScaling AutoScalingPlans B2BI BCMDataExports Backup BackupGateway Batch \
BcmPricingCalculator Bedrock BedrockAgentCore BedrockMantle Billing BillingConductor Braket Budgets CDK CE CUR Cases \
Cassandra CertificateManager Chatbot Chime CleanRooms CleanRoomsML Cloud9 CloudFormation CloudFront CloudTrail \
CloudWatch CodeArtifact CodeBuild CodeCommit CodeConnections CodeDeploy CodeGuruProfiler CodeGuruReviewer CodePipeline \
CodeStar CodeStarConnections CodeStarNotifications Cognito Comprehend ComputeOptimizer Config Connect ConnectCampaigns \
ConnectCampaignsV2 ControlTower CustomerProfiles DAX DLM DMS DSQL DataBrew DataPipeline DataSync DataZone Deadline \
Detective DevOpsAgent DevOpsGuru DirectConnect DirectoryService DocDB DocDBElastic DynamoDB EC2 ECR ECS EFS EKS EMR \
EMRContainers EMRServerless EVS ElastiCache ElasticBeanstalk ElasticLoadBalancing ElasticLoadBalancingV2 Elasticsearch \
ElementalInference EntityResolution EventSchemas Events Evidently FIS FMS FSx FinSpace Forecast FraudDetector GameLift \
GlobalAccelerator Glue Grafana Greengrass GreengrassV2 GroundStation GuardDuty HealthImaging HealthLake IAM IVS IVSChat \
IdentityStore ImageBuilder Inspector InspectorV2 Interconnect InternetMonitor Invoicing IoT IoTAnalytics \
IoTCoreDeviceAdvisor IoTEvents IoTFleetWise IoTSiteWise IoTThingsGraph IoTTwinMaker IoTWireless KMS KafkaConnect Kendra \
KendraRanking Kinesis KinesisAnalytics KinesisAnalyticsV2 KinesisFirehose KinesisVideo LakeFormation Lambda LaunchWizard \
Lex LicenseManager Lightsail Location Logs LookoutEquipment LookoutVision M2 MPA MSK MWAA MWAAServerless Macie \
ManagedBlockchain MediaConnect MediaConvert MediaLive MediaPackage MediaPackageV2 MediaStore MediaTailor MemoryDB \
Neptune NeptuneGraph NetworkFirewall NetworkManager Notifications NotificationsContacts NovaAct ODB OSIS Oam \
ObservabilityAdmin Omics OpenSearchServerless OpenSearchService OpsWorks Organizations PCAConnectorAD PCAConnectorSCEP \
PCS Panorama PaymentCryptography Personalize Pinpoint PinpointEmail Pipes Proton QBusiness QLDB QuickSight RAM RDS \
RTBFabric RUM Rbin Redshift RedshiftServerless RefactorSpaces Rekognition ResilienceHub ResourceExplorer2 ResourceGroups \
RoboMaker RolesAnywhere Route53 Route53GlobalResolver Route53Profiles Route53RecoveryControl Route53RecoveryReadiness \
Route53Resolver S3 S3Express S3Files S3ObjectLambda S3Outposts S3Tables S3Vectors SDB SES SMSVOICE SNS SQS SSM \
SSMContacts SSMGuiConnect SSMIncidents SSMQuickSetup SSO SageMaker Scheduler SecretsManager SecurityAgent SecurityHub \
SecurityLake ServiceCatalog ServiceCatalogAppRegistry ServiceDiscovery Shield Signer SimSpaceWeaver StepFunctions \
SupportApp Synthetics SystemsManagerSAP Timestream Transfer UXC VerifiedPermissions VoiceID VpcLattice WAF WAFRegional \
WAFv2 Wisdom WorkSpaces WorkSpacesThinClient WorkSpacesWeb WorkspacesInstances XRay";

/// What a template is refused with that has resources of types that are not known; `None` for no resources. `known` are the types
/// that are.
pub fn refusal(unknown: &[&Resource], known: &[&str]) -> Option<TemplateError> {
    if unknown.is_empty() {
        return None;
    }
    let names: BTreeSet<&str> = unknown.iter().map(|resource| resource.type_name.as_str()).collect();
    let (mut missing, mut doubtful) = (Vec::new(), Vec::new());
    for name in &names {
        let has_service = known.iter().any(|known| service(known).eq_ignore_ascii_case(service(name)));
        if is_of_aws_form(name) && !has_service {
            missing.push((*name).to_owned());
        } else if let Some(meant) = nearest(name, known) {
            doubtful.push(format!("{name} (did you mean {meant}?)"));
        } else if is_of_aws_form(name) {
            doubtful.push((*name).to_owned());
        }
    }
    let mut places: Vec<_> = unknown.iter().map(|resource| resource.type_at).collect();
    places.sort();
    let places: Vec<String> = places.iter().map(ToString::to_string).collect();
    let mut hint = String::new();
    for (says, of_it) in [
        ("Zonal does not have these of AWS's", missing),
        ("Misspelt, or none of those that Zonal has of their services", doubtful),
    ] {
        if !of_it.is_empty() {
            hint.push_str(&format!(". {says}: {}", of_it.join(", ")));
        }
    }
    let names: Vec<&str> = names.into_iter().collect();
    Some(TemplateError::new(format!(
        "Template format error: Unrecognized resource types: [{}] (at {}){hint}",
        names.join(", "),
        places.join("; ")
    )))
}

/// The middle of a type's name.
fn service(name: &str) -> &str {
    name.split("::").nth(1).unwrap_or_default()
}

/// The known type that a name differs from by a slip of the pen, letters' case aside: a quarter of the last part at most, and no more
/// than three letters.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let thing = name.rsplit("::").next().unwrap_or_default().chars().count();
    let slips = (thing / 4).clamp(1, 3);
    let written = name.to_ascii_lowercase();
    // A name of any length may stand in a template.
    let near = known.iter().filter(|known| known.len().abs_diff(name.len()) <= slips);
    let distances = near.map(|known| (distance(&written, &known.to_ascii_lowercase()), *known));
    distances.filter(|(distance, _)| *distance <= slips).min().map(|(_, known)| known)
}

/// How many letters are to be put in, left out or exchanged to come from one word to another (Levenshtein's distance).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in to.iter().enumerate() {
            let exchanged = corner + usize::from(letter != *other);
            corner = row[column + 1];
            row[column + 1] = exchanged.min(corner + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

/// Whether a name has the form of a type of one of AWS's services.
fn is_of_aws_form(name: &str) -> bool {
    let mut parts = name.split("::");
    let service = parts.next().filter(|vendor| *vendor == "AWS").and_then(|_| parts.next());
    let thing = parts.next();
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(|c| c.is_ascii_alphanumeric())
    };
    parts.next().is_none()
        && thing.is_some_and(is_word)
        && service.is_some_and(|service| SERVICES.split_ascii_whitespace().any(|known| known == service))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_leads_to_the_nearest_type() {
        let known = ["AWS::EC2::EIP", "AWS::EC2::InternetGateway", "AWS::EC2::VPC", "AWS::SSM::Parameter"];
        for (name, meant) in [
            ("AWS::EC2::InternetGatway", Some("AWS::EC2::InternetGateway")),
            ("AWS::Ec2::vpc", Some("AWS::EC2::VPC")),
            ("AWS::SMM::Parameter", Some("AWS::SSM::Parameter")),
            ("AWS::EC2::IPAM", None),
            ("AWS::EC2::NatGateway", None),
            ("AWS::EC2::Volume", None),
        ] {
            assert_eq!(nearest(name, &known), meant, "{name}");
        }
    }

    #[test]
    fn a_distance_counts_letters() {
        for (from, to, letters) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)] {
            assert_eq!(distance(from, to), letters, "{from} {to}");
        }
    }

    #[test]
    fn a_types_name_has_awss_form_if_its_service_is_one_of_awss() {
        for name in ["AWS::S3::Bucket", "AWS::IAM::InstanceProfile", "AWS::RDS::DBInstance", "AWS::Lambda::Function"] {
            assert!(is_of_aws_form(name), "{name}");
        }
        for name in [
            "AWS::S4::Bucket",
            "AWS::S3",
            "AWS::S3::Bucket::Key",
            "Custom::Thing",
            "AWS::S3::bucket",
            "AWS::S3::",
            "S3",
        ] {
            assert!(!is_of_aws_form(name), "{name}");
        }
    }
}
