//! A health check over HTTP/2: a GET, or an empty gRPC call.

use std::future::poll_fn;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use http::{Method, Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::core::route::Scheme;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is spoken beneath.
    pub scheme: Scheme,
    /// The target's address with its port.
    pub authority: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Whether it is a gRPC call.
    pub grpc: bool,
}

/// A gRPC message without content.
const EMPTY: &[u8] = &[0; 5];
/// `UNKNOWN`: an HTTP answer that is no gRPC answer (gRPC over HTTP/2, Responses).
const UNKNOWN: u16 = 2;

/// The answer's HTTP status, or gRPC status for a call.
pub async fn ask(stream: impl AsyncRead + AsyncWrite + Unpin, question: Question<'_>) -> Option<u16> {
    let (sender, connection) =
        h2::client::Builder::new().enable_push(false).handshake::<_, Bytes>(stream).await.ok()?;
    tokio::select! {
        biased;
        answer = converse(sender, question) => answer,
        _ = connection => None,
    }
}

async fn converse(sender: h2::client::SendRequest<Bytes>, question: Question<'_>) -> Option<u16> {
    let mut sender = sender.ready().await.ok()?;
    let uri =
        Uri::builder().scheme(question.scheme.as_str()).authority(question.authority).path_and_query(question.path);
    let mut request = Request::new(());
    *request.uri_mut() = uri.build().ok()?;
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static("ELB-HealthChecker/2.0"));
    if question.grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        *request.method_mut() = Method::POST;
    }
    let (answer, mut body) = sender.send_request(request, !question.grpc).ok()?;
    if question.grpc {
        // Five bytes are within any window that has been heard of.
        body.send_data(Bytes::from_static(EMPTY), true).ok()?;
    }
    let (parts, mut reply) = answer.await.ok()?.into_parts();
    if !question.grpc {
        return Some(parts.status.as_u16());
    }
    if let Some(status) = grpc_status(&parts.headers) {
        return Some(status);
    }
    while let Some(data) = reply.data().await {
        let length = data.ok()?.len();
        reply.flow_control().release_capacity(length).ok()?;
    }
    let trailers = poll_fn(|context| reply.poll_trailers(context)).await.ok()?.unwrap_or_default();
    Some(grpc_status(&trailers).unwrap_or(UNKNOWN))
}

fn grpc_status(fields: &HeaderMap) -> Option<u16> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}
