//! A stub resolver for one kind of question: the addresses of a name, over UDP, asked
//! once. Wire format: RFC 1035, section 4.

use crate::clients::Answer;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;

const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;
/// Bits of a header's second word.
const IS_ANSWER: u16 = 0x8000;
const TRUNCATED: u16 = 0x0200;
const RECURSE: u16 = 0x0100;
const RCODE: u16 = 0x000F;

/// Asks `server` for the addresses of `name`; gives up after `limit`.
pub(super) async fn resolve(server: SocketAddr, id: u16, name: &str, limit: Duration) -> Answer {
    let asked = tokio::time::timeout(limit, ask(server, id, name)).await;
    asked.ok().flatten().unwrap_or(Answer::Failed)
}

async fn ask(server: SocketAddr, id: u16, name: &str) -> Option<Answer> {
    let question = question(id, name)?;
    let socket = UdpSocket::bind("127.0.0.1:0").await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(&question).await.ok()?;
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await.ok()?;
        // An answer to something else is not the answer.
        if let Some(answer) = read(&buffer[..length], id) {
            return Some(answer);
        }
    }
}

/// The question for a name's addresses; `None` if it is no name.
fn question(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(64);
    for word in [id, RECURSE, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(TYPE_A.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    (message.len() <= 12 + 255 + 4).then_some(message)
}

/// Reads an answer; `None` if it is not the one to the question numbered `id`.
fn read(message: &[u8], id: u16) -> Option<Answer> {
    let word = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
    let flags = word(2)?;
    if word(0)? != id || flags & IS_ANSWER == 0 {
        return None;
    }
    if flags & (RCODE | TRUNCATED) != 0 {
        return Some(Answer::Failed);
    }
    Some(records(message, word(4)?, word(6)?).unwrap_or(Answer::Failed))
}

/// The addresses among an answer's records, good for the smallest TTL of the way to them.
fn records(message: &[u8], questions: u16, answers: u16) -> Option<Answer> {
    let mut at = 12;
    for _ in 0..questions {
        at = skip_name(message, at)? + 4;
    }
    let (mut addresses, mut ttl) = (Vec::new(), u32::MAX);
    for _ in 0..answers {
        at = skip_name(message, at)?;
        let fixed: &[u8; 10] = message.get(at..at + 10)?.try_into().ok()?;
        let [kind_high, kind_low, class_high, class_low, t0, t1, t2, t3, length_high, length_low] = *fixed;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let data = message.get(at + 10..at + 10 + length)?;
        at += 10 + length;
        if u16::from_be_bytes([class_high, class_low]) != CLASS_IN {
            continue;
        }
        ttl = ttl.min(u32::from_be_bytes([t0, t1, t2, t3]));
        if u16::from_be_bytes([kind_high, kind_low]) == TYPE_A {
            addresses.push(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?));
        }
    }
    Some(Answer::Addresses { addresses, ttl: Duration::from_secs(ttl.into()) })
}

/// Where the name at `at` ends; it may end in a pointer, which need not be followed.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xC0 == 0xC0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer with a CNAME of TTL 60 and addresses of TTL 300.
    fn answer(id: u16, flags: u16, hosts: &[u8]) -> Vec<u8> {
        let mut message = question(id, "x.test").expect("a name");
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..8].copy_from_slice(&(1 + hosts.len() as u16).to_be_bytes());
        message.extend([0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xC0, 12]);
        for &host in hosts {
            message.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 127, 100, 0, host]);
        }
        message
    }

    #[test]
    fn an_answer_is_good_for_the_smallest_ttl_on_the_way() {
        let addresses = vec![Ipv4Addr::new(127, 100, 0, 1), Ipv4Addr::new(127, 100, 0, 2)];
        let expected = Answer::Addresses { addresses, ttl: Duration::from_secs(60) };
        assert_eq!(read(&answer(7, IS_ANSWER, &[1, 2]), 7), Some(expected));
    }

    #[test]
    fn answers_to_other_questions_are_passed_over_and_errors_are_not() {
        assert_eq!(read(&answer(7, IS_ANSWER, &[1]), 8), None);
        assert_eq!(read(&answer(7, 0, &[1]), 7), None);
        assert_eq!(read(&answer(7, IS_ANSWER | 3, &[]), 7), Some(Answer::Failed));
        assert_eq!(read(&answer(7, IS_ANSWER | TRUNCATED, &[1]), 7), Some(Answer::Failed));
        let whole = answer(7, IS_ANSWER, &[1]);
        assert_eq!(read(&whole[..whole.len() - 1], 7), Some(Answer::Failed));
    }

    #[test]
    fn what_is_no_name_is_not_asked() {
        for name in ["", "a..b", &"x".repeat(64), &["x"; 200].join(".")] {
            assert_eq!(question(1, name), None, "{name}");
        }
        assert_eq!(question(1, "x.test."), question(1, "x.test"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..60) {
            let _ = read(&bytes, u16::from_be_bytes([bytes.first().copied().unwrap_or(0), bytes.get(1).copied().unwrap_or(0)]));
            let mut message = answer(7, IS_ANSWER, &[1, 2]);
            let at = cut.min(message.len() - 1);
            message[at] = bytes.first().copied().unwrap_or(0);
            let _ = read(&message, 7);
        }
    }
}
