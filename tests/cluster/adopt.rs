//! A cluster as CloudNativePG leaves it, asleep, is taken over on its own volumes.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::program::said;

/// What CloudNativePG has in PGDATA beside what initdb makes.
const CUSTOM_CONF: &str = "\
archive_command = '/controller/manager wal-archive --log-destination /controller/log/postgres.json %p'
archive_mode = 'on'
cluster_name = 'phoenix'
cnpg.config_sha256 = '0123'
log_destination = 'csvlog'
log_directory = '/controller/log'
logging_collector = 'on'
recovery_target_timeline = 'latest'
restore_command = '/controller/manager wal-restore --log-destination /controller/log/postgres.json %f %p'
ssl_ca_file = '/controller/certificates/client-ca.crt'
unix_socket_directories = '/controller/run'
";

impl Bed {
    /// It hibernates; all that only pgherd has is taken away, and what CloudNativePG has is there; it is taken over.
    pub async fn slept_and_adopted(&self) {
        let slept = said(self.program(&["hibernate", "on"], &["--wait"]).await);
        assert!(slept.contains("Cluster has been hibernated"), "{slept}");
        assert_eq!(self.pods().list(&ListParams::default()).await.unwrap().items.len(), 0);
        let asleep: Value =
            serde_json::from_str(&said(self.program(&["hibernate", "status"], &["-o", "json"]).await)).unwrap();
        assert_eq!(asleep["hibernated"], json!(true));
        self.as_cnpg_leaves_it().await;

        let said_first = said(self.program(&["migrate"], &[]).await);
        for word in ["the Lease of CloudNativePG is deleted", "Stays:", "The way back:"] {
            assert!(said_first.contains(word), "{word}: {said_first}");
        }
        let woken = said(self.program(&["migrate"], &["--take-over"]).await);
        assert!(woken.contains("wakes up"), "{woken}");
        self.healthy(120).await;
    }

    async fn as_cnpg_leaves_it(&self) {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        leases.patch(CLUSTER, &PatchParams::default(), &free).await.unwrap();
        leases.delete(CLUSTER, &kube::api::DeleteParams::default()).await.unwrap();
        let lease: Lease = serde_json::from_value(json!({"metadata": {"name": CLUSTER},
            "spec": {"holderIdentity": format!("{CLUSTER}-1"), "leaseDurationSeconds": 15}}))
        .unwrap();
        self.until("the Lease of another", 30, async || {
            leases.create(&PostParams::default(), &lease).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
        // Absent, it means another major to the other operator.
        let image = Patch::Merge(json!({"spec": {"imageName": "ghcr.io/cloudnative-pg/postgresql:15"}}));
        self.objects("postgresql.cnpg.io", "Cluster").patch(CLUSTER, &PatchParams::default(), &image).await.unwrap();
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), NAMESPACE);
        for claim in claims.list(&ListParams::default()).await.unwrap().items {
            let label =
                Patch::Merge(json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "cloudnative-pg"}}}));
            claims.patch(claim.metadata.name.as_deref().unwrap(), &PatchParams::default(), &label).await.unwrap();
        }
        let mut volumes = 0;
        for volume in std::fs::read_dir(self.directory.join("node/volumes")).unwrap().flatten() {
            let pgdata = volume.path().join("pgdata");
            if !pgdata.join("PG_VERSION").exists() {
                continue;
            }
            std::fs::remove_dir_all(volume.path().join("pgherd")).unwrap();
            std::fs::write(pgdata.join("custom.conf"), CUSTOM_CONF).unwrap();
            let main = pgdata.join("postgresql.conf");
            let text = std::fs::read_to_string(&main).unwrap();
            let own = text.lines().filter(|line| !line.trim_start().starts_with("include"));
            let text: String = own.map(|line| format!("{line}\n")).collect();
            std::fs::write(&main, format!("{text}include 'custom.conf'\n")).unwrap();
            volumes += 1;
        }
        assert_eq!(volumes, 3, "each instance has its volume");
    }
}
