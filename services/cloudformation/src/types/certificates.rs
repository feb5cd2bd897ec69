//! `AWS::CertificateManager::Certificate`.

use std::time::Duration;

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, list_of, pick, tag_changes, text};
use super::schema::{Kind, Property, Update::*, text as member};
use super::{Handler, Progress, ResourceType};

const TAG: &[Property] = &[member("Key").required(), member("Value").required()];
const VALIDATION: &[Property] = &[member("DomainName").required(), member("HostedZoneId"), member("ValidationDomain")];

/// A requested certificate. Its physical id is its ARN.
pub const CERTIFICATE: ResourceType = ResourceType {
    name: "AWS::CertificateManager::Certificate",
    properties: &[
        Replace.text("DomainName").required(),
        Replace.texts("SubjectAlternativeNames"),
        Replace.text("ValidationMethod"),
        Replace.of("DomainValidationOptions", Kind::List(&Kind::Object(VALIDATION))),
        Replace.text("KeyAlgorithm"),
        InPlace.text("CertificateTransparencyLoggingPreference"),
        InPlace.of("Tags", Kind::List(&Kind::Object(TAG))),
    ],
    attributes: &[],
    handler: &Certificate,
};

struct Certificate;

/// Seconds that a validation record may be kept.
const TTL: u32 = 300;

/// How long a certificate's validation is waited for: the record may be put in by hand.
const VALIDATED: Duration = Duration::from_secs(12 * 3600);

/// The hosted zone that a template names for a domain.
fn zone_of<'v>(properties: &'v Value, domain: &str) -> Option<&'v str> {
    let options = properties.get("DomainValidationOptions")?.as_array()?;
    let own = options.iter().find(|option| text(option, "DomainName").eq_ignore_ascii_case(domain))?;
    Some(text(own, "HostedZoneId")).filter(|zone| !zone.is_empty())
}

fn detail(cx: &mut Context<'_, '_>, id: &str) -> Result<Value, Failure> {
    Ok(cx.call("acm", "DescribeCertificate", json!({"CertificateArn": id}))?["Certificate"].clone())
}

/// Puts the validation records into the zones that the template names; CloudFormation leaves them there.
fn validate(cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<(), Failure> {
    let detail = detail(cx, id)?;
    for one in detail["DomainValidationOptions"].as_array().into_iter().flatten() {
        let (Some(zone), record) = (zone_of(properties, text(one, "DomainName")), &one["ResourceRecord"]) else {
            continue;
        };
        if record.is_null() {
            continue;
        }
        let set = json!({
            "Name": record["Name"], "Type": record["Type"], "TTL": TTL, "ResourceRecords": [{"Value": record["Value"]}],
        });
        let batch = json!({"Changes": [{"Action": "UPSERT", "ResourceRecordSet": set}]});
        cx.call("route53", "ChangeResourceRecordSets", json!({"HostedZoneId": zone, "ChangeBatch": batch}))?;
    }
    Ok(())
}

impl Handler for Certificate {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let names = ["DomainName", "SubjectAlternativeNames", "ValidationMethod", "KeyAlgorithm"];
        let mut input = pick(properties, &names);
        let logging = text(properties, "CertificateTransparencyLoggingPreference");
        if !logging.is_empty() {
            input.insert("Options".to_owned(), json!({"CertificateTransparencyLoggingPreference": logging}));
        }
        let tags = cx.tag_list(properties);
        if tags.as_array().is_some_and(|tags| !tags.is_empty()) {
            input.insert("Tags".to_owned(), tags);
        }
        let made = cx.call("acm", "RequestCertificate", input.into())?;
        let id = text(&made, "CertificateArn").to_owned();
        validate(cx, &id, properties)?;
        Ok(id)
    }

    fn settle(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        match text(&detail(cx, id)?, "Status") {
            "ISSUED" => Ok(Progress::Done),
            "PENDING_VALIDATION" => Ok(Progress::Waiting),
            other => Err(Failure::Unfit(format!("Certificate was not issued: its status is {other}"))),
        }
    }

    fn patience(&self, _: &Value) -> Option<Duration> {
        Some(VALIDATED)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        const LOGGING: &str = "CertificateTransparencyLoggingPreference";
        if old.get(LOGGING) != new.get(LOGGING) {
            // What a template no longer names has its default again.
            let logging = new.get(LOGGING).cloned().unwrap_or_else(|| json!("ENABLED"));
            cx.call("acm", "UpdateCertificateOptions", json!({"CertificateArn": *id, "Options": {LOGGING: logging}}))?;
        }
        let (set, removed) = tag_changes(old, new);
        if !removed.is_empty() {
            let tags: Vec<Value> = removed.iter().map(|key| json!({"Key": key})).collect();
            cx.call("acm", "RemoveTagsFromCertificate", json!({"CertificateArn": *id, "Tags": tags}))?;
        }
        if !set.is_empty() {
            cx.call("acm", "AddTagsToCertificate", json!({"CertificateArn": *id, "Tags": list_of(&set)}))?;
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.call("acm", "DeleteCertificate", json!({"CertificateArn": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}
