//! What an administrator does: install, switch over, scale, roll out, delete.

use serde_json::json;

use crate::cluster::{CLUSTER, NAMESPACE, text};
use crate::kubectl::items;
use crate::load::Load;
use crate::nodes::COUNT;
use crate::world::World;

/// What is made for a cluster, by the controller or by others for that.
const OWNED: [&str; 12] = [
    "clusters",
    "failoverquorums",
    "leases",
    "pods",
    "persistentvolumeclaims",
    "services",
    "endpoints",
    "secrets",
    "serviceaccounts",
    "roles",
    "rolebindings",
    "configmaps",
];

impl World {
    /// A pod that is none of ours, on each node, answers through `kubectl exec`.
    pub async fn plain_pods(&self) {
        let kubectl = &self.cluster.kubectl;
        let nodes = kubectl
            .until("nodes", 180, async || {
                // The account of a new namespace is made a moment after it.
                kubectl.ask(&["get", "serviceaccount", "default"]).await?;
                let list = kubectl.json(&["get", "nodes"]).await?;
                let workers = items(&list).iter().filter(|node| node["spec"]["taints"].is_null());
                let names: Vec<String> = workers.map(|node| text(node, "/metadata/name")).collect();
                if names.len() == usize::from(COUNT) { Ok(names) } else { Err(format!("{names:?}")) }
            })
            .await;
        for node in &nodes {
            let image = pgherd_proto::cluster::DEFAULT_IMAGE;
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("on-{node}")},
                "spec": {"nodeSelector": {"kubernetes.io/hostname": node}, "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "one", "image": image, "command": ["sleep", "infinity"]}]},
            });
            kubectl.apply(&pod).await;
        }
        for node in &nodes {
            let pod = format!("on-{node}");
            kubectl.must(&["wait", "--for=condition=Ready", &format!("pod/{pod}"), "--timeout=180s"]).await;
            kubectl.must(&["exec", &pod, "--", "cat", "/etc/hostname"]).await;
            kubectl.must(&["delete", "pod", &pod]).await;
        }
    }

    /// The examples are applied, and three instances are in health, on as many nodes; a client begins to write.
    pub async fn bootstrap(&mut self) {
        self.provide().await;
        self.apply_examples().await;
        let primary = self.cluster.healthy(400).await;
        let pods = self.cluster.pods().await.unwrap();
        let mut nodes: Vec<String> = pods.iter().map(|pod| text(pod, "/spec/nodeName")).collect();
        nodes.sort();
        nodes.dedup();
        assert_eq!(nodes.len(), 3, "the instances are on {nodes:?}");
        let config = self.cluster.application("rw").await;
        self.load = Some(Load::start(config, self.directory.join("journal")).await);
        self.rows_are_written(60).await;
        println!("e2e: {primary} is the primary, instances on {nodes:?}");
    }

    /// Another instance is asked to be the primary, as CNPG's plugin asks.
    pub async fn switchover(&self) {
        let target = self.cluster.standbys().await.unwrap().remove(0);
        let patch = json!({"status": {"targetPrimary": target}}).to_string();
        self.cluster.must(&["patch", "cluster", CLUSTER, "--subresource=status", "--type=merge", "-p", &patch]).await;
        let until = async || match self.cluster.primary().await? {
            now if now == target => Ok(()),
            now => Err(now),
        };
        self.cluster.kubectl.until("the primary that was asked for", 120, until).await;
        assert_eq!(self.is_whole(240).await, target);
    }

    /// Two instances, and then four, and three again.
    pub async fn scaled(&self) {
        for instances in [2, 4, 3] {
            self.cluster.change(&json!({"instances": instances})).await;
            let until = async || match self.cluster.pods().await? {
                pods if pods.len() == instances => Ok(()),
                pods => Err(format!("{} pods", pods.len())),
            };
            self.cluster.kubectl.until(&format!("{instances} instances"), 180, until).await;
            self.is_whole(300).await;
        }
    }

    /// Another image: one instance after the other, the primary last.
    pub async fn rolled(&self) {
        let before = self.cluster.primary().await.unwrap();
        self.cluster.change(&json!({"imageName": self.next_image})).await;
        let until = async || {
            let pods = self.cluster.pods().await?;
            let old = pods.iter().filter(|pod| text(pod, "/spec/containers/0/image") != self.next_image).count();
            if old == 0 && pods.len() == 3 { Ok(()) } else { Err(format!("{old} of {} are old", pods.len())) }
        };
        self.cluster.kubectl.until("three instances of the next image", 400, until).await;
        let after = self.is_whole(240).await;
        println!("e2e: the primary was {before}, and is {after}");
    }

    /// The Cluster is deleted, and with it all that was made for it.
    pub async fn deleted(&self) {
        self.cluster.must(&["delete", "cluster", CLUSTER, "--wait=false"]).await;
        let kubectl = &self.cluster.kubectl;
        for kind in OWNED {
            kubectl
                .until(&format!("no {kind}"), 180, async || {
                    let list = kubectl.json(&["--namespace", NAMESPACE, "get", kind]).await?;
                    let names = items(&list).iter().map(|one| text(one, "/metadata/name"));
                    let left: Vec<String> = names.filter(|name| name.starts_with(CLUSTER)).collect();
                    if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
                })
                .await;
        }
    }
}
