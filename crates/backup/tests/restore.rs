//! A base backup brought back from a store in memory, a faulty one, and a real S3 API; and retention on the same.
#![allow(clippy::expect_used, clippy::panic, clippy::string_slice)]

mod stored;

use bytes::Bytes;
use pgherd_backup::{Catalog, Destination, Patience, RestoreError, preview};
use pgherd_core::backup::{BackupId, Timestamp, retention};
use pgherd_core::timeline::TimelineId;
use pgherd_objectstore::test_server::TestServer;
use pgherd_objectstore::{Fault, FaultControl, Faulty, MemoryStore, ObjectStore, list_all};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stored::{ID, four_days, info, into, is_whole, put, store_backup};

fn faulty() -> (Arc<Faulty<MemoryStore>>, FaultControl, Catalog) {
    let (store, control) = Faulty::new(MemoryStore::new());
    let store = Arc::new(store);
    let catalog =
        Catalog::new(Arc::<Faulty<MemoryStore>>::clone(&store), "pre/c", Patience(Duration::from_millis(300)));
    (store, control, catalog)
}

async fn restore(catalog: &Catalog, to: &Destination) -> Result<(), RestoreError> {
    let backups = catalog.backups().await.expect("the catalog");
    let backup = backups.iter().find(|backup| backup.entry.id.as_str() == ID).expect("the backup");
    catalog.restore(backup, to).await.map(drop)
}

#[tokio::test]
async fn a_backup_of_parts_and_tablespaces_comes_back_from_a_real_s3_api() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("s3/bucket")).expect("a bucket");
    let server = TestServer::start(&folder.path().join("s3")).await.expect("a server");
    let store: Arc<dyn ObjectStore> = Arc::new(server.store("bucket"));
    store_backup(store.as_ref()).await;
    let catalog = Catalog::new(store, "pre/c", Patience::default());
    let to = into(folder.path());
    restore(&catalog, &to).await.expect("restored");
    is_whole(folder.path());
    let written = to.progress.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(written, (10 << 20) + 3 + 8192 + 3);
}

#[tokio::test]
async fn an_outage_in_the_middle_is_waited_for_and_one_that_lasts_ends_the_restore() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, control, catalog) = faulty();
    store_backup(store.inner()).await;
    let catalog_patient = Catalog::new(Arc::<Faulty<MemoryStore>>::clone(&store), "pre/c", Patience::default());
    let backups = catalog.backups().await.expect("the catalog");
    for fault in [Fault::Off, Fault::Status(503, "SlowDown"), Fault::ResetMidBody] {
        control.set(fault.clone());
        let to = into(folder.path());
        let asked = control.calls();
        let (restored, ()) = tokio::join!(catalog_patient.restore(&backups[0], &to), async {
            while control.calls() < asked + 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            control.set(Fault::None);
        });
        restored.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        is_whole(folder.path());
        std::fs::remove_dir_all(folder.path().join("pgdata.restore-1")).expect("remove");
        std::fs::remove_dir_all(folder.path().join("tablespaces")).expect("remove");
    }
    for fault in [Fault::Off, Fault::Status(403, "AccessDenied")] {
        control.set(fault);
        let failed = catalog.restore(&backups[0], &into(folder.path())).await.expect_err("an outage");
        assert!(matches!(failed, RestoreError::Store { .. }), "{failed}");
        let _left = std::fs::remove_dir_all(folder.path().join("pgdata.restore-1"));
    }
}

#[tokio::test]
async fn an_object_that_is_damaged_or_cut_short_is_named_and_nothing_is_made_of_it() {
    let key = |name: &str| format!("pre/c/base/{ID}/{name}");
    for (name, damage) in [
        ("data.tar.gz", "flipped"),
        ("data.tar.gz", "cut"),
        ("data_0001.tar", "cut"),
        ("16384.tar.gz", "cut"),
        ("16384.tar.gz", "flipped"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, _, catalog) = faulty();
        store_backup(store.inner()).await;
        let mut body = store.inner().get(&key(name), u64::MAX).await.expect("get").to_vec();
        match damage {
            "cut" => body.truncate(body.len() - 1200.min(body.len() / 2)),
            _ => {
                let middle = body.len() / 2;
                body[middle] ^= 1;
            }
        }
        store.inner().overwrite(&key(name), Bytes::from(body));
        let failed = restore(&catalog, &into(folder.path())).await.expect_err("damage");
        assert!(
            matches!(&failed, RestoreError::Damaged { key: named, .. } if *named == key(name)),
            "{name} {damage}: {failed}"
        );
        assert!(!folder.path().join("pgdata.restore-1/backup_label").exists(), "it would pass for a data directory");
    }
    let (store, _, catalog) = faulty();
    store_backup(store.inner()).await;
    store.inner().delete(&key("data_0001.tar")).await.expect("delete");
    let folder = tempfile::tempdir().expect("a folder");
    let failed = restore(&catalog, &into(folder.path())).await.expect_err("a part is missing");
    assert!(matches!(failed, RestoreError::Lacks { file: "global/pg_control", .. }), "{failed}");
}

#[tokio::test]
async fn a_volume_that_is_too_small_is_said_before_anything_is_fetched() {
    let (store, control, catalog) = faulty();
    store_backup(store.inner()).await;
    let text = info(ID, 5, "None").replace("cluster_size=1000", "cluster_size=1000000000000000");
    store.inner().overwrite(&format!("pre/c/base/{ID}/backup.info"), Bytes::from(text));
    let folder = tempfile::tempdir().expect("a folder");
    let backups = catalog.backups().await.expect("the catalog");
    let asked = control.calls();
    let failed = catalog.restore(&backups[0], &into(folder.path())).await.expect_err("no room");
    assert!(matches!(failed, RestoreError::NoRoom { needed: 1_000_000_000_000_000, .. }), "{failed}");
    assert_eq!(control.calls(), asked);
}

