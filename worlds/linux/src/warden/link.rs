//! The other side of the warden's socket: for the daemon, the plane and the command line.

use super::key;
use super::request::{Kind, Place, Reply, Request};
use crate::error::{Act, Error, Result};
use crate::frame;
use std::net::Ipv4Addr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A connection to the warden, made again when it breaks. Calls take turns.
pub(crate) struct Link {
    socket: PathBuf,
    stream: Mutex<Option<UnixStream>>,
    patience: Duration,
}

impl Link {
    /// A link that is patient with a warden that restarts.
    pub(crate) fn new(socket: &Path, patience: Duration) -> Self {
        Self { socket: socket.to_owned(), stream: Mutex::new(None), patience }
    }

    /// A connection of its own to the same warden, whose calls wait for nobody else's.
    pub(crate) fn another(&self) -> Self {
        Self::new(&self.socket, self.patience)
    }

    /// Asks. Every request is idempotent, so one whose answer was lost is asked again.
    pub(crate) fn ask(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(Reply, Vec<OwnedFd>)> {
        let deadline = Instant::now() + self.patience;
        let mut kept = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.patience.is_zero() && Instant::now() >= deadline {
            // All its time went by while others waited in vain.
            return Err(Error::Protocol { peer: "warden", message: "it does not answer".to_owned() });
        }
        // A warden that comes up does so in milliseconds; one that makes a base image first takes longer.
        let mut pause = Duration::from_micros(500);
        loop {
            match self.once(&mut kept, request, fds) {
                Ok((Reply::Failed(reason), _)) => return Err(Error::Remote(reason)),
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => {
                    *kept = None;
                    std::thread::sleep(pause);
                    pause = (pause * 5 / 4).min(Duration::from_millis(20));
                }
            }
        }
    }

    fn once(
        &self,
        kept: &mut Option<UnixStream>,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Vec<OwnedFd>)> {
        let stream = match kept {
            Some(stream) => stream,
            None => kept.insert(key::connect(&self.socket)?),
        };
        stream.set_read_timeout(Some(request.limit())).act("set up", self.socket.display())?;
        frame::send(stream, "warden", request, fds)?;
        frame::receive(stream, "warden")?
            .ok_or_else(|| Error::Protocol { peer: "warden", message: "it hung up".to_owned() })
    }

    /// Asks for sockets.
    pub(crate) fn sockets(&self, place: &Place, kind: Kind, count: usize, transparent: bool) -> Result<Vec<OwnedFd>> {
        Ok(self.ask(&Request::Sockets { place: place.clone(), kind, count, transparent }, &[])?.1)
    }

    /// Asks for a bound socket.
    pub(crate) fn bind(&self, place: &Place, kind: Kind, address: Ipv4Addr, port: u16) -> Result<OwnedFd> {
        let (_, mut fds) = self.ask(&Request::Bind { place: place.clone(), kind, address, port }, &[])?;
        fds.pop().ok_or_else(|| Error::Protocol { peer: "warden", message: "no socket came".to_owned() })
    }
}
