//! Everything that is there, at one moment.

use super::{KeptVolume, ObjectKind, PodView, SecretKind, VolumeView};
use crate::identity::{Incarnation, Nonce, PodUid, SystemId};
use crate::lease::{Holder, LeaseRecord, Term, Versioned, WalPosition};
use crate::restore::{RestoreFact, RestoreOrder};
use crate::time::Instant;
use crate::timeline::TimelineId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where the winner finds WAL that it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TailFact {
    /// The pod that serves it.
    pub pod: String,
    /// That pod's uid.
    pub pod_uid: PodUid,
    /// Its IP.
    pub address: String,
    /// Where the tail ends.
    #[serde(flatten)]
    pub end: WalPosition,
}

/// `status.election` as stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ElectionFact {
    /// Who shall take the lease.
    pub winner: String,
    /// That pod's uid.
    pub winner_pod_uid: PodUid,
    /// The lease it was decided from (I10).
    pub lease_version: String,
    /// The holder of that lease.
    pub holder_nonce: Nonce,
    /// The term of that lease.
    pub term: Term,
    /// Why there was an election.
    pub reason: String,
    /// What the winner had flushed.
    pub evidence: WalPosition,
    /// WAL to fetch before taking.
    pub tail: Option<TailFact>,
    /// The winner's data directory, which it checks against its own (rule E5).
    #[serde(default)]
    pub winner_incarnation: Option<Incarnation>,
    /// R of rule E4: the data directories that had fenced themselves at the term when they reported.
    #[serde(default)]
    pub answered: Vec<Incarnation>,
    /// A person forced it, and gives up so many bytes of WAL or more: rule E4 does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_loss: Option<u64>,
}

/// What would be lost if this instance were forced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LossFact {
    /// The instance.
    pub instance: String,
    /// Its pod.
    pub pod_uid: PodUid,
    /// The number that a person has to accept.
    pub bytes: u64,
}

/// A person demands that an instance be the primary whom no election may choose (annotation
/// `pgherd.io/force-promotion`). It is about one version of the lease and void on any other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForceFact {
    /// The instance.
    pub instance: String,
    /// Its pod.
    pub pod_uid: PodUid,
    /// The lease that the refusal was about.
    pub lease_version: String,
    /// Its term.
    pub term: Term,
    /// The number that the person typed.
    pub accepted_loss: u64,
}

/// `status.electionRefusal` as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalFact {
    /// Why nobody can be elected.
    pub reason: String,
    /// Who is missing, and why.
    pub missing: Vec<String>,
    /// Of a switchover that was asked for: the primary is well.
    #[serde(default, rename = "switchover", skip_serializing_if = "core::ops::Not::not")]
    pub is_of_switchover: bool,
    /// Of a drain: the primary is well, and cannot leave its node.
    #[serde(default, rename = "drain", skip_serializing_if = "core::ops::Not::not")]
    pub is_of_drain: bool,
    /// Who could be forced, and at what loss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<LossFact>,
    /// The lease that it is about, where somebody could be forced.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lease_version: String,
    /// Its term.
    #[serde(default, skip_serializing_if = "is_first")]
    pub term: Term,
}

/// `status.restart` as stored: this very manager shall restart its postgres in its pod.
#[derive(Clone, Debug, Default, PartialEq, Hash, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestartFact {
    /// The instance.
    pub instance: String,
    /// The manager process: a new one has started postgres anew anyhow.
    pub nonce: Nonce,
    /// The term of the lease when it was asked for: a restart in place begins another.
    #[serde(default)]
    pub term: Term,
    /// Tells one request from the next.
    pub id: String,
}

/// What the Cluster's status says that decisions depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusFacts {
    /// `status.systemID`: set once initdb has succeeded. While the database is made out of the archive again
    /// (`Stage::Restoring`) there is none.
    pub system_id: Option<SystemId>,
    /// `status.initialization.instance`: who is at initdb.
    pub initializing: Option<String>,
    /// `status.currentPrimary`.
    pub current_primary: Option<String>,
    /// `status.targetPrimary`.
    pub target_primary: Option<String>,
    /// `status.election`.
    pub election: Option<ElectionFact>,
    /// `status.electionRefusal`.
    pub refusal: Option<RefusalFact>,
    /// `status.phase`.
    pub phase: Option<String>,
    /// `status.restart`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartFact>,
    /// `status.restore`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreFact>,
    /// `status.timelineID`: the highest that was ever reserved, as far as the controller has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<TimelineId>,
}

