//! The API's store comes back from a copy that is older than the last move of the primary (rule L9): etcd is put back under
//! a cluster that runs.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use pgherd_testkit::journal::boottime;

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::cluster::text;
use crate::plane::Plane;
use crate::real::start;

const RUNBOOK: &str = include_str!("../../docs/how-to/runbook.md");
/// More than one of the lease's durations.
const LONG_ENOUGH: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_comes_back_from_an_old_copy_gives_nobody_a_role_until_a_person_says_so() {
    let (mut plane, bed) = start("kube-set-back").await;
    bed.healthy(120).await;
    let load = bed.load().await;
    plane.copy_store().await;
    // The copy names the process of an instance that lives on, as a standby.
    let last = bed.standby().await;
    bed.hurt(&load, "a switchover", async || bed.move_to(&last).await).await;
    assert_eq!(bed.healthy(90).await, last);
    let (term, acknowledged) = (bed.term().await, load.promised().len());
    bed.say("the store is put back");
    plane.put_store_back().await;
    bed.until("everybody saying so", 60, async || {
        let writable = bed.writable().await;
        assert!(writable.is_empty() || writable == [last.as_str()], "{writable:?}");
        bed.all_say_that_it_went_back().await
    })
    .await;
    let until = boottime() + u64::try_from(LONG_ENOUGH.as_nanos()).unwrap();
    bed.until("a leaseDuration without a writer", 60, async || {
        assert_eq!(bed.writable().await, [""; 0], "nobody was elected by the old record");
        if boottime() >= until { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    bed.all_say_that_it_went_back().await.unwrap();
    bed.say(&format!("{acknowledged} rows were acknowledged before, {} by now", load.promised().len()));

    plane.is_put_right_by_the_runbook(&bed).await;
    let next = bed.healthy(120).await;
    bed.written(&load, 60).await;
    assert!(bed.term().await > term, "{next} holds a lease above all that were seen");
    bed.settle(load).await;
    bed.down().await;
    plane.stop().await;
}

impl Bed {
    async fn term(&self) -> u64 {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        let lease = leases.get(CLUSTER).await.unwrap();
        lease.metadata.annotations.unwrap()["pgherd.io/term"].parse().unwrap()
    }

    /// Each instance, and the Cluster.
    async fn all_say_that_it_went_back(&self) -> Result<(), String> {
        for member in self.members().await.map_err(|error| error.to_string())? {
            let said = text(&self.report_of(&member).await, "/message");
            if !said.contains("it was restored or edited") {
                return Err(format!("{member}: {said:?}"));
            }
        }
        let cluster = self.cluster().await?;
        let conditions = cluster["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let elected =
            conditions.into_iter().find(|condition| condition["type"] == "PrimaryElected").unwrap_or_default();
        let said = elected["status"] == "False" && text(&elected, "/message").contains("A lease that went back");
        if said { Ok(()) } else { Err(elected.to_string()) }
    }

    /// Whose postgres takes writes.
    async fn writable(&self) -> Vec<String> {
        let mut found = self.members().await.unwrap();
        let mut takes = Vec::new();
        for member in &found {
            takes.push(self.ask(member, "SELECT pg_is_in_recovery()").await.as_deref() == Ok("f"));
        }
        let mut takes = takes.into_iter();
        found.retain(|_| takes.next() == Some(true));
        found
    }
}

impl Plane {
    /// The very patch of the page, with the highest that any instance reports.
    async fn is_put_right_by_the_runbook(&self, bed: &Bed) {
        let (mut term, mut timeline) = (0, 0);
        for member in bed.members().await.unwrap() {
            let report = bed.report_of(&member).await;
            term = term.max(report["leaseSeen"]["term"].as_u64().unwrap());
            timeline = timeline.max(report["position"]["timeline"].as_u64().unwrap());
        }
        let (_, chapter) = RUNBOOK.split_once("## A lease that went back").unwrap();
        let (_, patch) = chapter.split_once("'{").unwrap();
        let (patch, _) = patch.split_once('\'').unwrap();
        let patch = format!("{{{patch}").replace("TERM", &term.to_string()).replace("TIMELINE", &timeline.to_string());
        bed.say(&format!("as the runbook says: {patch}"));
        self.must("admin", &["patch", "lease", CLUSTER, "-n", NAMESPACE, "--type", "merge", "-p", &patch]).await;
    }
}
