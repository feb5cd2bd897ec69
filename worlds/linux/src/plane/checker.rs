//! The way of Route 53's health checks: from the internet. What is not of the internet they don't reach, as nobody there does.
//!
//! The world's own public addresses are loopback addresses of the host, where whatever listens on all addresses listens on these too:
//! they are connected to from inside, where only the world is.

use super::door::take;
use super::far::may_leave;
use super::stock::Stocks;
use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;
use zonal_dns::shell::{Connecting, Way};

/// Leads to the world's public addresses and to what is far.
pub(super) struct Checker {
    pub stocks: Arc<Stocks>,
    /// The world's public addresses.
    pub public: Ipv4Net,
    /// That of them which is the host's own.
    pub host: Ipv4Addr,
}

impl Checker {
    fn is_inside(&self, address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(address) if self.public.contains(&address) && address != self.host)
    }
}

impl Way for Checker {
    fn leads_to(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(far) => self.is_inside(address) || may_leave(far),
            // Nothing of IPv6 leaves the world.
            IpAddr::V6(_) => false,
        }
    }

    fn connect(&self, address: SocketAddr) -> Connecting {
        if !self.is_inside(address.ip()) {
            return Box::pin(TcpStream::connect(address));
        }
        let stocks = Arc::clone(&self.stocks);
        Box::pin(async move { take(&stocks).await?.connect(address).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warden::link::Link;
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn health_checks_reach_the_internet_and_the_worlds_public_addresses_and_nothing_of_the_host() {
        let link = Arc::new(Link::new(Path::new("/nowhere"), Duration::ZERO));
        let public: Ipv4Net = "127.100.0.0/16".parse().unwrap();
        let checker = Checker { stocks: Stocks::new(link), public, host: [127, 100, 0, 1].into() };
        for reached in ["127.100.0.9", "203.0.113.80"] {
            assert!(checker.leads_to(reached.parse().unwrap()), "{reached}");
        }
        for near in [
            "127.0.0.1",
            "127.100.0.1",
            "127.101.0.9",
            "10.0.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "::1",
        ] {
            assert!(!checker.leads_to(near.parse().unwrap()), "{near}");
        }
    }

    #[tokio::test]
    async fn what_listens_on_all_addresses_of_the_host_is_not_taken_for_an_instance() {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // No warden: there is no inside to connect from.
        let link = Arc::new(Link::new(Path::new("/nowhere"), Duration::ZERO));
        let public: Ipv4Net = "127.100.0.0/16".parse().unwrap();
        let checker = Checker { stocks: Stocks::new(link), public, host: [127, 100, 0, 1].into() };
        assert!(checker.connect(SocketAddr::from(([127, 100, 0, 9], port))).await.is_err());
    }
}
