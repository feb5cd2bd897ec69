//! `AWS::SSM::Parameter`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, pick, text};
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
        // A map here, a list everywhere else; changed by replacement as there is no call that takes tags away.
        Replace.of("Tags", Kind::Json),
    ],
    attributes: &["Type", "Value"],
    handler: &Parameter,
};

struct Parameter;

impl Parameter {
    fn input(name: &str, properties: &Value) -> Map<String, Value> {
        let mut input = pick(properties, &["Type", "Value", "Description", "AllowedPattern", "DataType", "Tier"]);
        input.insert("Name".to_owned(), json!(name));
        input
    }
}

impl Handler for Parameter {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let name = match text(properties, "Name") {
            "" => format!("CFN-{}", cx.name(255)),
            name => name.to_owned(),
        };
        let mut input = Self::input(&name, properties);
        input.insert("Tags".to_owned(), cx.tag_list(properties));
        cx.call("ssm", "PutParameter", input.into())?;
        Ok(name)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, _: &Value, new: &Value) -> Result<Progress, Failure> {
        let mut input = Self::input(id, new);
        input.insert("Overwrite".to_owned(), json!(true));
        cx.call("ssm", "PutParameter", input.into())?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.call("ssm", "DeleteParameter", json!({"Name": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, _: &str, properties: &Value, name: &str) -> Result<Value, Failure> {
        Ok(properties[name].clone())
    }
}
