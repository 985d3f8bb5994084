//! Writing the Lease: one full PUT, one answer, and the time at which the request left.

use super::ClusterApi;
use crate::clock;
use core::time::Duration;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use pgherd_core::instance::Outcome;
use pgherd_core::lease::{HolderState, LeaseRecord, Versioned};
use pgherd_core::time::Instant;
use pgherd_core::timeline::TimelineId;
use pgherd_proto::lease as wire;
use std::sync::{Arc, Mutex, PoisonError};

/// An answer that takes longer is no answer: the next attempt or the deadline decides.
const ANSWER_WITHIN: Duration = Duration::from_millis(1500);

/// The Lease of one cluster.
#[derive(Clone)]
pub struct LeaseApi {
    api: ClusterApi,
    /// The object as last seen: a full PUT keeps what others wrote into its metadata.
    last: Arc<Mutex<Option<Lease>>>,
}

impl LeaseApi {
    /// The Lease named as the cluster.
    #[must_use]
    pub fn new(api: ClusterApi) -> Self {
        Self { api, last: Arc::default() }
    }

    /// Takes note of the object as it was seen.
    pub fn remember(&self, lease: &Lease) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease.clone());
    }

    /// The timeline that was reserved last, by the object as last seen.
    #[must_use]
    pub fn reserved(&self) -> Option<TimelineId> {
        self.record().map(|record| record.timeline)
    }

    /// The timeline that was opened to clients last, by the object as last seen.
    #[must_use]
    pub fn opened(&self) -> Option<TimelineId> {
        self.record().and_then(|record| record.lineage).map(|lineage| lineage.timeline)
    }

    fn record(&self) -> Option<LeaseRecord> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.as_ref().and_then(|lease| wire::read_record(lease).ok())
    }

    /// The object that stores `record` over version `over`.
    fn object(&self, over: &str, record: &LeaseRecord, released_seconds: i32) -> Lease {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let base = last.unwrap_or_else(|| wire::empty(&self.api.name, &self.api.namespace, None));
        let mut lease = wire::to_lease(&base, record, jiff::Timestamp::now());
        lease.metadata.resource_version = Some(over.to_owned());
        if let Some(spec) = lease.spec.as_mut().filter(|_| record.state == HolderState::Released) {
            spec.lease_duration_seconds = Some(released_seconds);
        }
        lease
    }

    /// Stores `record` over version `over`; on a conflict says what is stored instead. `released_seconds` is what a
    /// released lease says of its duration, for tools (`releasedLeaseDurationSeconds`).
    pub async fn put(&self, over: &str, record: &LeaseRecord, released_seconds: i32) -> Outcome {
        let lease = self.object(over, record, released_seconds);
        let params = PostParams { field_manager: Some("pgherd-manager".to_owned()), ..PostParams::default() };
        let sent = clock::now();
        let writing = self.api.leases.replace(&self.api.name, &params, &lease);
        self.answered(tokio::time::timeout(ANSWER_WITHIN, writing).await, sent).await
    }

    /// Makes the Lease again with `record` in it; where there is one after all, says what it stores.
    pub async fn create(&self, record: &LeaseRecord, released_seconds: i32) -> Outcome {
        let mut lease = self.object("", record, released_seconds);
        let metadata = &mut lease.metadata;
        // The server's own, of the object that is gone.
        (metadata.resource_version, metadata.uid, metadata.creation_timestamp) = (None, None, None);
        (metadata.deletion_timestamp, metadata.deletion_grace_period_seconds) = (None, None);
        metadata.managed_fields = None;
        let params = PostParams { field_manager: Some("pgherd-manager".to_owned()), ..PostParams::default() };
        let sent = clock::now();
        let writing = self.api.leases.create(&params, &lease);
        self.answered(tokio::time::timeout(ANSWER_WITHIN, writing).await, sent).await
    }

    async fn answered(
        &self,
        answer: Result<kube::Result<Lease>, tokio::time::error::Elapsed>,
        sent: Instant,
    ) -> Outcome {
        match answer {
            Ok(Ok(stored)) => match stored.metadata.resource_version.clone() {
                Some(version) => {
                    self.remember(&stored);
                    Outcome::Stored { version, sent }
                }
                None => Outcome::Unknown { why: "the API server answered without a resourceVersion".to_owned(), sent },
            },
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => match self.get().await {
                Ok(current) => Outcome::Conflicted(current),
                Err(why) => Outcome::Unknown { why, sent },
            },
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Outcome::NotFound,
            Ok(Err(error)) => Outcome::Unknown { why: pgherd_telemetry::chain(&error), sent },
            Err(_) => Outcome::Unknown { why: format!("no answer within {ANSWER_WITHIN:?}"), sent },
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// Why it could not be read, for people.
    pub async fn get(&self) -> Result<Versioned<LeaseRecord>, String> {
        let reading = self.api.leases.get(&self.api.name);
        match tokio::time::timeout(ANSWER_WITHIN, reading).await {
            Ok(Ok(lease)) => {
                self.remember(&lease);
                wire::read(&lease).map_err(|error| pgherd_telemetry::chain(&error))
            }
            Ok(Err(error)) => Err(pgherd_telemetry::chain(&error)),
            Err(_) => Err(format!("no answer within {ANSWER_WITHIN:?}")),
        }
    }
}
