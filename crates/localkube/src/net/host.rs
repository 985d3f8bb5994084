//! The host's side: a runtime outside the cluster's namespace that makes listeners on 127.0.0.1 and connections to the
//! host's own network. The sockets are then used from the cluster's runtime.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

use super::NetError;

/// Makes sockets in the host's namespace. Clones share the runtime.
#[derive(Debug, Clone)]
pub struct HostSide {
    runtime: Handle,
}

impl HostSide {
    /// `runtime` must have been built outside of the cluster's namespace and outlive everything made here.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime }
    }

    /// A listener on 127.0.0.1; port 0 takes a free one.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn listen(&self, port: u16) -> Result<TcpListener, NetError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let bound = self.runtime.spawn(TcpListener::bind(address)).await.map_err(|_| NetError::HostGone)?;
        bound.map_err(|source| NetError::Listen { address, source })
    }

    /// A connection to `target` (`host:port`) as the host sees it.
    ///
    /// # Errors
    /// As `connect(2)`, or if the name cannot be resolved.
    pub async fn connect(&self, target: String) -> std::io::Result<TcpStream> {
        self.runtime.spawn(TcpStream::connect(target)).await.map_err(std::io::Error::other)?
    }
}
