//! The clients' side: sends what it likes, reads answers whole.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::support::{DEADLINE, header, read_more, read_until};

/// An answer as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the answer is text")
    }
}

/// A connection to the balancer.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the balancer listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        Self { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the balancer reads");
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n").as_bytes());
        self.answer()
    }

    /// The next answer, whole.
    pub fn answer(&mut self) -> Answer {
        self.try_answer(false).expect("an answer comes")
    }

    pub fn try_answer(&mut self, to_head: bool) -> io::Result<Answer> {
        let end = read_until(&mut self.stream, &mut self.buffer, b"\r\n\r\n")? + 2;
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 2);
        let status = head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
        let mut body = Vec::new();
        if to_head || matches!(status, 100..=199 | 204 | 304) {
        } else if header(&head, "transfer-encoding").is_some() {
            loop {
                let line_end = read_until(&mut self.stream, &mut self.buffer, b"\r\n")?;
                let size = std::str::from_utf8(&self.buffer[..line_end]).ok();
                let size = size.and_then(|s| usize::from_str_radix(s, 16).ok()).ok_or(io::ErrorKind::InvalidData)?;
                self.fill(line_end + 2 + size + 2)?;
                body.extend_from_slice(&self.buffer[line_end + 2..line_end + 2 + size]);
                self.buffer.drain(..line_end + 2 + size + 2);
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = header(&head, "content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            self.fill(length)?;
            body.extend(self.buffer.drain(..length));
        } else {
            while read_more(&mut self.stream, &mut self.buffer)? > 0 {}
            body.append(&mut self.buffer);
        }
        Ok(Answer { status, head, body })
    }

    /// Whether the balancer closes without another byte.
    pub fn is_closed(&mut self) -> bool {
        if !self.buffer.is_empty() {
            return false;
        }
        match read_more(&mut self.stream, &mut self.buffer) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// What has been read beyond the last answer.
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }

    fn fill(&mut self, length: usize) -> io::Result<()> {
        while self.buffer.len() < length {
            if read_more(&mut self.stream, &mut self.buffer)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}
