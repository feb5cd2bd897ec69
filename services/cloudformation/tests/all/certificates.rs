//! Certificates that stacks request.

use serde_json::json;

use crate::yard::Yard;

const TEMPLATE: &str = "
Resources:
  Zone: {Type: 'AWS::Route53::HostedZone', Properties: {Name: example.com}}
  Certificate:
    Type: AWS::CertificateManager::Certificate
    Properties:
      DomainName: example.com
      ValidationMethod: DNS
      DomainValidationOptions: [{DomainName: example.com, HostedZoneId: !Ref Zone}]
";

#[test]
fn a_certificates_logging_preference_changes_in_place_and_has_its_default_again_when_it_goes() {
    let yard = Yard::new();
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": TEMPLATE}));
    yard.until("s", "CREATE_COMPLETE");
    let arn = yard.physical("s", "Certificate");
    let preference = || {
        let detail = yard.call("acm", "DescribeCertificate", json!({"CertificateArn": arn}));
        detail["Certificate"]["Options"]["CertificateTransparencyLoggingPreference"].clone()
    };
    assert_eq!(preference(), "ENABLED");
    let declined = format!("{TEMPLATE}      CertificateTransparencyLoggingPreference: DISABLED\n");
    for (template, expected) in [(declined.as_str(), "DISABLED"), (TEMPLATE, "ENABLED")] {
        yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": template}));
        yard.until("s", "UPDATE_COMPLETE");
        assert_eq!((preference(), yard.physical("s", "Certificate")), (json!(expected), arn.clone()));
    }
    let summary = yard.stacks("GetTemplateSummary", json!({"TemplateBody": TEMPLATE}));
    let own = summary["ResourceIdentifierSummaries"].as_array().unwrap().iter();
    let own = own.filter(|one| one["ResourceType"] == "AWS::CertificateManager::Certificate");
    assert_eq!(own.map(|one| one["ResourceIdentifiers"].clone()).collect::<Vec<_>>(), [json!(["Id"])]);
}
