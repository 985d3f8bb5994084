//! Openings to the host: a port of 127.0.0.1 that leads to an address of the cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex as StdMutex;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::host::HostSide;
use super::{NetError, proxy};

/// All forwards of an environment; they end when this is dropped.
#[derive(Debug)]
pub struct Forwards {
    host: HostSide,
    /// The cluster's runtime: connections are made on its threads.
    cluster: Handle,
    open: tokio::sync::Mutex<BTreeMap<SocketAddr, SocketAddr>>,
    tasks: StdMutex<JoinSet<()>>,
}

impl Forwards {
    /// No forward yet.
    pub fn new(host: HostSide, cluster: Handle) -> Self {
        Self { host, cluster, open: tokio::sync::Mutex::default(), tasks: StdMutex::default() }
    }

    /// The host's address that leads to `target`; opened when it is first asked for.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub async fn to(&self, target: SocketAddr) -> Result<SocketAddr, NetError> {
        let mut open = self.open.lock().await;
        if let Some(address) = open.get(&target) {
            return Ok(*address);
        }
        let listener = self.host.listen(0).await?;
        let address = listener.local_addr().map_err(|source| NetError::Listen { address: target, source })?;
        let mut tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tasks.spawn_on(accept(listener, target), &self.cluster);
        open.insert(target, address);
        Ok(address)
    }
}

/// The other way: what comes in at `listener` goes to `target` (`host:port`), as the host reaches it, until the future is
/// dropped.
pub async fn outward(listener: TcpListener, host: HostSide, target: String) {
    let mut live = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    let (host, target) = (host.clone(), target.clone());
                    live.spawn(async move {
                        match host.connect(target).await {
                            Ok(server) => proxy::carry(client, server).await,
                            Err(_) => proxy::reset(client),
                        }
                    });
                }
                Err(error) => tracing::warn!(%error, "a way out cannot accept"),
            },
            Some(_) = live.join_next() => {}
        }
    }
}

async fn accept(listener: TcpListener, target: SocketAddr) {
    let mut live = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    live.spawn(async move {
                        match proxy::connect(target).await {
                            Ok(server) => proxy::carry(client, server).await,
                            Err(_) => proxy::reset(client),
                        }
                    });
                }
                Err(error) => tracing::warn!(%error, "a forward cannot accept"),
            },
            Some(_) = live.join_next() => {}
        }
    }
}
