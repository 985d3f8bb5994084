//! `chaos-judge DIRECTORY [--verdict-only]`: the judge of a chaos run as a program of its own. Reads the clients' histories in the
//! directory and the final databases that the environment names (`PGHERD_JUDGE_DSN`, a line `INSTANCE<TAB>DSN` each,
//! since a command line is seen by everybody) and what was recovered from the archive (`PGHERD_JUDGE_RESTORED`), prints its verdict as JSON, and exits with 1 if a rule was broken
//! (with `--verdict-only`: with 0, whatever it says).

use anyhow::Context as _;
use pgherd_testkit::history::{clients_of, read};
use pgherd_testkit::judge::{Evidence, judge, read_database};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from).context("usage: chaos-judge DIRECTORY")?;
    let mut evidence = Evidence { case: json(&directory.join("case.json"))?, ..Evidence::default() };
    for path in clients_of(&directory)? {
        evidence.events.extend(read(&path)?);
    }
    evidence.lease = read(&directory.join("lease.jsonl"))?;
    for line in std::env::var("PGHERD_JUDGE_DSN").context("PGHERD_JUDGE_DSN is not set")?.lines() {
        let (instance, dsn) = line.split_once('\t').context("a line of PGHERD_JUDGE_DSN has no tab")?;
        let config = dsn.parse().context("a line of PGHERD_JUDGE_DSN has no connection string")?;
        let database = read_database(&config).await.with_context(|| format!("failed to read {instance}"))?;
        evidence.databases.insert(instance.to_owned(), database);
    }
    if let Ok(dsn) = std::env::var("PGHERD_JUDGE_RESTORED") {
        let config = dsn.parse().context("PGHERD_JUDGE_RESTORED is no connection string")?;
        evidence.restored = Some(read_database(&config).await.context("failed to read what was recovered")?);
    }
    let archive = directory.join("archive.json");
    evidence.archive = if archive.exists() { Some(json(&archive)?) } else { None };
    let verdict = judge(&evidence);
    println!("{}", serde_json::to_string(&verdict)?);
    let told = std::env::args().any(|word| word == "--verdict-only");
    Ok(if told || verdict.holds() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("failed to read {}", path.display()))
}
