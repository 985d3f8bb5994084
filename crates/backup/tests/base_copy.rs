//! Copies of a made-up data directory: what is in the archives, how they are cut, and what is left after a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use flate2::read::GzDecoder;
use pgherd_backup::base::{
    BaseCopy, BaseError, BaseSettings, Destination, PAGE, Progress, Source, checksum, give_up_leftovers, put_info,
};
use pgherd_core::backup::{BackupInfo, BackupStatus};
use pgherd_core::lsn::Lsn;
use pgherd_core::wal::Compression;
use pgherd_objectstore::{Fault, Faulty, LEAST_PART, MemoryStore, ObjectStore, PutOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const LABEL: &str = "START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\n";
const START: Lsn = Lsn(0x300_0000);

/// A page of before the backup, with its checksum.
fn page(block: u32) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    for (number, byte) in page.iter_mut().enumerate().skip(24) {
        *byte = u8::try_from(number * 31 % 241).unwrap() ^ block.to_le_bytes()[0];
    }
    page[4..8].copy_from_slice(&0x0200_0000_u32.to_le_bytes());
    page[14..16].copy_from_slice(&8000_u16.to_le_bytes());
    let sum = checksum(&page, block);
    page[8..10].copy_from_slice(&sum.to_le_bytes());
    page
}

