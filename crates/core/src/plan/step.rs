//! The steps of a plan. Each is one write, bound to the object it was decided for.

use crate::cluster::{DriftFact, ElectionFact, ObjectKind, RefusalFact, Role, SecretKind};
use crate::identity::{Nonce, PodUid};
use crate::lease::{LeaseRecord, Versioned};
use crate::restore::{RestoreFact, Stage};
use serde::{Deserialize, Serialize};

/// Severity of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// For information.
    Normal,
    /// Somebody may have to act.
    Warning,
}

/// A claim that is deleted with what is on it, if it still is as it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GivenUp {
    /// Its name.
    pub name: String,
    /// Its resourceVersion.
    pub version: String,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Create an object of the cluster; that it is there already is success.
    Create(ObjectKind),
    /// Bring an object up to date, over the version that was looked at.
    Update(DriftFact),
    /// Create the empty lease.
    CreateLease,
    /// Create the lost lease of an initialised cluster, as held by its last primary (rule L8).
    RecreateLease(Box<LeaseRecord>),
    /// Set how many standbys an eviction must leave.
    SetReplicaBudget {
        /// `minAvailable`.
        available: u32,
    },
    /// Sign a certificate anew; its secret is written over the version that was looked at.
    RenewSecret(SecretKind),
    /// Publish the authority that will sign next beside the one that does.
    PrepareAuthority,
    /// Let the next authority sign; the old one is believed until it ends.
    SwitchAuthority,
    /// Delete an object that is wanted no more.
    Delete(ObjectKind),
    /// Take the finalizer off the lease: its cluster goes away.
    ReleaseLeaseObject,
    /// Create an instance's volume claim.
    CreateVolume {
        /// Which.
        serial: u32,
    },
    /// Create an instance's claim of a volume for WAL.
    CreateWalVolume {
        /// Which.
        serial: u32,
    },
    /// Note on the claim that there is a database on it.
    MarkVolumeReady {
        /// Its name.
        name: String,
    },
    /// Create an instance's pod.
    CreatePod {
        /// Which.
        serial: u32,
    },
    /// Delete this pod and no other of its name; its manager is given its grace.
    DeletePod {
        /// Its name.
        name: String,
        /// Its uid, as a precondition.
        uid: PodUid,
    },
    /// Delete this pod, so that it is made anew on its volume as it is wanted today.
    ReplacePod {
        /// Its name.
        name: String,
        /// Its uid, as a precondition.
        uid: PodUid,
    },
    /// Have the primary restart its postgres where it is.
    RestartInPlace {
        /// The instance.
        instance: String,
        /// Its manager process: any other has started postgres anew already.
        nonce: Nonce,
    },
    /// Ask for more room on a volume.
    GrowVolume {
        /// Its name.
        name: String,
        /// A Kubernetes quantity.
        size: String,
    },
    /// Set the role label of a volume, which follows its pod's.
    SetVolumeRole {
        /// Its name.
        name: String,
        /// The role.
        role: Role,
    },
    /// Delete a volume claim, and what is on it.
    DeleteVolume {
        /// Its name.
        name: String,
    },
    /// Give up what an instance has and cannot use: its pod, then these claims, each only as it was looked at.
    Rebuild {
        /// Its name.
        name: String,
        /// Its pod's uid, as a precondition.
        uid: PodUid,
        /// Its pod's resourceVersion, as another one: a pod that has found a node since is left alone.
        version: String,
        /// The claims that go.
        volumes: Vec<GivenUp>,
    },
    /// Take a restore on: `status.restore`, over the status it was decided from. Elections of before are void.
    BeginRestore(Box<RestoreFact>),
    /// An order to restore was ruled on: it goes.
    ClearRestoreOrder,
    /// Put a volume aside for as long as a person wants it.
    KeepVolume {
        /// Its name.
        name: String,
        /// The restore that does.
        restore: String,
    },
    /// Make a volume that was put aside the cluster's again.
    ReviveVolume {
        /// Its name.
        name: String,
    },
    /// Write over this version of the lease, which nobody holds, the one between two histories.
    CloseLease {
        /// The lease as it was read.
        over: String,
        /// The record.
        record: Box<LeaseRecord>,
    },
    /// Go on to the next stage of the restore, over the status it was decided from.
    AdvanceRestore {
        /// The stage.
        stage: Stage,
        /// The lease that it closes, where that is known from now on.
        before: Option<Box<Versioned<LeaseRecord>>>,
        /// The instance that is made out of the archive, where it is chosen now.
        instance: Option<String>,
    },
    /// Set the role labels.
    SetRole {
        /// The pod.
        pod: String,
        /// Its uid, as a precondition.
        uid: PodUid,
        /// The role.
        role: Role,
    },
    /// Write the election and `targetPrimary`, over the status it was decided from.
    WriteElection(Box<ElectionFact>),
    /// Take a void election back: `targetPrimary` is the holder again.
    CancelElection {
        /// The holder.
        holder: String,
    },
    /// Say why nobody can be elected; `targetPrimary` goes back to the holder, if there is one.
    WriteRefusal {
        /// Why.
        refusal: RefusalFact,
        /// The holder that stays.
        keep: Option<String>,
    },
    /// A person's demand to force somebody was judged: it goes.
    ClearForce,
    /// The last refusal is history.
    ClearRefusal,
    /// Set `targetPrimary` where nothing else does.
    SetTarget {
        /// The pod.
        pod: String,
    },
    /// Tell people.
    Event {
        /// Severity.
        kind: EventKind,
        /// CamelCase, as CNPG's.
        reason: String,
        /// For people.
        message: String,
    },
}
