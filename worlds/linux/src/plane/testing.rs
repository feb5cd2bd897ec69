//! What tests of the plane and of those who tell it stand on: a directory, and a warden that answers as they like.

use crate::frame;
use crate::warden::link::Link;
use crate::warden::request::{Reply, Request};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// No wait of a test is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A directory that is gone when this is dropped. Then its wardens hang up, so that nobody waits for them any longer.
pub(crate) struct Directory(pub PathBuf, Connections);

/// The wardens' connections; none when they have hung up.
type Connections = Arc<Mutex<Option<Vec<UnixStream>>>>;

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("zonal-plane-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path, Arc::new(Mutex::new(Some(Vec::new()))))
    }

    /// A link to a warden in here that answers as `answer` says; what gets no answer is waited for.
    pub(crate) fn warden(
        &self,
        answer: impl Fn(&Request) -> Option<(Reply, Vec<OwnedFd>)> + Send + Sync + 'static,
    ) -> Arc<Link> {
        let path = self.0.join("warden.sock");
        let (listener, answer, open) = (UnixListener::bind(&path).unwrap(), Arc::new(answer), Arc::clone(&self.1));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, answer) = (stream.unwrap(), Arc::clone(&answer));
                match open.lock().unwrap().as_mut() {
                    Some(open) => open.push(stream.try_clone().unwrap()),
                    None => return,
                }
                std::thread::spawn(move || {
                    while let Ok(Some((request, _))) = frame::receive::<Request>(&stream, "plane") {
                        if let Some((reply, fds)) = answer(&request) {
                            let lent: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                            let _ = frame::send(&stream, "plane", &reply, &lent);
                        }
                    }
                });
            }
        });
        Arc::new(Link::new(&path, Duration::ZERO))
    }

    /// A link to no warden at all.
    pub(crate) fn no_warden(&self) -> Arc<Link> {
        Arc::new(Link::new(&self.0.join("nobody.sock"), Duration::ZERO))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        for stream in self.1.lock().into_iter().filter_map(|mut open| open.take()).flatten() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}
