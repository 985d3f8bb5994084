//! `make chaos`: clusters, clients and faults from seeds, judged one by one, into `target/chaos/report.json`. `RUNS` (2)
//! is how many runs that count, `SEED` (1) the first one's seed, `JOBS` (1) how many clusters side by side,
//! `CONFIGURATION` one of `asynchronous` and `synchronous` (both by turns), `SELF_TEST=1` a run without the fence, which
//! the judge must see. A run that fails stops no other; a program that is ended leaves the report of the runs before, and
//! what a dead one left is swept by the next.

use anyhow::Context as _;
use pgherd_testkit::chaos::{Configuration, Ground, Report, Run, Unfenced, run, with};
use pgherd_testkit::history::Recorder;
use pgherd_testkit::machine::Head;
use std::collections::VecDeque;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// Of so many runs for each that is wanted, some do not count.
const ATTEMPTS: u64 = 2;

struct Order {
    runs: u64,
    seed: u64,
    jobs: usize,
    configurations: Vec<Configuration>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let order = order()?;
    let own = std::env::current_exe()?;
    let ground = Ground {
        built: own.parent().context("no directory of our own")?.to_path_buf(),
        sources: std::env::current_dir()?,
        directory: std::path::absolute("target/chaos")?,
    };
    std::fs::create_dir_all(&ground.directory).context("failed to make target/chaos")?;
    ground.sweep().await?;
    let mut report = Report {
        head: Head::now(order.command()),
        jobs: u64::try_from(order.jobs).unwrap_or(u64::MAX),
        // Until the end; whoever is killed leaves this.
        error: Some("it has not ended yet".to_owned()),
        ..Report::default()
    };
    let minutes = order.runs.saturating_mul(3).div_ceil(u64::try_from(order.jobs).unwrap_or(1));
    println!("chaos: {} runs from seed {}, {} at a time, some {minutes} minutes", order.runs, order.seed, order.jobs);
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let ran = tokio::select! {
        ran = all(&ground, &order, &mut report) => ran,
        _ = interrupted.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminated.recv() => Err(anyhow::anyhow!("terminated")),
    };
    let short = report.runs < order.runs;
    let few = || format!("only {} of {} runs count", report.runs, order.runs);
    report.error = ran.err().map(|error| format!("{error:#}")).or_else(|| short.then(few));
    report.duration_seconds = began.elapsed().as_secs_f64();
    let path = ground.directory.join("report.json");
    report.store(&path).context("failed to write the report")?;
    // What was broken off leaves environments behind.
    ground.sweep().await?;
    println!(
        "chaos: {} runs ({} more do not count), {} lost, {} of them without an excuse, {} doubled, {} stuck, {} failed; the \
         report is in {}",
        report.runs,
        report.uncounted,
        report.lost_acknowledged,
        report.lost_unexcused,
        report.double_writes,
        report.stuck,
        report.failed.len(),
        path.display()
    );
    if let Some(error) = &report.error {
        println!("chaos: it is not whole: {error}");
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn all(ground: &Ground, order: &Order, report: &mut Report) -> anyhow::Result<()> {
    let (began, path) = (Instant::now(), ground.directory.join("report.json"));
    if std::env::var("SELF_TEST").is_ok_and(|wanted| wanted == "1") {
        self_test(ground).await?;
    }
    let mut configurations: VecDeque<Configuration> = order.configurations.clone().into();
    let mut seeds = order.seed..order.seed.saturating_add(order.runs.saturating_mul(ATTEMPTS));
    let mut working: JoinSet<(Configuration, Result<Run, String>)> = JoinSet::new();
    let mut lines = Recorder::create(&ground.directory.join("runs.jsonl"))?;
    report.store(&path).context("failed to write the report")?;
    loop {
        let under_way = u64::try_from(working.len()).unwrap_or(u64::MAX);
        if working.len() < order.jobs
            && report.runs.saturating_add(under_way) < order.runs
            && let Some(configuration) = configurations.front().copied()
            && let Some(seed) = seeds.next()
        {
            configurations.rotate_left(1);
            println!("chaos: seed {seed}, {}: begins", configuration.name());
            let ground = ground.clone();
            working.spawn(async move { (configuration, made(&ground, seed, configuration).await) });
            continue;
        }
        let Some(ended) = working.join_next().await else { break };
        match ended.context("failed to make a run")? {
            (_, Ok(run)) => {
                report.add(&run);
                lines.record(&run).context("failed to write a run down")?;
                say(&run);
            }
            (configuration, Err(why)) => {
                configurations.retain(|other| *other != configuration);
                println!("chaos: {} is left out: {why}", configuration.name());
                report.leave_out(configuration, &why);
            }
        }
        report.duration_seconds = began.elapsed().as_secs_f64();
        report.store(&path).context("failed to write the report")?;
    }
    Ok(())
}

/// A run that panics is a run that failed, and no reason to make no others.
async fn made(ground: &Ground, seed: u64, configuration: Configuration) -> Result<Run, String> {
    let own = ground.clone();
    let mut alone = JoinSet::new();
    alone.spawn(async move { run(&own, seed, configuration).await });
    match alone.join_next().await {
        Some(Ok(made)) => made,
        other => {
            let error = Some(format!("the run broke off: {other:?}"));
            Ok(Run { seed, configuration: configuration.name().to_owned(), error, ..Run::default() })
        }
    }
}

/// Without the fence there are two writers, and the judge must say so.
async fn self_test(ground: &Ground) -> anyhow::Result<()> {
    println!("chaos: a run without the fence: the judge must see two writers");
    let run = Run { configuration: "unfenced".to_owned(), ..Run::default() };
    let made = with(ground, "unfenced", Configuration::Asynchronous, run, &Unfenced).await;
    let run = made.map_err(|why| anyhow::anyhow!(why))?;
    say(&run);
    let seen = run.verdict.as_ref().is_some_and(|verdict| verdict.double_writes > 0);
    anyhow::ensure!(seen, "the judge did not see that there were two writers: {run:?}");
    Ok(())
}

fn say(run: &Run) {
    let faults: Vec<String> =
        run.struck.iter().map(|one| format!("{}{}", one.kind, if one.primary { "!" } else { "" })).collect();
    let verdict = run.verdict.clone().unwrap_or_default();
    let made_of = match run {
        Run { wal_volumes: true, .. } => " with disks of data and of WAL",
        Run { disks: true, .. } => " with disks",
        Run { clocks: true, .. } => " with clocks",
        Run { .. } => "",
    };
    println!(
        "chaos: seed {}, {}{}: {} s of {}; {} acknowledged, {} unknown, {} lost ({} without an excuse), {} doubled, \
         {} timelines, healthy after {} s, {}; {} s in all{}",
        run.seed,
        run.configuration,
        made_of,
        run.seconds,
        faults.join(" "),
        verdict.acknowledged,
        verdict.unknown,
        verdict.lost_acknowledged,
        verdict.lost_unexcused,
        verdict.double_writes,
        run.timelines,
        run.healed_seconds,
        if verdict.restored { "restored" } else { "not restored" },
        run.total_seconds,
        if run.counts() { "" } else { "; does not count" },
    );
    for missed in &run.missed {
        println!("chaos: seed {}, {}: not put on: {missed}", run.seed, run.configuration);
    }
    for wrong in run.error.iter().chain(&run.stuck).chain(&verdict.breaches) {
        println!("chaos: seed {}, {}: WRONG: {wrong}", run.seed, run.configuration);
    }
    if !run.holds() && run.configuration != "unfenced" {
        println!(
            "chaos: its history is kept; to repeat: make chaos RUNS=1 SEED={} CONFIGURATION={}",
            run.seed, run.configuration
        );
    }
}

impl Order {
    /// What repeats it.
    fn command(&self) -> String {
        let Self { runs, seed, jobs, configurations } = self;
        let one = match configurations.as_slice() {
            [only] => format!(" CONFIGURATION={}", only.name()),
            _ => String::new(),
        };
        format!("make chaos RUNS={runs} SEED={seed} JOBS={jobs}{one}")
    }
}

fn order() -> anyhow::Result<Order> {
    let configurations = match std::env::var("CONFIGURATION") {
        Ok(name) => vec![Configuration::named(&name).with_context(|| format!("there is no configuration {name:?}"))?],
        Err(_) => Configuration::ALL.to_vec(),
    };
    Ok(Order { runs: number("RUNS", 2)?, seed: number("SEED", 1)?, jobs: number("JOBS", 1)?, configurations })
}

fn number<T: FromStr>(name: &str, otherwise: T) -> anyhow::Result<T> {
    let Ok(text) = std::env::var(name) else { return Ok(otherwise) };
    text.parse().ok().with_context(|| format!("{name} is not a number"))
}
