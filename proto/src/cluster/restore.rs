//! Restore in place: what a person asks for, how far it is, and what the primary says of it beforehand.

use super::{Cluster, RecoveryTarget};
use crate::labels;
use pgherd_core::identity::SystemId;
use pgherd_core::lease::{LeaseRecord, Versioned};
use pgherd_core::restore::{RestoreFact, RestoreOrder, Revival, Stage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Annotation [`labels::RESTORE`]: bring the cluster back to that target, beside its old volumes; or undo that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreRequest {
    /// One for each request; also what the volumes are labelled with that it puts aside.
    pub id: String,
    /// Where to stop.
    pub recovery_target: RecoveryTarget,
    /// Back to the volumes that the last restore has put aside.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub undo: bool,
    /// The last primary is dead and stays dead: it is not waited for to release the lease.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub holder_is_dead: bool,
    /// Volumes that an earlier restore has put aside stay as well, though nothing goes back to them afterwards.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub keep_both: bool,
}

/// `status.restore`: the last restore in place. Every stage is written before anything of it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreStatus {
    /// Which; the volumes that it has put aside have it in label `pgherd.io/kept-by`.
    pub id: String,
    /// The last request that it goes by.
    pub order: String,
    /// `stopping`, `closing`, `restoring`, `reviving`, `joining`, `done`.
    #[schemars(with = "String")]
    pub stage: Stage,
    /// Where to stop.
    pub recovery_target: RecoveryTarget,
    /// When it was begun. RFC 3339.
    pub begun_at: String,
    /// When all instances were there. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_at: Option<String>,
    /// The instance that is made out of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The lease that it has closed, as it was: JSON. What it is gone back by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// It goes back to volumes instead of to the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revives: Option<RevivalStatus>,
    /// A person said that the last primary is dead.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub holder_is_dead: bool,
}

/// What is gone back to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RevivalStatus {
    /// The restore that has put the volumes aside.
    pub restore: String,
    /// The lease as it was then: JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
}

/// `status.restorePreview`: what a restore would come to, by the primary's look at the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RestorePreview {
    /// Of which request.
    pub id: String,
    /// Why it cannot be done; everything else is absent then.
    pub refusal: Option<String>,
    /// The backup that it begins with.
    pub backup: Option<String>,
    /// The timeline that it goes along.
    pub along: Option<i64>,
    /// When the primary looked. RFC 3339.
    pub at: Option<String>,
    /// The timeline that is written now.
    pub timeline: Option<i64>,
    /// The end of the WAL that was written.
    #[serde(rename = "writtenLSN")]
    pub written_lsn: Option<String>,
    /// Up to where the archive has WAL.
    #[serde(rename = "lastRecoverableLSN")]
    pub last_recoverable_lsn: Option<String>,
    /// The first moment that can be recovered. RFC 3339.
    pub first_recoverable: Option<String>,
    /// When the last WAL file that can be replayed was stored. RFC 3339.
    pub last_recoverable: Option<String>,
    /// Bytes of WAL after the target, at most; absent where the target is on another timeline.
    pub gives_up_bytes: Option<i64>,
}

impl RestoreRequest {
    /// As the decisions see it.
    #[must_use]
    pub fn to_order(&self) -> RestoreOrder {
        let RestoreRequest { undo, holder_is_dead, keep_both, .. } = *self;
        RestoreOrder { id: self.id.clone(), undo, holder_is_dead, keep_both }
    }
}

impl RestoreStatus {
    /// As the decisions see it. A lease that cannot be read is none: nothing is gone back by it.
    #[must_use]
    pub fn to_fact(&self) -> RestoreFact {
        let record = |text: &String| serde_json::from_str::<LeaseRecord>(text).ok();
        RestoreFact {
            id: self.id.clone(),
            order: self.order.clone(),
            stage: self.stage,
            instance: self.instance.clone(),
            before: self.before.as_ref().and_then(|text| serde_json::from_str::<Versioned<LeaseRecord>>(text).ok()),
            revives: self.revives.as_ref().map(|revives| Revival {
                restore: revives.restore.clone(),
                lease: revives.lease.as_ref().and_then(record),
            }),
            holder_is_dead: self.holder_is_dead,
        }
    }

