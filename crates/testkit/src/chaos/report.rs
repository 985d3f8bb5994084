//! What a run found, and what all runs found: `target/chaos/report.json`.

use super::configuration::Configuration;
use super::schedule::Planned;
use super::strike::Struck;
use crate::judge::Verdict;
use crate::machine::Head;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What repeats it.
    pub seed: u64,
    /// The configuration's name.
    pub configuration: String,
    /// Its volumes were file systems of their own.
    pub disks: bool,
    /// Its WAL had volumes of its own.
    #[serde(default)]
    pub wal_volumes: bool,
    /// Its pods had clocks of their own.
    #[serde(default)]
    pub clocks: bool,
    /// What was to be done.
    pub planned: Vec<Planned>,
    /// What was done.
    pub struck: Vec<Struck>,
    /// Kinds that found nobody whom they could be put on, and why.
    pub missed: Vec<String>,
    /// The judge's word; absent where it could not judge.
    pub verdict: Option<Verdict>,
    /// Timelines that were opened.
    pub timelines: u64,
    /// The cluster was not healthy within the bound after the last fault had ended; what it lacked.
    pub stuck: Option<String>,
    /// Seconds from the end of the last fault to a healthy cluster.
    pub healed_seconds: u64,
    /// Seconds that clients worked.
    pub seconds: u64,
    /// Seconds that all of it took, from nothing to nothing.
    pub total_seconds: u64,
    /// Why the run is not whole, if it is not.
    pub error: Option<String>,
}

impl Run {
    /// Whether it counts: long enough, faults enough, one on a primary, rows enough, and a failover.
    #[must_use]
    pub fn counts(&self) -> bool {
        let kinds: std::collections::BTreeSet<_> = self.struck.iter().map(|one| one.kind.as_str()).collect();
        let rows = self.verdict.as_ref().map_or(0, |verdict| verdict.acknowledged);
        self.seconds >= 60
            && self.struck.len() >= 3
            && kinds.len() >= 2
            && self.struck.iter().any(|one| one.primary)
            && rows >= 500
            && self.timelines >= 2
    }

    /// Nothing is wrong with it.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.error.is_none() && self.stuck.is_none() && self.verdict.as_ref().is_some_and(Verdict::holds)
    }
}

/// All runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where the numbers are from.
    #[serde(flatten)]
    pub head: Head,
    /// Runs that count.
    pub runs: u64,
    /// Runs that do not: no failover, or too few rows.
    pub uncounted: u64,
    /// Acknowledged rows that are gone, of all runs: with asynchronous replication where the old volume could not be read.
    pub lost_acknowledged: u64,
    /// Those that should not be gone.
    pub lost_unexcused: u64,
    /// Acknowledged by two writers at once.
    pub double_writes: u64,
    /// Runs after which the cluster was not healthy by itself within the bound.
    pub stuck: u64,
    /// Runs whose archive, recovered from alone, brought back what the cluster had in the end.
    pub restored: u64,
    /// Files that archives lacked because a volume was lost before it had archived them.
    pub archive_gaps: u64,
    /// Faults that were put on, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Every run's seed.
    pub seeds: Vec<u64>,
    /// The same by configuration.
    pub configurations: BTreeMap<String, Sum>,
    /// Seeds of runs that failed, with what was wrong.
    pub failed: BTreeMap<String, Vec<String>>,
    /// Configurations that were left out, and why.
    pub left_out: BTreeMap<String, String>,
    /// How many clusters there were side by side.
    pub jobs: u64,
    /// From the start of the program.
    pub duration_seconds: f64,
    /// Why it is not whole, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What one configuration's runs found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Runs that count.
    pub runs: u64,
    /// Rows and transfers that were acknowledged.
    pub acknowledged: u64,
    /// Attempts of unknown end.
    pub unknown: u64,
    /// Acknowledged and gone.
    pub lost_acknowledged: u64,
    /// Reigns.
    pub reigns: u64,
}

