//! Answers to the byte, as each protocol writes them, and a request body as a client wrote it.

use serde_json::json;
use zonal_contract::APIS;
use zonal_wire::door::{self, Identified, RequestHead, Response};
use zonal_wire::{AwsError, Protocol, value};

fn identified(service: &str, operation: &str, protocol: Protocol) -> Identified {
    let api = APIS.iter().find(|api| api.service == service).expect("a service");
    Identified::of(api, api.operation(operation).expect("an operation"), protocol)
}

fn answer(service: &str, operation: &str, protocol: Protocol, output: &serde_json::Value) -> Response {
    let identified = identified(service, operation, protocol);
    let mut filled = (identified.operation.new_output)();
    value::from_json(output, &mut *filled).expect("an output");
    door::encode_output(&identified, &*filled, "the-id")
}

fn check(response: &Response, status: u16, headers: &[&str], body: &str) {
    assert_eq!(String::from_utf8_lossy(&response.body), body);
    assert_eq!(response.status, status);
    let found: Vec<String> = response.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(found, headers);
}

#[test]
fn ec2_puts_the_request_id_first_and_says_true_where_it_has_nothing_to_say() {
    let headers = ["x-amzn-RequestId: the-id", "Content-Type: text/xml;charset=UTF-8"];
    check(
        &answer("ec2", "StartInstances", Protocol::Ec2, &json!({ "StartingInstances": [{ "InstanceId": "i-1" }] })),
        200,
        &headers,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <StartInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>the-id</requestId>\
         <instancesSet><item><instanceId>i-1</instanceId></item></instancesSet></StartInstancesResponse>",
    );
    check(
        &answer("ec2", "RebootInstances", Protocol::Ec2, &json!({})),
        200,
        &headers,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <RebootInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>the-id</requestId>\
         <return>true</return></RebootInstancesResponse>",
    );
}

#[test]
fn query_wraps_the_result_and_writes_absent_lists_as_empty_ones() {
    check(
        &answer("sts", "GetCallerIdentity", Protocol::Query, &json!({ "Account": "000000000000" })),
        200,
        &["x-amzn-RequestId: the-id", "Content-Type: text/xml"],
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Account>000000000000</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>the-id</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
    );
    let empty = answer("elbv2", "DescribeLoadBalancers", Protocol::Query, &json!({}));
    assert!(String::from_utf8_lossy(&empty.body).contains("<LoadBalancers/>"));
}

#[test]
fn rest_xml_puts_members_into_headers_and_the_status() {
    let output = json!({
        "Location": "https://route53.amazonaws.com/2013-04-01/hostedzone/Z1",
        "HostedZone": { "Id": "/hostedzone/Z1", "Name": "a.b.", "CallerReference": "r" },
        "ChangeInfo": { "Id": "/change/C1", "Status": "PENDING", "SubmittedAt": "2026-11-24T16:00:00Z" },
        "DelegationSet": { "NameServers": ["ns-1.awsdns-00.com"] },
    });
    check(
        &answer("route53", "CreateHostedZone", Protocol::RestXml, &output),
        201,
        &[
            "x-amzn-RequestId: the-id",
            "Content-Type: text/xml",
            "x-amz-request-id: the-id",
            "Location: https://route53.amazonaws.com/2013-04-01/hostedzone/Z1",
        ],
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <CreateHostedZoneResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
         <HostedZone><Id>/hostedzone/Z1</Id><Name>a.b.</Name><CallerReference>r</CallerReference></HostedZone>\
         <ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-11-24T16:00:00.000Z</SubmittedAt></ChangeInfo>\
         <DelegationSet><NameServers><NameServer>ns-1.awsdns-00.com</NameServer></NameServers></DelegationSet>\
         </CreateHostedZoneResponse>",
    );
}

#[test]
fn each_protocol_tells_an_error_in_its_own_form() {
    let error = AwsError::client("InvalidParameterValue", "no <alarm>").status(404).with("Resource", "a");
    let told = |service: &str, operation: &str, protocol| {
        door::encode_error(Some(&identified(service, operation, protocol)), &error, "the-id")
    };
    let query = told("cloudwatch", "ListTagsForResource", Protocol::Query);
    let body = "<ErrorResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><Error><Type>Sender</Type>\
                <Code>InvalidParameterValue</Code><Message>no &lt;alarm&gt;</Message><Resource>a</Resource></Error>\
                <RequestId>the-id</RequestId></ErrorResponse>";
    check(&query, 404, &["x-amzn-RequestId: the-id", "Content-Type: text/xml"], body);
    check(
        &told("ec2", "DescribeVpcs", Protocol::Ec2),
        404,
        &["x-amzn-RequestId: the-id", "Content-Type: text/xml;charset=UTF-8"],
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>InvalidParameterValue</Code>\
         <Message>no &lt;alarm&gt;</Message><Resource>a</Resource></Error></Errors><RequestID>the-id</RequestID></Response>",
    );
    // JSON has the name of the shape, and for clients of old the code beside it.
    check(
        &told("cloudwatch", "ListTagsForResource", Protocol::Json10),
        404,
        &[
            "x-amzn-RequestId: the-id",
            "Content-Type: application/x-amz-json-1.0",
            "x-amzn-query-error: InvalidParameterValue;Sender",
        ],
        r#"{"Resource":"a","__type":"InvalidParameterValueException","message":"no <alarm>"}"#,
    );
}

#[test]
fn a_change_batch_as_the_cli_sends_it_reads_whole() {
    let body = r#"<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch>
        <Comment>a &amp; b</Comment><Changes><Change><Action>UPSERT</Action><ResourceRecordSet><Name>www.a.b</Name><Type>A</Type>
        <TTL>60</TTL><ResourceRecords><ResourceRecord><Value>127.100.0.9</Value></ResourceRecord></ResourceRecords>
        </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"#;
    let request = http::Request::builder().method("POST").uri("/2013-04-01/hostedzone/Z1/rrset/");
    let head = RequestHead::from(request.body(()).expect("a request").into_parts().0);
    let identified = door::identify(&head, body.as_bytes(), &APIS).expect("identified");
    let input = door::decode(&identified, &head, body.as_bytes()).expect("decoded");
    let set = json!({ "Name": "www.a.b", "Type": "A", "TTL": 60, "ResourceRecords": [{ "Value": "127.100.0.9" }] });
    let changes = json!([{ "Action": "UPSERT", "ResourceRecordSet": set }]);
    let expected = json!({ "HostedZoneId": "Z1", "ChangeBatch": { "Comment": "a & b", "Changes": changes } });
    assert_eq!(value::to_json(&*input), expected);
}
