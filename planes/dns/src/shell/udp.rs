//! DNS over UDP: one task per socket, which reads as long as there is something to read.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::{Pending, Responder, Step};
use crate::answer::Transport;

/// Datagrams answered before other tasks get their turn.
const BATCH: usize = 64;

/// No query is longer; of one that is, the rest is cut off and what is left is no valid query.
const MAX_QUERY: usize = 4096;

/// The pause after an error of the socket, so that a network that went away does not cost a core.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Answers for ever.
pub(super) async fn serve(socket: Arc<UdpSocket>, mut responder: Responder) {
    let mut query = vec![0; MAX_QUERY];
    let mut answer = Vec::with_capacity(MAX_QUERY);
    loop {
        let read = match socket.readable().await {
            Ok(()) => answer_batch(&socket, &mut responder, &mut query, &mut answer),
            Err(error) => Err(error),
        };
        match read {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
        }
    }
}

/// Answers up to [`BATCH`] datagrams from one snapshot; an error is the socket's, `WouldBlock` when it is empty.
fn answer_batch(
    socket: &Arc<UdpSocket>,
    responder: &mut Responder,
    query: &mut [u8],
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    let store = Arc::clone(&responder.store);
    let snapshot = store.current.load();
    for _ in 0..BATCH {
        let (len, client) = socket.try_recv_from(query)?;
        let message = &query[..len];
        match responder.answer(&snapshot, message, Transport::Udp, answer) {
            Step::Send => send(socket, responder, answer, client),
            Step::Nothing => {}
            Step::Fetch(pending) => fetch_later(socket, responder, pending, message, client),
        }
    }
    Ok(())
}

/// An answer that finds no room is lost, as any datagram may be; the client asks again.
fn send(socket: &UdpSocket, responder: &Responder, answer: &[u8], client: SocketAddr) {
    if socket.try_send_to(answer, client).is_err() {
        responder.counters.dropped();
    }
}

/// Leaves the socket's task free while upstream is asked. How many wait at once, the forwarder bounds.
fn fetch_later(socket: &Arc<UdpSocket>, responder: &Responder, pending: Pending, message: &[u8], client: SocketAddr) {
    let Some(slot) = responder.forwarder.as_ref().and_then(|forwarder| forwarder.slot()) else {
        responder.counters.dropped();
        return;
    };
    let (socket, responder, message) = (Arc::clone(socket), responder.clone(), message.to_vec());
    tokio::spawn(async move {
        let mut answer = Vec::new();
        if let Step::Send = responder.fetch_and_answer(pending, &message, Transport::Udp, &mut answer).await {
            send(&socket, &responder, &answer, client);
        }
        drop(slot);
    });
}
