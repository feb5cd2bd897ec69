//! Images: the public ones that every account sees, and those that users make of their instances.

use super::{Answer, Selection, filters, json, one, snapshots, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{Image, ImageState, Instance, Snapshot, Volume};
use crate::shapes::{self, *};
use sha2::{Digest, Sha256};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};
use zonal_wire::Time;

/// The words in "does not exist".
pub(crate) const UNKNOWN: (&str, &str) = ("InvalidAMIID.NotFound", "image id");

/// A public image. All boot the world's base image; what differs is what they are called.
struct Public {
    name: &'static str,
    description: &'static str,
    owner: &'static str,
    owner_alias: Option<&'static str>,
    created: i64,
    size: i32,
    root_device: &'static str,
    imds_v2: bool,
    kind: &'static str,
}

const AMAZON: Public = Public {
    name: "",
    description: "",
    owner: "137112412989",
    owner_alias: Some("amazon"),
    created: 1_727_740_800,
    size: 8,
    root_device: "/dev/xvda",
    imds_v2: false,
    kind: "amzn2",
};
const UBUNTU: Public =
    Public { owner: "099720109477", owner_alias: None, root_device: "/dev/sda1", kind: "ubuntu", ..AMAZON };

const PUBLIC: &[Public] = &[
    Public {
        name: "al2023-ami-2023.6.20241010.0-kernel-6.1-x86_64",
        description: "Amazon Linux 2023 AMI 2023.6.20241010.0 x86_64 HVM kernel-6.1",
        created: 1_728_518_400,
        imds_v2: true,
        kind: "al2023",
        ..AMAZON
    },
    Public {
        name: "al2023-ami-minimal-2023.6.20241010.0-kernel-6.1-x86_64",
        description: "Amazon Linux 2023 AMI 2023.6.20241010.0 x86_64 Minimal HVM kernel-6.1",
        created: 1_728_518_400,
        size: 2,
        imds_v2: true,
        kind: "al2023",
        ..AMAZON
    },
    Public {
        name: "amzn2-ami-kernel-5.10-hvm-2.0.20241001.0-x86_64-gp2",
        description: "Amazon Linux 2 Kernel 5.10 AMI 2.0.20241001.0 x86_64 HVM gp2",
        ..AMAZON
    },
    Public {
        name: "amzn2-ami-hvm-2.0.20241001.0-x86_64-gp2",
        description: "Amazon Linux 2 AMI 2.0.20241001.0 x86_64 HVM gp2",
        ..AMAZON
    },
    Public {
        name: "amzn2-ami-hvm-2.0.20241001.0-x86_64-ebs",
        description: "Amazon Linux 2 AMI 2.0.20241001.0 x86_64 HVM ebs",
        ..AMAZON
    },
    Public {
        name: "debian-12-amd64-20241004-1890",
        description: "Debian 12 (20241004-1890)",
        owner: "136693071363",
        owner_alias: None,
        created: 1_728_000_000,
        kind: "debian-12",
        ..AMAZON
    },
    Public {
        name: "debian-11-amd64-20240813-1838",
        description: "Debian 11 (20240813-1838)",
        owner: "136693071363",
        owner_alias: None,
        created: 1_723_507_200,
        kind: "debian-11",
        ..AMAZON
    },
    Public {
        name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20241004",
        description: "Canonical, Ubuntu, 24.04, amd64 noble image",
        created: 1_728_000_000,
        kind: "ubuntu-24.04",
        ..UBUNTU
    },
    Public {
        name: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20241002",
        description: "Canonical, Ubuntu, 22.04 LTS, amd64 jammy image build on 2024-10-02",
        created: 1_727_827_200,
        kind: "ubuntu-22.04",
        ..UBUNTU
    },
    Public {
        name: "ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server-20241007",
        description: "Canonical, Ubuntu, 20.04 LTS, amd64 focal image build on 2024-10-07",
        created: 1_728_259_200,
        kind: "ubuntu-20.04",
        ..UBUNTU
    },
];

