//! This machine's own Kubernetes: the control plane, three nodes, and a kube-proxy for this namespace too, so that the API
//! server reaches webhooks and clients reach services.

use std::path::{Path, PathBuf};

use tokio::process::{Child, Command};

use crate::node::Node;
use crate::node_files;
use crate::plane::Plane;
use crate::process::start;
use crate::tools::Tools;

/// One for each instance of the example, by its anti-affinity.
pub const COUNT: u8 = 3;

pub struct Nodes {
    plane: Plane,
    nodes: Vec<Node>,
    _proxy: Child,
}

impl Nodes {
    /// Starts all of it.
    pub async fn start(directory: &Path, tools: &Tools) -> Self {
        let names: Vec<String> = (1..=COUNT).map(Node::name).collect();
        let plane = Plane::start(directory, tools, &names).await;
        let mut nodes = Vec::new();
        for number in 1..=COUNT {
            nodes.push(Node::start(directory, tools, &plane, number, COUNT).await);
        }
        let config = directory.join("plane/proxy.json");
        let written = node_files::proxy(&plane.kubeconfig("kube-proxy"), "plane");
        std::fs::write(&config, written.to_string()).unwrap();
        let mut proxy = Command::new(tools.kube.join("kube-proxy"));
        proxy.arg("--config").arg(&config).envs(tools.environment());
        let proxy = start(proxy, &directory.join("logs/plane-kube-proxy"));
        Self { plane, nodes, _proxy: proxy }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.plane.kubeconfig("admin")
    }

    /// Brings images to all nodes.
    pub async fn import(&self, archive: &Path) {
        for node in &self.nodes {
            node.import(archive).await;
        }
    }

    /// Starts a node's kubelet again.
    pub fn start_kubelet(&mut self, name: &str) {
        let Self { plane, nodes, .. } = self;
        nodes.iter_mut().find(|node| node.name == name).unwrap().start_kubelet(plane);
    }

    /// One of them.
    pub fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name == name).unwrap()
    }
}
