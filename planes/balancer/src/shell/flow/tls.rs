//! Connections with TLS on one side or both: the client's ends here, the target's begins here.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use super::Flowing;
use super::relay::{End, Side};
use super::stream::{Failure, Guarded, Plan, connect, header, reset};
use crate::shell::encryption::Encryption;

/// A client has so long for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A flow of a TLS listener.
pub async fn carry(flowing: &Flowing, client: Guarded, plan: &Plan) -> Result<(), Failure> {
    let encryption = flowing.door.encryption.load_full();
    let Encryption::On(engine) = &*encryption else { return Err(Failure::ClientTls) };
    let accepted = engine.accept(client.into_stream());
    let limit = flowing.worker.pace.timeout(HANDSHAKE);
    let Ok(Ok(client)) = tokio::time::timeout(limit, accepted).await else { return Err(Failure::ClientTls) };
    let client = Ending { stream: client, side: Side::Client };
    if plan.group.tls {
        between(flowing, client, encrypted(flowing, plan).await?, plan).await
    } else {
        let target = connect(flowing, plan).await?;
        let mut target = Ending { stream: target.into_stream(), side: Side::Target };
        target.stream.write_all(&header(plan)).await.map_err(|_| Failure::Ended(End::Broken(Side::Target)))?;
        between(flowing, client, target, plan).await
    }
}

/// A flow of a TCP listener whose targets speak TLS.
pub async fn carry_to(flowing: &Flowing, client: Guarded, plan: &Plan) -> Result<(), Failure> {
    let target = encrypted(flowing, plan).await?;
    between(flowing, Ending { stream: client.into_stream(), side: Side::Client }, target, plan).await
}

async fn encrypted(
    flowing: &Flowing,
    plan: &Plan,
) -> Result<Ending<tokio_rustls::client::TlsStream<TcpStream>>, Failure> {
    let mut stream = connect(flowing, plan).await?.into_stream();
    // In the clear: it is for whoever takes the connection, before TLS.
    stream.write_all(&header(plan)).await.map_err(|_| Failure::Ended(End::Broken(Side::Target)))?;
    let engine = flowing.worker.flows.client_tls().ok_or(Failure::TargetTls)?;
    let limit = flowing.worker.pace.timeout(HANDSHAKE);
    match tokio::time::timeout(limit, engine.connect(stream)).await {
        Ok(Ok(stream)) => Ok(Ending { stream, side: Side::Target }),
        Ok(Err(_)) | Err(_) => Err(Failure::TargetTls),
    }
}

async fn between<C: Plain, T: Plain>(
    flowing: &Flowing,
    mut client: Ending<C>,
    mut target: Ending<T>,
    plan: &Plan,
) -> Result<(), Failure> {
    let idle = flowing.worker.pace.timeout(plan.idle);
    let (last, broken) = (Cell::new(Instant::now()), Cell::new(None));
    let copied = {
        let mut client = Watched { end: &mut client, flowing, last: &last, broken: &broken };
        let mut target = Watched { end: &mut target, flowing, last: &last, broken: &broken };
        let mut copy = pin!(tokio::io::copy_bidirectional(&mut client, &mut target));
        loop {
            let end = last.get().checked_add(idle).unwrap_or(last.get() + Duration::from_secs(86_400));
            match tokio::time::timeout_at(end.into(), &mut copy).await {
                Ok(copied) => break Some(copied),
                Err(_) if Instant::now() >= last.get() + idle => break None,
                Err(_) => {}
            }
        }
    };
    match copied {
        Some(Ok(_)) => Ok(()),
        Some(Err(_)) => {
            client.reset();
            target.reset();
            Err(Failure::Ended(End::Broken(broken.get().unwrap_or(Side::Target))))
        }
        None => {
            client.reset();
            target.reset();
            Err(Failure::Ended(End::Silent))
        }
    }
}

/// A stream over a TCP connection.
trait Plain: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Plain for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Plain for tokio_rustls::server::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

impl Plain for tokio_rustls::client::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// One end, with which side it is.
struct Ending<S> {
    stream: S,
    side: Side,
}

impl<S: Plain> Ending<S> {
    fn reset(&self) {
        reset(self.stream.tcp());
    }
}

/// An end that tells when something was said, and whose error it was.
struct Watched<'f, S> {
    end: &'f mut Ending<S>,
    flowing: &'f Flowing,
    last: &'f Cell<Instant>,
    broken: &'f Cell<Option<Side>>,
}

impl<S> Watched<'_, S> {
    fn noted<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.is_err() && self.broken.get().is_none() {
            self.broken.set(Some(self.end.side));
        }
        outcome
    }
}

impl<S: Plain> AsyncRead for Watched<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.end.stream).poll_read(context, buffer);
        let count = buffer.filled().len() - before;
        if count > 0 {
            self.flowing.carried(count);
            self.last.set(Instant::now());
        }
        outcome.map(|outcome| self.noted(outcome))
    }
}

impl<S: Plain> AsyncWrite for Watched<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.end.stream).poll_write(context, bytes);
        outcome.map(|outcome| self.noted(outcome))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end.stream).poll_flush(context).map(|outcome| self.noted(outcome))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nobody may be left to hear it: the reader's side is what counts.
        Pin::new(&mut self.end.stream).poll_shutdown(context).map(|_| Ok(()))
    }
}
