//! One health check, made from a node.

use std::net::SocketAddrV4;
use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::buffer::Buffer;
use super::sockets::Sockets;
use crate::config::{CheckProtocol, Node};
use crate::core::fleet::Probe;
use crate::core::head::{header_space, parse_response};
use crate::core::health::Outcome;

/// Asks; takes as long as the target does, so the caller sets the limit.
pub async fn ask(probe: &Probe, node: &Node, sockets: &Arc<dyn Sockets>) -> Outcome {
    let Ok(mut stream) = connect(probe, node, sockets).await else { return Outcome::Failed };
    match &probe.protocol {
        CheckProtocol::Tcp => Outcome::Connected,
        CheckProtocol::Http { path, .. } => match get(&mut stream, probe, path).await {
            Some(status) => Outcome::Status(status),
            None => Outcome::Failed,
        },
    }
}

async fn connect(probe: &Probe, node: &Node, sockets: &Arc<dyn Sockets>) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(sockets.connect_socket(node)?));
    socket.connect(SocketAddrV4::new(probe.address, probe.port).into()).await
}

/// The final status. The body is not waited for.
async fn get(stream: &mut TcpStream, probe: &Probe, path: &str) -> Option<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\
         Accept-Encoding: gzip, compressed\r\n\r\n",
        probe.address, probe.port
    );
    stream.write_all(request.as_bytes()).await.ok()?;
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
