//! What an instance gets from the metadata service: through the core as a table, through the sockets with a plain client.

#![allow(clippy::disallowed_methods, reason = "tests own their sockets and their clients")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use zonal_metadata::config::InstanceMetadata;
use zonal_metadata::respond::{Request, Response, Status, respond};
use zonal_metadata::shell::MetadataServer;
use zonal_metadata::token::Secret;

const NOW: Duration = Duration::from_secs(1_700_000_000);
const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";

fn secret() -> Secret {
    Secret::new(&[7; 32])
}

fn document() -> InstanceMetadata {
    InstanceMetadata {
        account_id: "123456789012".into(),
        instance_id: "i-0123456789abcdef0".into(),
        instance_type: "t2.micro".into(),
        root_device: "/dev/xvda".into(),
        ami_id: "ami-0abcdef1234567890".into(),
        ami_launch_index: 0,
        reservation_id: "r-0123456789abcdef0".into(),
        region: "us-east-1".into(),
        availability_zone: "us-east-1a".into(),
        availability_zone_id: "use1-az1".into(),
        architecture: "x86_64".into(),
        pending_time: "2026-01-02T03:04:05Z".into(),
        local_hostname: "ip-172-31-0-10.ec2.internal".into(),
        public_hostname: Some("ec2-127-100-0-5.compute-1.amazonaws.com".into()),
        local_ipv4: Ipv4Addr::new(172, 31, 0, 10),
        public_ipv4: Some(Ipv4Addr::new(127, 100, 0, 5)),
        interface_id: "eni-0123456789abcdef0".into(),
        mac: "02:00:ac:1f:00:0a".into(),
        subnet_id: "subnet-0123".into(),
        subnet_cidr: "172.31.0.0/20".into(),
        vpc_id: "vpc-0123".into(),
        vpc_cidr: "172.31.0.0/16".into(),
        security_groups: vec![("sg-1".into(), "web".into()), ("sg-2".into(), "ssh".into())],
        services_domain: "amazonaws.com".into(),
        public_key: Some(("my-key".into(), "ssh-ed25519 AAAA my-key".into())),
        instance_profile: None,
        user_data: Some(b"#!/bin/sh\necho \xff\n".to_vec()),
        tags: None,
        enabled: true,
        token_required: false,
        hop_limit: 2,
    }
}

fn ask(document: &InstanceMetadata, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    respond(document, &secret(), NOW, &Request { method, target, headers: &headers })
}

fn get(document: &InstanceMetadata, target: &str) -> (Status, String) {
    let response = ask(document, "GET", target, &[]);
    (response.status, String::from_utf8_lossy(&response.body).into_owned())
}

#[track_caller]
fn check(document: &InstanceMetadata, target: &str, expected: &str) {
    assert_eq!(get(document, target), (Status::Ok, expected.to_owned()), "{target}");
}

#[track_caller]
fn check_absent(document: &InstanceMetadata, target: &str) {
    assert_eq!(get(document, target).0, Status::NotFound, "{target}");
}

#[test]
fn every_category_has_its_value() {
    let document = document();
    let mac = "/latest/meta-data/network/interfaces/macs/02:00:ac:1f:00:0a";
    for (path, expected) in [
        ("ami-id", "ami-0abcdef1234567890"),
        ("ami-launch-index", "0"),
        ("hostname", "ip-172-31-0-10.ec2.internal"),
        ("instance-id", "i-0123456789abcdef0"),
        ("instance-life-cycle", "on-demand"),
        ("instance-type", "t2.micro"),
        ("local-hostname", "ip-172-31-0-10.ec2.internal"),
        ("local-ipv4", "172.31.0.10"),
        ("mac", "02:00:ac:1f:00:0a"),
        ("placement/availability-zone", "us-east-1a"),
        ("placement/availability-zone-id", "use1-az1"),
        ("placement/region", "us-east-1"),
        ("public-hostname", "ec2-127-100-0-5.compute-1.amazonaws.com"),
        ("public-ipv4", "127.100.0.5"),
        ("public-keys/", "0=my-key"),
        ("public-keys/0/", "openssh-key"),
        ("public-keys/0/openssh-key", "ssh-ed25519 AAAA my-key"),
        ("reservation-id", "r-0123456789abcdef0"),
        ("security-groups", "web\nssh"),
        ("services/domain", "amazonaws.com"),
        ("services/partition", "aws"),
        ("block-device-mapping/ami", "/dev/xvda"),
        ("block-device-mapping/root", "/dev/xvda"),
        ("system", "xen"),
        ("events/maintenance/scheduled", "[]"),
    ] {
        check(&document, &format!("/latest/meta-data/{path}"), expected);
    }
    for (path, expected) in [
        ("device-number", "0"),
        ("interface-id", "eni-0123456789abcdef0"),
        ("ipv4-associations/127.100.0.5", "172.31.0.10"),
        ("local-ipv4s", "172.31.0.10"),
        ("owner-id", "123456789012"),
        ("public-ipv4s", "127.100.0.5"),
        ("security-group-ids", "sg-1\nsg-2"),
        ("security-groups", "web\nssh"),
        ("subnet-id", "subnet-0123"),
        ("subnet-ipv4-cidr-block", "172.31.0.0/20"),
        ("vpc-id", "vpc-0123"),
        ("vpc-ipv4-cidr-block", "172.31.0.0/16"),
    ] {
        check(&document, &format!("{mac}/{path}"), expected);
    }
}