/// Sixteen hexadecimal digits that are the same for the same label, always.
pub(crate) fn stable_hex(label: &str) -> String {
    Sha256::digest(label).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn public_id(view: &View<'_>, image: &Public) -> String {
    format!("ami-0{}", stable_hex(&format!("{}/{}", view.scope.region, image.name)))
}

/// An image as a launch needs it.
pub(crate) struct Found {
    pub id: String,
    pub architecture: &'static str,
    pub size: i32,
    pub root_device: String,
    pub imds_v2: bool,
}

fn check_id(id: &str) -> Result<(), Error> {
    Error::check_form(id, "ami-", "InvalidAMIID.Malformed")
}

/// The image of an id.
pub(crate) fn find(view: &View<'_>, id: &str) -> Result<Found, Error> {
    if let Some(image) = PUBLIC.iter().find(|image| public_id(view, image) == id) {
        return Ok(Found {
            id: id.to_owned(),
            architecture: "x86_64",
            size: image.size,
            root_device: image.root_device.to_owned(),
            imds_v2: image.imds_v2,
        });
    }
    match view.get::<Image>(id) {
        Some(image) if image.state == ImageState::Available => Ok(Found {
            id: id.to_owned(),
            architecture: "x86_64",
            size: image.size,
            root_device: image.root_device.clone(),
            imds_v2: false,
        }),
        Some(_) => Err(Error::Coded("InvalidAMIID.Unavailable", format!("The image ID '{id}' is not available"))),
        None => Err(check_id(id).err().unwrap_or_else(|| Error::not_found(UNKNOWN.0, UNKNOWN.1, id))),
    }
}

/// The kind of a public image; none for a user's own, deregistered or not.
pub(crate) fn public_kind(view: &View<'_>, id: &str) -> Option<&'static str> {
    PUBLIC.iter().find(|image| public_id(view, image) == id).map(|image| image.kind)
}

pub fn describe(view: &View<'_>, input: &DescribeImagesRequest) -> Answer<DescribeImagesResult> {
    input.image_ids.iter().try_for_each(|id| check_id(id))?;
    let mut all: Vec<shapes::Image> = PUBLIC.iter().map(|image| public_shape(view, image)).collect();
    all.extend(view.list::<Image>().map(|image| own_shape(view, image)));
    let account: &str = &view.scope.account;
    let owned = |image: &shapes::Image| {
        input.owners.is_empty()
            || input.owners.iter().any(|owner| match owner.as_str() {
                "self" => image.owner_id.as_deref() == Some(account),
                owner => image.owner_id.as_deref() == Some(owner) || image.image_owner_alias.as_deref() == Some(owner),
            })
    };
    all.retain(owned);
    all.sort_by(|a, b| a.image_id.cmp(&b.image_id));
    // With their tags beside them, as filters want them.
    let all: Vec<(shapes::Image, Tags)> = all
        .into_iter()
        .map(|image| {
            let own = image.image_id.as_deref().and_then(|id| view.get::<Image>(id));
            let tags = own.map(|image| image.tags.clone()).unwrap_or_default();
            (image, tags)
        })
        .collect();
    let selection = Selection {
        ids: &input.image_ids,
        filters: &input.filters,
        names: filters::IMAGES,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: UNKNOWN,
    };
    let (images, next_token) = selection.of(
        all.iter(),
        |(image, _)| image.image_id.as_deref().unwrap_or_default(),
        |(_, tags)| tags,
        |(image, _), name| {
            let optional = |value: &Option<String>| Some(value.clone().into_iter().collect());
            match name {
                "name" => optional(&image.name),
                "image-id" => optional(&image.image_id),
                "description" => optional(&image.description),
                "owner-id" => optional(&image.owner_id),
                "owner-alias" => optional(&image.image_owner_alias),
                "architecture" => one("x86_64"),
                "state" => optional(&image.state.map(|state| state.as_str().to_owned())),
                "is-public" => one(image.public == Some(true)),
                "image-type" => one("machine"),
                "root-device-type" => one("ebs"),
                "root-device-name" => optional(&image.root_device_name),
                "virtualization-type" => one("hvm"),
                "hypervisor" => one("xen"),
                "ena-support" => one(true),
                "creation-date" => optional(&image.creation_date),
                "platform-details" => one("Linux/UNIX"),
                "block-device-mapping.volume-type" => one("gp3"),
                "block-device-mapping.delete-on-termination" => one(true),
                _ => None,
            }
        },
        |(image, _)| json(image),
    )?;
    Ok(DescribeImagesResult {
        images: images.into_iter().map(|(image, _)| image.clone()).collect(),
        next_token,
        ..Default::default()
    })
}

fn common(snapshot: &str, size: i32, root_device: &str) -> shapes::Image {
    shapes::Image {
        architecture: Some(ArchitectureValues::X8664),
        platform_details: text("Linux/UNIX"),
        usage_operation: text("RunInstances"),
        deregistration_protection: text("disabled"),
        image_type: Some(ImageTypeValues::Machine),
        ena_support: Some(true),
        hypervisor: Some(HypervisorType::Xen),
        root_device_name: text(root_device),
        root_device_type: Some(DeviceType::Ebs),
        sriov_net_support: text("simple"),
        virtualization_type: Some(VirtualizationType::Hvm),
        block_device_mappings: vec![BlockDeviceMapping {
            device_name: text(root_device),
            ebs: Some(EbsBlockDevice {
                delete_on_termination: Some(true),
                encrypted: Some(false),
                snapshot_id: text(snapshot),
                volume_size: Some(size),
                volume_type: Some(VolumeType::Gp3),
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn public_shape(view: &View<'_>, image: &Public) -> shapes::Image {
    let id = public_id(view, image);
    let created = Time::from_secs(image.created);
    shapes::Image {
        name: text(image.name),
        description: text(image.description),
        owner_id: text(image.owner),
        image_owner_alias: image.owner_alias.map(ToOwned::to_owned),
        image_location: text(format!("{}/{}", image.owner_alias.unwrap_or(image.owner), image.name)),
        state: Some(shapes::ImageState::Available),
        public: Some(true),
        creation_date: text(created.iso8601_millis()),
        boot_mode: (image.kind == "al2023").then_some(BootModeValues::UefiPreferred),
        imds_support: image.imds_v2.then_some(ImdsSupportValues::V20),
        image_id: text(&id),
        ..common(&format!("snap-0{}", stable_hex(&id)), image.size, image.root_device)
    }
}

/// The snapshots that public images are made of.
pub(crate) fn public_snapshots(view: &View<'_>) -> Vec<shapes::Snapshot> {
    let of = |image: &Public| shapes::Snapshot {
        snapshot_id: text(format!("snap-0{}", stable_hex(&public_id(view, image)))),
        owner_id: text(image.owner),
        owner_alias: image.owner_alias.map(ToOwned::to_owned),
        description: text(""),
        volume_id: text("vol-ffffffff"),
        state: Some(shapes::SnapshotState::Completed),
        progress: text("100%"),
        start_time: Some(Time::from_secs(image.created)),
        volume_size: Some(image.size),
        encrypted: Some(false),
        storage_tier: Some(StorageTier::Standard),
        ..Default::default()
    };
    PUBLIC.iter().map(of).collect()
}

fn own_shape(view: &View<'_>, image: &Image) -> shapes::Image {
    shapes::Image {
        image_id: text(&image.id),
        name: text(&image.name),
        description: image.description.clone(),
        owner_id: text(&*view.scope.account),
        image_location: text(format!("{}/{}", view.scope.account, image.name)),
        state: Some(match image.state {
            ImageState::Pending => shapes::ImageState::Pending,
            ImageState::Available => shapes::ImageState::Available,
        }),
        public: Some(false),
        creation_date: text(image.created.iso8601_millis()),
        source_instance_id: text(&image.instance),
        tags: tag_list(&image.tags),
        ..common(&image.snapshot, image.size, &image.root_device)
    }
}

/// Whether an image that the request names is still being made.
pub fn unsettled(view: &View<'_>, input: &DescribeImagesRequest) -> bool {
    input.image_ids.iter().filter_map(|id| view.get::<Image>(id)).any(|image| image.state == ImageState::Pending)
}

pub fn create(tx: &mut Tx<'_>, input: &CreateImageRequest) -> Answer<CreateImageResult> {
    let instance = super::instances::instance(&tx.view(), &input.instance_id)?.clone();
    if instance.state.is_ending() {
        let text = format!("Instance '{}' is not in a state from which an image can be made.", instance.id);
        return Err(Error::Coded("IncorrectState", text).into());
    }
    if let Some(other) = tx.list::<Image>().find(|image| image.name == input.name) {
        let text = format!("AMI name {} is already in use by AMI {}", input.name, other.id);
        return Err(Error::Coded("InvalidAMIName.Duplicate", text).into());
    }
    let tags = specified(tx, &input.tag_specifications, "image", &["image", "snapshot"])?;
    let snapshot_tags = specified(tx, &input.tag_specifications, "snapshot", &["image", "snapshot"])?;
    let volume = tx.get::<Volume>(&instance.volume);
    let size = volume.map_or(8, |volume| volume.size);
    let volume = volume.map(|volume| volume.id.clone());
    let image = Image {
        id: tx.id("ami-"),
        name: input.name.clone(),
        description: input.description.clone(),
        instance: instance.id.clone(),
        size,
        root_device: instance.root_device.clone(),
        snapshot: tx.id("snap-"),
        snapshot_tags: Tags::new(),
        created: tx.now,
        state: ImageState::Pending,
        tags,
    };
    let image_id = text(&image.id);
    tx.put(Snapshot { tags: snapshot_tags, ..snapshots::of_image(&image, volume) });
    tx.put(image);
    // Unless told otherwise, AWS shuts the instance down and boots it again, so that its file system is at rest.
    if input.no_reboot != Some(true) && instance.state == crate::model::InstanceState::Running {
        tx.update::<Instance, _>(&instance.id, |instance| instance.generation += 1);
    }
    Ok(CreateImageResult { image_id, ..Default::default() })
}

pub fn deregister(tx: &mut Tx<'_>, input: &DeregisterImageRequest) -> Answer<DeregisterImageResult> {
    let id = &input.image_id;
    let Some(image) = tx.get::<Image>(id).cloned() else {
        find(&tx.view(), id)?;
        let text = format!("Not authorized for image: {id}");
        return Err(Error::Coded("AuthFailure", text).into());
    };
    tx.remove::<Image>(id);
    let mut delete_snapshot_results = Vec::new();
    if input.delete_associated_snapshots == Some(true) {
        tx.remove::<Snapshot>(&image.snapshot);
        delete_snapshot_results.push(DeleteSnapshotReturnCode {
            snapshot_id: text(&image.snapshot),
            return_code: Some(SnapshotReturnCodes::Success),
        });
    } else {
        // One that was being made is made; nobody will tell of it any more.
        snapshots::complete(tx, &image.snapshot);
    }
    Ok(DeregisterImageResult { return_: Some(true), delete_snapshot_results })
}

/// ModifyImageAttribute. What an image is called can be changed; it is its account's alone.
pub fn modify_attribute(tx: &mut Tx<'_>, input: &ModifyImageAttributeRequest) -> Answer<ModifyImageAttributeOutput> {
    super::beyond::refuse("ModifyImageAttribute", input)?;
    let id = &input.image_id;
    if tx.get::<Image>(id).is_none() {
        find(&tx.view(), id)?;
        return Err(Error::Coded("AuthFailure", format!("Not authorized for image:{id}")).into());
    }
    let by_name = input.value.clone().filter(|_| input.attribute.as_deref() == Some("description"));
    let Some(description) = input.description.as_ref().and_then(|own| own.value.clone()).or(by_name) else {
        return Err(Error::InvalidParameterCombination("No attributes specified.".to_owned()).into());
    };
    tx.update::<Image, _>(id, |image| image.description = Some(description));
    Ok(ModifyImageAttributeOutput::default())
}

pub fn describe_attribute(view: &View<'_>, input: &DescribeImageAttributeRequest) -> Answer<ImageAttribute> {
    let Some(own) = view.get::<Image>(&input.image_id) else {
        find(view, &input.image_id)?;
        // Attributes are for owners.
        return Err(Error::Coded("AuthFailure", format!("Not authorized for image:{}", input.image_id)).into());
    };
    let mut output = ImageAttribute { image_id: text(&input.image_id), ..Default::default() };
    if input.attribute == ImageAttributeName::Description {
        output.description = Some(AttributeValue { value: own.description.clone(), ..Default::default() });
    }
    Ok(output)
}
