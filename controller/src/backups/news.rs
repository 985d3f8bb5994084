//! Events on a Backup: what became of it that its manager cannot tell, since it is gone or has not begun.

use crate::clock;
use k8s_openapi::api::core::v1::Event;
use kube::api::PostParams;
use kube::{Api, Client, Resource, ResourceExt};
use pgherd_core::plan::EventKind;
use pgherd_proto::backup::Backup;
use pgherd_proto::event::{News, event};
use pgherd_proto::names::CONTROLLER_COMMON_NAME;

/// Warns; the status says the same, so that an Event that is lost is only logged.
pub(super) async fn tell(client: &Client, backup: &Backup, reason: &str, message: &str) {
    let news = News { kind: EventKind::Warning, reason, message };
    let id = uuid::Uuid::new_v4();
    let event = event(backup.object_ref(&()), news, CONTROLLER_COMMON_NAME, id.simple(), clock::stamp().0);
    let events = Api::<Event>::namespaced(client.clone(), &backup.namespace().unwrap_or_default());
    if let Err(error) = events.create(&PostParams::default(), &event).await {
        tracing::debug!(error = %pgherd_telemetry::chain(&error), "an event was not told");
    }
}
