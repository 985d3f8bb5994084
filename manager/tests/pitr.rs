//! Recovery to a point in time, exactly: for random positions, transactions, restore points and times the recovered
//! database has the rows that PostgreSQL's rule gives it, no more and no less, over switches of timelines: one in good order,
//! and two to another instance, which has less than the one that was killed, and less than the archive.
//!
//! `make pitr` goes to a hundred of them; `PITR_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

mod pitr_bed;
mod user;

use bytes::Bytes;
use pgherd_backup::gzip;
use pgherd_core::backup::{RecoveryTarget, Target, TargetTimeline, Timestamp};
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::{Compression, WalName, object_key};
use pgherd_objectstore::Fault;
use pitr_bed::failover::Failover;
use pitr_bed::oracle::{Kind, Oracle, Record};
use pitr_bed::{Bed, PATIENCE, TABLE};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::time::Duration;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Commits, aborts, transactions that overlap, restore points and switches of segments.
async fn write(bed: &Bed, dice: &mut StdRng, rounds: usize, points: &mut Vec<String>) {
    let (one, other) = (bed.session().await, bed.session().await);
    let insert = format!("INSERT INTO {TABLE} DEFAULT VALUES");
    let run = async |on: &pgherd_postgres::sql::Session, sql: &str| on.batch("write", sql, PATIENCE).await.unwrap();
    for _ in 0..rounds {
        match dice.random_range(0..10) {
            0 => run(&one, &format!("BEGIN; {insert}; {insert}; ROLLBACK")).await,
            1 => {
                // Begun in one order, committed in the other.
                run(&one, &format!("BEGIN; {insert}")).await;
                run(&other, &format!("BEGIN; {insert}; COMMIT")).await;
                run(&one, &format!("{insert}; COMMIT")).await;
            }
            2 => run(&one, &format!("BEGIN; {insert}; SAVEPOINT s; {insert}; ROLLBACK TO s; COMMIT")).await,
            3 => {
                points.push(format!("point {}", points.len()));
                run(&one, &format!("SELECT pg_create_restore_point('{}')", points.last().unwrap())).await;
            }
            4 => run(&one, "SELECT pg_switch_wal()").await,
            _ => run(&one, &insert).await,
        }
        tokio::time::sleep(Duration::from_micros(dice.random_range(0..3000))).await;
    }
}

