//! What the run knows of the cluster at any time, also while its API is away: the pods' addresses from the daemon, and
//! every version of the lease from a watch that goes on where it was cut off.

use crate::bed::Bed;
use crate::history::{Change, Recorder};
use crate::journal::boottime;
use anyhow::Context as _;
use core::time::Duration;
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use pgherd_proto::labels;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often the daemon is asked, and how soon a watch is begun again.
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct Known {
    pods: BTreeMap<String, String>,
    changes: Vec<Change>,
}

/// Shared by all clients.
#[derive(Clone, Debug, Default)]
pub struct Knowledge(Arc<Mutex<Known>>);

impl Knowledge {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pod that has an address.
    #[must_use]
    pub fn pod_at(&self, address: &str) -> Option<String> {
        self.known().pods.get(address).cloned()
    }

    /// The newest term of an instance on a timeline; 0 while it is not known.
    #[must_use]
    pub fn term_of(&self, instance: &str, timeline: u32) -> u64 {
        let known = self.known();
        let own = known.changes.iter().filter(|change| change.holder == instance && change.timeline == timeline);
        own.map(|change| change.term).max().unwrap_or(0)
    }

    /// Who held the lease last.
    #[must_use]
    pub fn holder(&self) -> Option<String> {
        let known = self.known();
        known.changes.iter().rev().map(|change| change.holder.clone()).find(|holder| !holder.is_empty())
    }

    /// How many timelines were opened.
    #[must_use]
    pub fn timelines(&self) -> usize {
        let known = self.known();
        let open = known.changes.iter().filter(|change| change.state == "open");
        open.map(|change| change.timeline).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Learns of addresses until it is dropped.
    pub async fn follow_pods(self, bed: Bed) {
        loop {
            if let Ok(status) = bed.handle.status().await {
                let mut known = self.known();
                for (pod, address) in status.pods {
                    let name = pod.rsplit('/').next().unwrap_or_default().to_owned();
                    known.pods.insert(address, name);
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Writes down every version of the lease until it is dropped, or until the file cannot be written.
    pub async fn follow_lease(self, bed: Bed, mut recorder: Recorder) {
        let leases: Api<Lease> = Api::namespaced(bed.client.clone(), &bed.place.namespace);
        let name = format!("metadata.name={}", bed.place.cluster);
        let mut version: Option<String> = None;
        loop {
            if version.is_none()
                && let Ok(found) = leases.list(&ListParams::default().fields(&name)).await
            {
                version.clone_from(&found.metadata.resource_version);
                if !found.items.iter().all(|lease| self.learn(lease, &mut recorder)) {
                    return;
                }
            }
            if let Some(from) = version.clone()
                && let Ok(stream) = leases.watch(&WatchParams::default().fields(&name), &from).await
            {
                let mut stream = std::pin::pin!(stream);
                while let Some(Ok(event)) = stream.next().await {
                    match event {
                        WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                            version.clone_from(&lease.metadata.resource_version);
                            if !self.learn(&lease, &mut recorder) {
                                return;
                            }
                        }
                        // The version has left the server's history.
                        WatchEvent::Error(_) => version = None,
                        WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
                    }
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Whether what is new could be written down.
    fn learn(&self, lease: &Lease, recorder: &mut Recorder) -> bool {
        let Some(change) = change(lease) else { return true };
        let mut known = self.known();
        if known.changes.last().is_some_and(|last| same(last, &change)) {
            return true;
        }
        known.changes.push(change.clone());
        recorder.record(&change).is_ok()
    }
}

/// The lease as it is now, by the API's word.
///
/// # Errors
/// Of the API, or if the lease lacks what every lease of ours has.
pub(super) async fn lease_now(bed: &Bed) -> anyhow::Result<Change> {
    let leases: Api<Lease> = Api::namespaced(bed.client.clone(), &bed.place.namespace);
    let lease = leases.get(&bed.place.cluster).await.context("failed to read the lease")?;
    change(&lease).context("the lease lacks its annotations")
}

fn same(one: &Change, other: &Change) -> bool {
    *other == Change { seen: other.seen, ..one.clone() }
}

fn change(lease: &Lease) -> Option<Change> {
    let annotations = lease.metadata.annotations.as_ref()?;
    let text = |name: &str| annotations.get(name).cloned().unwrap_or_default();
    let state = text(labels::LEASE_STATE);
    Some(Change {
        seen: boottime(),
        holder: if state == "released" { String::new() } else { text(labels::LEASE_HOLDER) },
        nonce: text(labels::LEASE_HOLDER_NONCE),
        term: text(labels::LEASE_TERM).parse().ok()?,
        timeline: text(labels::LEASE_TIMELINE).parse().ok()?,
        state,
    })
}
