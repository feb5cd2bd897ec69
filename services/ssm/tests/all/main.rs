//! Parameter Store as its users see it, beside an EC2 that has three images.

use zonal_cloud::{Entry, Registrar, Service, View, filters, read};
use zonal_ec2::shapes as ec2;
use zonal_ssm::Ssm;
use zonal_ssm::shapes::*;
use zonal_testbed::Testbed;
use zonal_wire::{Api, AwsError, Operation};

struct FakeEc2;

impl Service for FakeEc2 {
    fn name(&self) -> &'static str {
        "ec2"
    }

    fn api(&self) -> &'static Api {
        &ec2::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![read::<ec2::ops::DescribeImages>(images)]
    }

    fn records(&self, _: &mut Registrar) {}
}

fn images(_: &View<'_>, input: &ec2::DescribeImagesRequest) -> Result<ec2::DescribeImagesResult, AwsError> {
    let all = [
        ("ami-old", "al2023-ami-2023.5.20240101.0-kernel-6.1-x86_64", "2024-01-01T00:00:00.000Z", true),
        ("ami-new", "al2023-ami-2023.6.20241010.0-kernel-6.1-x86_64", "2024-10-10T00:00:00.000Z", true),
        ("ami-own", "al2023-ami-2023.9.99999999.0-kernel-6.1-x86_64", "2026-01-01T00:00:00.000Z", false),
    ];
    let named = |name: &str| {
        input.filters.iter().all(|filter| filter.values.iter().any(|pattern| filters::matches(pattern, name)))
    };
    let asked = |id: &str| input.image_ids.is_empty() || input.image_ids.iter().any(|asked| asked == id);
    let found =
        all.into_iter().filter(|(id, name, ..)| named(name) && asked(id)).map(|(id, _, created, public)| ec2::Image {
            image_id: Some(id.into()),
            creation_date: Some(created.into()),
            public: Some(public),
            ..Default::default()
        });
    Ok(ec2::DescribeImagesResult { images: found.collect(), ..Default::default() })
}

struct Bench(Testbed);

impl Bench {
    fn new() -> Self {
        Self(Testbed::new(vec![Box::new(FakeEc2), Box::new(Ssm::new(&[7; 32]))]))
    }

    fn call<O: Operation>(&self, input: O::Input) -> Result<O::Output, AwsError> {
        self.0.call::<O>("ssm", input)
    }

    fn put(&self, name: &str, value: &str, overwrite: bool) -> Result<PutParameterResult, AwsError> {
        self.call::<ops::PutParameter>(PutParameterRequest {
            name: name.into(),
            value: value.into(),
            type_: Some(ParameterType::String),
            overwrite: Some(overwrite),
            ..Default::default()
        })
    }

    fn get(&self, name: &str) -> Result<Parameter, AwsError> {
        let input = GetParameterRequest { name: name.into(), with_decryption: None };
        self.call::<ops::GetParameter>(input).map(|output| output.parameter.unwrap())
    }
}

const AL2023: &str = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";

#[test]
fn a_public_name_leads_to_the_latest_public_image() {
    let bench = Bench::new();
    let found = bench.get(AL2023).unwrap();
    assert_eq!((found.value.as_deref(), found.data_type.as_deref()), (Some("ami-new"), Some("aws:ec2:image")));
    assert_eq!(found.arn.unwrap(), format!("arn:aws:ssm:us-east-1::parameter{AL2023}"));
    let error = bench.get("/aws/service/debian/release/12/latest/amd64").unwrap_err();
    assert_eq!(error.code, "ParameterNotFound", "there is no such image here");
}

