//! HTTP/2: a client's connection with its streams, and requests to targets.
//!
//! Frames, windows and header compression are the h2 crate's. What is here turns each stream into
//! the HTTP/1.1 exchange that the rest of the balancer knows, so that a request is routed, changed
//! and answered in the same way whatever it came in.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use h2::Reason;
use h2::server::Builder;
use tokio::io::{AsyncRead, AsyncWrite};

use super::client::Origin;
use super::patience::Idle;
use super::tls::Handshake;
use super::worker::{Client, Door, Worker};
use crate::core::frames::Fault;
use crate::core::route::Scheme;
use guard::Guard;
use seats::Guest;

mod carry;
mod guard;
mod lines;
pub mod probe;
mod seats;
mod stream;
mod target;

pub use carry::Windowed;
pub use lines::Lines;
pub use seats::Seats;
pub use stream::ClientStream;
pub use target::{Line, TargetStream};

/// Streams that a client may have open (ELB guide, Listeners for your Application Load Balancers).
const STREAMS: u32 = 128;
/// What a stream, and all of them together, may have on their way to us.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Bytes of a request's headers, at most, as for HTTP/1.1.
const HEADERS: u32 = 64 * 1024;
/// Streams that a client may reset before they have been looked at, and that it may have us reset:
/// whoever goes beyond is hung up on (rapid reset).
const RESETS: usize = 64;
/// Within which the client must have said what HTTP/2 begins with.
const PREFACE: Duration = Duration::from_secs(10);
/// How long a client that has been told to end may take to do so, once it has its answers.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves a connection until it ends.
pub async fn serve<S>(
    worker: Rc<Worker>,
    door: Rc<Door>,
    client: Rc<Client>,
    stream: S,
    peer: SocketAddr,
    tls: Option<Box<Handshake>>,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (stream, alarm, tail) = Guard::new(stream, worker.clone());
    let handshake = Builder::new()
        .max_concurrent_streams(STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADERS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(Some(RESETS))
        .max_send_buffer_size(64 * 1024)
        .handshake(stream);
    let Ok(Ok(mut connection)) = tokio::time::timeout(worker.pace.timeout(PREFACE), handshake).await else { return };
    let (idle, lifetime) = {
        let snapshot = door.shared.snapshot.load();
        let idle = Idle::new(worker.pace.timeout(snapshot.idle_timeout));
        (idle, worker.pace.real(snapshot.http.client_keep_alive))
    };
    tail.gather();
    let origin = Rc::new(Origin::new(&door, peer, Scheme::Https, tls));
    let streams = Rc::new(());
    let mut stage = Stage::Open;
    let mut quiet = pin!(quiet(&idle, &streams));
    let mut aged = pin!(tokio::time::sleep(lifetime));
    loop {
        let told = tokio::select! {
            accepted = poll_fn(|context| match connection.poll_accept(context) {
                // All streams that had something to say have been heard: it goes out together.
                Poll::Pending if matches!(tail.poll_flush(context), Poll::Ready(Err(_))) => Poll::Ready(None),
                accepted => accepted,
            }) => {
                let Some(Ok((request, answer))) = accepted else { return };
                idle.touch(Instant::now());
                let stream = ClientStream::new(request, answer);
                let (door, origin, streams) = (door.clone(), origin.clone(), streams.clone());
                seats::serve(&worker, Guest { door, origin, stream, streams });
                false
            }
            () = client.dismissal(), if stage == Stage::Open => true,
            () = quiet.as_mut(), if stage == Stage::Open => true,
            () = aged.as_mut(), if stage == Stage::Open => true,
            // Nor does one wait for ever that is hung up on: it may not read that it is.
            () = alone(&streams), if stage != Stage::Open => return,
            fault = alarm.raised(), if stage != Stage::Broken => {
                connection.abrupt_shutdown(reason(fault));
                stage = Stage::Broken;
                false
            }
        };
        if told {
            // What it has asked is answered; what it asks before it knows, too.
            connection.graceful_shutdown();
            stage = Stage::Ending;
        }
    }
}

/// A connection's life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The client has been told to ask no more.
    Ending,
    /// The client is being hung up on.
    Broken,
}

/// The error code that the client is told.
fn reason(fault: Fault) -> Reason {
    match fault {
        Fault::FlowControl => Reason::FLOW_CONTROL_ERROR,
        Fault::StreamClosed => Reason::STREAM_CLOSED,
        Fault::FrameSize => Reason::FRAME_SIZE_ERROR,
        Fault::Flood => Reason::ENHANCE_YOUR_CALM,
    }
}

/// Waits until there has been no stream for as long as the idle timeout.
async fn quiet(idle: &Idle, streams: &Rc<()>) {
    loop {
        let now = Instant::now();
        if Rc::strong_count(streams) > 1 {
            idle.touch(now);
        }
        let deadline = idle.deadline();
        if deadline <= now {
            return;
        }
        tokio::time::sleep_until(deadline.into()).await;
    }
}

/// Waits until there are no streams, and a little longer for the client's own farewell.
async fn alone(streams: &Rc<()>) {
    loop {
        tokio::time::sleep(FAREWELL).await;
        if Rc::strong_count(streams) == 1 {
            return;
        }
    }
}
