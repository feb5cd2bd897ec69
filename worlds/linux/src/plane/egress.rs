//! The way out: TCP connections that leave the world arrive at a socket here, and are made again from the host, unless what they are
//! for is near the host ([`super::far`]). AWS's services and packages are answered here. Datagrams go out by [`super::datagrams`].

use super::door::reset;
use super::far::may_leave;
use super::packages::Packages;
use super::services::Services;
use super::stock::Stocks;
use crate::network::{EGRESS_PORT, INET_ADDRESS, PACKAGES};
use crate::sys;
use crate::warden::request::{Kind, Place};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use zonal_substrate::SERVICES;

const MOST_CONNECTIONS: usize = 2048;
const PATIENCE: Duration = Duration::from_secs(60);

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
                Ok(listener) => serve(listener, &answering).await,
                Err(error) => tracing::warn!(%error, "no way out yet"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
}

async fn listener(stocks: &Arc<Stocks>) -> io::Result<TcpListener> {
    let link = Arc::clone(stocks.link());
    let bound = tokio::task::spawn_blocking(move || link.bind(&Place::Internet, Kind::Tcp, INET_ADDRESS, EGRESS_PORT));
    TcpListener::from_std(bound.await.map_err(io::Error::other)?.map_err(io::Error::other)?.into())
}

async fn serve(listener: TcpListener, answering: &Arc<Answering>) {
    let limit = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&limit).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let answering = Arc::clone(answering);
                tokio::spawn(async move {
                    carry(client, &answering).await;
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn carry(mut client: TcpStream, answering: &Answering) {
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
        Ok(Ok(mut server)) => {
            if tokio::io::copy_bidirectional(&mut client, &mut server).await.is_err() {
                reset(&client);
                reset(&server);
            }
        }
        _ => reset(&client),
    }
}