#[test]
fn public_names_are_found_by_path_and_beside_ones_own() {
    let bench = Bench::new();
    bench.put("/app/a", "1", false).unwrap();
    let names = vec![AL2023.into(), "/app/a".into(), "/app/none".into()];
    let output = bench.call::<ops::GetParameters>(GetParametersRequest { names, with_decryption: None }).unwrap();
    assert_eq!((output.parameters.len(), output.invalid_parameters), (2, vec!["/app/none".to_owned()]));
    let input =
        GetParametersByPathRequest { path: "/aws/service/ami-amazon-linux-latest".into(), ..Default::default() };
    assert_eq!(bench.call::<ops::GetParametersByPath>(input).unwrap().parameters.len(), 2);
}

#[test]
fn a_parameter_is_overwritten_only_on_request_and_keeps_its_versions() {
    let bench = Bench::new();
    assert_eq!(bench.put("/app/a", "one", false).unwrap().version, Some(1));
    assert_eq!(bench.put("/app/a", "two", false).unwrap_err().code, "ParameterAlreadyExists");
    assert_eq!(bench.put("/app/a", "two", true).unwrap().version, Some(2));
    assert_eq!(bench.get("/app/a").unwrap().value.as_deref(), Some("two"));
    let first = bench.get("/app/a:1").unwrap();
    assert_eq!((first.value.as_deref(), first.selector.as_deref()), (Some("one"), Some(":1")));
    assert_eq!(bench.get("/app/a:3").unwrap_err().code, "ParameterVersionNotFound");
    assert_eq!(
        bench.get("arn:aws:ssm:us-east-1:000000000000:parameter/app/a:1").unwrap().value.as_deref(),
        Some("one")
    );
    let input = GetParameterHistoryRequest { name: "/app/a".into(), ..Default::default() };
    assert_eq!(bench.call::<ops::GetParameterHistory>(input).unwrap().parameters.len(), 2);
}

