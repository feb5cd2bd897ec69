//! What the plane's own tests stand on: a directory, and a warden that answers as they like.

use crate::frame;
use crate::warden::link::Link;
use crate::warden::request::{Reply, Request};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// No wait of a test is longer.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A directory that is gone when this is dropped.
pub(super) struct Directory(pub PathBuf);

impl Directory {
    pub(super) fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("zonal-plane-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A link to a warden in here that answers as `answer` says; what gets no answer is waited for.
    pub(super) fn warden(
        &self,
        answer: impl Fn(&Request) -> Option<(Reply, Vec<OwnedFd>)> + Send + Sync + 'static,
    ) -> Arc<Link> {
        let (path, answer) = (self.0.join("warden.sock"), Arc::new(answer));
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, answer) = (stream.unwrap(), Arc::clone(&answer));
                std::thread::spawn(move || {
                    while let Ok(Some((request, _))) = frame::receive::<Request>(&stream, "plane") {
                        if let Some((reply, fds)) = answer(&request) {
                            let lent: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                            frame::send(&stream, "plane", &reply, &lent).unwrap();
                        }
                    }
                });
            }
        });
        Arc::new(Link::new(&path, Duration::ZERO))
    }

    /// A link to no warden at all.
    pub(super) fn no_warden(&self) -> Arc<Link> {
        Arc::new(Link::new(&self.0.join("nobody.sock"), Duration::ZERO))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
