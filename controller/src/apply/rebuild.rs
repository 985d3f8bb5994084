//! An instance whose volume cannot be had is given up. What is watched may be old, so each object goes in the version
//! that the decision was made from (I10), the pod first: while it is as it was seen, it has found no node.

use super::{ApplyError, Target, failed, gone_is_fine};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, Preconditions};
use pgherd_core::identity::PodUid;
use pgherd_core::plan::GivenUp;

pub(super) async fn rebuild(
    target: &Target<'_>,
    (name, uid, version): (&str, &PodUid, &str),
    volumes: &[GivenUp],
) -> Result<(), ApplyError> {
    match target.api::<Pod>().delete(name, &only(Some(&uid.0), version)).await {
        Ok(_) => {}
        // Somebody else deleted it: what becomes of its successor is seen first.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(source) => return Err(failed(format!("delete pod {name}"))(source)),
    }
    let claims = target.api::<PersistentVolumeClaim>();
    for volume in volumes {
        let deleted = claims.delete(&volume.name, &only(None, &volume.version)).await;
        gone_is_fine(deleted, format!("delete volume {}", volume.name))?;
    }
    Ok(())
}

fn only(uid: Option<&String>, version: &str) -> DeleteParams {
    let only = Preconditions { uid: uid.cloned(), resource_version: Some(version.to_owned()) };
    DeleteParams { preconditions: Some(only), ..DeleteParams::default() }
}
