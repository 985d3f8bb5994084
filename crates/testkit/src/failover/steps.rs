//! The measurements: a healthy cluster, a writer, a fault, the gap, and healthy again.

use super::report::{Measured, Report, backwards};
use crate::bed::Bed;
use crate::checker::{judge, read_table};
use crate::journal::{self, Journal, boottime};
use crate::wait;
use crate::writer::{TABLE, Writer, create_table};
use anyhow::Context as _;
use core::time::Duration;
use pgherd_localkube::fault::Target;
use std::path::PathBuf;
use tokio_postgres::{Config, NoTls};

/// What is done to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// kill -9 of its postmaster.
    PostmasterKilled,
    /// kill -9 of its manager, and so of everything in the container. From the second time on a pod the restart is held
    /// back as the kubelet does it (10 s, 20 s, ...), so that the standbys have to do without the old primary.
    ManagerKilled,
    /// Its pod is deleted, with its grace period.
    PodDeleted,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PostmasterKilled, Self::ManagerKilled, Self::PodDeleted];

    /// As the report has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostmasterKilled => "postmaster_killed",
            Self::ManagerKilled => "manager_killed",
            Self::PodDeleted => "pod_deleted",
        }
    }
}

/// How it is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cluster's name.
    pub cluster: String,
    /// Where the journals go.
    pub directory: PathBuf,
    /// Of each scenario.
    pub runs: usize,
    /// Which.
    pub scenarios: Vec<Scenario>,
}

/// Measures all scenarios and fills the report as it goes.
///
/// # Errors
/// The step that could not be done, and why.
pub async fn run(bed: &Bed, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let primary = healthy(bed).await?;
    say(&format!("three instances, {primary} is the primary"));
    let application = bed.application(&format!("{}-rw", plan.cluster)).await?;
    create_table(&application).await.context("failed to make the journal's table")?;
    for scenario in &plan.scenarios {
        empty_table(&application).await.context("failed to empty the journal's table")?;
        report.scenarios.push(Measured::new(scenario.name()));
        if let Some(measured) = report.scenarios.last_mut() {
            measure(bed, plan, *scenario, &application, measured).await.context(scenario.name())?;
        }
    }
    Ok(())
}

async fn measure(
    bed: &Bed,
    plan: &Plan,
    scenario: Scenario,
    application: &Config,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let path = plan.directory.join(format!("journal.{}", scenario.name()));
    let writer = Writer::start(application.clone(), Journal::create(&path)?, Duration::from_millis(2));
    written(&writer, 20).await?;
    for number in 1..=plan.runs {
        let old = healthy(bed).await?;
        written(&writer, 200).await?;
        let since = boottime();
        hurt(bed, scenario, &old).await?;
        written(&writer, 20).await?;
        let new = healthy(bed).await?;
        // Whatever came until the cluster lacked nothing again counts.
        let gap = journal::longest_gap(&journal::read(&path)?, since).context("no row after the fault")?;
        measured.add(gap.seconds(), new != old);
        say(&format!("{} {number} of {}: {:.3} s, {old} to {new}", scenario.name(), plan.runs, gap.seconds()));
    }
    let counts = writer.stop().await?;
    let promised = journal::read(&path)?;
    let verdict = judge(&promised, &read_table(application).await?);
    let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    measured.acknowledged = counts.acknowledged;
    measured.lost_acknowledged = count(verdict.lost.len());
    measured.double_writes = count(verdict.twice.len()).saturating_add(backwards(&promised));
    say(&format!(
        "{}: p50 {:.3} s, longest {:.3} s, {} rows acknowledged, {} lost, {} doubled",
        scenario.name(),
        measured.p50_s,
        measured.max_s,
        measured.acknowledged,
        measured.lost_acknowledged,
        measured.double_writes,
    ));
    Ok(())
}

/// Does it, and waits until it has taken place, where that takes a while.
async fn hurt(bed: &Bed, scenario: Scenario, primary: &str) -> anyhow::Result<()> {
    match scenario {
        Scenario::PostmasterKilled => bed.kill(Target::Postmaster, primary).await.map(drop),
        Scenario::ManagerKilled => {
            let before = bed.run_of(primary).await?;
            bed.kill(Target::Manager, primary).await?;
            another_run(bed, primary, &before).await
        }
        Scenario::PodDeleted => {
            let before = bed.run_of(primary).await?;
            bed.delete_pod(primary).await?;
            another_run(bed, primary, &before).await
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

/// So many rows were acknowledged since this call; the first of them may have been on its way already.
async fn written(writer: &Writer, rows: u64) -> anyhow::Result<()> {
    let before = writer.acknowledged();
    let seen = wait::until("rows being acknowledged", Duration::from_secs(120), async || match writer.acknowledged() {
        now if now > before + rows => Ok(()),
        now => Err(format!("{} since", now - before)),
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
