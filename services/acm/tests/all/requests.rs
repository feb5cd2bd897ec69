//! Certificates that are requested.

use std::sync::Arc;
use std::time::Duration;
use zonal_acm::Acm;
use zonal_acm::shapes::*;
use zonal_sim::{Costs, Sim};
use zonal_substrate::dns::{RecordSet, Zone};
use zonal_substrate::{Ask, World};
use zonal_testbed::{START, TestClock, Testbed, in_memory};
use zonal_wire::{AwsError, Blob, Operation};

struct Bench {
    bed: Testbed,
    sim: Arc<Sim>,
}

impl Bench {
    fn new() -> Self {
        let sim = Arc::new(Sim::new(START.0, Costs::default()));
        let bed = Testbed::over(in_memory(), vec![Box::new(Acm)], sim.clone(), Some(sim.clone()), TestClock::at(START));
        Self { bed, sim }
    }

    fn call<O: Operation>(&self, input: O::Input) -> Result<O::Output, AwsError> {
        self.bed.call::<O>("acm", input)
    }

    fn request(&self, names: &[&str], token: Option<&str>) -> String {
        let [domain, others @ ..] = names else { panic!("a name") };
        let input = RequestCertificateRequest {
            domain_name: (*domain).into(),
            subject_alternative_names: others.iter().map(|name| (*name).to_owned()).collect(),
            validation_method: Some(ValidationMethod::Dns),
            idempotency_token: token.map(ToOwned::to_owned),
            ..Default::default()
        };
        self.call::<ops::RequestCertificate>(input).unwrap().certificate_arn.unwrap()
    }

    fn describe(&self, arn: &str) -> CertificateDetail {
        let input = DescribeCertificateRequest { certificate_arn: arn.into() };
        self.call::<ops::DescribeCertificate>(input).unwrap().certificate.unwrap()
    }

    /// A zone of the world's with these records of names.
    fn zone(&self, records: &[ResourceRecord]) {
        let set = |record: &ResourceRecord| RecordSet {
            name: record.name.clone(),
            type_: "CNAME".into(),
            ttl: 60,
            values: vec![record.value.clone()],
            ..RecordSet::default()
        };
        let zone = Zone { name: "example.com.".into(), overlay: false, records: records.iter().map(set).collect() };
        self.sim.ask(vec![Ask::PutZone { view: "public".into(), zone: Box::new(zone), confirm: None }]);
    }

    fn pass(&self, seconds: u64) {
        let end = self.bed.now() + Duration::from_secs(seconds);
        while self.bed.tick(end) {}
    }
}

fn records(detail: &CertificateDetail) -> Vec<ResourceRecord> {
    detail.domain_validation_options.iter().map(|one| one.resource_record.clone().unwrap()).collect()
}

