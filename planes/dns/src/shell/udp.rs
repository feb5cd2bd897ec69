//! DNS over UDP: one task per socket, which takes as many datagrams with one call as there are, and sends their answers with one.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::{Pending, Responder, Step};
use crate::answer::Transport;

/// Datagrams taken with one call.
const BATCH: usize = 32;

/// No query is longer, padding included; of one that is, the rest is cut off and what is left is no valid query.
const MAX_QUERY: usize = 1280;

/// The pause after an error of the socket, so that a network that went away does not cost a core.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// The answer to a query that needed upstream, and who asked; nothing where there is none to give.
type Fetched = Option<(Vec<u8>, SocketAddr)>;

/// Answers for ever.
pub(super) async fn serve(socket: UdpSocket, mut responder: Responder) {
    let mut batch = Batch::new();
    // What waits for upstream hands its answer back to here: the socket is this task's alone, and closed once the task has ended.
    let mut fetches = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            ready = socket.readable() => match ready.and_then(|()| batch.receive(&socket)) {
                Ok(()) => {
                    let unsent = batch.answer(&socket, &mut responder, &mut fetches);
                    responder.counters.dropped(unsent);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
            },
            Some(fetched) = fetches.join_next() => send_fetched(&socket, fetched.ok().flatten(), &responder),
        }
        // Under load there is always another query; those that waited are not to wait for a pause of the others.
        while let Some(fetched) = fetches.try_join_next() {
            send_fetched(&socket, fetched.ok().flatten(), &responder);
        }
        tokio::task::yield_now().await;
    }
}

/// Sends what had to be fetched, if there is room in the socket as for any other answer.
fn send_fetched(socket: &UdpSocket, fetched: Fetched, responder: &Responder) {
    if let Some((answer, client)) = fetched
        && socket.try_send_to(&answer, client).is_err()
    {
        responder.counters.dropped(1);
    }
}

/// Room for a batch of queries and their answers: made once, so that an answer allocates nothing. (A batch does: the headers that
/// the kernel fills hold pointers, and what holds pointers does not go from thread to thread as a task may.)
struct Batch {
    /// [`MAX_QUERY`] octets for each, in one piece that costs no memory before it is used.
    queries: Vec<u8>,
    /// How long each query is and who asked. Only as many as were taken.
    taken: Vec<(usize, SockaddrStorage)>,
    answers: Vec<Vec<u8>>,
    /// Whom each answer goes to.
    clients: Vec<Option<SockaddrStorage>>,
}

impl Batch {
    fn new() -> Batch {
        Batch {
            queries: vec![0; MAX_QUERY * BATCH],
            taken: Vec::with_capacity(BATCH),
            answers: vec![Vec::new(); BATCH],
            clients: Vec::with_capacity(BATCH),
        }
    }

    /// Takes what is there; `WouldBlock` where that is nothing.
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.taken.clear();
        let Batch { queries, taken, .. } = self;
        let received = socket.try_io(Interest::READABLE, || {
            let mut room = queries.chunks_exact_mut(MAX_QUERY);
            let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
                std::array::from_fn(|_| [IoSliceMut::new(room.next().unwrap_or_default())]);
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
            let messages = recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
            taken.extend(messages.filter_map(|message| Some((message.bytes, message.address?))));
            // Fewer than there was room for: the socket is empty, and the next datagram will wake us. Saying so here saves
            // the call that would find out.
            if taken.len() < BATCH { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if taken.is_empty() { received } else { Ok(()) }
    }

    /// Answers from one snapshot; returns how many answers found no room in the socket, as any datagram may: the client asks
    /// again.
    fn answer(&mut self, socket: &UdpSocket, responder: &mut Responder, fetches: &mut JoinSet<Fetched>) -> usize {
        let store = Arc::clone(&responder.store);
        let snapshot = store.current.load();
        self.clients.clear();
        for (query, (len, client)) in self.queries.chunks_exact(MAX_QUERY).zip(&self.taken) {
            let query = &query[..*len];
            // There are as many answers as queries.
            let answer = &mut self.answers[self.clients.len()];
            let address = socket_address(client).map(|address| address.ip());
            match responder.answer(&snapshot, query, (Transport::Udp, address), answer) {
                Step::Send => self.clients.push(Some(*client)),
                Step::Nothing => {}
                Step::Fetch(pending) => match fetch_later(responder, pending, query, client) {
                    Some(fetch) => drop(fetches.spawn(fetch)),
                    None => responder.counters.dropped(1),
                },
            }
        }
        self.send(socket)
    }

    /// Sends answers to their clients; returns how many were lost.
    fn send(&self, socket: &UdpSocket) -> usize {
        let count = self.clients.len();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(count, None);
        let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|at| [IoSlice::new(&self.answers[at])]);
        let (mut next, mut lost) = (0, 0);
        while next < count {
            let (slices, clients) = (&slices[next..count], &self.clients[next..count]);
            let sent = sendmmsg(socket.as_raw_fd(), &mut headers, slices, clients, [], MsgFlags::MSG_DONTWAIT);
            match sent.map(|sent| sent.count()) {
                Ok(sent) if sent > 0 => next += sent,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return lost + count - next,
                // This one can't be sent, as when its network is gone; the others may.
                _ => (next, lost) = (next + 1, lost + 1),
            }
        }
        lost
    }
}

/// What leaves the socket's task free while upstream is asked; nothing where too much waits already.
fn fetch_later(
    responder: &Responder,
    pending: Pending,
    message: &[u8],
    client: &SockaddrStorage,
) -> Option<impl Future<Output = Fetched> + use<>> {
    let slot = responder.forwarder.as_ref()?.slot()?;
    let client = socket_address(client)?;
    let (responder, message) = (responder.clone(), message.to_vec());
    Some(async move {
        let mut answer = Vec::new();
        let step = responder.fetch_and_answer(pending, &message, Transport::Udp, &mut answer).await;
        drop(slot);
        matches!(step, Step::Send).then_some((answer, client))
    })
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}