#[test]
fn a_directory_lists_what_is_in_it_with_a_slash_after_directories() {
    let document = document();
    let top = "ami-id\nami-launch-index\nami-manifest-path\nblock-device-mapping/\nevents/\nhostname\ninstance-action\ninstance-id\n\
               instance-life-cycle\ninstance-type\nlocal-hostname\nlocal-ipv4\nmac\nnetwork/\nplacement/\nprofile\n\
               public-hostname\npublic-ipv4\npublic-keys/\nreservation-id\nsecurity-groups\nservices/\nsystem";
    check(&document, "/latest/meta-data/", top);
    check(&document, "/latest/meta-data", top);
    check(&document, "/latest/meta-data/placement/", "availability-zone\navailability-zone-id\nregion");
    check(&document, "/latest/meta-data/network/", "interfaces/");
    check(&document, "/latest/meta-data/network/interfaces/macs/", "02:00:ac:1f:00:0a/");
    check(&document, "/latest/", "dynamic\nmeta-data\nuser-data");
    check(&document, "/latest/dynamic/", "instance-identity/");
}

#[test]
fn every_version_of_the_service_is_a_root() {
    let document = document();
    let (_, versions) = get(&document, "/");
    assert!(versions.starts_with("1.0\n2007-01-19\n") && versions.ends_with("\nlatest"), "{versions}");
    for version in versions.lines() {
        check(&document, &format!("/{version}/meta-data/instance-id"), "i-0123456789abcdef0");
    }
    check_absent(&document, "/2020-01-01/meta-data/instance-id");
}

#[test]
fn what_an_instance_has_not_is_404() {
    let mut document = document();
    for path in [
        "spot/instance-action",
        "spot/",
        "iam/",
        "iam/info",
        "tags/instance/",
        "kernel-id",
        "instance-i",
        "../user-data",
    ] {
        check_absent(&document, &format!("/latest/meta-data/{path}"));
    }
    (document.public_ipv4, document.public_hostname, document.public_key, document.user_data) =
        (None, None, None, None);
    for path in ["meta-data/public-ipv4", "meta-data/public-hostname", "meta-data/public-keys/", "user-data"] {
        check_absent(&document, &format!("/latest/{path}"));
    }
    check(&document, "/latest", "dynamic\nmeta-data");
}

#[test]
fn an_error_is_a_small_xhtml_page() {
    let response = ask(&document(), "GET", "/latest/nothing", &[]);
    assert_eq!(response.content_type, "text/html");
    let body = String::from_utf8(response.body).unwrap();
    assert!(body.starts_with("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<!DOCTYPE html"), "{body}");
    assert!(body.contains("<title>404 - Not Found</title>") && body.contains("<h1>404 - Not Found</h1>"), "{body}");
}

#[test]
fn tags_are_told_where_they_are_allowed() {
    let mut document = document();
    document.tags = Some([("Name".into(), "web 1".into()), ("stage".into(), String::new())].into());
    check(&document, "/latest/meta-data/tags/instance/", "Name\nstage");
    check(&document, "/latest/meta-data/tags/instance/Name", "web 1");
    check(&document, "/latest/meta-data/tags/instance/stage", "");
}

