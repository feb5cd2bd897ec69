//! Packages for instances: a repository, in apt's own form, of what the machine's package manager offers. It fetches what is asked for
//! through that package manager, so that mirrors, proxies and keys of the machine stay outside, and keeps it for all instances.

mod host;
mod index;

use host::Host;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(30);
/// The longest head of a request.
const LONGEST_HEAD: usize = 8 << 10;

/// The repository.
pub(super) struct Packages {
    host: Arc<Host>,
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    path: String,
    head_only: bool,
    close: bool,
    /// The time of what the client has, as it was told it.
    since: Option<String>,
}

impl Packages {
    /// A repository that keeps its files in `directory`.
    pub(super) fn new(directory: &Path) -> Self {
        Self { host: Arc::new(Host::new(directory)) }
    }

    /// Serves one connection.
    pub(super) async fn serve(&self, mut client: TcpStream) {
        let mut kept = Vec::new();
        while let Ok(Ok(Some(asked))) = tokio::time::timeout(IDLE, read(&mut client, &mut kept)).await {
            let answered = match asked {
                Ok(asked) => self.answer(&mut client, &asked).await.map(|()| !asked.close),
                Err(()) => say(&mut client, "400 Bad Request", "", b"not a request that is understood here\n", false)
                    .await
                    .map(|()| false),
            };
            if !matches!(answered, Ok(true)) {
                return;
            }
        }
    }

    async fn answer(&self, client: &mut TcpStream, asked: &Asked) -> io::Result<()> {
        let found = match asked.path.as_str() {
            "Release" | "Packages.gz" | "Packages" => self.host.index(&asked.path).await,
            path if path.ends_with(".deb") => self.host.package(path).await,
            _ => Ok(None),
        };
        match found {
            Ok(Some(file)) => send(client, asked, file).await,
            Ok(None) => say(client, "404 Not Found", "", b"there is no such file here\n", asked.head_only).await,
            Err(reason) => {
                tracing::warn!(path = asked.path, reason, "no package for an instance");
                say(client, "503 Service Unavailable", "", format!("{reason}\n").as_bytes(), asked.head_only).await
            }
        }
    }
}

/// Sends a file.
async fn send(client: &mut TcpStream, asked: &Asked, file: std::fs::File) -> io::Result<()> {
    let mut file = tokio::fs::File::from_std(file);
    let found = file.metadata().await?;
    let modified = http_date(found.modified()?);
    let headers = format!("Last-Modified: {modified}\r\nContent-Type: application/octet-stream\r\n");
    if asked.since.as_ref() == Some(&modified) {
        return client.write_all(format!("HTTP/1.1 304 Not Modified\r\n{headers}\r\n").as_bytes()).await;
    }
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", found.len());
    client.write_all(head.as_bytes()).await?;
    if !asked.head_only {
        tokio::io::copy(&mut file, client).await?;
    }
    Ok(())
}

async fn say(client: &mut TcpStream, status: &str, headers: &str, body: &[u8], head_only: bool) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).await?;
    if head_only { Ok(()) } else { client.write_all(body).await }
}

/// Reads the next request; what came beyond it is kept for the one after.
async fn read(client: &mut TcpStream, kept: &mut Vec<u8>) -> io::Result<Option<Result<Asked, ()>>> {
    loop {
        if let Some(end) = kept.windows(4).position(|window| window == b"\r\n\r\n") {
            let head: Vec<u8> = kept.drain(..end + 4).collect();
            return Ok(Some(understand(&head)));
        }
        if kept.len() > LONGEST_HEAD {
            return Ok(Some(Err(())));
        }
        let mut buffer = [0; 4096];
        let got = client.read(&mut buffer).await?;
        if got == 0 {
            return Ok(None);
        }
        kept.extend_from_slice(&buffer[..got]);
    }
}

fn understand(head: &[u8]) -> Result<Asked, ()> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(head).map_err(drop)?;
    let head_only = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(()),
    };
    let target = request.path.unwrap_or_default();
    let target =
        target.strip_prefix("http://").map_or(target, |rest| rest.split_once('/').map_or("", |(_, path)| path));
    let mut path = Vec::new();
    for part in unescape(target).ok_or(())?.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(()),
            part => path.push(part.to_owned()),
        }
    }
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    // Nobody who fetches packages sends a body; one who does is not understood any further.
    if header("content-length").is_some_and(|length| length != "0") || header("transfer-encoding").is_some() {
        return Err(());
    }
    let close =
        header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) || request.version == Some(0);
    Ok(Asked { path: path.join("/"), head_only, close, since: header("if-modified-since").map(str::to_owned) })
}

/// Undoes percent escapes.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

/// A time as HTTP and apt write it (RFC 9110, 5.6.7).
fn http_date(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days from 0000-03-01, so that the leap day is a year's last.
    let (era_day, mut year) = (days + 719_468, 0);
    let (era, day_of_era) = (era_day / 146_097, era_day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 2 } else { month_from_march - 10 };
    year += era * 400 + year_of_era + u64::from(month < 2);
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let week = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        week[(days % 7) as usize],
        names[month as usize],
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_http_wants_them() {
        for (seconds, expected) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_request_is_read_as_apt_writes_it_and_none_leads_out_of_the_repository() {
        let asked = understand(
            b"GET /./pool/main/n/nginx/nginx_1.22.1-9%2bdeb12u1_all.deb HTTP/1.1\r\nHost: packages.zonal.internal\r\n\r\n",
        );
        let path = "pool/main/n/nginx/nginx_1.22.1-9+deb12u1_all.deb".to_owned();
        assert_eq!(asked, Ok(Asked { path, head_only: false, close: false, since: None }));
        for wrong in ["GET /a/../../b HTTP/1.1\r\n\r\n", "GET /%2e%2e/b HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\n\r\n"] {
            assert_eq!(understand(wrong.as_bytes()), Err(()), "{wrong}");
        }
    }
}
