//! Events on the Cluster.

use super::{ApplyError, Target, failed};
use crate::clock;
use crate::memory::Remembered;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::PostParams;
use pgherd_core::plan::EventKind;
use pgherd_core::time::Instant;
use pgherd_proto::names::CONTROLLER_COMMON_NAME;

/// Tells it, unless it was told a moment ago.
pub(super) async fn tell(
    target: &Target<'_>,
    kind: EventKind,
    reason: &str,
    message: &str,
    memory: &mut Remembered,
    now: Instant,
) -> Result<(), ApplyError> {
    if !memory.is_news(&format!("{reason}: {message}"), now) {
        return Ok(());
    }
    let involved: ObjectReference = target.cluster.object_ref(&());
    let at = clock::stamp();
    let event = Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{}", target.desired.name, uuid::Uuid::new_v4().simple())),
            namespace: Some(target.desired.namespace.clone()),
            ..ObjectMeta::default()
        },
        type_: Some(format!("{kind:?}")),
        reason: Some(reason.to_owned()),
        message: Some(message.chars().take(1000).collect()),
        involved_object: involved,
        count: Some(1),
        first_timestamp: Some(at.clone()),
        last_timestamp: Some(at),
        source: Some(EventSource { component: Some(CONTROLLER_COMMON_NAME.to_owned()), host: None }),
        ..Event::default()
    };
    target.api::<Event>().create(&PostParams::default(), &event).await.map_err(failed("tell an event")).map(drop)
}
