//! Who may ask the warden for everything: whoever says the world's key. The plane has the daemon's user, so that user alone says little;
//! it cannot read the key ([`crate::plane`]), and gets no more than sockets and the ports that listen.

use super::request::{Reply, Request};
use crate::error::{Act, Error, Result};
use crate::frame;
use crate::world::Config;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a warden may take to hear who calls.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where it is: beside the warden's socket.
fn path(socket: &Path) -> PathBuf {
    socket.with_file_name("warden.key")
}

/// Makes a world's key, another one at each start of its processes.
pub(crate) fn make(config: &Config) -> Result<()> {
    let path = path(&config.warden_socket());
    let pending = path.with_extension("new");
    let _ = fs::remove_file(&pending);
    let mut random = [0; 32];
    fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).act("read", "/dev/urandom")?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&pending);
    file.and_then(|mut file| file.write_all(text.as_bytes())).act("write", pending.display())?;
    chown(&pending, Some(config.owner.0), Some(config.owner.1)).act("give away", pending.display())?;
    fs::rename(&pending, &path).act("rename", pending.display())
}

/// Whether this is the key of the world whose warden is called there.
pub(super) fn is_key(socket: &Path, said: &str) -> bool {
    let Ok(key) = fs::read(path(socket)) else { return false };
    // As long for each wrong one.
    let differs = key.iter().zip(said.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    key.len() == said.len() && !key.is_empty() && differs == 0
}

/// A connection to a world's warden, as one who may ask for everything: who can't read the key may not.
pub(crate) fn connect(socket: &Path) -> Result<UnixStream> {
    let stream = UnixStream::connect(socket).act("connect to", socket.display())?;
    let key = match fs::read_to_string(path(socket)) {
        Ok(key) => key,
        // The plane's way. Any other error would leave a daemon that is refused for as long as it lives.
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Ok(stream),
        Err(e) => return Err(e).act("read", path(socket).display()),
    };
    stream.set_read_timeout(Some(PATIENCE)).act("set up", socket.display())?;
    frame::send(&stream, "warden", &Request::Key(key), &[])?;
    match frame::receive::<Reply>(&stream, "warden")? {
        Some((Reply::Failed(reason), _)) => Err(Error::Remote(reason)),
        Some(_) => {
            stream.set_read_timeout(None).act("set up", socket.display())?;
            Ok(stream)
        }
        None => Err(Error::Protocol { peer: "warden", message: "it hung up".to_owned() }),
    }
}
