//! Record values: what each type takes. Source: Route 53 Developer Guide, "Supported DNS record types".

use crate::names;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The types that can be served: all that the service has.
pub const TYPES: [&str; 17] = [
    "A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV", "SSHFP", "SVCB",
    "TLSA", "TXT",
];

/// What is wrong with a value of a type, in the service's words; `None` where nothing is.
#[must_use]
pub fn problem(kind: &str, value: &str) -> Option<String> {
    let known = match kind {
        "A" => value
            .parse::<Ipv4Addr>()
            .is_err()
            .then_some(("ARRDATAIllegalIPv4Address", "Value is not a valid IPv4 address")),
        "AAAA" => value
            .parse::<Ipv6Addr>()
            .is_err()
            .then_some(("AAAARRDATAIllegalIPv6Address", "Value is not a valid IPv6 address")),
        "CNAME" | "NS" | "PTR" => name_problem(value),
        "MX" => fields(value, 1),
        "SRV" => fields(value, 3),
        "SOA" => soa(value),
        "CAA" => caa(value),
        "SPF" | "TXT" => texts(value),
        _ => None,
    };
    let (code, text) = match (known, zonal_dns::check_value(kind, value)) {
        (Some((code, text)), _) => (code.to_owned(), text.to_owned()),
        (None, Ok(())) => return None,
        (None, Err(reason)) => (format!("Invalid{kind}Value"), format!("Value is not a valid {kind} record: {reason}")),
    };
    Some(format!("Invalid Resource Record: 'FATAL problem: {code} ({text}) encountered with '{value}''"))
}

type Problem = (&'static str, &'static str);

fn name_problem(name: &str) -> Option<Problem> {
    if name == "." || names::normal(name).is_some() {
        None
    } else if name.is_empty() || name.starts_with('.') || name.contains("..") {
        Some(("DomainLabelEmpty", "Domain label is empty"))
    } else if name.split('.').any(|label| label.len() > 63) {
        Some(("DomainLabelTooLong", "Domain label is too long"))
    } else {
        Some(("UnsupportedCharacter", "Value contains unsupported characters"))
    }
}

/// Numbers of sixteen bits, then a name.
fn fields(value: &str, numbers: usize) -> Option<Problem> {
    let parts: Vec<&str> = value.split_ascii_whitespace().collect();
    let (Some((name, rest)), true) = (parts.split_last(), parts.len() == numbers + 1) else {
        return Some(match numbers {
            1 => ("MXRRDATANotTwoFields", "MX record doesn't have 2 fields"),
            _ => ("SRVRRDATANotFourFields", "SRV record doesn't have 4 fields"),
        });
    };
    if rest.iter().any(|number| number.parse::<u16>().is_err()) {
        return Some(("InvalidNumber", "Value is not a number from 0 to 65535"));
    }
    name_problem(name)
}

fn soa(value: &str) -> Option<Problem> {
    let parts: Vec<&str> = value.split_ascii_whitespace().collect();
    let [server, mail, numbers @ ..] = parts.as_slice() else { return Some(SOA_FIELDS) };
    if numbers.len() != 5 {
        return Some(SOA_FIELDS);
    }
    if numbers.iter().any(|number| number.parse::<u32>().is_err()) {
        return Some(("InvalidNumber", "Value is not a number from 0 to 4294967295"));
    }
    name_problem(server).or_else(|| name_problem(mail))
}

const SOA_FIELDS: Problem = ("SOARRDATANotSevenFields", "SOA record doesn't have 7 fields");

fn caa(value: &str) -> Option<Problem> {
    let mut parts = value.trim_ascii().splitn(3, ' ');
    let (Some(flags), Some(tag), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
        return Some(("CAARRDATANotThreeFields", "CAA record doesn't have 3 fields"));
    };
    if flags.parse::<u8>().is_err() || tag.is_empty() || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some(("InvalidCAAValue", "Value is not a valid CAA record"));
    }
    texts(text)
}

/// One or more texts, each in quotation marks and of up to 255 octets.
fn texts(value: &str) -> Option<Problem> {
    let mut rest = value.trim_ascii().as_bytes();
    if rest.is_empty() {
        return Some(UNQUOTED);
    }
    while let Some((octet, tail)) = rest.split_first() {
        rest = tail;
        match octet {
            b' ' | b'\t' => continue,
            b'"' => {
                rest = match text(rest) {
                    Ok(rest) => rest,
                    Err(problem) => return Some(problem),
                }
            }
            _ => return Some(UNQUOTED),
        }
    }
    None
}

const UNQUOTED: Problem = ("InvalidCharacterString", "Value should be enclosed in quotation marks");

