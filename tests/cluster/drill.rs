//! Restore drills: an archive is proven to be restorable, and one that is damaged is found out, by name, before anybody
//! needs it. Nothing of the copy outlives a drill.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::wal_volumes;

const QUERY: &str = "SELECT count(*) = 1500 FROM orders";

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_proves_an_archive_and_names_what_is_damaged_in_it() {
    let bed = Bed::start("drill", |cluster| {
        cluster["spec"]["instances"] = 1.into();
        cluster["spec"]["walStorage"] = wal_volumes::storage();
        cluster["spec"]["bootstrap"] = json!({"initdb": {"database": "app", "owner": "app", "dataChecksums": true}});
        cluster["spec"]["backup"]["barmanObjectStore"]["data"]["immediateCheckpoint"] = true.into();
    })
    .await;
    let primary = bed.healthy(120).await;
    let run = async |sql: &str| bed.ask_in(&primary, "app", sql).await.unwrap_or_else(|why| panic!("{sql}: {why:#}"));
    run("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id").await;
    run("CREATE UNIQUE INDEX ON orders (id)").await;
    bed.back_up("before", Duration::from_secs(120), |_| ()).await.unwrap();
    let before = run("SELECT clock_timestamp()").await;
    run("INSERT INTO orders SELECT generate_series(1001, 1500)").await;
    let segment = bed.archive_now(&primary, 60).await;

    // What was written after the backup is proven too.
    let (code, said) = bed.verify(&["--query", QUERY]).await;
    assert_eq!(code, 0, "{said}");
    let proven = &said["proven"];
    let instant = proven["instant"].as_str().unwrap().to_owned();
    bed.say(&format!("proven: {proven}"));
    assert!(time(&instant) > time(&before.replacen(' ', "T", 1)), "{proven}: {before}");
    for (check, found) in [("checksums", "verified"), ("query", "true")] {
        assert_eq!(proven[check], found, "{proven}");
    }
    let amcheck = proven["amcheck"].as_str().unwrap();
    assert!(amcheck.starts_with("verified") && amcheck.contains("app"), "{amcheck}");
    assert!(proven["replayedBytes"].as_i64().unwrap() > 0, "{proven}");
    bed.condition_is("True", "restored up to").await;
    bed.event("BackupProven", &instant).await;
    bed.metric(&primary, "pgherd_backup_last_proven_restorable_timestamp_seconds", seconds(&instant)).await;
    bed.nothing_left().await;
    // The archive's own window, by CNPG's name too.
    let first = seconds(bed.recoverability().await["firstRecoverable"].as_str().unwrap());
    bed.metric(&primary, "pgherd_backup_first_recoverable_timestamp_seconds", first).await;
    bed.metric(&primary, "cnpg_collector_first_recoverability_point", first).await;
    assert_eq!(run("SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'").await, "0", "only in the copy");

    // A query that is not true proves nothing.
    let (code, said) = bed.verify(&["--query", "SELECT count(*) = 1501 FROM orders"]).await;
    assert_eq!((code, said["drill"]["error"].as_str()), (1, Some("query: it answered false")), "{said}");

    // One bit of the base backup.
    let backup = bed.base_backup();
    flip(&backup);
    let (code, said) = bed.verify(&[]).await;
    let error = said["drill"]["error"].as_str().unwrap_or_default().to_owned();
    bed.say(&format!("a flipped bit: {error}"));
    assert!(code == 1 && error.contains("data.tar.gz"), "{said}");
    bed.condition_is("False", "data.tar.gz").await;
    bed.event("BackupNotProven", "data.tar.gz").await;
    let failed = bed.recoverability().await["drill"]["lastFailedAt"].as_str().unwrap().to_owned();
    bed.metric(&primary, "pgherd_backup_last_failed_drill_timestamp_seconds", seconds(&failed)).await;
    let still = bed.recoverability().await["lastProven"]["instant"].clone();
    assert_eq!(still, instant.as_str(), "what was proven once stays known");
    bed.nothing_left().await;
    flip(&backup);

    // A WAL file that is cut short.
    let wal = bed.archived_file(&format!("wals/{}/{segment}.gz", &segment[..16]));
    let whole = fs::read(&wal).unwrap();
    fs::write(&wal, &whole[..whole.len() / 2]).unwrap();
    let (code, said) = bed.verify(&[]).await;
    let error = said["drill"]["error"].as_str().unwrap_or_default().to_owned();
    bed.say(&format!("half a WAL file: {error}"));
    assert!(code == 1 && error.contains(&segment), "{said}");
    fs::write(&wal, &whole).unwrap();

    // By the clock, past a controller that dies in the middle.
    bed.schedule(json!("* * * * * *")).await;
    bed.until("a drill of the schedule", 30, async || {
        let drill = bed.recoverability().await["drill"].clone();
        let going = ["ordered", "running"].contains(&drill["phase"].as_str().unwrap_or_default());
        if going && drill["order"]["id"].is_null() { Ok(()) } else { Err(drill.to_string()) }
    })
    .await;
    bed.handle.kill_controller().await.unwrap();
    bed.schedule(json!(null)).await;
    bed.until("its end", 60, async || {
        let found = bed.recoverability().await;
        let (drill, proven) = (&found["drill"], &found["lastProven"]);
        match drill["phase"].as_str() {
            Some("proven") if proven["query"] == "not asked for" => Ok(()),
            _ => Err(drill.to_string()),
        }
    })
    .await;
    bed.condition_is("True", "restored up to").await;
    bed.nothing_left().await;
    bed.down().await;
}

