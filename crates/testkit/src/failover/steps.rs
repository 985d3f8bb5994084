//! The measurements: a healthy cluster, writers, a fault, the gap, and healthy again.

use super::report::{Measured, Report, backwards};
use super::scenario::{Hurt, Scenario};
use super::trace::{Trace, Traces};
use crate::bed::Bed;
use crate::chaos::Configuration;
use crate::checker::{judge, read_table};
use crate::journal::{self, Entry, Journal, boottime};
use crate::wait;
use crate::writer::{TABLE, Writer, create_table};
use anyhow::{Context as _, ensure};
use core::time::Duration;
use kube::api::{Patch, PatchParams};
use pgherd_localkube::fault::{Cut, DiskFault, FaultRequest, Target, Volume};
use serde_json::json;
use std::path::PathBuf;
use tokio_postgres::{Config, NoTls};

/// How it is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the journals go.
    pub directory: PathBuf,
    /// Of each scenario.
    pub runs: usize,
    /// Which.
    pub scenarios: Vec<Scenario>,
    /// Of what kind the cluster is.
    pub configuration: Configuration,
}

/// Between two rows of one writer.
const PAUSE: Duration = Duration::from_millis(2);
/// Nobody takes over later than this.
const TAKEN: Duration = Duration::from_secs(45);
/// Numbers that each writer has for itself.
const SPAN: u64 = 1_000_000_000;

/// Measures all scenarios and fills the report as it goes.
///
/// # Errors
/// The step that could not be done, and why.
pub async fn run(bed: &Bed, plan: &Plan, report: &mut Report, traces: &mut Traces) -> anyhow::Result<()> {
    match plan.configuration.ready(bed, Duration::from_secs(300)).await? {
        Ok(primary) => say(&format!("three instances, {}, {primary} is the primary", plan.configuration.name())),
        Err(why) => {
            report.left_out.insert(plan.configuration.name().to_owned(), why);
            return Ok(());
        }
    }
    let application = bed.application(&bed.place.service()).await?;
    create_table(&application).await.context("failed to make the journal's table")?;
    for scenario in &plan.scenarios {
        empty_table(&application).await.context("failed to empty the journal's table")?;
        report.scenarios.push(Measured::new(scenario, plan.configuration));
        if let Some(measured) = report.scenarios.last_mut() {
            measure(bed, plan, scenario, &application, measured, traces).await.with_context(|| scenario.title())?;
        }
    }
    Ok(())
}

/// The writers of a scenario, and where they write down what was acknowledged.
struct Crowd {
    writers: Vec<Writer>,
    journals: Vec<PathBuf>,
}

impl Crowd {
    fn start(plan: &Plan, scenario: &Scenario, application: &Config) -> anyhow::Result<Self> {
        let mut crowd = Self { writers: Vec::new(), journals: Vec::new() };
        for number in 0..scenario.clients {
            let path = plan.directory.join(format!("journal.{}.{number}", scenario.name));
            let before = u64::from(number) * SPAN;
            crowd.writers.push(Writer::start_after(application.clone(), Journal::create(&path)?, PAUSE, before));
            crowd.journals.push(path);
        }
        Ok(crowd)
    }

    /// All journals as one, in the order of their times.
    fn entries(&self) -> anyhow::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for path in &self.journals {
            entries.extend(journal::read(path)?);
        }
        entries.sort_by_key(|entry| entry.at);
        Ok(entries)
    }

    fn acknowledged(&self) -> u64 {
        self.writers.iter().map(Writer::acknowledged).sum()
    }

    /// So many rows were acknowledged since this call; the first of each writer may have been on its way already.
    async fn written(&self, rows: u64) -> anyhow::Result<()> {
        let before = self.acknowledged() + u64::try_from(self.writers.len()).unwrap_or(0);
        let seen =
            wait::until("rows being acknowledged", Duration::from_secs(120), async || match self.acknowledged() {
                now if now > before + rows => Ok(()),
                now => Err(format!("{} since", now.saturating_sub(before))),
            });
        Ok(seen.await?)
    }

    /// A row of a later timeline than `old` was acknowledged.
    async fn taken_over(&self, old: u32) -> anyhow::Result<()> {
        let seen = wait::until("rows on a new timeline", TAKEN, async || {
            let entries = self.entries().map_err(|error| format!("{error:#}"))?;
            match entries.last() {
                Some(entry) if entry.timeline > old => Ok(()),
                last => Err(format!("{last:?}")),
            }
        });
        Ok(seen.await?)
    }
}

