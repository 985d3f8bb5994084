//! What happens to the primary without anybody's order, on a node that is well.

use crate::world::World;

impl World {
    /// SIGKILL to postgres in the container: the manager hands the end of its WAL to another instance.
    pub async fn postmaster_killed(&self) {
        let primary = self.cluster.primary().await.unwrap();
        let words = "kill -9 $(head -n 1 \"$PGDATA/postmaster.pid\")";
        self.cluster.exec(&primary, &["bash", "-c", words]).await.unwrap();
        self.cluster.another_primary(&primary, 120).await;
        self.is_whole(240).await;
    }

    /// Its pod is deleted, as an eviction or a person does: a switchover, and the pod is made again on its volume.
    pub async fn pod_deleted(&self) {
        let primary = self.cluster.primary().await.unwrap();
        self.cluster.must(&["delete", "pod", &primary, "--wait=false"]).await;
        self.cluster.another_primary(&primary, 120).await;
        self.is_whole(240).await;
    }
}
