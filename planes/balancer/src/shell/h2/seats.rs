//! The tasks that serve streams: each serves one after the other.
//!
//! What a stream needs is large (everything that its request may come to wait for), and a connection has a new one for
//! each request. A task for each would cost more in memory made, moved and given back than all that is done with it.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use tokio::task::{AbortHandle, spawn_local};

use super::stream::ClientStream;
use crate::shell::client::{self, Origin};
use crate::shell::patience::{Idle, Patience};
use crate::shell::transport::Transport;
use crate::shell::worker::{Door, Worker};

/// Tasks of a core that wait for a stream, at most.
const MOST: usize = 128;

/// A core's tasks that wait for a stream.
#[derive(Default)]
pub struct Seats(RefCell<Vec<Rc<Seat>>>);

/// A stream to serve.
pub struct Guest {
    /// Where it came in.
    pub door: Rc<Door>,
    /// Whom it is from.
    pub origin: Rc<Origin>,
    /// Its request, and the way back.
    pub stream: ClientStream,
    /// Counts it.
    pub streams: Rc<()>,
}

/// A task, as those see it who have a stream for it.
#[derive(Default)]
struct Seat {
    guest: Cell<Option<Guest>>,
    waker: Cell<Option<Waker>>,
    task: OnceCell<AbortHandle>,
}

/// Has a stream served.
pub fn serve(worker: &Rc<Worker>, guest: Guest) {
    let waiting = worker.seats.0.borrow_mut().pop();
    if let Some(seat) = waiting {
        seat.guest.set(Some(guest));
        if let Some(waker) = seat.waker.take() {
            waker.wake();
        }
        return;
    }
    let seat = Rc::new(Seat { guest: Cell::new(Some(guest)), ..Seat::default() });
    let task = spawn_local(Box::pin(work(worker.clone(), seat.clone())));
    // Nobody else has had a chance to set it.
    let _ = seat.task.set(task.abort_handle());
}

async fn work(worker: Rc<Worker>, seat: Rc<Seat>) {
    let mut timing: Option<(Idle, Patience)> = None;
    loop {
        let Guest { door, origin, stream, streams } = seat.next().await;
        let (listed, client) = worker.list(&door);
        if let Some(task) = seat.task.get() {
            client.serve_in(task.clone());
        }
        let (idle, patience) = timing.get_or_insert_with(|| {
            let idle = Idle::new(worker.pace.timeout(door.shared.snapshot.load().idle_timeout));
            let patience = Patience::new(&idle);
            (idle, patience)
        });
        idle.touch(Instant::now());
        let mut watch = stream.watch();
        let stream = Transport::Stream(Box::new(stream));
        tokio::select! {
            biased;
            () = client::serve(worker.clone(), door, client, stream, &origin, (idle, patience)) => {}
            // Nobody waits for the answer any more.
            () = poll_fn(|context| watch.poll_reset(context)) => {}
        }
        drop((listed, streams));
        let mut waiting = worker.seats.0.borrow_mut();
        if waiting.len() >= MOST {
            return;
        }
        waiting.push(seat.clone());
    }
}

impl Seat {
    /// Waits for a stream.
    async fn next(&self) -> Guest {
        poll_fn(|context| match self.guest.take() {
            Some(guest) => Poll::Ready(guest),
            None => {
                self.waker.set(Some(context.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}
