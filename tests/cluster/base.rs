//! Base backups of a whole cluster: from a standby, by a schedule, and past a manager that dies in the middle.

use kube::api::{DynamicObject, ListParams, PostParams};
use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_localkube::s3::S3Fault;
use pgherd_objectstore::{ObjectStore as _, list_all};
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER};

const GROUP: &str = "postgresql.cnpg.io";

#[tokio::test(flavor = "multi_thread")]
async fn base_backups_are_taken_from_a_standby_by_schedule_and_past_a_manager_that_dies() {
    let bed = Bed::start("base", |cluster| {
        // Else the first checkpoint is spread over minutes.
        cluster["spec"]["backup"]["barmanObjectStore"]["data"]["immediateCheckpoint"] = true.into();
    })
    .await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;

    // By hand, from a standby: the primary is asked to complete the segment that it ends in.
    bed.order("by-hand").await;
    let done = bed.backup_is("by-hand", "completed", 120).await;
    let status = &done["status"];
    assert_ne!(status["instanceID"]["podName"], primary.as_str(), "{status}");
    assert_eq!(status["progress"]["percent"], 100, "{status}");
    assert_eq!(status["serverName"], CLUSTER);
    let archived = bed.archived().await;
    for wal in ["beginWal", "endWal"] {
        let name = status[wal].as_str().unwrap().to_owned();
        assert!(archived.contains(&name), "{name} is not archived: {status}");
    }
    bed.holds(status["backupId"].as_str().unwrap(), "DONE").await;
    bed.until("the Cluster to know of it", 20, async || {
        let cluster = bed.cluster().await.map_err(|error| format!("{error:#}"))?;
        let told = &cluster["status"]["lastSuccessfulBackup"];
        if *told == status["stoppedAt"] { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
    bed.until("the metric of the last backup", 20, async || {
        let page = bed.metrics(&primary).await.map_err(|error| format!("{error:#}"))?;
        let line = page.lines().find(|line| line.starts_with("cnpg_collector_last_available_backup_timestamp"));
        let value = line.and_then(|line| line.split(' ').next_back()).and_then(|value| value.parse::<f64>().ok());
        if value.is_some_and(|value| value > 1e9) { Ok(()) } else { Err(format!("{line:?}")) }
    })
    .await;

    // A schedule that wants one at once.
    let schedule: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "ScheduledBackup", "metadata": {"name": "daily"},
        "spec": {"schedule": "0 2 * * *", "cluster": {"name": CLUSTER}, "immediate": true, "backupOwnerReference": "self"}
    }))
    .unwrap();
    bed.objects(GROUP, "ScheduledBackup").create(&PostParams::default(), &schedule).await.unwrap();
    let name = bed.until("the schedule's backup", 30, async || bed.backup_of("daily").await).await;
    let done = bed.backup_is(&name, "completed", 120).await;
    assert_eq!(done["metadata"]["labels"]["cnpg.io/immediateBackup"], "true");
    assert_eq!(done["metadata"]["ownerReferences"][0]["kind"], "ScheduledBackup");

    // A store that hangs holds the third up, and its manager is killed.
    bed.fault(FaultRequest::S3 { what: S3Fault::Silent }).await;
    bed.order("cut-off").await;
    let running = bed.backup_is("cut-off", "running", 60).await;
    let taker = running["status"]["instanceID"]["podName"].as_str().unwrap().to_owned();
    bed.say(&format!("{taker} takes it, and its manager is killed"));
    bed.kill(Target::Manager, &taker).await;
    let reason = bed.backup_cut_off("cut-off", 30).await;
    assert!(reason.contains(&taker), "{reason}");
    bed.fault(FaultRequest::S3 { what: S3Fault::None }).await;
    let done = bed.backup_is("cut-off", "completed", 240).await;
    assert_eq!(done["status"]["failedAttempts"][0]["podName"], taker.as_str());
    assert_ne!(done["status"]["backupId"], done["status"]["failedAttempts"][0]["backupId"]);
    bed.holds(done["status"]["backupId"].as_str().unwrap(), "DONE").await;

    bed.killed_while_finalizing(&primary).await;

    // Another is promoted while it waits for the store: whoever takes it.
    bed.fault(FaultRequest::S3 { what: S3Fault::Silent }).await;
    bed.order("overtaken").await;
    bed.backup_is("overtaken", "running", 60).await;
    bed.hurt(&load, "kill -9 of the primary's postmaster", async || {
        bed.kill(Target::Postmaster, &primary).await;
        bed.another_primary(&primary, 60).await;
    })
    .await;
    let reason = bed.backup_cut_off("overtaken", 30).await;
    assert!(["was promoted", "was stopped"].iter().any(|word| reason.contains(word)), "{reason}");
    bed.fault(FaultRequest::S3 { what: S3Fault::None }).await;

    bed.healthy(120).await;
    bed.backup_is("overtaken", "completed", 240).await;
    bed.settle(load).await;
    bed.intruder_is_refused().await;
    bed.down().await;
}

