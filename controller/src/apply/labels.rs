//! Role labels of pods.

use super::{ApplyError, Target, gone_is_fine};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use pgherd_core::cluster::Role;
use pgherd_core::identity::PodUid;
use pgherd_proto::labels;
use serde_json::json;

/// Bound to the pod's uid: an API server refuses a patch that would change it.
pub(super) async fn set_role(target: &Target<'_>, pod: &str, uid: &PodUid, role: Role) -> Result<(), ApplyError> {
    let patch = json!({
        "metadata": {
            "uid": uid,
            "labels": { labels::INSTANCE_ROLE: role.as_str(), labels::ROLE_DEPRECATED: role.as_str() },
        }
    });
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = target.api::<Pod>().patch(pod, &params, &Patch::Merge(patch)).await;
    // Services follow these: who looks for the time that clients waited finds it here.
    tracing::info!(pod, role = role.as_str(), done = patched.is_ok(), "pod labelled");
    gone_is_fine(patched, format!("label {pod} {}", role.as_str()))
}
