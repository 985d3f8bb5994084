//! The WAL archive on a store in memory, a faulty one, and a real S3 API.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use pgherd_backup::{AdmitError, Source, Stored, WalArchive, WalGetError, WalPutError, WalSettings, gzip};
use pgherd_core::identity::SystemId;
use pgherd_core::timeline::{History, TimelineId};
use pgherd_core::wal::{Compression, WalName};
use pgherd_objectstore::test_server::TestServer;
use pgherd_objectstore::{Fault, FaultControl, Faulty, MemoryStore, ObjectStore, Put, PutOptions, Then};
use std::sync::Arc;
use std::time::Duration;

const SEGMENT: &str = "00000001000000AB0000000C";
const ROOT: &str = "pre/c";
const KEY: &str = "pre/c/wals/00000001000000AB/00000001000000AB0000000C.gz";

fn name(text: &str) -> WalName {
    text.parse().expect("a name")
}

fn content(seed: u8) -> Bytes {
    let bytes: Vec<u8> = (0..1_u32 << 20).map(|i| (i / 7).to_le_bytes()[0] ^ seed).collect();
    Bytes::from(bytes)
}

fn settings(compression: Option<Compression>) -> WalSettings {
    WalSettings { root: ROOT.into(), compression, ..WalSettings::default() }
}

fn archive() -> (WalArchive, Arc<Faulty<MemoryStore>>, FaultControl) {
    let (store, control) = Faulty::new(MemoryStore::new());
    let store = Arc::new(store);
    let archive = WalArchive::new(Arc::<Faulty<MemoryStore>>::clone(&store), settings(Some(Compression::Gzip)));
    (archive, store, control)
}

#[tokio::test]
async fn a_segment_is_archived_where_barman_looks_for_it_and_comes_back() {
    let (archive, store, _) = archive();
    let stored = archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect("put");
    assert_eq!(stored, Stored::Created);
    assert_eq!(store.inner().keys(), [KEY]);
    let options = store.inner().options(KEY).expect("options");
    assert_eq!(options.content_type.as_deref(), Some("application/x-gzip"));
    assert_eq!(archive.get(name(SEGMENT)).await.expect("get"), Some(content(0)));
}

#[tokio::test]
async fn history_files_and_backup_labels_are_archived_with_their_tags() {
    let store = Arc::new(MemoryStore::new());
    let settings = WalSettings {
        history_tags: vec![("kind".into(), "history".into())],
        tags: vec![("kind".into(), "wal".into())],
        ..settings(Some(Compression::Gzip))
    };
    let archive = WalArchive::new(Arc::<MemoryStore>::clone(&store), settings);
    for (file, key, tag) in [
        ("00000002.history", "pre/c/wals/00000002.history.gz", "history"),
        (
            "000000010000000000000005.00000028.backup",
            "pre/c/wals/0000000100000000/000000010000000000000005.00000028.backup.gz",
            "wal",
        ),
    ] {
        archive.put(name(file), Source::Bytes(Bytes::from_static(b"1\t0/5\twhy\n"))).await.expect("put");
        assert_eq!(store.options(key).expect("stored").tags, [("kind".to_owned(), tag.to_owned())]);
        assert_eq!(archive.get(name(file)).await.expect("get").expect("there").as_ref(), b"1\t0/5\twhy\n");
    }
}

#[tokio::test]
async fn i5_the_same_content_again_is_success_and_other_content_is_refused() {
    let (archive, store, _) = archive();
    archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect("put");
    let again = archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect("put again");
    assert_eq!(again, Stored::Equal);
    let before = store.inner().get(KEY, u64::MAX).await.expect("stored");
    let other = archive.put(name(SEGMENT), Source::Bytes(content(1))).await.expect_err("other content");
    assert!(matches!(other, WalPutError::Different { .. }), "{other}");
    assert_eq!((other.then(), other.is_refusal()), (Then::GiveUp, true));
    assert_eq!(store.inner().get(KEY, u64::MAX).await.expect("stored"), before, "never replaced");
}

