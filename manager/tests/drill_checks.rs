//! What a restored directory is asked, on a real one: checksums and amcheck find damage and name it, a query's answer has
//! to be true, and what it stumbles over is not told.

// Test code: the lints excuse test functions, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod user;

use pgherd_core::backup::Checked;
use pgherd_core::wal::SegmentSize;
use pgherd_manager::drill::{Copy, answers, page_checksums, relations};
use pgherd_manager::recovery::make_ready;
use pgherd_postgres::initdb::{InitDb, initdb};
use pgherd_postgres::lines::LineSink;
use pgherd_postgres::process::{Postgres, StopMode};
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::version::Major;
use pgherd_postgres::volume_lock::VolumeLock;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_and_named_and_a_query_has_to_be_true() {
    user::become_postgres();
    let root = tempfile::tempdir().unwrap();
    let run = root.path().join("run");
    fs::create_dir(&run).unwrap();
    let reaper = Reaper::start().unwrap();
    let lock = VolumeLock::acquire(root.path()).unwrap();
    let postgres = Postgres::locate(Major::installed()[0], &root.path().join("data"), &run, 5432).unwrap();
    let how = InitDb { data_checksums: true, ..InitDb::default() };
    initdb(&reaper, &postgres, &postgres.pgdata, &how, WITHIN).await.unwrap();
    make_ready(&postgres.pgdata, SegmentSize::DEFAULT).unwrap();
    fs::remove_file(postgres.pgdata.join("recovery.signal")).unwrap();
    let silent: LineSink = Arc::new(|_, _| {});
    let mut copy = Copy::new(&reaper, &lock, postgres.clone(), silent);

    assert_eq!(page_checksums(&copy, WITHIN).await, Ok(Checked::Clean(String::new())));
    copy.start(WITHIN).await.unwrap();
    let session = copy.session("postgres").await.unwrap();
    let sql = "CREATE TABLE t AS SELECT i AS id, 'name ' || i AS name FROM generate_series(1, 2000) i; \
               CREATE INDEX by_id ON t (id); CHECKPOINT";
    session.batch("fill", sql, WITHIN).await.unwrap();
    let table: String = session.scalar("find", "SELECT pg_relation_filepath('t')", WITHIN).await.unwrap();
    drop(session);
    let Ok(Checked::Clean(more)) = relations(&copy, WITHIN).await else { panic!("it is sound") };
    assert_eq!(more, "the extension was made in the copy of postgres, template1");
    assert_eq!(relations(&copy, WITHIN).await, Ok(Checked::Clean(String::new())), "they have it now");

    let ask = async |sql: &str| answers(&copy, "postgres", sql, WITHIN).await;
    let wrong = |text: &str| Checked::Wrong(text.to_owned());
    assert_eq!(ask("SELECT count(*) = 2000 FROM t").await, Checked::Clean(String::new()));
    assert_eq!(ask("SELECT count(*) = 1 FROM t").await, wrong("it answered false"));
    assert_eq!(ask("SELECT NULL::boolean").await, wrong("it answered NULL"));
    assert_eq!(ask("SELECT true FROM t").await, wrong("it answered 2000 rows instead of one"));
    assert_eq!(ask("SELECT 'yes'").await, wrong("the first column of its answer is no boolean"));
    assert_eq!(ask("SELECT name::int = 1 FROM t").await, wrong("SQLSTATE 22P02"), "no name is told");
    assert_eq!(ask("SELECT true FROM u").await, wrong("SQLSTATE 42P01: relation \"u\" does not exist"));
    assert_eq!(ask("DELETE FROM t RETURNING true").await, wrong("SQLSTATE 25006"), "it cannot write");
    let elsewhere = answers(&copy, "app", "SELECT true", WITHIN).await;
    assert_eq!(elsewhere, wrong("SQLSTATE 3D000: database \"app\" does not exist"));
    copy.stop(StopMode::Fast).await.unwrap();

    damage(&postgres.pgdata.join(&table), 8192 + 4000);
    let Ok(Checked::Wrong(told)) = page_checksums(&copy, WITHIN).await else { panic!("it is damaged") };
    assert!(told.contains(&table) && told.contains("block 1"), "{told}");
    copy.start(WITHIN).await.unwrap();
    let Ok(Checked::Wrong(told)) = relations(&copy, WITHIN).await else { panic!("it is damaged") };
    assert!(told.contains("public.t"), "{told}");
    copy.stop(StopMode::Immediate).await.unwrap();
}

fn damage(path: &Path, at: u64) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[0xff; 64]).unwrap();
}