fn time(text: &str) -> jiff::Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn seconds(text: &str) -> f64 {
    time(text).as_duration().as_secs_f64()
}

/// Turns one bit in the middle of a file over; the second time, back.
fn flip(path: &Path) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let at = SeekFrom::Start(file.metadata().unwrap().len() / 2);
    let mut byte = [0];
    file.seek(at).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(at).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
}

impl Bed {
    /// `pgherd backup verify --wait`: its exit code, and what it said.
    pub async fn verify(&self, more: &[&str]) -> (i32, Value) {
        let began = std::time::Instant::now();
        let rest = [&[CLUSTER, "--wait", "-o", "json"], more].concat();
        let output = self.program(&["backup", "verify"], &rest).await;
        let text = String::from_utf8_lossy(&output.stdout);
        let said = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        self.say(&format!("a drill of {:.1} s", began.elapsed().as_secs_f64()));
        (output.status.code().unwrap(), said)
    }

    async fn recoverability(&self) -> Value {
        self.cluster().await.unwrap()["status"]["recoverability"].clone()
    }

    async fn schedule(&self, schedule: Value) {
        let patch = json!({"metadata": {"annotations": {"pgherd.io/verifySchedule": schedule}}});
        self.clusters().patch(CLUSTER, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    async fn condition_is(&self, status: &str, part: &str) {
        self.until(&format!("condition BackupProven to be {status}"), 20, async || {
            let cluster = self.cluster().await?;
            let all = cluster["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found = all.iter().find(|condition| condition["type"] == "BackupProven").cloned().unwrap_or_default();
            let says = found["message"].as_str().unwrap_or_default().contains(part);
            if found["status"] == status && says { Ok(()) } else { Err(found.to_string()) }
        })
        .await;
    }

    async fn event(&self, reason: &str, part: &str) {
        let events: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        self.until(&format!("an Event {reason}"), 20, async || {
            let all = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
            let of = all.iter().filter(|event| event.reason.as_deref() == Some(reason));
            let messages: Vec<&str> = of.filter_map(|event| event.message.as_deref()).collect();
            if messages.iter().any(|message| message.contains(part)) { Ok(()) } else { Err(messages.join("; ")) }
        })
        .await;
    }

    async fn metric(&self, pod: &str, name: &str, wanted: f64) {
        self.until(name, 20, async || {
            let page = self.metrics(pod).await.map_err(|error| format!("{error:#}"))?;
            let line = page.lines().find(|line| line.split(' ').next() == Some(name));
            let value = line.and_then(|line| line.split(' ').next_back()?.parse::<f64>().ok());
            if value.is_some_and(|value| (value - wanted).abs() < 0.001) { Ok(()) } else { Err(format!("{line:?}")) }
        })
        .await;
    }

    /// No pod, no claim and no directory of a drill.
    async fn nothing_left(&self) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), NAMESPACE);
        self.until("nothing left of a drill", 30, async || {
            let all = ListParams::default();
            let pods = pods.list(&all).await.map_err(|error| error.to_string())?.items.into_iter();
            let claims = claims.list(&all).await.map_err(|error| error.to_string())?.items.into_iter();
            let mut names: Vec<String> = pods
                .map(|pod| pod.metadata)
                .chain(claims.map(|claim| claim.metadata))
                .filter_map(|meta| meta.name)
                .collect();
            for folder in ["volumes", "pods"] {
                let entries = fs::read_dir(self.directory.join("node").join(folder)).into_iter().flatten().flatten();
                names.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
            }
            names.retain(|name| name.contains("-verify-"));
            if names.is_empty() { Ok(()) } else { Err(names.join(", ")) }
        })
        .await;
    }

    /// The file of an object below the cluster's folder.
    pub fn archived_file(&self, below: &str) -> PathBuf {
        self.directory.join(format!("s3/phoenix-guardian-backups/db/{CLUSTER}/{below}"))
    }

    /// The only base backup there is.
    fn base_backup(&self) -> PathBuf {
        let folder = fs::read_dir(self.archived_file("base")).unwrap().next().unwrap().unwrap().path();
        folder.join("data.tar.gz")
    }
}
