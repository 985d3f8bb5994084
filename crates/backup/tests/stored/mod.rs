//! A backup of a made-up database in a store, and what it is when it is back; backups of four days.
#![allow(dead_code, reason = "each test program uses a part of it")]

use bytes::Bytes;
use pgherd_backup::{Destination, gzip};
use pgherd_objectstore::{ObjectStore, PutOptions};
use std::path::Path;
use std::sync::Arc;

pub const ID: &str = "20261123T202108";

pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
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
pub fn relation(megabytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(megabytes << 20)
    .collect()
}

pub fn info(id: &str, segment: u64, spaces: &str) -> String {
    let (date, time) = id.split_once('T').expect("an id");
    let at = format!("{}-{}-{} {}:{}:00+00:00", &date[..4], &date[4..6], &date[6..], &time[..2], &time[2..4]);
    let wal = format!("0000000100000000{segment:08X}");
    format!(
        "status=DONE\nversion=150018\ntimeline=1\nsystemid=7\ncluster_size=1000\nbegin_time={at}\nend_time={at}\n\
         begin_wal={wal}\nend_wal={wal}\nbegin_xlog=0/{segment:X}000028\nend_xlog=0/{segment:X}000100\n\
         backup_label='START WAL LOCATION\\n'\ntablespaces={spaces}\nxlog_segment_size=16777216\n"
    )
}

pub async fn put(store: &dyn ObjectStore, key: &str, body: Vec<u8>) {
    store.put_new(&format!("pre/c/{key}"), Bytes::from(body), &PutOptions::default()).await.expect("put");
}

/// A backup of two parts, the second not compressed, and a tablespace.
pub async fn store_backup(store: &dyn ObjectStore) {
    let first = tar(&[("./", b""), ("./PG_VERSION", b"15\n"), ("base/1/1259", &relation(9)), ("standby.signal", b"")]);
    let second = tar(&[("base/1/1260", &relation(1)), ("global/pg_control", &[1; 8192])]);
    put(store, &format!("base/{ID}/data.tar.gz"), gzip(&first).expect("gzip")).await;
    put(store, &format!("base/{ID}/data_0001.tar"), second).await;
    put(store, &format!("base/{ID}/16384.tar.gz"), gzip(&tar(&[("PG_15_202209061/5/1", b"row")])).expect("gzip")).await;
    put(store, &format!("base/{ID}/backup.info"), info(ID, 5, "[('ts1', 16384, '/ts')]").into_bytes()).await;
}

pub fn into(folder: &Path) -> Destination {
    Destination {
        pgdata: folder.join("pgdata.restore-1"),
        tablespaces: vec![(16384, folder.join("tablespaces/ts1"))],
        wide: 2,
        progress: Arc::default(),
    }
}

pub fn is_whole(folder: &Path) {
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

/// Backups of four days, and WAL; `c2` is another server, `c` is what is pruned.
pub async fn four_days(store: &dyn ObjectStore) {
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
