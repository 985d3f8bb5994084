//! Hibernation (`cnpg.io/hibernation: on`): all pods stop, every volume stays. The standbys go first and the primary last,
//! so that it has everything when the cluster wakes, and nobody is elected in between.

use super::Draft;
use super::step::Step;
use crate::cluster::{Observed, PodView};
use core::fmt;
use serde::{Deserialize, Serialize};

/// How far it is (condition `cnpg.io/hibernation`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HibernationNote {
    /// No pod is left.
    Hibernated,
    /// Pods are being deleted.
    DeletingPods,
    /// This pod has yet to go.
    WaitingPodsDeletion(String),
    /// Something has to be over first.
    NotYet(String),
}

impl fmt::Display for HibernationNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HibernationNote::Hibernated => f.write_str("Cluster has been hibernated"),
            HibernationNote::DeletingPods => f.write_str("Hibernation is in progress"),
            HibernationNote::WaitingPodsDeletion(pod) => write!(f, "Waiting for {pod} to be deleted"),
            HibernationNote::NotYet(what) => write!(f, "Waiting for {what}"),
        }
    }
}

/// What is asked for and cannot be yet.
pub(super) fn waits(observed: &Observed) -> Option<HibernationNote> {
    if !observed.hibernate || observed.hibernates() {
        return None;
    }
    let what = if observed.status.system_id.is_none() { "the database to be made" } else { "the restore to end" };
    Some(HibernationNote::NotYet(what.to_owned()))
}

/// Deletes what may go now.
pub(super) fn plan(observed: &Observed, draft: &mut Draft) -> HibernationNote {
    let holder = observed.holder_pod().map(|pod| &pod.uid);
    // Without a lease, as on a cluster that another operator made, the status knows it.
    let known = observed.status.current_primary.as_ref().filter(|_| observed.lease.is_none());
    let is_last = |pod: &&PodView| Some(&pod.uid) == holder || Some(&pod.name) == known;
    let (primary, others): (Vec<&PodView>, Vec<&PodView>) = observed.pods.iter().partition(is_last);
    let turn = if others.is_empty() { &primary } else { &others };
    let mut deletes = false;
    for pod in turn.iter().filter(|pod| !pod.deleting) {
        draft.report.does(format!("delete pod {}", pod.name), "the cluster hibernates; its volumes stay");
        draft.steps.push(Step::DeletePod { name: pod.name.clone(), uid: pod.uid.clone() });
        deletes = true;
    }
    match turn.first() {
        None => {
            draft.report.notes("the cluster hibernates: no pod runs, and every volume is kept");
            HibernationNote::Hibernated
        }
        Some(_) if deletes => HibernationNote::DeletingPods,
        Some(pod) => {
            draft.report.waits(format!("{} to be gone", pod.name));
            HibernationNote::WaitingPodsDeletion(pod.name.clone())
        }
    }
}
