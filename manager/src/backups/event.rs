//! Events on a Backup: how it ended, for whoever looks at the object or watches for warnings.

use super::report::Reporter;
use crate::cluster_api::ClusterApi;
use core::time::Duration;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::PostParams;
use kube::{Api, Resource};
use pgherd_proto::backup::Backup;
use pgherd_telemetry::chain;

/// An event is worth no longer wait.
const WITHIN: Duration = Duration::from_secs(5);
/// The API server takes no longer message.
const LONGEST: usize = 1000;

/// Tells it once, if the API server takes it.
pub async fn tell(api: &ClusterApi, reporter: &Reporter, pod: &str, failure: Option<&str>) {
    let (kind, reason) = if failure.is_some() { ("Warning", "BackupFailed") } else { ("Normal", "Completed") };
    let message = failure.map_or_else(|| format!("Backup completed on {pod}"), |why| format!("on {pod}: {why}"));
    let at = Time(jiff::Timestamp::now());
    let event = Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{}", reporter.name(), uuid::Uuid::new_v4().simple())),
            namespace: Some(api.namespace.clone()),
            ..ObjectMeta::default()
        },
        type_: Some(kind.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message.chars().take(LONGEST).collect()),
        involved_object: ObjectReference {
            api_version: Some(Backup::api_version(&()).into_owned()),
            kind: Some(Backup::kind(&()).into_owned()),
            name: Some(reporter.name().to_owned()),
            namespace: Some(api.namespace.clone()),
            uid: reporter.uid().map(str::to_owned),
            ..ObjectReference::default()
        },
        count: Some(1),
        first_timestamp: Some(at.clone()),
        last_timestamp: Some(at),
        source: Some(EventSource { component: Some("pgherd-manager".to_owned()), host: None }),
        ..Event::default()
    };
    let events = Api::<Event>::namespaced(api.client.clone(), &api.namespace);
    match tokio::time::timeout(WITHIN, events.create(&PostParams::default(), &event)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(error = %chain(&error), "an event was not told"),
        Err(_) => tracing::debug!("an event was not told in time"),
    }
}
