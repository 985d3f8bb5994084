//! Where the cluster's nodes are: this machine's own, or kind's.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::kind::{self, Kind};
use crate::kubectl::Kubectl;
use crate::nodes::Nodes;
use crate::tools::Tools;
use crate::{network, storage};

pub enum Place {
    Own(Box<Nodes>),
    Kind(Kind),
}

impl Place {
    /// Starts it: `node` or `kind`.
    pub async fn start(machine: &str, directory: &Path, tools: &Tools) -> Self {
        if machine == "kind" {
            return Self::Kind(Kind::start(directory).await);
        }
        network::start().await;
        Self::Own(Box::new(Nodes::start(directory, tools).await))
    }

    /// Where its pods find this machine.
    pub async fn address(&self) -> Ipv4Addr {
        match self {
            Self::Own(_) => network::PLANE,
            Self::Kind(_) => Kind::gateway().await,
        }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        match self {
            Self::Own(nodes) => nodes.kubeconfig(),
            Self::Kind(kind) => kind.kubeconfig(),
        }
    }

    /// Brings images to all nodes.
    pub async fn import(&self, archive: &Path) {
        match self {
            Self::Own(nodes) => nodes.import(archive).await,
            Self::Kind(kind) => kind.import(archive).await,
        }
    }

    /// Makes a class of volumes, and for the own nodes goes on to make the volumes.
    pub async fn make_class(&self, kubectl: &Kubectl, directory: &Path, name: &str) {
        match self {
            Self::Own(_) => {
                storage::class(kubectl, name, storage::PROVISIONER).await;
                // It ends with the program.
                tokio::spawn(storage::provision(kubectl.clone(), directory.to_owned()));
            }
            Self::Kind(_) => storage::class(kubectl, name, kind::PROVISIONER).await,
        }
    }

    /// Takes a node out of the network, or puts it back.
    pub async fn cut(&mut self, node: &str, cut: bool) {
        match self {
            Self::Own(nodes) => nodes.node(node).cut(cut).await,
            Self::Kind(kind) => kind.cut(node, cut).await,
        }
    }

    /// Ends a node's kubelet.
    pub async fn stop_kubelet(&mut self, node: &str) {
        match self {
            Self::Own(nodes) => nodes.node(node).stop_kubelet().await,
            Self::Kind(kind) => kind.kubelet(node, "stop").await,
        }
    }

    /// Starts it again.
    pub async fn start_kubelet(&mut self, node: &str) {
        match self {
            Self::Own(nodes) => nodes.start_kubelet(node),
            Self::Kind(kind) => kind.kubelet(node, "start").await,
        }
    }

    /// Removes what does not end with the program.
    pub async fn remove(&self) {
        if let Self::Kind(kind) = self {
            kind.remove().await;
        }
    }
}
