//! What a cluster goes through on either API server.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use pgherd_localkube::fault::Target;
use pgherd_testkit::bed::text;
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::load::Load;

/// The example, with a checkpoint that is not spread over minutes.
pub fn edit(cluster: &mut Value) {
    cluster["spec"]["backup"]["barmanObjectStore"]["data"]["immediateCheckpoint"] = true.into();
    // The kind is not installed.
    cluster["spec"]["monitoring"]["enablePodMonitor"] = false.into();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_goes_through_its_life_on_the_local_api() {
    let bed = Bed::start("kube-local", edit).await;
    let load = bed.life().await;
    bed.settle(load).await;
    bed.is_deleted().await;
    bed.down().await;
}

impl Bed {
    /// Bootstrap, failover, switchover, a deleted pod, scaling, a backup; rows are written all the while, and none is lost.
    pub async fn life(&self) -> Load {
        let primary = self.healthy(120).await;
        let load = self.load().await;
        self.hurt(&load, "the postmaster killed", async || {
            self.kill(Target::Postmaster, &primary).await;
            self.another_primary(&primary, 60).await;
        })
        .await;
        self.healthy(90).await;
        let target = self.standby().await;
        self.hurt(&load, "a switchover by status.targetPrimary", async || {
            self.move_to(&target).await;
        })
        .await;
        let primary = self.healthy(90).await;
        self.hurt(&load, "the primary's pod deleted", async || {
            self.delete_pod(&primary).await.unwrap();
            self.another_primary(&primary, 60).await;
        })
        .await;
        self.healthy(120).await;
        for instances in [2, 3] {
            self.change_spec(&json!({"instances": instances})).await.unwrap();
            self.until(&format!("{instances} instances"), 60, async || match self.members().await {
                Ok(members) if members.len() == instances => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await;
            self.healthy(120).await;
        }
        let done = self.back_up("by-hand", Duration::from_secs(120), |_| {}).await.unwrap();
        self.say(&format!("backup {:?} by {:?}", done.backup_id, done.instance_id));
        self.nothing_lost(&load).await;
        load
    }

    /// A switchover, asked for as CNPG's plugin asks for it.
    pub async fn move_to(&self, target: &str) {
        let patch = Patch::Merge(json!({"status": {"targetPrimary": target}}));
        self.clusters().patch_status(CLUSTER, &PatchParams::default(), &patch).await.unwrap();
        self.until("the primary that was asked for", 60, async || {
            let now = text(&self.cluster().await?, "/status/currentPrimary");
            if now == target { Ok(()) } else { Err(now) }
        })
        .await;
    }

    /// The Cluster is deleted, and with it all that was made for it.
    pub async fn is_deleted(&self) {
        self.clusters().delete(CLUSTER, &DeleteParams::default()).await.unwrap();
        let mut last = String::new();
        for (group, version, kind) in OWNED {
            self.until(&format!("no {kind}"), 90, async || {
                let left = self.left_of(group, version, kind).await?;
                if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
            })
            .await;
            last.push_str(kind);
            last.push(' ');
        }
        self.say(&format!("nothing is left: {last}"));
    }

    /// Names of the objects that are the cluster's.
    async fn left_of(&self, group: &str, version: &str, kind: &str) -> Result<Vec<String>, String> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let objects: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), NAMESPACE, &resource);
        let found = objects.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        Ok(found.iter().map(ResourceExt::name_any).filter(|name| name.starts_with(CLUSTER)).collect())
    }
}

/// What the controller makes, and what others make of that.
const OWNED: [(&str, &str, &str); 12] = [
    ("postgresql.cnpg.io", "v1", "Cluster"),
    ("postgresql.cnpg.io", "v1", "FailoverQuorum"),
    ("coordination.k8s.io", "v1", "Lease"),
    ("", "v1", "Pod"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Service"),
    ("", "v1", "Endpoints"),
    ("", "v1", "Secret"),
    ("", "v1", "ServiceAccount"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    ("", "v1", "ConfigMap"),
];
