//! Deleting: barman keeps and deletes backups of ours, and we leave alone what barman was asked to keep.

use std::path::Path;

use pgherd_backup::{Backup, Catalog, Patience};
use pgherd_core::backup::{Keep, Timestamp, retention};
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::Compression;
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
    let now = Timestamp::from_seconds(span(2).end_time.seconds() + 86_400);
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