async fn prunes(store: Arc<dyn ObjectStore>) {
    four_days(store.as_ref()).await;
    let catalog = Catalog::new(Arc::clone(&store), "pre/c", Patience::default());
    let survey = catalog.survey().await.expect("a survey");
    assert_eq!((survey.backups.len(), survey.wal.len()), (5, 43));
    let now: Timestamp = "2026-11-05 12:00:00Z".parse().expect("a time");
    let plan = |survey: &pgherd_backup::Survey| {
        let policy = "1d".parse().expect("a policy");
        retention::plan(&survey.entries(), &survey.archived, policy, now, TimelineId(1))
    };
    let first = plan(&survey);
    let expected = preview(&survey, &first);
    let before = list_all(store.as_ref(), "pre/").await.expect("list").len();
    assert_eq!(before, 4 * 2 + 1 + 43 + 1, "a preview deletes nothing");
    let pruned = catalog.prune(&survey, &first).await.expect("pruned");
    assert_eq!(pruned, expected);
    let gone: Vec<&str> = pruned.backups.iter().map(BackupId::as_str).collect();
    assert_eq!(gone, ["20261101T000000", "20261101T120000", "20261102T000000", "20261103T000000"]);
    assert_eq!((pruned.wal_objects, pruned.wal_bytes), (36, 360), "5 to 39, and a label");
    let survey = catalog.survey().await.expect("a survey");
    assert_eq!((survey.backups.len(), survey.wal.len()), (1, 7), "six segments and the history");
    assert!(catalog.prune(&survey, &plan(&survey)).await.expect("again").is_empty());
    assert_eq!(list_all(store.as_ref(), "pre/c2").await.expect("list").len(), 1, "another server's");
}

#[tokio::test]
async fn retention_deletes_what_is_redundant_and_nothing_else() {
    prunes(Arc::new(MemoryStore::new())).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("bucket")).expect("a bucket");
    let server = TestServer::start(folder.path()).await.expect("a server");
    prunes(Arc::new(server.store("bucket"))).await;
}

/// A month of WAL: neither a request nor a list for each file.
#[tokio::test]
async fn a_hundred_thousand_wal_files_are_looked_through_and_deleted_without_a_request_for_each() {
    let (store, control, catalog) = faulty();
    const FILES: u64 = 100_000;
    for number in 0..FILES {
        let key = format!("wals/00000001{:08X}/00000001{:08X}{:08X}.gz", number >> 8, number >> 8, number & 0xFF);
        put(store.inner(), &key, vec![1; 10]).await;
    }
    for (day, segment) in [(1, 2_u64), (4, 90_000)] {
        let id = format!("2026110{day}T000000");
        let wal = format!("00000001{:08X}{:08X}", segment >> 8, segment & 0xFF);
        let begin = format!("{:X}/{:X}000028", segment >> 8, segment & 0xFF);
        let text = info(&id, 5, "None").replace("000000010000000000000005", &wal);
        let text = text.replace("0/5000028", &begin).replace("0/5000100", &begin.replace("28", "FF"));
        put(store.inner(), &format!("base/{id}/data.tar.gz"), vec![1; 100]).await;
        put(store.inner(), &format!("base/{id}/backup.info"), text.into_bytes()).await;
    }
    let (began, asked) = (Instant::now(), control.calls());
    let survey = catalog.survey().await.expect("a survey");
    assert_eq!(survey.wal.len() as u64, FILES);
    let now: Timestamp = "2026-11-06 12:00:00Z".parse().expect("a time");
    let policy = "1d".parse().expect("a policy");
    let plan = retention::plan(&survey.entries(), &survey.archived, policy, now, TimelineId(1));
    let pruned = catalog.prune(&survey, &plan).await.expect("pruned");
    println!("{:?}, {} requests", began.elapsed(), control.calls() - asked);
    assert_eq!((pruned.backups.len(), pruned.wal_objects), (1, 90_000));
    // A page of this store has a hundred keys; S3's have a thousand.
    assert!(control.calls() - asked < 1200, "{} requests", control.calls() - asked);
}

#[tokio::test]
async fn a_deletion_that_was_cut_off_leaves_no_half_of_a_backup_that_passes_for_one() {
    let (store, control, catalog) = faulty();
    four_days(store.inner()).await;
    let survey = catalog.survey().await.expect("a survey");
    let now: Timestamp = "2026-11-05 12:00:00Z".parse().expect("a time");
    let policy = "1d".parse().expect("a policy");
    let plan = retention::plan(&survey.entries(), &survey.archived, policy, now, TimelineId(1));
    control.set(Fault::AnswerLost);
    catalog.prune(&survey, &plan).await.expect_err("no answer");
    control.set(Fault::None);
    for backup in catalog.backups().await.expect("the catalog") {
        let whole = backup.archives.len() == 1;
        assert!(whole || backup.info.is_none(), "{} has lost its data and is shown as whole", backup.entry.id);
    }
    put(store.inner(), "base/20261103T000000/annotations/keep", b"full".to_vec()).await;
    let kept = catalog.prune(&survey, &plan).await.expect("pruned");
    assert!(!kept.backups.iter().any(|id| id.as_str() == "20261103T000000"), "{kept:?}");
    assert_eq!(kept.wal_objects, 0, "its WAL may be needed after all");
}
