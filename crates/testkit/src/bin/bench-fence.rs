//! `make bench`, its third part: cuts a primary with 200 clients off, again and again, and writes how long after its last
//! renewal the last process of its postgres was gone to `target/bench/fence.json`. `RUNS` (5) is how often.

use anyhow::Context as _;
use pgherd_localkube::daemon::UpOptions;
use pgherd_testkit::bed::{Bed, EXAMPLE, Place, edited, keep_binaries, to_the_end};
use pgherd_testkit::fence::{Report, measure};
use pgherd_testkit::machine::Head;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const NAME: &str = "bench-fence";
const CONNECTIONS: u32 = 200;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let directory = PathBuf::from("target/bench");
    let runs: usize = std::env::var("RUNS").map_or(Ok(5), |runs| runs.parse()).context("RUNS is not a number")?;
    let work = directory.join("work");
    std::fs::create_dir_all(&work).context("failed to make target/bench/work")?;
    let mut report = Report {
        head: Head::now(format!("make bench RUNS={runs}")),
        connections: CONNECTIONS,
        renew_deadline_s: 5.0,
        lease_duration_s: 8.0,
        ..Report::default()
    };
    println!("fence: {runs} runs with {CONNECTIONS} clients, twenty seconds a run");
    match up(&work).await {
        Err(error) => report.error = Some(format!("{error:#}")),
        Ok(bed) => report.error = to_the_end(bed, &work, async |bed| run(bed, runs, &mut report).await).await,
    }
    let path = directory.join("fence.json");
    std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&report)?))
        .context("failed to write the report")?;
    if let Some(error) = &report.error {
        println!("fence: not finished: {error}");
    }
    println!("fence: at most {:.3} s from a renewal to the end; the report is in {}", report.max_s, path.display());
    Ok(if report.kept() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn run(bed: &Bed, runs: usize, report: &mut Report) -> anyhow::Result<()> {
    for number in 1..=runs {
        let fenced = measure(bed, CONNECTIONS).await?;
        println!(
            "fence: {number} of {runs}: {} processes gone {:.3} s after the last renewal, {:.3} s after the cut",
            fenced.processes, fenced.renewal_to_gone_s, fenced.cut_to_gone_s
        );
        report.add(fenced);
    }
    Ok(())
}

async fn up(work: &Path) -> anyhow::Result<Bed> {
    let own = std::env::current_exe()?;
    let built = own.parent().context("no directory of our own")?;
    let mut options = UpOptions::new(NAME, &keep_binaries(built, &work.join("bin"))?);
    options.files = vec![edited(Path::new(EXAMPLE), work, |cluster| {
        // Some are the manager's own.
        if let Some(most) = cluster.pointer_mut("/spec/postgresql/parameters/max_connections") {
            *most = "240".into();
        }
    })?];
    Bed::up(options, Place::of_example()).await
}
