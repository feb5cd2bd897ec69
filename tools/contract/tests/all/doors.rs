//! Which request means which operation, and what the others get.

use zonal_contract::APIS;
use zonal_wire::door::{self, RequestHead, Response};
use zonal_wire::{Api, Bounds, Protocol, value};

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> RequestHead {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    RequestHead::from(request.body(()).expect("a request").into_parts().0)
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.1");

fn signed(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKID/20261124/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// What a request is taken for: `service.Operation protocol`, or the error's code and message.
fn taken(head: &RequestHead, body: &str) -> String {
    match door::identify(head, body.as_bytes(), &APIS) {
        Ok(found) => format!("{}.{} {:?}", found.api.service, found.operation.name, found.protocol),
        Err(rejection) => rejection.error.to_string(),
    }
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

#[test]
fn the_signature_names_the_service() {
    let ec2 = signed("ec2");
    let request = head("POST", "/", &[FORM, ("authorization", &ec2), ("host", "localhost:4566")]);
    assert_eq!(taken(&request, "Action=DescribeVpcs&Version=2016-11-15"), "ec2.DescribeVpcs Ec2");
    let found = door::identify(&request, b"Action=DescribeVpcs", &APIS).expect("found");
    assert_eq!(found.scope.map(|scope| (scope.access_key, scope.region)), Some(("AKID".into(), "eu-west-1".into())));
    let presigned = "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKID%2F20261124%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20261124T000000Z&X-Amz-Expires=60\
        &X-Amz-SignedHeaders=host&X-Amz-Signature=0";
    assert_eq!(taken(&head("GET", presigned, &[]), ""), "sts.GetCallerIdentity Query");
}

#[test]
fn without_a_signature_target_host_or_path_name_the_service() {
    let ssm = head("POST", "/", &[JSON, ("x-amz-target", "AmazonSSM.GetParameters")]);
    assert_eq!(taken(&ssm, "{}"), "ssm.GetParameters Json11");
    let host = head("POST", "/", &[FORM, ("host", "autoscaling.us-east-1.amazonaws.com")]);
    assert_eq!(taken(&host, "Action=DescribePolicies"), "autoscaling.DescribePolicies Query");
    assert_eq!(
        taken(&head("POST", "/", &[FORM]), "Action=ListStacks&Version=2010-05-15"),
        "cloudformation.ListStacks Query"
    );
    assert_eq!(
        taken(&head("GET", "/2013-04-01/hostedzone/Z1/rrset", &[]), ""),
        "route53.ListResourceRecordSets RestXml"
    );
    assert_eq!(
        taken(&head("POST", "/2013-04-01/hostedzone/Z1/rrset/", &[]), ""),
        "route53.ChangeResourceRecordSets RestXml"
    );
}

#[test]
fn one_service_is_spoken_to_in_several_protocols() {
    let authorization = signed("monitoring");
    let cbor = head(
        "POST",
        "/service/GraniteServiceVersion20100801/operation/ListMetrics",
        &[("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor"), ("authorization", &authorization)],
    );
    assert_eq!(taken(&cbor, ""), "cloudwatch.ListMetrics RpcV2Cbor");
    let target = ("x-amz-target", "GraniteServiceVersion20100801.ListMetrics");
    let json =
        head("POST", "/", &[target, ("content-type", "application/x-amz-json-1.0"), ("authorization", &authorization)]);
    assert_eq!(taken(&json, "{}"), "cloudwatch.ListMetrics Json10");
    let query = head("POST", "/", &[FORM, ("authorization", &authorization)]);
    assert_eq!(taken(&query, "Action=ListMetrics&Version=2010-08-01"), "cloudwatch.ListMetrics Query");
}

#[test]
fn what_no_service_has_gets_awss_answer() {
    let form = |service: &str, body: &str| {
        let authorization = signed(service);
        taken(&head("POST", "/", &[FORM, ("authorization", &authorization)]), body)
    };
    let version = "Could not find operation Nope for version 2011-01-01";
    let here = "(not implemented by Zonal: COVERAGE.md lists what is)";
    assert_eq!(form("autoscaling", "Action=Nope&Version=2011-01-01"), format!("InvalidAction: {version} {here}"));
    let action = "InvalidAction: The action Nope is not valid for this web service.";
    assert_eq!(form("ec2", "Action=Nope"), format!("{action} {here}"));
    assert_eq!(form("ec2", "Foo=1"), "MissingAction: The request must contain the parameter Action");
    assert!(
        form("rds", "Action=Nope").starts_with("InvalidAction: Nope of the service 'rds' is not implemented by Zonal")
    );
    let rest = |service: &str| {
        let authorization = signed(service);
        let request = head("GET", "/2015-03-31/functions/", &[("authorization", &authorization)]);
        let rejection = door::identify(&request, b"", &APIS).expect_err("refused");
        (rejection.protocol, rejection.respond("id"))
    };
    let (protocol, answer) = rest("lambda");
    assert_eq!((protocol, answer.status), (Protocol::RestJson, 404));
    assert!(
        text(&answer).starts_with(r#"{"__type":"UnknownOperationException","message":"The service 'lambda' is not"#)
    );
    let (protocol, answer) = rest("s3");
    assert_eq!((protocol, answer.status), (Protocol::RestXml, 501));
    assert!(
        text(&answer).contains("<Error><Code>NotImplemented</Code><Message>The service 's3' is not"),
        "{}",
        text(&answer)
    );
    let ssm = head("POST", "/", &[JSON, ("x-amz-target", "AmazonSSM.Nope")]);
    let rejection = door::identify(&ssm, b"{}", &APIS).expect_err("refused");
    assert_eq!(rejection.protocol, Protocol::Json11);
    let answer = rejection.respond("id");
    assert_eq!(
        (answer.status, text(&answer)),
        (
            400,
            r#"{"__type":"UnknownOperationException","message":"There is no operation Nope (not implemented by Zonal: COVERAGE.md lists what is)"}"#
                .to_owned()
        )
    );
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let bounds = Bounds { body: 10, ..Bounds::default() };
    let rejection = door::identify_within(&head("POST", "/", &[FORM]), &[0; 11], &APIS, &bounds).expect_err("refused");
    assert_eq!(rejection.error.status, 413);
    let long = "x".repeat(70_000);
    assert!(taken(&head("POST", "/", &[FORM, ("x-long", &long)]), "").starts_with("RequestEntityTooLarge"));
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, body).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn a_compressed_body_is_read_and_a_bomb_is_not() {
    let authorization = signed("monitoring");
    let target = ("x-amz-target", "GraniteServiceVersion20100801.ListMetrics");
    for headers in [[FORM, ("accept", "*/*")], [JSON, target]] {
        let headers = [headers[0], headers[1], ("authorization", &authorization), ("content-encoding", "gzip")];
        let request = head("POST", "/", &headers);
        let form = headers[0] == FORM;
        let plain = if form { "Action=ListMetrics&Namespace=N%2FS" } else { r#"{"Namespace":"N/S"}"# };
        let body = gzip(plain.as_bytes());
        let identified = door::identify(&request, &body, &APIS).expect("identified");
        let input = door::decode(&identified, &request, &body).expect("decoded");
        assert_eq!(value::to_json(&*input), serde_json::json!({ "Namespace": "N/S" }));

        let bomb = gzip(&vec![b' '; (16 << 20) + 1]);
        let error = match door::identify(&request, &bomb, &APIS) {
            Ok(identified) => door::decode(&identified, &request, &bomb).expect_err("refused"),
            Err(rejection) => rejection.error,
        };
        assert_eq!(error.status, 413);
    }
}

fn api(service: &str) -> &'static Api {
    APIS.iter().find(|api| api.service == service).expect("a service")
}

/// The error that an input gets.
fn refused(service: &str, body: &str) -> String {
    let authorization = signed(api(service).signing);
    let request = head("POST", "/", &[FORM, ("authorization", &authorization)]);
    let identified = door::identify(&request, body.as_bytes(), &APIS).expect("identified");
    door::decode(&identified, &request, body.as_bytes()).expect_err("refused").to_string()
}

#[test]
fn ec2_refuses_in_its_own_words() {
    assert_eq!(
        refused("ec2", "Action=CreateSecurityGroup&GroupName=x"),
        "MissingParameter: The request must contain the parameter GroupDescription"
    );
    assert_eq!(
        refused("ec2", "Action=DescribeVpcs&Colour=red"),
        "UnknownParameter: The parameter Colour is not recognized"
    );
    assert_eq!(
        refused("ec2", "Action=DescribeVpcs&Filter.1.Nome=red"),
        "UnknownParameter: The parameter Filter.1.Nome is not recognized"
    );
    assert!(
        refused("ec2", "Action=DescribeVpcs&MaxResults=abc")
            .starts_with("InvalidParameterValue: Value (abc) for parameter MaxResults")
    );
    assert!(refused("ec2", "Action=DescribeVpcs&MaxResults=1").contains("at least 5"));
}

#[test]
fn query_services_list_all_that_is_wrong() {
    let message = refused("elbv2", "Action=CreateLoadBalancer&Type=round&Scheme=x&Tags.member.1.Key=&Colour=red");
    assert!(message.starts_with("ValidationError: 4 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; "), "{message}");
    assert!(message.contains("Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1"), "{message}");
    assert!(message.contains("Value 'round' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [application, network, gateway]"), "{message}");
}

#[test]
fn an_empty_list_is_present_and_absent_ones_are_not_missing() {
    let authorization = signed("elasticloadbalancing");
    let request = head("POST", "/", &[FORM, ("authorization", &authorization)]);
    let body = b"Action=AddTags&ResourceArns=&Tags.member.1.Key=k";
    let identified = door::identify(&request, body, &APIS).expect("identified");
    let input = door::decode(&identified, &request, body).expect("decoded");
    assert_eq!(value::to_json(&*input), serde_json::json!({ "Tags": [{ "Key": "k" }] }));
}
