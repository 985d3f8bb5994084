//! A base backup in S3, and a second cluster out of it.

use serde_json::{Value, json};

use crate::cluster::{CLUSTER, Cluster, NAMESPACE, text};
use crate::world::World;

/// The cluster that is recovered.
const SECOND: &str = "phoenix-guardian-db-restored";
const BACKUP: &str = "by-hand";

impl World {
    /// A Backup is asked for and completed, of an instance by the example's own object store.
    pub async fn backed_up(&self) {
        let primary = self.cluster.primary().await.unwrap();
        let table = "CREATE TABLE IF NOT EXISTS kept AS SELECT n, md5(n::text) AS text FROM generate_series(1, 1000) n";
        // A checkpoint that is due by then takes as long as the example spreads it.
        self.cluster.sql(&primary, &format!("{table}; CHECKPOINT")).await.unwrap();
        let backup = json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup",
            "metadata": {"name": BACKUP, "namespace": NAMESPACE}, "spec": {"cluster": {"name": CLUSTER}},
        });
        self.cluster.kubectl.apply(&backup).await;
        let status = self
            .cluster
            .kubectl
            .until("a base backup", 600, async || {
                let status = self.cluster.get("backup", BACKUP).await?["status"].take();
                match text(&status, "/phase").as_str() {
                    "completed" | "failed" => Ok(status),
                    other => Err(format!("phase {other:?}, {}", status["progress"])),
                }
            })
            .await;
        assert_eq!(status["phase"], "completed", "{status:#}");
        println!("e2e: backup {} by {}", status["backupId"], text(&status, "/instanceID/podName"));
        self.is_whole(240).await;
    }

    /// A second cluster is made of that backup and the WAL after it, to the end of the archive, and has the rows.
    pub async fn recovered(&self) {
        let primary = self.cluster.primary().await.unwrap();
        let last = "INSERT INTO kept SELECT n, md5(n::text) FROM generate_series(1001, 2000) n";
        self.cluster.sql(&primary, last).await.unwrap();
        let segment = "SELECT last_archived_wal FROM pg_stat_archiver";
        // Asked apart: what is said in one breath is committed after the switch.
        let wanted = self.cluster.sql(&primary, "SELECT pg_walfile_name(pg_switch_wal())").await.unwrap();
        self.cluster
            .kubectl
            .until("the rows in the archive", 120, async || match self.cluster.sql(&primary, segment).await? {
                archived if archived[8..] >= wanted[8..] => Ok(()),
                archived => Err(format!("{archived}, of {wanted}")),
            })
            .await;
        let mut first = self.cluster.get("cluster", CLUSTER).await.unwrap();
        let mut spec = first["spec"].take();
        let mut store = spec["backup"]["barmanObjectStore"].clone();
        store["serverName"] = CLUSTER.into();
        spec["instances"] = 1.into();
        spec["backup"] = Value::Null;
        spec["bootstrap"] = json!({"recovery": {"source": "first"}});
        spec["externalClusters"] = json!([{"name": "first", "barmanObjectStore": store}]);
        let cluster = json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "metadata": {"name": SECOND, "namespace": NAMESPACE}, "spec": spec,
        });
        self.cluster.kubectl.apply(&cluster).await;
        let second = Cluster { kubectl: self.cluster.kubectl.clone(), name: SECOND.to_owned() };
        let primary = second.healthy(400).await;
        let sum = "SELECT count(*) || ' ' || count(DISTINCT n) || ' ' || bool_and(text = md5(n::text)) FROM kept";
        assert_eq!(second.sql(&primary, sum).await.unwrap(), "2000 2000 true");
        self.cluster.must(&["delete", "cluster", SECOND, "--wait=false"]).await;
        self.cluster
            .kubectl
            .until("no second cluster", 180, async || match second.pods().await? {
                pods if pods.is_empty() => Ok(()),
                pods => Err(format!("{} pods", pods.len())),
            })
            .await;
        self.is_whole(240).await;
    }
}
