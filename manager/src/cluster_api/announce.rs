//! What a manager writes about itself: the fields of the Cluster's status and of its pod that are its own.

use super::ClusterApi;
use crate::clock;
use core::time::Duration;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::discovery::ApiResource;
use pgherd_core::identity::{PodUid, SystemId};
use pgherd_core::restore::Stage;
use pgherd_proto::cluster::{Cluster, Recoverability, RestorePreview};
use pgherd_proto::labels;
use pgherd_proto::member::MemberReport;
use serde_json::{Value, json};

/// An announcement could not be made. All but [`AnnounceError::Refused`] may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The API server refused or did not answer.
    #[error("failed to {what}")]
    Api {
        /// What was to be written.
        what: &'static str,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// No answer in time.
    #[error("failed to {what}: no answer within {after:?}")]
    Deadline {
        /// What was to be written.
        what: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The Cluster says otherwise.
    #[error("failed to initialise the cluster: {0}")]
    Refused(String),
}

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Writes as field manager `pgherd-manager`.
#[derive(Clone)]
pub struct Announcer {
    api: ClusterApi,
    pod: String,
    pod_uid: PodUid,
    address: String,
}

impl Announcer {
    /// For the pod `pod`.
    #[must_use]
    pub fn new(api: ClusterApi, pod: &str, pod_uid: &PodUid, address: &str) -> Self {
        Self { api, pod: pod.to_owned(), pod_uid: pod_uid.clone(), address: address.to_owned() }
    }

    /// The intent of initdb, by compare-and-swap: one instance per Cluster ever writes it, and only it goes on.
    ///
    /// # Errors
    /// [`AnnounceError::Refused`] when the cluster has a database, or another instance makes it.
    pub async fn claim_initialization(&self) -> Result<(), AnnounceError> {
        let raw = self.raw();
        let mut cluster = within("read the Cluster", raw.get(&self.api.name)).await?;
        let status = cluster.data.get("status").cloned().unwrap_or_else(|| json!({}));
        match made_again_by(&status) {
            // The intent is the restore's own, written before there was anybody to claim it.
            Some(instance) if instance == self.pod => return Ok(()),
            Some(instance) => return Err(AnnounceError::Refused(format!("{instance} restores it"))),
            None => {}
        }
        if let Some(id) = status.get("systemID").and_then(Value::as_str).filter(|id| !id.is_empty()) {
            return Err(AnnounceError::Refused(format!("it already has database system {id}")));
        }
        if let Some(other) = status.pointer("/initialization/instance").and_then(Value::as_str)
            && other != self.pod
        {
            return Err(AnnounceError::Refused(format!("{other} initialises it")));
        }
        let intent =
            json!({"instance": self.pod, "podUID": self.pod_uid.0, "startedAt": jiff::Timestamp::now().to_string()});
        let mut status = status;
        if let Some(fields) = status.as_object_mut() {
            fields.insert("initialization".to_owned(), intent);
        }
        if let Some(fields) = cluster.data.as_object_mut() {
            fields.insert("status".to_owned(), status);
        }
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        within("claim the initialisation", raw.replace_status(&self.api.name, &params, &cluster)).await.map(drop)
    }

    /// The database exists: its identifier, forever.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn publish_system_id(&self, id: SystemId) -> Result<(), AnnounceError> {
        let raw = self.raw();
        let mut cluster = within("read the Cluster", raw.get(&self.api.name)).await?;
        let status = cluster.data.get("status").cloned().unwrap_or_else(|| json!({}));
        if made_again_by(&status).is_none() {
            return self.patch_status("record the system identifier", json!({"systemID": id.to_string()})).await;
        }
        let known = status.get("systemID").and_then(Value::as_str).unwrap_or_default();
        if !known.is_empty() && known != id.to_string() {
            return Err(AnnounceError::Refused(format!("it is database system {known}, and {id} was restored")));
        }
        let Some(status) = cluster.data.get_mut("status").and_then(Value::as_object_mut) else { return Ok(()) };
        status.insert("systemID".to_owned(), json!(id.to_string()));
        if let Some(restore) = status.get_mut("restore").and_then(Value::as_object_mut) {
            restore.insert("stage".to_owned(), json!(Stage::Joining));
        }
        // By compare-and-swap: an undo may have begun.
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        within("record the restored database", raw.replace_status(&self.api.name, &params, &cluster)).await.map(drop)
    }

    /// What a restore would come to.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn report_preview(&self, preview: &RestorePreview) -> Result<(), AnnounceError> {
        // With every field, so that nothing of an earlier one stays.
        self.patch_status("say what a restore comes to", json!({"restorePreview": preview})).await
    }

    /// This instance is the primary.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn announce_primary(&self) -> Result<(), AnnounceError> {
        let now = jiff::Timestamp::now().to_string();
        let status = json!({"currentPrimary": self.pod, "currentPrimaryTimestamp": now});
        self.patch_status("announce the primary", status).await
    }

    /// This instance's line in `status.instancesReportedState`.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn report_state(&self, is_primary: bool, timeline: u32) -> Result<(), AnnounceError> {
        let line = json!({"isPrimary": is_primary, "timeLineID": timeline, "ip": self.address});
        self.patch_status("report the instance's state", json!({"instancesReportedState": {self.pod.as_str(): line}}))
            .await
    }

    /// What can be recovered from the archive.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn report_recoverability(&self, found: &Recoverability) -> Result<(), AnnounceError> {
        let mut fields = serde_json::to_value(found).unwrap_or_default();
        if let Some(fields) = fields.as_object_mut() {
            // What was deleted last stands until something is deleted again; what would be is gone with the dry run.
            fields.retain(|name, _| found.deleted_at.is_some() || !name.starts_with("deleted"));
            fields.entry("redundantBackups").or_insert(Value::Null);
            fields.entry("redundantWALFiles").or_insert(Value::Null);
        }
        self.patch_status("record what can be recovered", json!({"recoverability": fields})).await
    }

    /// The report on one's own pod, which wakes the controller.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn report_member(&self, report: &MemberReport) -> Result<(), AnnounceError> {
        let text = serde_json::to_string(report).unwrap_or_default();
        self.patch_pod("report on the pod", json!({"annotations": {labels::MEMBER: text}})).await
    }

    /// The primary's role on one's own pod, of which services take notice.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn take_role(&self) -> Result<(), AnnounceError> {
        let role = labels::ROLE_PRIMARY;
        let labels = json!({labels::INSTANCE_ROLE: role, labels::ROLE_DEPRECATED: role});
        self.patch_pod("label the pod", json!({ "labels": labels })).await
    }

    /// Sets one condition of the Cluster, by compare-and-swap: the list has several writers.
    ///
    /// # Errors
    /// When it could not be written; a conflict is one more reason to try again.
    pub async fn set_condition(
        &self,
        kind: &str,
        holds: bool,
        reason: &str,
        message: &str,
    ) -> Result<(), AnnounceError> {
        let raw = self.raw();
        let mut cluster = within("read the Cluster", raw.get(&self.api.name)).await?;
        let generation = cluster.metadata.generation;
        let status = if holds { "True" } else { "False" };
        let Some(Value::Object(fields)) = cluster.data.get_mut("status") else { return Ok(()) };
        let conditions = fields.entry("conditions").or_insert_with(|| json!([]));
        let Some(list) = conditions.as_array_mut() else { return Ok(()) };
        let known = list.iter().position(|condition| condition.get("type").and_then(Value::as_str) == Some(kind));
        let old = known.and_then(|at| list.get(at));
        let same_status = old.and_then(|c| c.get("status")).and_then(Value::as_str) == Some(status);
        let since = old.and_then(|c| c.get("lastTransitionTime")).filter(|_| same_status).cloned();
        let fresh = json!({
            "type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": generation,
            "lastTransitionTime": since.unwrap_or_else(|| json!(clock::wall())),
        });
        match known.and_then(|at| list.get_mut(at)) {
            Some(slot) => *slot = fresh,
            None => list.push(fresh),
        }
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        within("set a condition", raw.replace_status(&self.api.name, &params, &cluster)).await.map(drop)
    }

    /// The Cluster as it is stored: a full PUT of it must not lose what this version has no type for.
    fn raw(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.api.client.clone(), &self.api.namespace, &ApiResource::erase::<Cluster>(&()))
    }

    /// Not a pod made anew under the same name.
    async fn patch_pod(&self, what: &'static str, mut metadata: Value) -> Result<(), AnnounceError> {
        if let Some(fields) = metadata.as_object_mut() {
            fields.insert("uid".to_owned(), json!(self.pod_uid.0));
        }
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        within(what, self.api.pods.patch(&self.pod, &params, &patch)).await.map(drop)
    }

    async fn patch_status(&self, what: &'static str, status: Value) -> Result<(), AnnounceError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"status": status}));
        within(what, self.api.clusters.patch_status(&self.api.name, &params, &patch)).await.map(drop)
    }
}

/// The instance that makes the database out of the archive again, while that goes on.
fn made_again_by(status: &Value) -> Option<&str> {
    let restore = status.get("restore").filter(|restore| restore.get("stage") == Some(&json!(Stage::Restoring)))?;
    Some(restore.get("instance").and_then(Value::as_str).unwrap_or_default())
}

const FIELD_MANAGER: &str = "pgherd-manager";

async fn within<T>(what: &'static str, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, AnnounceError> {
    match tokio::time::timeout(ANSWER_WITHIN, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(AnnounceError::Api { what, source: Box::new(source) }),
        Err(_) => Err(AnnounceError::Deadline { what, after: ANSWER_WITHIN }),
    }
}
