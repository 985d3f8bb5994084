//! Writing the status of a Backup, always over the version that it was decided from: whoever declares it failed wins.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use pgherd_core::lease::Holder;
use pgherd_proto::backup::{Backup, BackupStatus, FailedAttempt};
use pgherd_proto::labels;
use pgherd_telemetry::chain;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// For one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Others write into the same status; so often is read again in a row.
const TRIES: usize = 5;

/// A status was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The backup is not this manager's any more. Do not try again.
    #[error("failed to go on with the backup: {0}")]
    Lost(String),
    /// No answer, or not a useful one. Try again.
    #[error("failed to write the backup's status: {0}")]
    Later(String),
}

/// Whether this very process was told to take it.
#[must_use]
pub fn is_mine(status: &BackupStatus, me: &Holder) -> bool {
    let instance = status.instance_id.as_ref();
    instance.is_some_and(|id| id.pod_name == me.name && id.session_id.as_deref() == Some(me.nonce.0.as_str()))
}

/// The one writer of a Backup while it is under way.
#[derive(Debug)]
pub struct Reporter {
    backups: Api<Backup>,
    name: String,
    uid: Option<String>,
    about: ObjectReference,
    me: Holder,
    earlier: Vec<FailedAttempt>,
    version: Mutex<Option<String>>,
}

impl Reporter {
    /// For a Backup as it was seen.
    #[must_use]
    pub fn new(backups: Api<Backup>, backup: &Backup, me: Holder) -> Self {
        let version = Mutex::new(backup.resource_version());
        let earlier = backup.status.as_ref().map(|status| status.failed_attempts.clone()).unwrap_or_default();
        let (name, uid, about) = (backup.name_any(), backup.uid(), backup.object_ref(&()));
        Self { backups, name, uid, about, me, earlier, version }
    }

    /// The attempts before this one.
    #[must_use]
    pub fn earlier(&self) -> &[FailedAttempt] {
        &self.earlier
    }

    /// The Backup's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Backup, for whoever tells something of it.
    #[must_use]
    pub fn object_ref(&self) -> ObjectReference {
        self.about.clone()
    }

    /// Sets these fields of the status.
    ///
    /// # Errors
    /// [`ReportError`].
    pub async fn write(&self, status: &Value) -> Result<(), ReportError> {
        for _ in 0..TRIES {
            match self.patch(status).await {
                Err(kube::Error::Api(answer)) if answer.code == 409 => self.look_again().await?,
                Err(kube::Error::Api(answer)) if answer.code == 404 => return Err(gone()),
                Err(error) => return Err(ReportError::Later(chain(&error))),
                Ok(written) => {
                    self.remember(&written);
                    return Ok(());
                }
            }
        }
        Err(ReportError::Later("others write into it all the time".to_owned()))
    }

    /// The same for a Backup that this process has not begun, and only over the version that was seen.
    ///
    /// # Errors
    /// [`ReportError`].
    pub async fn write_over(&self, status: &Value) -> Result<(), ReportError> {
        self.patch(status).await.map(drop).map_err(|error| ReportError::Later(chain(&error)))
    }

    async fn patch(&self, status: &Value) -> Result<Backup, kube::Error> {
        let version = self.version.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let body = json!({"metadata": {"resourceVersion": version, "uid": self.uid}, "status": status});
        let params =
            PatchParams { field_manager: Some(labels::MANAGER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(body);
        within(self.backups.patch_status(&self.name, &params, &patch)).await
    }

    async fn look_again(&self) -> Result<(), ReportError> {
        let found =
            within(self.backups.get_opt(&self.name)).await.map_err(|error| ReportError::Later(chain(&error)))?;
        let Some(found) = found.filter(|found| found.uid() == self.uid) else { return Err(gone()) };
        let status = found.status.clone().unwrap_or_default();
        let another = status.failed_attempts.len() != self.earlier.len();
        if status.is_done() || another || !is_mine(&status, &self.me) {
            let error = status.error.unwrap_or_else(|| "it was given to somebody else".to_owned());
            return Err(ReportError::Lost(format!("it was declared over: {error}")));
        }
        self.remember(&found);
        Ok(())
    }

    fn remember(&self, seen: &Backup) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = seen.resource_version();
    }
}

fn gone() -> ReportError {
    ReportError::Lost("the Backup was deleted".to_owned())
}

async fn within<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    match tokio::time::timeout(ANSWER_WITHIN, call).await {
        Ok(answer) => answer,
        Err(late) => Err(kube::Error::Service(Box::new(late))),
    }
}
