//! The status of the cluster's FailoverQuorum, kept by the primary's manager where the Cluster asks for one. The controller
//! makes the object and takes it away.

use crate::context::Context;
use crate::http::{InstanceSnapshot, Role};
use core::time::Duration;
use kube::Api;
use kube::api::{Patch, PatchParams};
use pgherd_core::sync::{Method, Quorum};
use pgherd_proto::failover_quorum::FailoverQuorum;
use pgherd_proto::labels::MANAGER_FIELD_MANAGER;
use pgherd_telemetry::chain;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;

/// Between two looks, and two tries.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// For the API server.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Keeps it while this instance is the primary.
pub async fn follow(context: Arc<Context>, snapshots: watch::Receiver<Arc<InstanceSnapshot>>) {
    let mut said: Option<Value> = None;
    loop {
        let wanted = wanted(&context, &snapshots.borrow());
        if wanted.is_none() {
            said = None;
        } else if wanted != said {
            match say(&context, wanted.as_ref()).await {
                Ok(()) => said = wanted,
                // It is not there yet, for one: the controller makes it.
                Err(why) => tracing::debug!(%why, "the FailoverQuorum is not written yet"),
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What is to be said, if this instance has anything to say.
fn wanted(context: &Context, snapshot: &InstanceSnapshot) -> Option<Value> {
    let cluster = context.cluster_now()?;
    let asked = cluster.spec.sync_spec(cluster.annotated_quorum())?.failover_quorum;
    (asked && snapshot.role == Role::Primary).then(|| status(&context.config.me.name, snapshot.quorum.as_ref()))
}

/// As a merge patch. Without a quorum nobody is named, as in CNPG while its set changes.
fn status(primary: &str, quorum: Option<&Quorum>) -> Value {
    let method = quorum.map(|quorum| match quorum.method {
        Method::Any => "ANY",
        Method::First => "FIRST",
    });
    let names = quorum.map(|quorum| quorum.names.clone()).unwrap_or_default();
    let number = quorum.map_or(0, |quorum| quorum.number);
    json!({ "method": method, "primary": primary, "standbyNames": names, "standbyNumber": number })
}

async fn say(context: &Context, status: Option<&Value>) -> Result<(), String> {
    let api: Api<FailoverQuorum> = Api::namespaced(context.api.client.clone(), &context.api.namespace);
    let params = PatchParams { field_manager: Some(MANAGER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({ "status": status }));
    let patched = tokio::time::timeout(ANSWER_WITHIN, api.patch_status(&context.api.name, &params, &patch)).await;
    patched.map_err(|error| chain(&error))?.map_err(|error| chain(&error)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_cnpgs_and_names_nobody_while_nothing_can_be_said() {
        let quorum = Quorum { method: Method::First, names: vec!["c-2".into()], number: 1 };
        let wanted = json!({ "method": "FIRST", "primary": "c-1", "standbyNames": ["c-2"], "standbyNumber": 1 });
        assert_eq!(status("c-1", Some(&quorum)), wanted);
        let empty = json!({ "method": null, "primary": "c-1", "standbyNames": [], "standbyNumber": 0 });
        assert_eq!(status("c-1", None), empty);
    }
}
