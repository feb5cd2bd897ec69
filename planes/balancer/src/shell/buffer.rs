//! A buffer that is filled at its end and used up from its start.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a read has room for, at least.
const ROOM: usize = 8 * 1024;
/// A buffer that has grown beyond this is not kept for the next request.
const KEEP: usize = 64 * 1024;

/// Bytes that have arrived and are not used up.
#[derive(Debug, Default)]
pub struct Buffer {
    data: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// What is there.
    pub fn bytes(&self) -> &[u8] {
        &self.data[self.start..]
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.start == self.data.len()
    }

    /// So many bytes from the start are used up.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.data.len());
        if self.is_empty() {
            self.data.clear();
            self.start = 0;
        }
    }

    /// Empties it, and gives back memory that was needed for once.
    pub fn reset(&mut self) {
        self.data.clear();
        self.start = 0;
        if self.data.capacity() > KEEP {
            self.data = Vec::new();
        }
    }

    /// Gives back all memory if there is nothing in it.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Reads once; 0 at the end of the stream.
    pub async fn read_from(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.make_room();
        reader.read_buf(&mut self.data).await
    }

    fn make_room(&mut self) {
        if self.data.capacity() - self.data.len() >= ROOM / 2 {
            return;
        }
        if self.start > 0 {
            self.data.drain(..self.start);
            self.start = 0;
        }
        self.data.reserve(ROOM);
    }
}
