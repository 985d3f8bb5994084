//! Doctored histories: a good one that holds, and one for each rule that must not.

use super::*;
use crate::history::{Change, Did, Event, Outcome, Where};
use pgherd_core::lsn::Lsn;

const SEGMENT: u64 = 16 << 20;

fn row(client: i32, n: i64, (began, ended): (u64, u64), instance: &str, timeline: u32) -> Event {
    let lsn = Lsn(SEGMENT + began * 1_000_000);
    let at = Where { instance: instance.to_owned(), timeline, term: u64::from(timeline), lsn };
    Event { client, began, ended, did: Did::Append { n }, outcome: Outcome::Acknowledged, at: Some(at) }
}

fn version(term: u64, holder: &str) -> Change {
    let timeline = u32::try_from(term).unwrap();
    let (holder, nonce) = (holder.to_owned(), format!("of {holder}"));
    Change { seen: term, holder, nonce, state: "open".to_owned(), term, timeline }
}

/// One writes, dies, another goes on.
fn good() -> Evidence {
    let events = vec![
        row(1, 1, (1, 2), "c-1", 1),
        row(1, 2, (3, 4), "c-1", 1),
        row(1, 3, (10, 11), "c-2", 2),
        row(2, 1, (12, 13), "c-2", 2),
    ];
    let mut database = Database::default();
    for event in &events {
        if let (Did::Append { n }, Some(at)) = (event.did, &event.at) {
            database.rows.insert((event.client, n), Held { times: 1, timeline: at.timeline });
        }
    }
    database.accounts = (1..=ACCOUNTS).map(|id| (id, ENDOWMENT)).collect();
    let databases = ["c-1", "c-2"].map(|name| (name.to_owned(), database.clone())).into();
    let files = ["000000010000000000000001.gz", "000000020000000000000001.gz", "00000002.history.gz"];
    let archive = Archive {
        files: files.map(str::to_owned).to_vec(),
        timeline: 2,
        history: "1\t0/1700000\tno recovery target specified\n".to_owned(),
    };
    let lease = vec![version(1, "c-1"), version(2, "c-2")];
    Evidence { case: Case::default(), events, lease, databases, archive: Some(archive), restored: Some(database) }
}

fn each(evidence: &mut Evidence, change: impl Fn(&mut Database)) {
    evidence.databases.values_mut().chain(&mut evidence.restored).for_each(change);
}

#[track_caller]
fn broken(change: impl FnOnce(&mut Evidence), says: &str) -> Verdict {
    let mut evidence = good();
    change(&mut evidence);
    let verdict = judge(&evidence);
    assert!(verdict.breaches.iter().any(|breach| breach.contains(says)), "{says}: {:?}", verdict.breaches);
    verdict
}

#[test]
fn a_failover_that_kept_everything_holds() {
    let verdict = judge(&good());
    assert!(verdict.holds(), "{:?}", verdict.breaches);
    assert_eq!((verdict.acknowledged, verdict.reigns, verdict.lost_acknowledged), (4, 2, 0));
}

#[test]
fn an_acknowledged_row_that_is_gone_is_lost_unless_nobody_could_read_it() {
    let lose = |evidence: &mut Evidence| each(evidence, |database| database.rows.retain(|key, _| *key != (1, 2)));
    let verdict = broken(lose, "acknowledged and not in");
    assert_eq!((verdict.lost_acknowledged, verdict.lost_unexcused), (1, 1));
    let mut excused = good();
    lose(&mut excused);
    excused.case.unreadable = vec![(3, 9)];
    let verdict = judge(&excused);
    assert!(verdict.holds(), "{:?}", verdict.breaches);
    assert_eq!((verdict.lost_acknowledged, verdict.lost_unexcused), (1, 0));
    excused.case.required = true;
    assert_eq!(judge(&excused).lost_unexcused, 1, "with synchronous replication there is no excuse");
}