async fn measure(
    bed: &Bed,
    plan: &Plan,
    scenario: &Scenario,
    application: &Config,
    measured: &mut Measured,
    traces: &mut Traces,
) -> anyhow::Result<()> {
    let crowd = Crowd::start(plan, scenario, application)?;
    crowd.written(20).await?;
    for number in 1..=plan.runs {
        let old = healthy(bed).await?;
        rid_of_wal(bed, &old).await?;
        crowd.written(200).await?;
        let timeline = crowd.entries()?.last().context("no row")?.timeline;
        let since = boottime();
        let lasting = hurt(bed, scenario.hurt, &old).await?;
        if lasting {
            let taken = crowd.taken_over(timeline).await;
            bed.fault(FaultRequest::Heal).await?;
            if let Err(late) = taken {
                // One that nobody takes over from says nothing of how long that takes.
                measured.not_taken_over += 1;
                say(&format!("{} {number} of {}: {late:#}", scenario.title(), plan.runs));
                healthy(bed).await?;
                continue;
            }
        }
        crowd.written(20).await?;
        let new = healthy(bed).await?;
        let gap = journal::takeover_gap(&crowd.entries()?, since).context("no row after the fault")?;
        measured.add(gap.seconds(), new != old);
        if number == 1 {
            let (scenario, configuration) = (scenario.title(), measured.configuration.clone());
            let trace = Trace::collect(bed.handle.state_dir(), since, gap);
            traces.traces.push(Trace { scenario, configuration, ..trace });
        }
        say(&format!("{} {number} of {}: {:.3} s, {old} to {new}", scenario.title(), plan.runs, gap.seconds()));
    }
    let promised = {
        let mut entries = Vec::new();
        let journals = crowd.journals.clone();
        for writer in crowd.writers {
            measured.acknowledged += writer.stop().await?.acknowledged;
        }
        for path in &journals {
            entries.extend(journal::read(path)?);
        }
        entries.sort_by_key(|entry| entry.at);
        entries
    };
    let verdict = judge(&promised, &read_table(application).await?);
    let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    ensure!(count(promised.len()) == measured.acknowledged, "the journals and the writers disagree");
    measured.lost_acknowledged = count(verdict.lost.len());
    // Answers of several clients may come in another order than the commits.
    let again = if scenario.clients == 1 { backwards(&promised) } else { 0 };
    measured.double_writes = count(verdict.twice.len()).saturating_add(again);
    say(&format!(
        "{}, {}: p50 {:.3} s, longest {:.3} s, {} rows acknowledged, {} lost, {} doubled",
        scenario.title(),
        measured.configuration,
        measured.p50_s,
        measured.max_s,
        measured.acknowledged,
        measured.lost_acknowledged,
        measured.double_writes,
    ));
    Ok(())
}

/// Lets every instance get rid of WAL that it does not need any more. Each promotion makes a copy of the segment that it
/// begins in, and all of them stay while `wal_keep_size` (512 MB) reaches back to it: a hundred failovers within a few
/// minutes, and little WAL between them, would fill the volumes. So each has a segment of its own.
async fn rid_of_wal(bed: &Bed, primary: &str) -> anyhow::Result<()> {
    bed.ask(primary, "SELECT pg_switch_wal()").await?;
    for pod in bed.members().await? {
        if let Err(why) = bed.ask(&pod, "CHECKPOINT").await {
            say(&format!("no checkpoint of {pod} this time: {why:#}"));
        }
    }
    Ok(())
}

/// Does it, and waits until it has taken place, where that takes a while; answers whether it lasts until it is healed.
async fn hurt(bed: &Bed, hurt: Hurt, primary: &str) -> anyhow::Result<bool> {
    let pod = bed.full(primary);
    match hurt {
        Hurt::Kill(target) => {
            let before = bed.run_of(primary).await?;
            bed.kill(target, primary).await?;
            if target != Target::Postmaster {
                another_run(bed, primary, &before).await?;
            }
            Ok(false)
        }
        Hurt::Delete => {
            let before = bed.run_of(primary).await?;
            bed.delete_pod(primary).await?;
            another_run(bed, primary, &before).await?;
            Ok(false)
        }
        Hurt::Freeze(target) => bed.fault(FaultRequest::Freeze { target, pod }).await.map(|_| true),
        Hurt::ForceDelete => bed.fault(FaultRequest::ForceDelete { pod }).await.map(|_| true),
        Hurt::CutOff => {
            let from = ["all", "api"].map(str::to_owned).to_vec();
            bed.fault(FaultRequest::Cut(Cut { pods: vec![pod], from, ..Cut::default() })).await.map(|_| true)
        }
        Hurt::HangDisk => {
            let request = FaultRequest::Disk { pod, volume: Volume::Data, what: DiskFault::Hung };
            bed.fault(request).await.map(|_| true)
        }
        Hurt::Switchover => {
            let target = bed.standbys().await?.into_iter().next().context("there is no standby")?;
            let patch = Patch::Merge(json!({ "status": { "targetPrimary": target } }));
            let clusters = bed.objects("postgresql.cnpg.io", "Cluster");
            clusters.patch_status(&bed.place.cluster, &PatchParams::default(), &patch).await?;
            let moved = wait::until("the standby that was asked for", Duration::from_secs(60), async || {
                match bed.primary().await.map_err(|error| format!("{error:#}"))? {
                    now if now == target => Ok(()),
                    now => Err(format!("{now} is the primary")),
                }
            });
            moved.await?;
            Ok(false)
        }
    }
}

async fn another_run(bed: &Bed, pod: &str, before: &str) -> anyhow::Result<()> {
    let what = format!("{pod} started again");
    let seen = wait::until(&what, Duration::from_secs(120), async || match bed.run_of(pod).await {
        Ok(now) if now != before => Ok(()),
        Ok(now) => Err(now),
        Err(error) => Err(format!("{error:#}")),
    });
    Ok(seen.await?)
}

/// Waits until the cluster lacks nothing; answers the primary.
async fn healthy(bed: &Bed) -> anyhow::Result<String> {
    Ok(bed.healthy(Duration::from_secs(300)).await?)
}

async fn empty_table(config: &Config) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let done = client.batch_execute(&format!("TRUNCATE {TABLE}")).await;
    drop(client);
    let _ = driver.await;
    done
}

fn say(line: &str) {
    println!("failover: {line}");
}