#[test]
fn a_requested_certificate_is_issued_once_all_its_names_are_found_in_dns() {
    let bench = Bench::new();
    let arn = bench.request(&["Example.com", "*.example.com", "api.example.com"], None);
    let detail = bench.describe(&arn);
    assert_eq!(
        (detail.status, detail.type_),
        (Some(CertificateStatus::PendingValidation), Some(CertificateType::AmazonIssued))
    );
    assert_eq!(detail.subject_alternative_names, ["example.com", "*.example.com", "api.example.com"]);
    let records = records(&detail);
    assert!(records[0].name.starts_with('_') && records[0].name.ends_with(".example.com."), "{records:?}");
    assert!(records[0].value.ends_with(".acm-validations.aws."), "{records:?}");
    assert_eq!(records[0], records[1], "a wildcard is validated with its domain");
    assert_ne!(records[0].name, records[2].name);
    let get = || bench.call::<ops::GetCertificate>(GetCertificateRequest { certificate_arn: arn.clone() });
    assert_eq!(get().unwrap_err().code, "RequestInProgressException");
    bench.zone(&records[..1]);
    bench.pass(30);
    let states = || {
        let detail = bench.describe(&arn);
        detail.domain_validation_options.iter().map(|one| one.validation_status.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(states(), [DomainStatus::Success, DomainStatus::Success, DomainStatus::PendingValidation]);
    bench.zone(&records[1..]);
    bench.pass(30);
    let detail = bench.describe(&arn);
    assert_eq!(detail.status, Some(CertificateStatus::Issued));
    assert!(detail.issued_at.is_some() && detail.imported_at.is_none() && detail.not_after.unwrap() > bench.bed.now());
    assert!(get().unwrap().certificate_chain.is_some());
    let listed = bench.call::<ops::ListCertificates>(ListCertificatesRequest::default()).unwrap();
    assert_eq!(listed.certificate_summary_list.len(), 1);
    bench.call::<ops::DeleteCertificate>(DeleteCertificateRequest { certificate_arn: arn.clone() }).unwrap();
    assert_eq!(get().unwrap_err().code, "ResourceNotFoundException");
}

#[test]
fn names_that_are_not_validated_in_72_hours_never_are() {
    let bench = Bench::new();
    let arn = bench.request(&["example.com"], None);
    let records = records(&bench.describe(&arn));
    bench.pass(72 * 3600 + 1);
    let timed_out = bench.describe(&arn);
    assert_eq!(timed_out.status, Some(CertificateStatus::ValidationTimedOut));
    assert_eq!(timed_out.domain_validation_options[0].validation_status, Some(DomainStatus::Failed));
    bench.zone(&records);
    bench.pass(600);
    assert_eq!(bench.describe(&arn).status, Some(CertificateStatus::ValidationTimedOut));
}

#[test]
fn a_token_stands_for_one_request_within_an_hour_and_tags_are_kept_through_it() {
    let bench = Bench::new();
    let arn = bench.request(&["example.com"], Some("once"));
    assert_eq!(bench.request(&["example.com"], Some("once")), arn);
    let tags = vec![Tag { key: "a".into(), value: Some("b".into()) }];
    let input = AddTagsToCertificateRequest { certificate_arn: arn.clone(), tags };
    bench.call::<ops::AddTagsToCertificate>(input).unwrap();
    bench.zone(&records(&bench.describe(&arn)));
    bench.pass(30);
    let input = ListTagsForCertificateRequest { certificate_arn: arn.clone() };
    assert_eq!(bench.call::<ops::ListTagsForCertificate>(input).unwrap().tags.len(), 1);
    bench.pass(3600);
    assert_ne!(bench.request(&["example.com"], Some("once")), arn);
}

#[test]
fn what_is_no_domain_name_is_not_requested() {
    let bench = Bench::new();
    let names = ["localhost", "a.*.example.com", "-a.example.com", "a_b.example.com", "a..com"];
    for name in names {
        let input = RequestCertificateRequest { domain_name: name.into(), ..Default::default() };
        assert!(bench.call::<ops::RequestCertificate>(input).is_err(), "{name}");
    }
}

#[test]
fn a_domains_record_is_the_same_for_every_certificate_of_the_account() {
    let bench = Bench::new();
    let first = bench.request(&["example.com"], None);
    let known = records(&bench.describe(&first));
    bench.zone(&known);
    bench.pass(30);
    bench.call::<ops::DeleteCertificate>(DeleteCertificateRequest { certificate_arn: first }).unwrap();
    let second = bench.request(&["www.example.com", "*.example.com"], None);
    let records = records(&bench.describe(&second));
    assert_eq!(records[1], known[0]);
    assert_ne!((&records[0].name, &records[0].value), (&known[0].name, &known[0].value));
    bench.pass(30);
    let detail = bench.describe(&second);
    assert_eq!(detail.domain_validation_options[1].validation_status, Some(DomainStatus::Success), "it stands already");
}

#[test]
fn the_first_name_has_64_bytes_at_most_and_others_have_more() {
    let bench = Bench::new();
    let long = format!("{}.example.com", "a".repeat(53));
    let input = RequestCertificateRequest { domain_name: long.clone(), ..Default::default() };
    assert_eq!(bench.call::<ops::RequestCertificate>(input).unwrap_err().code, "ValidationException");
    bench.request(&["example.com", &long], None);
    bench.request(&[&long[1..]], None);
}

#[test]
fn an_issued_certificate_counts_once_towards_the_quota() {
    let bench = Bench::new();
    let arn = bench.request(&["example.com"], None);
    bench.zone(&records(&bench.describe(&arn)));
    bench.pass(30);
    assert_eq!(bench.describe(&arn).status, Some(CertificateStatus::Issued));
    for _ in 1..2500 {
        bench.request(&["example.org"], None);
    }
    let input = RequestCertificateRequest { domain_name: "example.net".into(), ..Default::default() };
    assert_eq!(bench.call::<ops::RequestCertificate>(input).unwrap_err().code, "LimitExceededException");
}

#[test]
fn a_requested_certificates_options_can_be_changed_and_an_imported_one_has_none() {
    let bench = Bench::new();
    let arn = bench.request(&["example.com"], None);
    let update = |arn: &str, preference| {
        let options = CertificateOptions {
            certificate_transparency_logging_preference: Some(preference),
            ..CertificateOptions::default()
        };
        let input = UpdateCertificateOptionsRequest { certificate_arn: arn.into(), options };
        bench.call::<ops::UpdateCertificateOptions>(input)
    };
    for preference in
        [CertificateTransparencyLoggingPreference::Disabled, CertificateTransparencyLoggingPreference::Enabled]
    {
        update(&arn, preference).unwrap();
        let options = bench.describe(&arn).options.unwrap();
        assert_eq!(options.certificate_transparency_logging_preference, Some(preference));
    }
    let made = rcgen::generate_simple_self_signed(vec!["example.com".to_owned()]).unwrap();
    let input = ImportCertificateRequest {
        certificate: Blob(made.cert.pem().into()),
        private_key: Blob(made.signing_key.serialize_pem().into()),
        ..Default::default()
    };
    let imported = bench.call::<ops::ImportCertificate>(input).unwrap().certificate_arn.unwrap();
    let refused = update(&imported, CertificateTransparencyLoggingPreference::Disabled).unwrap_err();
    assert_eq!(refused.code, "InvalidStateException");
}