#[test]
fn rows_twice_refused_or_from_nobody_are_seen() {
    let twice = |database: &mut Database| {
        database.rows.insert((1, 1), Held { times: 2, timeline: 1 });
    };
    broken(|evidence| each(evidence, twice), "more than once");
    broken(|evidence| evidence.events[0].outcome = Outcome::Refused, "refused and yet in");
    let foreign = |database: &mut Database| {
        database.rows.insert((9, 9), Held { times: 1, timeline: 1 });
    };
    broken(|evidence| each(evidence, foreign), "from nobody");
    let mut unknown = good();
    unknown.events[1].outcome = Outcome::Unknown;
    assert!(judge(&unknown).holds(), "a row of unknown end may be there");
    each(&mut unknown, |database| database.rows.retain(|key, _| *key != (1, 2)));
    assert!(judge(&unknown).holds(), "and it may be missing");
}

#[test]
fn money_that_was_made_or_lost_is_seen() {
    let made = |database: &mut Database| {
        database.accounts.insert(3, ENDOWMENT + 1);
    };
    broken(|evidence| each(evidence, made), "wrong balance");
    let read = Event { did: Did::Read { total: 7 }, ..row(3, 0, (5, 6), "c-2", 0) };
    broken(|evidence| evidence.events.push(read), "another sum");
}

#[test]
fn an_old_primary_that_goes_on_acknowledging_is_a_second_writer() {
    let verdict = broken(|evidence| evidence.events.push(row(7, 1, (12, 14), "c-1", 1)), "two writers at once");
    assert_eq!(verdict.double_writes, 1);
    let late = judge(&Evidence { events: vec![row(1, 1, (1, 20), "c-1", 1), row(1, 2, (10, 11), "c-2", 2)], ..good() });
    assert_eq!(late.double_writes, 0, "an answer may come late; the row was sent before");
    broken(|evidence| evidence.events.push(row(7, 1, (14, 15), "c-3", 2)), "two writers at once");
}

#[test]
fn a_writer_without_the_lease_and_a_lease_that_goes_back_are_seen() {
    broken(|evidence| evidence.events.push(row(7, 1, (14, 15), "c-3", 3)), "without the lease");
    broken(|evidence| evidence.lease.push(version(1, "c-1")), "changes of the lease");
    broken(|evidence| evidence.lease.push(version(2, "c-3")), "changes of the lease");
    broken(|evidence| evidence.events.push(row(1, 9, (14, 15), "c-1", 1)), "older timeline than the same client");
}

#[test]
fn a_gap_in_the_archive_and_instances_that_differ_are_seen() {
    for file in 0..3 {
        // The first segment of the first timeline is covered by its copy on the second one.
        let drop_one = |evidence: &mut Evidence| drop(evidence.archive.as_mut().unwrap().files.remove(file));
        if file > 0 {
            broken(drop_one, "not in the archive");
        }
    }
    broken(|evidence| evidence.archive = None, "could not be listed");
    broken(|evidence| evidence.archive.as_mut().unwrap().history.clear(), "cannot be restored");
    let fewer = |evidence: &mut Evidence| evidence.databases.get_mut("c-1").unwrap().accounts.clear();
    broken(fewer, "do not agree");
    broken(|evidence| evidence.databases.clear(), "no database");
}

#[test]
fn an_archive_that_brings_back_less_or_something_else_is_seen() {
    let lacks = |evidence: &mut Evidence| {
        evidence.restored.as_mut().unwrap().rows.remove(&(1, 3));
    };
    assert!(!broken(lacks, "not in what the archive recovers").restored);
    let other = |evidence: &mut Evidence| {
        evidence.restored.as_mut().unwrap().accounts.insert(3, 7);
    };
    broken(other, "another database than the cluster's");
    broken(|evidence| evidence.restored = None, "was not recovered from");
    assert!(judge(&good()).restored);
}

#[test]
fn a_gap_that_a_lost_volume_left_is_counted_and_no_other_is_excused() {
    let mut evidence = good();
    evidence.case.volume_lost = true;
    assert!(judge(&evidence).restored, "where there is no gap, the recovery counts");
    evidence.archive.as_mut().unwrap().files.remove(1);
    evidence.restored = None;
    let verdict = judge(&evidence);
    assert!(verdict.holds() && verdict.archive_gaps == 1 && !verdict.restored, "{verdict:?}");
}
