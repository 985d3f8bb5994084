//! The control endpoints of a manager: POST `/pg/fence`, POST `/pg/tail/confirm`, POST `/pg/wal/switch`,
//! POST `/failsafe`, GET `/pg/controldata`.
//! All want a client certificate that the cluster's own authority has signed.

use core::time::Duration;
use pgherd_core::identity::{Incarnation, Nonce, PodUid};
use pgherd_core::lease::{Term, WalPosition};
use pgherd_core::lsn::Lsn;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// POST `/pg/fence`: stop following the holder of `term`, then say what is on disk (rule E3).
/// The answer is a [`crate::member::MemberReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FenceRequest {
    /// The term of the lease that the election is computed from.
    #[schemars(with = "u64")]
    pub term: Term,
    /// Its `resourceVersion` (I10).
    pub lease_version: String,
}

/// POST `/pg/tail/confirm`: the winner has all of the crashed holder's WAL; the holder may release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TailRequest {
    /// The holder's term.
    #[schemars(with = "u64")]
    pub term: Term,
    /// How far the winner has it on disk.
    #[serde(flatten)]
    #[schemars(with = "WalPositionSchema")]
    pub position: WalPosition,
    /// The winner's pod, by name.
    pub winner: String,
    /// The winner's pod, by identity (I11).
    #[serde(rename = "winnerPodUID")]
    #[schemars(with = "String")]
    pub winner_pod_uid: PodUid,
}

/// Answer to [`TailRequest`]: the lease is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TailConfirmed {
    /// The `resourceVersion` of the released lease, which the winner is to take.
    pub lease_version: String,
}

/// POST `/pg/wal/switch`: a standby was backed up, and its backup needs all of a segment that the primary may still be
/// writing. Only a primary does it; where it has written past that segment, there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SwitchWalRequest {
    /// Where the backup ends.
    #[schemars(with = "String")]
    pub lsn: Lsn,
}

/// Answer to [`SwitchWalRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WalSwitched {
    /// Where the primary writes on.
    #[schemars(with = "String")]
    pub lsn: Lsn,
}

/// POST `/failsafe`: the holder cannot reach the API, and asks for a promise not to take its lease (rule L7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PledgeRequest {
    /// The holder.
    #[schemars(with = "String")]
    pub nonce: Nonce,
    /// Its term.
    #[schemars(with = "u64")]
    pub term: Term,
    /// Counts its rounds, for the log.
    pub round: u64,
    /// How long the pledge has to bind: leaseDuration by the holder's timings.
    #[serde(default, rename = "leaseDurationSeconds", with = "whole_seconds")]
    #[schemars(with = "u64")]
    pub lease_duration: Duration,
}

/// Answer to [`PledgeRequest`]: for a leaseDuration from now on, its own or the holder's, whichever is longer, this
/// member neither takes the lease nor fences itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PledgeGiven {
    /// Who promises.
    #[serde(rename = "podUID")]
    #[schemars(with = "String")]
    pub pod_uid: PodUid,
    /// With which data directory.
    #[schemars(with = "Option<String>")]
    pub incarnation: Option<Incarnation>,
}

/// Answer to GET `/pg/controldata` (CNPG's shape).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlData {
    /// What `pg_controldata` prints.
    pub data: String,
}

/// Body of an answer that is not a success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What is wrong, for people.
    pub error: String,
}

/// The JSON of a [`WalPosition`], for the generated schemas: `core` knows nothing of schemas.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WalPosition")]
pub struct WalPositionSchema {
    /// The timeline of the last record.
    timeline: i64,
    /// Where that record ends, as in `0/3000148`.
    lsn: String,
}

/// The JSON of a [`pgherd_core::timeline::Lineage`], for the generated schemas.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Lineage")]
pub struct LineageSchema {
    /// The timeline whose history it is.
    timeline: i64,
    /// Its ancestors, oldest first, and where each was left.
    ancestors: Vec<WalPositionSchema>,
}

/// A duration as a count of seconds, and none too few.
pub(crate) mod whole_seconds {
    use core::time::Duration;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pledge_is_asked_for_by_a_duration_which_a_manager_of_before_does_not_say() {
        let text = r#"{"nonce":"n","term":4,"round":1,"leaseDurationSeconds":30}"#;
        let request: PledgeRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.lease_duration, Duration::from_secs(30));
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
        let before: PledgeRequest = serde_json::from_str(r#"{"nonce":"n","term":4,"round":1}"#).unwrap();
        assert_eq!(before.lease_duration, Duration::ZERO);
    }

    #[test]
    fn a_confirmation_names_term_position_and_winner() {
        let text = r#"{"term":4,"timeline":1,"lsn":"0/3000148","winner":"c-2","winnerPodUID":"u"}"#;
        let request: TailRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.position.lsn.0, 0x300_0148);
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
    }
}
