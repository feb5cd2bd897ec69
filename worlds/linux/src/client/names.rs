//! The public name servers, asked as anybody on the host asks them.

use super::Listener;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::sync::mpsc::Receiver;
use std::time::Duration;
use zonal_substrate::Report;

/// How long the plane may take for an answer.
const ANSWER: Duration = Duration::from_millis(500);

/// What is to be looked up.
pub(super) struct Question {
    pub id: String,
    /// In DNS's wire form.
    pub query: Vec<u8>,
}

/// Looks up one after the other, and tells the answers: nothing else waits for name servers that take their time.
pub(super) fn look_up(port: u16, questions: &Receiver<Question>, tell: &Listener) {
    while let Ok(first) = questions.recv() {
        // What was asked again meanwhile is asked once: name servers that are away would never be done with otherwise.
        let all: BTreeMap<String, Vec<u8>> =
            std::iter::once(first).chain(questions.try_iter()).map(|question| (question.id, question.query)).collect();
        for (id, query) in all {
            tell(Report::LookedUp { id, answer: answer(port, &query) });
        }
    }
}

/// What they answer to a query on their port, both in DNS's wire form.
pub(super) fn answer(port: u16, query: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket.set_read_timeout(Some(ANSWER)).ok()?;
    socket.connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    socket.send(query).ok()?;
    let mut answer = vec![0; 4096];
    let length = socket.recv(&mut answer).ok()?;
    answer.truncate(length);
    if zonal_dns::ask::is_cut(&answer) { answer_whole(port, query) } else { Some(answer) }
}

/// What is too long for a datagram comes over TCP.
fn answer_whole(port: u16, query: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    let length = u16::try_from(query.len()).ok()?;
    stream.write_all(&[&length.to_be_bytes()[..], query].concat()).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn what_is_asked_again_before_it_was_answered_is_asked_once() {
        let servers = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = servers.local_addr().unwrap().port();
        let ((ask, questions), (told, heard)) = (channel(), channel());
        for (id, query) in [("a", "first"), ("b", "other"), ("a", "last")] {
            ask.send(Question { id: id.to_owned(), query: query.as_bytes().to_vec() }).unwrap();
        }
        drop(ask);
        let tell: Listener = Box::new(move |report| drop(told.send(report)));
        let looking = std::thread::spawn(move || look_up(port, &questions, &tell));
        for query in ["last", "other"] {
            let mut asked = [0; 64];
            let (length, client) = servers.recv_from(&mut asked).unwrap();
            assert_eq!(&asked[..length], query.as_bytes());
            servers.send_to(query.as_bytes(), client).unwrap();
        }
        looking.join().unwrap();
        let answers: Vec<Report> = heard.iter().collect();
        let answered = |id: &str, answer: &str| Report::LookedUp { id: id.to_owned(), answer: Some(answer.into()) };
        assert_eq!(answers, [answered("a", "last"), answered("b", "other")]);
    }
}