/// What is known of a certificate in one of the cluster's secrets. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFact {
    /// Whose.
    pub kind: SecretKind,
    /// `notAfter`.
    pub expires: i64,
    /// Of a leaf: the present authority has signed it, and stands beside it with all that are believed. Of what the
    /// instances use: it is made of the others as they are.
    pub current: bool,
    /// Of the authority: since when the next one is published beside it.
    pub next_since: Option<i64>,
}

/// An object of the cluster that is not what it would be made as today: an older controller made it, the spec has
/// changed since, or somebody has changed it by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftFact {
    /// Which.
    pub kind: ObjectKind,
    /// Its resourceVersion.
    pub version: String,
    /// What differs cannot be changed where it is: it is made anew.
    pub anew: bool,
}

/// What the controller remembers between two looks, by its own clock. Losing it only restarts the timers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Since when the lease has had this holder, term and state.
    pub lease_since: Instant,
    /// Since when `status.election` has been what it is.
    pub election_since: Instant,
    /// Since when the primary has looked unhealthy; absent while it does not.
    pub unhealthy_since: Option<Instant>,
    /// Since when another instance than the open primary has been asked for (`status.targetPrimary`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_since: Option<Instant>,
    /// Since when the lease has been at this very version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_since: Option<Instant>,
    /// Since when an initialised cluster has had no lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_lost_since: Option<Instant>,
    /// Since when each pod, of those that are, has been stranded for the same cause.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stranded_since: BTreeMap<PodUid, Instant>,
}

/// The cluster as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Observed {
    /// Its pods.
    pub pods: Vec<PodView>,
    /// Its volumes of data: with an instance's other volume they are a pair, and this one stands for both.
    pub volumes: Vec<VolumeView>,
    /// Its volumes of WAL, where WAL has its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wal_volumes: Vec<VolumeView>,
    /// Volumes that a restore has put aside. They are nobody's until it is undone, and their names are taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptVolume>,
    /// Its other objects.
    pub objects: BTreeSet<ObjectKind>,
    /// Those among them that are the cluster's own and not as they should be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drifted: Vec<DriftFact>,
    /// Its lease, read for this look; absent when there is none.
    pub lease: Option<Versioned<LeaseRecord>>,
    /// Its status.
    pub status: StatusFacts,
    /// What a person demands of the election.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<ForceFact>,
    /// What a person asks to have restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_order: Option<RestoreOrder>,
    /// Annotation `cnpg.io/hibernation` is `on`: a person wants no pods, and every volume kept.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub hibernate: bool,
    /// `minAvailable` of the replicas' budget, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_budget: Option<u32>,
    /// The wall clock, in seconds since 1970: certificates end by it, and nothing else is decided by it.
    #[serde(skip_serializing_if = "is_zero")]
    pub wall: i64,
    /// The certificates that could be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateFact>,
    /// When each certificate ends, by the name of its Secret, in seconds since 1970.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub expirations: BTreeMap<String, i64>,
    /// What cannot be used of the certificates that the user brings; what was there before is used on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unusable_certificates: Vec<String>,
    /// The API server does not know PodDisruptionBudgets of policy/v1: it is older than Kubernetes 1.21.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub budgets_unserved: bool,
    /// The API server knows PodMonitors.
    pub pod_monitors_served: bool,
    /// The timers.
    pub memory: Memory,
    /// Why the spec was refused, if it was; the last valid one is what [`super::Desired`] has then.
    pub invalid: Option<String>,
}

fn is_first(term: &Term) -> bool {
    term.0 == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(wall: &i64) -> bool {
    *wall == 0
}

impl Observed {
    /// The pod of one name.
    #[must_use]
    pub fn pod(&self, name: &str) -> Option<&PodView> {
        self.pods.iter().find(|pod| pod.name == name)
    }

    /// The pod of one identity.
    #[must_use]
    pub fn pod_by_uid(&self, uid: &PodUid) -> Option<&PodView> {
        self.pods.iter().find(|pod| &pod.uid == uid)
    }

    /// Its volumes, those of data and those of WAL.
    pub fn all_volumes(&self) -> impl Iterator<Item = &VolumeView> {
        self.volumes.iter().chain(&self.wal_volumes)
    }

    /// Whether it is time to have no pods: there is a database to wake up with, and no restore goes on.
    #[must_use]
    pub fn hibernates(&self) -> bool {
        let restores = self.status.restore.as_ref().is_some_and(|restore| restore.stage.is_under_way());
        self.hibernate && self.status.system_id.is_some() && !restores
    }

    /// Who holds the lease now.
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        self.lease.as_ref().and_then(|lease| lease.value.held_by())
    }

    /// The pod that holds the lease now, by uid (I11).
    #[must_use]
    pub fn holder_pod(&self) -> Option<&PodView> {
        self.pod_by_uid(&self.holder()?.pod_uid)
    }
}
