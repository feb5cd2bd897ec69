//! Inputs keyed by member names, as templates hand them over.

use serde_json::{Value, json};
use zonal_contract::APIS;
use zonal_wire::value;

/// The structure that JSON makes, as JSON again, or all that is wrong with it.
fn filled(service: &str, operation: &str, json: &Value) -> Result<Value, Vec<String>> {
    let api = APIS.iter().find(|api| api.service == service).expect("a service");
    let mut input = (api.operation(operation).expect("an operation").new_input)();
    match value::from_json(json, &mut *input) {
        Ok(()) => Ok(value::to_json(&*input)),
        Err(violations) => Err(violations.0.iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn text_stands_for_numbers_and_booleans_and_they_for_text() {
    let given = json!({ "Name": 7, "Port": "80", "HealthCheckEnabled": "true", "Protocol": "HTTP" });
    let made = json!({ "Name": "7", "Port": 80, "HealthCheckEnabled": true, "Protocol": "HTTP" });
    assert_eq!(filled("elbv2", "CreateTargetGroup", &given), Ok(made));
    let given = json!({ "DBInstance": null, "MinSize": "1", "MaxSize": 2.0, "AutoScalingGroupName": true });
    let wrong = filled("autoscaling", "CreateAutoScalingGroup", &given).expect_err("refused");
    assert_eq!(wrong, ["#/DBInstance: unknown key"]);
}

#[test]
fn all_that_is_wrong_is_named_by_its_path() {
    let given = json!({
        "MinCount": "one",
        "imageId": "ami-1",
        "TagSpecifications": [{ "Tags": [{ "Key": "k" }, { "Key": "k", "Colour": "red" }] }, []],
        "InstanceInitiatedShutdownBehavior": "explode",
    });
    assert_eq!(
        filled("ec2", "RunInstances", &given).expect_err("refused"),
        [
            "#/MaxCount: required key not found",
            "#/MinCount: 'one': Member must be an integer",
            "#/TagSpecifications/0/Tags/1/Colour: unknown key",
            "#/TagSpecifications/1: '[...]': Member must be a structure",
            "#/InstanceInitiatedShutdownBehavior: 'explode': Member must satisfy enum value set: [stop, terminate]",
            "#/imageId: unknown key",
        ]
    );
    assert_eq!(
        filled("ec2", "RunInstances", &json!("x")).expect_err("refused"),
        ["#: 'x': Member must be a structure"]
    );
}
