//! Events on the Cluster.

use super::{ApplyError, Target, failed};
use crate::clock;
use crate::memory::Remembered;
use k8s_openapi::api::core::v1::Event;
use kube::Resource;
use kube::api::PostParams;
use pgherd_core::plan::EventKind;
use pgherd_core::time::Instant;
use pgherd_proto::event::{News, event};
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
    let news = News { kind, reason, message };
    let id = uuid::Uuid::new_v4();
    let event = event(target.cluster.object_ref(&()), news, CONTROLLER_COMMON_NAME, id.simple(), clock::stamp().0);
    target.api::<Event>().create(&PostParams::default(), &event).await.map_err(failed("tell an event")).map(drop)
}
