//! Pods and volumes as observed.

use super::Report;
use crate::identity::{Nonce, PodUid};
use crate::lease::LeaseRecord;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `status.phase` of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodPhase {
    /// Not yet started.
    Pending,
    /// At least one container runs, starts or restarts.
    #[default]
    Running,
    /// All ended well; they will not come back.
    Succeeded,
    /// Ended (evicted, for one); it will not come back.
    Failed,
    /// The node does not answer.
    Unknown,
}

/// Label `cnpg.io/instanceRole`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// `-rw` leads here.
    Primary,
    /// `-ro` leads here.
    Replica,
    /// The primary that is being replaced: no service but `-r` leads here.
    Unhealthy,
}

impl Role {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Replica => "replica",
            Role::Unhealthy => "unhealthy",
        }
    }
}

/// One instance's pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodView {
    /// `metadata.name`.
    pub name: String,
    /// From the name.
    pub serial: u32,
    /// `metadata.uid`.
    pub uid: PodUid,
    /// `metadata.resourceVersion`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// `status.podIP`, once it has one.
    pub ip: Option<String>,
    /// `status.phase`.
    pub phase: PodPhase,
    /// Condition `Ready`.
    pub ready: bool,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `spec.nodeName`.
    pub node: Option<String>,
    /// No node is found for it (condition `PodScheduled`, reason `Unschedulable`): what the scheduler says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unschedulable: Option<String>,
    /// Zone of that node, where it is known.
    pub zone: Option<String>,
    /// Why its node is to be left (it is cordoned, or has a taint of a drain); absent while it may stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaving: Option<String>,
    /// The labels that tell its failure domain, as far as they are known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub place: BTreeMap<String, String>,
    /// Label `cnpg.io/instanceRole`.
    pub role: Option<Role>,
    /// Nonces of managers whose container has terminated (`state` or `lastState.terminated.message`; hole 17).
    pub dead_nonces: Vec<Nonce>,
    /// Its postgres container ended, and is started again after so long at the earliest (`CrashLoopBackOff`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts_after: Option<Duration>,
    /// What of it is not as it would be made today, in words; absent while it is up to date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outdated: Option<String>,
    /// It mounts a volume of WAL.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub has_wal_volume: bool,
    /// Asked just now, it did not fence itself: by what it knows the holder may write yet.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub counts_on_holder: bool,
    /// What its manager says.
    pub report: Option<Report>,
}

impl PodView {
    /// Whether the very process that holds the lease is in this pod, as far as its last report tells. Another manager
    /// in the holder's pod holds nothing, and is a member as any other.
    #[must_use]
    pub fn holds(&self, lease: &LeaseRecord) -> bool {
        let holder = lease.held_by().filter(|holder| holder.pod_uid == self.uid);
        holder.is_some_and(|holder| self.report.as_ref().is_none_or(|report| report.nonce == holder.nonce))
    }

    /// It ended and will not come back under this uid.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, PodPhase::Succeeded | PodPhase::Failed)
    }

    /// Its manager may yet speak: the pod is there, and stays.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.deleting && !self.is_finished()
    }
}

/// A volume claim that a restore has put aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeptVolume {
    /// `metadata.name`.
    pub name: String,
    /// From the name.
    pub serial: u32,
    /// The restore (label `pgherd.io/kept-by`).
    pub by: String,
}

/// `status.phase` of a volume claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimPhase {
    /// No volume was found or made for it yet.
    Pending,
    /// It has its volume.
    Bound,
    /// It had one, which is not there any more.
    Lost,
}

/// One instance's volume claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeView {
    /// `metadata.name`.
    pub name: String,
    /// From the name.
    pub serial: u32,
    /// `metadata.resourceVersion`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// `status.phase`, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<ClaimPhase>,
    /// Annotation `cnpg.io/pvcStatus` is `ready`: a member has said that there is a database on it.
    pub has_data: bool,
    /// `metadata.deletionTimestamp` is set; it is there until its pod is gone.
    pub deleting: bool,
    /// `spec.resources.requests.storage`, in bytes; absent where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested: Option<u64>,
    /// It is being grown, or waits for its pod to restart for that.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub resizing: bool,
    /// Label `cnpg.io/instanceRole`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}
