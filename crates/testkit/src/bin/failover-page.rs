//! `failover-page [SCENARIO [CONFIGURATION]]`: puts what `make bench` measured into the documentation. The table of
//! `README.md` comes from `target/bench/failover.json`, `docs/failover.svg` from `target/bench/failover-trace.json`.

use anyhow::Context as _;
use pgherd_testkit::failover::{Report, Traces, picture, replaced, table};
use serde::de::DeserializeOwned;

const PAGE: &str = "README.md";

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let scenario = words.next().unwrap_or_else(|| "postmaster_killed".to_owned());
    let configuration = words.next().unwrap_or_else(|| "asynchronous".to_owned());
    let report: Report = read("target/bench/failover.json")?;
    let page = std::fs::read_to_string(PAGE).context("failed to read README.md")?;
    let page = replaced(&page, &table(&report)).context("README.md has no place for the table")?;
    let traces: Traces = read("target/bench/failover-trace.json")?;
    let wanted = traces.traces.iter().find(|one| one.scenario == scenario && one.configuration == configuration);
    let trace = wanted.with_context(|| format!("there is no trace of {scenario}, {configuration}"))?;
    std::fs::write(PAGE, page).context("failed to write README.md")?;
    std::fs::write("docs/failover.svg", picture(trace)).context("failed to write docs/failover.svg")
}

fn read<T: DeserializeOwned>(path: &str) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("no {path}: run `make bench` first"))?;
    serde_json::from_str(&text).with_context(|| format!("failed to read {path}"))
}
