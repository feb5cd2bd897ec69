//! What the name servers answer. Source: Route 53 API reference, `TestDNSAnswer`.

use super::{seen_globally, zone};
use crate::errors::invalid;
use crate::names;
use crate::shapes::{TestDNSAnswerRequest, TestDNSAnswerResponse};
use std::net::IpAddr;
use zonal_cloud::{Rest, View};
use zonal_dns::ask;
use zonal_wire::AwsError;

/// How long a prefix of a client's address counts, where it is not said.
const PREFIXES: (u8, u8) = (24, 64);

/// `TestDNSAnswer`: of public zones only; a resolver's address stands for its clients', as it does where a query names none.
pub fn test(view: &View<'_>, input: &TestDNSAnswerRequest) -> Result<Rest<TestDNSAnswerResponse>, AwsError> {
    let found = seen_globally(view, |view| zone(view, &input.hosted_zone_id).cloned())?;
    if found.is_private() {
        return Err(invalid("TestDNSAnswer supports only public hosted zones").into());
    }
    let name = names::normal(&input.record_name);
    let name = name.ok_or_else(|| invalid(format!("'{}' is not a valid domain name", input.record_name)))?;
    let address = |text: &String| text.parse::<IpAddr>().map_err(|_| invalid(format!("'{text}' is not an IP address")));
    let subnet = input.edns0_client_subnet_ip.as_ref().map(address).transpose()?;
    let mask = input.edns0_client_subnet_mask.as_deref().filter(|mask| !mask.is_empty());
    let client = match (subnet, mask) {
        (None, Some(_)) => return Err(invalid("EDNS0ClientSubnetMask needs an EDNS0ClientSubnetIP").into()),
        (None, None) => input.resolver_ip.as_ref().map(address).transpose()?.map(|resolver| (resolver, 128)),
        (Some(subnet), mask) => {
            let (most, default) = if subnet.is_ipv4() { (32, PREFIXES.0) } else { (128, PREFIXES.1) };
            let given = mask.map(|mask| mask.parse::<u8>().ok().filter(|length| *length <= most));
            let length = given.map(|length| length.ok_or_else(|| invalid("EDNS0ClientSubnetMask is out of range")));
            Some((subnet, length.transpose()?.unwrap_or(default)))
        }
    };
    let kind = input.record_type.to_string();
    let query =
        ask::query(&name, &kind, client).map_err(|_| invalid(format!("'{name}' is not a valid domain name")))?;
    let nameserver = found.name_servers.first().cloned().unwrap_or_default();
    let (record_name, record_type) = (input.record_name.clone(), input.record_type);
    Ok(Box::new(move |world| {
        let said = world.names_answer(&query).and_then(|answer| ask::read(&answer, &kind));
        // Whoever gets no answer from a name server is told this by a resolver.
        let said =
            said.unwrap_or_else(|| ask::Said { rcode: "SERVFAIL".to_owned(), values: Vec::new(), protocol: "UDP" });
        TestDNSAnswerResponse {
            nameserver,
            record_name,
            record_type,
            record_data: said.values,
            response_code: said.rcode,
            protocol: said.protocol.to_owned(),
        }
    }))
}
