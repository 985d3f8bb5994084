//! A base backup brought back from a store in memory, a faulty one, and a real S3 API; and retention on the same.
#![allow(clippy::expect_used, clippy::panic, clippy::string_slice)]

use bytes::Bytes;
use pgherd_backup::{Catalog, Destination, Patience, RestoreError, gzip, preview};
use pgherd_core::backup::{BackupId, Timestamp, retention};
use pgherd_core::timeline::TimelineId;
use pgherd_objectstore::test_server::TestServer;
use pgherd_objectstore::{Fault, FaultControl, Faulty, MemoryStore, ObjectStore, PutOptions, list_all};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ID: &str = "20261123T202108";

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_entry_type(if path.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
        builder.append_data(&mut header, path, *content).expect("append");
    }
    builder.into_inner().expect("tar")
}

/// Content that does not compress away, so that its middle is its middle.
fn relation(megabytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(megabytes << 20)
    .collect()
}

fn info(id: &str, segment: u64, spaces: &str) -> String {
    let (date, time) = id.split_once('T').expect("an id");
    let at = format!("{}-{}-{} {}:{}:00+00:00", &date[..4], &date[4..6], &date[6..], &time[..2], &time[2..4]);
    let wal = format!("0000000100000000{segment:08X}");
    format!(
        "status=DONE\nversion=150018\ntimeline=1\nsystemid=7\ncluster_size=1000\nbegin_time={at}\nend_time={at}\n\
         begin_wal={wal}\nend_wal={wal}\nbegin_xlog=0/{segment:X}000028\nend_xlog=0/{segment:X}000100\n\
         backup_label='START WAL LOCATION\\n'\ntablespaces={spaces}\nxlog_segment_size=16777216\n"
    )
}

async fn put(store: &dyn ObjectStore, key: &str, body: Vec<u8>) {
    store.put_new(&format!("pre/c/{key}"), Bytes::from(body), &PutOptions::default()).await.expect("put");
}

/// A backup of two parts, the second not compressed, and a tablespace.
async fn store_backup(store: &dyn ObjectStore) {
    let first = tar(&[("./", b""), ("./PG_VERSION", b"15\n"), ("base/1/1259", &relation(9)), ("standby.signal", b"")]);
    let second = tar(&[("base/1/1260", &relation(1)), ("global/pg_control", &[1; 8192])]);
    put(store, &format!("base/{ID}/data.tar.gz"), gzip(&first).expect("gzip")).await;
    put(store, &format!("base/{ID}/data_0001.tar"), second).await;
    put(store, &format!("base/{ID}/16384.tar.gz"), gzip(&tar(&[("PG_15_202209061/5/1", b"row")])).expect("gzip")).await;
    put(store, &format!("base/{ID}/backup.info"), info(ID, 5, "[('ts1', 16384, '/ts')]").into_bytes()).await;
}

fn faulty() -> (Arc<Faulty<MemoryStore>>, FaultControl, Catalog) {
    let (store, control) = Faulty::new(MemoryStore::new());
    let store = Arc::new(store);
    let catalog =
        Catalog::new(Arc::<Faulty<MemoryStore>>::clone(&store), "pre/c", Patience(Duration::from_millis(300)));
    (store, control, catalog)
}

fn into(folder: &Path) -> Destination {
    Destination {
        pgdata: folder.join("pgdata.restore-1"),
        tablespaces: vec![(16384, folder.join("tablespaces/ts1"))],
        wide: 2,
        progress: Arc::default(),
    }
}

async fn restore(catalog: &Catalog, to: &Destination) -> Result<(), RestoreError> {
    let backups = catalog.backups().await.expect("the catalog");
    let backup = backups.iter().find(|backup| backup.entry.id.as_str() == ID).expect("the backup");
    catalog.restore(backup, to).await.map(drop)
}

fn is_whole(folder: &Path) {
    let read = |path: &str| std::fs::read(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(read("pgdata.restore-1/base/1/1259"), relation(9));
    assert_eq!(read("pgdata.restore-1/base/1/1260"), relation(1));
    assert_eq!(read("pgdata.restore-1/backup_label"), b"START WAL LOCATION\n");
    assert_eq!(read("pgdata.restore-1/pg_tblspc/16384/PG_15_202209061/5/1"), b"row");
    let link = std::fs::read_link(folder.join("pgdata.restore-1/pg_tblspc/16384")).expect("a link");
    assert_eq!(link, folder.join("tablespaces/ts1"));
    assert!(folder.join("pgdata.restore-1/pg_wal").is_dir() && folder.join("pgdata.restore-1/pg_replslot").is_dir());
    assert!(!folder.join("pgdata.restore-1/standby.signal").exists(), "it would decide what this one becomes");
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

/// Backups of four days, and WAL; `c2` is another server, `c` is what is pruned.
async fn four_days(store: &dyn ObjectStore) {
    for (day, segment) in [(1, 10_u64), (2, 20), (3, 30), (4, 40)] {
        let id = format!("2026110{day}T000000");
        put(store, &format!("base/{id}/data.tar.gz"), vec![1; 100]).await;
        put(store, &format!("base/{id}/backup.info"), info(&id, segment, "None").into_bytes()).await;
    }
    put(store, "base/20261101T120000/data.tar.gz", vec![1; 100]).await;
    for segment in 5..=45 {
        put(store, &format!("wals/0000000100000000/0000000100000000{segment:08X}.gz"), vec![1; 10]).await;
    }
    put(store, "wals/0000000100000000/00000001000000000000000A.00000028.backup.gz", vec![1; 10]).await;
    put(store, "wals/00000002.history", b"1\t0/2D000100\tno recovery target specified\n".to_vec()).await;
    let other = "pre/c2/wals/0000000100000000/000000010000000000000005.gz";
    store.put_new(other, Bytes::new(), &PutOptions::default()).await.expect("put");
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
