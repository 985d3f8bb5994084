//! Leases whose cluster and pods were gone before this process led: their finalizer is ours to take off, and nothing else
//! would wake us for it. Of clusters that go later, the watches tell.

use crate::apply::let_go_of_lease;
use crate::caches::{Caches, Key};
use crate::watched::Scope;
use core::time::Duration;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Client, ResourceExt};
use pgherd_proto::labels;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Between two tries.
const RETRY: Duration = Duration::from_secs(30);

/// Sweeps once each time that this process begins to lead.
pub fn start(client: Client, scope: Scope, caches: Caches, mut leads: watch::Receiver<bool>, tasks: &mut JoinSet<()>) {
    tasks.spawn(async move {
        while caches.ready().await.is_ok() {
            let due = *leads.borrow_and_update();
            let swept = if due { sweep(&client, &scope, &caches).await } else { Ok(()) };
            if let Err(error) = &swept {
                tracing::warn!(error = %pgherd_telemetry::chain(error.as_ref()), "could not look for leases of deleted clusters");
            }
            let changed = async {
                // Where there is no election among controllers, nothing ever changes.
                if leads.changed().await.is_err() {
                    core::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(RETRY), if swept.is_err() => {}
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
