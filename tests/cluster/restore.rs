//! A cluster is brought back in place: to the second before a table was dropped, beside its old volumes, through the
//! death of the controller and of the manager that restores; gone back from; and the volumes of before are dropped.

use kube::api::{DynamicObject, ListParams, PostParams};
use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_localkube::s3::S3Fault;
use serde_json::json;

use crate::bed::{Bed, CLUSTER, NAMESPACE, long};
use crate::wal_volumes;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_restored_in_place_to_the_second_before_a_mistake_and_goes_back_if_asked() {
    let bed = Bed::hurried("restore", |cluster| {
        cluster["spec"]["instances"] = 2.into();
        cluster["spec"]["walStorage"] = wal_volumes::storage();
        // So that the lease has records of who may be elected, which one history must not leave to the next.
        cluster["spec"]["postgresql"]["synchronous"] = json!({"method": "any", "number": 1});
        cluster["spec"]["backup"]["barmanObjectStore"]["data"]["immediateCheckpoint"] = true.into();
    })
    .await;
    let primary = bed.healthy(120).await;
    let run = async |sql: &str| bed.ask(&primary, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    run("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id").await;
    bed.take("before").await;
    run("INSERT INTO orders SELECT generate_series(1001, 1500)").await;
    run("SELECT pg_create_restore_point('before the drop')::text").await;
    let moment = run("SELECT clock_timestamp()::text").await;
    run("DROP TABLE orders").await;
    run("CREATE TABLE later AS SELECT 1 AS id").await;
    let system = run("SELECT system_identifier::text FROM pg_control_system()").await;

    // What cannot be is refused before anything is stopped, and what can be is shown.
    for (to, said) in [("2001-01-01 00:00:00Z", "before what can be recovered"), ("2099-01-01 00:00:00Z", "future")] {
        let refused = bed.program(&["restore", CLUSTER], &["--to", to, "--yes"]).await;
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && text.contains(said), "{text}");
    }
    let shown = bed.program(&["restore", CLUSTER], &["--to", &moment, "--dry-run"]).await;
    let text = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert!(shown.status.success() && text.contains("given up") && text.contains("bytes of WAL"), "{text}");
    bed.say(&text);
    assert_eq!(run("SELECT id::text FROM later").await, "1", "nothing was stopped");

    // The store hangs, so that the restore is caught in the middle; the controller and the manager are killed there.
    let ordered = bed.program(&["restore", CLUSTER], &["--to-name", "before the drop", "--yes"]).await;
    assert!(ordered.status.success(), "{ordered:?}");
    bed.handle.kill_controller().await.unwrap();
    bed.stage("restoring", 90).await;
    bed.fault(FaultRequest::S3 { what: S3Fault::Silent }).await;
    let first = bed.until("the instance that is restored", 30, async || bed.initializing().await).await;
    assert_eq!(first, format!("{CLUSTER}-3"), "a serial that no volume of before has");
    let screen = bed.program(&["status", CLUSTER], &[]).await;
    let screen = String::from_utf8_lossy(&screen.stdout).into_owned();
    assert!(screen.contains("Restoring in place (Restoring phoenix-guardian-db-3 out of the archive"), "{screen}");
    bed.handle.kill_controller().await.unwrap();
    bed.kill(Target::Manager, &first).await;
    bed.fault(FaultRequest::S3 { what: S3Fault::None }).await;
    bed.stage("done", 180).await;
    let restored = bed.healthy(120).await;
    assert_eq!(restored, first);
    let ask = async |sql: &str| bed.ask(&restored, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    assert_eq!(ask("SELECT count(*)::text || ' ' || sum(id)::text FROM orders").await, "1500 1125750");
    assert_eq!(ask("SELECT count(*)::text FROM pg_class WHERE relname = 'later'").await, "0");
    assert_eq!(ask("SELECT system_identifier::text FROM pg_control_system()").await, system);
    assert_eq!(ask("SELECT timeline_id::text FROM pg_control_checkpoint()").await, "2");
    assert_eq!(ask("SELECT count(*)::text FROM pg_stat_replication WHERE state = 'streaming'").await, "1");
    let segment = bed.archive_now(&restored, 60).await;
    assert!(segment.starts_with("00000002"), "{segment}: the same archive, another timeline");
    assert_eq!(bed.kept().await, pairs([1, 2]));
    bed.wal_is_apart().await;

    // A second thought: everything of before is there, elected as ever, and what was written since is put aside.
    ask("CREATE TABLE since AS SELECT 2 AS id").await;
    let undone = bed.program(&["restore", CLUSTER], &["--undo", "--yes", "--wait"]).await;
    assert!(undone.status.success(), "{undone:?}");
    let back = bed.healthy(120).await;
    let ask = async |sql: &str| bed.ask(&back, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    assert_eq!(ask("SELECT id::text FROM later").await, "1");
    assert_eq!(ask("SELECT count(*)::text FROM pg_class WHERE relname IN ('since', 'orders')").await, "0");
    assert_eq!(ask("SELECT system_identifier::text FROM pg_control_system()").await, system);
    let timeline: u32 = ask("SELECT timeline_id::text FROM pg_control_checkpoint()").await.parse().unwrap();
    assert!(timeline > 2, "timeline {timeline} is not given out twice");
    assert_eq!(bed.kept().await, pairs([3, 4]));
    bed.wal_is_apart().await;
    let dropped = bed.program(&["restore", CLUSTER], &["--drop-old", "--yes"]).await;
    assert!(dropped.status.success(), "{dropped:?}");
    bed.until("the volumes to be gone", 30, async || {
        let kept = bed.kept().await;
        if kept.is_empty() { Ok(()) } else { Err(format!("{kept:?}")) }
    })
    .await;
    assert_eq!(bed.healthy(60).await, back, "nobody missed them");

    // Nobody knows beforehand that there is no such transaction: it is found out at the end, and the way back is said.
    let ordered = bed.program(&["restore", CLUSTER], &["--to-xid", "4000000000", "--yes"]).await;
    assert!(ordered.status.success(), "{ordered:?}");
    bed.until("the way back to be said", 90, async || {
        let status = bed.cluster().await?["status"].clone();
        let reason = status["phaseReason"].as_str().unwrap_or_default().to_owned();
        if reason.contains("target") && reason.contains("--undo") { Ok(()) } else { Err(reason) }
    })
    .await;
    let undone = bed.program(&["restore", CLUSTER], &["--undo", "--yes", "--wait"]).await;
    assert!(undone.status.success(), "{undone:?}");
    let back = bed.healthy(120).await;
    assert_eq!(bed.ask(&back, "SELECT id::text FROM later").await.as_deref(), Ok("1"));

    // Everything is lost but the archive, and the last primary never gave its lease up.
    bed.archive_now(&back, 60).await;
    bed.lose_all_volumes().await;
    let lost = ["--to-latest", "--old-primary-is-dead", "--yes", "--wait"];
    let refused = bed.program(&["restore", CLUSTER], &lost).await;
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("--keep-both"), "the last undo has put a volume aside: {text}");
    let brought = bed.program(&["restore", CLUSTER], &[&lost[..], &["--keep-both"]].concat()).await;
    assert!(brought.status.success(), "{brought:?}");
    let primary = bed.healthy(120).await;
    assert_eq!(bed.ask(&primary, "SELECT id::text FROM later").await.as_deref(), Ok("1"));
    if long() {
        bed.to_a_position(&primary).await;
    }
    bed.down().await;
}

/// The volumes of these instances.
fn pairs(serials: [u32; 2]) -> Vec<String> {
    serials.iter().flat_map(|serial| [format!("{CLUSTER}-{serial}"), format!("{CLUSTER}-{serial}-wal")]).collect()
}

impl Bed {
    /// Restores to a position in the WAL that the last restore has led to.
    async fn to_a_position(&self, primary: &str) {
        let run = async |sql: &str| self.ask(primary, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
        let position = run("SELECT pg_current_wal_insert_lsn()::text").await;
        run("DROP TABLE later").await;
        self.archive_now(primary, 60).await;
        let order = ["--to-lsn", &position, "--keep-both", "--yes", "--wait"];
        let brought = self.program(&["restore", CLUSTER], &order).await;
        assert!(brought.status.success(), "{brought:?}");
        let primary = self.healthy(120).await;
        assert_eq!(self.ask(&primary, "SELECT id::text FROM later").await.as_deref(), Ok("1"));
    }

    /// Takes a base backup, and waits for it.
    async fn take(&self, name: &str) {
        let backups = self.objects("postgresql.cnpg.io", "Backup");
        let backup: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"cluster": {"name": CLUSTER}},
        }))
        .unwrap();
        backups.create(&PostParams::default(), &backup).await.unwrap();
        self.until("a base backup", 120, async || {
            let status = backups.get(name).await.unwrap().data["status"].clone();
            match status["phase"].as_str() {
                Some("completed") => Ok(()),
                Some("failed") => panic!("{status}"),
                _ => Err(status.to_string()),
            }
        })
        .await;
    }

    /// Waits until the restore is that far.
    async fn stage(&self, stage: &str, seconds: u64) {
        self.until(&format!("the restore to be {stage}"), seconds, async || {
            let status = self.cluster().await?["status"].clone();
            if status["restore"]["stage"] == stage { Ok(()) } else { Err(status["phaseReason"].to_string()) }
        })
        .await;
        self.say(&format!("the restore is {stage}"));
    }

    /// The instance whose manager says that it makes the database.
    async fn initializing(&self) -> Result<String, String> {
        let status = self.cluster().await?["status"].clone();
        let name = status["restore"]["instance"].as_str().unwrap_or_default().to_owned();
        let pod = self.pods().get_opt(&name).await.map_err(|error| error.to_string())?.ok_or("it is not there")?;
        let report = pod.metadata.annotations.unwrap_or_default().remove("pgherd.io/member").unwrap_or_default();
        if report.contains("\"phase\":\"initializing\"") { Ok(name) } else { Err(report) }
    }

    /// The volumes that were put aside.
    async fn kept(&self) -> Vec<String> {
        let claims = self.objects("", "PersistentVolumeClaim");
        let listed = claims.list(&ListParams::default().labels("pgherd.io/kept-by")).await.unwrap();
        let mut names: Vec<String> = listed.items.into_iter().filter_map(|claim| claim.metadata.name).collect();
        names.sort();
        names
    }
}
