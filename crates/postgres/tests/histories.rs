//! Timeline ids that were reserved and given up, on real PostgreSQL: what standbys and restores make of the gap, and of
//! what stands in for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

mod bed;

use bed::{Bed, PATIENCE, execute, until};
use pgherd_core::timeline::{BLANK, TimelineId};
use pgherd_postgres::histories::{drop_blanks, fill_gaps, mend};
use pgherd_postgres::process::StopMode;
use pgherd_postgres::promote::promote;
use pgherd_postgres::sql::Session;
use std::path::Path;

/// As the manager's restore_command answers during a promotion (hole 30): timelines 2 and 3 exist, and no more is said.
fn answer_with_blanks(bed: &Bed, name: &str) -> std::path::PathBuf {
    let pgdata = bed.pgdata_of(name);
    let (script, promoting) = (pgdata.join("restore.sh"), pgdata.join("promoting"));
    let text = format!(
        "#!/bin/sh\ncase $1 in 00000002.history|00000003.history) [ -e {} ] || exit 1; printf '{BLANK}' > \"$2\" ;; \
         *) exit 1 ;; esac\n",
        promoting.display()
    );
    std::fs::write(&script, text).unwrap();
    bed.configure(name, &format!("restore_command = 'sh {} %f %p'", script.display()));
    bed.handle_of(name).reload().unwrap();
    promoting
}

async fn promoted(bed: &Bed, name: &str) -> Session {
    let promoting = answer_with_blanks(bed, name);
    let session = bed.standby(name).await;
    let reloaded = "SELECT current_setting('restore_command') <> ''";
    until(async || session.scalar::<bool>("look", reloaded, PATIENCE).await.unwrap()).await;
    std::fs::write(&promoting, "").unwrap();
    assert_eq!(promote(&bed.handle_of(name), &session, PATIENCE).await.unwrap(), TimelineId(4));
    std::fs::remove_file(&promoting).unwrap();
    session
}

