//! AWS's services as instances reach them: connections to the address that their names lead to, TLS ended here, are passed to the daemon's
//! own socket for them. What is said on them is read by the daemon alone.

use super::door::reset;
use crate::error::Result;
use crate::trust::Names;
use crate::world::Config;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The way to the daemon.
pub(super) struct Services {
    acceptor: TlsAcceptor,
    daemon: PathBuf,
}

impl Services {
    /// With the world's own certificates.
    pub(super) fn open(config: &Config) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let names = Arc::new(Names::open(config)?);
        let versions = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut tls = versions
            .map_err(|e| crate::error::Error::Refused(e.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(names);
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(tls)), daemon: config.services_socket() })
    }

    /// Serves one connection to a port of the services' address.
    pub(super) async fn serve(&self, client: TcpStream, port: u16) {
        let _ = client.set_nodelay(true);
        match port {
            80 => self.pass(client).await,
            443 => match tokio::time::timeout(HANDSHAKE, self.acceptor.accept(client)).await {
                Ok(Ok(client)) => self.pass(client).await,
                Ok(Err(error)) => tracing::debug!(%error, "no TLS with an instance"),
                Err(_) => {}
            },
            _ => reset(&client),
        }
    }

    async fn pass(&self, mut client: impl AsyncRead + AsyncWrite + Unpin) {
        match UnixStream::connect(&self.daemon).await {
            Ok(mut daemon) => drop(tokio::io::copy_bidirectional(&mut client, &mut daemon).await),
            // AWS's own words where a service can't be reached: its clients try again.
            Err(error) => {
                tracing::debug!(%error, "the daemon does not listen");
                let _ = refuse(&mut client).await;
            }
        }
    }
}

async fn refuse(client: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    client.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?;
    client.shutdown().await
}
