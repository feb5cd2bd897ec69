//! `AWS::EC2::KeyPair`. As CloudFormation does, a generated private key is kept as the parameter `/ec2/keypair/KEY-ID`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, pick, text};
use super::schema::{Property, TAGS, Update::*};
use super::{Handler, Progress, ResourceType};

/// A key pair. Its physical id is its name.
pub const KEY_PAIR: ResourceType = ResourceType {
    name: "AWS::EC2::KeyPair",
    properties: &[
        Replace.text("KeyName").required(),
        Replace.text("KeyType"),
        Replace.text("KeyFormat"),
        Replace.text("PublicKeyMaterial"),
        Property { update: Replace, ..TAGS },
    ],
    attributes: &["KeyPairId", "KeyFingerprint"],
    handler: &KeyPair,
};

struct KeyPair;

/// Where the private keys are.
const PARAMETERS: &str = "/ec2/keypair";

impl KeyPair {
    fn find(cx: &mut Context<'_, '_>, name: &str) -> Result<Option<Value>, Failure> {
        cx.find("ec2", "DescribeKeyPairs", json!({"KeyNames": [name]}), "KeyPairs")
    }

    fn parameter(key_pair: &Value) -> String {
        format!("{PARAMETERS}/{}", text(key_pair, "KeyPairId"))
    }

    /// The parameters of key pairs that this resource made and that are gone. The key pair's id is nowhere else then.
    fn left_behind(cx: &mut Context<'_, '_>) -> Result<Vec<String>, Failure> {
        let tagged =
            |key: &str, value: &str| json!({"Key": format!("tag:aws:cloudformation:{key}"), "Values": [value]});
        let own = [
            json!({"Key": "Path", "Values": [PARAMETERS]}),
            tagged("stack-id", cx.stack_id),
            tagged("logical-id", cx.logical_id),
        ];
        let found = cx.call("ssm", "DescribeParameters", json!({"ParameterFilters": own}))?;
        let names = found["Parameters"].as_array().into_iter().flatten().map(|parameter| text(parameter, "Name"));
        let mut left = Vec::new();
        for name in names {
            let id = name.trim_start_matches(PARAMETERS).trim_start_matches('/');
            if cx.find("ec2", "DescribeKeyPairs", json!({"KeyPairIds": [id]}), "KeyPairs")?.is_none() {
                left.push(name.to_owned());
            }
        }
        Ok(left)
    }
}

impl Handler for KeyPair {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let tags = cx.tag_specifications("key-pair", properties);
        if let Some(material) = properties.get("PublicKeyMaterial") {
            // The member is a blob: base64 in its JSON form.
            use base64::Engine as _;
            let material = base64::engine::general_purpose::STANDARD.encode(material.as_str().unwrap_or_default());
            let input =
                json!({"KeyName": properties["KeyName"], "PublicKeyMaterial": material, "TagSpecifications": tags});
            cx.ec2("ImportKeyPair", input)?;
        } else {
            let mut input = pick(properties, &["KeyName", "KeyType", "KeyFormat"]);
            input.insert("TagSpecifications".to_owned(), tags);
            let made = cx.ec2("CreateKeyPair", input.into())?;
            let tags = cx.tag_list(properties);
            let name = Self::parameter(&made);
            let secret = json!({"Name": name, "Value": made["KeyMaterial"], "Type": "SecureString", "Tags": tags});
            cx.call("ssm", "PutParameter", secret)?;
        }
        Ok(text(properties, "KeyName").to_owned())
    }

    fn update(&self, _: &mut Context<'_, '_>, _: &mut String, _: &Value, _: &Value) -> Result<Progress, Failure> {
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<Progress, Failure> {
        let found = Self::find(cx, id)?;
        if properties.get("PublicKeyMaterial").is_none() {
            let secrets = match &found {
                Some(found) => vec![Self::parameter(found)],
                None => Self::left_behind(cx)?,
            };
            for name in secrets {
                deleted(cx.call("ssm", "DeleteParameter", json!({"Name": name})))?;
            }
        }
        deleted(cx.ec2("DeleteKeyPair", json!({"KeyName": id})))
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        let found = Self::find(cx, id)?.ok_or_else(|| Failure::Unfit(format!("key pair {id} is gone")))?;
        Ok(found[name].clone())
    }
}
