//! Bytes both ways between two sockets: half-closes are passed on, a slow reader holds its writer
//! back, and an idle flow holds no buffer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// How a relay ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides have said all they had.
    Closed,
    /// This side broke off.
    Broken(Side),
    /// Nobody said anything for too long.
    Silent,
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who began it.
    Client,
    /// Who was chosen.
    Target,
}

/// One direction.
struct Half<'s> {
    reader: ReadHalf<'s>,
    writer: WriteHalf<'s>,
    from: Side,
    state: State,
}

enum State {
    /// Reading, then writing at once.
    Open,
    /// The writer took only a part: the rest, and how much of it is sent.
    Behind(Vec<u8>, usize),
    /// The reader's end was passed on.
    Closed,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Target,
            Self::Target => Self::Client,
        }
    }
}

/// Relays until both directions have ended or one side breaks off. `first` goes to the target before
/// anything else; `carried` hears of every read.
pub async fn relay(
    scratch: &RefCell<Box<[u8]>>,
    client: &mut TcpStream,
    target: &mut TcpStream,
    first: &[u8],
    idle: Duration,
    carried: impl Fn(usize),
) -> End {
    let state = if first.is_empty() { State::Open } else { State::Behind(first.to_vec(), 0) };
    let ((from_client, to_client), (from_target, to_target)) = (client.split(), target.split());
    let mut up = Half { reader: from_client, writer: to_target, from: Side::Client, state };
    let mut down = Half { reader: from_target, writer: to_client, from: Side::Target, state: State::Open };
    let mut last = Instant::now();
    // The timer is set when it fires, not when something happens, so that activity costs nothing.
    let mut timer = pin!(tokio::time::sleep(idle));
    poll_fn(|context| {
        let mut moved = 0;
        let ends = [up.is_closed(), down.is_closed()];
        for (half, last) in [(&mut up, ends[1]), (&mut down, ends[0])] {
            if let Poll::Ready(Err(side)) = half.poll(context, scratch, &mut moved, last) {
                return Poll::Ready(End::Broken(side));
            }
        }
        if moved > 0 {
            carried(moved);
            last = Instant::now();
        }
        if up.is_closed() && down.is_closed() {
            return Poll::Ready(End::Closed);
        }
        while timer.as_mut().poll(context).is_ready() {
            let end = last.checked_add(idle).unwrap_or(last + Duration::from_secs(86_400));
            if Instant::now() >= end {
                return Poll::Ready(End::Silent);
            }
            timer.as_mut().reset(end.into());
        }
        Poll::Pending
    })
    .await
}

impl Half<'_> {
    fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Moves what can be moved. Ready when this direction is over, with the side that broke it off if
    /// one did. `last` says that the other direction is over.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        scratch: &RefCell<Box<[u8]>>,
        moved: &mut usize,
        last: bool,
    ) -> Poll<Result<(), Side>> {
        loop {
            match &mut self.state {
                State::Closed => return Poll::Ready(Ok(())),
                State::Behind(rest, sent) => {
                    while *sent < rest.len() {
                        ready!(self.writer.as_ref().poll_write_ready(context)).map_err(|_| self.from.other())?;
                        match self.writer.try_write(&rest[*sent..]) {
                            Ok(count) => *sent += count,
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                            Err(_) => return Poll::Ready(Err(self.from.other())),
                        }
                    }
                    self.state = State::Open;
                }
                State::Open => {
                    let mut scratch = scratch.borrow_mut();
                    let mut buffer = ReadBuf::new(&mut scratch);
                    // Not `try_read`: it would need a second system call to learn that there is no more.
                    ready!(Pin::new(&mut self.reader).poll_read(context, &mut buffer)).map_err(|_| self.from)?;
                    match buffer.filled() {
                        [] => {
                            // A writer that is gone says so in its own direction; both ends close with the flow.
                            if !last {
                                let _ = SockRef::from(self.writer.as_ref()).shutdown(Shutdown::Write);
                            }
                            self.state = State::Closed;
                        }
                        bytes => {
                            *moved += bytes.len();
                            self.state = self.write(bytes)?;
                        }
                    }
                }
            }
        }
    }

    /// Writes at once what the writer takes; the rest is kept.
    fn write(&self, bytes: &[u8]) -> Result<State, Side> {
        let sent = match self.writer.try_write(bytes) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Err(self.from.other()),
        };
        Ok(if sent == bytes.len() { State::Open } else { State::Behind(bytes[sent..].to_vec(), 0) })
    }
}
