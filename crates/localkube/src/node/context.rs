//! What every pod's task needs, and the nodes that there are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::NodeError;
use super::image::Servers;
use super::kubelets::Kubelets;
use super::records::Records;
use super::spawner::Spawner;
use crate::api::Store;
use crate::net::address::PodAddresses;
use crate::net::hosts::ServiceName;
use crate::net::namespace::NetworkNamespace;

/// Whose token is wanted, and for which pod.
#[derive(Debug, Clone, Copy)]
pub struct TokenFor<'a> {
    /// Of both.
    pub namespace: &'a str,
    /// The service account.
    pub account: &'a str,
    /// The pod's name.
    pub pod: &'a str,
    /// The pod's UID.
    pub uid: &'a str,
}

/// Makes the token of a service account.
pub type TokenIssuer = Arc<dyn Fn(TokenFor<'_>) -> Result<String, NodeError> + Send + Sync>;

/// A node as the cluster sees it. All nodes share this machine; what tells them apart is name and zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalNode {
    /// Its name, `local-1`.
    pub name: String,
    /// `topology.kubernetes.io/zone`.
    pub zone: String,
}

/// The system user that containers run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodUser {
    /// Its id.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Everything that does not change while the environment is up.
pub struct NodeContext {
    /// The cluster's objects.
    pub store: Store,
    /// The nodes to spread pods over.
    pub nodes: Vec<LocalNode>,
    /// The program that has the hidden verbs.
    pub helper: PathBuf,
    /// The manager's binary, on the same file system as `directory`, with the WAL client beside it.
    pub manager: Option<PathBuf>,
    /// Where pods and volumes are kept. Only root and the pods' user may look in.
    pub directory: PathBuf,
    /// Who pods run as (`runAsUser` 26, the image's user, is mapped to it).
    pub user: PodUser,
    /// There is only one identity, root's here: files are all its own, and programs get their user in a namespace of theirs.
    pub single_identity: bool,
    /// The cluster's network.
    pub network: NetworkNamespace,
    /// Addresses of pods.
    pub addresses: PodAddresses,
    /// Names of services, for `/etc/hosts`.
    pub names: watch::Receiver<Vec<ServiceName>>,
    /// Added to the environment of every container unless it sets them itself.
    pub env: BTreeMap<String, String>,
    /// Makes the tokens that pods are given.
    pub token: TokenIssuer,
    /// Starts processes.
    pub spawner: Spawner,
    /// What was started.
    pub records: Records,
    /// Multiplies the waits of kubelet and node controller.
    pub backoff_scale: f64,
    /// How long a node may be silent before it is given up.
    pub node_grace: Duration,
    /// What stands for images.
    pub servers: Servers,
    /// Directories of the host that containers see read-only, beside the usual ones.
    pub host_mounts: Vec<PathBuf>,
    /// The library that gives pods clocks of their own.
    pub clocks: Option<PathBuf>,
    /// Claims have file systems of their own.
    pub own_file_systems: bool,
    /// Kubelets that do not hear the API.
    pub kubelets: Kubelets,
    /// Nothing is started any more.
    pub stopping: CancellationToken,
}

impl NodeContext {
    /// Who the files of a container are to belong to whose program is `user`.
    pub fn owner_for(&self, user: PodUser) -> PodUser {
        if self.single_identity { PodUser { uid: 0, gid: 0 } } else { user }
    }
}
