//! Events on the Cluster and its Backups: what a manager did that people should hear of.

use crate::cluster_api::ClusterApi;
use core::time::Duration;
use k8s_openapi::api::core::v1::{Event, ObjectReference};
use kube::Api;
use kube::api::PostParams;
use pgherd_proto::event::{News, event};
use pgherd_proto::labels::MANAGER_FIELD_MANAGER;
use pgherd_telemetry::chain;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Tells it; that it could not be told is only logged, since the log has it too.
pub async fn tell(api: &ClusterApi, about: ObjectReference, news: News<'_>) {
    let id = uuid::Uuid::new_v4();
    let event = event(about, news, MANAGER_FIELD_MANAGER, id.simple(), jiff::Timestamp::now());
    let events: Api<Event> = Api::namespaced(api.client.clone(), &api.namespace);
    let parameters = PostParams::default();
    match tokio::time::timeout(ANSWER_WITHIN, events.create(&parameters, &event)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(news.reason, error = %chain(&error), "an event was not told"),
        Err(_) => tracing::warn!(news.reason, "an event was not told: no answer"),
    }
}
