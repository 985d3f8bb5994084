//! Every fault on the wire against every operation, on a real S3 API: what does not come through ends with an error that
//! says why, nothing half passes for whole, and the same again works as soon as the fault is gone.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod stored;

use bytes::Bytes;
use futures::future::join_all;
use pgherd_backup::base::{self, BaseCopy, BaseSettings, put_info};
use pgherd_backup::{Catalog, Patience, Source, WalArchive, WalSettings};
use pgherd_core::backup::{BackupInfo, Timestamp, retention};
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::{Compression, WalName};
use pgherd_objectstore::test_server::{TestServer, WireFault};
use pgherd_objectstore::{ObjectStore, S3Config, S3Store, Timeouts, list_all};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stored::{ID, four_days, info, into, is_whole, relation, store_backup};

const SEGMENT: &str = "000000010000000000000063";
const CALL: Duration = Duration::from_millis(1000);
const PATIENCE: Duration = Duration::from_millis(1500);

/// By the SDK, or by us.
const LATE: &str = "timed out|took longer";

/// Faults that last, with what people are told.
const LASTING: [(WireFault, &str); 10] = [
    (WireFault::Reset, "connection"),
    (WireFault::Silent, LATE),
    (WireFault::Trickle(1000), LATE),
    (WireFault::CutBody, "body"),
    // What never ends is another object than the one that was put.
    (WireFault::Endless, "timed out|took longer|holds more|another object"),
    (WireFault::Status(403, "AccessDenied"), "403"),
    (WireFault::Status(403, "RequestTimeTooSkewed"), "clock"),
    (WireFault::Status(404, "NoSuchBucket"), "NoSuchBucket"),
    (WireFault::Status(500, "InternalError"), "500"),
    (WireFault::Status(503, "SlowDown"), "503"),
];

/// What is sent is read at 1 KB/s: of no concern to those who only ask.
const SIPS: (WireFault, &str) = (WireFault::Sips(1000), LATE);

/// A server of its own, with a backup and backups of four days.
struct Bed {
    folder: Arc<tempfile::TempDir>,
    server: Arc<TestServer>,
    store: Arc<dyn ObjectStore>,
    patience: Patience,
}

impl Bed {
    async fn start() -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir_all(folder.path().join("s3/bucket")).expect("a bucket");
        let server = Arc::new(TestServer::start(&folder.path().join("s3")).await.expect("a server"));
        let timeouts = Timeouts { call: CALL, ..Timeouts::default() };
        let store = Arc::new(S3Store::new(S3Config { timeouts, ..server.config("bucket") }));
        Self { folder, server, store, patience: Patience(PATIENCE) }
    }

    /// Nothing is wrong any more, and nobody is in a hurry.
    fn healed(&self) -> Self {
        self.server.set(WireFault::None);
        let (folder, server) = (Arc::clone(&self.folder), Arc::clone(&self.server));
        Self { folder, server, store: Arc::new(self.server.store("bucket")), patience: Patience::default() }
    }

    fn catalog(&self) -> Catalog {
        Catalog::new(Arc::clone(&self.store), "pre/c", self.patience)
    }

    fn archive(&self) -> WalArchive {
        let settings =
            WalSettings { root: "pre/c".into(), compression: Some(Compression::Gzip), ..WalSettings::default() };
        WalArchive::new(Arc::clone(&self.store), settings)
    }

    async fn keys(&self) -> Vec<String> {
        let all = list_all(self.store.as_ref(), "pre/").await.expect("a list");
        all.into_iter().map(|object| object.key).collect()
    }
}

/// What a fault came to: nothing, or all that is said about it.
type Came = Result<(), String>;

