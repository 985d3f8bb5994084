//! A cluster out of the archive of another: recovered to the moment before a mistake, on a timeline of its own, with
//! replicas and an archive of its own, beside the first one.

use std::time::Duration;

use kube::api::{DynamicObject, PostParams};
use pgherd_testkit::bed;
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER, NAMESPACE};

/// The second cluster.
const RECOVERED: &str = "phoenix-recovered";

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_recovered_into_a_new_one_to_the_moment_before_a_mistake() {
    let bed = Bed::start("recovery", |cluster| cluster["spec"]["instances"] = 2.into()).await;
    let primary = bed.healthy(120).await;
    let run = async |sql: &str| bed.ask(&primary, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    run("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id").await;
    back_up(&bed, "before-the-mistake").await;
    run("INSERT INTO orders SELECT generate_series(1001, 1500)").await;
    let moment = run("SELECT clock_timestamp()::text").await;
    run("DROP TABLE orders").await;
    run("CREATE TABLE later AS SELECT 1 AS id").await;
    let last = bed.archive_now(&primary, 60).await;
    bed.say(&format!("{last} is archived; recovering to {moment}"));

    let other = recover(&bed, &json!({"source": "first", "recoveryTarget": {"targetTime": moment}})).await;
    let found = other.primary().await.unwrap();
    let ask = async |sql: &str| bed.ask(&found, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    assert_eq!(ask("SELECT count(*)::text FROM orders").await, "1500");
    assert_eq!(ask("SELECT count(*)::text FROM pg_class WHERE relname = 'later'").await, "0");
    assert_eq!(ask("SELECT timeline_id::text FROM pg_control_checkpoint()").await, "2", "a timeline of its own");
    assert_eq!(ask("SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'app'").await, "app");
    bed.until("a replica of the recovered one", 120, async || {
        let sql = "SELECT count(*)::text FROM pg_stat_replication WHERE state = 'streaming'";
        match bed.ask(&found, sql).await.as_deref() {
            Ok("1") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // It archives below its own name: the history of its timeline, and what it writes.
    let segment = ask("SELECT pg_walfile_name(pg_switch_wal())").await;
    let root = bed.directory.join(format!("s3/phoenix-guardian-backups/db/{RECOVERED}/wals"));
    bed.until("its own archive", 60, async || {
        let there = |path: String| root.join(&path).is_file();
        match there(format!("{}/{segment}.gz", &segment[..16])) && there("00000002.history.gz".to_owned()) {
            true => Ok(()),
            false => Err(format!("{segment} is not there")),
        }
    })
    .await;
    // Nothing happened to the first one.
    assert_eq!(run("SELECT id::text FROM later").await, "1");
    bed.down().await;
}

/// Takes a base backup by a Backup, and waits for it.
pub async fn back_up(bed: &Bed, name: &str) {
    let backups = bed.objects("postgresql.cnpg.io", "Backup");
    let backup: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup",
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"cluster": {"name": CLUSTER}},
    }))
    .unwrap();
    backups.create(&PostParams::default(), &backup).await.unwrap();
    bed.until("a base backup", 120, async || {
        let status = backups.get(name).await.unwrap().data["status"].clone();
        match status["phase"].as_str() {
            Some("completed") => Ok(()),
            Some("failed") => panic!("{status}"),
            _ => Err(status.to_string()),
        }
    })
    .await;
}

/// Makes the second cluster by this `bootstrap.recovery`, and waits until it is healthy.
async fn recover(bed: &Bed, recovery: &Value) -> bed::Bed {
    let first = bed.clusters().get(CLUSTER).await.unwrap();
    let mut spec = first.data["spec"].clone();
    let mut store = spec["backup"]["barmanObjectStore"].clone();
    store["serverName"] = CLUSTER.into();
    spec["externalClusters"] = json!([{"name": "first", "barmanObjectStore": store}]);
    spec["bootstrap"] = json!({"recovery": recovery});
    let cluster: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
        "metadata": {"name": RECOVERED, "namespace": NAMESPACE}, "spec": spec,
    }))
    .unwrap();
    bed.clusters().create(&PostParams::default(), &cluster).await.unwrap();
    let mut other: bed::Bed = bed::Bed::clone(bed);
    other.place.cluster = RECOVERED.to_owned();
    let primary = other.healthy(Duration::from_secs(180)).await.unwrap_or_else(|late| panic!("{late}"));
    bed.say(&format!("{RECOVERED} is healthy, {primary} is its primary"));
    other
}
