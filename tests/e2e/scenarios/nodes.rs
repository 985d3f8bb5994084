//! What happens to a whole node, the primary's: drained by its administrator, without its kubelet, out of the network.

use crate::cluster::text;
use crate::world::World;

impl World {
    /// `kubectl drain`: the primary moves before its pod is evicted, and comes back when the node does.
    pub async fn drained(&self) {
        let primary = self.cluster.primary().await.unwrap();
        let node = self.cluster.node_of(&primary).await;
        let drain = ["drain", &node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s"];
        let drained = self.cluster.kubectl.ask(&drain).await;
        self.cluster.kubectl.must(&["uncordon", &node]).await;
        drained.unwrap_or_else(|error| panic!("{error}"));
        let next = self.is_whole(300).await;
        assert_ne!(next, primary);
    }

    /// The kubelet is killed: its pods run on, and so does the primary, until the node counts as lost; clients are served
    /// all the while or again, by whoever is the primary then.
    pub async fn kubelet_stopped(&mut self) {
        let primary = self.cluster.primary().await.unwrap();
        let node = self.cluster.node_of(&primary).await;
        self.place.stop_kubelet(&node).await;
        let cluster = &self.cluster;
        let not_ready = cluster.kubectl.until("a node that is not ready", 180, async || {
            let conditions = cluster.kubectl.json(&["get", "node", &node]).await?["status"]["conditions"].take();
            let ready = conditions.as_array().and_then(|all| all.iter().find(|one| one["type"] == "Ready").cloned());
            match ready.map(|ready| text(&ready, "/status")) {
                Some(status) if status == "Unknown" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        not_ready.await;
        cluster.another_primary(&primary, 180).await;
        self.rows_are_written(120).await;
        self.place.start_kubelet(&node).await;
        self.is_whole(300).await;
    }

    /// The primary's node loses its network: the primary stops itself in time, another takes over, and it follows when it
    /// is back.
    pub async fn cut_off(&mut self) {
        let primary = self.cluster.primary().await.unwrap();
        let node = self.cluster.node_of(&primary).await;
        self.place.cut(&node, true).await;
        self.cluster.another_primary(&primary, 120).await;
        self.rows_are_written(120).await;
        self.place.cut(&node, false).await;
        let next = self.is_whole(300).await;
        assert_ne!(next, primary);
    }
}
