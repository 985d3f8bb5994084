//! A cluster out of the archive of another: recovered to the moment before a mistake, on a timeline of its own, with
//! replicas and an archive of its own, beside the first one; then by a Backup's name to the end of the archive, with an
//! application of its own. What retention finds redundant in that archive on the way is deleted by the primary's manager.

use std::fs;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use pgherd_testkit::bed::{self, FIRST};
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::bed::{Bed, NAMESPACE};
use crate::wal_volumes;

/// The second cluster.
const RECOVERED: &str = "phoenix-recovered";

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_recovered_into_a_new_one_to_the_moment_before_a_mistake() {
    let bed = Bed::start("recovery", |cluster| {
        cluster["spec"]["instances"] = 2.into();
        cluster["spec"]["backup"]["retentionPolicy"] = "30d".into();
    })
    .await;
    let primary = bed.healthy(120).await;
    let run = async |sql: &str| bed.ask(&primary, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    run("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id").await;
    bed.archive_now(&primary, 60).await;
    for days in [90, 60, 45] {
        bed.pretend_a_backup(days).await;
    }
    bed.back_up("before-the-mistake", Duration::from_secs(120), |_| ()).await.unwrap();
    bed.only_what_is_redundant_goes().await;
    run("INSERT INTO orders SELECT generate_series(1001, 1500)").await;
    let moment = run("SELECT clock_timestamp()::text").await;
    run("DROP TABLE orders").await;
    run("CREATE TABLE later AS SELECT 1 AS id").await;
    let last = bed.archive_now(&primary, 60).await;
    bed.say(&format!("{last} is archived; recovering to {moment}"));

    let other = recover(&bed, RECOVERED, &json!({"source": FIRST, "recoveryTarget": {"targetTime": moment}}), 2).await;
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
    // By the Backup's name, and to the end: without what was dropped, with what came later.
    let secrets: Api<Secret> = Api::namespaced(bed.client.clone(), NAMESPACE);
    let secret = json!({ "metadata": { "name": "keeper" }, "type": "kubernetes.io/basic-auth",
        "stringData": { "username": "keeper", "password": "kept" } });
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    let asked = json!({"backup": {"name": "before-the-mistake"},
        "database": "shop", "owner": "keeper", "secret": {"name": "keeper"}});
    let again = recover(&bed, "phoenix-again", &asked, 1).await;
    let primary_again = again.primary().await.unwrap();
    let sql = "SELECT string_agg(relname, ' ') FROM pg_class WHERE relname IN ('orders', 'later')";
    assert_eq!(bed.ask(&primary_again, sql).await.as_deref(), Ok("later"));
    bed.has_its_application(&primary_again).await;
    // Nothing happened to the first one.
    assert_eq!(run("SELECT id::text FROM later").await, "1");
    bed.down().await;
}

/// Makes another cluster by this `bootstrap.recovery`, and waits until it is healthy.
async fn recover(bed: &Bed, name: &str, recovery: &Value, instances: u32) -> bed::Bed {
    let other = bed.recovered(name, recovery, |spec| {
        spec["instances"] = instances.into();
        spec["walStorage"] = wal_volumes::storage();
    });
    let other = other.await.unwrap();
    let primary = other.healthy(Duration::from_secs(180)).await.unwrap_or_else(|late| panic!("{late}"));
    bed.say(&format!("{name} is healthy, {primary} is its primary"));
    other
}

impl Bed {
    /// The database and the owner that `bootstrap.recovery` asks for are made where the backup has none, with the password
    /// of their Secret; those that it has stay.
    async fn has_its_application(&self, primary: &str) {
        let mut config = self.application(&format!("pod/{primary}")).await.unwrap();
        config.user("keeper").password("kept").dbname("shop");
        self.until("the owner to sign in", 40, async || match config.connect(NoTls).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        })
        .await;
        let owners = "SELECT string_agg(datname || ' ' || pg_catalog.pg_get_userbyid(datdba), ', ' ORDER BY datname) \
                      FROM pg_database WHERE datname IN ('app', 'shop')";
        assert_eq!(self.ask(primary, owners).await.as_deref(), Ok("app app, shop keeper"));
    }

    /// A complete backup that ended so many days ago, in the WAL that there is.
    async fn pretend_a_backup(&self, days: i64) {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
        let id = at.strftime("%Y%m%dT%H%M%S").to_string();
        let time = at.strftime("%Y-%m-%d %H:%M:%S+00:00");
        let folder = self.archived_file(&format!("base/{id}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("data.tar.gz"), [7; 100]).unwrap();
        let status = self.cluster().await.unwrap()["status"].clone();
        let system = status["systemID"].as_str().unwrap();
        let info = format!(
            "status=DONE\nversion=150000\ntimeline=1\nsystemid={system}\nbegin_time={time}\nend_time={time}\n\
             begin_wal=000000010000000000000001\nend_wal=000000010000000000000001\nbegin_xlog=0/1000028\n\
             end_xlog=0/1000100\nbackup_label='x'\n"
        );
        fs::write(folder.join("backup.info"), info).unwrap();
        self.say(&format!("{id} is pretended, {days} days old"));
    }

    /// Of three backups older than the window two go; the newest of them leads into it.
    async fn only_what_is_redundant_goes(&self) {
        self.until("retention", 60, async || {
            let entries = fs::read_dir(self.archived_file("base")).map_err(|error| error.to_string())?.flatten();
            let whole = entries.filter(|entry| entry.path().join("backup.info").exists());
            let names: Vec<_> = whole.map(|entry| entry.file_name()).collect();
            if names.len() == 2 { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await;
        let status = self.cluster().await.unwrap()["status"]["recoverability"].clone();
        self.say(&format!("retention: {status}"));
        let first = self.archived_file("wals/0000000100000000/000000010000000000000001.gz");
        assert!(first.exists(), "what stays needs it");
    }
}
