//! Objects of kinds that an API server takes and nobody here serves: each is told so, in its status where it has one that
//! says it, and by an Event, so that silence is never taken for consent. What is said is `proto/unsupported-fields.txt`'s.

use crate::clock;
use crate::retry::Retry;
use core::time::Duration;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Event;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use pgherd_core::plan::EventKind;
use pgherd_proto::event::{News, event};
use pgherd_proto::names::{API_GROUP, CONTROLLER_COMMON_NAME};
use pgherd_proto::{labels, unsupported, watching};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Kind, plural, and whether its status has `applied` and `message`.
const KINDS: [(&str, &str, bool); 5] = [
    ("Pooler", "poolers", false),
    ("Database", "databases", true),
    ("DatabaseRole", "databaseroles", true),
    ("Publication", "publications", true),
    ("Subscription", "subscriptions", true),
];
const REASON: &str = "NotServed";
/// After a watch that was refused: the definition may not be there, or not be ours to see.
const PAUSE: Duration = Duration::from_secs(60);

/// Watches each kind that is on the list as a whole. Ends with `tasks`.
pub fn start(client: &Client, leads: &watch::Receiver<bool>, tasks: &mut JoinSet<()>) {
    for (kind, plural, has_status) in KINDS {
        let Some(field) = unsupported::fields().iter().find(|field| field.object == kind && field.path == "spec")
        else {
            continue;
        };
        let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(API_GROUP, "v1", kind));
        plural.clone_into(&mut resource.plural);
        let told = Told { client: client.clone(), resource, has_status, message: field.finding().message };
        let mut leads = leads.clone();
        tasks.spawn(async move {
            // One of several controllers says it. Whoever has led once stays: the process ends with its lease.
            if leads.wait_for(|leads| *leads).await.is_ok() {
                told.follow().await;
            }
        });
    }
}

struct Told {
    client: Client,
    resource: ApiResource,
    has_status: bool,
    message: String,
}

impl Told {
    async fn follow(self) {
        // Which generation of an object was told.
        let mut told: BTreeMap<String, i64> = BTreeMap::new();
        let all = Api::<DynamicObject>::all_with(self.client.clone(), &self.resource);
        let mut stream = std::pin::pin!(watching::watcher(all, watcher::Config::default()).backoff(Retry::default()));
        while let Some(seen) = stream.next().await {
            match seen {
                Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                    let generation = object.metadata.generation.unwrap_or_default();
                    let uid = object.uid().unwrap_or_default();
                    if told.get(&uid) == Some(&generation) {
                        continue;
                    }
                    match self.tell(&object).await {
                        Ok(()) => drop(told.insert(uid, generation)),
                        Err(error) => {
                            tracing::debug!(kind = %self.resource.kind, name = %object.name_any(), %error, "it was not told");
                        }
                    }
                }
                Ok(watcher::Event::Delete(object)) => drop(told.remove(&object.uid().unwrap_or_default())),
                Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                Err(error) => {
                    tracing::debug!(kind = %self.resource.kind, %error, "a kind that is not served is not seen either");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn tell(&self, object: &DynamicObject) -> Result<(), kube::Error> {
        let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
        let generation = object.metadata.generation.unwrap_or_default();
        if self.has_status && !says(&object.data, &self.message, generation) {
            let status = json!({ "applied": false, "message": self.message, "observedGeneration": generation });
            let params = PatchParams {
                field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let objects = Api::<DynamicObject>::namespaced_with(self.client.clone(), &namespace, &self.resource);
            objects.patch_status(&name, &params, &Patch::Merge(json!({ "status": status }))).await?;
        } else if self.has_status {
            return Ok(());
        }
        let news = News { kind: EventKind::Warning, reason: REASON, message: &self.message };
        let about = k8s_openapi::api::core::v1::ObjectReference {
            api_version: Some(self.resource.api_version.clone()),
            kind: Some(self.resource.kind.clone()),
            name: Some(name),
            namespace: Some(namespace.clone()),
            uid: object.uid(),
            ..k8s_openapi::api::core::v1::ObjectReference::default()
        };
        let id = uuid::Uuid::new_v4();
        let event = event(about, news, CONTROLLER_COMMON_NAME, id.simple(), clock::stamp().0);
        let events = Api::<Event>::namespaced(self.client.clone(), &namespace);
        events.create(&PostParams::default(), &event).await.map(drop)
    }
}

/// Whether the status says it already.
fn says(data: &Value, message: &str, generation: i64) -> bool {
    let status = &data["status"];
    status["applied"] == false && status["message"] == message && status["observedGeneration"] == generation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_says_it_is_not_written_again() {
        let data = json!({ "status": { "applied": false, "message": "m", "observedGeneration": 2 } });
        assert!(says(&data, "m", 2) && !says(&data, "m", 3) && !says(&json!({}), "m", 2));
    }

    #[test]
    fn every_kind_that_is_listed_as_a_whole_is_told() {
        let listed = unsupported::fields().iter().filter(|field| field.path == "spec").map(|field| field.object);
        for kind in listed {
            assert!(KINDS.iter().any(|(known, ..)| *known == kind), "{kind}");
        }
    }
}
