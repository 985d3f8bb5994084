//! kind's Kubernetes, for a machine with Docker: the same scenarios, on nodes that are containers. Thin, and never run
//! where this was written, since there is no kind there.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::nodes::COUNT;
use crate::process::must;

/// The name of the cluster, and of its network's interface in each node.
const NAME: &str = "pgherd-e2e";
const INTERFACE: &str = "eth0";
/// The services of a cluster, unless its configuration says otherwise.
const SERVICES: &str = "10.96.0.0/16";
/// Who makes its volumes.
pub const PROVISIONER: &str = "rancher.io/local-path";

pub struct Kind {
    kubeconfig: PathBuf,
}

impl Kind {
    /// Makes a cluster of a control plane and [`COUNT`] workers.
    pub async fn start(directory: &Path) -> Self {
        let (config, kubeconfig) = (directory.join("kind.yaml"), directory.join("kubeconfig"));
        let workers = "- role: worker\n".repeat(usize::from(COUNT));
        let text =
            format!("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n{workers}");
        std::fs::write(&config, text).unwrap();
        let (config, path) = (config.display().to_string(), kubeconfig.display().to_string());
        must("kind", &["create", "cluster", "--name", NAME, "--config", &config, "--kubeconfig", &path]).await;
        let template = "{{.NetworkSettings.Networks.kind.IPAddress}}";
        let plane = must("docker", &["inspect", "-f", template, &format!("{NAME}-control-plane")]).await;
        // A client on this machine reaches services by way of a node.
        must("ip", &["route", "replace", SERVICES, "via", &plane]).await;
        Self { kubeconfig }
    }

    /// Where its pods find this machine.
    pub async fn gateway() -> Ipv4Addr {
        let template = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
        let said = must("docker", &["network", "inspect", "-f", template, "kind"]).await;
        said.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
    }

    /// Brings in images from an archive.
    pub async fn import(&self, archive: &Path) {
        must("kind", &["load", "image-archive", &archive.display().to_string(), "--name", NAME]).await;
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// Takes a node out of the network, or puts it back.
    pub async fn cut(&self, node: &str, cut: bool) {
        let action = if cut { "-I" } else { "-D" };
        for (chain, direction) in [("INPUT", "-i"), ("OUTPUT", "-o"), ("FORWARD", "-i"), ("FORWARD", "-o")] {
            let rule = ["exec", node, "iptables", action, chain, direction, INTERFACE, "-j", "DROP"];
            must("docker", &rule).await;
        }
    }

    /// Ends a node's kubelet, or starts it again.
    pub async fn kubelet(&self, node: &str, action: &str) {
        must("docker", &["exec", node, "systemctl", action, "kubelet"]).await;
    }

    /// Removes the cluster.
    pub async fn remove(&self) {
        must("ip", &["route", "del", SERVICES]).await;
        must("kind", &["delete", "cluster", "--name", NAME]).await;
    }
}
