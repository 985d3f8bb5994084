//! Mistakes that the models must notice: each a text of core replaced by another, from `mutants.yaml`.
//!
//! All of them go into one copy of core, behind a switch each, so that the copy is built once: where a mutant says
//! `from` and `to`, the copy says `if it is on { to } else { from }`. A text that is not found, or found twice, is
//! an error: the list is to follow the code.

use crate::report::{Report, root};
use crate::runs::Outcome;
use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The committed list.
const LIST: &str = include_str!("../mutants.yaml");
/// Which mutant is on, in the copy.
const SWITCH: &str = "MODEL_MUTANT";
/// What the copy of core gains.
const SWITCHBOARD: &str = "//! Switches of the mutants.
#![allow(clippy::all, clippy::disallowed_methods, missing_docs)]
static ON: std::sync::OnceLock<String> = std::sync::OnceLock::new();
pub fn on(name: &str) -> bool {
    ON.get_or_init(|| std::env::var(\"MODEL_MUTANT\").unwrap_or_default()) == name
}
";

/// One mistake.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Its name.
    pub name: String,
    /// The hole of `docs/protocol.md` or the rule that it reopens.
    pub reopens: String,
    /// Relative to the repository.
    pub file: String,
    /// An expression or statements of that file, once in it.
    pub from: String,
    /// What stands there instead.
    pub to: String,
    /// The runs that are to notice.
    pub runs: Vec<String>,
}

impl Mutant {
    /// Where its file finds the switches: core has them; the model, where it plays the shell, uses core.
    fn home(&self) -> &'static str {
        if self.file.starts_with("crates/core/") { "crate" } else { "pgherd_core" }
    }
}

/// What became of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Its name.
    pub name: String,
    /// What it reopens.
    pub reopens: String,
    /// The run that noticed, and by which property; nothing if none did.
    pub caught_by: Option<String>,
    /// The shortest way there.
    pub trace: Vec<String>,
    /// States that were looked at.
    pub states: usize,
    /// How long that took.
    #[serde(default)]
    pub seconds: f64,
}

/// The list.
///
/// # Errors
/// When it is not well-formed.
pub fn list() -> anyhow::Result<Vec<Mutant>> {
    serde_yaml_ng::from_str(LIST).context("failed to read mutants.yaml")
}

/// Puts all mutants into a copy of core beside a copy of this crate, and says where.
///
/// # Errors
/// When a text is not found exactly once, or files cannot be written.
pub fn prepare(mutants: &[Mutant]) -> anyhow::Result<std::path::PathBuf> {
    let (from, to) = (root(), root().join("target/model-mutants"));
    if to.join("crates").exists() {
        fs::remove_dir_all(to.join("crates"))?;
        fs::remove_dir_all(to.join("tests"))?;
    }
    for part in ["crates/core", "tests/model"] {
        copy(&from.join(part), &to.join(part))?;
    }
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    let (before, rest) = manifest.split_once("members = [").context("no members")?;
    let (_, after) = rest.split_once(']').context("no end of members")?;
    let members = "members = [\"crates/core\", \"tests/model\"]";
    fs::write(to.join("Cargo.toml"), format!("{before}{members}{after}"))?;
    fs::copy(from.join("Cargo.lock"), to.join("Cargo.lock"))?;
    for (file, edits) in by_file(mutants) {
        let path = to.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {file}"))?;
        fs::write(&path, edited(&text, &edits)?)?;
    }
    let core = to.join("crates/core/src");
    fs::write(core.join("mutant.rs"), SWITCHBOARD)?;
    let lib = fs::read_to_string(core.join("lib.rs"))?;
    fs::write(core.join("lib.rs"), format!("{lib}pub mod mutant;\n"))?;
    Ok(to)
}

fn by_file(mutants: &[Mutant]) -> BTreeMap<&str, Vec<&Mutant>> {
    let mut files: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
    for mutant in mutants {
        files.entry(&mutant.file).or_default().push(mutant);
    }
    files
}

