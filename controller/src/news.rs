//! Events on objects other than the Cluster that is reconciled.

use crate::clock;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Event;
use kube::api::PostParams;
use kube::{Api, Client, Resource, ResourceExt};
use pgherd_proto::event::{News, event};
use pgherd_proto::names::CONTROLLER_COMMON_NAME;

/// Tells it once; the status says the same, so that an Event that is lost is only logged.
pub async fn tell<K>(client: &Client, object: &K, news: News<'_>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    let id = uuid::Uuid::new_v4();
    let event = event(object.object_ref(&()), news, CONTROLLER_COMMON_NAME, id.simple(), clock::stamp().0);
    let events = Api::<Event>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    if let Err(error) = events.create(&PostParams::default(), &event).await {
        tracing::debug!(error = %pgherd_telemetry::chain(&error), "an event was not told");
    }
}
