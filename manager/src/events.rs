//! Events on the Cluster: what a manager did that people should hear of.

use crate::cluster_api::ClusterApi;
use core::time::Duration;
use k8s_openapi::api::core::v1::{Event, EventSource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::PostParams;
use kube::{Api, Resource};
use pgherd_proto::cluster::Cluster;
use pgherd_telemetry::chain;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Longer ones are refused by the API server.
const LONGEST: usize = 1000;

/// Whether it is news or trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// `Normal`
    Normal,
    /// `Warning`
    Warning,
}

/// Tells it; that it could not be told is only logged, since the log has it too.
pub async fn tell(api: &ClusterApi, cluster: &Cluster, tone: Tone, reason: &str, message: &str) {
    let now = Time(jiff::Timestamp::now());
    let event = Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{}", api.name, uuid::Uuid::new_v4().simple())),
            namespace: Some(api.namespace.clone()),
            ..ObjectMeta::default()
        },
        type_: Some(format!("{tone:?}")),
        reason: Some(reason.to_owned()),
        message: Some(message.chars().take(LONGEST).collect()),
        involved_object: cluster.object_ref(&()),
        count: Some(1),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now),
        source: Some(EventSource { component: Some("pgherd-manager".to_owned()), host: None }),
        ..Event::default()
    };
    let events: Api<Event> = Api::namespaced(api.client.clone(), &api.namespace);
    let parameters = PostParams::default();
    match tokio::time::timeout(ANSWER_WITHIN, events.create(&parameters, &event)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(reason, error = %chain(&error), "an event was not told"),
        Err(_) => tracing::warn!(reason, "an event was not told: no answer"),
    }
}
