//! Keeps the copy of what the node and its tools look at.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher;
use kube::{Client, ResourceExt as _};
use pgherd_proto::watching;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{UpstreamError, kind_of};
use crate::api::{ApiError, GroupResource, ResourceInfo, Store};

/// What the node runs pods from, and what the event log tells of.
const KINDS: [&str; 8] = [
    "pods",
    "nodes",
    "services",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "leases.coordination.k8s.io",
    "clusters.postgresql.cnpg.io",
];
/// Between a broken watch and the next.
const AGAIN: Duration = Duration::from_millis(500);
/// How long the first lists may take.
const LISTED_WITHIN: Duration = Duration::from_secs(30);

/// Starts the copying, and waits until everything was listed once.
///
/// # Errors
/// If the server does not answer with what is asked for.
pub async fn start(
    client: &Client,
    store: &Store,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<(), UpstreamError> {
    let (listed, mut seen) = watch::channel(0_usize);
    for kind in KINDS {
        let info = store.resource(kind).map_err(|_| UpstreamError::Silent)?;
        let (client, store, stop, listed) = (client.clone(), store.clone(), stop.clone(), listed.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = follow(client, store, info, listed) => {}
                () = stop.cancelled() => {}
            }
        });
    }
    let all = seen.wait_for(|count| *count >= KINDS.len());
    match tokio::time::timeout(LISTED_WITHIN, all).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(UpstreamError::Silent),
    }
}

async fn follow(client: Client, store: Store, info: Arc<ResourceInfo>, listed: watch::Sender<usize>) {
    let api: Api<DynamicObject> = Api::all_with(client, &kind_of(&info));
    let mut events = std::pin::pin!(watching::watcher(api, watcher::Config::default()));
    let mut present: BTreeSet<(String, String)> = BTreeSet::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        let done = match event {
            Ok(watcher::Event::Init) => {
                present.clear();
                Ok(())
            }
            Ok(watcher::Event::InitApply(object)) => {
                present.insert((object.namespace().unwrap_or_default(), object.name_any()));
                put(&store, &info, &object)
            }
            Ok(watcher::Event::InitDone) => {
                let done = forget_others(&store, &info.gr, &present);
                if std::mem::take(&mut first) {
                    listed.send_modify(|count| *count = count.saturating_add(1));
                }
                done
            }
            Ok(watcher::Event::Apply(object)) => put(&store, &info, &object),
            Ok(watcher::Event::Delete(object)) => put(&store, &info, &object).and_then(|()| {
                // As it was last: whoever looks at what is gone finds its end in it.
                store.mirror(&info.gr, &object.namespace().unwrap_or_default(), &object.name_any(), None)
            }),
            Err(error) => {
                tracing::warn!(resource = %info.gr, error = pgherd_telemetry::chain(&error), "a watch is taken up again");
                tokio::time::sleep(AGAIN).await;
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::error!(%error, resource = %info.gr, "the copy of the API server's objects is not whole");
        }
    }
}

fn put(store: &Store, info: &ResourceInfo, object: &DynamicObject) -> Result<(), ApiError> {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    // Objects of a list do not say what they are.
    if let Value::Object(fields) = &mut value {
        fields.insert("apiVersion".to_owned(), info.api_version().into());
        fields.insert("kind".to_owned(), info.kind.clone().into());
    }
    store.mirror(&info.gr, &object.namespace().unwrap_or_default(), &object.name_any(), Some(value))
}

/// What was removed while nobody watched.
fn forget_others(store: &Store, of: &GroupResource, present: &BTreeSet<(String, String)>) -> Result<(), ApiError> {
    use crate::api::object::{name, namespace};
    for object in store.list(of.clone(), None, "")?.items {
        if !present.contains(&(namespace(&object).to_owned(), name(&object).to_owned())) {
            store.mirror(of, namespace(&object), name(&object), None)?;
        }
    }
    Ok(())
}
