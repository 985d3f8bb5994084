//! A new replica is copied from a standby, so that the primary is spared; and from the primary, where no standby will do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join;
use kube::api::{LogParams, Patch, PatchParams};
use serde_json::json;

use crate::bed::{Bed, CLUSTER};

const FROM_STANDBY: &str = "cloning a standby, to spare the leader";
const FROM_LEADER: &str = "cloning the leader";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_replica_is_copied_from_a_standby_and_from_the_primary_only_where_that_fails() {
    let bed = Bed::start("spared", |_| {}).await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;

    bed.hurt(&load, "a fourth instance", async || {
        let patch = json!({"spec": {"instances": 4}});
        bed.clusters().patch(CLUSTER, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        bed.until("its pod", 60, async || {
            let standbys = bed.standbys().await;
            if standbys.len() == 3 { Ok(()) } else { Err(format!("{standbys:?}")) }
        })
        .await;
    })
    .await;
    assert_eq!(bed.healthy(120).await, primary);
    let newest = format!("{CLUSTER}-4");
    assert_eq!(bed.clones(&newest).await, [FROM_STANDBY], "its first copy");
    bed.nothing_lost(&load).await;

    bed.hurt(&load, "a standby's volume deleted with its pod", async || bed.lose_volume(&newest).await).await;
    assert_eq!(bed.healthy(120).await, primary);
    assert_eq!(bed.clones(&newest).await.last().map(String::as_str), Some(FROM_STANDBY), "another copy");
    bed.nothing_lost(&load).await;

    let others: Vec<String> = bed.standbys().await.into_iter().filter(|name| *name != newest).collect();
    bed.hurt(&load, "the same while every copy of a standby is cut off", async || {
        let stop = AtomicBool::new(false);
        let stop = Arc::new(stop);
        let lost = async {
            bed.lose_volume(&newest).await;
            let fallen_back = async || match bed.clones(&newest).await {
                said if said.last().is_some_and(|last| last == FROM_LEADER) => Ok(said),
                said => Err(format!("{said:?}")),
            };
            let said = bed.until("a copy of the primary", 90, fallen_back).await;
            stop.store(true, Ordering::Relaxed);
            said
        };
        let (said, ()) = join(lost, bed.cuts_copies_off(&others, &stop)).await;
        assert_eq!(said, [FROM_STANDBY, FROM_STANDBY, FROM_LEADER], "in this pod");
    })
    .await;
    assert_eq!(bed.healthy(120).await, primary);
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// What its manager said of the copies that it made, in this pod.
    async fn clones(&self, pod: &str) -> Vec<String> {
        let of_postgres = LogParams { container: Some("postgres".to_owned()), ..LogParams::default() };
        let text = self.pods().logs(pod, &of_postgres).await.unwrap_or_default();
        let of =
            |line: &str| [FROM_STANDBY, FROM_LEADER].into_iter().find(|words| line.contains(&format!("\"{words}\"")));
        text.lines().filter_map(of).map(str::to_owned).collect()
    }

    /// Ends whoever is sent something by these standbys.
    async fn cuts_copies_off(&self, standbys: &[String], stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            for standby in standbys {
                let _busy = self.ask(standby, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_replication").await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
