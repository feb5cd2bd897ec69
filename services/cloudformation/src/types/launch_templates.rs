//! `AWS::EC2::LaunchTemplate`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::schema::{Kind, Property, Update::*, boolean, number, text as member};
use super::{Handler, Progress, ResourceType};

const INTERFACE: &[Property] = &[
    number("DeviceIndex"),
    number("NetworkCardIndex"),
    member("InterfaceType"),
    member("SubnetId"),
    member("NetworkInterfaceId"),
    Replace.texts("Groups"),
    boolean("AssociatePublicIpAddress"),
    boolean("DeleteOnTermination"),
    member("PrivateIpAddress"),
    InPlace.of("PrivateIpAddresses", Kind::List(&Kind::Object(&[boolean("Primary"), member("PrivateIpAddress")]))),
    number("SecondaryPrivateIpAddressCount"),
    member("Description"),
];

const EBS: &[Property] = &[
    number("VolumeSize"),
    member("VolumeType"),
    boolean("DeleteOnTermination"),
    boolean("Encrypted"),
    number("Iops"),
    number("Throughput"),
    member("SnapshotId"),
    member("KmsKeyId"),
];

const DEVICE: &[Property] =
    &[member("DeviceName"), Replace.object("Ebs", EBS), member("VirtualName"), member("NoDevice")];

const SPECIFICATION: &[Property] = &[
    member("ResourceType").required(),
    Replace.of("Tags", Kind::List(&Kind::Object(&[member("Key").required(), member("Value").required()]))),
];

const METADATA: &[Property] = &[
    member("HttpEndpoint"),
    member("HttpTokens"),
    member("HttpProtocolIpv6"),
    number("HttpPutResponseHopLimit"),
    member("InstanceMetadataTags"),
];

const PLACEMENT: &[Property] = &[
    member("Affinity"),
    member("AvailabilityZone"),
    member("GroupId"),
    member("GroupName"),
    member("HostId"),
    member("HostResourceGroupArn"),
    number("PartitionNumber"),
    member("SpreadDomain"),
    member("Tenancy"),
];

const DATA: &[Property] = &[
    member("ImageId"),
    member("InstanceType"),
    member("KeyName"),
    Replace.texts("SecurityGroupIds"),
    member("UserData"),
    boolean("DisableApiTermination"),
    boolean("EbsOptimized"),
    member("InstanceInitiatedShutdownBehavior"),
    Replace.object("Monitoring", &[boolean("Enabled")]),
    Replace.object("MetadataOptions", METADATA),
    Replace.texts("SecurityGroups"),
    Replace.object("IamInstanceProfile", &[member("Arn"), member("Name")]),
    Replace.object("CreditSpecification", &[member("CpuCredits")]),
    boolean("DisableApiStop"),
    // What instances of ours have no use for is EC2's to take or to refuse.
    Replace.of("CapacityReservationSpecification", Kind::Json),
    Replace.of("InstanceRequirements", Kind::Json),
    member("KernelId"),
    Replace.of("LicenseSpecifications", Kind::Json),
    member("RamDiskId"),
    Replace.of("CpuOptions", Kind::Json),
    Replace.of("EnclaveOptions", Kind::Json),
    Replace.of("HibernationOptions", Kind::Json),
    Replace.of("InstanceMarketOptions", Kind::Json),
    Replace.of("MaintenanceOptions", Kind::Json),
    Replace.of("PrivateDnsNameOptions", Kind::Json),
    Replace.object("Placement", PLACEMENT),
    Replace.of("BlockDeviceMappings", Kind::List(&Kind::Object(DEVICE))),
    Replace.of("NetworkInterfaces", Kind::List(&Kind::Object(INTERFACE))),
    Replace.of("TagSpecifications", Kind::List(&Kind::Object(SPECIFICATION))),
];

/// A launch template; a change of its data is a new version.
pub const LAUNCH_TEMPLATE: ResourceType = ResourceType {
    name: "AWS::EC2::LaunchTemplate",
    properties: &[
        Replace.text("LaunchTemplateName"),
        InPlace.object("LaunchTemplateData", DATA).required(),
        InPlace.text("VersionDescription"),
        InPlace.of("TagSpecifications", Kind::List(&Kind::Object(SPECIFICATION))),
    ],
    attributes: &["LaunchTemplateId", "LatestVersionNumber", "DefaultVersionNumber"],
    handler: &LaunchTemplate,
};

struct LaunchTemplate;

/// The tags of the template itself, as other types have theirs.
fn own_tags(properties: &Value) -> Value {
    let own = properties.get("TagSpecifications").and_then(Value::as_array);
    let own = own.and_then(|list| list.iter().find(|spec| text(spec, "ResourceType") == "launch-template"));
    json!({"Tags": own.map_or(json!([]), |spec| spec["Tags"].clone())})
}

impl Handler for LaunchTemplate {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = pick(properties, &["LaunchTemplateData", "VersionDescription"]);
        let name = match properties.get("LaunchTemplateName") {
            Some(name) => name.clone(),
            None => Value::from(cx.name(128)),
        };
        input.insert("LaunchTemplateName".to_owned(), name);
        input.insert("ClientToken".to_owned(), json!(cx.token));
        let tags = cx.tag_specifications("launch-template", &own_tags(properties));
        input.insert("TagSpecifications".to_owned(), tags);
        let made = cx.ec2("CreateLaunchTemplate", input.into())?;
        Ok(text(&made["LaunchTemplate"], "LaunchTemplateId").to_owned())
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        if differs(old, new, "LaunchTemplateData") || differs(old, new, "VersionDescription") {
            let mut input = pick(new, &["LaunchTemplateData", "VersionDescription"]);
            input.insert("LaunchTemplateId".to_owned(), json!(*id));
            input.insert("ClientToken".to_owned(), json!(cx.token));
            cx.ec2("CreateLaunchTemplateVersion", input.into())?;
        }
        cx.retag_ec2(id, &own_tags(old), &own_tags(new))?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DeleteLaunchTemplate", json!({"LaunchTemplateId": id})))
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        let input = json!({"LaunchTemplateIds": [id]});
        let template = cx.get("ec2", "DescribeLaunchTemplates", input, "LaunchTemplates")?;
        // Version numbers are strings in templates, numbers on the wire.
        let found = if name.ends_with("VersionNumber") { &template[name] } else { &template["LaunchTemplateId"] };
        Ok(match found {
            Value::Number(number) => Value::from(number.to_string()),
            other => other.clone(),
        })
    }
}
