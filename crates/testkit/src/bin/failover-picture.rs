//! `failover-picture [SCENARIO [CONFIGURATION]]`: the picture of a failover's trace, from
//! `target/bench/failover-trace.json` into `docs/failover.svg`.

use anyhow::Context as _;
use pgherd_testkit::failover::{Traces, picture};

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let scenario = words.next().unwrap_or_else(|| "postmaster_killed".to_owned());
    let configuration = words.next().unwrap_or_else(|| "asynchronous".to_owned());
    let text = std::fs::read_to_string("target/bench/failover-trace.json").context("run `make bench` first")?;
    let traces: Traces = serde_json::from_str(&text).context("failed to read target/bench/failover-trace.json")?;
    let wanted = traces.traces.iter().find(|one| one.scenario == scenario && one.configuration == configuration);
    let trace = wanted.with_context(|| format!("there is no trace of {scenario}, {configuration}"))?;
    std::fs::write("docs/failover.svg", picture(trace)).context("failed to write docs/failover.svg")?;
    Ok(())
}