/// What follows a text that has begun.
fn text(mut rest: &[u8]) -> Result<&[u8], Problem> {
    for _ in 0..=255 {
        rest = match rest {
            [] => return Err(UNQUOTED),
            [b'"', rest @ ..] => return Ok(rest),
            [b'\\', b'0'..=b'3', b'0'..=b'7', b'0'..=b'7', rest @ ..] => rest,
            [b'\\', mark, rest @ ..] if mark.is_ascii_punctuation() => rest,
            [b'\\', ..] => return Err(("InvalidEscape", "Value contains an invalid escape code")),
            // These have to be escaped.
            [..0x20 | 0x7f.., ..] => return Err(("UnsupportedCharacter", "Value contains unsupported characters")),
            [_, rest @ ..] => rest,
        };
    }
    Err(("CharacterStringTooLong", "Value is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        /// What is accepted here must not be refused by the plane: it would take the whole zone down with it.
        #[test]
        fn what_is_accepted_can_be_served(kind in prop::sample::select(TYPES.to_vec()), value in "[ -~]{0,40}|[0-9]{1,3} [a-z.]{1,9}|\"[ -~]{0,9}\"") {
            if problem(kind, &value).is_none() {
                let set = zonal_dns::config::RecordSet {
                    name: "a.example.com".into(),
                    type_: kind.into(),
                    ttl: 1,
                    values: vec![value.clone()],
                    ..Default::default()
                };
                let zone = zonal_dns::config::Zone { name: "example.com".into(), overlay: false, records: vec![set] };
                let view = zonal_dns::config::View { name: "public".into(), zones: vec![zone] };
                let config = zonal_dns::config::DnsConfig { revision: 1, views: vec![view], places: Vec::new() };
                let served = zonal_dns::Snapshot::default().replaced_by(&config);
                prop_assert!(served.is_ok(), "{kind} {value}: {:?}", served.err());
            }
        }
    }

    #[test]
    fn each_type_takes_its_own_values() {
        for (kind, value, fits) in [
            ("A", "192.0.2.1", true),
            ("A", "192.0.2", false),
            ("AAAA", "2001:db8::1", true),
            ("AAAA", "192.0.2.1", false),
            ("CNAME", "www.example.com", true),
            ("CNAME", "www..example.com", false),
            ("MX", "10 mail.example.com.", true),
            ("MX", "mail.example.com.", false),
            ("MX", "65536 mail.example.com", false),
            ("SRV", "1 2 3 host.example.com", true),
            ("SRV", "1 2 host.example.com", false),
            ("SOA", "ns.example.com. host.example.com. 1 7200 900 1209600 86400", true),
            ("SOA", "ns.example.com. host.example.com. 1", false),
            ("CAA", "0 issue \"ca.example.com\"", true),
            ("CAA", "0 issue ca.example.com", false),
            ("TXT", "\"v=spf1 -all\"", true),
            ("TXT", "\"a\" \"b\\\"c\"", true),
            ("TXT", r#""f\303\274r""#, true),
            ("TXT", "\"für\"", false),
            ("TXT", "\"a\tb\"", false),
            ("TXT", "\"\x7f\"", false),
            ("TXT", "v=spf1", false),
            ("TXT", "\"open", false),
            ("DS", "12345 3 1 123456789abcdef67890123456789abcdef67890", true),
            ("DS", "12345 3 1 12345", false),
            ("DS", "12345 3 ABCD", false),
            ("SSHFP", "1 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF123456789A", false),
            ("SSHFP", "1 1 123456789ABCDEF67890123456789ABCDEF67890", true),
            ("TLSA", "0 0 1 d2abde240d7cd3ee6b4b28c54df034b9", true),
            ("TLSA", "0 0 1", false),
            ("TLSA", "256 0 1 ab", false),
            ("NAPTR", "100 50 \"u\" \"E2U+sip\" \"!^(.*)$!sip:info@example.com!\" .", true),
            ("NAPTR", "100 50 \"u\" \"E2U+sip\" .", false),
            ("SVCB", "16 foo.example.com alpn=\"h2,h3\" port=8443", true),
            ("SVCB", "16 foo.example.com port=8443 port=8444", false),
            ("SVCB", "0 foo.example.com port=8443", false),
            ("HTTPS", "1 . alpn=h2 no-default-alpn", true),
            ("HTTPS", "1 . no-default-alpn", false),
            ("HTTPS", "1 . mandatory=port alpn=h2", false),
            ("HTTPS", "1 . ipv4hint=2001:db8::1", false),
        ] {
            assert_eq!(problem(kind, value).is_none(), fits, "{kind} {value}");
        }
        assert!(problem("TXT", &format!("\"{}\"", "a".repeat(256))).is_some());
    }

    #[test]
    fn what_is_wrong_is_said_in_the_services_words() {
        assert_eq!(
            problem("A", "x").as_deref(),
            Some(
                "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with 'x''"
            )
        );
    }
}
