//! What must hold for every operation of every service, whatever the bytes.

use proptest::prelude::*;
use zonal_contract::{APIS, fill};
use zonal_wire::door::{self, Identified, RequestHead};
use zonal_wire::{Api, OperationFacts, Protocol, Structure, value};

/// A generator with few states is enough to vary values (SplitMix64).
fn generator(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn operations() -> Vec<(&'static Api, &'static OperationFacts)> {
    APIS.iter().flat_map(|api| api.operations.iter().map(move |operation| (*api, operation))).collect()
}

fn any_operation() -> impl Strategy<Value = (&'static Api, &'static OperationFacts)> {
    proptest::sample::select(operations())
}

fn input(operation: &OperationFacts, seed: u64) -> Box<dyn Structure> {
    let mut input = (operation.new_input)();
    fill(&mut *input, &mut generator(seed));
    input
}

fn head(uri: &str) -> RequestHead {
    let request = http::Request::builder().method("POST").uri(uri);
    RequestHead::from(request.body(()).expect("a request").into_parts().0)
}

fn form_head(service: &str) -> RequestHead {
    let credential =
        format!("AWS4-HMAC-SHA256 Credential=A/1/r/{service}/aws4_request, SignedHeaders=host, Signature=0");
    let request = http::Request::builder()
        .method("POST")
        .uri("/")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", credential);
    RequestHead::from(request.body(()).expect("a request").into_parts().0)
}

/// Text made of what the protocols' readers look at.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b":",
        b",",
        b"null",
        b"true",
        b"1e9",
        b"-",
        b"\\u",
        b"<a>",
        b"</a>",
        b"<",
        b"&amp;",
        b"&#x;",
        b"]]>",
        b"<![CDATA[",
        b"<!--",
        b"\xbf",
        b"\x9f",
        b"\xff",
        b"\xc1",
        b"\xfb",
        b"\x5b",
        b"\x61",
        b"a",
        b"Tags",
        b"=",
        b"&",
        b"%41",
        b"%",
        b"+",
        b".",
        b"1",
        b"member",
        b"entry",
        b"key",
        b"Filter.1.Value.1=x",
        b"\xf0\x9f",
        b"\n",
    ];
    proptest::collection::vec(proptest::sample::select(pieces), 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn member_keyed_json_gives_a_structure_back((_, operation) in any_operation(), seed: u64) {
        let before = value::to_json(&*input(operation, seed));
        let mut again = (operation.new_input)();
        value::from_json(&before, &mut *again).map_err(|violations| TestCaseError::fail(violations.to_string()))?;
        prop_assert_eq!(before, value::to_json(&*again));
    }

    #[test]
    fn what_is_written_as_a_document_reads_back(
        (api, operation) in any_operation(),
        protocol in proptest::sample::select(vec![Protocol::Json11, Protocol::RpcV2Cbor, Protocol::RestXml]),
        seed: u64,
    ) {
        // Where members travel outside the body, only CBOR has them all in the document.
        let protocol = if api.protocols.contains(&Protocol::RestXml) { Protocol::RpcV2Cbor } else { protocol };
        let before = input(operation, seed);
        let identified = Identified::of(api, operation, protocol);
        let body = door::encode_output(&identified, &*before, "id").body;
        let after = door::decode(&identified, &head("/"), &body).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let (mut before, mut after) = (value::to_json(&*before), value::to_json(&*after));
        prune(&mut before);
        prune(&mut after);
        prop_assert_eq!(before, after);
    }

    #[test]
    fn no_bytes_panic_a_reader(
        (api, operation) in any_operation(),
        protocol in proptest::sample::select(vec![
            Protocol::Json11, Protocol::RpcV2Cbor, Protocol::RestXml, Protocol::RestJson, Protocol::Query, Protocol::Ec2,
        ]),
        body in prop_oneof![soup(), proptest::collection::vec(any::<u8>(), 0..200)],
    ) {
        let form = form_head(api.signing);
        let with_action = [format!("Action={}&", operation.name).as_bytes(), &body].concat();
        if let Ok(identified) = door::identify(&form, &with_action, &APIS) {
            _ = door::decode(&identified, &form, &with_action);
        }
        _ = door::decode(&Identified::of(api, operation, protocol), &head("/x?a=%41&b"), &body);
    }

    #[test]
    fn a_damaged_document_is_read_or_refused_as_the_callers_fault(
        (api, operation) in any_operation(),
        protocol in proptest::sample::select(vec![Protocol::Json11, Protocol::RpcV2Cbor, Protocol::RestXml]),
        seed: u64,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let identified = Identified::of(api, operation, protocol);
        let mut body = door::encode_output(&identified, &*input(operation, seed), "id").body;
        for (index, byte) in damage {
            if !body.is_empty() {
                let at = index.index(body.len());
                body[at] = byte;
            }
        }
        if let Err(error) = door::decode(&identified, &head("/"), &body) {
            prop_assert!(error.status < 500, "{}", error);
        }
    }
}

/// Empty structures and lists travel in some protocols and in others not.
fn prune(json: &mut serde_json::Value) {
    let empty = |value: &serde_json::Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    match json {
        serde_json::Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|_, value| !empty(value));
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}