#[test]
fn a_path_shows_its_own_level_or_all_below() {
    let bench = Bench::new();
    for name in ["/app/a", "/app/b", "/app/db/host", "/apple/c"] {
        bench.put(name, "x", false).unwrap();
    }
    for (path, recursive, expected) in [("/app", false, 2), ("/app/", true, 3), ("/", true, 4), ("/app/db", false, 1)] {
        let input = GetParametersByPathRequest { path: path.into(), recursive: Some(recursive), ..Default::default() };
        assert_eq!(bench.call::<ops::GetParametersByPath>(input).unwrap().parameters.len(), expected, "{path}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let bench = Bench::new();
    assert_eq!(bench.put("/aws/x", "1", false).unwrap_err().code, "AccessDeniedException");
    assert_eq!(bench.put("/a", &"x".repeat(4097), false).unwrap_err().code, "ValidationException");
    let base = PutParameterRequest { name: "/a".into(), value: "abc".into(), ..Default::default() };
    let secure = PutParameterRequest { type_: Some(ParameterType::SecureString), ..base.clone() };
    let key_id = Some("alias/mine".into());
    let foreign = PutParameterRequest { key_id, ..secure };
    assert_eq!(bench.call::<ops::PutParameter>(foreign).unwrap_err().code, "InvalidKeyId");
    let pattern = PutParameterRequest {
        type_: Some(ParameterType::String),
        allowed_pattern: Some("^\\d+$".into()),
        ..base.clone()
    };
    assert_eq!(bench.call::<ops::PutParameter>(pattern).unwrap_err().code, "ParameterPatternMismatchException");
    assert_eq!(bench.call::<ops::PutParameter>(base).unwrap_err().code, "ValidationException");
}

#[test]
fn a_secure_string_is_shown_sealed_until_its_decryption_is_asked_for() {
    let bench = Bench::new();
    let secret = |value: &str, overwrite| PutParameterRequest {
        name: "/app/password".into(),
        value: value.into(),
        type_: Some(ParameterType::SecureString),
        overwrite: Some(overwrite),
        ..Default::default()
    };
    bench.call::<ops::PutParameter>(secret("hunter2", false)).unwrap();
    bench.call::<ops::PutParameter>(secret("hunter3", true)).unwrap();
    let get = |decrypted| {
        let input = GetParameterRequest { name: "/app/password".into(), with_decryption: Some(decrypted) };
        bench.call::<ops::GetParameter>(input).unwrap().parameter.unwrap()
    };
    assert_eq!((get(true).value.as_deref(), get(true).type_), (Some("hunter3"), Some(ParameterType::SecureString)));
    assert!(!get(false).value.unwrap().contains("hunter"));
    let input =
        GetParameterHistoryRequest { name: "/app/password".into(), with_decryption: Some(true), ..Default::default() };
    let history = bench.call::<ops::GetParameterHistory>(input).unwrap().parameters;
    let values: Vec<&str> = history.iter().filter_map(|version| version.value.as_deref()).collect();
    assert_eq!(values, ["hunter2", "hunter3"]);
    assert_eq!(history[0].key_id.as_deref(), Some("alias/aws/ssm"));
    let path = GetParametersByPathRequest {
        path: "/app".into(),
        with_decryption: Some(true),
        parameter_filters: vec![ParameterStringFilter {
            key: "KeyId".into(),
            option: None,
            values: vec!["alias/aws/ssm".into()],
        }],
        ..Default::default()
    };
    let found = bench.call::<ops::GetParametersByPath>(path).unwrap().parameters;
    assert_eq!(found[0].value.as_deref(), Some("hunter3"));
    // No type becomes another.
    assert_eq!(bench.put("/app/password", "plain", true).unwrap_err().code, "HierarchyTypeMismatchException");
}

#[test]
fn deleted_parameters_are_gone_and_missing_ones_are_listed() {
    let bench = Bench::new();
    bench.put("/a", "1", false).unwrap();
    let names = vec!["/a".into(), "/b".into()];
    let output = bench.call::<ops::DeleteParameters>(DeleteParametersRequest { names }).unwrap();
    assert_eq!((output.deleted_parameters, output.invalid_parameters), (vec!["/a".to_owned()], vec!["/b".to_owned()]));
    assert_eq!(bench.get("/a").unwrap_err().code, "ParameterNotFound");
    let error = bench.call::<ops::DeleteParameter>(DeleteParameterRequest { name: "/a".into() }).unwrap_err();
    assert_eq!(error.code, "ParameterNotFound");
}

#[test]
fn parameters_are_filtered_by_name_path_and_tag() {
    let bench = Bench::new();
    for name in ["/app/a", "/app/db/host", "plain"] {
        bench.put(name, "x", false).unwrap();
    }
    let tags = vec![Tag { key: "team".into(), value: "blue".into() }];
    let kind = ResourceTypeForTagging::Parameter;
    bench
        .call::<ops::AddTagsToResource>(AddTagsToResourceRequest {
            resource_type: kind,
            resource_id: "plain".into(),
            tags,
        })
        .unwrap();
    for (key, option, value, expected) in [
        ("Name", "BeginsWith", "/app", 2),
        ("Name", "Contains", "lai", 1),
        ("Path", "OneLevel", "/app", 1),
        ("Path", "Recursive", "/app", 2),
        ("tag:team", "Equals", "blue", 1),
    ] {
        let filter = ParameterStringFilter { key: key.into(), option: Some(option.into()), values: vec![value.into()] };
        let input = DescribeParametersRequest { parameter_filters: vec![filter], ..Default::default() };
        let found = bench.call::<ops::DescribeParameters>(input).unwrap().parameters;
        assert_eq!(found.len(), expected, "{key} {option}");
    }
}

#[test]
fn an_advanced_parameter_does_not_become_a_standard_one() {
    let bench = Bench::new();
    let put = |tier: Option<ParameterTier>| {
        bench.call::<ops::PutParameter>(PutParameterRequest {
            name: "a".into(),
            value: "1".into(),
            type_: Some(ParameterType::String),
            tier,
            overwrite: Some(true),
            ..Default::default()
        })
    };
    assert_eq!(put(Some(ParameterTier::Advanced)).unwrap().tier, Some(ParameterTier::Advanced));
    let error = put(Some(ParameterTier::Standard)).unwrap_err();
    assert_eq!(error.code, "ValidationException");
    assert!(error.message.starts_with("This parameter uses the advanced-parameter tier."), "{error}");
    assert_eq!(put(None).unwrap().tier, Some(ParameterTier::Advanced), "it stays what it is");
}

#[test]
fn an_arn_leads_to_a_parameter_of_its_own_account_and_region_only() {
    let bench = Bench::new();
    bench.put("/a/b", "1", false).unwrap();
    let arn = |region: &str, account: &str, name: &str| format!("arn:aws:ssm:{region}:{account}:parameter{name}");
    assert_eq!(bench.get(&arn("us-east-1", "000000000000", "/a/b")).unwrap().name.as_deref(), Some("/a/b"));
    for (region, account) in [("us-east-1", "123456789012"), ("eu-west-1", "000000000000"), ("us-east-1", "")] {
        assert_eq!(
            bench.get(&arn(region, account, "/a/b")).unwrap_err().code,
            "ParameterNotFound",
            "{region} {account}"
        );
    }
    bench.get(&arn("us-east-1", "", AL2023)).expect("AWS's own are no account's");
    let error = bench.put(&arn("us-east-1", "000000000000", "/a/b"), "2", true).unwrap_err();
    assert_eq!(error.code, "ValidationException", "a parameter is put by its name");
}

#[test]
fn a_name_of_one_level_is_the_same_with_its_slash_and_without() {
    let bench = Bench::new();
    bench.put("/a", "1", false).unwrap();
    assert_eq!(bench.put("a", "2", false).unwrap_err().code, "ParameterAlreadyExists");
    let (with, without) = (bench.get("/a").unwrap(), bench.get("a").unwrap());
    assert_eq!(with, without);
    assert_eq!(with.arn.as_deref(), Some("arn:aws:ssm:us-east-1:000000000000:parameter/a"));
    bench.call::<ops::DeleteParameter>(DeleteParameterRequest { name: "a".into() }).unwrap();
    assert_eq!(bench.get("/a").unwrap_err().code, "ParameterNotFound");
}

#[test]
fn a_label_names_a_version_and_goes_over_to_another() {
    let bench = Bench::new();
    bench.put("/app/url", "one", false).unwrap();
    bench.put("/app/url", "two", true).unwrap();
    let label = |version: Option<i64>, labels: &[&str]| {
        bench.call::<ops::LabelParameterVersion>(LabelParameterVersionRequest {
            name: "/app/url".into(),
            parameter_version: version,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        })
    };
    let value = |name: &str| bench.get(name).map(|found| found.value.unwrap());
    let answer = label(Some(1), &["prod", "1st"]).unwrap();
    assert_eq!((answer.parameter_version, answer.invalid_labels), (Some(1), vec!["1st".to_owned()]));
    assert_eq!(value("/app/url:prod").unwrap(), "one");
    label(None, &["prod"]).unwrap();
    let found = bench.get("/app/url:prod").unwrap();
    assert_eq!((found.value.as_deref(), found.selector.as_deref()), (Some("two"), Some(":prod")));
    let history = GetParameterHistoryRequest { name: "/app/url".into(), ..Default::default() };
    let history = bench.call::<ops::GetParameterHistory>(history).unwrap().parameters;
    let labels: Vec<Vec<String>> = history.into_iter().map(|version| version.labels).collect();
    assert_eq!(labels, [vec![], vec!["prod".to_owned()]]);
    let filter = ParameterStringFilter { key: "Label".into(), option: None, values: vec!["prod".into()] };
    let path =
        GetParametersByPathRequest { path: "/app".into(), parameter_filters: vec![filter], ..Default::default() };
    assert_eq!(bench.call::<ops::GetParametersByPath>(path).unwrap().parameters[0].value.as_deref(), Some("two"));
    let off = UnlabelParameterVersionRequest {
        name: "/app/url".into(),
        parameter_version: 2,
        labels: vec!["prod".into(), "dev".into()],
    };
    let off = bench.call::<ops::UnlabelParameterVersion>(off).unwrap();
    assert_eq!((off.removed_labels, off.invalid_labels), (vec!["prod".to_owned()], vec!["dev".to_owned()]));
    assert_eq!(&*value("/app/url:prod").unwrap_err().code, "ParameterVersionNotFound");
    assert_eq!(&*label(Some(9), &["x"]).unwrap_err().code, "ParameterVersionNotFound");
    let eleven: Vec<String> = (0..11).map(|n| format!("l{n}")).collect();
    for ten in eleven.chunks(10) {
        let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
        let answer = label(Some(1), &ten);
        assert_eq!(answer.is_ok(), ten.len() == 10, "{answer:?}");
    }
}

#[test]
fn filters_hold_all_at_once_and_of_the_version_that_the_labels_name() {
    let bench = Bench::new();
    let secret = |value: &str, key: &str| {
        bench
            .call::<ops::PutParameter>(PutParameterRequest {
                name: "/app/password".into(),
                value: value.into(),
                type_: Some(ParameterType::SecureString),
                key_id: Some(key.into()),
                overwrite: Some(true),
                ..Default::default()
            })
            .unwrap();
    };
    let arn = "arn:aws:kms:us-east-1:000000000000:alias/aws/ssm";
    secret("one", arn);
    secret("two", "alias/aws/ssm");
    for (version, labels) in [(1, ["old", "blue"]), (2, ["new", "green"])] {
        let input = LabelParameterVersionRequest {
            name: "/app/password".into(),
            parameter_version: Some(version),
            labels: labels.map(Into::into).to_vec(),
        };
        bench.call::<ops::LabelParameterVersion>(input).unwrap();
    }
    let versions = |filters: &[(&str, &str)]| -> Vec<i64> {
        let filter = |(key, value): &(&str, &str)| ParameterStringFilter {
            key: (*key).into(),
            option: None,
            values: vec![(*value).into()],
        };
        let input = GetParametersByPathRequest {
            path: "/app".into(),
            parameter_filters: filters.iter().map(filter).collect(),
            ..Default::default()
        };
        let found = bench.call::<ops::GetParametersByPath>(input).unwrap().parameters;
        found.into_iter().filter_map(|parameter| parameter.version).collect()
    };
    assert_eq!(versions(&[("Label", "old"), ("Label", "blue")]), [1]);
    assert_eq!(versions(&[("Label", "old"), ("Label", "green")]), [] as [i64; 0]);
    assert_eq!(versions(&[("Label", "old"), ("KeyId", arn)]), [1]);
    assert_eq!(versions(&[("KeyId", "alias/aws/ssm"), ("Label", "old")]), [] as [i64; 0]);
    assert_eq!(versions(&[("KeyId", "alias/aws/ssm")]), [2]);
}

#[test]
fn the_oldest_version_stays_while_it_is_labelled() {
    let bench = Bench::new();
    bench.put("p", "1", false).unwrap();
    let label = |version: i64| {
        let input = LabelParameterVersionRequest {
            name: "p".into(),
            parameter_version: Some(version),
            labels: vec!["keep".into()],
        };
        bench.call::<ops::LabelParameterVersion>(input).unwrap();
    };
    label(1);
    for n in 2..=100 {
        bench.put("p", &n.to_string(), true).unwrap();
    }
    assert_eq!(&*bench.put("p", "101", true).unwrap_err().code, "ParameterMaxVersionLimitExceeded");
    label(100);
    bench.put("p", "101", true).unwrap();
}
