//! `make bench`, its second half: kills the primary of the seed's cluster in several ways, again and again, and
//! writes how long a client was without an acknowledged row to `target/bench/failover.json`. `RUNS` (5) is how often
//! each (30 for numbers to be quoted); `SCENARIOS` names some of them, with commas between, `CONFIGURATION` one of
//! `asynchronous` and `synchronous`.

use anyhow::Context as _;
use futures::future::join_all;
use pgherd_localkube::daemon::{UpOptions, Volumes};
use pgherd_testkit::bed::{Bed, EXAMPLE, Place, edited, keep_binaries, to_the_end};
use pgherd_testkit::chaos::Configuration;
use pgherd_testkit::failover::{Plan, Report, SCENARIOS, Scenario, Traces, run};
use pgherd_testkit::machine::Head;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

const NAME: &str = "bench-failover";

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let directory = PathBuf::from("target/bench");
    let runs = std::env::var("RUNS").map_or(Ok(5), |runs| runs.parse()).context("RUNS is not a number")?;
    let scenarios = scenarios()?;
    let configurations = configurations()?;
    let work = directory.join("work");
    let own = std::env::current_exe()?;
    let pgherd = keep_binaries(own.parent().context("no directory of our own")?, &work.join("bin"))?;
    let mut report = Report { head: Head::now(format!("make bench RUNS={runs}")), ..Report::default() };
    let mut traces = Traces { head: report.head.clone(), traces: Vec::new() };
    println!(
        "failover: {runs} runs of each of {} scenarios in {} configurations, five to twenty seconds a run",
        scenarios.len(),
        configurations.len()
    );
    for plans in rounds(&work, runs, &scenarios, &configurations) {
        for (part, traced) in join_all(plans.iter().map(|plan| one(plan, &pgherd))).await {
            traces.traces.extend(traced.traces);
            report.scenarios.extend(part.scenarios);
            report.left_out.extend(part.left_out);
            report.error = report.error.or(part.error);
        }
        if report.error.is_some() {
            break;
        }
    }
    report.duration_seconds = began.elapsed().as_secs_f64();
    let path = directory.join("failover.json");
    std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&report)?))
        .context("failed to write the report")?;
    std::fs::write(directory.join("failover-trace.json"), format!("{}\n", serde_json::to_string_pretty(&traces)?))
        .context("failed to write the traces")?;
    if let Some(error) = &report.error {
        println!("failover: not finished: {error}");
    }
    for (what, why) in &report.left_out {
        println!("failover: {what} is left out: {why}");
    }
    println!("failover: {:.0} s; the report is in {}", report.duration_seconds, path.display());
    Ok(if report.kept() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What is measured one after the other, and in each what is measured at the same time: whoever takes over from a
/// primary that cannot be asked waits for its lease and leaves the machine to others, so the configurations share that.
fn rounds(work: &Path, runs: usize, scenarios: &[Scenario], configurations: &[Configuration]) -> Vec<Vec<Plan>> {
    let (together, alone): (Vec<_>, Vec<_>) = scenarios.iter().partition(|scenario| scenario.is_held_up_by_the_lease());
    let plan = |scenarios: &Vec<Scenario>, configuration: &Configuration| {
        let directory = work.join(configuration.name());
        Plan { directory, runs, scenarios: scenarios.clone(), configuration: *configuration }
    };
    let mut rounds: Vec<Vec<Plan>> = configurations.iter().map(|one| vec![plan(&alone, one)]).collect();
    rounds.push(configurations.iter().map(|one| plan(&together, one)).collect());
    rounds.retain(|plans| plans.iter().all(|plan| !plan.scenarios.is_empty()));
    rounds
}

/// One cluster, and all that a plan wants of it.
async fn one(plan: &Plan, pgherd: &Path) -> (Report, Traces) {
    let (mut report, mut traces) = (Report::default(), Traces::default());
    let failed = match up(plan, pgherd).await {
        Err(error) => Some(format!("{error:#}")),
        Ok(bed) => to_the_end(bed, &plan.directory, async |bed| run(bed, plan, &mut report, &mut traces).await).await,
    };
    report.error = failed.map(|why| format!("{}: {why}", plan.configuration.name()));
    (report, traces)
}

async fn up(plan: &Plan, pgherd: &Path) -> anyhow::Result<Bed> {
    std::fs::create_dir_all(&plan.directory).context("failed to make a directory in target/bench/work")?;
    let name = format!("{NAME}-{}", plan.configuration.name());
    let mut options = UpOptions::new(&name, pgherd);
    // A disk that can hang by itself is one of its own.
    options.volumes = Volumes::Ext4;
    // Each kill is to be the first for a long time, as they are elsewhere.
    options.backoff_scale = 0.0;
    options.files = vec![edited(Path::new(EXAMPLE), &plan.directory, |cluster| plan.configuration.edit(cluster))?];
    Bed::up(options, Place::of_example()).await
}

fn scenarios() -> anyhow::Result<Vec<Scenario>> {
    let Ok(names) = std::env::var("SCENARIOS") else { return Ok(SCENARIOS.to_vec()) };
    let mut wanted = Vec::new();
    for name in names.split(',') {
        let before = wanted.len();
        wanted.extend(SCENARIOS.into_iter().filter(|scenario| scenario.name == name || scenario.title() == name));
        anyhow::ensure!(wanted.len() > before, "there is no scenario {name:?}");
    }
    Ok(wanted)
}

fn configurations() -> anyhow::Result<Vec<Configuration>> {
    let Ok(name) = std::env::var("CONFIGURATION") else { return Ok(Configuration::ALL.to_vec()) };
    Ok(vec![Configuration::named(&name).with_context(|| format!("there is no configuration {name:?}"))?])
}
