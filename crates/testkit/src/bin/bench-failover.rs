//! `make bench`, its second half: kills the primary of the seed's cluster in several ways, again and again, and
//! writes how long a client was without an acknowledged row to `target/bench/failover.json`. `RUNS` (5) is how often
//! each; `SCENARIOS` names some of them, with commas between.

use anyhow::Context as _;
use pgherd_localkube::daemon::UpOptions;
use pgherd_testkit::bed::{Bed, Place, keep_binaries};
use pgherd_testkit::failover::{Plan, Report, Scenario, run};
use pgherd_testkit::machine;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};

const MANIFEST: &str = "docs/examples/cluster.yaml";
const NAME: &str = "bench-failover";

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let directory = PathBuf::from("target/bench");
    let runs = std::env::var("RUNS").map_or(Ok(5), |runs| runs.parse()).context("RUNS is not a number")?;
    let place = Place::of_example();
    let plan =
        Plan { cluster: place.cluster.clone(), directory: directory.join("work"), runs, scenarios: scenarios()? };
    std::fs::create_dir_all(&plan.directory).context("failed to make target/bench/work")?;
    let mut report = Report {
        commit: machine::commit(),
        command: "make bench".to_owned(),
        started_at: jiff::Timestamp::now().to_string(),
        host: machine::host(),
        load_before: machine::load(),
        ..Report::default()
    };
    println!(
        "failover: {runs} runs of each of {} scenarios, some five seconds a run, more where restarts back off",
        plan.scenarios.len()
    );
    let own = std::env::current_exe()?;
    let built = own.parent().context("no directory of our own")?;
    let mut options = UpOptions::new(NAME, &keep_binaries(built, &plan.directory.join("bin"))?);
    options.files = vec![std::path::absolute(MANIFEST)?];
    match Bed::up(options, place).await {
        Err(error) => report.error = Some(format!("{error:#}")),
        Ok(bed) => {
            let mut interrupted = signal(SignalKind::interrupt())?;
            let mut terminated = signal(SignalKind::terminate())?;
            let ran = tokio::select! {
                ran = run(&bed, &plan, &mut report) => ran,
                _ = interrupted.recv() => Err(anyhow::anyhow!("interrupted")),
                _ = terminated.recv() => Err(anyhow::anyhow!("terminated")),
            };
            if let Err(error) = ran {
                report.error = Some(format!("{error:#}"));
                bed.keep_logs(&plan.directory.join("logs"));
            }
            if let Err(error) = bed.down().await {
                report.error.get_or_insert(format!("{error:#}"));
            }
        }
    }
    report.duration_seconds = began.elapsed().as_secs_f64();
    let path = directory.join("failover.json");
    std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&report)?))
        .context("failed to write the report")?;
    if let Some(error) = &report.error {
        println!("failover: not finished: {error}");
    }
    println!("failover: {:.0} s; the report is in {}", report.duration_seconds, path.display());
    Ok(if report.kept() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn scenarios() -> anyhow::Result<Vec<Scenario>> {
    let Ok(names) = std::env::var("SCENARIOS") else { return Ok(Scenario::ALL.to_vec()) };
    let one = |name: &str| Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
    names.split(',').map(|name| one(name).with_context(|| format!("there is no scenario {name:?}"))).collect()
}