/// A target on that timeline, or a little beside it.
fn choose_target(dice: &mut StdRng, oracle: &Oracle, timeline: TimelineId, from: Lsn) -> RecoveryTarget {
    let there = || oracle.records.iter().filter(|record| record.timeline == timeline && record.lsn > from);
    let commit = |record: &Record| match record.kind {
        Kind::Commit(xid, time) if xid > 0 => Some((xid, time)),
        _ => None,
    };
    let commits: Vec<(u64, Timestamp)> = there().filter_map(commit).collect();
    let point = |record: &Record| match &record.kind {
        Kind::Point(name) => Some(name.clone()),
        _ => None,
    };
    let points: Vec<String> = there().filter_map(point).collect();
    let (xid, time) = commits[dice.random_range(0..commits.len())];
    let target = match dice.random_range(0..4) {
        0 => Target::Lsn(Lsn(dice.random_range(there().next().unwrap().lsn.0..there().next_back().unwrap().lsn.0))),
        1 if !points.is_empty() => Target::Name(points[dice.random_range(0..points.len())].clone()),
        2 => Target::Time(Timestamp::from_micros(time.micros() + [0, 0, -1, 1, 500][dice.random_range(0..5)])),
        _ => Target::Xid(xid),
    };
    let exclusive = !matches!(target, Target::Name(_)) && dice.random_bool(0.3);
    RecoveryTarget { target, exclusive, ..RecoveryTarget::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovered_database_has_exactly_the_rows_of_its_target() {
    let seed = number("PITR_SEED").unwrap_or_else(rand::random);
    println!("PITR_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let mut bed = Bed::start().await;
    let make = format!("CREATE TABLE {TABLE} (id bigserial, xid bigint DEFAULT txid_current())");
    bed.session().await.batch("make the table", &make, PATIENCE).await.unwrap();
    let filled = format!("INSERT INTO {TABLE} DEFAULT VALUES; SELECT pg_switch_wal()");
    let mut points = Vec::new();
    bed.backup("20261101T000000").await;
    write(&bed, &mut dice, 60, &mut points).await;
    bed.backup("20261101T000001").await;
    write(&bed, &mut dice, 40, &mut points).await;
    assert_eq!(bed.promote().await, TimelineId(2));
    write(&bed, &mut dice, 40, &mut points).await;
    bed.backup("20261101T000002").await;
    let mut failovers = Vec::new();
    for left in [2, 3].map(TimelineId) {
        write(&bed, &mut dice, 30, &mut points).await;
        let failover = bed.fail_over(left).await;
        println!("failed over to timeline {}, and {} rows are gone", failover.timeline, failover.gone);
        assert!(failover.timeline.0 == left.0 + 1 && failover.gone > 20, "{}: {}", failover.timeline, failover.gone);
        failovers.push(failover);
    }
    write(&bed, &mut dice, 30, &mut points).await;
    // Whatever the dice said, there is WAL behind a segment that follows the last backup: that one is damaged below.
    for _ in 0..2 {
        bed.session().await.batch("fill a segment", &filled, PATIENCE).await.unwrap();
    }
    bed.archive_all().await;

    let survey = bed.catalog().survey().await.unwrap();
    let history = survey.archived.history(TimelineId(4)).unwrap();
    let first = survey.backups[0].entry.span().unwrap().clone();
    let wal = bed.all_wal().await;
    let oracle = Oracle::read(&bed, &history, first.begin.lsn, &wal).await;
    bed.end().await;
    // A point of time within the first backup cannot be recovered; after it, anything.
    let from = oracle.records.iter().find(|record| record.lsn >= first.end.lsn).unwrap().lsn;
    let from = oracle
        .records
        .iter()
        .find(|record| record.lsn > from && matches!(record.kind, Kind::Commit(_, time) if time > first.end_time))
        .map_or(from, |record| record.lsn);
    let everything = oracle.expected(&Target::Latest, false).unwrap();
    let (_, rows) = bed.recover(&RecoveryTarget::default()).await.unwrap();
    assert_eq!(rows, everything, "to the end of the archive");

    let timelines: Vec<TimelineId> = (1..=4).map(TimelineId).collect();
    let (mut done, mut ends) = ([0; 4], BTreeSet::new());
    for number in 0..number("PITR_TARGETS").unwrap_or(14) {
        let aimed = timelines[usize::try_from(number).unwrap() % timelines.len()];
        let wanted = choose_target(&mut dice, &oracle, aimed, from);
        let kind = match wanted.target {
            Target::Lsn(_) => 0,
            Target::Xid(_) => 1,
            Target::Name(_) => 2,
            _ => 3,
        };
        let said = format!("{number}: {} {}", wanted.target, if wanted.exclusive { "exclusive" } else { "" });
        match (oracle.expected(&wanted.target, wanted.exclusive), bed.recover(&wanted).await) {
            (Some(expected), Ok((choice, rows))) => {
                assert_eq!(rows, expected, "{said}, from {}: {}", choice.backup, bed.last_lines());
                println!("{said}: {} rows, from {} along {}", rows.len(), choice.backup, choice.along.timeline());
                done[kind] += 1;
                ends.extend(oracle.ends_on(&wanted.target, wanted.exclusive));
            }
            (None, Err(why)) => println!("{said}: refused, {why}"),
            (expected, got) => panic!("{said}: expected {expected:?}, got {got:?}: {}", bed.last_lines()),
        }
    }
    println!("exact: {} positions, {} transactions, {} restore points, {} times", done[0], done[1], done[2], done[3]);
    assert!(ends.iter().eq(&timelines), "recovered to {ends:?} only");
    for failover in &failovers {
        gone(&mut bed, failover).await;
    }
    faults(&mut bed, &oracle).await;
    damage(&mut bed, &oracle).await;
}

/// What went with a killed instance is in no history but its own, where whoever asks for that timeline has it.
async fn gone(bed: &mut Bed, failover: &Failover) {
    let point = RecoveryTarget { target: Target::Name(failover.point.clone()), ..RecoveryTarget::default() };
    let why = bed.recover(&point).await.unwrap_err();
    assert!(why.contains("recovery ended before configured recovery target was reached"), "{why}");
    let there = RecoveryTarget { timeline: TargetTimeline::Id(failover.left), ..point };
    let (_, rows) = bed.recover(&there).await.unwrap_or_else(|why| panic!("{why}: {}", bed.last_lines()));
    assert_eq!(rows, failover.rows, "{}", failover.point);
}

/// What is beyond the archive is refused, in our words or in postgres'; and an outage is never its end.
async fn faults(bed: &mut Bed, oracle: &Oracle) {
    let ask = |target: Target| RecoveryTarget { target, ..RecoveryTarget::default() };
    let never = bed.recover(&ask(Target::Name("never".to_owned()))).await.unwrap_err();
    assert!(never.contains("recovery ended before configured recovery target was reached"), "{never}");
    let early = bed.recover(&ask(Target::Lsn(Lsn(0x10)))).await.unwrap_err();
    assert!(early.contains("before what can be recovered: first recoverable"), "{early}");
    let late =
        bed.recover(&ask(Target::Lsn(Lsn(oracle.records.last().unwrap().lsn.0 + (64 << 20))))).await.unwrap_err();
    assert!(late.contains("last recoverable"), "{late}");
    let unknown = RecoveryTarget { timeline: TargetTimeline::Id(TimelineId(9)), ..ask(Target::Latest) };
    assert!(bed.recover(&unknown).await.unwrap_err().contains("no history of timeline 9"));

    // The store goes away in the middle of the replay, and comes back.
    let fault = bed.fault.clone();
    let before = fault.calls();
    let latest = RecoveryTarget::default();
    let (recovered, ()) = tokio::join!(bed.recover(&latest), async {
        // The survey, the backup, and the first segments.
        while fault.calls() < before + 12 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        fault.set(Fault::Off);
        let asked = fault.calls();
        while fault.calls() < asked + 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        fault.set(Fault::None);
    });
    assert_eq!(recovered.unwrap().1, oracle.expected(&Target::Latest, false).unwrap(), "an outage is waited for");
}

/// WAL in the middle that cannot be replayed is never taken for the end of the archive, and it is named.
async fn damage(bed: &mut Bed, oracle: &Oracle) {
    let latest = RecoveryTarget::default();
    let (choice, rows) = bed.recover(&latest).await.unwrap();
    let record = oracle.records.iter().find(|record| record.lsn > choice.span.end.lsn).unwrap();
    let segment = choice.covers().segment_at(&choice.along, record.lsn);
    assert!(record.lsn.0 + (32 << 20) <= choice.covered.0, "there is a segment after {segment}");
    let key = format!("c/{}", object_key(WalName::Segment(segment), Some(Compression::Gzip)));
    let whole = bed.store.archive.get(WalName::Segment(segment)).await.unwrap().unwrap();
    let packed = Bytes::from(gzip(&whole).unwrap());

    // A record's checksum, before the segment was compressed: nothing but postgres sees that.
    let mut other = whole.to_vec();
    let checksum = usize::try_from(record.lsn.0 % (16 << 20)).unwrap() + 20;
    other[checksum] ^= 1;
    bed.spoil = Some((key.clone(), Some(Bytes::from(gzip(&other).unwrap()))));
    let why = bed.recover(&latest).await.unwrap_err();
    println!("a wrong record: {why}");
    assert!(why.contains(&segment.to_string()) && why.contains("is damaged there"), "{why}");
    bed.mend(&key, packed.clone());

    bed.spoil = Some((key.clone(), None));
    let why = bed.recover(&latest).await.unwrap_err();
    println!("a segment that goes: {why}");
    assert!(why.contains(&segment.to_string()) && why.contains("and is not now"), "{why}");
    bed.mend(&key, packed.clone());

    bed.spoil = Some((key.clone(), Some(packed.slice(..packed.len() / 2))));
    let why = bed.recover(&latest).await.unwrap_err();
    println!("half a segment: {why}");
    assert!(why.contains(&key), "{why}");
    bed.mend(&key, packed);
    assert_eq!(bed.recover(&latest).await.unwrap().1, rows, "mended, all of it is there again");
}
