//! Rule E4: whether those who answered must include somebody who has every acknowledged commit.

use crate::identity::Incarnation;
use crate::lease::{ElectableRecord, LeaseRecord, Term, WalPosition};
use crate::timeline::Lineage;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One record that the answers do not satisfy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shortage {
    /// Whose record it is.
    pub term: Term,
    /// The data directory of the writer.
    pub writer: Incarnation,
    /// How many more of `voters` must answer; or the writer alone.
    pub needed: u64,
    /// Voters that have not answered.
    pub absent: Vec<Incarnation>,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(|id| id.0.clone()))
    }
}

impl Shortage {
    /// In words, with the members by what `name` calls their data directories.
    #[must_use]
    pub fn describe(&self, name: impl Fn(&Incarnation) -> String) -> String {
        let absent: Vec<String> = self.absent.iter().map(&name).collect();
        let Self { term, needed, .. } = self;
        format!("term {term} needs {needed} more of [{}], or its writer {}", absent.join(", "), name(&self.writer))
    }
}

/// The records that bind whoever has WAL up to `reached`, which lies on the opened history (`place`). A timeline that was
/// opened settles those of terms before the one that reserved it: what was acknowledged in them lies before its
/// beginning, since whoever was elected to it had to have all of that, and WAL past its beginning on another timeline
/// stands for nobody. So whoever has come that far has it, and need not be answered for by those who acknowledged it.
#[must_use]
pub fn binding(lease: &LeaseRecord, reached: WalPosition) -> Vec<ElectableRecord> {
    // One that is reserved and was not opened says nothing: its beginning is not known, nor that it will be gone on with.
    let opened = lease.lineage.as_ref().filter(|opened| opened.timeline == lease.timeline);
    let begins = opened.and_then(Lineage::begins).map(|left| left.lsn);
    let has_come_that_far = begins.is_some_and(|begins| reached.lsn >= begins);
    let is_settled = |record: &ElectableRecord| has_come_that_far && record.term < lease.timeline_term;
    lease.records.iter().filter(|record| !is_settled(record)).cloned().collect()
}

/// `for all rec: writer in R or |R ∩ V| >= |V| - W + 1`. Empty when it holds, as it does without
/// synchronous replication, where there are no records.
#[must_use]
pub fn sat(records: &[ElectableRecord], answered: &BTreeSet<Incarnation>) -> Vec<Shortage> {
    let shortage = |record: &ElectableRecord| {
        if answered.contains(&record.writer) {
            return None;
        }
        let voters: BTreeSet<&Incarnation> = record.voters.iter().collect();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let present = count(voters.iter().filter(|id| answered.contains(**id)).count());
        let needed = count(voters.len()).saturating_add(1).saturating_sub(u64::from(record.needed));
        (present < needed).then(|| Shortage {
            term: record.term,
            writer: record.writer.clone(),
            needed: needed - present,
            absent: voters.into_iter().filter(|id| !answered.contains(*id)).cloned().collect(),
        })
    };
    records.iter().filter_map(shortage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsn::Lsn;
    use crate::timeline::TimelineId;

    fn record(term: u64, writer: &str, voters: &[&str], needed: u32) -> ElectableRecord {
        let voters = voters.iter().map(|v| Incarnation::from(*v)).collect();
        ElectableRecord { term: Term(term), writer: writer.into(), voters, needed }
    }

    fn set(ids: &[&str]) -> BTreeSet<Incarnation> {
        ids.iter().map(|id| Incarnation::from(*id)).collect()
    }

    #[test]
    fn of_two_voters_of_whom_one_acknowledges_both_must_answer_or_the_writer() {
        let records = [record(4, "p", &["s", "t"], 1)];
        assert!(sat(&records, &set(&["s", "t"])).is_empty());
        assert!(sat(&records, &set(&["p"])).is_empty());
        let short = sat(&records, &set(&["s"]));
        assert_eq!((short[0].needed, short[0].absent.clone()), (1, vec!["t".into()]));
    }

    #[test]
    fn where_all_voters_acknowledge_any_one_will_do() {
        assert!(sat(&[record(1, "p", &["s", "t"], 2)], &set(&["t"])).is_empty());
    }

    #[test]
    fn every_record_of_a_joint_list_must_be_satisfied() {
        let records = [record(1, "p", &["s"], 1), record(2, "s", &["t"], 1)];
        assert_eq!(sat(&records, &set(&["t"])).len(), 1, "the record of term 1 wants p or s");
        assert!(sat(&records, &set(&["s"])).is_empty());
    }

    #[test]
    fn with_no_voters_only_the_writer_is_electable() {
        assert_eq!(sat(&[record(1, "p", &[], 0)], &set(&["s", "t"])).len(), 1);
    }

    #[test]
    fn without_records_anybody_may_be_elected() {
        assert!(sat(&[], &set(&[])).is_empty());
    }

    #[test]
    fn a_timeline_that_was_opened_settles_the_records_of_terms_before_it_for_whoever_has_come_that_far() {
        let on = |timeline: u32, lsn: u64| WalPosition { timeline: TimelineId(timeline), lsn: Lsn(lsn) };
        let lease = LeaseRecord {
            term: Term(3),
            timeline: TimelineId(2),
            timeline_term: Term(2),
            lineage: Some(Lineage { timeline: TimelineId(2), ancestors: vec![on(1, 0x40)] }),
            records: vec![record(1, "p", &["s", "t"], 1), record(2, "s", &["t"], 1), record(3, "s", &["t", "u"], 1)],
            ..LeaseRecord::default()
        };
        let terms = |lease: &LeaseRecord, at| binding(lease, at).iter().map(|bound| bound.term.0).collect::<Vec<_>>();
        assert_eq!(terms(&lease, on(1, 0x40)), [2, 3], "where it begins, it has all that was before it");
        assert_eq!(terms(&lease, on(2, 0x50)), [2, 3]);
        assert_eq!(terms(&lease, on(1, 0x3F)), [1, 2, 3]);
        let unknown = LeaseRecord { timeline_term: Term(0), ..lease.clone() };
        assert_eq!(terms(&unknown, on(2, 0x50)), [1, 2, 3], "by a lease of before this rule");
        let reserved = LeaseRecord { timeline: TimelineId(3), timeline_term: Term(3), ..lease };
        assert_eq!(terms(&reserved, on(2, 0x50)), [1, 2, 3], "nobody has opened timeline 3");
    }

    #[test]
    fn a_voter_named_twice_counts_once() {
        assert_eq!(sat(&[record(1, "p", &["s", "s", "t"], 1)], &set(&["s"])).len(), 1);
    }
}