    /// As a restore is stored when it is begun.
    #[must_use]
    pub fn begun(fact: &RestoreFact, recovery_target: RecoveryTarget, begun_at: String) -> Self {
        let RestoreFact { id, order, stage, instance, before, revives, holder_is_dead } = fact.clone();
        Self {
            id,
            order,
            stage,
            recovery_target,
            begun_at,
            done_at: None,
            instance,
            before: before.as_ref().and_then(|before| serde_json::to_string(before).ok()),
            revives: revives.map(|Revival { restore, lease }| RevivalStatus {
                restore,
                lease: lease.as_ref().and_then(|lease| serde_json::to_string(lease).ok()),
            }),
            holder_is_dead,
        }
    }
}

impl Cluster {
    /// The restore that makes the database out of the archive now.
    #[must_use]
    pub fn restoring(&self) -> Option<&RestoreStatus> {
        let restore = self.status.as_ref()?.restore.as_ref()?;
        (restore.stage == Stage::Restoring).then_some(restore)
    }

    /// The database that the cluster has. While it is made out of the archive again it has none: whoever is to make it
    /// goes the way of a first instance.
    #[must_use]
    pub fn database(&self) -> Option<SystemId> {
        if self.restoring().is_some() { None } else { self.system_on_record() }
    }

    /// `status.systemID`: the database that it was made with, for good.
    #[must_use]
    pub fn system_on_record(&self) -> Option<SystemId> {
        self.status.as_ref()?.system_id.as_deref()?.parse().ok().map(SystemId)
    }

    /// Who makes the database.
    #[must_use]
    pub fn initializer(&self) -> Option<String> {
        match self.restoring() {
            Some(restore) => restore.instance.clone(),
            None => self.status.as_ref()?.initialization.as_ref().map(|intent| intent.instance.clone()),
        }
    }

    /// What annotation `name` asks to have restored. One that cannot be read asks for nothing.
    #[must_use]
    pub fn restore_request(&self, name: &str) -> Option<RestoreRequest> {
        let text = self.metadata.annotations.as_ref()?.get(name)?;
        serde_json::from_str::<RestoreRequest>(text).ok().filter(|request| !request.id.is_empty())
    }

    /// What a person asks to have restored, as the decisions see it.
    #[must_use]
    pub fn restore_order(&self) -> Option<RestoreOrder> {
        self.restore_request(labels::RESTORE).map(|request| request.to_order())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_core::lease::Term;
    use serde_json::json;

    fn cluster(stage: &str) -> Cluster {
        let restore = json!({"id": "r1", "stage": stage, "instance": "c-4"});
        let status = json!({"systemID": "7", "initialization": {"instance": "c-1", "podUID": "u", "startedAt": ""},
            "restore": restore});
        let object = json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "c"},
            "spec": {}, "status": status});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn while_it_is_made_out_of_the_archive_again_there_is_no_database_and_one_instance_makes_it() {
        for stage in ["stopping", "closing", "reviving", "joining", "done"] {
            let cluster = cluster(stage);
            assert_eq!(
                (cluster.database(), cluster.initializer().as_deref()),
                (Some(SystemId(7)), Some("c-1")),
                "{stage}"
            );
        }
        let cluster = cluster("restoring");
        assert_eq!((cluster.database(), cluster.initializer().as_deref()), (None, Some("c-4")));
        assert_eq!(cluster.system_on_record(), Some(SystemId(7)), "the same for good");
    }

    #[test]
    fn a_restore_that_was_written_is_read_back_the_same() {
        let record = LeaseRecord { term: Term(4), ..LeaseRecord::default() };
        let fact = RestoreFact {
            id: "r2".into(),
            order: "r2".into(),
            stage: Stage::Joining,
            instance: Some("c-4".into()),
            before: Some(Versioned { version: "77".into(), value: record.clone() }),
            revives: Some(Revival { restore: "r1".into(), lease: Some(record) }),
            holder_is_dead: true,
        };
        let stored = RestoreStatus::begun(&fact, RecoveryTarget::default(), String::new());
        let stored: RestoreStatus = serde_json::from_value(json!(stored)).unwrap();
        assert_eq!(stored.to_fact(), fact);
    }
}
