//! The public name servers, asked as anybody on the host asks them.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

/// How long the plane may take for an answer.
const ANSWER: Duration = Duration::from_millis(500);

/// What they answer to a query on their port, both in DNS's wire form.
pub(super) fn answer(port: u16, query: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket.set_read_timeout(Some(ANSWER)).ok()?;
    socket.connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    socket.send(query).ok()?;
    let mut answer = vec![0; 4096];
    let length = socket.recv(&mut answer).ok()?;
    answer.truncate(length);
    Some(answer)
}
