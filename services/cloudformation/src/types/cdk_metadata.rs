//! `AWS::CDK::Metadata`: what the CDK writes into its templates about itself. CloudFormation makes nothing of it.

use serde_json::Value;

use super::context::{Context, Failure};
use super::schema::Update::*;
use super::{Handler, Progress, ResourceType};

/// A note of the CDK's. Its physical id is a name of its own.
pub const CDK_METADATA: ResourceType = ResourceType {
    name: "AWS::CDK::Metadata",
    properties: &[InPlace.text("Analytics"), InPlace.text("Modules")],
    attributes: &[],
    handler: &CdkMetadata,
};

struct CdkMetadata;

impl Handler for CdkMetadata {
    fn create(&self, cx: &mut Context<'_, '_>, _: &Value) -> Result<String, Failure> {
        Ok(cx.name(255))
    }

    fn update(&self, _: &mut Context<'_, '_>, _: &mut String, _: &Value, _: &Value) -> Result<Progress, Failure> {
        Ok(Progress::Done)
    }

    fn delete(&self, _: &mut Context<'_, '_>, _: &str, _: &Value) -> Result<Progress, Failure> {
        Ok(Progress::Done)
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}
