//! Pods and volumes go away, in good order and without.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, DeleteParams};
use pgherd_localkube::fault::{ControllerFault, FaultRequest, Target};

use crate::bed::{Bed, NAMESPACE};
use crate::cluster::text;
use crate::wal_volumes;

#[tokio::test(flavor = "multi_thread")]
async fn pods_and_volumes_that_go_away_come_back() {
    let bed = Bed::start("pods", |cluster| cluster["spec"]["walStorage"] = wal_volumes::storage()).await;
    let primary = bed.healthy(120).await;
    bed.wal_is_apart().await;
    let load = bed.load().await;

    bed.hurt(&load, "the primary's pod deleted", async || {
        bed.pods().delete(&primary, &DeleteParams::default()).await.unwrap();
        bed.another_primary(&primary, 60).await;
    })
    .await;
    let primary = bed.healthy(90).await;
    bed.nothing_lost(&load).await;

    bed.hurt(&load, "a standby's pod deleted by force", async || {
        let standby = bed.standby().await;
        let before = bed.run_of(&standby).await;
        bed.pods().delete(&standby, &DeleteParams::default().grace_period(0)).await.unwrap();
        bed.another_run(&standby, &before, 60).await;
    })
    .await;
    assert_eq!(bed.healthy(90).await, primary, "a standby's pod moves nobody");

    bed.hurt(&load, "the primary's pod deleted by force", async || {
        let before = bed.run_of(&primary).await;
        bed.pods().delete(&primary, &DeleteParams::default().grace_period(0)).await.unwrap();
        bed.another_run(&primary, &before, 60).await;
    })
    .await;
    bed.healthy(90).await;
    bed.nothing_lost(&load).await;

    bed.hurt(&load, "the primary's pod deleted by force while its processes live", async || {
        let primary = bed.primary().await;
        bed.fault(FaultRequest::ForceDelete { pod: bed.full(&primary) }).await;
        bed.another_primary(&primary, 90).await;
    })
    .await;
    bed.fault(FaultRequest::Heal).await;
    bed.healthy(120).await;
    bed.nothing_lost(&load).await;

    bed.hurt(&load, "a standby's pod killed", async || {
        let standby = bed.standby().await;
        let before = bed.run_of(&standby).await;
        bed.kill(Target::Pod, &standby).await;
        bed.another_run(&standby, &before, 60).await;
    })
    .await;
    let primary = bed.fresh_primary().await;
    bed.hurt(&load, "the primary's pod killed", async || {
        let before = bed.run_of(&primary).await;
        bed.kill(Target::Pod, &primary).await;
        bed.another_run(&primary, &before, 60).await;
    })
    .await;
    bed.healthy(90).await;
    bed.nothing_lost(&load).await;

    let primary = bed.fresh_primary().await;
    bed.hurt(&load, "every pod killed at once", async || {
        let mut all = bed.standbys().await;
        all.push(primary.clone());
        for pod in &all {
            bed.kill(Target::Pod, pod).await;
        }
    })
    .await;
    bed.healthy(120).await;
    bed.nothing_lost(&load).await;

    bed.wal_is_apart().await;

    bed.hurt(&load, "a standby's volume of WAL deleted with its pod", async || {
        let standby = bed.standby().await;
        bed.lose_wal(&standby).await;
    })
    .await;
    let primary = bed.healthy(120).await;
    bed.nothing_lost(&load).await;
    bed.hurt(&load, "the primary's volume of data deleted with its pod", async || bed.lose_volume(&primary).await)
        .await;
    assert_ne!(bed.healthy(120).await, primary, "another took over before the volume was gone");
    bed.settle(load).await;
    bed.wal_is_apart().await;

    bed.lose_all_volumes().await;
    bed.down().await;
}

impl Bed {
    /// Every volume goes at once: the cluster says so, and nobody makes another database in its place.
    pub async fn lose_all_volumes(&self) {
        self.say("every volume deleted at once");
        let system = text(&self.cluster().await.unwrap(), "/status/systemID");
        // So that it sees all of them gone, and not one after the other.
        self.fault(FaultRequest::Controller { what: ControllerFault::Freeze }).await;
        let mut all = self.standbys().await;
        all.push(self.primary().await);
        for pod in &all {
            self.fault(FaultRequest::LoseVolume { pod: self.full(pod) }).await;
        }
        self.fault(FaultRequest::Heal).await;
        self.until("a cluster that says it is unrecoverable", 90, async || {
            let phase = text(&self.cluster().await?, "/status/phase");
            if phase.contains("unrecoverable") { Ok(()) } else { Err(phase) }
        })
        .await;
        for pod in &all {
            assert!(self.ask(pod, "SELECT 1").await.is_err(), "{pod} has a database from nowhere");
        }
        assert_eq!(text(&self.cluster().await.unwrap(), "/status/systemID"), system);
    }

    /// Deletes a volume and the pod that uses it, and waits until there is another volume.
    pub async fn lose_volume(&self, pod: &str) {
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), NAMESPACE);
        let old = claims.get(pod).await.unwrap().metadata.uid;
        claims.delete(pod, &DeleteParams::default()).await.unwrap();
        self.pods().delete(pod, &DeleteParams::default()).await.unwrap();
        self.until("another volume", 60, async || match claims.get_opt(pod).await {
            Ok(Some(claim)) if claim.metadata.uid != old => Ok(()),
            other => Err(format!("{:?}", other.map(|claim| claim.map(|claim| claim.metadata.deletion_timestamp)))),
        })
        .await;
    }
}
