//! Under whose name and with which rights an instance's processes run: no privileges at all, unless the user knows better.

use super::Blueprint;
use k8s_openapi::api::core::v1::{Capabilities, PodSecurityContext, SeccompProfile, SecurityContext};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The pod's.
pub(super) fn of_pod(blueprint: Blueprint<'_>) -> PodSecurityContext {
    let desired = blueprint.desired;
    let ours = PodSecurityContext {
        run_as_user: Some(desired.postgres_uid),
        run_as_group: Some(desired.postgres_gid),
        fs_group: Some(desired.postgres_gid),
        run_as_non_root: Some(true),
        seccomp_profile: Some(seccomp(blueprint)),
        ..PodSecurityContext::default()
    };
    overlaid(ours, blueprint.spec.pod_security_context.as_deref())
}

/// Each container's.
pub(super) fn of_container(blueprint: Blueprint<'_>) -> SecurityContext {
    let ours = SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        seccomp_profile: Some(seccomp(blueprint)),
        ..SecurityContext::default()
    };
    overlaid(ours, blueprint.spec.security_context.as_deref())
}

fn seccomp(blueprint: Blueprint<'_>) -> SeccompProfile {
    let given = blueprint.spec.seccomp_profile.as_deref();
    given.cloned().unwrap_or(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None })
}

/// Each field that is given takes the place of ours.
fn overlaid<T: Serialize + DeserializeOwned>(ours: T, given: Option<&T>) -> T {
    let fields = given.and_then(|given| serde_json::to_value(given).ok());
    let Some(serde_json::Value::Object(given)) = fields else { return ours };
    let Ok(serde_json::Value::Object(mut all)) = serde_json::to_value(&ours) else { return ours };
    all.extend(given);
    serde_json::from_value(all.into()).unwrap_or(ours)
}
