//! What name servers would answer, and where record sets can be for.

use crate::bench::Bench;
use crate::records::{batch, set};
use crate::zones::{create, public};
use zonal_route53::shapes::*;

fn located(name: &str, continent: Option<&str>, value: &str) -> ResourceRecordSet {
    let geo_location = Some(match continent {
        Some(code) => GeoLocation { continent_code: Some(code.into()), ..Default::default() },
        None => GeoLocation { country_code: Some("*".into()), ..Default::default() },
    });
    let set_identifier = Some(continent.unwrap_or("all").to_owned());
    ResourceRecordSet { geo_location, set_identifier, ..set(name, RRType::A, &[value]) }
}

#[test]
fn an_answer_is_tested_as_clients_would_get_it_for_a_subnet_or_a_resolver() {
    let bench = Bench::new();
    let zone = public(&bench);
    let sets = [
        set("www.example.com", RRType::A, &["192.0.2.44"]),
        set("t.example.com", RRType::Txt, &["\"a\" \"b\""]),
        located("geo.example.com", Some("EU"), "192.0.2.1"),
        located("geo.example.com", None, "192.0.2.2"),
    ];
    batch(&bench, &zone, sets.map(|set| (ChangeAction::Create, set)).into()).unwrap();
    let request = |name: &str, record_type| TestDNSAnswerRequest {
        hosted_zone_id: zone.clone(),
        record_name: name.into(),
        record_type,
        ..Default::default()
    };
    let data = |input| bench.call::<ops::TestDNSAnswer>(input).unwrap().record_data;
    let answer = bench.call::<ops::TestDNSAnswer>(request("www.example.com", RRType::A)).unwrap();
    assert_eq!((answer.record_data, answer.response_code.as_str()), (vec!["192.0.2.44".to_owned()], "NOERROR"));
    assert_eq!(
        (answer.record_name.as_str(), answer.record_type, answer.protocol.as_str()),
        ("www.example.com", RRType::A, "UDP")
    );
    assert!(answer.nameserver.starts_with("ns-"), "{}", answer.nameserver);
    let missing = bench.call::<ops::TestDNSAnswer>(request("no.example.com", RRType::A)).unwrap();
    assert_eq!((missing.record_data, missing.response_code.as_str()), (vec![], "NXDOMAIN"));
    assert_eq!(data(request("t.example.com", RRType::Txt)), ["\"a\" \"b\""]);
    assert_eq!(data(request("geo.example.com", RRType::A)), ["192.0.2.2"]);
    let resolver =
        TestDNSAnswerRequest { resolver_ip: Some("2.16.5.1".into()), ..request("geo.example.com", RRType::A) };
    assert_eq!(data(resolver.clone()), ["192.0.2.1"]);
    let subnet = TestDNSAnswerRequest { edns0_client_subnet_ip: Some("198.51.100.9".into()), ..resolver.clone() };
    assert_eq!(data(subnet), ["192.0.2.2"], "a subnet counts more than a resolver");
    let mask = TestDNSAnswerRequest { edns0_client_subnet_mask: Some("24".into()), ..resolver };
    assert_eq!(bench.call::<ops::TestDNSAnswer>(mask).unwrap_err().code, "InvalidInput");
    let many: Vec<String> = (0..400).map(|at| format!("10.0.{}.{}", at / 250, at % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    batch(&bench, &zone, vec![(ChangeAction::Create, set("many.example.com", RRType::A, &many))]).unwrap();
    let whole = bench.call::<ops::TestDNSAnswer>(request("many.example.com", RRType::A)).unwrap();
    assert_eq!((whole.record_data.len(), whole.protocol.as_str()), (400, "TCP"));
    let private = create(&bench, "corp.internal", Some("vpc-1")).unwrap().hosted_zone.id;
    let input = TestDNSAnswerRequest { hosted_zone_id: private, ..request("a.corp.internal", RRType::A) };
    assert_eq!(bench.call::<ops::TestDNSAnswer>(input).unwrap_err().code, "InvalidInput");
}

#[test]
fn locations_are_listed_in_pages_and_are_those_that_record_sets_can_be_for() {
    let bench = Bench::new();
    let (mut input, mut all) = (ListGeoLocationsRequest::default(), Vec::new());
    loop {
        let page = bench.call::<ops::ListGeoLocations>(input).unwrap();
        all.extend(page.geo_location_details_list);
        if !page.is_truncated {
            break;
        }
        input = ListGeoLocationsRequest {
            start_continent_code: page.next_continent_code,
            start_country_code: page.next_country_code,
            start_subdivision_code: page.next_subdivision_code,
            ..Default::default()
        };
    }
    let texas = all.iter().position(|part| part.subdivision_name.as_deref() == Some("Texas")).unwrap();
    assert_eq!(all[texas].country_name.as_deref(), Some("United States"));
    assert_eq!(all.last().unwrap().continent_name.as_deref(), Some("South America"));
    let get = |country: &str, part: Option<&str>| {
        let subdivision_code = part.map(ToOwned::to_owned);
        let input =
            GetGeoLocationRequest { country_code: Some(country.into()), subdivision_code, ..Default::default() };
        bench.call::<ops::GetGeoLocation>(input).map(|found| found.geo_location_details.country_name.unwrap())
    };
    assert_eq!(get("DE", None).unwrap(), "Germany");
    let error = get("US", Some("ZZ")).unwrap_err();
    assert_eq!((&*error.code, error.status), ("NoSuchGeoLocation", 404));
    let zone = public(&bench);
    let in_country = |code: &str| ResourceRecordSet {
        geo_location: Some(GeoLocation { country_code: Some(code.into()), ..Default::default() }),
        ..located("geo.example.com", None, "192.0.2.1")
    };
    assert!(batch(&bench, &zone, vec![(ChangeAction::Create, in_country("XX"))]).is_err());
    assert!(batch(&bench, &zone, vec![(ChangeAction::Create, in_country("DE"))]).is_ok());
}
