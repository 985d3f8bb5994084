//! Deleting: barman keeps and deletes backups of ours, and we leave alone what barman was asked to keep.

use std::path::Path;
use std::sync::Arc;

use pgherd_backup::{Backup, Catalog, Destination, Patience, Survey};
use pgherd_core::backup::{BackupInfo, Keep, RecoveryTarget, Target as Until, Timestamp, choose, retention};
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::Compression;
use pgherd_manager::backups::Target;
use pgherd_objectstore::PutOptions;
use serde_json::Value;

use crate::barman::Barman;
use crate::base::{take, target};
use crate::seaweed::Seaweed;
use crate::server::Postgres;

const CLUSTER: &str = "tidied";

async fn whole(catalog: &Catalog) -> Vec<String> {
    let complete = |backup: &Backup| backup.entry.span().is_some();
    let found = catalog.backups().await.unwrap();
    found.into_iter().filter(complete).map(|backup| backup.entry.id.to_string()).collect()
}

fn run(barman: &Barman<'_>, program: &str, options: &[&str], last: &[&str]) -> String {
    let last: Vec<&Path> = last.iter().map(Path::new).collect();
    let output = barman.run(program, options, &last);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn barman_deletes_backups_of_ours_and_we_keep_what_barman_was_asked_to_keep() {
    let server = Seaweed::shared();
    let postgres = Postgres::start();
    let (target, barman) = (target(&server, CLUSTER, Some(Compression::Gzip)), Barman::new(&server, CLUSTER));
    run(&barman, "barman-cloud-check-wal-archive", &[], &[]);
    let mut taken = Vec::new();
    for _ in 0..4 {
        let told = take(&postgres, &target).await;
        taken.push(told["backupId"].as_str().unwrap().to_owned());
        // Their names are seconds.
        postgres.execute(&["SELECT pg_sleep(1)", "CREATE TABLE IF NOT EXISTS more ()"]).await;
    }
    let used = barman.run("barman-cloud-check-wal-archive", &[], &[]);
    let said = String::from_utf8_lossy(&used.stderr).into_owned();
    assert!(!used.status.success() && said.contains("Expected empty archive"), "{said}");

    // What barman was asked to keep is none of our retention's; the second goes, since the third ended before the window.
    run(&barman, "barman-cloud-backup-keep", &["--target", "standalone"], &[&taken[0]]);
    let catalog = target.archive.catalog(Patience::default());
    let survey = catalog.survey().await.unwrap();
    assert_eq!(survey.backups[0].entry.keep, Some(Keep::Standalone));
    let span = |number: usize| survey.backups[number].entry.span().unwrap().clone();
    let now = Timestamp::from_seconds(span(2).end_time.seconds() + 1 + 86_400);
    let plan = retention::plan(&survey.entries(), &survey.archived, "1d".parse().unwrap(), now, TimelineId(1));
    let pruned = catalog.prune(&survey, &plan).await.unwrap();
    let names = |ids: &[pgherd_core::backup::BackupId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&pruned.backups), [taken[1].clone()]);
    assert!(pruned.wal_objects > 0, "{pruned:?}");
    assert_eq!(whole(&catalog).await, [0, 2, 3].map(|number| taken[number].clone()));
    let size = span(0).segment_size;
    assert_eq!(target.archive.first_missing(span(0).begin_wal, span(0).end_wal, size).await.unwrap(), None);
    let listed = run(&barman, "barman-cloud-backup-list", &["--format", "json"], &[]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["backups_list"].as_array().unwrap().len(), 3, "{listed}");

    // And the other way round: barman's own retention on ours.
    run(&barman, "barman-cloud-backup-keep", &["--release"], &[&taken[0]]);
    run(&barman, "barman-cloud-backup-delete", &["--retention-policy", "REDUNDANCY 1"], &[]);
    assert_eq!(whole(&catalog).await, [taken[3].clone()]);
    let survey = catalog.survey().await.unwrap();
    let left = survey.backups[0].entry.span().unwrap();
    let (first, last) = (left.begin_wal, left.end_wal);
    assert_eq!(target.archive.first_missing(first, last, size).await.unwrap(), None, "what is left can be restored");
    assert!(survey.wal.iter().all(|object| object.name.segment_name().is_none_or(|name| name >= first)), "{survey:?}");
}

