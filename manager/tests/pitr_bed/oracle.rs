//! What a recovery must have, by PostgreSQL's own rules, computed from pg_waldump of all WAL of a history.

use super::{Bed, TABLE};
use pgherd_core::backup::{Target, Timestamp};
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::{History, TimelineId};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A record, as far as a recovery target may be about it.
#[derive(Clone, Debug)]
pub struct Record {
    pub timeline: TimelineId,
    pub lsn: Lsn,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Commit(u64, Timestamp),
    Abort(u64, Timestamp),
    Point(String),
    Other,
}

/// All WAL of a history, in its order, and the rows that each transaction made.
pub struct Oracle {
    pub records: Vec<Record>,
    rows: BTreeMap<u64, Vec<i64>>,
}

impl Oracle {
    pub async fn read(bed: &Bed, history: &History, from: Lsn, wal: &Path) -> Self {
        let mut records = Vec::new();
        let ids = history.ancestors().iter().map(|switch| switch.timeline).chain([history.timeline()]);
        for timeline in ids {
            let (begin, end) = (history.begin_of(timeline).unwrap().max(from), history.end_of(timeline).unwrap());
            records.extend(dump(&bed.bin("pg_waldump"), wal, timeline, begin, end));
        }
        assert!(records.is_sorted_by(|a, b| a.lsn < b.lsn), "WAL is out of order");
        let mut rows: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
        for line in bed.rows(&format!("SELECT xid || ' ' || id FROM {TABLE}")).await {
            let (xid, id) = line.split_once(' ').unwrap();
            rows.entry(xid.parse().unwrap()).or_default().push(id.parse().unwrap());
        }
        Self { records, rows }
    }

    /// The rows of every transaction that committed before the record at this place.
    fn committed_before(&self, end: usize) -> Vec<i64> {
        let commits = self.records[..end].iter().filter_map(|record| match record.kind {
            Kind::Commit(xid, _) => self.rows.get(&xid),
            _ => None,
        });
        let mut ids: Vec<i64> = commits.flatten().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// `recoveryStopsBefore` and `recoveryStopsAfter` of `xlogrecovery.c`: the number of records that are replayed;
    /// nothing where the target is not reached.
    fn stop(&self, target: &Target, exclusive: bool) -> Option<usize> {
        let at = |found: &dyn Fn(&Record) -> bool| self.records.iter().position(found);
        let after = |place: usize| if exclusive { place } else { place + 1 };
        match target {
            Target::Latest => Some(self.records.len()),
            Target::Lsn(lsn) => at(&|record| record.lsn >= *lsn).map(after),
            Target::Xid(id) => {
                at(&|r| matches!(r.kind, Kind::Commit(xid, _) | Kind::Abort(xid, _) if xid == *id)).map(after)
            }
            Target::Name(name) => at(&|record| record.kind == Kind::Point(name.clone())).map(|place| place + 1),
            Target::Time(to) => at(&|record| match record.kind {
                Kind::Commit(_, time) | Kind::Abort(_, time) => {
                    if exclusive {
                        time >= *to
                    } else {
                        time > *to
                    }
                }
                _ => false,
            }),
            Target::Immediate => None,
        }
    }

    /// The timeline on which a recovery to this target ends.
    pub fn ends_on(&self, target: &Target, exclusive: bool) -> Option<TimelineId> {
        let replayed = self.stop(target, exclusive)?;
        self.records[..replayed].last().map(|record| record.timeline)
    }

    /// The rows that there must be.
    pub fn expected(&self, target: &Target, exclusive: bool) -> Option<Vec<i64>> {
        self.stop(target, exclusive).map(|end| self.committed_before(end))
    }
}

fn dump(program: &Path, wal: &Path, timeline: TimelineId, begin: Lsn, end: Lsn) -> Vec<Record> {
    let mut command = Command::new(program);
    command.arg("-p").arg(wal).args(["-t", &timeline.0.to_string(), "-s", &begin.to_string()]).env("TZ", "UTC");
    if end != Lsn::MAX {
        command.args(["-e", &end.to_string()]);
    }
    // It ends with an error where WAL does.
    let said = command.output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    let records: Vec<Record> =
        text.lines().filter_map(|line| record(timeline, line)).filter(|record| record.lsn < end).collect();
    assert!(!records.is_empty(), "no records: {}", String::from_utf8_lossy(&said.stderr));
    records
}

/// `rmgr: Transaction len (rec/tot): 34/ 34, tx: 731, lsn: 0/03000060, prev ..., desc: COMMIT 2026-11-23 10:15:00.1 UTC`
fn record(timeline: TimelineId, line: &str) -> Option<Record> {
    let field = |name: &str| line.split_once(name).and_then(|(_, rest)| rest.split([',', ' ']).next());
    let lsn = field("lsn: ")?.parse().ok()?;
    let xid = field("tx: ").map(str::trim).and_then(|xid| xid.parse().ok());
    let xid = xid.or_else(|| line.split_once("tx:")?.1.split(',').next()?.trim().parse().ok()).unwrap_or(0);
    let description = line.split_once("desc: ")?.1;
    let mut words = description.split_whitespace();
    let kind = match words.next()? {
        verb @ ("COMMIT" | "ABORT") => {
            let time = format!("{} {}Z", words.next()?, words.next()?.trim_end_matches(';')).parse().ok()?;
            if verb == "COMMIT" { Kind::Commit(xid, time) } else { Kind::Abort(xid, time) }
        }
        "RESTORE_POINT" => Kind::Point(description.trim_start_matches("RESTORE_POINT ").trim().to_owned()),
        _ => Kind::Other,
    };
    Some(Record { timeline, lsn, kind })
}