/// `text` with each mutant behind its switch.
fn edited(text: &str, mutants: &[&Mutant]) -> anyhow::Result<String> {
    let mut places: Vec<(usize, usize, Vec<&Mutant>)> = Vec::new();
    for mutant in mutants {
        let from = mutant.from.trim_end();
        let found: Vec<usize> = text.match_indices(from).map(|(at, _)| at).collect();
        let [at] = found.as_slice() else {
            bail!("{}: its text is in {} {} times, not once: mend mutants.yaml", mutant.name, mutant.file, found.len());
        };
        // Several mistakes may be made at one place.
        match places.iter_mut().find(|place| (place.0, place.1) == (*at, at + from.len())) {
            Some((.., others)) => others.push(mutant),
            None => places.push((*at, at + from.len(), vec![*mutant])),
        }
    }
    places.sort_by_key(|(at, ..)| *at);
    let mut out = String::new();
    let mut done = 0;
    for (at, end, mutants) in places {
        let names: Vec<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
        ensure!(at >= done, "{}: overlaps with another mutant of the file", names.join(", "));
        out.push_str(text.get(done..at).unwrap_or_default());
        out.push('(');
        for mutant in &mutants {
            let (to, name, home) = (mutant.to.trim_end(), &mutant.name, mutant.home());
            out.push_str(&format!("if {home}::mutant::on(\"{name}\") {{ {to} }} else "));
        }
        out.push_str(&format!("{{ {} }})", text.get(at..end).unwrap_or_default()));
        done = end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Ok(out)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Builds the copy, and lets each mutant run.
///
/// # Errors
/// When the copy cannot be made or built, or a run says nothing.
pub fn hunt(only: &[String]) -> anyhow::Result<Vec<Verdict>> {
    let mutants = list()?;
    let copy = prepare(&mutants)?;
    let target = copy.join("target");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo)
        .args(["build", "--offline", "--profile", "model", "-p", "pgherd-model", "--bin", "model"])
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .context("failed to run cargo")?;
    if !built.status.success() {
        bail!("the copy with the mutants does not compile:\n{}", String::from_utf8_lossy(&built.stderr));
    }
    let binary = target.join("model/model");
    let mut verdicts = vec![verdict(&binary, None)?];
    for mutant in mutants.iter().filter(|mutant| only.is_empty() || only.contains(&mutant.name)) {
        let verdict = verdict(&binary, Some(mutant))?;
        match &verdict.caught_by {
            Some(by) => println!("caught   {:<50} {:>6.1} s  {by}", mutant.name, verdict.seconds),
            None => println!("MISSED   {:<50} {:>6.1} s  {} states", mutant.name, verdict.seconds, verdict.states),
        }
        verdicts.push(verdict);
    }
    ensure!(verdicts.first().is_some_and(|clean| clean.caught_by.is_none()), "the unchanged copy breaks a rule");
    verdicts.remove(0);
    Ok(verdicts)
}

/// One process: the mutant's runs, or a short one of each with none on.
fn verdict(binary: &Path, mutant: Option<&Mutant>) -> anyhow::Result<Verdict> {
    let name = mutant.map_or("", |mutant| mutant.name.as_str());
    let runs: &[String] = mutant.map_or(&[], |mutant| &mutant.runs);
    let budget = if mutant.is_some() { "mutant" } else { "taste" };
    let out = Command::new(binary).args(["json", budget]).args(runs).env(SWITCH, name).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let outcomes: Vec<Outcome> = serde_json::from_str(&text).with_context(|| {
        format!("the runs of {name} ended without a result: {}", String::from_utf8_lossy(&out.stderr))
    })?;
    let noticed = outcomes.iter().find_map(|run| run.violations.first().map(|broken| (run, broken)));
    Ok(Verdict {
        name: name.to_owned(),
        reopens: mutant.map(|mutant| mutant.reopens.clone()).unwrap_or_default(),
        caught_by: noticed.map(|(run, broken)| format!("{}: {}", run.name, broken.property)),
        trace: noticed.map(|(_, broken)| broken.trace.clone()).unwrap_or_default(),
        states: outcomes.iter().map(|run| run.states).sum(),
        seconds: outcomes.iter().map(|run| run.seconds).sum(),
    })
}

/// Adds the verdicts to the report.
///
/// # Errors
/// When the report cannot be written, or a mutant was missed.
pub fn record(report: &mut Report, verdicts: Vec<Verdict>) -> anyhow::Result<()> {
    report.mutants = verdicts.len();
    report.mutants_caught = verdicts.iter().filter(|verdict| verdict.caught_by.is_some()).count();
    report.verdicts = verdicts;
    report.write()?;
    let missed: Vec<&str> = report.verdicts.iter().filter(|v| v.caught_by.is_none()).map(|v| v.name.as_str()).collect();
    ensure!(missed.is_empty(), "no run notices {}: the model is too weak there", missed.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutants_text_is_in_core_exactly_once_and_its_runs_exist() {
        let mutants = list().unwrap();
        assert!(mutants.len() >= 40, "{} are too few", mutants.len());
        for (file, mutants) in by_file(&mutants) {
            let text = fs::read_to_string(root().join(file)).unwrap();
            edited(&text, &mutants).unwrap();
            for run in mutants.iter().flat_map(|mutant| &mutant.runs) {
                assert!(crate::table::TABLE.iter().any(|known| known.name == run), "{run} is no run");
            }
        }
    }
}
