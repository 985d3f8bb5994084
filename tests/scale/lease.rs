//! The lease as managers write it: taken over the version that was read, and renewed with a full PUT every period.

use std::sync::atomic::Ordering;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use pgherd_core::identity::AttemptId;
use pgherd_core::lease::{HolderState, LeaseRecord, Purpose, Term, taken};
use pgherd_core::timeline::TimelineId;
use pgherd_proto::lease as wire;

use crate::member::{Member, Name, nonce};
use crate::node::Node;
use crate::timings;

/// Between two tries.
const RETRY: Duration = Duration::from_millis(20);

fn leases(node: &Node, cluster: &Name) -> Api<Lease> {
    Api::namespaced(node.client.clone(), &cluster.0)
}

/// Takes the lease: the first one at all, or that of `term`; then renews it as long as this process holds it. None where
/// somebody else was first.
pub async fn take(node: &Node, member: &Member, term: Term) -> Option<LeaseRecord> {
    let (cluster, leases) = (member.cluster(), leases(node, &member.cluster()));
    let purpose = if term.0 == 0 { Purpose::FirstDatabase(TimelineId(1)) } else { Purpose::Promotion };
    loop {
        // The controller makes it.
        let Some(lease) = leases.get_opt(&cluster.1).await.ok().flatten() else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        let before = wire::read_record(&lease).unwrap();
        if before.term != term {
            return None;
        }
        let takers = node.others(member);
        let attempt = AttemptId(nonce());
        let record = taken(&before, member.holder(), attempt, purpose, takers, None);
        let record = LeaseRecord { state: HolderState::Open, lease_duration: timings::duration(), ..record };
        let lease = wire::to_lease(&lease, &record, jiff::Timestamp::now());
        if let Ok(stored) = leases.replace(&cluster.1, &PostParams::default(), &lease).await {
            tokio::spawn(renew(node.clone(), member.clone(), stored, record.clone()));
            return Some(record);
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn renew(node: Node, member: Member, mut last: Lease, mut record: LeaseRecord) {
    let (cluster, leases) = (member.cluster(), leases(&node, &member.cluster()));
    loop {
        tokio::time::sleep(node.period()).await;
        let holds = node.member(&member.pod).is_some_and(|now| now.alive && now.nonce == member.nonce);
        if !holds {
            return;
        }
        record.takers = node.others(&member);
        let lease = wire::to_lease(&last, &record, jiff::Timestamp::now());
        match leases.replace(&cluster.1, &PostParams::default(), &lease).await {
            Ok(stored) => {
                node.renewals.fetch_add(1, Ordering::Relaxed);
                last = stored;
            }
            Err(_) => match leases.get_opt(&cluster.1).await {
                Ok(Some(stored)) => {
                    let held = wire::read_record(&stored).ok().and_then(|record| record.held_by().cloned());
                    if held.is_some_and(|holder| holder.nonce.0 != member.nonce) {
                        return;
                    }
                    last = stored;
                }
                Ok(None) => return,
                Err(_) => {}
            },
        }
    }
}
