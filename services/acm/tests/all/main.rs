//! Certificate Manager as its users see it.

mod requests;

use zonal_acm::Acm;
use zonal_acm::shapes::*;
use zonal_testbed::Testbed;
use zonal_wire::{AwsError, Blob, Operation};

struct Bench(Testbed);

impl Bench {
    fn new() -> Self {
        Self(Testbed::new(vec![Box::new(Acm)]))
    }

    fn call<O: Operation>(&self, input: O::Input) -> Result<O::Output, AwsError> {
        self.0.call::<O>("acm", input)
    }

    fn import(&self, made: &Made, arn: Option<&str>) -> Result<String, AwsError> {
        let output = self.call::<ops::ImportCertificate>(ImportCertificateRequest {
            certificate_arn: arn.map(ToOwned::to_owned),
            certificate: Blob(made.body.clone().into()),
            private_key: Blob(made.key.clone().into()),
            certificate_chain: made.chain.clone().map(|chain| Blob(chain.into())),
            ..Default::default()
        })?;
        Ok(output.certificate_arn.unwrap())
    }

    fn describe(&self, arn: &str) -> Result<CertificateDetail, AwsError> {
        let input = DescribeCertificateRequest { certificate_arn: arn.into() };
        Ok(self.call::<ops::DescribeCertificate>(input)?.certificate.unwrap())
    }
}

struct Made {
    body: String,
    key: String,
    chain: Option<String>,
}

fn make(names: &[&str]) -> Made {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    Made { body: made.cert.pem(), key: made.signing_key.serialize_pem(), chain: None }
}

fn code<T: std::fmt::Debug>(result: Result<T, AwsError>) -> String {
    result.unwrap_err().code.to_string()
}

#[test]
fn an_imported_certificate_says_what_it_is() {
    let bench = Bench::new();
    let arn = bench.import(&make(&["www.example.com", "*.example.com"]), None).unwrap();
    assert!(arn.starts_with("arn:aws:acm:us-east-1:000000000000:certificate/"), "{arn}");
    let detail = bench.describe(&arn).unwrap();
    assert!(detail.subject_alternative_names.contains(&"*.example.com".to_owned()));
    assert_eq!(detail.status, Some(CertificateStatus::Issued));
    assert_eq!(detail.type_, Some(CertificateType::Imported));
    assert_eq!(detail.key_algorithm, Some(KeyAlgorithm::EcPrime256v1));
    assert_eq!(detail.signature_algorithm.as_deref(), Some("SHA256WITHECDSA"));
}

#[test]
fn what_does_not_belong_together_is_not_imported() {
    let bench = Bench::new();
    let (one, other) = (make(&["a.example.com"]), make(&["b.example.com"]));
    let mixed = Made { key: other.key.clone(), ..make(&["a.example.com"]) };
    assert_eq!(code(bench.import(&mixed, None)), "ValidationException");
    let text = Made { body: "x".into(), ..make(&["a.example.com"]) };
    assert_eq!(code(bench.import(&text, None)), "ValidationException");
    let foreign = Made { chain: Some(rcgen_authority("Some authority")), ..make(&["a.example.com"]) };
    assert_eq!(code(bench.import(&foreign, None)), "ValidationException");
    let two = Made { body: format!("{}{}", one.body, other.body), key: one.key, chain: None };
    assert_eq!(code(bench.import(&two, None)), "ValidationException");
}

fn rcgen_authority(name: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.self_signed(&key).unwrap().pem()
}

#[test]
fn importing_again_keeps_the_arn_and_refuses_another_name() {
    let bench = Bench::new();
    let first = make(&["www.example.com"]);
    let arn = bench.import(&first, None).unwrap();
    let second = make(&["www.example.com"]);
    assert_eq!(bench.import(&second, Some(&arn)).unwrap(), arn);
    let input = GetCertificateRequest { certificate_arn: arn.clone() };
    assert_eq!(bench.call::<ops::GetCertificate>(input).unwrap().certificate, Some(second.body));
    let none = "arn:aws:acm:us-east-1:000000000000:certificate/none";
    assert_eq!(code(bench.import(&first, Some(none))), "ResourceNotFoundException");
}

