//! The primary moves again and again while rows are written, also while it is only just being promoted.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use pgherd_localkube::fault::Target;
use serde_json::json;

use crate::bed::{Bed, CLUSTER, NAMESPACE, long};
use crate::load::Load;

/// Back and forth so often.
const ROUNDS: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn failovers_back_and_forth_under_load_lose_nothing() {
    let bed = Bed::start("failovers", |cluster| {
        cluster["spec"]["replicationSlots"] = json!({"updateInterval": 1});
    })
    .await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    bed.ask(&primary, "SELECT pg_create_physical_replication_slot('reader', true)").await.unwrap();
    for round in 1..=ROUNDS {
        bed.everybody_has_slot().await;
        let primary = bed.primary().await;
        bed.hurt(&load, &format!("failover {round} from {primary}"), async || {
            bed.kill(Target::Postmaster, &primary).await;
            bed.another_primary(&primary, 60).await;
        })
        .await;
        let next = bed.healthy(90).await;
        bed.has_slot(&next).await;
    }
    bed.nothing_lost(&load).await;
    for (number, victim) in [Target::Postmaster, Target::Manager].into_iter().enumerate() {
        // What it dies of decides how soon it may be back: in place at once, or as a container.
        if number == 0 || long() {
            bed.cascade(&load, victim).await;
        }
    }
    let last = bed.healthy(120).await;
    bed.has_slot(&last).await;
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// Slots are copied once a second here: who has only just come back has none yet to hand on.
    async fn everybody_has_slot(&self) {
        for standby in self.standbys().await {
            self.has_slot(&standby).await;
        }
    }

    /// The user's slot is there.
    async fn has_slot(&self, pod: &str) {
        let sql = "SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'reader'";
        let what = format!("the user's slot on {pod}");
        let at = self
            .until(&what, 30, async || match self.ask(pod, sql).await? {
                none if none.is_empty() => Err("it is not there".to_owned()),
                at => Ok(at),
            })
            .await;
        self.say(&format!("the user's slot is on {pod}, at {at}"));
    }

    /// A primary dies, and the next one as soon as the lease says that it is being promoted.
    async fn cascade(&self, load: &Load, victim: Target) {
        self.everybody_has_slot().await;
        let primary = self.primary().await;
        self.hurt(load, &format!("{primary} killed, and the next one's {victim:?} in its promotion"), async || {
            self.kill(Target::Postmaster, &primary).await;
            let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
            let next = self.promoting(&leases, &primary).await;
            self.kill(victim, &next).await;
            let state = leases.get(CLUSTER).await.unwrap().metadata.annotations.unwrap_or_default();
            self.say(&format!("{next} was {:?} when it was killed", state.get("pgherd.io/state")));
        })
        .await;
        self.healthy(120).await;
        self.nothing_lost(load).await;
    }

    /// Who has taken the lease from `old`, and is not open yet. Asked without a pause: it does not last.
    async fn promoting(&self, leases: &Api<Lease>, old: &str) -> String {
        let looking = async {
            loop {
                let lease = leases.get(CLUSTER).await.unwrap();
                let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
                if !holder.is_empty() && holder != old {
                    return holder;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), looking).await.expect("a successor")
    }
}