impl Bed {
    /// Asks for a backup.
    async fn order(&self, name: &str) {
        self.order_backup(name).await.unwrap();
    }

    /// Waits until it is in that phase; the whole object.
    pub async fn backup_is(&self, name: &str, phase: &str, seconds: u64) -> Value {
        let found = self
            .until(&format!("{name} to be {phase}"), seconds, async || {
                let found = self.read("Backup", name).await?;
                let status = &found["status"];
                let ended = ["completed", "failed"].iter().any(|end| status["phase"] == *end);
                assert!(!ended || status["phase"] == phase, "{name} ended as {status}");
                if status["phase"] == phase { Ok(found) } else { Err(status.to_string()) }
            })
            .await;
        self.say(&format!("{name} is {phase}"));
        found
    }

    /// Waits until an attempt at it was cut off, and another is to follow; why.
    pub async fn backup_cut_off(&self, name: &str, seconds: u64) -> String {
        self.until(&format!("{name} to be cut off"), seconds, async || {
            let found = self.read("Backup", name).await?;
            let status = &found["status"];
            assert_ne!(status["phase"], "failed", "{status}");
            let reason = status["failedAttempts"][0]["error"].as_str();
            reason.map(str::to_owned).ok_or_else(|| status.to_string())
        })
        .await
    }

    /// One of our kinds, as it is stored.
    pub async fn read(&self, kind: &str, name: &str) -> Result<Value, String> {
        let found = self.objects(GROUP, kind).get(name).await.map_err(|error| error.to_string())?;
        serde_json::to_value(found).map_err(|error| error.to_string())
    }

    async fn backup_of(&self, schedule: &str) -> Result<String, String> {
        let selector = ListParams::default().labels(&format!("cnpg.io/scheduled-backup={schedule}"));
        let all = self.objects(GROUP, "Backup").list(&selector).await.map_err(|error| error.to_string())?;
        let first = all.items.into_iter().next().and_then(|found| found.metadata.name);
        first.ok_or_else(|| "there is none".to_owned())
    }

    /// The store has that backup, and its information says so.
    async fn holds(&self, id: &str, status: &str) {
        let (store, location) = self.store().await.unwrap();
        let folder = location.key(&format!("base/{id}/"));
        let objects = list_all(&store, &folder).await.unwrap();
        let names: Vec<_> = objects.iter().map(|object| object.key.trim_start_matches(&folder)).collect();
        assert_eq!(names, ["backup.info", "data.tar.gz"]);
        let info = store.get(&format!("{folder}backup.info"), 1 << 20).await.unwrap();
        let info = String::from_utf8(info.to_vec()).unwrap();
        assert!(info.contains(&format!("\nstatus={status}\n")), "{info}");
    }
}
