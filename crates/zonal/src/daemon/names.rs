//! `NAME.localhost`: a name of the world, opened in any browser. The request goes to where the world's DNS says, its `Host` set to
//! the name.

use crate::daemon::serve::Body;
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use zonal_lab::Answer;
use zonal_linux::Internet;

/// How long the world may take to begin to answer.
const LIMIT: Duration = Duration::from_secs(90);
/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(10);
/// The same where there is another address to try, as browsers do.
const CONNECTING_BEFORE_OTHERS: Duration = Duration::from_millis(500);
/// Where pages are.
const PORT: u16 = 80;

/// Finds addresses of names, and fetches from them.
pub struct Names {
    dns: SocketAddr,
    internet: Option<Arc<Internet>>,
}

/// The name of the world that a `Host` header asks for: `NAME.localhost[:PORT]`.
pub fn asked_for(host: &str) -> Option<&str> {
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, port)| if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host });
    name.strip_suffix(".localhost").filter(|name| name.contains('.'))
}

impl Names {
    /// Asks the world's DNS at `dns`, and connects from inside the world where there is an inside: a program of the host's that listens on
    /// all addresses is not taken for the world's, and ports that the world can't have on the host are reached.
    pub fn new(dns: SocketAddr, internet: Option<Internet>) -> Self {
        Self { dns, internet: internet.map(Arc::new) }
    }

    async fn connect(&self, address: Ipv4Addr) -> io::Result<TcpStream> {
        let at = SocketAddr::from((address, PORT));
        let Some(internet) = self.internet.clone() else { return TcpStream::connect(at).await };
        let socket = tokio::task::spawn_blocking(move || internet.socket()).await.map_err(io::Error::other)?;
        TcpSocket::from_std_stream(socket.map_err(io::Error::other)?.into()).connect(at).await
    }

    /// Passes a request on to `name`.
    pub async fn pass(&self, name: &str, request: Request<Bytes>) -> Response<Body> {
        let found = match zonal_lab::shell::lookup(self.dns, name, Duration::from_secs(2)).await {
            Answer::Addresses { addresses, .. } => addresses,
            Answer::Failed => Vec::new(),
        };
        let (address, stream) = match self.reach(&found).await {
            Ok(reached) => reached,
            Err(Some(error)) => return plain(StatusCode::BAD_GATEWAY, &format!("{name}: {error}\n")),
            Err(None) => {
                return plain(
                    StatusCode::BAD_GATEWAY,
                    &format!("No address for {name}: the world's DNS knows no such name.\n"),
                );
            }
        };
        match tokio::time::timeout(LIMIT, fetch(name, stream, request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                plain(StatusCode::BAD_GATEWAY, &format!("{name} at {address} does not answer: {error}\n"))
            }
            Err(_) => {
                plain(StatusCode::GATEWAY_TIMEOUT, &format!("{name} at {address} did not answer in {LIMIT:?}.\n"))
            }
        }
    }

    /// A connection to the first of these addresses that takes one; the last failure where none does.
    async fn reach(&self, addresses: &[Ipv4Addr]) -> Result<(Ipv4Addr, TcpStream), Option<String>> {
        let mut failure = None;
        for (at, address) in addresses.iter().enumerate() {
            let limit = if at + 1 < addresses.len() { CONNECTING_BEFORE_OTHERS } else { CONNECTING };
            match tokio::time::timeout(limit, self.connect(*address)).await {
                Ok(Ok(stream)) => return Ok((*address, stream)),
                Ok(Err(error)) => failure = Some(format!("{address} does not answer: {error}")),
                Err(_) => failure = Some(format!("{address} does not accept a connection")),
            }
        }
        Err(failure)
    }
}

/// Asks for a page over a connection.
async fn fetch(name: &str, stream: TcpStream, request: Request<Bytes>) -> Result<Response<Body>, String> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let path = path.to_owned();
    let (parts, body) = request.into_parts();
    let mut passed = Request::builder().method(parts.method).uri(path);
    for (header, value) in &parts.headers {
        if !matches!(header.as_str(), "host" | "connection" | "content-length" | "transfer-encoding" | "upgrade") {
            passed = passed.header(header, value);
        }
    }
    let passed = passed.header("host", name).body(Full::new(body)).map_err(|error| error.to_string())?;
    // Nothing is kept open: a load balancer's addresses change under a name.
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        // How it ended shows in the answer.
        let _ = connection.await;
    });
    let response: Response<Incoming> = sender.send_request(passed).await.map_err(|error| error.to_string())?;
    let (mut parts, body) = response.into_parts();
    parts.headers.remove("transfer-encoding");
    parts.headers.remove("connection");
    // It is passed on as it comes, however long it is.
    Ok(Response::from_parts(parts, Either::Right(body)))
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::copy_from_slice(text.as_bytes()))));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_below_localhost_is_a_name_of_the_world() {
        assert_eq!(asked_for("whatsthetime.com.localhost:4566"), Some("whatsthetime.com"));
        assert_eq!(asked_for("localhost:4566"), None);
        assert_eq!(asked_for("bucket.localhost:4566"), None);
        assert_eq!(asked_for("127.0.0.1:4566"), None);
    }
}
