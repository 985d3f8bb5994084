//! What the status has beyond CNPG's: the intent of initdb, and the election.

use crate::control::WalPositionSchema;
use pgherd_core::cluster::{ElectionFact, ForceFact, LossFact, RefusalFact, RestartFact, TailFact};
use pgherd_core::identity::{Incarnation, Nonce, PodUid};
use pgherd_core::lease::{Term, WalPosition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Somebody is about to make the first database. Written by full PUT before initdb; `systemID` follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Initialization {
    /// The pod, by name.
    pub instance: String,
    /// The pod, by identity.
    #[serde(rename = "podUID")]
    #[schemars(with = "String")]
    pub pod_uid: PodUid,
    /// RFC 3339, for people.
    pub started_at: String,
}

/// A position in WAL: `{"timeline":1,"lsn":"0/3000148"}`.
pub type Evidence = WalPosition;

/// WAL that the winner lacks, and who serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TailStatus {
    /// The pod that serves it, by name.
    pub pod: String,
    /// That pod, by identity.
    #[serde(rename = "podUID")]
    #[schemars(with = "String")]
    pub pod_uid: PodUid,
    /// Its IP.
    pub address: String,
    /// Where the WAL ends.
    #[serde(flatten)]
    #[schemars(with = "WalPositionSchema")]
    pub end: WalPosition,
}

/// Who shall take the lease, and everything that this was decided from. Void for any other version of the lease
/// (I10). Written by the controller together with `targetPrimary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ElectionStatus {
    /// The pod, by name.
    pub winner: String,
    /// The pod, by identity.
    #[serde(rename = "winnerPodUID")]
    #[schemars(with = "String")]
    pub winner_pod_uid: PodUid,
    /// `resourceVersion` of the lease.
    pub lease_version: String,
    /// Who held that lease.
    #[serde(default)]
    #[schemars(with = "String")]
    pub holder_nonce: Nonce,
    /// The term of that lease.
    #[schemars(with = "u64")]
    pub term: Term,
    /// Why there was an election.
    pub reason: String,
    /// What the winner had on disk.
    #[schemars(with = "WalPositionSchema")]
    pub evidence: Evidence,
    /// WAL to fetch before taking.
    #[serde(default)]
    pub tail: Option<TailStatus>,
    /// The winner's data directory.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub winner_incarnation: Option<Incarnation>,
    /// The data directories that had fenced themselves at the term when they reported.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub answered: Vec<Incarnation>,
    /// A person forced it, and gave up so many bytes of WAL or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_loss_bytes: Option<u64>,
    /// RFC 3339, for people.
    #[serde(default)]
    pub at: String,
}

impl ElectionStatus {
    /// As the decisions see it.
    #[must_use]
    pub fn to_fact(&self) -> ElectionFact {
        // No `..`: a new field must find its way here.
        let Self {
            winner,
            winner_pod_uid,
            lease_version,
            holder_nonce,
            term,
            reason,
            evidence,
            tail,
            winner_incarnation,
            answered,
            accepted_loss_bytes: accepted_loss,
            at: _,
        } = self.clone();
        let tail = tail.map(|TailStatus { pod, pod_uid, address, end }| TailFact { pod, pod_uid, address, end });
        ElectionFact {
            winner,
            winner_pod_uid,
            lease_version,
            holder_nonce,
            term,
            reason,
            evidence,
            tail,
            winner_incarnation,
            answered,
            accepted_loss,
        }
    }

    /// As it is stored; `at` is RFC 3339.
    #[must_use]
    pub fn from_fact(fact: &ElectionFact, at: String) -> Self {
        let ElectionFact {
            winner,
            winner_pod_uid,
            lease_version,
            holder_nonce,
            term,
            reason,
            evidence,
            tail,
            winner_incarnation,
            answered,
            accepted_loss,
        } = fact.clone();
        let tail = tail.map(|TailFact { pod, pod_uid, address, end }| TailStatus { pod, pod_uid, address, end });
        Self {
            winner,
            winner_pod_uid,
            lease_version,
            holder_nonce,
            term,
            reason,
            evidence,
            tail,
            winner_incarnation,
            answered,
            accepted_loss_bytes: accepted_loss,
            at,
        }
    }
}

/// The primary shall restart its postgres where it is: a parameter asks for it. Written by the controller; the manager
/// that it names does so once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartStatus {
    /// The instance.
    pub instance: String,
    /// The manager process: void for any other.
    #[schemars(with = "String")]
    pub nonce: Nonce,
    /// The term of the lease when it was asked for: a restart in place begins another.
    #[serde(default)]
    #[schemars(with = "u64")]
    pub term: Term,
    /// When it was asked for, RFC 3339 with microseconds: tells one request from the next.
    pub at: String,
}

impl RestartStatus {
    /// As the decisions see it.
    #[must_use]
    pub fn to_fact(&self) -> RestartFact {
        let Self { instance, nonce, term, at } = self.clone();
        RestartFact { instance, nonce, term, id: at }
    }
}

/// What would be lost if this instance were forced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LossStatus {
    /// The instance.
    pub instance: String,
    /// Its pod.
    #[serde(rename = "podUID")]
    #[schemars(with = "String")]
    pub pod_uid: PodUid,
    /// Bytes of WAL that are known to be missing on it. Commits that nobody within reach has heard of are not in it.
    pub bytes: u64,
}

impl LossStatus {
    /// As the decisions see it.
    #[must_use]
    pub fn to_fact(&self) -> LossFact {
        let Self { instance, pod_uid, bytes } = self.clone();
        LossFact { instance, pod_uid, bytes }
    }
}

/// Why nobody can be elected. Every field is written each time: a merge patch keeps what it does not name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ElectionRefusal {
    /// The reason.
    pub reason: String,
    /// Who is missing, and why.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Who could be forced, and at what loss.
    #[serde(default)]
    pub losses: Vec<LossStatus>,
    /// `resourceVersion` of the lease that it is about, where somebody could be forced.
    #[serde(default)]
    pub lease_version: String,
    /// The term of that lease.
    #[serde(default)]
    #[schemars(with = "u64")]
    pub term: Term,
}

impl ElectionRefusal {
    /// As it is stored.
    #[must_use]
    pub fn from_fact(fact: &RefusalFact) -> Self {
        let RefusalFact { reason, missing, is_of_switchover: _, is_of_drain: _, losses, lease_version, term } =
            fact.clone();
        let loss = |LossFact { instance, pod_uid, bytes }: LossFact| LossStatus { instance, pod_uid, bytes };
        Self { reason, missing, losses: losses.into_iter().map(loss).collect(), lease_version, term }
    }
}

/// Annotation [`crate::labels::FORCE_PROMOTION`]: a person makes an instance the primary whom no election may choose,
/// and accepts what is known to be lost by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForcedPromotion {
    /// The instance.
    pub instance: String,
    /// Its pod.
    #[serde(rename = "podUID")]
    pub pod_uid: PodUid,
    /// [`ElectionRefusal::lease_version`]: on any other the demand is void.
    pub lease_version: String,
    /// [`ElectionRefusal::term`].
    pub term: Term,
    /// [`LossStatus::bytes`] as the person typed it: if it is another by now the demand is refused.
    pub accept_loss_bytes: u64,
}

impl ForcedPromotion {
    /// As the decisions see it.
    #[must_use]
    pub fn to_fact(&self) -> ForceFact {
        let Self { instance, pod_uid, lease_version, term, accept_loss_bytes: accepted_loss } = self.clone();
        ForceFact { instance, pod_uid, lease_version, term, accepted_loss }
    }
}
