//! What the Cluster's status shall say (CNPG's names and strings).

use super::explain::ElectionNote;
use super::failover::Outlook;
use super::hibernation::HibernationNote;
use super::instances::{Needs, count, primary_is_well};
use super::rollout::Progress;
use super::topology::{self, TopologyNote};
use crate::cluster::{Desired, Observed};
use crate::timeline::TimelineId;
use core::fmt;
use serde::{Deserialize, Serialize};

/// `status.phase`: exact strings, which health checks of GitOps tools compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// initdb is yet to be.
    #[default]
    SettingUpPrimary,
    /// Instances are being cloned.
    CreatingReplica,
    /// All is well.
    Healthy,
    /// The primary is being replaced.
    FailingOver,
    /// The primary is handing over.
    Switchover,
    /// Instances are brought up to date, one by one.
    Upgrading,
    /// The primary's turn has come, and the user decides when (`primaryUpdateStrategy: supervised`).
    WaitingForUser,
    /// The primary's postgres restarts in its pod.
    RestartingInPlace,
    /// The same, before its standbys: a parameter is decreased.
    RestartingForDecrease,
    /// Instances are not ready yet.
    WaitingForInstances,
    /// No volume is left.
    Unrecoverable,
    /// The spec was refused; the last valid one is in force.
    Invalid,
    /// The cluster is being brought back out of its archive, in place (ours).
    Restoring,
    /// A person wants no pods (ours; CNPG says so in the condition alone).
    Hibernated,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::SettingUpPrimary => "Setting up primary",
            Phase::CreatingReplica => "Creating a new replica",
            Phase::Healthy => "Cluster in healthy state",
            Phase::FailingOver => "Failing over",
            Phase::Switchover => "Switchover in progress",
            Phase::Upgrading => "Upgrading cluster",
            Phase::WaitingForUser => "Waiting for user action",
            Phase::RestartingInPlace => "Primary instance is being restarted in-place",
            Phase::RestartingForDecrease => "Primary instance is being restarted without a switchover",
            Phase::WaitingForInstances => "Waiting for the instances to become active",
            Phase::Unrecoverable => "Cluster is unrecoverable and needs manual intervention",
            Phase::Invalid => "Invalid cluster definition",
            Phase::Restoring => "Restoring in place",
            Phase::Hibernated => "Hibernated",
        })
    }
}

/// The controller's share of the status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusUpdate {
    /// `phase`.
    pub phase: Phase,
    /// `phaseReason`.
    pub reason: String,
    /// `instances`: pods that there are.
    pub instances: u32,
    /// `readyInstances`.
    pub ready: u32,
    /// `instanceNames`.
    pub names: Vec<String>,
    /// `pvcCount`.
    pub volumes: u32,
    /// `healthyPVC`.
    pub healthy_volumes: Vec<String>,
    /// `initializingPVC`.
    pub initializing_volumes: Vec<String>,
    /// `resizingPVC`.
    pub resizing_volumes: Vec<String>,
    /// `danglingPVC`.
    pub dangling_volumes: Vec<String>,
    /// `instancesStatus`: healthy, replicating, failed pods.
    pub healthy: Vec<String>,
    /// Not ready yet, but coming.
    pub replicating: Vec<String>,
    /// Ended.
    pub failed: Vec<String>,
    /// `timelineID`.
    pub timeline: Option<TimelineId>,
    /// The database exists (condition `Initialized`).
    pub initialized: bool,
    /// Members whose database is another than the cluster's (condition `ConsistentSystemID`).
    pub foreign: Vec<String>,
    /// An election that is due or under way (condition `PrimaryElected`); absent while the primary is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub election: Option<ElectionNote>,
    /// Whether commits can wait for standbys in other failure domains (condition `SyncReplicationTopologySatisfied`);
    /// absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology: Option<TopologyNote>,
    /// How far a hibernation is (condition `cnpg.io/hibernation`); absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hibernation: Option<HibernationNote>,
}

/// While nothing but the restore goes on.
pub(super) fn restoring(desired: &Desired, observed: &Observed, reason: String) -> StatusUpdate {
    let plain = of(desired, observed, &Outlook::Settled, &Needs::default(), &Progress::UpToDate);
    StatusUpdate { phase: Phase::Restoring, reason, ..plain }
}

