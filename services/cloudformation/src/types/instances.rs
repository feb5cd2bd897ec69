//! `AWS::EC2::Instance`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::schema::{Kind, Property, TAGS, Update::*, boolean, number, text as member};
use super::{Handler, Progress, ResourceType};

const INTERFACE: &[Property] = &[
    member("DeviceIndex").required(),
    member("SubnetId"),
    member("NetworkInterfaceId"),
    Replace.texts("GroupSet"),
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
    member("SnapshotId"),
    member("KmsKeyId"),
];

const DEVICE: &[Property] = &[
    member("DeviceName").required(),
    Replace.object("Ebs", EBS),
    member("VirtualName"),
    Replace.of("NoDevice", Kind::Json),
];

const TEMPLATE: &[Property] = &[member("LaunchTemplateId"), member("LaunchTemplateName"), member("Version").required()];

const METADATA: &[Property] = &[
    member("HttpEndpoint"),
    member("HttpTokens"),
    member("HttpProtocolIpv6"),
    number("HttpPutResponseHopLimit"),
    member("InstanceMetadataTags"),
];

/// An instance.
pub const INSTANCE: ResourceType = ResourceType {
    name: "AWS::EC2::Instance",
    properties: &[
        Replace.text("ImageId"),
        InPlace.text("InstanceType"),
        Replace.text("KeyName"),
        Replace.text("SubnetId"),
        InPlace.texts("SecurityGroupIds"),
        Replace.texts("SecurityGroups"),
        InPlace.text("UserData"),
        Replace.text("PrivateIpAddress"),
        Replace.text("AvailabilityZone"),
        InPlace.boolean("DisableApiTermination"),
        InPlace.boolean("SourceDestCheck"),
        InPlace.boolean("Monitoring"),
        InPlace.text("InstanceInitiatedShutdownBehavior"),
        InPlace.text("IamInstanceProfile"),
        Replace.boolean("EbsOptimized"),
        Replace.text("Tenancy"),
        InPlace.object("CreditSpecification", &[member("CPUCredits")]),
        Replace.of("CpuOptions", Kind::Json),
        Replace.of("EnclaveOptions", Kind::Json),
        Replace.of("HibernationOptions", Kind::Json),
        Replace.of("PrivateDnsNameOptions", Kind::Json),
        Replace.text("PlacementGroupName"),
        InPlace.boolean("PropagateTagsToVolumeOnCreation"),
        Replace.of("NetworkInterfaces", Kind::List(&Kind::Object(INTERFACE))),
        Replace.of("BlockDeviceMappings", Kind::List(&Kind::Object(DEVICE))),
        Replace.object("LaunchTemplate", TEMPLATE),
        InPlace.object("MetadataOptions", METADATA),
        TAGS,
    ],
    attributes: &[
        "InstanceId",
        "PrivateIp",
        "PublicIp",
        "PrivateDnsName",
        "PublicDnsName",
        "AvailabilityZone",
        "VpcId",
        "State.Code",
        "State.Name",
    ],
    handler: &Instance,
};

struct Instance;

/// `RunInstances` members with the names that the properties have.
const SAME: [&str; 15] = [
    "ImageId",
    "InstanceType",
    "KeyName",
    "SubnetId",
    "SecurityGroupIds",
    "UserData",
    "PrivateIpAddress",
    "DisableApiTermination",
    "BlockDeviceMappings",
    "InstanceInitiatedShutdownBehavior",
    "EbsOptimized",
    "CpuOptions",
    "EnclaveOptions",
    "HibernationOptions",
    "PrivateDnsNameOptions",
];

impl Instance {
    fn find(cx: &mut Context<'_, '_>, id: &str) -> Result<Option<Value>, Failure> {
        let found = cx.find("ec2", "DescribeInstances", json!({"InstanceIds": [id]}), "Reservations")?;
        Ok(found.map(|reservation| reservation["Instances"][0].clone()))
    }

    fn get(cx: &mut Context<'_, '_>, id: &str) -> Result<Value, Failure> {
        Self::find(cx, id)?.ok_or_else(|| Failure::Unfit(format!("instance {id} is gone")))
    }

    fn state(instance: &Value) -> &str {
        text(&instance["State"], "Name")
    }

    fn lost(instance: &Value, id: &str) -> Failure {
        let reason = text(&instance["StateReason"], "Message");
        Failure::Unfit(format!(
            "Instance {id} failed to stabilize. Current state: {}. Reason: {reason}",
            Self::state(instance)
        ))
    }

    fn modify(cx: &mut Context<'_, '_>, id: &str, attribute: &str, value: Value) -> Result<(), Failure> {
        cx.ec2("ModifyInstanceAttribute", json!({"InstanceId": id, attribute: value})).map(drop)
    }

