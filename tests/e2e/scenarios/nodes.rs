//! What happens to a whole node, the primary's: drained by its administrator, without its kubelet, out of the network.

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

    /// The kubelet is killed: its pods run on, and so does the primary, until the node counts as lost; then it is in no
    /// service any more, and hands over.
    pub async fn kubelet_stopped(&mut self) {
        let primary = self.cluster.primary().await.unwrap();
        let node = self.cluster.node_of(&primary).await;
        self.place.stop_kubelet(&node).await;
        let moved = self.moves_from(&primary).await;
        self.place.start_kubelet(&node).await;
        moved.unwrap();
        self.is_whole(300).await;
    }

    /// The primary's node loses its network: the primary stops itself in time, another takes over, and it follows when it
    /// is back.
    pub async fn cut_off(&mut self) {
        let primary = self.cluster.primary().await.unwrap();
        let node = self.cluster.node_of(&primary).await;
        self.place.cut(&node, true).await;
        let moved = self.moves_from(&primary).await;
        self.place.cut(&node, false).await;
        moved.unwrap();
        let next = self.is_whole(300).await;
        assert_ne!(next, primary);
    }

    /// Somebody else is the primary, and a client that comes anew finds it.
    async fn moves_from(&self, primary: &str) -> Result<(), String> {
        let (cluster, load) = (&self.cluster, self.load.as_ref().unwrap());
        let another = async || match cluster.primary().await? {
            now if now == primary => Err(format!("it is {now}")),
            _ => Ok(()),
        };
        cluster.kubectl.wait("another primary", 240, another).await?;
        let verdict = cluster.kubectl.wait("an answer to a new client", 120, async || load.verdict().await).await?;
        if verdict.holds() { Ok(()) } else { Err(format!("{verdict:?}")) }
    }
}
