//! `target/model/report.json`: what was run, and what came of it.

use crate::mutants::Verdict;
use crate::runs::Outcome;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The report.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Of the repository.
    pub commit: String,
    /// What was called.
    pub command: String,
    /// Seconds since 1970.
    pub started_at: u64,
    /// Where.
    pub host: String,
    /// Different states over all runs, without symmetry reduction.
    pub states: usize,
    /// Properties that were broken.
    pub violations: usize,
    /// Runs in which every state within the bounds was seen.
    pub exhausted: usize,
    /// The others: in the long setting only deep runs may be among them.
    pub cut_off: Vec<String>,
    /// Mutants that were let run.
    pub mutants: usize,
    /// Those that a run noticed.
    pub mutants_caught: usize,
    /// Run by run.
    pub runs: Vec<Outcome>,
    /// Mutant by mutant.
    pub verdicts: Vec<Verdict>,
}

/// The repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

fn said(command: &mut Command) -> String {
    let out = command.output().ok().filter(|out| out.status.success());
    out.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default()
}

impl Report {
    fn path() -> PathBuf {
        root().join("target/model/report.json")
    }

    /// The last report of this commit, so that runs and mutants stand in one; else a new one.
    pub fn open() -> Self {
        let commit = said(Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root()));
        let text = fs::read_to_string(Self::path()).unwrap_or_default();
        let last: Option<Report> = serde_json::from_str(&text).ok();
        let mut report = last.filter(|last| last.commit == commit).unwrap_or_default();
        report.commit = commit;
        report.command = std::env::args().collect::<Vec<_>>().join(" ");
        report.started_at = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or(0);
        report.host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        report
    }

    /// Takes the outcomes of runs in.
    pub fn ran(&mut self, runs: Vec<Outcome>) {
        self.states = runs.iter().map(|run| run.states).sum();
        self.violations = runs.iter().map(|run| run.violations.len()).sum();
        self.exhausted = runs.iter().filter(|run| run.exhausted).count();
        self.cut_off = runs.iter().filter(|run| !run.exhausted).map(|run| run.name.clone()).collect();
        self.runs = runs;
    }

    /// Runs that were to be gone through and were not.
    pub fn not_exhausted(&self) -> Vec<&str> {
        self.runs.iter().filter(|run| !run.exhausted && !run.deep).map(|run| run.name.as_str()).collect()
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        let path = Self::path();
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&path, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// The runs as a table for the documentation.
    pub fn table(&self) -> String {
        let mut out = String::from("| run | states | depth | end | time |\n|---|---|---|---|---|\n");
        for run in &self.runs {
            let (name, end, seconds) = (&run.name, run.end(), run.seconds);
            out.push_str(&format!("| {name} | {} | {} | {end} | {seconds:.0} s |\n", run.states, run.depth));
        }
        out
    }
}