    /// Gives an instance another profile, or takes its profile away.
    fn profile(cx: &mut Context<'_, '_>, id: &str, name: Option<&Value>) -> Result<(), Failure> {
        let filters = json!([
            {"Name": "instance-id", "Values": [id]},
            {"Name": "state", "Values": ["associating", "associated"]},
        ]);
        let input = json!({"Filters": filters});
        let list = "IamInstanceProfileAssociations";
        let current = cx.find("ec2", "DescribeIamInstanceProfileAssociations", input, list)?;
        let profile = name.map(|name| json!({"Name": name}));
        let (operation, input) = match (current, profile) {
            (None, None) => return Ok(()),
            (None, Some(profile)) => {
                ("AssociateIamInstanceProfile", json!({"InstanceId": id, "IamInstanceProfile": profile}))
            }
            (Some(current), None) => {
                ("DisassociateIamInstanceProfile", json!({"AssociationId": current["AssociationId"]}))
            }
            (Some(current), Some(profile)) => (
                "ReplaceIamInstanceProfileAssociation",
                json!({"AssociationId": current["AssociationId"], "IamInstanceProfile": profile}),
            ),
        };
        cx.ec2(operation, input).map(drop)
    }

    /// `SecurityGroups` are names, of groups in the default VPC; `Ref` of a group gives its id, which they take as well.
    fn by_name(properties: &Value, input: &mut Map<String, Value>) {
        let Some(Value::Array(groups)) = properties.get("SecurityGroups") else { return };
        let (ids, names): (Vec<&Value>, Vec<&Value>) =
            groups.iter().partition(|group| group.as_str().is_some_and(|group| group.starts_with("sg-")));
        if !ids.is_empty() {
            input.insert("SecurityGroupIds".to_owned(), json!(ids));
        }
        if !names.is_empty() {
            input.insert("SecurityGroups".to_owned(), json!(names));
        }
    }

    /// What can be changed while it runs.
    fn modify_running(cx: &mut Context<'_, '_>, id: &str, old: &Value, new: &Value) -> Result<(), Failure> {
        if differs(old, new, "SecurityGroupIds") {
            Self::modify(cx, id, "Groups", new.get("SecurityGroupIds").cloned().unwrap_or_else(|| json!([])))?;
        }
        for (name, default) in [("DisableApiTermination", false), ("SourceDestCheck", true)] {
            if differs(old, new, name) {
                let value = new.get(name).cloned().unwrap_or(Value::Bool(default));
                Self::modify(cx, id, name, json!({"Value": value}))?;
            }
        }
        if differs(old, new, "MetadataOptions") {
            let mut input = new.get("MetadataOptions").and_then(Value::as_object).cloned().unwrap_or_default();
            input.insert("InstanceId".to_owned(), Value::from(id));
            cx.ec2("ModifyInstanceMetadataOptions", input.into())?;
        }
        if differs(old, new, "InstanceInitiatedShutdownBehavior") {
            let behavior = new.get("InstanceInitiatedShutdownBehavior").cloned().unwrap_or_else(|| json!("stop"));
            Self::modify(cx, id, "InstanceInitiatedShutdownBehavior", json!({"Value": behavior}))?;
        }
        if differs(old, new, "Monitoring") {
            let on = new.get("Monitoring").and_then(Value::as_bool).unwrap_or(false);
            cx.ec2(if on { "MonitorInstances" } else { "UnmonitorInstances" }, json!({"InstanceIds": [id]}))?;
        }
        if differs(old, new, "IamInstanceProfile") {
            Self::profile(cx, id, new.get("IamInstanceProfile"))?;
        }
        if differs(old, new, "CreditSpecification")
            && let Some(credits) = new["CreditSpecification"].get("CPUCredits")
        {
            let one = json!({"InstanceId": id, "CpuCredits": credits});
            cx.ec2("ModifyInstanceCreditSpecification", json!({"InstanceCreditSpecifications": [one]}))?;
        }
        cx.retag_ec2(id, old, new)
    }
}

