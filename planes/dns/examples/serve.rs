//! Serves a configuration on an address, to be tried with `dig` and measured with `dnsperf`:
//! `serve ADDRESS:PORT CONFIG.json [SOCKETS] [resolver]`. The view is `public`.

#![allow(clippy::disallowed_methods, reason = "a program of its own: it makes what the library is handed")]

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;

use zonal_dns::config::{DnsConfig, PUBLIC};
use zonal_dns::shell::{DnsServer, Options, Sockets, ZoneStore};

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, address, config, rest @ ..] = &arguments[..] else {
        return Err("usage: serve ADDRESS:PORT CONFIG.json [SOCKETS] [resolver]".into());
    };
    let address: SocketAddr = address.parse()?;
    let config: DnsConfig = serde_json::from_slice(&std::fs::read(config)?)?;
    let count: u64 = rest.first().map_or(Ok(2), |count| count.parse())?;
    let options = match rest.get(1).map(String::as_str) {
        Some("resolver") => Options::resolver(PUBLIC, None, 1),
        _ => Options::authoritative(PUBLIC, 1),
    };
    let store = Arc::new(ZoneStore::new());
    store.apply(&config)?;
    eprintln!("serving on {address}");
    let mut listener = Some(TcpListener::bind(address)?);
    let mut cores = Vec::new();
    for core in 0..count {
        let sockets = Sockets { udp: vec![shared_udp(address)?], tcp: listener.take().into_iter().collect() };
        let (store, options) = (Arc::clone(&store), Options { seed: core, ..options.clone() });
        cores.push(std::thread::spawn(move || serve(&store, sockets, options)));
    }
    for core in cores {
        core.join().map_err(|_| "a core panicked")??;
    }
    Ok(())
}

/// One core's part: a runtime of its own, so that cores wake only for their own queries.
fn serve(store: &Arc<ZoneStore>, sockets: Sockets, options: Options) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let _server = DnsServer::start(store, sockets, options)?;
        std::future::pending().await
    })
}

/// A socket that shares its port with its like.
fn shared_udp(address: SocketAddr) -> Result<UdpSocket, AnyError> {
    use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let descriptor = socket(family, SocketType::DGRAM, None)?;
    sockopt::set_socket_reuseport(descriptor.as_fd(), true)?;
    bind(&descriptor, &address)?;
    Ok(descriptor.into())
}
