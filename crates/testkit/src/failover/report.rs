//! The report: `target/bench/failover.json`.

use super::scenario::Scenario;
use crate::chaos::Configuration;
use crate::journal::Entry;
use crate::machine::Head;
use serde::{Deserialize, Serialize};

/// One kind of fault, and what it cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What was done to the primary.
    pub scenario: String,
    /// `asynchronous` or `synchronous`.
    pub configuration: String,
    /// Clients that wrote.
    pub clients: u32,
    /// The median that is aimed at on an idle machine.
    pub budget_s: f64,
    /// Its last rows could not be read while it lasted: without synchronous replication they may be lost.
    pub may_lose: bool,
    /// How often.
    pub runs: usize,
    /// Half of the runs took no longer, in seconds from the last acknowledged row to the next one.
    pub p50_s: f64,
    /// 99 of 100 took no longer; below 100 runs this is the longest.
    pub p99_s: f64,
    /// The longest.
    pub max_s: f64,
    /// Acknowledged rows that are not in the table.
    pub lost_acknowledged: u64,
    /// Rows that are there more than once, and rows that an older timeline acknowledged after a newer one had.
    pub double_writes: u64,
    /// Rows that were acknowledged.
    pub acknowledged: u64,
    /// Runs after which another instance was the primary.
    pub moved: usize,
    /// Runs in which nobody took over while the fault lasted; they are not among `runs`.
    pub not_taken_over: usize,
    /// Every run, in its order.
    pub seconds: Vec<f64>,
}

impl Measured {
    /// Without a run.
    #[must_use]
    pub fn new(scenario: &Scenario, configuration: Configuration) -> Self {
        Self {
            scenario: scenario.name.to_owned(),
            configuration: configuration.name().to_owned(),
            clients: scenario.clients,
            budget_s: scenario.budget_s,
            may_lose: scenario.hidden && configuration == Configuration::Asynchronous,
            ..Self::default()
        }
    }

    /// Adds one run.
    pub fn add(&mut self, seconds: f64, moved: bool) {
        self.seconds.push((seconds * 1e4).round() / 1e4);
        self.moved += usize::from(moved);
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        self.runs = sorted.len();
        self.p50_s = percentile(&sorted, 50);
        self.p99_s = percentile(&sorted, 99);
        self.max_s = percentile(&sorted, 100);
    }
}

/// The smallest value that so many percent do not exceed (nearest rank).
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = sorted.len().saturating_mul(percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Rows that an older timeline acknowledged after a newer one had: two primaries at once.
#[must_use]
pub fn backwards(entries: &[Entry]) -> u64 {
    let mut newest = 0;
    let mut found = 0;
    for entry in entries {
        found += u64::from(entry.timeline < newest);
        newest = newest.max(entry.timeline);
    }
    found
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where the numbers are from.
    #[serde(flatten)]
    pub head: Head,
    /// From the start of the program.
    pub duration_seconds: f64,
    /// One for each kind of fault.
    pub scenarios: Vec<Measured>,
    /// Configurations and scenarios that were left out, and why.
    pub left_out: std::collections::BTreeMap<String, String>,
    /// Why it is not whole, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Report {
    /// Whether everything was measured, nothing was lost and nothing was written twice.
    #[must_use]
    pub fn kept(&self) -> bool {
        let clean = |one: &Measured| {
            (one.may_lose || one.lost_acknowledged == 0) && one.double_writes == 0 && one.not_taken_over == 0
        };
        self.error.is_none() && self.scenarios.iter().all(clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_longest_are_those_of_the_runs() {
        let mut measured = Measured::default();
        for seconds in [3.0, 1.0, 2.0, 9.0, 4.0] {
            measured.add(seconds, seconds > 2.5);
        }
        assert_eq!((measured.runs, measured.moved), (5, 3));
        assert_eq!((measured.p50_s, measured.p99_s, measured.max_s), (3.0, 9.0, 9.0));
    }

    #[test]
    fn a_row_of_an_older_timeline_after_a_newer_one_is_a_second_primary() {
        let entry = |row, timeline| Entry { row, at: row, timeline };
        assert_eq!(backwards(&[entry(1, 1), entry(2, 2), entry(3, 2)]), 0);
        assert_eq!(backwards(&[entry(1, 1), entry(2, 2), entry(3, 1), entry(4, 2)]), 1);
    }

    #[test]
    fn a_lost_row_and_a_row_written_twice_break_the_report() {
        let with = |lost, double| Report {
            scenarios: vec![Measured { lost_acknowledged: lost, double_writes: double, ..Measured::default() }],
            ..Report::default()
        };
        let mut excused = with(1, 0);
        excused.scenarios.iter_mut().for_each(|one| one.may_lose = true);
        assert!(excused.kept());
        assert!(with(0, 0).kept() && !with(1, 0).kept() && !with(0, 1).kept());
        assert!(!Report { error: Some("x".to_owned()), ..Report::default() }.kept());
    }
}