#[tokio::test]
async fn i5_a_history_and_what_stood_in_for_it_do_not_quarrel_and_the_first_of_them_stays() {
    let real = || Source::Bytes(Bytes::from_static(b"1\t0/5\twhy\n"));
    let stand_in = || {
        let next = History::parse(TimelineId(3), "1\t0/4\tand a reason that is rather long\n").expect("a history");
        Source::Bytes(Bytes::from(next.stand_in(TimelineId(2)).expect("a stand-in")))
    };
    for compression in [Some(Compression::Gzip), None] {
        for first in [true, false] {
            let settings = WalSettings { root: "c".into(), compression, ..WalSettings::default() };
            let archive = WalArchive::new(Arc::new(MemoryStore::new()), settings);
            let put = async |source| archive.put(name("00000002.history"), source).await;
            let (one, other) = if first { (real(), stand_in()) } else { (stand_in(), real()) };
            assert_eq!(put(one).await.expect("put"), Stored::Created);
            let before = archive.get(name("00000002.history")).await.expect("get");
            assert_eq!(put(other).await.expect("put"), Stored::GaveWay);
            assert_eq!(archive.get(name("00000002.history")).await.expect("get"), before, "never replaced");
            let quarrel = put(Source::Bytes(Bytes::from_static(b"1\t0/6\twhy\n"))).await;
            assert_eq!(quarrel.is_err(), first, "two real ones do");
        }
    }
}

#[tokio::test]
async fn content_is_compared_and_not_how_it_was_compressed() {
    let (archive, store, _) = archive();
    let mut writer = pgherd_backup::gzip_writer(Vec::new(), 1);
    std::io::Write::write_all(&mut writer, &content(0)).expect("write");
    store.inner().overwrite(KEY, Bytes::from(writer.finish().expect("finish")));
    let stored = archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect("put");
    assert_eq!(stored, Stored::Equal);
}