#[test]
fn curves_are_listed_only_where_they_are_asked_for() {
    let bench = Bench::new();
    bench.import(&make(&["www.example.com"]), None).unwrap();
    let list = |key_types: Vec<KeyAlgorithm>| {
        let includes = Some(Filters { key_types, ..Default::default() });
        let input = ListCertificatesRequest { includes, ..Default::default() };
        bench.call::<ops::ListCertificates>(input).unwrap().certificate_summary_list.len()
    };
    assert_eq!((list(Vec::new()), list(vec![KeyAlgorithm::EcPrime256v1])), (0, 1));
}

#[test]
fn a_deleted_certificate_is_gone_and_what_is_no_arn_is_refused() {
    let bench = Bench::new();
    let arn = bench.import(&make(&["www.example.com"]), None).unwrap();
    bench.call::<ops::DeleteCertificate>(DeleteCertificateRequest { certificate_arn: arn.clone() }).unwrap();
    assert_eq!(code(bench.describe(&arn)), "ResourceNotFoundException");
    assert_eq!(code(bench.describe("arn:aws:s3:::some-bucket-name")), "InvalidArnException");
}

#[test]
fn tags_are_added_listed_and_removed() {
    let bench = Bench::new();
    let certificate_arn = bench.import(&make(&["www.example.com"]), None).unwrap();
    let tag = |value: Option<&str>| Tag { key: "k".into(), value: value.map(ToOwned::to_owned) };
    let list = || {
        let input = ListTagsForCertificateRequest { certificate_arn: certificate_arn.clone() };
        bench.call::<ops::ListTagsForCertificate>(input).unwrap().tags
    };
    let arn = || certificate_arn.clone();
    let add = AddTagsToCertificateRequest { certificate_arn: arn(), tags: vec![tag(Some("v"))] };
    bench.call::<ops::AddTagsToCertificate>(add).unwrap();
    assert_eq!(list(), [tag(Some("v"))]);
    for (value, left) in [(Some("other"), 1), (None, 0)] {
        let remove = RemoveTagsFromCertificateRequest { certificate_arn: arn(), tags: vec![tag(value)] };
        bench.call::<ops::RemoveTagsFromCertificate>(remove).unwrap();
        assert_eq!(list().len(), left);
    }
}

#[test]
fn pages_lose_no_certificate_when_others_go_and_an_order_needs_a_field() {
    let bench = Bench::new();
    let mut made: Vec<String> = (0..4).map(|_| bench.import(&make(&["www.example.com"]), None).unwrap()).collect();
    let page = |next_token: Option<String>| {
        let input = ListCertificatesRequest {
            includes: Some(Filters { key_types: vec![KeyAlgorithm::EcPrime256v1], ..Default::default() }),
            sort_by: Some(SortBy::CreatedAt),
            sort_order: Some(SortOrder::Descending),
            max_items: Some(2),
            next_token,
            ..Default::default()
        };
        let listed = bench.call::<ops::ListCertificates>(input).unwrap();
        let arns = listed.certificate_summary_list.into_iter().map(|found| found.certificate_arn.unwrap());
        (arns.collect::<Vec<_>>(), listed.next_token)
    };
    let (first, token) = page(None);
    bench.call::<ops::DeleteCertificate>(DeleteCertificateRequest { certificate_arn: first[0].clone() }).unwrap();
    let (second, end) = page(token);
    let mut seen = [first, second].concat();
    seen.sort();
    made.sort();
    assert_eq!((seen, end), (made, None));
    let input = ListCertificatesRequest { sort_by: Some(SortBy::CreatedAt), ..Default::default() };
    assert_eq!(code(bench.call::<ops::ListCertificates>(input)), "ValidationException");
}
