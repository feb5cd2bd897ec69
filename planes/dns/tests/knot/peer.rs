//! A Knot of the test's own, on a port that was free.

use crate::generate::Zone;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);

pub struct Knot {
    process: Child,
    socket: UdpSocket,
    directory: PathBuf,
}

/// The server, where it is installed.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    path.split(':').map(|directory| Path::new(directory).join("knotd")).find(|program| program.exists())
}

impl Knot {
    /// Starts it with these zones and waits until it answers.
    pub fn start(program: &Path, zones: &[Zone]) -> Result<Knot, String> {
        let fail = |error: std::io::Error| error.to_string();
        let directory = std::env::temp_dir().join(format!("zonal-knot-{}", std::process::id()));
        std::fs::create_dir_all(&directory).map_err(fail)?;
        let address = UdpSocket::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(fail)?;
        let place = directory.display();
        let mut config = format!(
            "server:\n    rundir: \"{place}\"\n    listen: 127.0.0.1@{}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n\
             database:\n    storage: \"{place}\"\nlog:\n  - target: stderr\n    any: error\n\
             template:\n  - id: default\n    storage: \"{place}\"\n    semantic-checks: off\n    zonefile-sync: -1\n    journal-content: none\nzone:\n",
            address.port()
        );
        for zone in zones {
            config.push_str(&format!("  - domain: {}\n    file: \"{}zone\"\n", zone.apex, zone.apex));
            let sets = zone.records.iter();
            let lines = sets.flat_map(|set| {
                set.values.iter().map(move |value| format!("{} {} IN {} {value}\n", set.name, set.ttl, set.type_))
            });
            std::fs::write(directory.join(format!("{}zone", zone.apex)), lines.collect::<String>()).map_err(fail)?;
        }
        std::fs::write(directory.join("knot.conf"), config).map_err(fail)?;
        let log = std::fs::File::create(directory.join("log")).map_err(fail)?;
        let mut command = Command::new(program);
        command.arg("-c").arg(directory.join("knot.conf")).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().map_err(fail)?;
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(fail)?;
        socket.connect(address).map_err(fail)?;
        let knot = Knot { process, socket, directory };
        let begun = Instant::now();
        for zone in zones {
            let query = crate::compare::query(&zone.apex, "SOA")?;
            loop {
                match knot.ask(&query) {
                    // The code is in the lower half of the fourth octet.
                    Ok(answer) if answer.get(3).is_some_and(|flags| flags & 15 == 0) => break,
                    other if begun.elapsed() > START => {
                        let log = std::fs::read_to_string(knot.directory.join("log")).unwrap_or_default();
                        return Err(format!("Knot does not serve {}: {other:?}\n{log}", zone.apex));
                    }
                    _ => {}
                }
            }
        }
        Ok(knot)
    }

    /// Its answer to a query.
    pub fn ask(&self, query: &[u8]) -> Result<Vec<u8>, String> {
        let mut buffer = vec![0; 65_535];
        self.socket.set_read_timeout(Some(Duration::from_secs(1))).map_err(|error| error.to_string())?;
        // A server that is starting refuses.
        let _ = self.socket.send(query);
        loop {
            let len = self.socket.recv(&mut buffer).map_err(|error| format!("asking Knot: {error}"))?;
            // One that came late is an answer to a query before.
            if buffer[..2] == query[..2] {
                return Ok(buffer[..len].to_vec());
            }
        }
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
