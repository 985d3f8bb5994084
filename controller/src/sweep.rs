//! Leases whose cluster and pods are gone: their finalizer is ours to take off, and nothing else would wake us for it.

use crate::apply::let_go_of_lease;
use crate::caches::{Caches, Key};
use crate::queue::Waker;
use crate::watched::Scope;
use core::time::Duration;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Client, ResourceExt};
use pgherd_proto::labels;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A deleted cluster's lease waits no longer than this if its deletion was missed.
const PERIOD: Duration = Duration::from_secs(30);

/// Sweeps now and then, and wakes clusters that nothing else would, while this process `leads`.
pub fn start(
    client: Client,
    scope: Scope,
    caches: Caches,
    waker: Waker,
    leads: watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) {
    tasks.spawn(async move {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if caches.ready().await.is_err() {
                return;
            }
            if !*leads.borrow() {
                continue;
            }
            for key in caches.keys() {
                waker.wake(key).await;
            }
            if let Err(error) = sweep(&client, &scope, &caches).await {
                tracing::warn!(error = %pgherd_telemetry::chain(error.as_ref()), "could not look for leases of deleted clusters");
            }
        }
    });
}

async fn sweep(
    client: &Client,
    scope: &Scope,
    caches: &Caches,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let params = ListParams::default().labels(labels::CLUSTER);
    let mut leases = Vec::new();
    for api in scope.apis::<Lease>(client) {
        leases.extend(api.list_metadata(&params).await?.items);
    }
    for lease in leases {
        let (Some(namespace), name) = (lease.namespace(), lease.name_any()) else { continue };
        let deleting = lease.metadata.deletion_timestamp.is_some();
        let key = Key { namespace: namespace.clone(), name: name.clone() };
        let orphan = caches.cluster(&key).is_none() && caches.pods.of(&key).is_empty();
        if deleting && orphan {
            let_go_of_lease(client, &namespace, &name).await?;
        }
    }
    Ok(())
}
