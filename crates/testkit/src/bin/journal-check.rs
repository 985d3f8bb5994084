//! `journal-check JOURNAL [--verdict-only]`: the judge as a program of its own. Reads a journal and the database that the
//! environment names (`PGHERD_JUDGE_DSN`, since a command line is seen by everybody), prints its verdict as
//! JSON, and exits with 1 if a promise was broken (with `--verdict-only`: with 0, whatever it says).

use anyhow::Context as _;
use pgherd_testkit::{checker, journal};
use std::path::PathBuf;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let path = std::env::args_os().nth(1).map(PathBuf::from).context("usage: journal-check JOURNAL")?;
    let dsn = std::env::var("PGHERD_JUDGE_DSN").context("PGHERD_JUDGE_DSN is not set")?;
    let promised = journal::read(&path)?;
    let table = checker::read_table(&dsn.parse().context("PGHERD_JUDGE_DSN is not a connection string")?).await?;
    let verdict = checker::judge(&promised, &table);
    println!("{}", serde_json::to_string(&verdict)?);
    let told = std::env::args().any(|word| word == "--verdict-only");
    Ok(if told || verdict.holds() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