fn write(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// A data directory with one tablespace, and one relation of `pages`.
fn directory(root: &Path, pages: u32) -> Source {
    let (pgdata, space) = (root.join("pgdata"), root.join("space"));
    for (path, content) in [
        ("PG_VERSION", &b"15\n"[..]),
        ("postgresql.conf", b"# nothing\n"),
        ("postmaster.pid", b"1\n"),
        ("standby.signal", b""),
        ("global/pg_control", &[7; 8192]),
        ("global/pg_filenode.map", &[1; 512]),
        ("base/5/PG_VERSION", b"15\n"),
        ("pg_wal/000000010000000000000003", &[0; 100]),
        ("pg_replslot/one/state", b"x"),
        ("base/pgsql_tmp/pgsql_tmp1.0", b"x"),
    ] {
        write(&pgdata, path, content);
    }
    let relation: Vec<u8> = (0..pages).flat_map(page).collect();
    write(&pgdata, "base/5/16384", &relation);
    write(&space, "PG_15_202209061/5/16400", &page(0));
    write(&space, "PG_14_202107181/5/16400", b"of another version");
    std::fs::create_dir(pgdata.join("pg_tblspc")).unwrap();
    symlink(&space, pgdata.join("pg_tblspc/16399")).unwrap();
    symlink("/nowhere/pg_hba.conf", pgdata.join("pg_hba.conf")).unwrap();
    Source { pgdata, tablespaces: vec![(16399, space)], elsewhere: Vec::new(), major: 15, verify_since: Some(START) }
}

fn destination(store: Arc<dyn ObjectStore>) -> Destination {
    Destination { store, root: "backups/c".into(), id: "20261123T202108".parse().unwrap(), tags: Vec::new() }
}

fn settings(compression: Option<Compression>) -> BaseSettings {
    BaseSettings { compression, patience: Duration::from_secs(2), ..BaseSettings::default() }
}

async fn take(source: Source, store: Arc<dyn ObjectStore>, settings: &BaseSettings) -> Result<Vec<String>, BaseError> {
    let progress = Arc::new(Progress::default());
    let copy = BaseCopy::run(source, destination(store), settings, Arc::clone(&progress)).await?;
    let done = copy.finish(LABEL.to_owned()).await?;
    assert!(progress.bytes_read() > 0 && progress.total() > 0 && progress.bytes_stored() > 0);
    Ok(done.into_iter().map(|archive| archive.name.to_string()).collect())
}

/// The whole content of an archive: one stream at most, as barman reads it.
async fn unpacked(store: &MemoryStore, name: &str) -> Vec<u8> {
    let body = store.get(&format!("backups/c/base/20261123T202108/{name}"), u64::MAX).await.unwrap();
    if !name.ends_with(".gz") {
        let compression = Compression::ALL.into_iter().find(|one| name.ends_with(one.suffix()));
        return pgherd_backup::unpack(compression, &body, 1 << 30).unwrap();
    }
    let mut content = Vec::new();
    let mut decoder = GzDecoder::new(body.as_ref());
    decoder.read_to_end(&mut content).unwrap();
    assert!(decoder.into_inner().is_empty());
    content
}

fn tar(arguments: &[&str], archive: &[u8]) -> Vec<u8> {
    let mut tar = Command::new("tar").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = tar.stdin.take().unwrap();
    let content = archive.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&content));
    let output = tar.wait_with_output().unwrap();
    let _written = writing.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn members(archive: &[u8]) -> Vec<String> {
    String::from_utf8(tar(&["-tf", "-"], archive)).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_hold_what_barman_would_put_there_in_its_order() {
    let of_backups = [Compression::Gzip, Compression::Bzip2, Compression::Snappy, Compression::Lz4];
    let with_suffix = of_backups.map(|compression| (Some(compression), compression.suffix()));
    for (compression, suffix) in with_suffix.into_iter().chain([(None, "")]) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new());
        let names = take(directory(folder.path(), 3), store.clone(), &settings(compression)).await.unwrap();
        assert_eq!(names, [format!("16399.tar{suffix}"), format!("data.tar{suffix}")]);
        let space = members(&unpacked(&store, &names[0]).await);
        assert_eq!(space, ["PG_15_202209061/", "PG_15_202209061/5/", "PG_15_202209061/5/16400"]);
        let data = unpacked(&store, &names[1]).await;
        let expected = [
            "./",
            "./PG_VERSION",
            "./pg_hba.conf",
            "./postgresql.conf",
            "base/",
            "base/5/",
            "base/5/16384",
            "base/5/PG_VERSION",
            "global/",
            "global/pg_filenode.map",
            "pg_replslot/",
            "pg_tblspc/",
            "pg_wal/",
            "global/pg_control",
            "backup_label",
        ];
        assert_eq!(members(&data), expected);
        assert_eq!(tar(&["-xOf", "-", "backup_label"], &data), LABEL.as_bytes());
        assert_eq!(tar(&["-xOf", "-", "base/5/16384"], &data), (0..3).flat_map(page).collect::<Vec<u8>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_grew_too_large_is_followed_by_another_part() {
    let folder = tempfile::tempdir().unwrap();
    let source = directory(folder.path(), 1);
    for number in 0..6_u8 {
        write(&source.pgdata, &format!("base/5/pg_x{number}"), &vec![number; 3 << 20]);
    }
    let store = Arc::new(MemoryStore::new());
    let small = BaseSettings { max_archive_size: 5 << 20, ..settings(None) };
    let names = take(source, store.clone(), &small).await.unwrap();
    assert!(names.len() >= 4 && names.contains(&"data_0001.tar".to_owned()), "{names:?}");
    let mut files: BTreeMap<String, usize> = BTreeMap::new();
    for name in &names {
        for member in members(&unpacked(&store, name).await) {
            *files.entry(member).or_default() += 1;
        }
    }
    assert_eq!(files["backup_label"], 1);
    assert!((0..6).all(|number| files[&format!("base/5/pg_x{number}")] == 1), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_page_fails_the_backup_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = directory(folder.path(), 40);
    let relation = source.pgdata.join("base/5/16384");
    let file = std::fs::OpenOptions::new().write(true).open(&relation).unwrap();
    file.write_all_at(b"!", 33 * PAGE as u64 + 4000).unwrap();
    let store = Arc::new(MemoryStore::new());
    match take(source.clone(), store.clone(), &settings(Some(Compression::Gzip))).await {
        Err(BaseError::BadPage { file, block }) => assert_eq!((file, block), (relation, 33)),
        other => panic!("{other:?}"),
    }
    assert!(store.list_uploads("").await.unwrap().is_empty());
    assert!(!store.keys().iter().any(|key| key.contains("data.tar")), "{:?}", store.keys());
    // Without checksums there is nothing to verify.
    let plain = Source { verify_since: None, ..source };
    take(plain, Arc::new(MemoryStore::new()), &settings(None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_on_the_way_leaves_no_parts_behind() {
    let folder = tempfile::tempdir().unwrap();
    let source = directory(folder.path(), 1);
    write(&source.pgdata, "base/5/pg_noise", &vec![9; 8 * LEAST_PART]);
    let (store, control) = Faulty::new(MemoryStore::new());
    let store = Arc::new(store);
    let (to, progress) = (destination(store.clone()), Arc::new(Progress::default()));
    let seen = Arc::clone(&progress);
    let small = BaseSettings { max_archive_size: 1 << 30, ..settings(None) };
    let taking = tokio::spawn(async move { BaseCopy::run(source, to, &small, progress).await.map(drop) });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while seen.bytes_stored() < 2 * LEAST_PART as u64 {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    control.set(Fault::Off);
    // Its patience ends while nothing answers, and so it gives its parts up; the store is back while it tries.
    while control.aborts() == 0 && !taking.is_finished() {
        assert!(tokio::time::Instant::now() < deadline, "nothing is given up");
        tokio::task::yield_now().await;
    }
    control.set(Fault::None);
    // On a fast machine everything may have been in the store by then: the copy is dropped without its label.
    if let Err(error) = taking.await.unwrap() {
        assert!(matches!(error, BaseError::Store { .. }), "{error:?}");
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !store.inner().list_uploads("").await.unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "parts are left");
        tokio::task::yield_now().await;
    }
    assert!(!store.inner().keys().iter().any(|key| key.contains("data.tar")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_given_up_leaves_nothing_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let source = directory(folder.path(), 1);
    write(&source.pgdata, "base/5/pg_noise", &vec![9; 3 * LEAST_PART]);
    let store = Arc::new(MemoryStore::new());
    let small = BaseSettings { max_archive_size: 1 << 30, ..settings(None) };
    let copy = BaseCopy::run(source, destination(store.clone()), &small, Arc::default()).await.unwrap();
    copy.give_up().await;
    assert!(store.list_uploads("").await.unwrap().is_empty());
    assert!(!store.keys().iter().any(|key| key.contains("data.tar")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_given_up_while_the_store_hangs_does_not_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = directory(folder.path(), 1);
    write(&source.pgdata, "base/5/pg_noise", &vec![9; 8 * LEAST_PART]);
    let (store, control) = Faulty::new(MemoryStore::new());
    let store = Arc::new(store);
    let long = BaseSettings { patience: Duration::from_secs(900), max_archive_size: 1 << 30, ..settings(None) };
    let (to, progress) = (destination(store.clone()), Arc::new(Progress::default()));
    let seen = Arc::clone(&progress);
    let taking = tokio::spawn(async move { BaseCopy::run(source, to, &long, progress).await.map(drop) });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let until = async |what: &dyn Fn() -> bool| {
        while !what() {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
    };
    until(&|| seen.bytes_stored() >= 2 * LEAST_PART as u64).await;
    control.set(Fault::Hang);
    let asked = control.calls();
    seen.cancel();
    until(&|| control.calls() > asked).await;
    control.set(Fault::None);
    let ended = tokio::time::timeout(Duration::from_secs(20), taking).await.expect("it ends").unwrap();
    assert!(ended.is_err(), "it was given up");
    assert!(store.inner().list_uploads("").await.unwrap().is_empty());
}

#[tokio::test]
async fn parts_of_backups_that_are_over_are_given_up_and_those_of_others_stay() {
    let store = MemoryStore::new();
    for id in ["20261101T000000", "20261102T000000"] {
        let key = format!("backups/c/base/{id}/data.tar");
        store.begin_upload(&key, &PutOptions::default()).await.unwrap();
    }
    let ended = BTreeSet::from(["20261101T000000".parse().unwrap()]);
    give_up_leftovers(&store, "backups/c", &ended, "2026-11-03 00:00:00Z".parse().unwrap()).await;
    let left: Vec<String> = store.list_uploads("").await.unwrap().into_iter().map(|upload| upload.key).collect();
    assert_eq!(left, ["backups/c/base/20261102T000000/data.tar"]);
}

#[tokio::test]
async fn what_was_called_whole_is_never_called_failed() {
    let store = Arc::new(MemoryStore::new());
    let to = destination(store.clone());
    let done = BackupInfo { status: BackupStatus::Done, ..BackupInfo::default() };
    let failed = BackupInfo { status: BackupStatus::Failed, ..BackupInfo::default() };
    put_info(&to, &done, Duration::from_secs(1)).await.unwrap();
    put_info(&to, &done, Duration::from_secs(1)).await.unwrap();
    assert!(matches!(put_info(&to, &failed, Duration::from_secs(1)).await, Err(BaseError::Taken { .. })));
    let stored = store.get("backups/c/base/20261123T202108/backup.info", 10_000).await.unwrap();
    assert_eq!(BackupInfo::parse(std::str::from_utf8(&stored).unwrap()).unwrap(), done);
}
