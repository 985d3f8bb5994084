//! What people do by hand behind the manager's back: a lease edited or deleted, a standby promoted, certificates deleted.

use core::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_testkit::journal::boottime;
use serde_json::json;

use crate::bed::{Bed, CLUSTER, NAMESPACE, long};
use crate::cluster::text;

const TERM: &str = "pgherd.io/term";

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_edited_or_deleted_and_a_stray_promotion_move_nobody() {
    let bed = Bed::start("hands", |cluster| {
        // What is to be kept out of the logs is hardest to keep out then.
        cluster["spec"]["postgresql"]["parameters"]["log_statement"] = json!("all");
    })
    .await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    bed.certificates_rotate(&primary).await;
    bed.certificates_that_are_not_there_change_nothing(&primary).await;
    bed.older_tls_is_refused(&primary).await;
    if long() {
        bed.the_users_authority_takes_over(&primary).await;
    }
    let leases: Api<Lease> = Api::namespaced(bed.client.clone(), NAMESPACE);
    let term = term_of(&leases.get(CLUSTER).await.unwrap());

    bed.hurt(&load, "the lease's term set back by hand", async || {
        bed.annotated(&leases, TERM, "0").await;
        bed.until("the term put right", 30, async || held(&leases, &primary, &term).await).await;
    })
    .await;

    bed.hurt(&load, "the lease deleted by hand, its finalizer too", async || {
        let old = leases.get(CLUSTER).await.unwrap().metadata.uid;
        bed.deleted(&leases).await;
        bed.until("a new lease of the same holder", 30, async || {
            held(&leases, &primary, &term).await?;
            let now = leases.get(CLUSTER).await.map_err(|error| error.to_string())?.metadata.uid;
            if now == old { Err("it is the old one".to_owned()) } else { Ok(()) }
        })
        .await;
    })
    .await;
    bed.hurt(&load, "the lease's term made unreadable by hand", async || {
        let since = boottime();
        bed.annotated(&leases, TERM, "many").await;
        // Leases are read when something happens, and every half minute.
        bed.until("the condition saying so", 90, async || {
            let condition = bed.condition("PrimaryElected").await?;
            let says = text(&condition, "/message").contains("annotation pgherd.io/term");
            if says && text(&condition, "/reason") == "LeaseUnreadable" { Ok(()) } else { Err(condition.to_string()) }
        })
        .await;
        bed.until_rows_of(&load, since, Duration::from_secs(10)).await;
        // As the runbook says.
        bed.deleted(&leases).await;
        bed.until("the lease made anew", 30, async || held(&leases, &primary, &term).await).await;
    })
    .await;
    assert_eq!(bed.healthy(60).await, primary, "none of it moves the primary");

    bed.hurt(&load, "the lease deleted by hand, and its holder frozen", async || {
        bed.fault(FaultRequest::Freeze { target: Target::Pod, pod: bed.full(&primary) }).await;
        bed.deleted(&leases).await;
        bed.until("the controller saying whom it waits for", 60, async || {
            let refusal = bed.cluster().await?["status"]["electionRefusal"].to_string();
            if refusal.contains(&format!("{primary} does not answer")) { Ok(()) } else { Err(refusal) }
        })
        .await;
        assert!(leases.get_opt(CLUSTER).await.unwrap().is_none(), "nobody makes it anew who may know too little");
        bed.fault(FaultRequest::Heal).await;
    })
    .await;
    let primary = bed.healthy(120).await;
    bed.nothing_lost(&load).await;

    let standby = bed.standby().await;
    bed.hurt(&load, "a standby promoted by hand", async || {
        assert_eq!(bed.ask(&standby, "SELECT pg_promote()").await.unwrap(), "t");
        bed.until("the member saying so", 60, async || match bed.message_of(&standby).await {
            said if said.contains("promoted by hand") => Ok(()),
            said => Err(said),
        })
        .await;
        assert!(bed.ask(&standby, "SELECT 1").await.is_err(), "its postgres is not served");
    })
    .await;
    assert_eq!(bed.primary().await, primary);
    bed.lose_volume(&standby).await;
    assert_eq!(bed.healthy(120).await, primary, "and a new volume is cloned anew");
    bed.settle(load).await;
    bed.no_secret_is_shown().await;
    bed.down().await;
}

fn term_of(lease: &Lease) -> String {
    lease.metadata.annotations.clone().unwrap_or_default().remove(TERM).unwrap_or_default()
}

/// `pod` holds the lease, at this term.
async fn held(leases: &Api<Lease>, pod: &str, term: &str) -> Result<(), String> {
    let lease = leases.get(CLUSTER).await.map_err(|error| error.to_string())?;
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
    let now = term_of(&lease);
    if holder == pod && now == term { Ok(()) } else { Err(format!("{holder} holds term {now}")) }
}

impl Bed {
    /// Its finalizer too.
    async fn deleted(&self, leases: &Api<Lease>) {
        let bare = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        leases.patch(CLUSTER, &PatchParams::default(), &bare).await.unwrap();
        leases.delete(CLUSTER, &DeleteParams::default()).await.unwrap();
    }

    async fn annotated(&self, leases: &Api<Lease>, name: &str, value: &str) {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { name: value } } }));
        leases.patch(CLUSTER, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Why a member does what it does, by its own word.
    pub async fn message_of(&self, pod: &str) -> String {
        text(&self.report_of(pod).await, "/message")
    }
}