async fn sees(session: &Session, table: &str) -> bool {
    let there = format!("SELECT to_regclass('{table}') IS NOT NULL");
    session.scalar::<bool>("look for a table", &there, PATIENCE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_follows_past_timelines_that_were_given_up_only_where_histories_stand_in_for_theirs() {
    let mut bed = Bed::with_standbys(5711, &["c-2", "c-3"]).await;
    bed.stop_primary(StopMode::Fast).await;
    let leader = promoted(&bed, "c-2").await;
    execute(&leader, "CREATE TABLE after_it AS SELECT 1 AS a").await;

    let conninfo = bed.conninfo_of("c-2");
    bed.configure("c-3", &format!("primary_conninfo = '{conninfo} application_name=c-3'"));
    bed.handle_of("c-3").reload().unwrap();
    // Every try of its receiver ends here, and the standby stays where it is.
    let dies = "could not open file \"pg_wal/00000002.history\"";
    until(async || bed.log_of("c-3").matches(dies).count() >= 3).await;
    let follower = bed.standby("c-3").await;
    assert!(!sees(&follower, "after_it").await);

    let pg_wal = bed.pgdata_of("c-2").join("pg_wal");
    let filled = fill_gaps(&pg_wal, TimelineId(4)).unwrap();
    assert!(filled.contains(&TimelineId(2)), "{filled:?}");
    until(async || sees(&follower, "after_it").await).await;
    for id in [2, 3] {
        let name = format!("{id:08X}.history");
        let [theirs, ours] =
            ["c-2", "c-3"].map(|at| std::fs::read(bed.pgdata_of(at).join("pg_wal").join(&name)).unwrap());
        assert!(theirs == ours && String::from_utf8(ours).unwrap().lines().nth(1).unwrap().starts_with("1\t"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_has_a_stand_in_and_not_yet_what_follows_it_starts_and_one_with_a_blank_does_not() {
    let mut bed = Bed::with_standbys(5721, &["c-2", "c-3"]).await;
    bed.stop_primary(StopMode::Fast).await;
    let leader = promoted(&bed, "c-2").await;
    execute(&leader, "CREATE TABLE after_it AS SELECT 1 AS a").await;
    fill_gaps(&bed.pgdata_of("c-2").join("pg_wal"), TimelineId(4)).unwrap();
    bed.stop("c-3").await;
    let history = |at: &str| bed.pgdata_of(at).join("pg_wal/00000002.history");
    let (blank, whole) = (history("c-3"), std::fs::read(history("c-2")).unwrap());

    // What a promotion that was broken off may leave: its own WAL is none that leads there.
    std::fs::write(&blank, BLANK).unwrap();
    let waits = |bed: &Bed| bed.log_of("c-3").matches("waiting for WAL to become available").count();
    let before = waits(&bed);
    bed.begin("c-3").await;
    until(async || waits(&bed) >= before + 3).await;
    assert!(!bed.takes_sessions("c-3").await, "{}", bed.log_of("c-3"));
    bed.stop("c-3").await;
    assert_eq!(drop_blanks(&bed.pgdata_of("c-3").join("pg_wal")).unwrap(), [TimelineId(2)]);
    bed.resume("c-3").await;
    bed.stop("c-3").await;

    // What a receiver leaves that was killed after the first of the files that it fetches: it starts, and the next
    // receiver fetches the others. The next start is on the way to the newest of them.
    std::fs::write(&blank, whole).unwrap();
    let conninfo = bed.conninfo_of("c-2");
    bed.configure("c-3", &format!("primary_conninfo = '{conninfo} application_name=c-3'"));
    bed.resume("c-3").await;
    let newest = blank.with_file_name("00000004.history");
    until(async || newest.exists()).await;
    bed.stop("c-3").await;
    bed.resume("c-3").await;
    let follower = bed.standby("c-3").await;
    until(async || sees(&follower, "after_it").await).await;
}

/// Copies what an archive would have of a `pg_wal`.
fn archived(pg_wal: &Path, into: &Path) {
    std::fs::create_dir(into).unwrap();
    for entry in std::fs::read_dir(pg_wal).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), into.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_to_the_latest_timeline_goes_past_an_id_that_was_given_up_only_where_the_archive_has_a_stand_in() {
    // c-3 is the backup: it is stopped while c-1 is the primary, and knows of nothing that comes after.
    let mut bed = Bed::with_standbys(5731, &["c-2", "c-3"]).await;
    bed.stop("c-3").await;
    bed.stop_primary(StopMode::Fast).await;
    let leader = promoted(&bed, "c-2").await;
    execute(&leader, "CREATE TABLE after_it AS SELECT 1 AS a; CHECKPOINT; SELECT pg_switch_wal()").await;
    let pg_wal = bed.pgdata_of("c-2").join("pg_wal");
    // Postgres may have kept what it was told while it was promoted; the archive was never given that.
    for id in [2, 3] {
        drop(std::fs::remove_file(pg_wal.join(format!("{id:08X}.history"))));
    }
    let backup = bed.pgdata_of("c-3");
    let archive = backup.join("archive");
    archived(&pg_wal, &archive);
    bed.configure("c-3", &format!("primary_conninfo = ''\nrestore_command = 'cp {}/%f %p'", archive.display()));

    bed.resume("c-3").await;
    let restored = bed.standby("c-3").await;
    let looked = "cp: cannot stat";
    until(async || bed.log_of("c-3").matches(looked).count() >= 6).await;
    assert!(!sees(&restored, "after_it").await, "all that is on timeline 4 is passed over in silence");
    bed.stop("c-3").await;

    assert_eq!(fill_gaps(&pg_wal, TimelineId(4)).unwrap(), [TimelineId(2), TimelineId(3)]);
    for id in [2, 3] {
        let name = format!("{id:08X}.history");
        std::fs::copy(pg_wal.join(&name), archive.join(&name)).unwrap();
    }
    bed.resume("c-3").await;
    let restored = bed.standby("c-3").await;
    until(async || sees(&restored, "after_it").await).await;
}

/// Cuts a standby off from its primary, and gives it an archive that has the history of timeline 2 and nothing else.
async fn aims_at_two(bed: &mut Bed, name: &str, history: &Path) {
    bed.configure(
        name,
        &format!(
            "primary_conninfo = ''\nrestore_command = 'n=%f; [ $n = 00000002.history ] && cp {} %p'",
            history.display()
        ),
    );
    bed.handle_of(name).reload().unwrap();
    let aims = "new target timeline is 2";
    until(async || bed.log_of(name).contains(aims)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_promoted_short_of_its_target_is_followed_once_its_history_is_mended() {
    let mut bed = Bed::with_standbys(5741, &["c-2", "c-3", "c-4"]).await;
    for name in ["c-3", "c-4"] {
        bed.configure(name, "primary_conninfo = ''");
        bed.handle_of(name).reload().unwrap();
        let gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)";
        let session = bed.standby(name).await;
        until(async || session.scalar::<bool>("look for the receiver", gone, PATIENCE).await.unwrap()).await;
    }
    execute(&bed.session().await, "CREATE TABLE before_it AS SELECT 1 AS a").await;
    let lost = bed.standby("c-2").await;
    until(async || sees(&lost, "before_it").await).await;
    bed.stop_primary(StopMode::Fast).await;
    assert_eq!(promote(&bed.handle_of("c-2"), &lost, PATIENCE).await.unwrap(), TimelineId(2));
    let history = bed.pgdata_of("c-2").join("pg_wal/00000002.history");
    for name in ["c-3", "c-4"] {
        aims_at_two(&mut bed, name, &history).await;
    }

    let leader = bed.standby("c-3").await;
    assert_eq!(promote(&bed.handle_of("c-3"), &leader, PATIENCE).await.unwrap(), TimelineId(3));
    let own = bed.pgdata_of("c-3").join("pg_wal/00000003.history");
    let parents = || {
        let text = std::fs::read_to_string(&own).unwrap();
        text.lines().filter_map(|line| line.chars().next()).filter(char::is_ascii_digit).collect::<String>()
    };
    assert_eq!(parents(), "12", "postgres takes its target for its parent");
    assert_eq!(mend(own.parent().unwrap()).unwrap(), [TimelineId(3)]);
    assert_eq!(parents(), "1");
    execute(&leader, "CREATE TABLE after_it AS SELECT 1 AS a").await;

    // The target of this one is no ancestor of the new timeline: it finds the way when it starts again.
    let conninfo = bed.conninfo_of("c-3");
    bed.configure("c-4", &format!("primary_conninfo = '{conninfo} application_name=c-4'"));
    bed.handle_of("c-4").reload().unwrap();
    let astray = "new timeline 3 is not a child of database system timeline";
    until(async || bed.log_of("c-4").contains(astray)).await;
    bed.stop("c-4").await;
    bed.resume("c-4").await;
    let follower = bed.standby("c-4").await;
    until(async || sees(&follower, "after_it").await).await;
    assert!(!sees(&follower, "before_it").await);
}