impl Report {
    /// Adds a run.
    pub fn add(&mut self, run: &Run) {
        self.seeds.push(run.seed);
        for struck in &run.struck {
            *self.faults.entry(struck.kind.clone()).or_default() += 1;
        }
        self.stuck += u64::from(run.stuck.is_some());
        let sum = self.configurations.entry(run.configuration.clone()).or_default();
        let counts = u64::from(run.counts());
        sum.runs += counts;
        self.runs += counts;
        self.uncounted += 1 - counts;
        let mut wrong: Vec<String> = run.error.iter().chain(&run.stuck).cloned().collect();
        if let Some(verdict) = &run.verdict {
            sum.acknowledged += verdict.acknowledged;
            sum.unknown += verdict.unknown;
            sum.reigns += verdict.reigns;
            sum.lost_acknowledged += verdict.lost_acknowledged;
            self.lost_acknowledged += verdict.lost_acknowledged;
            self.lost_unexcused += verdict.lost_unexcused;
            self.double_writes += verdict.double_writes;
            self.restored += u64::from(verdict.restored);
            self.archive_gaps += verdict.archive_gaps;
            wrong.extend(verdict.breaches.iter().cloned());
        }
        if !wrong.is_empty() {
            self.failed.insert(format!("{} {}", run.seed, run.configuration), wrong);
        }
    }

    /// Writes it where the one before was, whole or not at all: whoever ends the program leaves the last one.
    ///
    /// # Errors
    /// Of the file.
    pub fn store(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        let new = path.with_extension("new");
        std::fs::write(&new, format!("{text}\n"))?;
        std::fs::rename(new, path)
    }

    /// A configuration that the cluster does not know yet.
    pub fn leave_out(&mut self, configuration: Configuration, why: &str) {
        self.left_out.insert(configuration.name().to_owned(), why.to_owned());
    }

    /// Every run that was made was right.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.error.is_none() && self.failed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(kind: &str, primary: bool) -> Struck {
        let (kind, pod) = (kind.to_owned(), "n/c-1".to_owned());
        Struck { kind, pod, primary, from: 1, until: 2, done: String::new() }
    }

    fn run() -> Run {
        let verdict = Verdict { acknowledged: 500, restored: true, ..Verdict::default() };
        Run {
            seed: 7,
            configuration: "asynchronous".to_owned(),
            struck: vec![struck("kill_pod", true), struck("kill_pod", false), struck("s3_off", false)],
            verdict: Some(verdict),
            timelines: 2,
            seconds: 60,
            ..Run::default()
        }
    }

    #[test]
    fn a_run_counts_with_a_minute_three_faults_of_two_kinds_a_hurt_primary_rows_and_a_failover() {
        assert!(run().counts());
        let without = |change: fn(&mut Run)| {
            let mut run = run();
            change(&mut run);
            assert!(!run.counts(), "{run:?}");
        };
        without(|run| run.seconds = 59);
        without(|run| drop(run.struck.pop()));
        without(|run| run.struck.iter_mut().for_each(|one| one.kind = "kill_pod".to_owned()));
        without(|run| run.struck.iter_mut().for_each(|one| one.primary = false));
        without(|run| run.verdict.iter_mut().for_each(|verdict| verdict.acknowledged = 499));
        without(|run| run.timelines = 1);
    }

    #[test]
    fn a_report_adds_up_and_is_whole_on_the_disk_whenever_it_is_written() {
        let mut report = Report::default();
        report.add(&run());
        report.add(&Run { error: Some("it rained".to_owned()), seed: 8, ..run() });
        assert_eq!((report.runs, report.restored, report.faults["kill_pod"]), (2, 2, 4));
        assert!(!report.holds() && report.failed["8 asynchronous"] == ["it rained"]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        report.store(&path).unwrap();
        report.store(&path).unwrap();
        let read: Report = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(read, report);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