#[test]
fn an_instance_profile_is_told() {
    let mut document = document();
    document.instance_profile = Some(("arn:aws:iam::123456789012:instance-profile/app".into(), "AIPA1".into()));
    let expected = "{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2026-01-02T03:04:05Z\",\n  \
                    \"InstanceProfileArn\" : \"arn:aws:iam::123456789012:instance-profile/app\",\n  \
                    \"InstanceProfileId\" : \"AIPA1\"\n}";
    check(&document, "/latest/meta-data/iam/info", expected);
}

#[test]
fn user_data_comes_back_octet_for_octet() {
    let response = ask(&document(), "GET", "/latest/user-data", &[]);
    assert_eq!(response.content_type, "application/octet-stream");
    assert_eq!(response.body, b"#!/bin/sh\necho \xff\n");
}

#[test]
fn the_identity_document_is_json_with_nulls_for_what_is_not() {
    let (_, text) = get(&document(), "/latest/dynamic/instance-identity/document");
    for line in [
        "  \"accountId\" : \"123456789012\",",
        "  \"billingProducts\" : null,",
        "  \"privateIp\" : \"172.31.0.10\",",
        "  \"version\" : \"2017-09-30\"",
    ] {
        assert!(text.lines().any(|have| have == line), "{line} in {text}");
    }
}

fn issue(document: &InstanceMetadata, ttl: &str) -> String {
    let response = ask(document, "PUT", "/latest/api/token", &[(TTL, ttl)]);
    assert_eq!(response.status, Status::Ok);
    assert_eq!(response.headers, [(TTL, ttl.to_owned())]);
    assert_eq!(response.hop_limit, Some(document.hop_limit));
    String::from_utf8(response.body).unwrap()
}

#[test]
fn a_token_opens_the_service_where_one_is_required() {
    let mut document = document();
    document.token_required = true;
    let target = "/latest/meta-data/instance-id";
    assert_eq!(ask(&document, "GET", target, &[]).status, Status::Unauthorized);
    let token = issue(&document, "21600");
    let opened = ask(&document, "GET", target, &[(TOKEN, &token)]);
    assert_eq!(opened.status, Status::Ok);
    assert_eq!(opened.headers, [(TTL, "21600".to_owned())]);
    assert_eq!(opened.hop_limit, None);
}

#[test]
fn a_token_reaches_the_instance_whatever_the_hop_limit() {
    let document = InstanceMetadata { hop_limit: 0, ..document() };
    assert_eq!(ask(&document, "PUT", "/latest/api/token", &[(TTL, "60")]).hop_limit, Some(1));
}

#[test]
fn a_wrong_token_is_401_even_where_none_is_required() {
    let document = document();
    for token in ["", "wrong", "AQAAAA=="] {
        let response = ask(&document, "GET", "/latest/meta-data/", &[(TOKEN, token)]);
        assert_eq!(response.status, Status::Unauthorized, "{token:?}");
    }
}

#[test]
fn an_expired_token_is_401() {
    let document = document();
    let token = issue(&document, "1");
    let request = |now| {
        let headers: [(&str, &[u8]); 1] = [(TOKEN, token.as_bytes())];
        respond(&document, &secret(), now, &Request { method: "GET", target: "/latest/", headers: &headers }).status
    };
    assert_eq!(request(NOW), Status::Ok);
    assert_eq!(request(NOW + Duration::from_secs(1)), Status::Unauthorized);
}

#[test]
fn a_token_request_without_a_valid_lifetime_is_400() {
    for headers in [&[][..], &[(TTL, "0")], &[(TTL, "21601")], &[(TTL, "-1")], &[(TTL, "")], &[(TTL, "sixty")]] {
        let response = ask(&document(), "PUT", "/latest/api/token", headers);
        assert_eq!(response.status, Status::BadRequest, "{headers:?}");
    }
}

#[test]
fn a_token_request_through_a_proxy_is_403() {
    let response = ask(&document(), "PUT", "/latest/api/token", &[(TTL, "60"), ("x-forwarded-for", "10.0.0.1")]);
    assert_eq!(response.status, Status::Forbidden);
}

