//! The cluster's network namespace, by name under `/run/netns`, so that a later `up` or `down` finds what a crash left.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns};
use tokio::runtime::{Builder, Runtime};

use super::{NetError, link};

/// A named network namespace.
#[derive(Debug, Clone)]
pub struct NetworkNamespace {
    name: String,
}

impl NetworkNamespace {
    /// That of the environment `environment`; nothing is made yet.
    pub fn of(environment: &str) -> Self {
        Self { name: format!("pgherd-{environment}") }
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that holds it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// It is there.
    pub fn exists(&self) -> bool {
        self.path().exists()
    }

    /// Makes it, with the bridge in it; one that a crash left is replaced.
    ///
    /// # Errors
    /// If `ip` refuses.
    pub async fn create(&self) -> Result<(), NetError> {
        self.delete().await?;
        // From within a network of its own: `ip` goes back to where it was, and to the host's only root may go back.
        link::run(&["unshare", "--net", "ip", "netns", "add", &self.name], "").await?;
        link::create_bridge(self).await
    }

    /// Removes it, with every interface in it. Not being there is no error.
    ///
    /// # Errors
    /// If `ip` refuses.
    pub async fn delete(&self) -> Result<(), NetError> {
        if !self.exists() {
            return Ok(());
        }
        // The daemon on its way out and the `down` that waits for it may both be at it: gone is gone.
        match link::run(&["ip", "netns", "delete", &self.name], "").await {
            Err(_) if !self.exists() => Ok(()),
            other => other.map(drop),
        }
    }

    /// A runtime whose threads all live in this namespace: every socket made on it is the cluster's.
    ///
    /// # Errors
    /// If the namespace cannot be opened or threads cannot be started.
    pub fn runtime(&self, threads: usize) -> Result<Runtime, NetError> {
        let open = |source| NetError::OpenNamespace { name: self.name.clone(), source };
        let file = Arc::new(File::open(self.path()).map_err(open)?);
        Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("cluster")
            .on_thread_start(move || {
                if let Err(error) = setns(&*file, CloneFlags::CLONE_NEWNET) {
                    // A thread outside would make sockets on the host: better none at all.
                    tracing::error!(%error, "a thread cannot enter the network namespace");
                    std::process::abort();
                }
            })
            .enable_all()
            .build()
            .map_err(NetError::Runtime)
    }
}