impl Handler for Instance {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input: Map<String, Value> = pick(properties, &SAME);
        // A device left out is an empty object in templates, an empty text on the wire.
        for device in input.get_mut("BlockDeviceMappings").and_then(Value::as_array_mut).into_iter().flatten() {
            if device.get("NoDevice").is_some() {
                device["NoDevice"] = json!("");
            }
        }
        input.insert("MinCount".to_owned(), json!(1));
        input.insert("MaxCount".to_owned(), json!(1));
        input.insert("ClientToken".to_owned(), json!(cx.token));
        let mut tags = cx.tag_specifications("instance", properties);
        if properties.get("PropagateTagsToVolumeOnCreation") == Some(&Value::Bool(true))
            && let Some(all) = tags.as_array_mut()
        {
            // Only what the template says itself: names of AWS's own can't be given to volumes this way.
            let own = properties.get("Tags").cloned().unwrap_or_else(|| json!([]));
            all.push(json!({"ResourceType": "volume", "Tags": own}));
        }
        input.insert("TagSpecifications".to_owned(), tags);
        Self::by_name(properties, &mut input);
        if let Some(credits) = properties["CreditSpecification"].get("CPUCredits") {
            input.insert("CreditSpecification".to_owned(), json!({"CpuCredits": credits}));
        }
        if let Some(profile) = properties.get("IamInstanceProfile") {
            input.insert("IamInstanceProfile".to_owned(), json!({"Name": profile}));
        }
        for name in ["LaunchTemplate", "MetadataOptions"] {
            if let Some(value) = properties.get(name) {
                input.insert(name.to_owned(), value.clone());
            }
        }
        let mut placement = pick(properties, &["AvailabilityZone", "Tenancy"]);
        if let Some(group) = properties.get("PlacementGroupName") {
            placement.insert("GroupName".to_owned(), group.clone());
        }
        if !placement.is_empty() {
            input.insert("Placement".to_owned(), placement.into());
        }
        if let Some(enabled) = properties.get("Monitoring") {
            input.insert("Monitoring".to_owned(), json!({"Enabled": enabled}));
        }
        if let Some(Value::Array(interfaces)) = properties.get("NetworkInterfaces") {
            let interfaces: Vec<Value> = interfaces
                .iter()
                .map(|interface| {
                    let mut interface = interface.clone();
                    if let Some(groups) = interface.as_object_mut().and_then(|members| members.remove("GroupSet")) {
                        interface["Groups"] = groups;
                    }
                    interface
                })
                .collect();
            input.insert("NetworkInterfaces".to_owned(), interfaces.into());
        }
        let made = cx.ec2("RunInstances", input.into())?;
        let id = text(&made["Instances"][0], "InstanceId").to_owned();
        if properties.get("SourceDestCheck") == Some(&Value::Bool(false)) {
            Self::modify(cx, &id, "SourceDestCheck", json!({"Value": false}))?;
        }
        Ok(id)
    }

    fn settle(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        let instance = Self::get(cx, id)?;
        match Self::state(&instance) {
            "running" => Ok(Progress::Done),
            "pending" => Ok(Progress::Waiting),
            _ => Err(Self::lost(&instance, id)),
        }
    }

    /// Type and user data are changed while it is stopped: it keeps its addresses and its disk ("some interruptions").
    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        let instance = Self::get(cx, id)?;
        let kind = text(new, "InstanceType");
        let retype = differs(old, new, "InstanceType") && !kind.is_empty() && text(&instance, "InstanceType") != kind;
        let wanted = new.get("UserData").cloned().unwrap_or_else(|| json!(""));
        let rescript = differs(old, new, "UserData") && {
            let attribute = cx.ec2("DescribeInstanceAttribute", json!({"InstanceId": *id, "Attribute": "userData"}))?;
            attribute["UserData"].get("Value").cloned().unwrap_or_else(|| json!("")) != wanted
        };
        match (Self::state(&instance), retype || rescript) {
            ("pending" | "stopping", _) => Ok(Progress::Waiting),
            ("running", false) => {
                Self::modify_running(cx, id, old, new)?;
                Ok(Progress::Done)
            }
            ("running", true) => {
                cx.ec2("StopInstances", json!({"InstanceIds": [*id]}))?;
                Ok(Progress::Waiting)
            }
            ("stopped", changes) => {
                if changes && retype {
                    Self::modify(cx, id, "InstanceType", json!({"Value": kind}))?;
                }
                if changes && rescript {
                    Self::modify(cx, id, "UserData", json!({"Value": wanted}))?;
                }
                cx.ec2("StartInstances", json!({"InstanceIds": [*id]}))?;
                Ok(Progress::Waiting)
            }
            _ => Err(Self::lost(&instance, id)),
        }
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        match Self::find(cx, id)? {
            None => Ok(Progress::Done),
            Some(instance) if Self::state(&instance) == "terminated" => Ok(Progress::Done),
            Some(instance) if Self::state(&instance) == "shutting-down" => Ok(Progress::Waiting),
            Some(_) => deleted(cx.ec2("TerminateInstances", json!({"InstanceIds": [id]}))).map(|_| Progress::Waiting),
        }
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        let instance = Self::get(cx, id)?;
        let found = match name {
            "PrivateIp" => &instance["PrivateIpAddress"],
            "PublicIp" => &instance["PublicIpAddress"],
            "AvailabilityZone" => &instance["Placement"]["AvailabilityZone"],
            "State.Name" => &instance["State"]["Name"],
            "State.Code" => return Ok(json!(instance["State"]["Code"].to_string())),
            other => &instance[other],
        };
        // An instance without a public address has an empty one, as GetAtt gives it.
        Ok(if found.is_null() { json!("") } else { found.clone() })
    }
}