#[test]
fn methods_that_mean_nothing_here_are_405() {
    let document = document();
    let allow = |method, target| {
        let response = ask(&document, method, target, &[]);
        assert_eq!(response.status, Status::NotAllowed, "{method} {target}");
        response.headers[0].clone()
    };
    assert_eq!(allow("GET", "/latest/api/token"), ("Allow", "OPTIONS, PUT".to_owned()));
    assert_eq!(allow("POST", "/latest/meta-data/"), ("Allow", "GET, HEAD".to_owned()));
}

#[test]
fn a_service_that_is_turned_off_is_403() {
    let mut document = document();
    document.enabled = false;
    assert_eq!(get(&document, "/latest/meta-data/").0, Status::Forbidden);
    assert_eq!(ask(&document, "PUT", "/latest/api/token", &[(TTL, "60")]).status, Status::Forbidden);
}

#[test]
fn whatever_a_listing_names_is_there() {
    fn walk(document: &InstanceMetadata, path: &str, seen: &mut usize) {
        let (status, listing) = get(document, path);
        assert_eq!(status, Status::Ok, "{path}");
        for name in listing.lines() {
            // A public key is listed as `0=name`.
            let name = if path.ends_with("public-keys/") { "0/" } else { name };
            *seen += 1;
            match name.strip_suffix('/') {
                Some(_) => walk(document, &format!("{path}{name}"), seen),
                None => assert_eq!(get(document, &format!("{path}{name}")).0, Status::Ok, "{path}{name}"),
            }
        }
    }
    let mut document = document();
    document.tags = Some([("Name".into(), "web".into())].into());
    document.instance_profile = Some(("arn".into(), "id".into()));
    let mut seen = 0;
    walk(&document, "/latest/meta-data/", &mut seen);
    assert!(seen > 50, "{seen} names");
}

proptest::proptest! {
    #[test]
    fn any_request_gets_an_answer_without_a_panic(target in "[/a-z\\.0=-]{0,40}|.{0,20}", token in ".{0,60}") {
        let response = ask(&document(), "GET", &target, &[(TOKEN, &token)]);
        proptest::prop_assert_eq!(response.status, Status::Unauthorized);
        let response = ask(&document(), "GET", &target, &[]);
        proptest::prop_assert!(matches!(response.status, Status::Ok | Status::NotFound), "{:?}", response.status);
    }
}

/// Runs `client` against a server on a port of its own, and gives the document's owner a way to change it.
fn with_server(client: impl FnOnce(SocketAddr, &MetadataServer) + Send) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let server = MetadataServer::start(listener, document(), secret()).unwrap();
    client(address, &server);
    runtime.block_on(server.stop());
    assert!(TcpStream::connect(address).is_err(), "a stopped server has closed its listener");
}

fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_client_gets_a_token_and_then_its_instance_id() {
    with_server(|address, _| {
        let put = format!("PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n{TTL}: 60\r\n\r\n");
        let answer = exchange(address, put.as_bytes());
        let (head, token) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\nServer: EC2ws\r\n"), "{head}");
        let get = format!("GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\n{TOKEN}: {token}\r\n\r\n");
        let answer = exchange(address, get.as_bytes());
        assert!(
            answer.ends_with("Content-Length: 19\r\nServer: EC2ws\r\nConnection: close\r\n\r\ni-0123456789abcdef0"),
            "{answer}"
        );
    });
}

#[test]
fn a_head_has_the_length_but_no_body() {
    with_server(|address, _| {
        let answer = exchange(address, b"HEAD /latest/meta-data/mac HTTP/1.1\r\n\r\n");
        assert!(answer.contains("Content-Length: 17\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    });
}

#[test]
fn what_is_no_request_is_400() {
    with_server(|address, _| {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9000));
        for request in ["\x00\x01\x02\r\n\r\n", "GET\r\n\r\n", &long] {
            let answer = exchange(address, request.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        }
    });
}

#[test]
fn a_document_that_is_put_is_told_from_then_on() {
    with_server(|address, server| {
        server.put(InstanceMetadata { instance_type: "t3.large".into(), ..document() });
        let answer = exchange(address, b"GET /latest/meta-data/instance-type HTTP/1.0\r\n\r\n");
        assert!(answer.ends_with("\r\n\r\nt3.large"), "{answer}");
    });
}
