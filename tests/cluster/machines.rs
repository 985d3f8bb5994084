//! The machines under a cluster fail: a disk hangs or becomes read-only, a node is lost, the API goes away, and all of it
//! is switched off and on again.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::api::{DynamicObject, PostParams};
use pgherd_localkube::daemon::{NodeOptions, UpOptions, Volumes};
use pgherd_localkube::fault::{ApiFault, ControllerFault, DiskFault, FaultRequest, Target, Volume};
use pgherd_localkube::s3::S3Fault;
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER};
use crate::cluster::text;
use crate::load::Load;

/// Three nodes, and volumes that can fail.
pub fn three_machines(options: &mut UpOptions) {
    let node = |number: u8| NodeOptions { name: format!("n{number}"), zone: format!("z{number}") };
    options.nodes = (1..=3).map(node).collect();
    options.volumes = Volumes::Ext4;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_whose_disk_or_node_fails_is_followed_by_another() {
    let at_once = |cluster: &mut Value| {
        cluster["spec"]["backup"]["barmanObjectStore"]["data"]["immediateCheckpoint"] = true.into();
    };
    let mut bed = Bed::start_with("machines", at_once, three_machines).await;
    let mut primary = bed.healthy(120).await;
    assert_eq!(bed.nodes().await.len(), 3, "instances of one cluster keep apart");
    let load = bed.load().await;

    for what in [DiskFault::Hung, DiskFault::ReadOnly, DiskFault::IoErrors] {
        primary = bed.outlives_its_disk(&load, &primary, what).await;
    }

    primary = bed.full_disk(&load, &primary).await;

    bed.hurt(&load, "the primary's node is lost", async || {
        let node = bed.node_of(&primary).await;
        bed.fault(FaultRequest::NodeLost { node }).await;
        bed.another_primary(&primary, 90).await;
    })
    .await;
    bed.fault(FaultRequest::Heal).await;
    bed.healthy(180).await;
    bed.lost_only_apart(&load).await;
    load.stop().await;

    let primary = bed.primary().await;
    bed.ask(&primary, "CREATE TABLE kept AS SELECT 42 AS answer").await.unwrap();
    bed.down_and_up().await;
    let primary = bed.healthy(180).await;
    assert_eq!(bed.ask(&primary, "SELECT answer FROM kept").await.as_deref(), Ok("42"));
    bed.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_goes_away_and_controllers_that_are_two_or_none_stop_no_failover() {
    let bed = Bed::start("control", |_| {}).await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;

    bed.hurt(&load, "two controllers, and the primary's postmaster killed", async || {
        bed.fault(FaultRequest::Controller { what: ControllerFault::Double }).await;
        bed.kill(Target::Postmaster, &primary).await;
        bed.another_primary(&primary, 90).await;
    })
    .await;
    bed.fault(FaultRequest::Heal).await;
    let primary = bed.healthy(120).await;
    bed.nothing_lost(&load).await;

    bed.hurt(&load, "a controller that cannot reach the API, and the primary's postmaster killed", async || {
        bed.fault(FaultRequest::Controller { what: ControllerFault::Apart }).await;
        let run = bed.started(&primary).await;
        bed.kill(Target::Postmaster, &primary).await;
        // Without it the old primary recovers in place, or the next one has to wait until it is back.
        let back = tokio::time::timeout(Duration::from_secs(30), bed.started_again(&primary, &run, 60)).await;
        bed.say(if back.is_ok() { "recovered in place" } else { "waits for the controller" });
        bed.fault(FaultRequest::Heal).await;
    })
    .await;
    bed.healthy(120).await;
    bed.nothing_lost(&load).await;

    for what in
        [ApiFault::DropWatches, ApiFault::Forget, ApiFault::Errors { count: 30, status: 500 }, ApiFault::Slow(300)]
    {
        bed.hurt(&load, &format!("API: {what:?}"), async || bed.fault(FaultRequest::Api { what }).await).await;
        bed.fault(FaultRequest::Heal).await;
        bed.healthy(120).await;
    }
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// The volume of the primary's data fails, and is well again once another is the primary; answers who is in the end.
    pub async fn outlives_its_disk(&self, load: &Load, primary: &str, what: DiskFault) -> String {
        self.hurt(load, &format!("the primary's disk is {what}"), async || {
            self.fault(FaultRequest::Disk { pod: self.full(primary), volume: Volume::Data, what }).await;
            self.another_primary(primary, 90).await;
        })
        .await;
        self.fault(FaultRequest::Heal).await;
        let primary = self.healthy(180).await;
        self.lost_only_apart(load).await;
        primary
    }

    /// No space is left on the primary's volume, where its WAL is too: a statement that needs more room fails, and nobody
    /// moves, WAL that waits is archived, and a backup that would need more is refused; once a new WAL file is due, postgres ends, and another takes over. Answers the primary in the end.
    async fn full_disk(&self, load: &Load, primary: &str) -> String {
        let run = self.started(primary).await;
        self.fault(FaultRequest::S3 { what: S3Fault::Off }).await;
        let waits = self.ask(primary, "SELECT pg_walfile_name(pg_switch_wal())").await.unwrap();
        self.written(load, 30).await;
        let what = DiskFault::Full { leave: 0 };
        self.fault(FaultRequest::Disk { pod: self.full(primary), volume: Volume::Data, what }).await;
        let said =
            self.ask(primary, "CREATE TABLE large AS SELECT repeat('x', 500) FROM generate_series(1, 20000)").await;
        assert!(said.as_ref().is_err_and(|why| why.contains("No space left on device")), "{said:?}");
        assert_eq!(self.started(primary).await, run, "a statement failed, and nothing else");
        assert_eq!(self.primary().await, primary);
        self.fault(FaultRequest::S3 { what: S3Fault::None }).await;
        self.until(&format!("{waits} in S3"), 60, async || {
            let archived = self.archived().await;
            if archived.contains(&waits) { Ok(()) } else { Err(format!("{:?}", archived.last())) }
        })
        .await;
        let refused = self.back_up_from(primary, "of-a-full-volume").await.unwrap_err();
        self.say(&refused);
        assert!(refused.contains("the volume of WAL is full"), "{refused}");
        assert_eq!(self.started(primary).await, run, "a backup was refused, and nothing else");

        self.hurt(load, "the primary has no room for WAL", async || {
            let next = "SELECT pg_logical_emit_message(false, 'test', 'full'), pg_switch_wal()";
            self.until("another primary", 90, async || {
                let said = self.ask(primary, next).await;
                let now = text(&self.cluster().await?, "/status/currentPrimary");
                if now == primary { Err(format!("it is still {now}: {said:?}")) } else { Ok(()) }
            })
            .await;
        })
        .await;
        self.fault(FaultRequest::Heal).await;
        let next = self.healthy(180).await;
        self.nothing_lost(load).await;
        self.back_up_from(&next, "with-room-again").await.unwrap();
        next
    }

    /// Has a base backup taken of that primary; why it failed, if it did.
    async fn back_up_from(&self, primary: &str, name: &str) -> Result<(), String> {
        let backups = self.objects("postgresql.cnpg.io", "Backup");
        let backup: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "metadata": {"name": name},
            "spec": {"cluster": {"name": CLUSTER}, "target": "primary"},
        }))
        .unwrap();
        backups.create(&PostParams::default(), &backup).await.unwrap();
        self.until(&format!("{name} to end"), 120, async || {
            let status = backups.get(name).await.map_err(|error| error.to_string())?.data["status"].clone();
            match status["phase"].as_str() {
                Some("completed") => Ok(Ok(())),
                Some("failed") => {
                    assert_eq!(status["instanceID"]["podName"], primary, "{status}");
                    Ok(Err(text(&status, "/error")))
                }
                _ => Err(status.to_string()),
            }
        })
        .await
    }

    async fn node_of(&self, pod: &str) -> String {
        let found = self.pods().get(pod).await.unwrap();
        found.spec.and_then(|spec| spec.node_name).unwrap()
    }

    /// The nodes that have an instance.
    async fn nodes(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::from([self.node_of(&self.primary().await).await]);
        for standby in self.standbys().await {
            all.insert(self.node_of(&standby).await);
        }
        all
    }
}