#[tokio::test]
async fn a_damaged_object_is_neither_equal_nor_restored() {
    let (archive, store, _) = archive();
    let packed = gzip(&content(0)).expect("compress");
    store.inner().overwrite(KEY, Bytes::copy_from_slice(&packed[..packed.len() / 2]));
    let put = archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect_err("not equal");
    assert!(matches!(put, WalPutError::Different { .. }), "{put}");
    let got = archive.get(name(SEGMENT)).await.expect_err("damaged");
    assert!(matches!(got, WalGetError::Damaged { .. }), "{got}");
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_is_settled_by_doing_it_again() {
    let (archive, _, control) = archive();
    control.set(Fault::AnswerLost);
    let lost = archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect_err("unknown");
    assert_eq!(lost.then(), Then::RetryLater);
    control.set(Fault::None);
    let stored = archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect("put");
    assert_eq!(stored, Stored::Equal);
}

#[tokio::test]
async fn every_fault_is_an_error_and_never_not_there() {
    let (archive, _, control) = archive();
    for fault in [
        Fault::Off,
        Fault::Status(403, "AccessDenied"),
        Fault::Status(404, "NoSuchBucket"),
        Fault::Status(500, "InternalError"),
        Fault::Status(503, "SlowDown"),
    ] {
        control.set(fault.clone());
        assert!(archive.put(name(SEGMENT), Source::Bytes(content(0))).await.is_err(), "put under {fault:?}");
        assert!(archive.get(name(SEGMENT)).await.is_err(), "get under {fault:?}");
    }
    control.set(Fault::Slow(Duration::from_millis(5)));
    archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect("slow is not broken");
    for fault in [Fault::BitFlip, Fault::ResetMidBody] {
        control.set(fault.clone());
        assert!(archive.get(name(SEGMENT)).await.is_err(), "get under {fault:?}");
    }
}

#[tokio::test]
async fn a_missing_file_is_proven_missing_under_every_suffix() {
    let (archive, store, _) = archive();
    assert_eq!(archive.get(name(SEGMENT)).await.expect("get"), None);
    let partial = "pre/c/wals/00000001000000AB/00000001000000AB0000000C.partial.gz";
    store.inner().overwrite(partial, Bytes::from(gzip(&content(0)).expect("compress")));
    assert_eq!(archive.get(name(SEGMENT)).await.expect("get"), None, "a partial segment is another file");
    let plain = KEY.trim_end_matches(".gz");
    store.inner().overwrite(plain, content(3));
    assert_eq!(archive.get(name(SEGMENT)).await.expect("get"), Some(content(3)), "barman without compression");
    store.inner().delete(plain).await.expect("delete");
    // As barman would have written it, in another compression than ours.
    let mut packed = snap::write::FrameEncoder::new(Vec::new());
    std::io::Write::write_all(&mut packed, &content(4)).expect("compress");
    store.inner().overwrite(&format!("{plain}.snappy"), Bytes::from(packed.into_inner().expect("compress")));
    assert_eq!(archive.get(name(SEGMENT)).await.expect("get"), Some(content(4)));
}

/// A segment of a database system, by its long page header.
fn segment_of(system: u64, seed: u8) -> Bytes {
    let mut bytes = content(seed).to_vec();
    bytes[..2].copy_from_slice(&0xD110_u16.to_le_bytes());
    bytes[2..4].copy_from_slice(&2_u16.to_le_bytes());
    bytes[24..32].copy_from_slice(&system.to_le_bytes());
    bytes[32..36].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    bytes[36..40].copy_from_slice(&8192_u32.to_le_bytes());
    Bytes::from(bytes)
}

#[tokio::test]
async fn a_foreign_cluster_is_refused_before_its_first_file_whatever_it_is_and_a_rebuilt_one_goes_on() {
    let (first, store, _) = archive();
    first.put(name(SEGMENT), Source::Bytes(segment_of(7, 0))).await.expect("an empty archive is anybody's");
    let next = "00000001000000AB0000000D";
    let another = || WalArchive::new(Arc::<Faulty<MemoryStore>>::clone(&store), settings(Some(Compression::Gzip)));
    let refused = another().put(name(next), Source::Bytes(segment_of(8, 0))).await.expect_err("foreign");
    assert!(matches!(refused, WalPutError::Foreign { .. }) && refused.then() == Then::GiveUp, "{refused}");
    assert!(refused.is_refusal() && refused.to_string().contains(ROOT), "which one it is: {refused}");
    assert!(refused.to_string().contains("belongs to database system 7, and this one is 8"), "{refused}");
    let history = "00000002.history";
    let small = || Source::Bytes(Bytes::from_static(b"1\t0/5\twhy\n"));
    let partial = "00000001000000AB0000000D.partial";
    let unsaid = another().put(name(partial), Source::Bytes(segment_of(8, 0))).await.expect_err("it says whose it is");
    assert!(matches!(unsaid, WalPutError::Foreign { .. }), "{unsaid}");
    let archiver = another().of(SystemId(8));
    for (file, source) in [
        (history, small()),
        ("00000001000000AB0000000D.00000028.backup", small()),
        (partial, Source::Bytes(segment_of(8, 0))),
        (next, Source::Bytes(segment_of(8, 0))),
        // The data directory is not of the WAL's system: somebody has put them together.
        (next, Source::Bytes(segment_of(7, 1))),
    ] {
        let refused = archiver.put(name(file), source).await.expect_err("foreign");
        assert!(matches!(refused, WalPutError::Foreign { .. }) && refused.then() == Then::GiveUp, "{file}: {refused}");
        let advice = refused.advice().expect("an advice");
        assert!(advice.contains("serverName or destinationPath of its own"), "{file}: {advice}");
    }
    assert_eq!(store.inner().keys(), [KEY], "nothing of it was stored");
    assert_eq!(first.get(name(next)).await.expect("get"), None);
    let rebuilt = another().of(SystemId(7));
    assert_eq!(rebuilt.put(name(history), small()).await.expect("its own"), Stored::Created);
    assert_eq!(rebuilt.put(name(next), Source::Bytes(segment_of(7, 1))).await.expect("the same"), Stored::Created);
    assert_eq!(rebuilt.put(name(SEGMENT), Source::Bytes(segment_of(7, 0))).await.expect("again"), Stored::Equal);
}

#[tokio::test]
async fn a_store_that_is_away_or_takes_no_such_request_is_not_an_archive_that_refuses() {
    let (archive, _, control) = archive();
    for fault in [Fault::Off, Fault::Status(403, "AccessDenied"), Fault::Status(501, "NotImplemented")] {
        control.set(fault);
        let failed = archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect_err("a fault");
        assert!(!failed.is_refusal(), "{failed}");
    }
}

#[tokio::test]
async fn whose_an_archive_is_is_looked_at_once_whatever_is_written_and_a_store_that_is_off_is_no_answer() {
    let (archive, _, control) = archive();
    let small = || Source::Bytes(Bytes::from_static(b"1\t0/5\twhy\n"));
    let archiver = archive.of(SystemId(7));
    control.set(Fault::Off);
    let unknown = archiver.admit(SystemId(7)).await.expect_err("nobody knows");
    assert!(matches!(unknown, AdmitError::Store(_)), "{unknown}");
    let failed = archiver.put(name("00000002.history"), small()).await.expect_err("nobody knows");
    assert_eq!(failed.then(), Then::RetryLater, "{failed}");
    control.set(Fault::None);
    let before = control.calls();
    for number in 2..6 {
        archiver.clone().put(name(&format!("0000000{number}.history")), small()).await.expect("put");
    }
    archiver.put(name(SEGMENT), Source::Bytes(segment_of(7, 0))).await.expect("put");
    assert_eq!(control.calls() - before, 5 + 1);
    assert!(matches!(archive.admit(SystemId(8)).await, Err(AdmitError::Foreign { .. })), "it is taken");
}

#[tokio::test]
async fn of_two_clusters_that_begin_in_an_empty_archive_at_once_one_keeps_it() {
    let (archive, store, _) = archive();
    let one = archive.of(SystemId(7));
    let another = WalArchive::new(Arc::<Faulty<MemoryStore>>::clone(&store), settings(Some(Compression::Gzip)));
    let another = another.of(SystemId(8));
    for (cluster, own) in [(&one, 7), (&another, 8)] {
        cluster.admit(SystemId(own)).await.expect("it is empty");
    }
    one.put(name(SEGMENT), Source::Bytes(segment_of(7, 0))).await.expect("the first");
    let different = another.put(name(SEGMENT), Source::Bytes(segment_of(8, 0))).await.expect_err("it is taken");
    assert!(matches!(different, WalPutError::Different { .. }), "{different}");
    let history = Source::Bytes(Bytes::from_static(b"1\t0/5\twhy\n"));
    let foreign = another.put(name("00000002.history"), history).await.expect_err("it has looked again");
    assert!(matches!(foreign, WalPutError::Foreign { .. }), "{foreign}");
    let segment = name(SEGMENT);
    let WalName::Segment(segment) = segment else { panic!("a segment") };
    assert_eq!(one.system_of(segment).await.expect("read"), Some(SystemId(7)), "what a base backup asks in the end");
}

#[tokio::test]
async fn an_archive_that_holds_wal_of_several_systems_is_that_of_the_first_segment() {
    let (archive, store, _) = archive();
    store.inner().overwrite(KEY, Bytes::from(gzip(&segment_of(7, 0)).expect("compress")));
    let later = KEY.replace("0C.gz", "0D.gz");
    store.inner().overwrite(&later, Bytes::from(gzip(&segment_of(8, 0)).expect("compress")));
    archive.admit(SystemId(7)).await.expect("as ever");
    assert!(matches!(archive.admit(SystemId(8)).await, Err(AdmitError::Foreign { .. })));
}

#[tokio::test]
async fn a_file_that_is_cut_short_is_neither_archived_nor_restored() {
    let (archive, store, _) = archive();
    let cut = content(0).slice(..1000);
    let put = archive.put(name(SEGMENT), Source::Bytes(cut.clone())).await.expect_err("cut");
    assert!(matches!(put, WalPutError::Size { size: 1000, .. }), "{put}");
    store.inner().overwrite(KEY.trim_end_matches(".gz"), cut);
    let got = archive.get(name(SEGMENT)).await.expect_err("cut");
    assert!(matches!(got, WalGetError::Size { size: 1000, .. }), "{got}");
}

#[tokio::test]
async fn every_compression_is_written_under_its_suffix_compared_by_content_and_read_by_every_other_archive() {
    for compression in Compression::ALL {
        let store = Arc::new(MemoryStore::new());
        let archive = WalArchive::new(Arc::<MemoryStore>::clone(&store), settings(Some(compression)));
        assert_eq!(archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect("put"), Stored::Created);
        let key = format!("{}{}", KEY.trim_end_matches(".gz"), compression.suffix());
        assert_eq!(store.keys(), [key.as_str()]);
        assert!(store.get(&key, u64::MAX).await.expect("stored").len() < content(0).len(), "{compression}");
        assert_eq!(archive.put(name(SEGMENT), Source::Bytes(content(0))).await.expect("again"), Stored::Equal);
        let other = archive.put(name(SEGMENT), Source::Bytes(content(1))).await.expect_err("other content");
        assert!(matches!(other, WalPutError::Different { .. }), "{compression}: {other}");
        for reader in [None, Some(Compression::Gzip), Some(Compression::Zstd)] {
            let reader = WalArchive::new(Arc::<MemoryStore>::clone(&store), settings(reader));
            assert_eq!(reader.get(name(SEGMENT)).await.expect("get"), Some(content(0)), "{compression}");
        }
    }
}

#[tokio::test]
async fn on_a_real_s3_api_files_are_put_once_and_compared_from_a_file_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("bucket")).expect("a bucket");
    let server = TestServer::start(folder.path()).await.expect("a server");
    let store: Arc<dyn ObjectStore> = Arc::new(server.store("bucket"));
    let archive = WalArchive::new(Arc::clone(&store), settings(Some(Compression::Gzip)));
    let file = folder.path().join(SEGMENT);
    std::fs::write(&file, content(0)).expect("a segment");
    assert_eq!(archive.put(name(SEGMENT), Source::File(file.clone())).await.expect("put"), Stored::Created);
    assert_eq!(archive.put(name(SEGMENT), Source::File(file)).await.expect("put"), Stored::Equal);
    assert_eq!(archive.get(name(SEGMENT)).await.expect("get"), Some(content(0)));
    assert_eq!(archive.get(name("00000001000000AB0000000D")).await.expect("get"), None);
    let put = store.put_new(KEY, Bytes::new(), &PutOptions::default()).await.expect("put");
    assert_eq!(put, Put::Exists);
}

#[test]
fn miniz_is_not_among_what_is_linked() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let tree = std::process::Command::new(cargo)
        .args(["tree", "--offline", "-p", "pgherd-manager", "-e", "normal", "-f", "{p} {f}", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo tree");
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    let flate2 = tree.lines().find(|line| line.starts_with("flate2 ")).expect("flate2 is linked");
    assert!(flate2.contains("zlib-rs") && !flate2.contains("miniz"), "{flate2}");
    assert!(!tree.contains("miniz_oxide"), "miniz is linked");
}