fn said(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn segment() -> (WalName, Bytes) {
    (SEGMENT.parse().expect("a name"), Bytes::from(relation(1)))
}

async fn archives(bed: &Bed) -> Came {
    let (name, content) = segment();
    bed.archive().put(name, Source::Bytes(content)).await.map(drop).map_err(|error| said(&error))
}

async fn fetches(bed: &Bed) -> Came {
    let (name, content) = segment();
    let got = bed.archive().get(name).await.map_err(|error| said(&error))?;
    assert_eq!(got, Some(content), "what is there is never answered as missing");
    Ok(())
}

async fn backs_up(bed: &Bed) -> Came {
    let pgdata = bed.folder.path().join("pgdata");
    std::fs::create_dir_all(pgdata.join("global")).expect("a folder");
    for (file, content) in
        [("PG_VERSION", b"15\n".to_vec()), ("global/pg_control", vec![7; 8192]), ("blob", relation(6))]
    {
        std::fs::write(pgdata.join(file), content).expect("a file");
    }
    let (tablespaces, elsewhere) = (Vec::new(), Vec::new());
    let source = base::Source { pgdata, tablespaces, elsewhere, major: 15, verify_since: None };
    let id = ID.parse().expect("an id");
    let to = base::Destination { store: Arc::clone(&bed.store), root: "pre/c".into(), id, tags: Vec::new() };
    let settings = BaseSettings { patience: bed.patience.0, ..BaseSettings::default() };
    let copy = BaseCopy::run(source, to.clone(), &settings, Arc::default()).await.map_err(|error| said(&error))?;
    copy.finish("START WAL LOCATION\n".to_owned()).await.map_err(|error| said(&error))?;
    let info = BackupInfo::parse(&info(ID, 5, "None")).expect("info");
    put_info(&to, &info, bed.patience.0).await.map_err(|error| said(&error))
}

async fn brings_back(bed: &Bed) -> Came {
    let to = into(&bed.folder.path().join("volume"));
    for root in [to.pgdata.clone(), bed.folder.path().join("volume/tablespaces")] {
        let _none = std::fs::remove_dir_all(root);
    }
    std::fs::create_dir_all(bed.folder.path().join("volume")).expect("a volume");
    let backups = bed.catalog().backups().await.map_err(|error| said(&error))?;
    bed.catalog().restore(&backups[0], &to).await.map(drop).map_err(|error| said(&error))
}

async fn deletes(bed: &Bed) -> Came {
    let survey = bed.catalog().survey().await.map_err(|error| said(&error))?;
    let (now, policy) = ("2026-11-05 12:00:00Z".parse::<Timestamp>(), "1d".parse());
    let (now, policy) = (now.expect("a time"), policy.expect("a policy"));
    let plan = retention::plan(&survey.entries(), &survey.archived, policy, now, TimelineId(1));
    bed.catalog().prune(&survey, &plan).await.map(drop).map_err(|error| said(&error))
}

/// The error says what it has to, in good time, and no secret.
fn is_told(operation: &str, fault: WireFault, came: &Came, part: &str, took: Duration) {
    let told = came.as_ref().expect_err(operation);
    // A store that refuses may do so before it has read all that it is sent.
    let sends = ["archiving", "backing up"].contains(&operation).then_some("connection");
    let says = part.split('|').chain(sends).any(|part| told.to_lowercase().contains(&part.to_lowercase()));
    assert!(says, "{operation} under {fault:?}: {told}");
    assert!(took < Duration::from_secs(30), "{operation} under {fault:?} took {took:?}");
    assert!(!told.contains(pgherd_objectstore::test_server::SECRET_KEY), "{told}");
}

/// Whether a fault strikes what only sends: an answer without a body is not slow.
fn strikes_writes(fault: WireFault) -> bool {
    !matches!(fault, WireFault::Trickle(_) | WireFault::CutBody | WireFault::Endless)
}

fn half_made(volume: &Path) -> bool {
    volume.join("pgdata.restore-1/backup_label").exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_on_the_wire_loses_wal_and_every_one_is_named() {
    join_all(LASTING.into_iter().chain([SIPS]).map(async |(fault, part)| {
        let bed = Bed::start().await;
        bed.server.set(fault);
        let began = Instant::now();
        let came = archives(&bed).await;
        if strikes_writes(fault) {
            is_told("archiving", fault, &came, part, began.elapsed());
        }
        archives(&bed.healed()).await.unwrap_or_else(|why| panic!("after {fault:?}: {why}"));
        bed.server.set(fault);
        let came = fetches(&bed).await;
        if fault == SIPS.0 {
            came.unwrap_or_else(|why| panic!("under {fault:?}: {why}"));
        } else {
            is_told("fetching", fault, &came, part, began.elapsed());
        }
        fetches(&bed.healed()).await.unwrap_or_else(|why| panic!("after {fault:?}: {why}"));
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_on_the_wire_leaves_half_of_a_backup_that_passes_for_one() {
    join_all(LASTING.into_iter().chain([SIPS]).map(async |(fault, part)| {
        let bed = Bed::start().await;
        bed.server.set(fault);
        let began = Instant::now();
        let came = backs_up(&bed).await;
        let took = began.elapsed();
        let bed = bed.healed();
        // The ids of parts come in a body.
        if came.is_err() || strikes_writes(fault) {
            is_told("backing up", fault, &came, part, took);
            let keys = bed.keys().await;
            assert!(!keys.iter().any(|key| key.ends_with("backup.info")), "{fault:?}: {keys:?}");
        }
        for key in bed.keys().await {
            bed.store.delete(&key).await.expect("deleted");
        }
        backs_up(&bed).await.unwrap_or_else(|why| panic!("after {fault:?}: {why}"));
        brings_back(&bed).await.unwrap_or_else(|why| panic!("after {fault:?}: {why}"));
        let blob = std::fs::read(bed.folder.path().join("volume/pgdata.restore-1/blob")).expect("the blob");
        assert!(blob == relation(6), "after {fault:?}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_on_the_wire_leaves_half_of_a_restore_that_passes_for_a_database() {
    join_all(LASTING.map(async |(fault, part)| {
        let bed = Bed::start().await;
        store_backup(&bed.server.store("bucket")).await;
        let volume = bed.folder.path().join("volume");
        // All of it, and then only the objects: the list came, and so did what is small.
        for keys in ["", ".tar"] {
            bed.server.set_on(keys, fault);
            let began = Instant::now();
            let came = brings_back(&bed).await;
            is_told("restoring", fault, &came, part, began.elapsed());
            assert!(!half_made(&volume), "{fault:?}");
        }
        brings_back(&bed.healed()).await.unwrap_or_else(|why| panic!("after {fault:?}: {why}"));
        is_whole(&volume);
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_on_the_wire_makes_retention_leave_half_of_a_backup_that_passes_for_one() {
    let lasting = LASTING.iter().copied().chain([(WireFault::AnswerLost, "connection")]);
    join_all(lasting.map(async |(fault, part)| {
        let bed = Bed::start().await;
        four_days(&bed.server.store("bucket")).await;
        for keys in ["", "?delete", "backup.info"] {
            bed.server.set_on(keys, fault);
            let began = Instant::now();
            let came = deletes(&bed).await;
            if keys.is_empty() {
                is_told("deleting", fault, &came, part, began.elapsed());
            }
            for backup in bed.healed().catalog().backups().await.expect("the catalog") {
                assert!(backup.info.is_none() || backup.archives.len() == 1, "{fault:?}: {}", backup.entry.id);
            }
        }
        let bed = bed.healed();
        deletes(&bed).await.unwrap_or_else(|why| panic!("after {fault:?}: {why}"));
        let left = bed.catalog().survey().await.expect("a survey");
        assert_eq!((left.backups.len(), left.wal.len()), (1, 7), "{fault:?}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_500_and_503_is_sat_out_by_all_that_can_wait() {
    let bed = Bed::start().await;
    bed.server.set(WireFault::Storm(3));
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(why) = archives(&bed).await {
        assert!(Instant::now() < deadline && (why.contains("500") || why.contains("503")), "{why}");
    }
    let patient = Catalog::new(Arc::clone(&bed.store), "pre/c", Patience(Duration::from_secs(30)));
    assert_eq!(patient.survey().await.unwrap_or_else(|error| panic!("{}", said(&error))).wal.len(), 1);
    store_backup(bed.healed().store.as_ref()).await;
    bed.server.set(WireFault::Storm(3));
    let volume = bed.folder.path().join("volume");
    std::fs::create_dir(&volume).expect("a volume");
    let backups = patient.backups().await.expect("the catalog");
    patient.restore(&backups[0], &into(&volume)).await.unwrap_or_else(|why| panic!("{}", said(&why)));
    is_whole(&volume);
    fetches(&bed.healed()).await.unwrap_or_else(|why| panic!("{why}"));
}

/// Whoever does that is gone once so many of its requests have come through, as by SIGKILL; false if it ended before.
async fn killed_after(bed: &Bed, requests: usize, doing: impl Future<Output = Came>) -> bool {
    let all = bed.server.asked() + requests;
    bed.server.set_after(requests, WireFault::Silent);
    let next = async {
        while bed.server.asked() <= all {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        came = doing => came.map(|()| false).expect("nothing is wrong with what came through"),
        () = next => true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_at_any_request_of_a_backup_leaves_none_that_is_half() {
    let mut whole = Vec::new();
    for requests in 0.. {
        let bed = Bed::start().await;
        let killed = killed_after(&bed, requests, backs_up(&bed)).await;
        let bed = bed.healed();
        let complete = bed.keys().await.iter().any(|key| key.ends_with("backup.info"));
        let found = bed.catalog().backups().await.expect("the catalog");
        assert_eq!(found.iter().any(|backup| backup.entry.span().is_some()), complete, "after {requests} requests");
        if complete {
            brings_back(&bed).await.unwrap_or_else(|why| panic!("after {requests} requests: {why}"));
            let blob = std::fs::read(bed.folder.path().join("volume/pgdata.restore-1/blob")).expect("the blob");
            assert!(blob == relation(6), "after {requests} requests");
        }
        whole.push(complete);
        if !killed {
            break;
        }
    }
    println!("whole after so many requests: {whole:?}");
    assert!(whole.len() > 3 && whole.is_sorted() && whole.last() == Some(&true), "{whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_at_any_request_of_retention_leaves_only_what_can_be_restored() {
    let mut left = Vec::new();
    for requests in 0.. {
        let bed = Bed::start().await;
        four_days(&bed.server.store("bucket")).await;
        let killed = killed_after(&bed, requests, deletes(&bed)).await;
        let bed = bed.healed();
        let survey = bed.catalog().survey().await.expect("a survey");
        for backup in &survey.backups {
            let Some(span) = backup.entry.span() else { continue };
            assert_eq!(backup.archives.len(), 1, "after {requests} requests: {}", backup.entry.id);
            let missing = bed.archive().first_missing(span.begin_wal, span.end_wal, span.segment_size).await;
            assert_eq!(missing.expect("an answer"), None, "after {requests} requests: {}", backup.entry.id);
        }
        left.push((survey.backups.len(), survey.wal.len()));
        deletes(&bed).await.unwrap_or_else(|why| panic!("after {requests} requests: {why}"));
        let after = bed.catalog().survey().await.expect("a survey");
        assert_eq!((after.backups.len(), after.wal.len()), (1, 7), "the next one ends it, after {requests} requests");
        if !killed {
            break;
        }
    }
    println!("backups and WAL after so many requests: {left:?}");
    assert!(left.len() > 5 && left.first() > left.last(), "{left:?}");
}
