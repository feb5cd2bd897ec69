//! `zonal ssh -W`: a port inside, joined to this process's standard input and output. The connection comes from the world's internet, as
//! the host's own do, so that groups must let it in.

use super::{instance, run_daemon};
use crate::commands::CommandError;
use crate::settings::Settings;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use zonal_linux::Internet;

/// Joins them until both have ended; the exit code.
pub(super) fn join(settings: &Settings, place: &str) -> Result<u8, CommandError> {
    let wrong = || CommandError::said(format!("`{place}` is no HOST:PORT"));
    let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let address = match host.parse::<Ipv4Addr>() {
        Ok(address) => address,
        Err(_) => instance::find(settings, host)?
            .address
            .ok_or_else(|| CommandError::said(format!("{host} has no public address")))?,
    };
    let failed = |error: io::Error| CommandError::file(format!("{address}:{port}"), error);
    let socket = Internet::of(&run_daemon::linux_config(settings)).socket()?;
    // It is one that does not block; here there is nothing else to do than to wait for it.
    rustix::io::ioctl_fionbio(&socket, false).map_err(|error| failed(error.into()))?;
    rustix::net::connect(&socket, &SocketAddrV4::new(address, port)).map_err(|error| failed(error.into()))?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).map_err(failed)?;
    let mut to_it = stream.try_clone().map_err(failed)?;
    std::thread::spawn(move || {
        // It ends with the input, or with this process.
        let _ = io::copy(&mut io::stdin(), &mut to_it);
        let _ = to_it.shutdown(Shutdown::Write);
    });
    let (mut buffer, mut output) = (vec![0; 64 << 10], io::stdout().lock());
    loop {
        // Not by `io::copy`: the kernel's splice, which that makes of it, keeps the pipe locked while it waits for the socket, and its
        // reader from reading what is in it.
        match (&stream).read(&mut buffer).map_err(failed)? {
            0 => return Ok(0),
            got => output.write_all(&buffer[..got]).and_then(|()| output.flush()).map_err(failed)?,
        }
    }
}
