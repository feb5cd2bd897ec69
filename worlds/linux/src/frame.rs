//! Messages between our processes: a length, JSON, and the descriptors handed over with it.

use crate::error::{Error, Result};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// The longest message: longer ones are not said, and not heard.
pub(crate) const LONGEST: usize = 64 << 20;
/// The most descriptors that come with one message.
pub(crate) const MOST_FDS: usize = 64;

/// A message as it is said: its length in four bytes, least first, then JSON. One longer than `most` bytes is none.
pub(crate) fn whole(message: &impl Serialize, most: usize) -> std::result::Result<Vec<u8>, String> {
    let body = serde_json::to_vec(message).map_err(|e| e.to_string())?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= most);
    let length = length.ok_or_else(|| format!("it is {} bytes long, and {most} are the most", body.len()))?;
    let mut whole = length.to_le_bytes().to_vec();
    whole.extend_from_slice(&body);
    Ok(whole)
}

/// How long a message is whose first four bytes are these: whoever says more than may be is not believed.
pub(crate) fn length(header: [u8; 4]) -> std::result::Result<usize, String> {
    let length = u32::from_le_bytes(header) as usize;
    if length <= LONGEST { Ok(length) } else { Err(format!("a message of {length} bytes")) }
}

/// Sends a message and the descriptors that belong to it.
pub(crate) fn send(
    stream: &UnixStream,
    peer: &'static str,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> Result<()> {
    let failed = |message: String| Error::Protocol { peer, message };
    let whole = whole(message, LONGEST).map_err(failed)?;
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &rights[..0] } else { &rights[..] };
    let sent = loop {
        match sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(&whole)], control, MsgFlags::MSG_NOSIGNAL, None) {
            Err(nix::Error::EINTR) => {}
            other => break other.map_err(|e| failed(e.to_string()))?,
        }
    };
    let mut rest = stream;
    rest.write_all(&whole[sent..]).map_err(|e| failed(e.to_string()))
}

/// Sends a message to one that listens; whether it still does. One that does not take it is hung up on, whoever else holds its
/// connection: it would wait in vain for what follows, and must connect anew.
pub(crate) fn tell(stream: &UnixStream, peer: &'static str, message: &impl Serialize) -> bool {
    let told = send(stream, peer, message, &[]).is_ok();
    if !told {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    told
}

/// Receives a message; `None` when the other side has hung up between messages.
pub(crate) fn receive<T: DeserializeOwned>(
    stream: &UnixStream,
    peer: &'static str,
) -> Result<Option<(T, Vec<OwnedFd>)>> {
    let failed = |message: String| Error::Protocol { peer, message };
    let mut header = [0_u8; 4];
    let mut fds = Vec::new();
    let got = loop {
        let mut space = nix::cmsg_space!([RawFd; MOST_FDS]);
        let mut slices = [IoSliceMut::new(&mut header)];
        match recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::ECONNRESET) => return Ok(None),
            Err(e) => return Err(failed(e.to_string())),
            Ok(message) => {
                for control in message.cmsgs().map_err(|e| failed(e.to_string()))? {
                    if let ControlMessageOwned::ScmRights(raw) = control {
                        // SAFETY: the kernel has just made these descriptors for this process; nobody else owns them.
                        fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                    }
                }
                break message.bytes;
            }
        }
    };
    if got == 0 {
        return Ok(None);
    }
    let mut rest = stream;
    rest.read_exact(&mut header[got..]).map_err(|e| failed(e.to_string()))?;
    let mut body = vec![0; length(header).map_err(failed)?];
    rest.read_exact(&mut body).map_err(|e| failed(e.to_string()))?;
    let message = serde_json::from_slice(&body).map_err(|e| failed(e.to_string()))?;
    Ok(Some((message, fds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_length_beyond_the_longest_is_not_believed() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(matches!(receive::<String>(&theirs, "plane"), Err(Error::Protocol { .. })));
        assert_eq!(length((LONGEST as u32).to_le_bytes()), Ok(LONGEST));
        assert!(whole(&"abc", 4).is_err() && whole(&"ab", 4).is_ok());
    }

    #[test]
    fn one_that_does_not_take_what_it_is_told_is_hung_up_on() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
        let _held_by_another = ours.try_clone().unwrap();
        let long = "x".repeat(1 << 20);
        while tell(&ours, "watcher", &long) {}
        // It hears the end, after what it could take.
        theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut rest = Vec::new();
        (&theirs).read_to_end(&mut rest).unwrap();
    }
}
