//! Serves a configuration on an address, to be tried with `dig` and measured with `dnsperf`:
//! `serve ADDRESS:PORT CONFIG.json [SOCKETS] [resolver]`. The view is `public`.

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
    let count: usize = rest.first().map_or(Ok(2), |count| count.parse())?;
    let options = match rest.get(1).map(String::as_str) {
        Some("resolver") => Options::resolver(PUBLIC, None, 1),
        _ => Options::authoritative(PUBLIC, 1),
    };
    let store = Arc::new(ZoneStore::new());
    store.apply(&config)?;
    let udp = (0..count).map(|_| shared_udp(address)).collect::<Result<Vec<_>, _>>()?;
    let sockets = Sockets { udp, tcp: vec![TcpListener::bind(address)?] };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(count).enable_all().build()?;
    runtime.block_on(async {
        let _server = DnsServer::start(&store, sockets, options)?;
        eprintln!("serving on {address}");
        std::future::pending::<Result<(), AnyError>>().await
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
