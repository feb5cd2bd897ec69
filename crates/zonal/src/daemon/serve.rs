//! The HTTP server on loopback: the API, the world's names, and our own paths below `/_zonal/`; and the one that instances' calls come
//! to, which has the API alone.

use crate::daemon::names::{self, Names};
use crate::daemon::{Daemon, admin, door};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use zonal_wire::Bounds;
use zonal_wire::door::RequestHead;

/// The server could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port could not be had.
    #[error("cannot listen on {address}: {source} (is another Zonal, or LocalStack, running? `--port` takes another)")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The socket for instances' calls could not be had.
    #[error("cannot listen on {path}: {source}")]
    ListenInside {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// From this machine.
    Host,
    /// From an instance: it reaches AWS's services, and nothing of ours.
    Inside,
}

/// How long nothing is accepted after that has failed.
const RECOVER: std::time::Duration = std::time::Duration::from_millis(20);

/// KiB of requests' bodies that instances may have us keep at once, all together.
const INSIDE_KIB: usize = 64 << 10;

/// An answer's body: ours, or what a name of the world sends.
pub type Body = Either<Full<Bytes>, Incoming>;

struct Shared {
    daemon: Arc<Daemon>,
    names: Names,
    /// A permit a KiB of a body from inside.
    room: Semaphore,
}

/// Serves until the future `end` is over.
///
/// # Errors
/// The port cannot be had.
pub async fn serve(daemon: Arc<Daemon>, names: Names, end: impl Future<Output = ()>) -> Result<(), ServeError> {
    let address = SocketAddr::from(([127, 0, 0, 1], daemon.config.port));
    let listener = TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
    // Clients that know no IPv4 `localhost` come to ::1; where there is no IPv6 they can't.
    let six = TcpListener::bind(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, daemon.config.port))).await.ok();
    let inside = daemon.config.inside.as_deref().map(listen_inside).transpose()?;
    let shared = Arc::new(Shared { daemon, names, room: Semaphore::new(INSIDE_KIB) });
    tokio::pin!(end);
    loop {
        let stream = tokio::select! {
            () = &mut end => return Ok(()),
            accepted = listener.accept() => accepted,
            accepted = accept(six.as_ref()) => accepted,
            stream = accept_inside(inside.as_ref()) => {
                tokio::spawn(connection(stream, shared.clone(), Side::Inside));
                continue;
            }
        };
        match stream {
            Ok((stream, _)) => {
                // Answers are small and written whole.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!("TCP_NODELAY: {error}");
                }
                tokio::spawn(connection(stream, shared.clone(), Side::Host));
            }
            // Out of descriptors, say: others may close theirs.
            Err(error) => {
                tracing::warn!("accepting a connection: {error}");
                tokio::time::sleep(RECOVER).await;
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// The socket that the plane passes instances' calls to; it runs as the same user as we do, and nobody else may.
fn listen_inside(path: &Path) -> Result<UnixListener, ServeError> {
    let failed = |source| ServeError::ListenInside { path: path.to_owned(), source };
    // A daemon that was killed left its own behind.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

async fn accept_inside(listener: Option<&UnixListener>) -> UnixStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => tracing::warn!("accepting an instance's call: {error}"),
        }
        // Out of descriptors, say: others may close theirs.
        tokio::time::sleep(RECOVER).await;
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>, side: Side) {
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(respond(&shared, request, side).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(door::PATIENCE)
        .max_buf_size(128 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("a connection ended: {error}");
    }
}

/// Room for a body from inside, waited for; the host's own programs need none.
async fn room<'a>(shared: &'a Shared, head: &RequestHead, side: Side, limit: usize) -> Option<SemaphorePermit<'a>> {
    if side == Side::Host {
        return None;
    }
    let said = head.header("content-length").and_then(|length| length.parse::<usize>().ok());
    let length = said.unwrap_or(if head.header("transfer-encoding").is_some() { limit } else { 0 }).min(limit);
    // It is never closed.
    shared.room.acquire_many(u32::try_from(length >> 10).unwrap_or(u32::MAX)).await.ok()
}

async fn respond(shared: &Shared, request: Request<Incoming>, side: Side) -> Response<Body> {
    match world_name(&request, side) {
        Some(name) => pass(shared, &name, request).await,
        None => call(shared, request, side).await.map(Either::Left),
    }
}

/// The name of the world that is asked for. Instances know such names themselves.
fn world_name(request: &Request<Incoming>, side: Side) -> Option<String> {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    names::asked_for(host).filter(|_| side == Side::Host).map(ToOwned::to_owned)
}

/// A page of the world's. Those may call each other, as they would on the internet.
async fn pass(shared: &Shared, name: &str, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match read(body, Bounds::default().body).await {
        Ok(body) => shared.names.pass(name, Request::from_parts(parts, body)).await,
        Err(refusal) => refusal.map(Either::Left),
    }
}

/// A call of the API, or of our own paths.
async fn call(shared: &Shared, request: Request<Incoming>, side: Side) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let head = RequestHead { method: parts.method, uri: parts.uri, headers: parts.headers };
    if door::is_foreign(&head) {
        return text(
            StatusCode::FORBIDDEN,
            "Refused: this request comes from a web page of another site, or by a foreign name.\n",
        );
    }
    let limit = Bounds::default().body;
    // Kept until the answer is there.
    let Ok(_room) = tokio::time::timeout(door::PATIENCE, room(shared, &head, side, limit)).await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "Too many large requests at once. Try again.\n");
    };
    let body = match read(body, limit).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    if side == Side::Host
        && let Some(answer) = admin::answer(&shared.daemon, &head, &body).await
    {
        return answer;
    }
    let answer = door::answer(&shared.daemon, head, &body).await;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(answer.body))).unwrap_or_else(|error| {
        tracing::error!("an answer was malformed: {error}");
        text(StatusCode::INTERNAL_SERVER_ERROR, "")
    })
}

/// A request's body, whole; or how it is refused.
async fn read(body: Incoming, limit: usize) -> Result<Bytes, Response<Full<Bytes>>> {
    match tokio::time::timeout(door::PATIENCE, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(text(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("The request's body is longer than {limit} bytes, or broke off.\n"),
        )),
        Err(_) => Err(text(StatusCode::REQUEST_TIMEOUT, "The request's body did not come in time.\n")),
    }
}

/// A plain answer.
pub(crate) fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
