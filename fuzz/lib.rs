//! What the fuzz targets share: bytes to a request for one of all operations, in one protocol.

use zonal_contract::APIS;
use zonal_wire::door::{self, Identified, RequestHead};
use zonal_wire::{Api, OperationFacts, Protocol, value};

/// Splits off two bytes that choose one of all operations.
pub fn operation(data: &[u8]) -> Option<(&'static Api, &'static OperationFacts, &[u8])> {
    let (choice, rest) = data.split_first_chunk::<2>()?;
    let count: usize = APIS.iter().map(|api| api.operations.len()).sum();
    let index = usize::from(u16::from_le_bytes(*choice)) % count;
    let mut all = APIS.iter().flat_map(|api| api.operations.iter().map(move |operation| (*api, operation)));
    all.nth(index).map(|(api, operation)| (api, operation, rest))
}

/// A request's head; `None` if these are no method, path and headers.
pub fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Option<RequestHead> {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Some(RequestHead::from(request.body(()).ok()?.into_parts().0))
}

/// Decodes a document; what reads must be writable, and read again from what was written.
pub fn document(protocol: Protocol, data: &[u8]) {
    let Some((api, operation, body)) = operation(data) else { return };
    let Some(head) = head("POST", "/?a=b", &[]) else { return };
    let identified = Identified::of(api, operation, protocol);
    match door::decode(&identified, &head, body) {
        Ok(input) => {
            let json = value::to_json(&*input);
            let mut again = (operation.new_input)();
            value::from_json(&json, &mut *again).expect("what was read is valid");
            _ = door::encode_output(&identified, &*input, "id");
        }
        Err(error) => {
            assert!(error.status < 500, "{error}");
            _ = door::encode_error(Some(&identified), &error, "id");
        }
    }
}

/// Decodes form parameters of an operation of a service with this protocol.
pub fn form(protocol: Protocol, data: &[u8]) {
    let Some((api, operation, rest)) = operation(data) else { return };
    if !api.protocols.contains(&protocol) {
        return;
    }
    let scope =
        format!("AWS4-HMAC-SHA256 Credential=A/1/r/{}/aws4_request, SignedHeaders=host, Signature=0", api.signing);
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", &*scope)];
    let Some(head) = head("POST", "/", &headers) else { return };
    let body = [format!("Action={}&", operation.name).as_bytes(), rest].concat();
    match door::identify(&head, &body, &APIS) {
        Ok(identified) => {
            _ = door::decode(&identified, &head, &body).map_err(|error| assert!(error.status < 500, "{error}"))
        }
        Err(rejection) => assert!(rejection.error.status < 500, "{}", rejection.error),
    }
}
