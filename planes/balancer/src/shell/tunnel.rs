//! What follows `101 Switching Protocols`: bytes, both ways, until both are done.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::buffer::Buffer;
use super::patience::{Idle, Patience};
use super::stream::send;
use super::transport::{Half, Transport};
use crate::core::count::NodeCounts;

/// Relays until both sides have closed, one is gone, or neither says anything for too long.
pub async fn tunnel(
    client: &mut Transport,
    target: &mut Transport,
    from_client: &mut Buffer,
    from_target: &mut Buffer,
    idle: &Idle,
    node: &NodeCounts,
) {
    let (client, target) = (RefCell::new(client), RefCell::new(target));
    let (mut client_reader, mut client_writer) = (Half(&client), Half(&client));
    let (mut target_reader, mut target_writer) = (Half(&target), Half(&target));
    let mut up = pin!(pump(&mut client_reader, &mut target_writer, from_client, idle, node));
    let mut down = pin!(pump(&mut target_reader, &mut client_writer, from_target, idle, node));
    let (mut up_closed, mut down_closed) = (false, false);
    poll_fn(|context| {
        for (direction, closed) in [
            (up.as_mut() as std::pin::Pin<&mut dyn Future<Output = End>>, &mut up_closed),
            (down.as_mut(), &mut down_closed),
        ] {
            if *closed {
                continue;
            }
            match direction.poll(context) {
                Poll::Ready(End::Closed) => *closed = true,
                Poll::Ready(End::Broken) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        if up_closed && down_closed { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

enum End {
    /// The reader's end was passed on.
    Closed,
    Broken,
}

async fn pump(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    buffer: &mut Buffer,
    idle: &Idle,
    node: &NodeCounts,
) -> End {
    let mut patience = Patience::new(idle);
    loop {
        let bytes = buffer.bytes();
        node.processed_bytes.add(bytes.len() as u64);
        if send(writer, bytes, idle, &mut patience).await.is_err() {
            return End::Broken;
        }
        buffer.clear();
        match patience.wait(idle, buffer.read_from(reader)).await {
            Ok(Ok(1..)) => idle.touch(Instant::now()),
            // Over TLS, this waits for who has stopped reading.
            Ok(Ok(0)) => {
                let shut = patience.wait(idle, writer.shutdown()).await;
                return if matches!(shut, Ok(Ok(()))) { End::Closed } else { End::Broken };
            }
            Ok(Err(_)) | Err(_) => return End::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::stream::tests::Stuck;
    use super::*;

    #[test]
    fn an_end_is_passed_on_within_the_idle_timeout_or_not_at_all() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let end = runtime.block_on(async {
            let (idle, node) = (Idle::new(Duration::from_millis(100)), NodeCounts::default());
            let (mut reader, mut writer, mut buffer) = (tokio::io::empty(), Stuck, Buffer::default());
            let pumped = pump(&mut reader, &mut writer, &mut buffer, &idle, &node);
            tokio::time::timeout(Duration::from_secs(10), pumped).await
        });
        assert!(matches!(end, Ok(End::Broken)), "it is waited for without end");
    }
}
