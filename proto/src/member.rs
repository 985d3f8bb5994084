//! Annotation `pgherd.io/member`: what a manager says about itself on its own pod. It is written only when
//! something other than an LSN changes; the controller watches pods, so this is what wakes it.

use core::time::Duration;
use pgherd_core::identity::{Incarnation, Nonce, PodUid, SystemId};
use pgherd_core::lease::{HolderState, Term, WalPosition};
use pgherd_core::timeline::Lineage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use pgherd_core::cluster::MemberPhase as Phase;

/// The lease as a member last saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseSeen {
    /// The Lease's `metadata.resourceVersion`.
    pub resource_version: String,
    /// Its term.
    #[schemars(with = "u64")]
    pub term: Term,
    /// Its state.
    #[schemars(with = "String")]
    pub state: HolderState,
    /// This member watched that version unchanged for a whole leaseDuration, and is one of its takers (rule L2).
    pub stale: bool,
    /// The longest leaseDuration that it knows of, the holder's or its own.
    #[serde(rename = "leaseDurationSeconds", with = "crate::control::whole_seconds")]
    #[schemars(with = "u64")]
    pub lease_duration: Duration,
}

/// What a member says about itself; also the answer to POST `/pg/fence` and GET `/pg/member`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberReport {
    /// The manager process that speaks.
    #[schemars(with = "String")]
    pub nonce: Nonce,
    /// Its pod.
    #[serde(rename = "podUID")]
    #[schemars(with = "String")]
    pub pod_uid: PodUid,
    /// Its data directory; absent while there is none.
    #[schemars(with = "Option<String>")]
    pub incarnation: Option<Incarnation>,
    /// The database system in it. A string, since a JSON number cannot hold 64 bits everywhere.
    #[serde(rename = "systemID", with = "system_id_text")]
    #[schemars(with = "Option<String>")]
    pub system_id: Option<SystemId>,
    /// What it is doing.
    #[schemars(with = "String")]
    pub phase: Phase,
    /// Why, for people.
    pub message: String,
    /// The lease as it sees it.
    pub lease_seen: LeaseSeen,
    /// The last WAL that it has on disk. In an annotation it is as old as the annotation.
    #[schemars(with = "Option<crate::control::WalPositionSchema>")]
    pub position: Option<WalPosition>,
    /// End of valid WAL on its volume, which it serves at GET `/pg/wal/<name>`.
    #[schemars(with = "Option<crate::control::WalPositionSchema>")]
    pub tail: Option<WalPosition>,
    /// The highest term that it has promised to follow nobody of (rule E3).
    #[schemars(with = "u64")]
    pub fence: Term,
    /// The history of the timeline of `position`: its ancestors, and where each was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::control::LineageSchema>")]
    pub lineage: Option<Lineage>,
    /// Some parameter takes effect only after a restart of postgres.
    pub pending_restart: bool,
    /// One of those is decreased that a standby must not have less of than its primary.
    pub pending_restart_for_decrease: bool,
    /// What is on its volume can be used by nobody; it waits to be cloned anew.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub damaged: bool,
    /// As answered to the readiness probe.
    pub ready: bool,
}

/// `systemID` as text.
mod system_id_text {
    use super::SystemId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub fn serialize<S: Serializer>(id: &Option<SystemId>, serializer: S) -> Result<S::Ok, S::Error> {
        id.map(|id| id.to_string()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemId>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map(SystemId).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_the_contract_shows_it() {
        let text = r#"{"nonce":"n","podUID":"u","incarnation":null,"systemID":"7421000000000000001","phase":"recovering",
            "message":"postgres died","leaseSeen":{"resourceVersion":"9","term":4,"state":"open","stale":false},
            "position":{"timeline":1,"lsn":"0/3000148"},"tail":null,"pendingRestart":false,"ready":true}"#;
        let report: MemberReport = serde_json::from_str(text).unwrap();
        assert_eq!(report.system_id, Some(SystemId(7_421_000_000_000_000_001)));
        assert_eq!(report.phase, Phase::Recovering);
        let again: MemberReport = serde_json::from_value(serde_json::to_value(&report).unwrap()).unwrap();
        assert_eq!(again, report);
    }
}
