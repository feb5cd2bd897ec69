//! A buffer that is filled at its end and used up from its start.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a read has room for, at least.
const ROOM: usize = 16 * 1024;
/// What a read in the middle of a long body has room for.
const LONG_ROOM: usize = 64 * 1024;
/// A buffer that has grown beyond this is not kept for others.
const KEEP: usize = 64 * 1024;
/// Buffers that are kept, at most.
const MOST: usize = 128;

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

    /// Empties it.
    pub fn clear(&mut self) {
        self.data.clear();
        self.start = 0;
    }

    /// Reads once; 0 at the end of the stream.
    pub async fn read_from(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.make_room(ROOM);
        reader.read_buf(&mut self.data).await
    }

    /// As [`Buffer::read_from`], as much as is worth a system call in a long body.
    pub async fn read_long(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.make_room(LONG_ROOM);
        reader.read_buf(&mut self.data).await
    }

    /// Whether it has no memory yet.
    pub fn is_bare(&self) -> bool {
        self.data.capacity() == 0
    }

    fn make_room(&mut self, room: usize) {
        if self.data.capacity() - self.data.len() >= room / 2 {
            return;
        }
        if self.start > 0 {
            self.data.drain(..self.start);
            self.start = 0;
        }
        self.data.reserve(room);
    }
}

/// Buffers of a core that are in no use: connections that wait hold none.
#[derive(Debug, Default)]
pub struct Shelf(Vec<Vec<u8>>);

impl Shelf {
    /// An empty buffer.
    pub fn take(&mut self) -> Buffer {
        Buffer { data: self.take_bytes(), start: 0 }
    }

    /// As [`Shelf::take`], for what is only written to.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_else(|| Vec::with_capacity(ROOM))
    }

    /// Takes a buffer back; what is in it is forgotten.
    pub fn put(&mut self, buffer: Buffer) {
        self.put_bytes(buffer.data);
    }

    /// As [`Shelf::put`].
    pub fn put_bytes(&mut self, mut bytes: Vec<u8>) {
        if (1..=KEEP).contains(&bytes.capacity()) && self.0.len() < MOST {
            bytes.clear();
            self.0.push(bytes);
        }
    }
}