/// While a person wants no pods.
pub(super) fn hibernating(desired: &Desired, observed: &Observed, note: HibernationNote) -> StatusUpdate {
    let plain = of(desired, observed, &Outlook::Settled, &Needs::default(), &Progress::UpToDate);
    StatusUpdate { phase: Phase::Hibernated, reason: note.to_string(), hibernation: Some(note), ..plain }
}

pub(super) fn of(
    desired: &Desired,
    observed: &Observed,
    outlook: &Outlook,
    needs: &Needs,
    progress: &Progress,
) -> StatusUpdate {
    let names = |pick: &dyn Fn(&crate::cluster::PodView) -> bool| {
        observed.pods.iter().filter(|pod| pick(pod)).map(|pod| pod.name.clone()).collect::<Vec<_>>()
    };
    let volumes = |pick: &dyn Fn(&crate::cluster::VolumeView) -> bool| {
        let picked = observed.all_volumes().filter(|volume| pick(volume));
        picked.map(|volume| volume.name.clone()).collect::<Vec<_>>()
    };
    let has_pod = |serial: u32| observed.pods.iter().any(|pod| pod.serial == serial);
    let ready = names(&|pod| pod.ready && pod.is_alive());
    let (phase, reason) = phase(desired, observed, outlook, needs, progress, count(ready.len()));
    let said = [reason].into_iter().filter(|reason| !reason.is_empty()).chain(needs.stranded.iter().cloned());
    let reason = said.collect::<Vec<_>>().join("; ");
    let system = observed.status.system_id;
    StatusUpdate {
        phase,
        reason,
        instances: count(observed.pods.len()),
        ready: count(ready.len()),
        names: names(&|_| true),
        volumes: count(observed.all_volumes().count()),
        healthy_volumes: volumes(&|volume| volume.has_data && has_pod(volume.serial)),
        initializing_volumes: volumes(&|volume| !volume.has_data),
        resizing_volumes: volumes(&|volume| volume.resizing),
        dangling_volumes: volumes(&|volume| volume.has_data && !has_pod(volume.serial)),
        healthy: ready,
        replicating: names(&|pod| !pod.ready && pod.is_alive()),
        failed: names(&|pod| pod.is_finished()),
        timeline: observed.lease.as_ref().map(|lease| lease.value.timeline).filter(|timeline| timeline.0 > 0),
        initialized: system.is_some() || observed.status.restore.is_some(),
        foreign: names(&|pod| {
            let own = pod.report.as_ref().and_then(|report| report.system_id);
            system.is_some() && own.is_some() && own != system
        }),
        election: None,
        topology: topology::of(desired, observed),
        hibernation: None,
    }
}

fn phase(
    desired: &Desired,
    observed: &Observed,
    outlook: &Outlook,
    needs: &Needs,
    progress: &Progress,
    ready: u32,
) -> (Phase, String) {
    let instances: Vec<String> = needs.incomplete.iter().map(|serial| desired.instance(*serial)).collect();
    match (&observed.invalid, outlook) {
        (_, Outlook::FailingOver(reason)) => (Phase::FailingOver, reason.clone()),
        (_, Outlook::Fenced(reason)) => (Phase::WaitingForInstances, reason.clone()),
        (_, Outlook::SwitchingOver(reason)) => (Phase::Switchover, reason.clone()),
        _ if needs.unrecoverable => {
            (Phase::Unrecoverable, "all volumes of this initialised cluster are gone; restore it from a backup".into())
        }
        (Some(reason), Outlook::Settled) => (Phase::Invalid, reason.clone()),
        _ if observed.status.system_id.is_none() => {
            (Phase::SettingUpPrimary, format!("Creating primary instance {}", desired.instance(1)))
        }
        _ if instances.is_empty() && *progress != Progress::UpToDate => match progress {
            Progress::WaitsForUser(reason) => (Phase::WaitingForUser, reason.clone()),
            Progress::RestartsInPlace { decrease: true } => (Phase::RestartingForDecrease, String::new()),
            Progress::RestartsInPlace { decrease: false } => (Phase::RestartingInPlace, String::new()),
            Progress::Upgrading(reason) => (Phase::Upgrading, reason.clone()),
            Progress::UpToDate => (Phase::Healthy, String::new()),
        },
        _ if !instances.is_empty() && primary_is_well(observed) => {
            (Phase::CreatingReplica, format!("Creating {}", instances.join(", ")))
        }
        _ if ready < desired.instances => {
            (Phase::WaitingForInstances, format!("{ready} of {} instances are ready", desired.instances))
        }
        _ => (Phase::Healthy, super::certificates::complaint(observed).unwrap_or_default()),
    }
}
