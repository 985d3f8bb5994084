//! Base backups: barman lists ours, and restores it, tablespace and all; then postgres recovers from it.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pgherd_backup::Source;
use pgherd_backup::base::{BaseSettings, Progress};
use pgherd_core::backup::{BackupInfo, BackupStatus};
use pgherd_core::wal::Compression;
use pgherd_manager::backups::{Needed, Target, Tell, concluded, copied};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::barman::Barman;
use crate::seaweed::{BUCKET, SECRET_KEY, Seaweed};
use crate::server::Postgres;
use crate::wal::{archive, name};

const ROWS: i64 = 300_000;

/// Where a cluster's backups go.
pub fn target(server: &Seaweed, cluster: &str, compression: Option<Compression>) -> Target {
    let settings = BaseSettings {
        compression,
        jobs: NonZeroUsize::new(2).unwrap(),
        // Several parts of a multipart upload, and several archives.
        max_archive_size: 24 << 20,
        patience: Duration::from_secs(60),
        ..BaseSettings::default()
    };
    Target {
        store: Arc::new(server.store(BUCKET, SECRET_KEY)),
        root: format!("wal/{cluster}"),
        tags: Vec::new(),
        archive: archive(server, cluster, Some(Compression::Gzip)),
        settings,
        fast: true,
        name: Some("by-interop".to_owned()),
    }
}

/// Takes a backup as the manager does; where the test is the archiver.
pub async fn take(postgres: &Postgres, target: &Target) -> Value {
    let (status, attempt) = (watch::Sender::new(json!({})), std::sync::Mutex::new(None));
    let (progress, tell) = (Arc::new(Progress::default()), Tell { status: &status, attempt: &attempt });
    let copied = copied(&postgres.server(), target, &progress, &tell, &BTreeSet::new()).await.unwrap();
    let needed = copied.needed.unwrap();
    archive_up_to(postgres, target, needed).await;
    concluded(copied, target, &tell).await.unwrap();
    let told = status.borrow().clone();
    assert_eq!(told["phase"], "completed");
    assert!(progress.bytes_read() >= progress.total() && progress.bytes_stored() > 1 << 20);
    told
}

async fn archive_up_to(postgres: &Postgres, target: &Target, needed: Needed) {
    let Needed { first, last, size, .. } = needed;
    assert!(target.archive.first_missing(first, last, size).await.unwrap().is_some(), "nothing is archived yet");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Some(missing) = target.archive.first_missing(first, last, size).await.unwrap() {
        let file = postgres.folder("wal").join(missing.to_string());
        if std::fs::metadata(&file).is_ok_and(|found| found.len() == size.bytes()) {
            target.archive.put(name(&missing.to_string()), Source::File(file)).await.unwrap();
        } else {
            assert!(tokio::time::Instant::now() < deadline, "{missing} is not archived by postgres");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn barman_restores_our_backup_with_its_tablespace_and_postgres_recovers_from_it() {
    let server = Seaweed::shared();
    let postgres = Postgres::start();
    let space = postgres.folder("space");
    postgres
        .execute(&[
            &format!("CREATE TABLESPACE ts1 LOCATION '{}'", space.display()),
            "CREATE TABLE plain AS SELECT n, md5(n::text) AS text FROM generate_series(1, 300000) n",
            "CREATE TABLE apart (n int, text text) TABLESPACE ts1",
            "INSERT INTO apart SELECT n, md5(n::text) FROM generate_series(1, 300000) n",
        ])
        .await;
    let of_backups = [Compression::Gzip, Compression::Bzip2, Compression::Snappy, Compression::Lz4];
    for compression in of_backups.into_iter().map(Some).chain([None]) {
        let cluster = format!("base-{}", compression.map_or("plain", Compression::as_str));
        let target = target(&server, &cluster, compression);
        let told = take(&postgres, &target).await;
        postgres.execute(&["INSERT INTO plain SELECT 300000 + n, 'later' FROM generate_series(1, 1000) n"]).await;

        let id = told["backupId"].as_str().unwrap();
        let stored = target.store.get(&format!("{}/base/{id}/backup.info", target.root), 1 << 20).await.unwrap();
        let text = std::str::from_utf8(&stored).unwrap();
        let info = BackupInfo::parse(text).unwrap();
        assert_eq!((info.status, info.render().as_str()), (BackupStatus::Done, text));
        assert_eq!(info.tablespaces.len(), 1);
        if compression.is_none() {
            let listed = target.store.list(&format!("{}/base/{id}/", target.root), None, None).await.unwrap();
            assert!(listed.objects.iter().any(|object| object.key.ends_with("data_0001.tar")), "one part only");
        }

        let barman = Barman::new(&server, &cluster);
        let list = barman.run("barman-cloud-backup-list", &["--format", "json"], &[]);
        let list: Value = serde_json::from_slice(&list.stdout).unwrap();
        let listed = &list["backups_list"][0];
        assert_eq!((&listed["backup_id"], &listed["status"]), (&json!(id), &json!("DONE")), "{list}");
        assert_eq!(listed["backup_name"], "by-interop");

        restore(&postgres, &barman, id);
        let restored = postgres.folder("restored");
        let wal = postgres.folder("wal");
        std::fs::write(restored.join("recovery.signal"), "").unwrap();
        let recovery = format!(
            "restore_command = 'cp {}/%f %p'\nrecovery_target = 'immediate'\nrecovery_target_action = 'promote'\n",
            wal.display()
        );
        postgres.configure("restored", &recovery);
        postgres.down("pgdata");
        postgres.up("restored");
        let counted = |table: &str| format!("SELECT count(*) FROM {table} WHERE text = md5(n::text)");
        assert_eq!(postgres.number(&counted("plain")).await, ROWS);
        assert_eq!(postgres.number(&counted("apart")).await, ROWS);
        assert_eq!(postgres.number("SELECT count(*) FROM plain WHERE text = 'later'").await, 0, "{cluster}");
        postgres.down("restored");
        for folder in ["restored", "restored-space"] {
            std::fs::remove_dir_all(postgres.folder(folder)).unwrap();
        }
        postgres.up("pgdata");
        postgres.execute(&["DELETE FROM plain WHERE text = 'later'"]).await;
    }
}

/// `barman-cloud-restore`, with the tablespace in another place.
fn restore(postgres: &Postgres, barman: &Barman<'_>, id: &str) {
    let (restored, space) = (postgres.folder("restored"), postgres.folder("restored-space"));
    let rule = format!("ts1:{}", space.display());
    let id = std::path::Path::new(id);
    let output = barman.run("barman-cloud-restore", &["--tablespace", &rule], &[id, &restored]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(restored.join("backup_label").exists() && restored.join("global/pg_control").exists());
    assert!(!restored.join("postmaster.pid").exists());
}