/// So many days ago it ended, as far as `backup.info` tells; the folder has the same name as before.
async fn aged(target: &Target, id: &str, days: i64) {
    let key = format!("{}/base/{id}/backup.info", target.root);
    let text = target.store.get(&key, 1 << 20).await.unwrap();
    let mut info = BackupInfo::parse(std::str::from_utf8(&text).unwrap()).unwrap();
    for time in [&mut info.begin.time, &mut info.end.time] {
        *time = time.map(|time| Timestamp::from_seconds(time.seconds() - days * 86_400));
    }
    target.store.delete(&key).await.unwrap();
    target.store.put_new(&key, info.render().into(), &PutOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn barmans_recovery_window_and_ours_delete_the_same() {
    let server = Seaweed::shared();
    let postgres = Postgres::start();
    let (target, barman) = (target(&server, "windowed", Some(Compression::Gzip)), Barman::new(&server, "windowed"));
    let mut taken = Vec::new();
    for days in [20, 9, 4, 0] {
        let told = take(&postgres, &target).await;
        let id = told["backupId"].as_str().unwrap().to_owned();
        aged(&target, &id, days).await;
        taken.push(id);
        let grows = "CREATE TABLE IF NOT EXISTS more (n int); INSERT INTO more VALUES (1)";
        postgres.execute(&["SELECT pg_sleep(1)", grows]).await;
    }
    let catalog = target.archive.catalog(Patience::default());
    let survey = catalog.survey().await.unwrap();
    let plan = |days: u32| {
        let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
        let policy = format!("{days}d").parse().unwrap();
        retention::plan(&survey.entries(), &survey.archived, policy, now, TimelineId(1))
    };
    for (days, goes) in [(30, 0), (19, 0), (10, 0), (8, 1), (5, 1), (3, 2), (1, 2)] {
        let ours: Vec<String> = plan(days).remove.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(ours, taken[..goes], "{days} days");
        let window = format!("RECOVERY WINDOW OF {days} DAYS");
        let said = run(&barman, "barman-cloud-backup-delete", &["--dry-run", "--retention-policy", &window], &[]);
        let theirs: Vec<String> = taken.iter().filter(|id| said.contains(*id)).cloned().collect();
        assert_eq!(theirs, ours, "{days} days: {said}");
    }
    let plan = plan(3);
    let stays: Vec<_> = survey.wal.iter().map(|object| object.name).filter(|name| !plan.removes(*name)).collect();
    assert!(stays.len() < survey.wal.len(), "some WAL goes with them");
    run(&barman, "barman-cloud-backup-delete", &["--retention-policy", "RECOVERY WINDOW OF 3 DAYS"], &[]);
    assert_eq!(whole(&catalog).await, taken[2..]);
    let left = catalog.survey().await.unwrap();
    assert_eq!(left.wal.iter().map(|object| object.name).collect::<Vec<_>>(), stays, "the same WAL");
    half_is_none(&target, &barman, &taken[2..]).await;
    postgres.down("pgdata");
    for (id, rows) in taken[2..].iter().zip([2, 3]) {
        assert_eq!(recovered(&postgres, &target, &left, id).await, rows, "from {id}");
    }
}

/// What a manager that was killed leaves, all of a backup without its information, is none to barman either.
async fn half_is_none(target: &Target, barman: &Barman<'_>, taken: &[String]) {
    let key = |id: &str| format!("{}/base/{id}/data.tar.gz", target.root);
    let body = target.store.get(&key(&taken[1]), 1 << 30).await.unwrap();
    target.store.put_new(&key("20261101T000000"), body, &PutOptions::default()).await.unwrap();
    run(barman, "barman-cloud-backup-delete", &["--retention-policy", "RECOVERY WINDOW OF 3 DAYS"], &[]);
    let listed = run(barman, "barman-cloud-backup-list", &["--format", "json"], &[]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let ids = listed["backups_list"].as_array().unwrap().iter().map(|one| one["backup_id"].as_str().unwrap());
    assert_eq!(ids.collect::<Vec<_>>(), taken, "{listed}");
    assert_eq!(whole(&target.archive.catalog(Patience::default())).await, taken);
}

/// How many rows there are after we have recovered from that backup to where it ended, with what the archive has.
async fn recovered(postgres: &Postgres, target: &Target, left: &Survey, id: &str) -> i64 {
    let (pgdata, wal) = (postgres.folder("restored"), postgres.folder("left"));
    let wanted =
        RecoveryTarget { target: Until::Immediate, backup: Some(id.parse().unwrap()), ..RecoveryTarget::default() };
    let choice = choose(&left.entries(), &left.archived, &wanted).unwrap();
    assert_eq!(choice.backup.to_string(), id);
    std::fs::remove_dir(&pgdata).unwrap();
    let to = Destination { pgdata: pgdata.clone(), tablespaces: Vec::new(), wide: 2, progress: Arc::default() };
    let catalog = target.archive.catalog(Patience::default());
    catalog.restore(left.backup(&choice.backup).unwrap(), &to).await.unwrap();
    std::fs::create_dir(&wal).unwrap();
    for object in &left.wal {
        let content = target.archive.get(object.name).await.unwrap().unwrap();
        std::fs::write(wal.join(object.name.to_string()), content).unwrap();
    }
    std::fs::write(pgdata.join("recovery.signal"), "").unwrap();
    let copies = format!("restore_command = 'cp {}/%f %p'\n", wal.display());
    let until = "recovery_target = 'immediate'\nrecovery_target_action = 'promote'\n";
    postgres.configure("restored", &format!("{copies}{until}"));
    for folder in [&pgdata, &wal] {
        postgres.own_all(folder);
    }
    postgres.up("restored");
    let rows = postgres.number("SELECT count(*) FROM more").await;
    postgres.down("restored");
    std::fs::remove_dir_all(&wal).unwrap();
    std::fs::remove_dir_all(&pgdata).unwrap();
    postgres.own(&pgdata);
    rows
}
