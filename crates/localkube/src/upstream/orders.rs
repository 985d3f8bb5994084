//! Carries the node's writes to the API server, one after the other and again until they are done, as a kubelet does. What
//! is refused is refused: the object has changed or gone, and the node looks at the copy.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::api;
use crate::api::{DeleteOptions, Order, Upstream, Wish};

/// How long to wait where the server did not answer.
const AGAIN: Duration = Duration::from_millis(200);
/// Whose fields the node's are.
const MANAGER: &str = "pgherd-local-node";

/// Orders that wait.
#[derive(Default)]
pub struct Orders {
    waiting: Mutex<VecDeque<Order>>,
    more: Notify,
}

impl Upstream for Orders {
    fn order(&self, order: Order) {
        // A real cluster has a controller for these.
        if order.resource.gr.plural == "endpoints" {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.iter_mut().find(|other| is_newer(&order, other)) {
            Some(older) => *older = order,
            None => waiting.push_back(order),
        }
        drop(waiting);
        self.more.notify_one();
    }
}

/// It says the same anew: patches of the node have every field that they are about.
fn is_newer(order: &Order, other: &Order) -> bool {
    let fields = |patch: &Value| patch.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
    let same = order.name == other.name && order.namespace == other.namespace && order.resource.gr == other.resource.gr;
    same && match (&order.wish, &other.wish) {
        (Wish::Merge(new), Wish::Merge(old)) | (Wish::MergeStatus(new), Wish::MergeStatus(old)) => {
            fields(new) == fields(old)
        }
        _ => false,
    }
}

impl Orders {
    /// Carries them out until the future is dropped.
    pub async fn carry_out(&self, client: Client) {
        loop {
            let first = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(order) = first else {
                self.more.notified().await;
                continue;
            };
            match carry(&client, &order).await {
                Ok(()) => {}
                Err(kube::Error::Api(status)) if is_final(status.code) => {
                    let (resource, name) = (&order.resource.gr, &order.name);
                    match (status.code, &order.wish) {
                        (409, Wish::Create(_)) => {}
                        (404 | 409, _) => {
                            tracing::debug!(%resource, name, message = status.message, "not wanted any more");
                        }
                        _ => {
                            tracing::warn!(%resource, name, message = status.message, "the API server refuses a write");
                        }
                    }
                }
                Err(error) => {
                    let name = &order.name;
                    tracing::debug!(name, error = pgherd_telemetry::chain(&error), "a write is tried again");
                    self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_front(order);
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

fn is_final(code: u16) -> bool {
    (400..500).contains(&code) && code != 429
}

async fn carry(client: &Client, order: &Order) -> Result<(), kube::Error> {
    let (objects, name) = (api(client, &order.resource, &order.namespace), order.name.as_str());
    let posted = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let patched = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match &order.wish {
        Wish::Create(object) => {
            let object: DynamicObject = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
            objects.create(&posted, &object).await.map(drop)
        }
        Wish::Merge(patch) => match patch.pointer("/spec/nodeName").filter(|_| order.resource.kind == "Pod") {
            Some(node) => {
                let target = json!({"apiVersion": "v1", "kind": "Node", "name": node});
                let mut metadata = patch.get("metadata").cloned().unwrap_or(json!({}));
                if let Value::Object(fields) = &mut metadata {
                    fields.insert("name".to_owned(), name.into());
                }
                let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target});
                objects.create_subresource::<_, Value>("binding", name, &posted, &binding).await.map(drop)
            }
            None => objects.patch(name, &patched, &Patch::Merge(patch)).await.map(drop),
        },
        Wish::MergeStatus(patch) => objects.patch_status(name, &patched, &Patch::Merge(patch)).await.map(drop),
        Wish::Delete(options) => objects.delete(name, &delete_params(options)).await.map(drop),
    }
}

fn delete_params(options: &DeleteOptions) -> DeleteParams {
    let over = Preconditions { uid: options.uid.clone(), resource_version: options.version.clone() };
    DeleteParams {
        grace_period_seconds: options.grace.and_then(|grace| u32::try_from(grace).ok()),
        preconditions: (options.uid.is_some() || options.version.is_some()).then_some(over),
        ..DeleteParams::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::GroupResource;

    fn waiting(orders: &Orders) -> Vec<Wish> {
        orders.waiting.lock().unwrap().iter().map(|order| order.wish.clone()).collect()
    }

    #[test]
    fn of_two_writes_that_say_the_same_anew_the_newer_is_carried_and_others_keep_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let ips = std::sync::Arc::new(crate::net::address::ServiceAddresses::default());
        let store = crate::api::Store::open(directory.path(), ips).unwrap();
        let orders = std::sync::Arc::new(Orders::default());
        store.follow(orders.clone());
        let status = |phase: &str| json!({"metadata": {"uid": "u"}, "status": {"phase": phase}});
        store.create("nodes", "", json!({"metadata": {"name": "n"}})).unwrap();
        store.merge_status("pods", "ns", "a", &status("Pending")).unwrap();
        store.merge_status("pods", "ns", "b", &status("Pending")).unwrap();
        store.merge_status("pods", "ns", "a", &status("Running")).unwrap();
        store.create("endpoints", "ns", json!({"metadata": {"name": "e"}})).unwrap();
        let options = DeleteOptions { grace: Some(0), ..DeleteOptions::default() };
        store.delete("pods", "ns", "a", &options).unwrap();
        let expected = [
            Wish::Create(json!({"metadata": {"name": "n"}})),
            Wish::MergeStatus(status("Running")),
            Wish::MergeStatus(status("Pending")),
            Wish::Delete(options),
        ];
        assert_eq!(waiting(&orders), expected);
        assert!(store.get("nodes", "", "n").is_err(), "it is seen once the server has it");
        let node = json!({"metadata": {"name": "n", "uid": "real"}});
        store.mirror(&GroupResource::new("", "nodes"), "", "n", Some(node)).unwrap();
        assert_eq!(store.get("nodes", "", "n").unwrap()["metadata"]["uid"], "real");
    }
}
