//! The world's internet, for those outside who must be in it: an ordinary user's world can't listen on the host's ports below 1024, but
//! whoever may ask its warden connects to them from inside.

use crate::error::{Error, Result};
use crate::warden::link::Link;
use crate::warden::request::{Kind, Place};
use crate::world::Config;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Sockets of a world's internet.
pub struct Internet(Link);

impl Internet {
    /// That of a world that is up; its warden is asked at each socket, so that one which restarts is no harm.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self(Link::new(&config.warden_socket(), Duration::from_secs(2)))
    }

    /// A TCP socket, not connected yet, that does not block. What connects by it comes from the host's address in the public range.
    ///
    /// # Errors
    /// The warden does not answer, or you may not ask it.
    pub fn socket(&self) -> Result<OwnedFd> {
        let mut sockets = self.0.sockets(&Place::Internet, Kind::Tcp, 1, false)?;
        sockets.pop().ok_or_else(|| Error::Protocol { peer: "warden", message: "no socket came".to_owned() })
    }
}
