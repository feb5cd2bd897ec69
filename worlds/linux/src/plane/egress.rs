//! The way out: TCP connections that leave the world arrive at a socket here, and are made again from the host, unless what they are
//! for is near the host ([`super::far`]). AWS's services and packages are answered here. Datagrams go out by [`super::datagrams`].

use super::carry::carry;
use super::door::reset;
use super::far::may_leave;
use super::packages::Packages;
use super::services::Services;
use super::shares::Shares;
use super::stock::Stocks;
use crate::network::{EGRESS_PORT, INET_ADDRESS, PACKAGES};
use crate::sys;
use crate::warden::request::{Kind, Place};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use zonal_substrate::SERVICES;

/// Connections of all instances at a time.
const MOST_CONNECTIONS: usize = 2048;
/// Of these, those of one public address.
const MOST_OF_ONE: usize = 512;
/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(60);
/// A connection over which nothing passes ends after this: as long as a NAT gateway's does ("NAT gateway basics" in the VPC User
/// Guide).
const IDLE: Duration = Duration::from_secs(350);

/// What the plane answers by itself.
pub(super) struct Answering {
    pub services: Services,
    pub packages: Packages,
}

/// Serves the way out, for as long as the plane runs.
pub(super) fn start(stocks: Arc<Stocks>, answering: Answering) {
    let answering = Arc::new(answering);
    tokio::spawn(async move {
        loop {
            match listener(&stocks).await {
                Ok(listener) => {
                    let shares = Shares::new(MOST_CONNECTIONS, MOST_OF_ONE);
                    let answering = Arc::clone(&answering);
                    serve(listener, &shares, |client| lead_out(client, Arc::clone(&answering))).await
                }
                Err(error) => tracing::warn!(%error, "no way out yet"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
}

async fn listener(stocks: &Arc<Stocks>) -> io::Result<TcpListener> {
    let socket = stocks.bind(Place::Internet, Kind::Tcp, INET_ADDRESS, EGRESS_PORT).await?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections for ever. Who has too many is told so at once: to have them wait would have others wait with them.
async fn serve<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    shares: &Arc<Shares>,
    lead: impl Fn(TcpStream) -> F,
) {
    loop {
        match listener.accept().await {
            Ok((client, from)) => {
                let share = match from.ip() {
                    IpAddr::V4(from) => shares.take(from),
                    IpAddr::V6(_) => None,
                };
                let Some(share) = share else {
                    reset(&client);
                    continue;
                };
                let led = lead(client);
                tokio::spawn(async move {
                    led.await;
                    drop(share);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn lead_out(client: TcpStream, answering: Arc<Answering>) {
    let Ok(wanted) = sys::original_destination(client.as_fd()) else { return reset(&client) };
    if *wanted.ip() == SERVICES {
        return answering.services.serve(client, wanted.port()).await;
    }
    if *wanted.ip() == PACKAGES {
        return answering.packages.serve(client).await;
    }
    if !may_leave(*wanted.ip()) {
        return reset(&client);
    }
    match tokio::time::timeout(PATIENCE, TcpStream::connect(SocketAddr::V4(wanted))).await {
        Ok(Ok(server)) => carry(client, server, IDLE).await,
        _ => reset(&client),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::DEADLINE;
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpSocket;
    use tokio::time::timeout;

    #[tokio::test]
    async fn whoever_has_all_the_connections_of_one_leaves_those_of_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let connect = async |from: [u8; 4]| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((Ipv4Addr::from(from), 0).into()).unwrap();
            socket.connect(to).await.unwrap()
        };
        let (led, mut served) = tokio::sync::mpsc::unbounded_channel();
        let shares = Shares::new(2, 1);
        tokio::spawn(async move {
            let lead = |client: TcpStream| {
                led.send(client.peer_addr().unwrap().ip()).unwrap();
                async move {
                    let _held = client;
                    std::future::pending().await
                }
            };
            serve(listener, &shares, lead).await;
        });
        let first = connect([127, 0, 0, 1]).await;
        assert_eq!(timeout(DEADLINE, served.recv()).await.unwrap(), Some([127, 0, 0, 1].into()));
        let mut greedy = connect([127, 0, 0, 1]).await;
        let told = timeout(DEADLINE, greedy.read(&mut [0])).await.expect("it is told");
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let _other = connect([127, 0, 0, 2]).await;
        assert_eq!(timeout(DEADLINE, served.recv()).await.unwrap(), Some([127, 0, 0, 2].into()));
        drop(first);
    }
}
