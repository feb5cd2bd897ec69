//! One health check, made from a node.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::buffer::Buffer;
use super::h2;
use super::h2::probe::Question;
use super::sockets::Sockets;
use super::tls::ClientTls;
use super::transport::Transport;
use crate::config::{CheckProtocol, Node, ProtocolVersion};
use crate::core::fleet::Probe;
use crate::core::head::{header_space, parse_response};
use crate::core::health::Outcome;

/// Unread bytes of an answer are taken for so long, and so many, at most: a target that is hung up
/// on in the middle of its answer fills its log with complaints.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 * 1024;

/// A socket is waited for so long at most: whoever makes them may be away, which says nothing of the target.
const SUPPLIED: Duration = Duration::from_secs(5);

/// Asks within `limit`, and gives the connection too if an answer may still be coming.
pub async fn ask(
    probe: &Probe,
    node: &Node,
    sockets: &Arc<dyn Sockets>,
    tls: &ClientTls,
    limit: Duration,
) -> (Outcome, Option<Transport>) {
    // The wait for a socket is none of the target's, and does not count for its limit.
    let Ok(Ok(socket)) = timeout(SUPPLIED, sockets.connect_socket(node).get()).await else {
        return (Outcome::Unasked, None);
    };
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
    timeout(limit, connect(probe, socket, tls)).await.unwrap_or((Outcome::TimedOut, None))
}

async fn connect(probe: &Probe, socket: TcpSocket, tls: &ClientTls) -> (Outcome, Option<Transport>) {
    let Ok(stream) = socket.connect(SocketAddrV4::new(probe.address, probe.port).into()).await else {
        return (Outcome::Failed, None);
    };
    match &probe.protocol {
        CheckProtocol::Tcp => (Outcome::Connected, None),
        CheckProtocol::Http { path, .. } => question(Transport::Plain(stream), probe, path).await,
        CheckProtocol::Https { path, .. } => match tls.connect(stream).await {
            Ok(stream) => question(Transport::Tls(Box::new(stream.into())), probe, path).await,
            Err(_) => (Outcome::Failed, None),
        },
    }
}

async fn question(mut stream: Transport, probe: &Probe, path: &str) -> (Outcome, Option<Transport>) {
    if probe.version != ProtocolVersion::Http1 {
        let authority = format!("{}:{}", probe.address, probe.port);
        let grpc = probe.version == ProtocolVersion::Grpc;
        let question = Question { scheme: stream.scheme(), authority: &authority, path, grpc };
        return (h2::probe::ask(stream, question).await.map_or(Outcome::Failed, Outcome::Status), None);
    }
    match get(&mut stream, probe, path).await {
        Some(status) => (Outcome::Status(status), Some(stream)),
        None => (Outcome::Failed, None),
    }
}

/// Lets a target finish its answer.
pub async fn hear_out(mut stream: Transport) {
    let rest = async {
        let (mut scrap, mut taken) = ([0; 2048], 0);
        while let Ok(count @ 1..) = stream.read(&mut scrap).await {
            taken += count;
            if taken > LINGER_BYTES {
                break;
            }
        }
    };
    // Whether it ends or not, nothing depends on it.
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// The final status. The body is not waited for.
async fn get(stream: &mut Transport, probe: &Probe, path: &str) -> Option<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\
         Accept-Encoding: gzip, compressed\r\n\r\n",
        probe.address, probe.port
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let mut reply = Buffer::default();
    loop {
        let (status, length) = {
            let mut space = header_space();
            match parse_response(reply.bytes(), &mut space, false).ok()? {
                Some((head, length)) => (head.status, length),
                None => (0, 0),
            }
        };
        match status {
            0 => {
                if reply.read_from(stream).await.ok()? == 0 {
                    return None;
                }
            }
            100..=199 => reply.consume(length),
            _ => return Some(status),
        }
    }
}
