//! WAL on volumes of its own: what other scenarios ask for and look at, and a volume of data that fails beside it.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, DeleteParams};
use pgherd_localkube::fault::DiskFault;
use serde_json::{Value, json};

use crate::bed::{Bed, NAMESPACE};
use crate::machines::three_machines;

/// Segments in `pg_wal`, and in the folders of the volume.
const SEGMENTS: &str = "SELECT (SELECT count(*) FROM pg_ls_dir('pg_wal') AS name WHERE name ~ '^[0-9A-F]{24}$') || ' ' || \
     (SELECT count(*) FROM pg_ls_dir('/var/lib/postgresql/wal') AS folder, \
      pg_ls_dir('/var/lib/postgresql/wal/' || folder) AS name WHERE folder LIKE 'pg\\_wal%' AND name ~ '^[0-9A-F]{24}$')";

/// `spec.walStorage`.
pub fn storage() -> Value {
    json!({"size": "10Gi"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_whose_data_cannot_be_written_is_followed_by_another_although_its_wal_can() {
    let apart = |cluster: &mut Value| cluster["spec"]["walStorage"] = storage();
    let bed = Bed::start_with("wal-apart", apart, three_machines).await;
    let primary = bed.healthy(120).await;
    bed.wal_is_apart().await;
    let load = bed.load().await;
    bed.outlives_its_disk(&load, &primary, DiskFault::Hung).await;
    load.stop().await;
    bed.down().await;
}

impl Bed {
    /// Every instance has its WAL on its volume, in one folder, and nowhere else.
    pub async fn wal_is_apart(&self) {
        let mut pods = self.standbys().await;
        pods.push(self.primary().await);
        for pod in pods {
            self.until(&format!("WAL of {pod} on its volume"), 60, async || {
                let said = self.ask(&pod, SEGMENTS).await?;
                match said.trim().split_once(' ') {
                    Some((seen, all)) if seen == all && seen != "0" => Ok(()),
                    _ => Err(said),
                }
            })
            .await;
            let claim = self.claim(&format!("{pod}-wal")).await;
            let labels = claim.metadata.labels.unwrap_or_default();
            assert_eq!(labels.get("cnpg.io/pvcRole").map(String::as_str), Some("PG_WAL"));
            assert_eq!(labels.get("cnpg.io/instanceName"), Some(&pod));
        }
        self.say("every instance has its WAL on its own volume");
    }

    /// Deletes the volume of an instance's WAL, as nobody should, and waits for another.
    pub async fn lose_wal(&self, pod: &str) {
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), NAMESPACE);
        let name = format!("{pod}-wal");
        let old = self.claim(&name).await.metadata.uid;
        claims.delete(&name, &DeleteParams::default()).await.unwrap();
        self.pods().delete(pod, &DeleteParams::default()).await.unwrap();
        self.until("another volume of WAL", 60, async || match claims.get_opt(&name).await {
            Ok(Some(claim)) if claim.metadata.uid != old => Ok(()),
            other => Err(format!("{:?}", other.map(|claim| claim.map(|claim| claim.metadata.deletion_timestamp)))),
        })
        .await;
    }

    async fn claim(&self, name: &str) -> PersistentVolumeClaim {
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), NAMESPACE);
        claims.get(name).await.unwrap()
    }
}
