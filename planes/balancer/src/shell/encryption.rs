//! What new connections to a port are met with: plain HTTP or TLS, changed without shutting the
//! port.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::tls::{ServerTls, Tickets, TlsError};
use crate::config::{Listener, ListenerTls};

/// How a port's clients are met.
#[derive(Debug)]
pub enum Encryption {
    /// They speak HTTP.
    Off,
    /// They speak TLS first.
    On(ServerTls),
    /// They should, but the settings cannot be used: they are hung up on.
    Broken,
}

/// A port's way of meeting its clients, for whoever accepts them.
pub type Current = Arc<ArcSwap<Encryption>>;

/// All ports of a balancer.
#[derive(Debug, Default)]
pub struct Ports(BTreeMap<u16, Port>);

#[derive(Debug)]
struct Port {
    current: Current,
    settings: Option<ListenerTls>,
    tickets: Option<Tickets>,
}

impl Ports {
    /// Takes over the settings of all listeners; gives those whose settings cannot be used. A
    /// listener that had usable ones goes on with them.
    pub fn put(&mut self, listeners: &[Listener]) -> Vec<(String, TlsError)> {
        let mut failures = Vec::new();
        self.0.retain(|port, _| listeners.iter().any(|listener| listener.port == *port));
        for listener in listeners {
            let port = self.0.entry(listener.port).or_insert_with(|| Port {
                current: Arc::new(ArcSwap::from_pointee(Encryption::Off)),
                settings: None,
                tickets: None,
            });
            if port.settings == listener.tls {
                continue;
            }
            match &listener.tls {
                None => port.current.store(Arc::new(Encryption::Off)),
                Some(tls) => match port.engine(tls) {
                    Ok(engine) => port.current.store(Arc::new(Encryption::On(engine))),
                    Err(error) => {
                        if port.settings.is_none() {
                            port.current.store(Arc::new(Encryption::Broken));
                        }
                        failures.push((listener.id.clone(), error));
                        continue;
                    }
                },
            }
            port.settings.clone_from(&listener.tls);
        }
        failures
    }

    /// A port's way; one that no listener has is met with plain HTTP.
    pub fn current(&self, port: u16) -> Current {
        let known = self.0.get(&port).map(|port| port.current.clone());
        known.unwrap_or_else(|| Arc::new(ArcSwap::from_pointee(Encryption::Off)))
    }
}

impl Port {
    fn engine(&mut self, tls: &ListenerTls) -> Result<ServerTls, TlsError> {
        let tickets = match &self.tickets {
            Some(tickets) => tickets.clone(),
            None => self.tickets.insert(Tickets::new()?).clone(),
        };
        ServerTls::new(tls, &tickets)
    }
}
