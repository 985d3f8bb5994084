//! The primary is moved on request, while rows are written: by the program, by the status, and to a target that freezes
//! on its way.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use pgherd_localkube::fault::{FaultRequest, Target};
use serde_json::json;

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::cluster::text;

impl Bed {
    /// All of these moves; answers the primary in the end.
    pub async fn moved_about(&self, primary: String) -> String {
        let load = self.load().await;
        let target = self.standby().await;
        self.hurt(&load, "`pgherd promote`", async || {
            let asked = self.program(&["promote"], &["--instance", &target]).await;
            assert!(asked.status.success(), "{asked:?}");
            self.becomes_primary(&target).await;
        })
        .await;
        self.healthy(90).await;
        self.nothing_lost(&load).await;

        self.hurt(&load, "status.targetPrimary, of a standby that begins", async || {
            self.asked_as_it_begins(&primary).await;
            self.becomes_primary(&primary).await;
        })
        .await;
        self.healthy(90).await;
        self.nothing_lost(&load).await;

        let target = self.standby().await;
        self.hurt(&load, "status.targetPrimary, which freezes while it takes over", async || {
            self.ask_for(&target).await;
            self.until("the old primary on its way out", 30, async || {
                let (holder, state) = self.holder().await?;
                if holder != target && state == "open" { Err(format!("{holder} is {state}")) } else { Ok(()) }
            })
            .await;
            self.fault(FaultRequest::Freeze { target: Target::Pod, pod: self.full(&target) }).await;
        })
        .await;
        self.say(&format!("{} writes while the target is frozen", self.primary().await));
        self.fault(FaultRequest::Heal).await;
        let primary = self.healthy(120).await;
        self.settle(load).await;
        primary
    }

    /// Asks once.
    pub async fn ask_for(&self, target: &str) {
        let patch = Patch::Merge(json!({ "status": { "targetPrimary": target } }));
        self.clusters().patch_status(CLUSTER, &PatchParams::default(), &patch).await.unwrap();
        self.until(&format!("an election of {target}"), 60, async || {
            let status = self.cluster().await?.get("status").cloned().unwrap_or_default();
            let asked = text(&status, "/targetPrimary");
            let refusal = status.pointer("/electionRefusal").map(ToString::to_string).unwrap_or_default();
            assert_eq!(asked, target, "refused: {refusal}");
            if text(&status, "/election/winner") == target { Ok(()) } else { Err("it is asked for".to_owned()) }
        })
        .await;
    }

    /// A standby that has only just begun cannot say yet how far it is, and is not refused for that.
    async fn asked_as_it_begins(&self, target: &str) {
        self.kill(Target::Postmaster, target).await;
        self.until(&format!("{target} to notice"), 30, async || match self.phase_of(target).await {
            phase if phase == "standby" => Err(phase),
            _ => Ok(()),
        })
        .await;
        self.until(&format!("{target} to be a standby"), 30, async || match self.phase_of(target).await {
            phase if phase == "standby" => Ok(()),
            phase => Err(phase),
        })
        .await;
        self.ask_for(target).await;
    }

    /// What a member says that it does.
    async fn phase_of(&self, pod: &str) -> String {
        text(&self.report_of(pod).await, "/phase")
    }

    /// Waits until it is.
    pub async fn becomes_primary(&self, pod: &str) {
        self.until(&format!("{pod} to be the primary"), 60, async || match self.primary().await {
            now if now == pod => Ok(()),
            now => Err(format!("{now} is")),
        })
        .await;
    }

    /// Who holds the lease, and how.
    pub async fn holder(&self) -> Result<(String, String), String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        let lease = leases.get(CLUSTER).await.map_err(|error| error.to_string())?;
        let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
        Ok((holder, lease.metadata.annotations.unwrap_or_default().remove("pgherd.io/state").unwrap_or_default()))
    }
}
