//! Clusters grow, shrink, live alone, and go.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use pgherd_localkube::fault::Target;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::bed::{Bed, CLUSTER, NAMESPACE};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_shrinks_grows_lives_alone_and_goes_without_a_trace() {
    let bed = Bed::start("size", |_| {}).await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;

    bed.scale(2).await;
    assert_eq!(bed.healthy(90).await, primary);
    bed.pods_are(2).await;
    bed.hurt(&load, "kill -9 of the primary's postmaster, one of two instances", async || {
        bed.kill(Target::Postmaster, &primary).await;
        bed.another_primary(&primary, 60).await;
    })
    .await;
    let primary = bed.healthy(90).await;
    bed.nothing_lost(&load).await;
    bed.scale(3).await;
    assert_eq!(bed.healthy(120).await, primary);
    bed.pods_are(3).await;
    bed.scale(1).await;
    assert_eq!(bed.healthy(90).await, primary);
    bed.pods_are(1).await;

    bed.hurt(&load, "kill -9 of the postmaster of the only instance", async || {
        let before = bed.started(&primary).await;
        bed.kill(Target::Postmaster, &primary).await;
        bed.started_again(&primary, &before, 60).await;
    })
    .await;
    assert_eq!(bed.healthy(90).await, primary);
    bed.settle(load).await;

    bed.clusters().delete(CLUSTER, &DeleteParams::default()).await.unwrap();
    bed.until("nothing left of the cluster", 90, async || {
        let mut left = bed.left::<k8s_openapi::api::core::v1::Pod>().await;
        left.extend(bed.left::<PersistentVolumeClaim>().await);
        left.extend(bed.left::<Service>().await);
        left.extend(bed.left::<Secret>().await);
        left.extend(bed.left::<PodDisruptionBudget>().await);
        left.extend(bed.left::<Lease>().await);
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    })
    .await;
    bed.say("nothing is left of the deleted cluster");
    bed.down().await;
}

impl Bed {
    async fn scale(&self, instances: u32) {
        self.say(&format!("scale to {instances}"));
        let patch = json!({"spec": {"instances": instances}});
        self.clusters().patch(CLUSTER, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Waits until there are so many pods and volumes.
    async fn pods_are(&self, wanted: usize) {
        self.until("as many pods and volumes", 60, async || {
            let pods = self.left::<k8s_openapi::api::core::v1::Pod>().await;
            let claims = self.left::<PersistentVolumeClaim>().await;
            if pods.len() == wanted && claims.len() == wanted { Ok(()) } else { Err(format!("{pods:?} {claims:?}")) }
        })
        .await;
    }

    /// Objects of a kind that are called as the cluster is.
    async fn left<K>(&self) -> Vec<String>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), NAMESPACE);
        let all = objects.list(&ListParams::default()).await.unwrap().items;
        let names = all.into_iter().filter_map(|object| object.meta().name.clone());
        names.filter(|name| name.starts_with(CLUSTER)).map(|name| format!("{} {name}", K::kind(&()))).collect()
    }
}
