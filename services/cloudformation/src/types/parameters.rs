//! `AWS::SSM::Parameter`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, list_of, pick, tag_changes, text};
use super::schema::{Kind, Update::*};
use super::{Handler, Progress, ResourceType};

/// A parameter. Its physical id is its name.
pub const PARAMETER: ResourceType = ResourceType {
    name: "AWS::SSM::Parameter",
    properties: &[
        Replace.text("Name"),
        InPlace.text("Type").required(),
        InPlace.text("Value").required(),
        InPlace.text("Description"),
        InPlace.text("AllowedPattern"),
        InPlace.text("DataType"),
        InPlace.text("Tier"),
        // A map here, a list everywhere else.
        InPlace.of("Tags", Kind::Json),
    ],
    attributes: &["Type", "Value"],
    handler: &Parameter,
};

struct Parameter;

impl Parameter {
    /// Secure strings are no template's to make ("AWS::SSM::Parameter", `Type`).
    fn is_open(properties: &Value) -> Result<(), Failure> {
        match text(properties, "Type") {
            "SecureString" => Err(Failure::Unfit(
                "SSM Parameters of type SecureString cannot be created using CloudFormation".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    fn input(name: &str, properties: &Value) -> Map<String, Value> {
        let mut input = pick(properties, &["Type", "Value", "Description", "AllowedPattern", "DataType", "Tier"]);
        input.insert("Name".to_owned(), json!(name));
        input
    }
}

impl Handler for Parameter {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        Self::is_open(properties)?;
        let name = match text(properties, "Name") {
            "" => format!("CFN-{}", cx.name(255)),
            name => name.to_owned(),
        };
        let mut input = Self::input(&name, properties);
        input.insert("Tags".to_owned(), cx.tag_list(properties));
        cx.call("ssm", "PutParameter", input.into())?;
        Ok(name)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        Self::is_open(new)?;
        let mut input = Self::input(id, new);
        if Self::input(id, old) != input {
            input.insert("Overwrite".to_owned(), json!(true));
            cx.call("ssm", "PutParameter", input.into())?;
        }
        let (set, removed) = tag_changes(old, new);
        let tagged = json!({"ResourceType": "Parameter", "ResourceId": *id});
        if !set.is_empty() {
            let mut input = tagged.clone();
            input["Tags"] = list_of(&set);
            cx.call("ssm", "AddTagsToResource", input)?;
        }
        if !removed.is_empty() {
            let mut input = tagged;
            input["TagKeys"] = json!(removed);
            cx.call("ssm", "RemoveTagsFromResource", input)?;
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.call("ssm", "DeleteParameter", json!({"Name": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, _: &str, properties: &Value, name: &str) -> Result<Value, Failure> {
        Ok(properties[name].clone())
    }
}
