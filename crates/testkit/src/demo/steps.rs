//! The demo, step by step. Each step waits for what it promises, with a deadline, and says what it sees.

use crate::bed::{Bed, text};
use crate::checker::Verdict;
use crate::demo::{Rejoined, Report, Tool, json, pitr};
use crate::journal::{self, Entry, Journal, boottime};
use crate::wait;
use crate::writer::{TABLE, Writer, create_table};
use anyhow::{Context as _, ensure};
use core::time::Duration;
use pgherd_localkube::fault::Target;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Instant;
use tokio_postgres::{Config, NoTls};

/// How the demo is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cluster's name.
    pub cluster: String,
    /// Where the journal and the report go.
    pub directory: PathBuf,
    /// The judge.
    pub judge: PathBuf,
    /// How long is written before the fault.
    pub writing: Duration,
}

/// Runs all steps and fills the report as it goes, so that it says how far it came.
///
/// # Errors
/// The step that could not be done, and why. The report says which promises hold.
pub async fn run(bed: &Bed, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let service = format!("{}-rw", plan.cluster);
    say("waiting for three instances and two streaming standbys");
    report.instances_ready = ready(bed).await?;
    let old = text(&bed.cluster().await?, "/status/currentPrimary");
    report.old_primary.clone_from(&old);
    report.streaming_replicas = streaming(bed, &old).await?;
    let application = bed.application(&service).await?;
    report.postgres = ask(&application, "SHOW server_version").await?;
    let system = ask(&application, SYSTEM).await?;
    say(&format!("{} instances are ready, {old} is the primary, postgres {}", report.instances_ready, report.postgres));

    create_table(&application).await.context("failed to make the journal's table")?;
    let path = plan.directory.join("journal");
    let writer = Writer::start(application.clone(), Journal::create(&path)?, Duration::from_millis(1));
    say(&format!("writing through {service} for {} s, one journalled row after the other", plan.writing.as_secs()));
    wait::until("rows being acknowledged", Duration::from_secs(20), async || match writer.acknowledged() {
        0 => Err("none yet".to_owned()),
        rows => Ok(rows),
    })
    .await?;
    tokio::time::sleep(plan.writing).await;
    let before = last(&path)?.context("no row was acknowledged")?;

    let killed_at = boottime();
    let killed = Instant::now();
    bed.kill(Target::Postmaster, &old).await.context("failed to kill the postmaster")?;
    say(&format!("kill -9 of the postmaster of {old}, after {} acknowledged rows", writer.acknowledged()));
    let first = wait::until("writes going on", Duration::from_secs(90), async || {
        // A row that was on its way when the kill came is still the old timeline's.
        match last(&path) {
            Ok(Some(entry)) if entry.at > killed_at && entry.timeline > before.timeline => Ok(entry),
            Ok(Some(entry)) => {
                Err(format!("the last acknowledged row is {} of timeline {}", entry.row, entry.timeline))
            }
            Ok(None) => Err("the journal is empty".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    let gap =
        journal::longest_gap(&journal::read(&path)?, killed_at).context("no row was acknowledged after the kill")?;
    report.failover_seconds = gap.seconds();
    report.timeline = first.timeline;
    report.new_primary = wait::until("the new primary in the status", Duration::from_secs(30), async || {
        let cluster = bed.cluster().await.map_err(|error| error.to_string())?;
        let name = text(&cluster, "/status/currentPrimary");
        if name == old { Err(format!("currentPrimary is still {old}")) } else { Ok(name) }
    })
    .await?;
    say(&format!(
        "{} writes on timeline {}, {:.3} s after the last row",
        report.new_primary,
        first.timeline,
        gap.seconds()
    ));

    report.rejoined = rejoined(bed, report, &system, first).await?;
    report.old_primary_rejoined = report.rejoined.complete();
    report.rejoin_seconds = killed.elapsed().as_secs_f64();
    say(&format!("{old} follows {} again, {:.1} s after the kill", report.new_primary, report.rejoin_seconds));

    let counts = writer.stop().await?;
    say(&format!(
        "{} rows were acknowledged; {} attempts ended without an answer",
        counts.acknowledged, counts.unknown
    ));
    let segments = wait::until("WAL in S3", Duration::from_secs(60), async || match bed.archived_segments().await {
        Ok(found) if found.is_empty() => Err("no segment yet".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{error:#}")),
    })
    .await?;
    report.wal_segments_archived = u64::try_from(segments.len()).unwrap_or(u64::MAX);
    say(&format!(
        "WAL in S3: {} segments, {} to {}",
        segments.len(),
        edge(segments.iter().min()),
        edge(segments.iter().max())
    ));

    let verdict = judge(plan, &bed.application_dsn(&service).await?).await?;
    report.acknowledged = verdict.acknowledged;
    report.lost = u64::try_from(verdict.lost.len()).unwrap_or(u64::MAX);
    report.twice = u64::try_from(verdict.twice.len()).unwrap_or(u64::MAX);
    ensure!(verdict.acknowledged == counts.acknowledged, "the journal and the writer disagree");
    say(&format!("a second program read the journal: {} promised, {} lost", verdict.acknowledged, report.lost));
    pitr::run(bed, report).await
}

const SYSTEM: &str = "SELECT system_identifier::text FROM pg_control_system()";

async fn ready(bed: &Bed) -> anyhow::Result<u64> {
    let shown = std::sync::Mutex::new(String::new());
    let found = wait::until("three ready instances", Duration::from_secs(300), async || {
        let cluster = bed.cluster().await.map_err(|error| format!("{error:#}"))?;
        let ready = cluster.pointer("/status/readyInstances").and_then(Value::as_u64).unwrap_or(0);
        let now = format!("{ready} of 3 ready, phase {:?}", text(&cluster, "/status/phase"));
        if let Ok(mut shown) = shown.lock()
            && *shown != now
        {
            say(&now);
            shown.clone_from(&now);
        }
        if ready >= 3 { Ok(ready) } else { Err(now) }
    });
    Ok(found.await?)
}

async fn streaming(bed: &Bed, primary: &str) -> anyhow::Result<u64> {
    let seen = wait::until("two streaming standbys", Duration::from_secs(60), async || {
        let page = bed.metrics(primary).await.map_err(|error| format!("{error:#}"))?;
        match metric(&page, "cnpg_pg_replication_streaming_replicas") {
            Some(count) if count >= 2.0 => Ok(page.lines().filter(|line| line.starts_with(STREAMING)).count()),
            count => Err(format!("{} streaming", count.unwrap_or(0.0))),
        }
    });
    Ok(u64::try_from(seen.await?).unwrap_or(u64::MAX))
}

const STREAMING: &str = "pgherd_replication_streaming{";

async fn rejoined(bed: &Bed, report: &Report, system: &str, new_row: Entry) -> anyhow::Result<Rejoined> {
    let (old, new) = (&report.old_primary, &report.new_primary);
    let found = wait::until("the old primary following", Duration::from_secs(180), async || {
        let look = async {
            let at_new = bed.metrics(new).await?;
            let at_old = bed.metrics(old).await?;
            let own = bed.application(&format!("pod/{old}")).await?;
            let streams = format!("{STREAMING}application_name=\"{old}\"}}");
            anyhow::Ok(Rejoined {
                same_system: ask(&own, SYSTEM).await? == system,
                on_new_timeline: metric(&at_old, "pgherd_timeline") == Some(f64::from(new_row.timeline)),
                streaming: metric(&at_new, &streams) == Some(1.0)
                    && metric(&at_old, "cnpg_pg_replication_in_recovery") == Some(1.0),
                reads_new_row: ask(&own, &format!("SELECT count(*)::text FROM {TABLE} WHERE n = {}", new_row.row))
                    .await?
                    == "1",
            })
        };
        match look.await {
            Ok(rejoined) if rejoined.complete() => Ok(rejoined),
            Ok(rejoined) => Err(format!("{rejoined:?}")),
            Err(error) => Err(format!("{error:#}")),
        }
    });
    Ok(found.await?)
}

async fn judge(plan: &Plan, dsn: &str) -> anyhow::Result<Verdict> {
    let judge = Tool { program: plan.judge.clone(), env: vec![("PGHERD_JUDGE_DSN".to_owned(), dsn.to_owned())] };
    let journal = plan.directory.join("journal").to_string_lossy().into_owned();
    let verdict = judge.run(&[&journal, "--verdict-only"], Duration::from_secs(60)).await?;
    Ok(json("the judge", &verdict)?)
}

async fn ask(config: &Config, sql: &str) -> anyhow::Result<String> {
    let (client, connection) = config.connect(NoTls).await.context("failed to connect to postgres")?;
    let driver = tokio::spawn(connection);
    let row = client.query_one(sql, &[]).await;
    drop(client);
    let _ = driver.await;
    Ok(row.with_context(|| format!("failed to ask {sql}"))?.try_get(0)?)
}

fn last(path: &std::path::Path) -> anyhow::Result<Option<Entry>> {
    Ok(journal::read(path)?.last().copied())
}

/// The value of a sample by its whole name, labels included.
fn metric(page: &str, name: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn edge(name: Option<&String>) -> &str {
    name.map_or("-", String::as_str)
}

/// One line of progress.
pub(super) fn say(line: &str) {
    println!("demo: {line}");
}
