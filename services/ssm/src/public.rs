//! Public parameters: names that lead to the latest image of a kind. Source: EC2 User Guide, "Reference the latest AMIs using
//! Systems Manager public parameters"; Debian wiki, "Cloud/AmazonEC2Image"; Ubuntu on AWS documentation, "Find Ubuntu images".

use crate::shapes::{Parameter, ParameterType};
use zonal_cloud::Tx;
use zonal_ec2::shapes::{DescribeImagesRequest, Filter, ops};
use zonal_wire::{AwsError, Time};

/// What all public parameters' names begin with.
pub const PREFIX: &str = "/aws/service/";

/// Parameters below `PREFIX`, with the pattern of the image's name, in the order of the parameters' names.
const IMAGES: [(&str, &str); 21] = [
    ("ami-amazon-linux-latest/al2023-ami-kernel-6.1-arm64", "al2023-ami-2023.*-kernel-6.1-arm64"),
    ("ami-amazon-linux-latest/al2023-ami-kernel-6.1-x86_64", "al2023-ami-2023.*-kernel-6.1-x86_64"),
    ("ami-amazon-linux-latest/al2023-ami-kernel-default-arm64", "al2023-ami-2023.*-kernel-6.1-arm64"),
    ("ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", "al2023-ami-2023.*-kernel-6.1-x86_64"),
    ("ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-arm64", "al2023-ami-minimal-2023.*-kernel-6.1-arm64"),
    ("ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64", "al2023-ami-minimal-2023.*-kernel-6.1-x86_64"),
    ("ami-amazon-linux-latest/amzn2-ami-hvm-arm64-gp2", "amzn2-ami-*hvm-2.0.*-arm64-gp2"),
    ("ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-ebs", "amzn2-ami-*hvm-2.0.*-x86_64-ebs"),
    ("ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2", "amzn2-ami-*hvm-2.0.*-x86_64-gp2"),
    ("ami-amazon-linux-latest/amzn2-ami-kernel-5.10-hvm-arm64-gp2", "amzn2-ami-kernel-5.10-hvm-2.0.*-arm64-gp2"),
    ("ami-amazon-linux-latest/amzn2-ami-kernel-5.10-hvm-x86_64-gp2", "amzn2-ami-kernel-5.10-hvm-2.0.*-x86_64-gp2"),
    (
        "canonical/ubuntu/server/20.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
        "ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server-*",
    ),
    (
        "canonical/ubuntu/server/20.04/stable/current/arm64/hvm/ebs-gp2/ami-id",
        "ubuntu/images/hvm-ssd/ubuntu-focal-20.04-arm64-server-*",
    ),
    (
        "canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
        "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*",
    ),
    (
        "canonical/ubuntu/server/22.04/stable/current/arm64/hvm/ebs-gp2/ami-id",
        "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-*",
    ),
    (
        "canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*",
    ),
    (
        "canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id",
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*",
    ),
    ("debian/release/11/latest/amd64", "debian-11-amd64-*"),
    ("debian/release/12/latest/amd64", "debian-12-amd64-2*"),
    ("debian/release/12/latest/arm64", "debian-12-arm64-2*"),
    ("debian/release/bookworm/latest/amd64", "debian-12-amd64-2*"),
];

/// The public parameter of that name, if there is one and an image for it.
///
/// # Errors
/// EC2's own.
pub fn named(tx: &mut Tx<'_>, name: &str) -> Result<Option<Parameter>, AwsError> {
    let below = name.strip_prefix(PREFIX);
    match IMAGES.iter().find(|(known, _)| Some(*known) == below) {
        Some((known, pattern)) => image(tx, known, pattern),
        None => Ok(None),
    }
}

/// The public parameters whose names begin so, in the order of their names.
///
/// # Errors
/// EC2's own.
pub fn below(tx: &mut Tx<'_>, path: &str, recursive: bool) -> Result<Vec<Parameter>, AwsError> {
    let mut found = Vec::new();
    for (known, pattern) in IMAGES {
        let name = format!("{PREFIX}{known}");
        let rest = name.strip_prefix(path);
        if rest.is_some_and(|rest| recursive || !rest.contains('/')) {
            found.extend(image(tx, known, pattern)?);
        }
    }
    Ok(found)
}

fn image(tx: &mut Tx<'_>, known: &str, pattern: &str) -> Result<Option<Parameter>, AwsError> {
    let filter = Filter { name: Some("name".into()), values: vec![pattern.to_owned()] };
    let input = DescribeImagesRequest { filters: vec![filter], ..Default::default() };
    let images = tx.call::<ops::DescribeImages>("ec2", &input)?.images;
    // A user may give an image of their own any name; it is not public.
    let latest = images
        .into_iter()
        .filter(|image| image.public == Some(true))
        .max_by(|a, b| a.creation_date.cmp(&b.creation_date));
    let Some(latest) = latest else { return Ok(None) };
    let name = format!("{PREFIX}{known}");
    Ok(Some(Parameter {
        arn: Some(format!("arn:aws:ssm:{}::parameter{name}", tx.scope.region)),
        name: Some(name),
        type_: Some(ParameterType::String),
        value: latest.image_id,
        version: Some(1),
        last_modified_date: latest.creation_date.as_deref().and_then(Time::parse),
        data_type: Some("aws:ec2:image".into()),
        ..Parameter::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_names_are_in_order_and_unique() {
        assert!(IMAGES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
