//! What a server did: a set of counters per socket, so that cores share no line, added up when read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use domain::base::iana::Rcode;

use crate::answer::Transport;

/// One socket's counters.
#[derive(Debug, Default)]
pub(super) struct Counters {
    udp: AtomicU64,
    tcp: AtomicU64,
    no_error: AtomicU64,
    no_name: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    other: AtomicU64,
    truncated: AtomicU64,
    dropped: AtomicU64,
    fetched: AtomicU64,
}

/// What a server did since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers over UDP.
    pub udp: u64,
    /// Answers over TCP.
    pub tcp: u64,
    /// Answers NOERROR.
    pub no_error: u64,
    /// Answers NXDOMAIN.
    pub no_name: u64,
    /// Answers REFUSED.
    pub refused: u64,
    /// Answers SERVFAIL.
    pub failed: u64,
    /// All other answers: FORMERR, NOTIMP, BADVERS.
    pub other: u64,
    /// Answers that were cut.
    pub truncated: u64,
    /// Messages that got no answer, and answers that found no room in the socket.
    pub dropped: u64,
    /// Questions that were put to the upstream.
    pub fetched: u64,
}

impl Counters {
    pub(super) fn answered(&self, transport: Transport, rcode: Rcode, truncated: bool) {
        match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
        }
        .fetch_add(1, Relaxed);
        match rcode {
            Rcode::NOERROR => &self.no_error,
            Rcode::NXDOMAIN => &self.no_name,
            Rcode::REFUSED => &self.refused,
            Rcode::SERVFAIL => &self.failed,
            _ => &self.other,
        }
        .fetch_add(1, Relaxed);
        if truncated {
            self.truncated.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn dropped(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Relaxed);
    }

    pub(super) fn fetched(&self) {
        self.fetched.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) -> Counts {
        Counts {
            udp: self.udp.load(Relaxed),
            tcp: self.tcp.load(Relaxed),
            no_error: self.no_error.load(Relaxed),
            no_name: self.no_name.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failed: self.failed.load(Relaxed),
            other: self.other.load(Relaxed),
            truncated: self.truncated.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            fetched: self.fetched.load(Relaxed),
        }
    }
}

impl Counts {
    pub(super) fn plus(self, more: Counts) -> Counts {
        Counts {
            udp: self.udp + more.udp,
            tcp: self.tcp + more.tcp,
            no_error: self.no_error + more.no_error,
            no_name: self.no_name + more.no_name,
            refused: self.refused + more.refused,
            failed: self.failed + more.failed,
            other: self.other + more.other,
            truncated: self.truncated + more.truncated,
            dropped: self.dropped + more.dropped,
            fetched: self.fetched + more.fetched,
        }
    }
}
